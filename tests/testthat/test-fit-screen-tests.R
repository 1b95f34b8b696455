# Tests and standard errors of fit_screen(), by hand.

skip_if_not_installed("SingleCellExperiment")
skip_if_not_installed("MASS")

formula <- ~ prep_batch + percent.mito

# A few pairs of few cells, where the three tests and standard errors differ.
few_cells <- function(...) {
  simulate_screen(
    n_cells = 240, n_genes = 12, n_perturbations = 5, mean_range = c(0.4, 10),
    covariate_sd = 0.3, effect_fraction = 0.5, ...
  )
}

# Pearson's X^2 over its degrees of freedom in the reference cells, and these.
null_scale <- function(made, g) {
  null <- compared(made, 1)$null
  design <- made$screen$design[null, ]
  fit <- stats::glm.fit(
    design, made$counts[g, null],
    offset = made$screen$offset[null], family = stats::poisson(),
    control = stats::glm.control(epsilon = 1e-15)
  )
  df <- sum(null) - ncol(design)
  mu <- fit$fitted.values
  c(scale = sum((fit$y - mu)^2 / mu) / df, df = df)
}

expect_by_hand <- function(screen, perturbation, family, ..., at) {
  made <- suppressMessages(request(perturbation, formula, ..., x = screen))
  se <- c("expected", "observed", "sandwich")
  tests <- c("wald", "lrt", "score")
  for (j in 1:3) {
    fit <- suppressMessages(fit_screen(
      screen, perturbation, formula,
      family = family, test = tests[j], se = se[j], ...
    ))
    table <- coefficient_table(fit)
    theta <- if (family == "negbinomial") table$theta else rep(Inf, nrow(table))
    for (row in at) {
      label <- paste(family, fit$reference$kind, tests[j], row)
      k <- match(table$perturbation[row], colnames(fit))
      slow <- pair_by_hand(made, table$gene_id[row], k, theta[row])
      scale <- c(scale = 1, df = Inf)
      if (family == "quasipoisson") scale <- null_scale(made, table$gene_id[row])
      z <- slow$statistic[[tests[j]]] / sqrt(scale[["scale"]])
      off <- (table$estimate[row] - slow$estimate) / slow$se[["expected"]]
      expect_lt(abs(off), 1e-5, label = label)
      expect_equal(
        table$std_err[row], slow$se[[se[j]]] * sqrt(scale[["scale"]]),
        tolerance = 1e-5, label = label
      )
      expect_lt(abs(table$statistic[row] - z), 5e-5, label = label)
      expect_equal(
        table$p_value[row], 2 * stats::pt(-abs(table$statistic[row]), scale[["df"]]),
        tolerance = 1e-8, label = label
      )
    }
  }
}

test_that("wald, lrt and score are those of the model written out", {
  low <- few_cells()
  high <- few_cells(moi = "high", guides_per_cell = 2)
  at <- c(1, 27, 39)
  for (family in c("negbinomial", "poisson", "quasipoisson")) {
    for (reference in reference_kinds()) {
      expect_by_hand(
        low, "perturbation", family,
        control = "control", reference = reference, at = at
      )
    }
    expect_by_hand(high, "perturbations", family, reference = "complement", at = at)
  }
})

test_that("the likelihood ratio is anova()'s, of theta too where each pair has its own", {
  screen <- few_cells()
  made <- request("perturbation", formula, x = screen, control = "control")
  fit <- function(...) {
    fit <- fit_screen(
      screen, "perturbation", formula,
      control = "control", test = "lrt", ...
    )
    coefficient_table(fit, gene = "gene_004")
  }
  poisson <- fit(family = "poisson")
  own_theta <- fit(dispersion = "pair")
  for (k in 1:5) {
    sets <- compared(made, k)
    cells <- as.data.frame(
      SummarizedExperiment::colData(screen)[made$cells[sets$used], ]
    )
    cells$y <- as.double(made$counts["gene_004", sets$used])
    cells$has <- sets$has[sets$used]
    null <- y ~ prep_batch + percent.mito + offset(log(Size_Factor))
    slow <- function(fit) {
      with <- fit(stats::update(null, ~ . + has), cells)
      without <- fit(null, cells)
      2 * as.numeric(stats::logLik(with) - stats::logLik(without))
    }
    control <- stats::glm.control(epsilon = 1e-13, maxit = 100)
    glm <- function(formula, cells) {
      stats::glm(formula, stats::poisson(), cells, control = control)
    }
    with <- glm(stats::update(null, ~ . + has), cells)
    table <- stats::anova(glm(null, cells), with, test = "LRT")
    expect_equal(poisson$statistic[k]^2, table$Deviance[2], tolerance = 1e-6)
    expect_equal(poisson$p_value[k], table[["Pr(>Chi)"]][2], tolerance = 1e-5)
    glm_nb <- function(formula, cells) {
      MASS::glm.nb(formula, cells, control = control)
    }
    expect_equal(own_theta$statistic[k]^2, slow(glm_nb), tolerance = 1e-5)
  }
})

# 1200 genes of one mean in two groups of cells, by the theta of each.
two_groups <- function(theta, mean = 3, n = 200, n_genes = 1200, seed = 1) {
  cells <- data.frame(
    group = rep(c("control", "A"), each = n), Size_Factor = 1
  )
  theta <- rep(theta, each = n)
  counts <- withr::with_seed(seed, matrix(
    stats::rnbinom(2 * n * n_genes, size = theta, mu = mean), n_genes,
    byrow = TRUE
  ))
  rownames(counts) <- paste0("gene", seq_len(n_genes))
  function(...) {
    fit <- fit_screen(
      counts, "group", control = "control", cell_metadata = cells, ...
    )
    coefficient_table(fit)
  }
}

test_that("sandwiches have the spread of the estimates where the variance is wrong", {
  # The spread of 1200 estimates is known to 2 %.
  ratio <- function(table) mean(table$std_err) / stats::sd(table$estimate)
  overdispersed <- two_groups(c(1, 1))
  expect_lt(ratio(overdispersed(family = "poisson")), 0.6)
  sandwich <- overdispersed(family = "poisson", se = "sandwich")
  expect_lt(abs(ratio(sandwich) - 1), 0.05)
  # Its tests hold their level; the others do not.
  expect_lt(mean(sandwich$p_value < 0.05), 0.065)
  # Perturbed cells more variable than control cells, whose theta is used.
  uneven <- two_groups(c(20, 1))
  expect_lt(ratio(uneven()), 0.75)
  expect_lt(ratio(uneven(se = "observed")), 0.75)
  expect_lt(abs(ratio(uneven(se = "sandwich")) - 1), 0.05)
  # With the right variance all agree.
  even <- two_groups(c(2, 2))
  for (se in c("expected", "observed", "sandwich")) {
    expect_lt(abs(ratio(even(se = se)) - 1), 0.05)
  }
})
