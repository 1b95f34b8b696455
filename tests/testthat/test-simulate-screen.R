skip_if_not_installed("SingleCellExperiment")

counts_of <- function(x) SummarizedExperiment::assay(x, "counts")
metadata_of <- function(x) S4Vectors::metadata(x)

# log of (counts per size factor in some cells / in others), one a gene.
log_ratio <- function(x, some, others) {
  rate <- function(cells) {
    Matrix::rowSums(counts_of(x)[, cells]) / sum(x$Size_Factor[cells])
  }
  unname(log(rate(some) / rate(others)))
}

test_that("the arguments alone decide the result", {
  first <- simulate_screen(200, 30, 5, "high", seed = 3)
  set.seed(99, kind = "L'Ecuyer-CMRG")
  withr::defer(RNGkind("default", "default", "default"))
  second <- simulate_screen(200, 30, 5, "high", seed = 3, threads = 2)
  expect_identical(counts_of(first), counts_of(second))
  expect_identical(metadata_of(first), metadata_of(second))
  expect_identical(
    SummarizedExperiment::colData(first), SummarizedExperiment::colData(second)
  )
  other <- simulate_screen(200, 30, 5, "high", seed = 4)
  expect_false(identical(counts_of(first), counts_of(other)))
})

test_that("draws are the same as in earlier versions", {
  # The last bit of a logarithm may differ between platforms.
  skip_on_cran()
  sums <- Matrix::rowSums(counts_of(simulate_screen(50, 8, 2, seed = 1)))
  expect_identical(unname(sums), c(6, 8, 40, 727, 1, 874, 792, 66))
})

test_that("the user's random numbers are left alone", {
  withr::local_preserve_seed()
  suppressWarnings(RNGkind("Wichmann-Hill", "Ahrens-Dieter", "Rounding"))
  withr::defer(RNGkind("default", "default", "default"))
  set.seed(1)
  expected <- c(rnorm(1), rnorm(1), sample(1000, 2))
  set.seed(1)
  first <- rnorm(1)
  simulate_screen(20, 5, 2)
  expect_identical(c(first, rnorm(1), sample(1000, 2)), expected)

  kinds <- RNGkind()
  rm(".Random.seed", envir = globalenv())
  simulate_screen(20, 5, 2)
  expect_false(exists(".Random.seed", globalenv(), inherits = FALSE))
  expect_identical(RNGkind(), kinds)

  set.seed(1)
  before <- get(".Random.seed", globalenv())
  expect_error(simulate_screen(20, 5, 2, threads = 0))
  expect_identical(get(".Random.seed", globalenv()), before)
})

test_that("a screen of low MOI has one perturbation a cell", {
  x <- simulate_screen(500, 40, 6, control_fraction = 0.3)
  expect_s4_class(x, "SingleCellExperiment")
  expect_s4_class(counts_of(x), "dgCMatrix")
  expect_true(methods::validObject(counts_of(x)))
  expect_identical(dim(x), c(40L, 500L))
  expect_identical(rownames(x)[c(1, 40)], c("gene_001", "gene_040"))

  cells <- as.data.frame(SummarizedExperiment::colData(x))
  expect_named(cells, c(
    "Size_Factor", "guide_count", "percent.mito", "prep_batch", "perturbation"
  ))
  expect_identical(
    levels(cells$perturbation), c("control", paste0("perturb_00", 1:6))
  )
  expect_identical(sum(cells$perturbation == "control"), 150L)
  expect_lte(diff(range(table(cells$perturbation)[-1])), 1)
  expect_equal(mean(log(cells$Size_Factor)), 0)
  expect_identical(levels(cells$prep_batch), c("prep_batch_1", "prep_batch_2"))
  expect_identical(sum(cells$prep_batch == "prep_batch_1"), 250L)
  expect_gte(min(cells$guide_count), 1)
  expect_length(SingleCellExperiment::altExpNames(x), 0)

  genes <- SummarizedExperiment::rowData(x)
  expect_named(genes, c("gene_short_name", "true_mean", "true_theta"))
  expect_true(all(genes$true_mean >= 0.003 & genes$true_mean <= 30))
})

test_that("a screen of high MOI has a matrix of perturbations", {
  x <- simulate_screen(500, 40, 6, "high", guides_per_cell = 4)
  expect_null(x$perturbation)
  guides <- SingleCellExperiment::altExp(x, "perturbations")
  membership <- SummarizedExperiment::assay(guides, "membership")
  expect_s4_class(membership, "dgCMatrix")
  expect_identical(dim(membership), c(6L, 500L))
  expect_identical(colnames(membership), colnames(x))
  expect_true(all(membership@x == 1))
  expect_true(all(Matrix::colSums(membership) <= x$guide_count))
  expect_lt(abs(mean(x$guide_count) - 4), 0.6)
  expect_identical(
    SummarizedExperiment::rowData(guides)$target,
    metadata_of(x)$targets$gene_id
  )
})

test_that("the truth is listed", {
  x <- simulate_screen(100, 50, 10, effect_fraction = 0.1, knockdown = 0.9)
  truth <- metadata_of(x)$truth
  expect_named(truth, c("gene_id", "perturbation", "estimate"))
  expect_false(anyDuplicated(truth[c("gene_id", "perturbation")]) > 0)
  targets <- metadata_of(x)$targets
  expect_false(anyDuplicated(targets$gene_id) > 0)
  knocked <- merge(truth, targets)
  expect_equal(knocked$estimate, rep(log(0.1), 10))
  # Fifty of the five hundred pairs, less those that hit a target.
  expect_true(nrow(truth) > 50 && nrow(truth) <= 60)

  coefficients <- metadata_of(x)$coefficients
  expect_identical(coefficients$term[1:4], c(
    "(Intercept)", "guide_count", "percent.mito", "prep_batchprep_batch_2"
  ))
  expect_equal(
    exp(coefficients$estimate[coefficients$term == "(Intercept)"]),
    SummarizedExperiment::rowData(x)$true_mean
  )
  simulation <- metadata_of(x)$simulation
  rerun <- do.call(simulate_screen, simulation)
  expect_identical(counts_of(rerun), counts_of(x))

  quiet <- simulate_screen(100, 50, 10, effect_sd = 0, knockdown = 0)
  expect_identical(nrow(metadata_of(quiet)$truth), 0L)
})

test_that("effects can be recovered", {
  x <- simulate_screen(
    20000, 10, 4,
    effect_fraction = 0.5, mean_range = c(5, 20), covariate_sd = 0
  )
  estimates <- vapply(levels(x$perturbation)[-1], function(k) {
    log_ratio(x, x$perturbation == k, x$perturbation == "control")
  }, numeric(10))
  expected <- array(0, dim(estimates), list(rownames(x), colnames(estimates)))
  truth <- metadata_of(x)$truth
  expected[cbind(truth$gene_id, truth$perturbation)] <- truth$estimate
  # 4000 cells of mean 1 or more and dispersion below 0.4 on either side: a
  # standard error below 0.027, allowed five times.
  expect_lt(max(abs(estimates - expected)), 0.13)
})

test_that("effects of several perturbations multiply", {
  x <- simulate_screen(
    20000, 10, 2, "high",
    mean_range = c(5, 20), covariate_sd = 0, effect_fraction = 0
  )
  guides <- SingleCellExperiment::altExp(x, "perturbations")
  membership <- as.matrix(SummarizedExperiment::assay(guides, "membership"))
  fit <- vapply(seq_len(nrow(x)), function(g) {
    y <- counts_of(x)[g, ]
    model <- stats::glm(
      y ~ membership[1, ] + membership[2, ] + offset(log(x$Size_Factor)),
      family = stats::quasipoisson
    )
    unname(stats::coef(model)[-1])
  }, numeric(2))
  expected <- array(0, c(2, 10), list(rownames(guides), rownames(x)))
  truth <- metadata_of(x)$truth
  expected[cbind(truth$perturbation, truth$gene_id)] <- truth$estimate
  expect_lt(max(abs(fit - expected)), 0.1)
})

test_that("covariates have the effects that are listed", {
  x <- simulate_screen(
    20000, 6, 1,
    mean_range = c(20, 50), covariate_sd = 0.3, dispersion = c(0, 0),
    effect_sd = 0, knockdown = 0
  )
  cells <- as.data.frame(SummarizedExperiment::colData(x))
  expected <- metadata_of(x)$coefficients
  for (gene in rownames(x)) {
    cells$y <- counts_of(x)[gene, ]
    model <- stats::glm(
      y ~ guide_count + percent.mito + prep_batch + offset(log(Size_Factor)),
      family = stats::poisson, data = cells
    )
    fit <- summary(model)$coefficients
    wanted <- expected[expected$gene_id == gene, ]
    expect_identical(rownames(fit), wanted$term)
    expect_lt(max(abs(fit[, 1] - wanted$estimate) / fit[, 2]), 5)
  }
})

test_that("without dispersion the counts are Poisson", {
  x <- simulate_screen(
    5000, 4, 1,
    mean_range = c(1, 5), dispersion = c(0, 0), size_factor_sd = 0,
    covariate_sd = 0, effect_sd = 0, knockdown = 0
  )
  genes <- SummarizedExperiment::rowData(x)
  expect_identical(genes$true_theta, rep(Inf, 4))
  y <- as.matrix(counts_of(x))
  # The ratio's standard error is sqrt(2 / 5000).
  expect_lt(max(abs(apply(y, 1, var) / rowMeans(y) - 1)), 0.1)
})

test_that("the smallest screens work", {
  expect_identical(dim(simulate_screen(1, 1, 1)), c(1L, 1L))
  x <- simulate_screen(3, 2, 5, "high", guides_per_cell = 1)
  expect_identical(dim(x), c(2L, 3L))
})

test_that("arguments are checked", {
  refused <- function(...) {
    expect_error(simulate_screen(...), class = "scoria_error_argument")
  }
  refused(n_cells = 0)
  refused(n_cells = 2.5)
  refused(n_genes = NA)
  refused(n_perturbations = c(1, 2))
  refused(moi = "medium")
  refused(moi = 1)
  refused(control_fraction = 1)
  refused(guides_per_cell = 0.5)
  refused(effect_fraction = 1.1)
  refused(effect_sd = -1)
  refused(knockdown = 1)
  refused(mean_range = c(2, 1))
  refused(mean_range = c(0, 1))
  refused(dispersion = -1)
  refused(dispersion_sd = Inf)
  refused(size_factor_sd = "large")
  refused(covariate_sd = NULL)
  refused(seed = 1e10)
  refused(threads = 0)
  refused(verbose = NA)
  refused(10, 10, 2, "low", 0.1)
  expect_error(
    simulate_screen(n_cells = "many"),
    "`n_cells` must be a whole number, at least 1.*Found \"many\"",
    class = "scoria_error"
  )
})

test_that("perturbations of a program affect the same genes, alike", {
  skip_if_not_installed("SingleCellExperiment")
  screen <- simulate_screen(
    n_cells = 100, n_genes = 200, n_perturbations = 7, n_programs = 3, knockdown = 0
  )
  truth <- S4Vectors::metadata(screen)$truth
  genes <- split(truth$gene_id, truth$perturbation)
  # 7 / 3, 14 / 3 and 7, rounded.
  program <- c(1, 1, 2, 2, 2, 3, 3)
  expect_length(genes, 7)
  for (one in split(genes, program)) {
    expect_true(all(vapply(one, setequal, NA, one[[1]])))
  }
  expect_length(unique(lapply(genes, sort)), 3)
  expect_equal(sum(lengths(genes[c(1, 3, 6)])), round(200 * 3 * 0.05))
  pair <- lapply(split(truth, truth$perturbation)[3:4], function(rows) {
    rows$estimate[order(rows$gene_id)]
  })
  ratio <- pair[[1]] / pair[[2]]
  expect_true(all(ratio >= 0.5 - 1e-9 & ratio <= 2 + 1e-9))
  expect_gt(stats::sd(ratio), 0.05)
  expect_error(
    simulate_screen(n_cells = 10, n_programs = 0), "n_programs",
    class = "scoria_error_argument"
  )
})
