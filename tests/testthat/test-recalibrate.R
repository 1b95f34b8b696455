test_that("the null's mean and spread are found beside what is not null", {
  z <- withr::with_seed(1, c(
    stats::rnorm(18000, 0.1, 1.2), stats::rnorm(2000, 4, 2)
  ))
  efron <- empirical_null(z)
  expect_equal(efron[["mean"]], 0.1, tolerance = 0.4)
  expect_lt(abs(efron[["mean"]] - 0.1), 0.05)
  expect_lt(abs(efron[["sd"]] - 1.2), 0.05)
  median <- empirical_null(z, "median")
  expect_identical(median, c(mean = stats::median(z), sd = stats::mad(z)))
  # The median is drawn further to what is not null.
  expect_gt(abs(median[["sd"]] - 1.2), abs(efron[["sd"]] - 1.2))
  expect_equal(empirical_null(c(z, NA, Inf)), efron)
  # It is the maximum: no other is likelier.
  width <- 4.3 * exp(-0.26 * log10(length(z)))
  bounds <- stats::median(z) + c(-1, 1) * width * stats::mad(z)
  inside <- z[z > bounds[1] & z < bounds[2]]
  likelihood <- function(mean, sd) {
    sum(stats::dnorm(inside, mean, sd, log = TRUE)) -
      length(inside) * log(diff(stats::pnorm(bounds, mean, sd)))
  }
  best <- likelihood(efron[["mean"]], efron[["sd"]])
  for (step in c(-0.01, 0.01)) {
    expect_gt(best, likelihood(efron[["mean"]] + step, efron[["sd"]]))
    expect_gt(best, likelihood(efron[["mean"]], efron[["sd"]] + step))
  }
})

test_that("too few z have no null", {
  none <- c(mean = NA_real_, sd = NA_real_)
  expect_identical(empirical_null(stats::rnorm(5)), none)
  expect_identical(empirical_null(rep(0, 100)), none)
  expect_identical(empirical_null(c(NA_real_, NA_real_)), none)
})

test_that("the median's null gives causarray's p-values", {
  theirs <- utils::read.csv(
    shared_data("oracle", "causarray", "causarray_tiny", "lfc_default.csv")
  )
  theirs <- theirs[theirs$estimable == "True" & is.finite(theirs$stat), ]
  table <- tibble::tibble(
    perturbation = theirs$trt, estimate = theirs$stat,
    p_value = 2 * stats::pnorm(-abs(theirs$stat))
  )
  ours <- recalibrate(table, method = "median", shrink = TRUE)
  # Theirs are of t, with some 700 degrees of freedom.
  expect_equal(ours$p_value_recalibrated, theirs$pvalue_emp_null_adj, tolerance = 1e-3)
  expect_equal(ours$q_value_recalibrated, theirs$padj_emp_null_adj, tolerance = 1e-3)
})

test_that("a narrow null is left alone unless asked for", {
  table <- withr::with_seed(2, {
    z <- stats::rnorm(500, 0, 0.5)
    tibble::tibble(estimate = z, p_value = 2 * stats::pnorm(-abs(z)))
  })
  kept <- recalibrate(table)
  expect_lt(kept$null_sd[1], 0.7)
  z <- table$estimate - kept$null_mean
  expect_equal(kept$p_value_recalibrated, 2 * stats::pnorm(-abs(z)))
  shrunk <- recalibrate(table, shrink = TRUE)
  expect_equal(shrunk$p_value_recalibrated, 2 * stats::pnorm(-abs(z / kept$null_sd)))
})

test_that("what is no table of p-values is refused", {
  refused <- function(...) expect_error(recalibrate(...), class = "scoria_error_argument")
  refused(data.frame(p = 1))
  table <- data.frame(estimate = 1, p_value = 0.5)
  refused(table, null = 1)
  refused(table, by = "term")
  refused(table, method = "mean")
  calibration <- structure(list(), class = "scoria_calibration")
  expect_error(recalibrate(table, calibration), class = "scoria_error_argument")
})
