# Whatever model.matrix() takes, in the formula or in the metadata.

cells <- withr::with_seed(7, data.frame(
  group = sample(c("b", "a", "c"), 120, replace = TRUE), share = runif(120),
  Size_Factor = 1
))
counts <- withr::with_seed(8, matrix(as.double(rpois(240, 4)), 2))
rownames(counts) <- c("g1", "g2")

# Coefficients of the first gene under a formula, and those of glm().
fitted <- function(formula, data = cells, ...) {
  coef(fit_models(counts, formula, "poisson", cell_metadata = data, ...)$model[[1]])
}

expected <- function(formula, data = cells) {
  data$count <- counts[1, ]
  if (is.character(formula)) formula <- stats::as.formula(formula)
  stats::coef(stats::glm(
    stats::update(formula, count ~ .), stats::poisson(), data,
    control = stats::glm.control(epsilon = 1e-14)
  ))
}

expect_fitted <- function(formula, data = cells) {
  expect_equal(fitted(formula, data), expected(formula, data), tolerance = 1e-6)
}

test_that("strings and formulas are the same", {
  expect_identical(fitted("~ group + share"), fitted(~ group + share))
  expect_identical(fitted("~group+share"), fitted(~ group + share))
})

test_that("types of covariates are those of model.matrix()", {
  data <- cells
  data$text <- data$group
  data$flag <- data$share > 0.5
  data$level <- factor(data$group, c("z", "c", "b", "a"))
  data$grade <- factor(data$group, c("a", "b", "c"), ordered = TRUE)
  data$whole <- seq_len(120)
  for (formula in c(
    "~ text", "~ flag", "~ level", "~ grade", "~ whole", "~ 0 + level",
    "~ -1 + text + share", "~ text:share", "~ text * flag", "~ log(whole)",
    "~ I(share^2) + share", "~ factor(flag)", "~ flag - 1", "~ (text + flag)^2"
  )) {
    expect_fitted(formula, data)
  }
})

test_that("logical covariates with one value are constant, as in glm()", {
  data <- transform(cells, same = TRUE)
  fit <- fit_models(counts, ~ share + same, "poisson", cell_metadata = data)
  expect_match(fit$status_detail[1], "collinear, no estimate: sameTRUE")
})

test_that("covariates may have the names that monocle3 loses", {
  hidden <- c(
    "x", "orig_x", "verbose", "f_expression", "clean_model", "disp_func",
    "model_formula", "model_formula_str", "expression_family", "y", "counts",
    "T", "cells", "formula"
  )
  for (name in hidden) {
    data <- stats::setNames(cells["share"], name)
    data$Size_Factor <- 1
    found <- fitted(paste("~", name), data)
    expect_identical(unname(found), unname(fitted(~share)))
    expect_named(found, c("(Intercept)", name))
  }
})

test_that("names may need backticks, and keep their spaces", {
  data <- cells
  names(data)[1:2] <- c("cell group", "n umi (%)")
  found <- fitted("~ `cell group` + `n umi (%)`", data)
  expect_identical(unname(found), unname(fitted(~ group + share)))
  expect_identical(
    names(found)[c(2, 4)], c("`cell group`b", "`n umi (%)`")
  )
})

test_that("a matrix may be a covariate", {
  data <- cells
  data$axes <- withr::with_seed(
    3, matrix(rnorm(240), 120, dimnames = list(NULL, c("one", "two")))
  )
  expect_fitted(~axes, data)
  expect_named(fitted(~axes, data), c("(Intercept)", "axesone", "axestwo"))
})

test_that("functions are found where fit_models() is called", {
  halved <- function(x) x / 2
  expect_equal(
    fitted("~ share")[[2]] * 2,
    coef(fit_models(
      counts, "~ halved(share)", "poisson", cell_metadata = cells
    )$model[[1]])[[2]],
    tolerance = 1e-8
  )
  expect_equal(fitted(~ halved(share))[[2]], fitted("~ share")[[2]] * 2)
})

test_that("splines may be the user's", {
  hinges <- function(x) cbind(low = pmin(x, 0.5), high = pmax(x - 0.5, 0))
  expect_fitted(~ hinges(share))
  expect_fitted(~ splines::ns(share, df = 3))
  expect_fitted(~ splines::bs(share, knots = 0.3))
  expect_fitted(~ poly(share, 2))
  ns <- splines::ns
  expect_fitted(~ ns(share, 2) + group)
})

test_that("offsets of the formula are added to the size factors'", {
  data <- transform(cells, exposure = share + 1, Size_Factor = share + 0.5)
  found <- fitted(~ group + offset(log(exposure)), data)
  data$count <- counts[1, ]
  both <- stats::glm(
    count ~ group + offset(log(exposure)) + offset(log(Size_Factor)),
    stats::poisson(), data
  )
  expect_equal(found, coef(both), tolerance = 1e-6)
})

test_that("contrasts are the session's", {
  withr::local_options(contrasts = c("contr.sum", "contr.poly"))
  expect_fitted(~group)
})

test_that("a variable of the caller is not a covariate", {
  weight <- runif(120)
  expect_error(fitted("~ weight"), class = "scoria_error_terms")
})

test_that("a constant model needs no covariates", {
  bare <- fit_models(counts, "~ 1", "poisson", size_factors = "none")
  expect_equal(
    vapply(bare$model, coef, 0), log(rowMeans(counts)), ignore_attr = TRUE
  )
})
