# fit_screen() against fit_models(): the same likelihood, one perturbation at a
# time, the model written out.

skip_if_not_installed("SingleCellExperiment")

covariates <- ~ prep_batch + percent.mito

# What fit_models() makes of pair k's cells: for every gene the estimate and the
# standard error of the term `has`, and the dispersion.
written_out <- function(screen, made, k, formula, family) {
  sets <- compared(made, k)
  cells <- screen[, made$cells[sets$used]]
  cells$has <- as.double(sets$has[sets$used])
  fits <- fit_models(cells, stats::update(formula, ~ . + has), family)
  table <- coefficient_table(fits)
  rows <- table$term == "has"
  list(
    gene_id = table$gene_id[rows], estimate = table$estimate[rows],
    std_err = table$std_err[rows],
    theta = vapply(fits$model, `[[`, 0, "theta"),
    dispersion = vapply(fits$model, `[[`, 0, "dispersion")
  )
}

expect_as_models <- function(screen, perturbation, formula, family, ...,
                             perturbations = NULL) {
  dispersion <- if (family == "negbinomial") "pair" else "null"
  fit <- suppressMessages(fit_screen(
    screen, perturbation, formula,
    family = family, dispersion = dispersion, ...
  ))
  made <- suppressMessages(request(perturbation, formula, ..., x = screen))
  n_compared <- 0
  for (k in perturbations %||% seq_len(ncol(fit))) {
    label <- paste(family, fit$reference$kind, colnames(fit)[k])
    table <- coefficient_table(fit, perturbation = colnames(fit)[k])
    slow <- written_out(screen, made, k, formula, family)
    expect_identical(table$gene_id, slow$gene_id)
    # One scale a gene, that of the reference cells, for quasi-Poisson variances.
    null <- fit$genes$dispersion / slow$dispersion
    ok <- table$status == "ok"
    expect_identical(is.finite(slow$estimate), ok, label = label)
    expect_identical(table$estimate[!ok], slow$estimate[!ok], label = label)
    off <- abs(table$estimate - slow$estimate) / slow$std_err
    expect_lt(max(off[ok]), 1e-5, label = label)
    std_err <- table$std_err / (slow$std_err * sqrt(null))
    expect_lt(max(abs(std_err[ok] - 1)), 1e-5, label = label)
    if (family == "negbinomial") {
      alpha <- function(theta) 1 / theta[ok]
      expect_equal(
        alpha(table$theta), unname(alpha(slow$theta)),
        tolerance = 1e-6, label = label
      )
    }
    n_compared <- n_compared + sum(ok)
  }
  n_compared
}

every_family <- c("negbinomial", "poisson", "quasipoisson")

test_that("pairs at low MOI are fitted as fit_models() fits each", {
  screen <- simulate_screen(
    n_cells = 400, n_genes = 16, n_perturbations = 4, mean_range = c(0.03, 30)
  )
  for (family in every_family) {
    for (reference in reference_kinds()) {
      n <- expect_as_models(
        screen, "perturbation", covariates, family,
        control = "control", reference = reference, perturbations = c(1, 4)
      )
      expect_gt(n, 25)
    }
  }
})

test_that("pairs at high MOI are fitted as fit_models() fits each", {
  screen <- simulate_screen(
    n_cells = 400, n_genes = 16, n_perturbations = 4, moi = "high",
    mean_range = c(0.03, 30), guides_per_cell = 2, control_fraction = 0.5
  )
  # A few control cells: those with a guide, none of which has a target.
  has <- Matrix::t(SummarizedExperiment::assay(
    SingleCellExperiment::altExp(screen), "membership"
  ))
  controls <- Matrix::Matrix(
    matrix(Matrix::rowSums(has) == 0, dimnames = list(NULL, "none")) + 0
  )
  has <- cbind(has, controls)
  for (family in every_family) {
    for (reference in reference_kinds()) {
      n <- expect_as_models(
        screen, has, covariates, family,
        control = "none", reference = reference, perturbations = c(1, 4)
      )
      expect_gt(n, 25)
    }
  }
})

test_that("pairs of a real screen are fitted as fit_models() fits each", {
  screen <- read_cells(shared_data("papalexi_lowmoi.rds"))
  screen <- screen[seq(1, nrow(screen), length.out = 8), ]
  screen$log_guide_umis <- log(screen$grna_n_umis)
  formula <- ~ bio_rep + log_guide_umis
  for (family in every_family) {
    for (reference in reference_kinds()) {
      n <- expect_as_models(
        screen, "grna_target", formula, family,
        control = "non-targeting", reference = reference,
        perturbations = if (reference == "control") c(2, 20) else 20
      )
      expect_gt(n, 6)
    }
  }
})

test_that("results are the same for any number of threads, list of pairs, order of genes", {
  low <- simulate_screen(
    n_cells = 300, n_genes = 66, n_perturbations = 5, mean_range = c(0.01, 10)
  )
  high <- simulate_screen(
    n_cells = 300, n_genes = 66, n_perturbations = 5, moi = "high"
  )
  shuffled <- withr::with_seed(1, sample(66))
  pairs <- expand.grid(
    perturbation = sprintf("perturb_%03d", 5:1), gene = rownames(low),
    stringsAsFactors = FALSE
  )
  # q-values aside, which go by the pairs that are fitted.
  results <- function(screen, ..., dispersion = "null", test = "wald", se = "expected") {
    fit <- suppressMessages(fit_screen(
      screen, ...,
      formula = covariates, dispersion = dispersion, test = test, se = se
    ))
    table <- coefficient_table(fit)
    table$q_value <- NULL
    as.list(table[order(table$gene_id, table$perturbation), ])
  }
  for (given in list(
    list(), list(dispersion = "pair", test = "lrt"), list(test = "score", se = "sandwich")
  )) {
    of <- function(screen, perturbation, ...) {
      do.call(results, c(list(screen, perturbation, ...), given))
    }
    one <- of(low, "perturbation", control = "control", threads = 1)
    with <- function(screen, ...) of(screen, "perturbation", control = "control", ...)
    expect_identical(with(low, threads = 2), one)
    expect_identical(with(low[shuffled, ], threads = 2), one)
    expect_identical(with(low, pairs = pairs, threads = 2), one)
    some <- seq(1, nrow(pairs), by = 3)
    kept <- paste(one$gene_id, one$perturbation) %in%
      paste(pairs$gene, pairs$perturbation)[some]
    expect_identical(
      with(low, pairs = pairs[rev(some), ]), lapply(one, `[`, kept)
    )
    one <- of(high, "perturbations", threads = 1)
    expect_identical(of(high[shuffled, ], "perturbations", threads = 2), one)
    expect_identical(of(high, "perturbations", pairs = pairs, threads = 2), one)
  }
})
