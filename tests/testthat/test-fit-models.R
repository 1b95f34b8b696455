# Against MASS::glm.nb() and stats::glm(), run until nothing changes any more.

skip_if_not_installed("MASS")

# Cells with a factor, a badly scaled covariate and two that are correlated.
design_cells <- function(n = 400, seed = 1) {
  withr::local_seed(seed)
  group <- factor(sample(c("a", "b", "c"), n, replace = TRUE))
  data.frame(
    group = group, batch = sample(c("one", "two"), n, replace = TRUE),
    total = exp(rnorm(n, 9, 0.5)), share = runif(n, 0, 0.2),
    dose = sample(0:3, n, replace = TRUE), Size_Factor = exp(rnorm(n, 0, 0.4))
  )
}

draw_counts <- function(cells, means = c(0.3, 2, 30, 500), theta = c(0.5, 5),
                        seed = 2) {
  withr::local_seed(seed)
  shapes <- rep(theta, length.out = length(means))
  shift <- 0.4 * (cells$group == "b") + cells$share
  y <- t(vapply(seq_along(means), function(g) {
    mu <- means[g] * cells$Size_Factor * exp(shift)
    as.double(rnbinom(nrow(cells), size = shapes[g], mu = mu))
  }, numeric(nrow(cells))))
  rownames(y) <- paste0("gene", seq_along(means))
  y
}

# The same model by R's own functions.
reference_fit <- function(y, formula, cells, family, offset) {
  cells$.y <- y
  cells$.offset <- offset
  formula <- stats::update(formula, .y ~ . + offset(.offset))
  if (family == "negbinomial") {
    MASS::glm.nb(formula, cells,
      control = stats::glm.control(epsilon = 1e-10, maxit = 200)
    )
  } else {
    stats::glm(formula, get(family, asNamespace("stats"))(), cells,
      control = stats::glm.control(epsilon = 1e-14, maxit = 100)
    )
  }
}

relative <- function(x, y) max(abs(x - y) / (1e-8 + abs(y)))

expect_as_reference <- function(model, reference, label = NULL) {
  expected <- summary(reference)$coefficients
  expect_named(coef(model), names(coef(reference)))
  kept <- !is.na(coef(reference))
  expect_identical(unname(is.na(coef(model))), unname(!kept))
  found <- summary(model)$coefficients[kept, , drop = FALSE]
  # A thousandth of a standard error is zero enough for a relative comparison.
  apart <- abs(found[, 1] - expected[, 1]) /
    pmax(abs(expected[, 1]), expected[, 2])
  expect_lt(max(apart), 1e-6, label = label)
  expect_lt(relative(found[, 2], expected[, 2]), 1e-6, label = label)
  expect_lt(relative(found[, 3], expected[, 3]), 1e-4, label = label)
  expect_equal(found[, 4], expected[, 4], tolerance = 1e-5, ignore_attr = TRUE)
  expect_equal(deviance(model), deviance(reference), tolerance = 1e-6)
  expect_identical(df.residual(model), as.integer(df.residual(reference)))
  expect_identical(nobs(model), nobs(reference))
  if (!is.na(logLik(reference))) {
    expect_equal(
      as.numeric(logLik(model)), as.numeric(logLik(reference)), tolerance = 1e-9
    )
    expect_equal(AIC(model), AIC(reference), tolerance = 1e-9)
    expect_equal(BIC(model), BIC(reference), tolerance = 1e-9)
  }
  if (inherits(reference, "negbin")) {
    expect_lt(relative(model$theta, reference$theta), 1e-5, label = label)
    expect_lt(relative(model$theta_se, reference$SE.theta), 1e-3, label = label)
  }
}

formulas <- list(
  factor = ~group, scaled = ~total, two = ~ group + share + batch,
  interaction = ~ group * share, none = ~ 0 + group, one = ~1,
  offset = ~ share + offset(log(dose + 1)), poly = ~ poly(share, 2),
  spline = ~ splines::ns(total, df = 3), nested = ~ batch / dose
)

test_that("every design and family agrees with MASS and stats", {
  cells <- design_cells()
  counts <- draw_counts(cells)
  for (family in glm_families()) for (name in names(formulas)) {
    y <- counts
    if (family == "binomial") y <- 1 * (counts > 1)
    fits <- fit_models(y, formulas[[name]], family, cell_metadata = cells)
    # Every cell has counts of the fourth gene.
    genes <- if (family == "binomial") 1:3 else 1:4
    expect_true(all(fits$status[genes] == "OK"))
    for (g in genes) {
      reference <- suppressWarnings(reference_fit(
        y[g, ], formulas[[name]], cells, family, log(cells$Size_Factor)
      ))
      expect_as_reference(
        fits$model[[g]], reference, paste(family, name, rownames(y)[g])
      )
    }
  }
})

test_that("the score is zero at the optimum of real genes", {
  x <- read_cells(shared_data("worm_l2.rds"))
  x <- x[order(-SummarizedExperiment::rowData(x)$num_cells_expressed)[1:20], ]
  cells <- as.data.frame(SummarizedExperiment::colData(x))
  counts <- as.matrix(SummarizedExperiment::assay(x, "counts"))
  formula <- ~ cao_cell_type + log(num_genes_expressed)
  fits <- fit_models(x, formula, "negbinomial")
  design <- model.matrix(formula, cells)
  for (g in which(fits$status == "OK" & is.na(fits$status_detail))) {
    model <- fits$model[[g]]
    mu <- exp(drop(design %*% coef(model)) + log(cells$Size_Factor))
    theta <- model$theta
    y <- counts[g, ]
    score <- crossprod(design, (y - mu) * theta / (theta + mu))
    expect_lt(drop(crossprod(score, vcov(model) %*% score)), 1e-12)
    shape <- sum(
      digamma(y + theta) - digamma(theta) + log(theta / (theta + mu)) +
        (mu - y) / (theta + mu)
    )
    expect_lt(abs(shape) * model$theta_se, 1e-5)
    expect_equal(
      as.numeric(logLik(model)),
      sum(dnbinom(y, size = theta, mu = mu, log = TRUE)), tolerance = 1e-10
    )
  }
})

test_that("real genes agree with MASS", {
  x <- read_cells(shared_data("worm_l2.rds"))
  expressed <- SummarizedExperiment::rowData(x)$num_cells_expressed
  x <- x[order(-expressed)[c(1, 5, 20, 50)], ]
  cells <- as.data.frame(SummarizedExperiment::colData(x))
  counts <- as.matrix(SummarizedExperiment::assay(x, "counts"))
  fits <- fit_models(x, "~ plate", "negbinomial")
  for (g in 1:4) {
    reference <- suppressWarnings(reference_fit(
      counts[g, ], ~plate, cells, "negbinomial", log(cells$Size_Factor)
    ))
    expect_as_reference(fits$model[[g]], reference)
  }
})

# Size factors -------------------------------------------------------------------

test_that("size factors enter as an offset, a covariate, a divisor or not", {
  cells <- design_cells()
  counts <- draw_counts(cells)[2, , drop = FALSE]
  sizes <- cells$Size_Factor
  fit <- function(...) {
    fit_models(counts, "~ group", "negbinomial", cell_metadata = cells, ...)$model[[1]]
  }
  refer <- function(y = counts[1, ], formula = ~group, offset = 0 * sizes) {
    reference_fit(y, formula, cells, "negbinomial", offset)
  }
  expect_as_reference(fit(), refer(offset = log(sizes)))
  expect_as_reference(fit(size_factors = "offset"), refer(offset = log(sizes)))
  expect_as_reference(fit(size_factors = "none"), refer())
  expect_as_reference(
    fit(size_factors = "divide"), refer(round(counts[1, ] / sizes))
  )
  covariate <- fit(size_factors = "covariate")
  expect_as_reference(
    covariate, refer(formula = ~ group + stats::offset(log(Size_Factor)))
  )
})

test_that("the size factors' row stands before interactions, as in monocle3", {
  cells <- design_cells()
  fits <- fit_models(draw_counts(cells), "~ group * share", "negbinomial",
    size_factors = "covariate", cell_metadata = cells
  )
  expect_named(coef(fits$model[[1]]), c(
    "(Intercept)", "groupb", "groupc", "share",
    "stats::offset(log(Size_Factor))", "groupb:share", "groupc:share"
  ))
})

# Cells that are left out ---------------------------------------------------------

test_that("na_action = \"omit\" fits the other cells, and says so", {
  cells <- design_cells()
  counts <- draw_counts(cells)
  gaps <- cells
  gaps$share[c(3, 9)] <- NA
  gaps$group[7] <- NA
  expect_message(
    fits <- fit_models(counts, "~ group + share", "negbinomial",
      cell_metadata = gaps, na_action = "omit"
    ),
    "3 of 400 cells"
  )
  rest <- fit_models(counts[, -c(3, 7, 9)], "~ group + share", "negbinomial",
    cell_metadata = cells[-c(3, 7, 9), ]
  )
  expect_identical(coefficient_table(fits)$estimate, coefficient_table(rest)$estimate)
  expect_identical(nobs(fits$model[[1]]), 397L)
  expect_error(
    fit_models(counts, "~ group + share", cell_metadata = gaps),
    class = "scoria_error_missing"
  )
})

# The same result, whatever ------------------------------------------------------

numbers <- function(fits) {
  table <- coefficient_table(fits)
  as.list(table[c("gene_id", "term", "estimate", "std_err", "test_val", "p_value")])
}

test_that("threads, order and company of genes do not matter", {
  cells <- design_cells()
  counts <- draw_counts(cells, rep(c(0.05, 1, 20), 20))
  for (family in c("negbinomial", "quasipoisson")) {
    fit <- function(y, ...) {
      numbers(fit_models(y, "~ group + share", family, cell_metadata = cells, ...))
    }
    all <- fit(counts)
    expect_identical(fit(counts, cores = 2), all)
    some <- c(40, 3, 17)
    rows <- unlist(lapply(some, function(g) which(all$gene_id == rownames(counts)[g])))
    expect_identical(fit(counts[some, ]), lapply(all, `[`, rows))
  }
})

test_that("genes that share a name are kept apart", {
  cells <- design_cells()
  counts <- draw_counts(cells)
  rownames(counts) <- c("a", "b", "a", "b")
  fits <- fit_models(counts, "~ group", cell_metadata = cells)
  expect_identical(fits$gene_id, c("a", "b", "a", "b"))
  own <- draw_counts(cells)
  apart <- fit_models(own, "~ group", cell_metadata = cells)
  expect_identical(numbers(fits)$estimate, numbers(apart)$estimate)
  table <- coefficient_table(fits)
  expect_identical(table$gene_id, rep(c("a", "b", "a", "b"), each = 3))
})

test_that("fitting leaves random numbers and counts alone", {
  cells <- design_cells()
  counts <- Matrix::Matrix(draw_counts(cells), sparse = TRUE)
  copy <- counts + 0
  withr::local_seed(1)
  before <- .Random.seed
  fit_models(counts, "~ group", size_factors = "divide", cell_metadata = cells)
  expect_identical(.Random.seed, before)
  expect_identical(counts@x, copy@x)
})
