# Against DESeq2 and glmGamPoi. Each is held to a tolerance where it looks for the
# same optimum; where it stops short of it, its adjusted profile likelihood must
# be below ours.

# The adjusted profile log-likelihood at alpha, with the coefficients of
# stats::glm(), up to a constant; exact for alpha near zero too.
adjusted_profile <- function(y, design, size_factors, alpha) {
  family <- if (alpha > 1e-7) MASS::negative.binomial(1 / alpha) else poisson()
  fit <- suppressWarnings(glm.fit(
    design, y, offset = log(size_factors), family = family,
    control = glm.control(1e-14, 200)
  ))
  mu <- fit$fitted.values
  rising <- vapply(y[y > 1], function(n) {
    sum(log1p(alpha * seq_len(n - 1)))
  }, 0)
  cumulant <- if (alpha > 0) log1p(alpha * mu) / alpha else mu
  weights <- mu / (1 + alpha * mu)
  sum(rising) + sum(y * log(mu) - cumulant - y * log1p(alpha * mu)) -
    0.5 * as.numeric(determinant(crossprod(design, weights * design))$modulus)
}

# How much higher ours is than theirs, gene by gene.
advantage <- function(counts, design, size_factors, ours, theirs) {
  vapply(seq_len(nrow(counts)), function(g) {
    at <- function(alpha) {
      adjusted_profile(counts[g, ], design, size_factors, alpha)
    }
    at(ours[g]) - at(theirs[g])
  }, 0)
}

ratio <- function(x, y) abs(log(x / y))

screen_of <- function(...) {
  skip_if_not_installed("SingleCellExperiment")
  screen <- simulate_screen(...)
  list(
    screen = screen,
    cells = as.data.frame(SummarizedExperiment::colData(screen)),
    counts = as.matrix(SummarizedExperiment::assay(screen, "counts"))
  )
}

papalexi <- function(cells = 1500, genes = 60) {
  skip_if_not_installed("SingleCellExperiment")
  x <- read_cells(shared_data("papalexi_lowmoi.rds"))
  withr::local_seed(1)
  x <- x[, sample(ncol(x), cells)]
  counts <- as.matrix(SummarizedExperiment::assay(x, "counts"))
  kept <- sample(which(rowSums(counts > 0) > 30), genes)
  list(
    screen = x[kept, ], counts = counts[kept, ],
    cells = as.data.frame(SummarizedExperiment::colData(x))
  )
}

deseq_of <- function(data, formula) {
  counts <- data$counts
  storage.mode(counts) <- "integer"
  x <- suppressMessages(
    DESeq2::DESeqDataSetFromMatrix(counts, data$cells, formula)
  )
  DESeq2::sizeFactors(x) <- data$cells$Size_Factor
  x
}

deseq_columns <- function(x) as.list(S4Vectors::mcols(x))

# DESeq2 -------------------------------------------------------------------------

test_that("where no mean is near DESeq2's floor, its whole pipeline agrees", {
  skip_if_not_installed("DESeq2")
  data <- screen_of(
    n_cells = 300, n_genes = 300, mean_range = c(5, 500), seed = 4
  )
  ours <- estimate_dispersions(data$screen, ~ prep_batch + guide_count)
  theirs <- deseq_of(data, ~ prep_batch + guide_count)
  theirs <- suppressMessages(DESeq2::estimateDispersions(theirs))
  columns <- deseq_columns(theirs)
  expect_equal(ours$mean, columns$baseMean, tolerance = 1e-12)
  # Its line searches stop early, at means that are fitted for another alpha.
  expect_lt(max(ratio(ours$dispersion_gene, columns$dispGeneEst)), 0.05)
  expect_lt(median(ratio(ours$dispersion_gene, columns$dispGeneEst)), 1e-3)
  expect_lt(max(ratio(ours$dispersion_trend, columns$dispFit)), 0.01)
  expect_lt(max(ratio(ours$dispersion, columns$dispersion)), 0.02)
  expect_identical(ours$outlier, columns$dispOutlier)
  expect_equal(
    attr(ours, "prior_variance"),
    attr(DESeq2::dispersionFunction(theirs), "dispPriorVar"),
    tolerance = 0.01
  )
})

test_that("from the same gene-wise dispersions, every later step is DESeq2's", {
  skip_if_not_installed("DESeq2")
  data <- screen_of(
    n_cells = 400, n_genes = 300, mean_range = c(0.3, 300),
    dispersion = c(0.3, 0.3), dispersion_sd = 0.9, seed = 5
  )
  ours <- estimate_dispersions(data$screen, ~ prep_batch)
  theirs <- deseq_of(data, ~ prep_batch)
  theirs <- DESeq2::estimateDispersionsGeneEst(
    theirs, minmu = 1e-6, quiet = TRUE
  )
  # At least DESeq2's least.
  S4Vectors::mcols(theirs)$dispGeneEst <- pmax(ours$dispersion_gene, 1e-8)
  theirs <- DESeq2::estimateDispersionsFit(theirs, quiet = TRUE)
  theirs <- DESeq2::estimateDispersionsMAP(theirs, quiet = TRUE)
  of <- function(what) attr(DESeq2::dispersionFunction(theirs), what)
  # It stops its rounds where coefficients change by a thousandth.
  expect_equal(
    unname(attr(ours, "trend")$coefficients), unname(of("coefficients")),
    tolerance = 1e-4
  )
  expect_equal(
    attr(ours, "residual_variance"), of("varLogDispEsts"), tolerance = 1e-4
  )
  expect_equal(
    attr(ours, "prior_variance"), of("dispPriorVar"), tolerance = 1e-4
  )
  # The formula, and not its least value.
  expect_gt(attr(ours, "prior_variance"), 0.3)
  columns <- deseq_columns(theirs)
  expect_lt(max(ratio(ours$dispersion_trend, columns$dispFit)), 1e-4)
  expect_identical(ours$outlier, columns$dispOutlier)
  expect_gt(sum(ours$outlier), 0)
  shrunken <- !ours$outlier
  apart <- ratio(ours$dispersion, columns$dispMAP)[shrunken]
  expect_lt(max(apart), 0.05)
  expect_lt(median(apart), 1e-3)
  expect_equal(
    ours$dispersion[ours$outlier], ours$dispersion_gene[ours$outlier]
  )
})

test_that("DESeq2's adjusted likelihood is never above ours", {
  skip_if_not_installed("DESeq2")
  skip_if_not_installed("MASS")
  data <- screen_of(
    n_cells = 400, n_genes = 80, mean_range = c(0.02, 30), seed = 6
  )
  ours <- estimate_dispersions(data$screen, ~ prep_batch)
  theirs <- deseq_of(data, ~ prep_batch)
  columns <- lapply(c(0.5, 1e-6), function(minmu) {
    found <- DESeq2::estimateDispersionsGeneEst(
      theirs, minmu = minmu, quiet = TRUE
    )
    deseq_columns(found)$dispGeneEst
  })
  design <- model.matrix(~ prep_batch, data$cells)
  sizes <- data$cells$Size_Factor
  counted <- ours$status == "ok"
  above <- lapply(columns, function(dispersions) {
    advantage(
      data$counts[counted, ], design, sizes, ours$dispersion_gene[counted],
      dispersions[counted]
    )
  })
  expect_gt(min(above[[1]]), -1e-8)
  expect_gt(min(above[[2]]), -1e-8)
  # With its floor of 0.5 under means, low ones have nothing to do with the data.
  low <- ours$mean[counted] < 0.3
  expect_gt(median(above[[1]][low]), 0.1)
  # Without, it is near but where its search stalls at alpha near zero.
  stalled <- columns[[2]][counted] < 1e-6 & ours$dispersion_gene[counted] > 0
  expect_lt(max(above[[2]][!stalled]), 0.01)
})

test_that("where dispersions grow with the mean, the trend is DESeq2's local", {
  skip_if_not_installed("DESeq2")
  withr::local_seed(3)
  means <- exp(runif(200, 0, 6))
  counts <- t(vapply(means, function(mean) {
    rnbinom(60, mu = mean, size = 1 / (0.05 * mean^0.4))
  }, numeric(60)))
  cells <- data.frame(Size_Factor = rep(1, 60))
  expect_message(
    ours <- estimate_dispersions(counts, cell_metadata = cells),
    "local regression"
  )
  expect_identical(attr(ours, "trend")$type, "local")
  expect_length(attr(ours, "trend")$coefficients, 0)
  used <- ours$dispersion_gene > 1e-6
  x <- log(ours$mean[used])
  y <- log(ours$dispersion_gene[used])
  by_lm <- vapply(x, function(place) {
    distance <- abs(x - place)
    reach <- sort(distance)[floor(0.7 * length(x))]
    weights <- exp(x) * pmax(1 - (distance / reach)^3, 0)^3
    coef(lm(y ~ I(x - place) + I((x - place)^2), weights = weights))[[1]]
  }, 0)
  # A chord between neighbours of 128 places.
  expect_lt(max(abs(log(ours$dispersion_trend[used]) - by_lm)), 2e-3)

  theirs <- deseq_of(list(counts = counts, cells = cells), ~ 1)
  theirs <- DESeq2::estimateDispersionsGeneEst(theirs, quiet = TRUE)
  S4Vectors::mcols(theirs)$dispGeneEst <- pmax(ours$dispersion_gene, 1e-8)
  theirs <- suppressMessages(
    DESeq2::estimateDispersionsFit(theirs, fitType = "local", quiet = TRUE)
  )
  # locfit() interpolates between a handful of places.
  apart <- ratio(ours$dispersion_trend, deseq_columns(theirs)$dispFit)
  expect_lt(max(apart[used]), 0.03)
})

# glmGamPoi ----------------------------------------------------------------------

gam_poi <- function(data, formula) {
  glmGamPoi::glm_gp(
    data$counts, formula, data$cells, size_factors = data$cells$Size_Factor,
    overdispersion_shrinkage = FALSE, on_disk = FALSE
  )$overdispersions
}

# glmGamPoi holds the means of a first fit, so that its adjusted profile does not
# tell how means follow alpha. Where the likelihood is flat this moves alpha far,
# but its likelihood little: by less than `most`.
expect_as_gam_poi <- function(data, formula, most) {
  ours <- estimate_dispersions(data$screen, formula)
  theirs <- gam_poi(data, formula)
  ok <- ours$status == "ok"
  above <- advantage(
    data$counts[ok, ], model.matrix(formula, data$cells),
    data$cells$Size_Factor, ours$dispersion_gene[ok], theirs[ok]
  )
  expect_gt(min(above), -1e-8)
  expect_lt(max(above), most)
  both <- ok & ours$dispersion_gene > 1e-3
  expect_lt(median(ratio(ours$dispersion_gene, theirs)[both]), 0.005)
}

test_that("gene-wise dispersions are glmGamPoi's, simulated screens", {
  skip_if_not_installed("glmGamPoi")
  skip_if_not_installed("MASS")
  for (seed in 1:2) {
    data <- screen_of(
      n_cells = 500, n_genes = 80, mean_range = c(0.05, 100), seed = seed
    )
    expect_as_gam_poi(data, ~ prep_batch, 2e-4)
    expect_as_gam_poi(data, ~ prep_batch + percent.mito + guide_count, 0.05)
  }
})

test_that("gene-wise dispersions are glmGamPoi's, real cells", {
  skip_if_not_installed("glmGamPoi")
  skip_if_not_installed("MASS")
  expect_as_gam_poi(papalexi(), ~ bio_rep, 0.01)
})

test_that("real cells have the trend and prior that DESeq2 makes of them", {
  skip_if_not_installed("DESeq2")
  data <- papalexi(genes = 200)
  ours <- suppressMessages(estimate_dispersions(data$screen, ~ bio_rep))
  own <- ours$dispersion_gene
  used <- own > 1e-6
  expect_identical(attr(ours, "trend")$type, "parametric")
  trend <- DESeq2:::parametricDispersionFit(ours$mean[used], own[used])
  expect_equal(ours$dispersion_trend, trend(ours$mean), tolerance = 1e-3)
  scatter <- mad(log(own / ours$dispersion_trend)[used])^2
  expect_equal(attr(ours, "residual_variance"), scatter, tolerance = 1e-12)
  freedom <- ncol(data$counts) - nlevels(factor(data$cells$bio_rep))
  expect_equal(
    attr(ours, "prior_variance"), max(scatter - trigamma(freedom / 2), 0.25),
    tolerance = 1e-12
  )
  # Shrunken ones are between their own and the trend.
  low <- pmin(own, ours$dispersion_trend) * (1 - 1e-6)
  high <- pmax(own, ours$dispersion_trend) * (1 + 1e-6)
  expect_true(all(ours$dispersion >= low & ours$dispersion <= high))
})

# Hard input ---------------------------------------------------------------------

hard_cells <- data.frame(
  group = rep(c("a", "b", "c"), 40), dose = rep(1:6, 20),
  Size_Factor = rep(c(0.5, 1, 2, 1), 30)
)

hard_counts <- function() {
  withr::local_seed(8)
  means <- c(rep(2, 5), exp(runif(35, -1, 4)))
  y <- t(vapply(means, function(mean) {
    mu <- mean * hard_cells$Size_Factor
    as.double(rnbinom(120, mu = mu, size = 1 / (0.1 + 0.5 / mean)))
  }, numeric(120)))
  y[1, ] <- 0
  y[2, hard_cells$group == "b"] <- 0
  y[3, ] <- 3
  y[4, ] <- replace(numeric(120), 17, 900)
  y[5, ] <- replace(numeric(120), c(7, 60), c(3, 8))
  rownames(y) <- c(
    "none", "separated", "even", "single", "rare", rep("gene", 35)
  )
  y
}

test_that("each hard gene has an answer, or a status and NA", {
  y <- hard_counts()
  found <- estimate_dispersions(y, ~ group, cell_metadata = hard_cells)
  expect_named(found, c(
    "gene_id", "mean", "dispersion_gene", "dispersion_trend", "dispersion",
    "outlier", "status"
  ))
  expect_identical(found$gene_id, rownames(y))
  expect_identical(found$status, rep(c("all zero", "ok"), c(1, 39)))
  expect_identical(found$mean[1], 0)
  expect_true(all(is.na(found[1, 3:5])))
  expect_false(found$outlier[1])
  expect_true(all(found$dispersion[-1] > 0))
  # As if the empty group were not there.
  rest <- hard_cells$group != "b"
  alone <- estimate_dispersions(
    y[, rest], ~ group, cell_metadata = hard_cells[rest, ]
  )
  expect_equal(found$dispersion_gene[2], alone$dispersion_gene[2],
    tolerance = 1e-6
  )
  expect_identical(found$dispersion_gene[3], 0)
  expect_gt(found$dispersion_gene[4], 10)
  expect_true(found$outlier[4])
  expect_identical(found$dispersion[4], found$dispersion_gene[4])
})

test_that("with hardly more counts than coefficients the prior has to do", {
  y <- hard_counts()
  withr::local_seed(2)
  cells <- data.frame(matrix(rnorm(120 * 7), 120), Size_Factor = 1)
  found <- estimate_dispersions(
    y, ~ X1 + X2 + X3 + X4 + X5 + X6 + X7, cell_metadata = cells
  )
  expect_identical(found$dispersion_gene[5], NA_real_)
  expect_identical(found$status[5], "ok")
  expect_gt(found$dispersion[5], found$dispersion_trend[5])
})

test_that("threads and progress change nothing", {
  y <- hard_counts()
  run <- function(...) {
    estimate_dispersions(y, "~ group", cell_metadata = hard_cells, ...)
  }
  expect_identical(run(threads = 2), run())
  expect_identical(run(progress = TRUE), run())
})

test_that("cells with missing covariates are an error, or left out", {
  y <- hard_counts()
  lacking <- replace(hard_cells, cbind(1:10, 1), NA)
  expect_error(
    estimate_dispersions(y, ~ group, cell_metadata = lacking),
    class = "scoria_error_missing"
  )
  expect_message(
    omitted <- estimate_dispersions(
      y, ~ group, cell_metadata = lacking, na_action = "omit"
    ),
    "10 of 120 cells"
  )
  expect_equal(omitted, estimate_dispersions(
    y[, -(1:10)], ~ group, cell_metadata = lacking[-(1:10), ]
  ))
})

test_that("what cannot be estimated is an error with a class", {
  y <- hard_counts()
  estimate <- function(counts = y, ..., cells = hard_cells) {
    estimate_dispersions(counts, ..., cell_metadata = cells)
  }
  expect_error(estimate(y / 2), class = "scoria_error_counts")
  expect_error(estimate(-y), class = "scoria_error_counts")
  expect_error(estimate(y, ~ grupo), class = "scoria_error_terms")
  expect_error(estimate(y, group ~ dose), class = "scoria_error_formula")
  expect_error(estimate(y, method = "x"), class = "scoria_error_argument")
  expect_error(estimate(y, threads = 0), class = "scoria_error_argument")
  expect_error(estimate(y, na_action = "x"), class = "scoria_error_argument")
  expect_error(estimate(list()), class = "scoria_error_source")
  without <- matrix(2, 4, 120)
  expect_error(estimate(without), class = "scoria_error_dispersions")
})

test_that("few genes have the mean of their dispersions for a trend", {
  # That falls with a falling mean.
  y <- hard_counts()[c(2, 4), ]
  expect_message(
    found <- estimate_dispersions(y, cell_metadata = hard_cells), "their mean"
  )
  expect_identical(attr(found, "trend")$type, "mean")
  expect_equal(found$dispersion_trend, rep(mean(found$dispersion_gene), 2))
  expect_named(attr(found, "trend")$coefficients, "mean")
})
