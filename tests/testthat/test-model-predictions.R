cells <- withr::with_seed(51, data.frame(
  group = rep(c("a", "b", "c"), 50), share = runif(150), kept = rep(c(TRUE, FALSE), 75),
  Size_Factor = exp(rnorm(150, 0, 0.3))
))
counts <- withr::with_seed(52, matrix(
  rnbinom(600, size = 3, mu = 6), 4, dimnames = list(paste0("gene", 1:4), NULL)
))
counts[2, cells$group == "b"] <- 0
counts[3, ] <- 0
new <- data.frame(
  group = c("c", "a", "b"), share = c(0.1, 0.5, 2), kept = c(TRUE, TRUE, FALSE),
  Size_Factor = c(1, 2, 0.5), row.names = c("one", "two", "three")
)

fit <- function(formula = ~ group + share, family = "poisson", ...) {
  y <- if (family == "binomial") 1 * (counts > 4) else counts
  fit_models(y, formula, family, cell_metadata = cells, ...)
}

refused <- function(...) {
  expect_error(model_predictions(...), class = "scoria_error_argument")
}

test_that("predictions are those of each model", {
  for (family in glm_families()) for (type in c("link", "response")) {
    fits <- fit(family = family)
    predicted <- model_predictions(fits, new, type)
    expect_type(predicted, "double")
    expect_identical(dimnames(predicted), list(rownames(counts), rownames(new)))
    each <- t(vapply(fits$model, predict, double(3), newdata = new, type = type))
    expect_equal(predicted, each, tolerance = 1e-14)
    expect_true(all(is.na(predicted[3, ])))
    expect_false(anyNA(predicted[-3, ]))
  }
})

test_that("they are stats::glm()'s", {
  for (family in c("poisson", "quasipoisson", "gaussian", "binomial")) {
    y <- if (family == "binomial") 1 * (counts[1, ] > 4) else counts[1, ]
    glm <- stats::glm(
      y ~ poly(share, 2) * group + offset(log(Size_Factor)), family, cbind(cells, y),
      control = list(epsilon = 1e-14)
    )
    fits <- fit(~ poly(share, 2) * group, family)
    for (type in c("link", "response")) {
      expect_equal(
        model_predictions(fits, new, type)[1, ], predict(glm, new, type = type),
        tolerance = 1e-6
      )
    }
  }
})

test_that("splines keep the basis of the fit, offsets are added, aliased columns are not", {
  skip_if_not_installed("splines")
  formula <- ~ splines::ns(share, 3) + group + I(2 * (group == "b")) + offset(share)
  glm <- suppressWarnings(stats::glm(
    y ~ splines::ns(share, 3) + group + offset(share) + offset(log(Size_Factor)), poisson,
    cbind(cells, y = counts[1, ]), control = list(epsilon = 1e-14)
  ))
  expect_equal(
    model_predictions(fit(formula), new)[1, ], predict(glm, new, type = "response"),
    tolerance = 1e-6
  )
})

test_that("a formula without variables needs size factors alone", {
  expect_equal(
    unname(model_predictions(fit(~1), new["Size_Factor"])[1, ]),
    new$Size_Factor * sum(counts[1, ]) / sum(cells$Size_Factor), tolerance = 1e-7
  )
  plain <- model_predictions(fit(~1, size_factors = "none"), new)
  expect_equal(unname(plain[1, ]), rep(mean(counts[1, ]), 3), tolerance = 1e-7)
  expect_identical(colnames(plain), rownames(new))
})

test_that("size factors enter as in the fit", {
  covariate <- fit(~share, "negbinomial", size_factors = "covariate")
  slope <- coef(covariate$model[[1]])[["stats::offset(log(Size_Factor))"]]
  twice <- transform(new, Size_Factor = 2 * Size_Factor)
  ratio <- model_predictions(covariate, twice)[1, ] / model_predictions(covariate, new)[1, ]
  expect_equal(unname(ratio), rep(2^slope, 3))
  bare <- new[c("group", "share")]
  expect_identical(dim(model_predictions(fit(size_factors = "none"), bare)), c(4L, 3L))
  expect_identical(dim(model_predictions(fit(size_factors = "divide"), bare)), c(4L, 3L))
})

test_that("separated groups are predicted to have no counts", {
  predicted <- model_predictions(fit(~group), new)
  expect_lt(predicted[2, "three"], 1e-8)
  expect_gt(predicted[2, "one"], 1)
})

test_that("a missing value makes its column NA", {
  for (name in c("group", "share", "Size_Factor")) {
    gaps <- new
    gaps[2, name] <- NA
    predicted <- model_predictions(fit(), gaps)
    expect_true(all(is.na(predicted[, 2])))
    expect_false(anyNA(predicted[-3, -2]))
  }
  expect_true(all(is.na(model_predictions(fit(), transform(new, share = NA)))))
})

test_that("tibbles and DataFrames are data frames", {
  as_tibble <- model_predictions(fit(), tibble::as_tibble(new))
  expect_identical(colnames(as_tibble), c("1", "2", "3"))
  expect_equal(unname(as_tibble), unname(model_predictions(fit(), new)))
  expect_identical(dim(model_predictions(fit(), new[0, ])), c(4L, 0L))
  expect_identical(dim(model_predictions(fit()[0, ], new)), c(0L, 3L))
  skip_if_not_installed("S4Vectors")
  frame <- S4Vectors::DataFrame(new)
  frame$group <- S4Vectors::Rle(frame$group)
  expect_identical(model_predictions(fit(), frame), model_predictions(fit(), new))
})

test_that("rows of several calls may be put together", {
  both <- rbind(fit(~share)[1:2, ], fit(~group)[c(4, 1), ])
  one <- model_predictions(fit(~share), new)
  other <- model_predictions(fit(~group), new)
  expect_equal(model_predictions(both, new), rbind(one[1:2, ], other[c(4, 1), ]))
})

test_that("what is wrong for all genes is an error", {
  expect_snapshot(error = TRUE, {
    model_predictions(fit(), as.list(new))
    model_predictions(fit(), new[c("group", "share")])
    model_predictions(fit(), new["Size_Factor"])
    model_predictions(fit(), transform(new, group = "z"))
    model_predictions(fit(), transform(new, share = "0.1"))
    model_predictions(fit(), transform(new, Size_Factor = 0))
    model_predictions(fit(), new, "prob")
    model_predictions(fit(), new, "zero")
    model_predictions(new, new)
  })
  refused(fit(), as.list(new))
  refused(fit(), new["share"])
  refused(fit(), transform(new, group = "z"))
  refused(fit(), new, "prob")
  refused(fit(), new, "count")
  expect_error(model_predictions(fit(), new["share"]), class = "scoria_error_newdata")
})

test_that("models of zero inflation and mixed models predict by their methods", {
  inflated <- fit(~ group | share, "zinegbinomial")
  for (type in c("response", "count", "zero", "link")) {
    predicted <- model_predictions(inflated, new, type)
    expect_identical(dimnames(predicted), list(rownames(counts), rownames(new)))
    each <- predict(inflated$model$gene1, new, type = type)
    expect_equal(predicted["gene1", ], each, ignore_attr = TRUE)
    expect_true(all(is.na(predicted["gene3", ])))
  }
  mixed <- fit("~ share + (1 | group)", "mixed-negbinomial")
  predicted <- model_predictions(mixed, new)
  expect_equal(predicted["gene1", ], predict(mixed$model$gene1, new, type = "response"))
  expect_true(all(is.na(predicted["gene3", ])))
})
