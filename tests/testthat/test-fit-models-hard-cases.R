# Genes and designs at which a fit can go wrong.

skip_if_not_installed("MASS")

cells <- withr::with_seed(4, data.frame(
  group = factor(rep(c("a", "b", "c"), c(60, 50, 40))), share = runif(150),
  Size_Factor = exp(rnorm(150, 0, 0.3))
))

fit_one <- function(y, formula = ~group, family = "negbinomial", ...) {
  counts <- matrix(as.double(y), 1, dimnames = list("gene", NULL))
  fit_models(counts, formula, family, cell_metadata = cells, ...)
}

refer <- function(y, formula, family = stats::poisson(), data = cells) {
  formula <- stats::update(formula, y ~ . + offset(log(data$Size_Factor)))
  environment(formula) <- environment()
  stats::glm(formula, family, data,
    control = stats::glm.control(epsilon = 1e-14, maxit = 100)
  )
}

test_that("a gene without counts fails, whatever the family", {
  for (family in glm_families()) {
    fits <- fit_one(numeric(150), family = family)
    expect_identical(fits$status, "FAIL")
    expect_identical(fits$status_detail, "all counts are zero")
    table <- coefficient_table(fits)
    expect_identical(nrow(table), 1L)
    numbers <- table[c("estimate", "std_err", "test_val", "p_value", "q_value")]
    expect_true(all(is.na(numbers)))
    expect_true(is.na(logLik(fits$model[[1]])))
  }
})

test_that("one count in one cell has a mean, and no more", {
  y <- replace(numeric(150), 70, 1)
  for (family in c("negbinomial", "poisson", "quasipoisson", "binomial")) {
    fits <- fit_one(y, ~1, family)
    expect_identical(fits$status, "OK")
    binomial <- stats::binomial()
    same <- if (family == "binomial") binomial else stats::poisson()
    expect_equal(
      coef(fits$model[[1]]), coef(refer(y, ~1, same)), tolerance = 1e-6
    )
  }
  # In the group that is the reference's alternative: both others are separated.
  fits <- fit_one(y)
  expect_match(fits$status_detail, "^separated, no finite estimate: ")
})

test_that("a group without counts is at minus infinity; the others are fitted", {
  y <- withr::with_seed(1, rnbinom(150, size = 2, mu = 3))
  y[cells$group == "b"] <- 0
  for (family in c("negbinomial", "poisson", "quasipoisson", "binomial")) {
    counts <- if (family == "binomial") 1 * (y > 0) else y
    fits <- fit_one(counts, family = family)
    model <- fits$model[[1]]
    expect_match(fits$status_detail, "separated, no finite estimate: groupb")
    expect_identical(coef(model)[["groupb"]], -Inf)
    table <- coefficient_table(fits)
    apart <- table[table$term == "groupb", ]
    expect_true(is.na(apart$std_err) && is.na(apart$p_value))
    # The other groups do not know of it.
    others <- cells$group != "b"
    rest <- fit_models(
      matrix(counts[others], 1), ~group, family,
      cell_metadata = droplevels(cells[others, ])
    )$model[[1]]
    kept <- c("(Intercept)", "groupc")
    expect_equal(coef(model)[kept], coef(rest)[kept], tolerance = 1e-6)
    if (family == "poisson") {
      expect_equal(vcov(model)[kept, kept], vcov(rest)[kept, kept], tolerance = 1e-6)
    }
    means <- predict(
      model, data.frame(group = c("a", "b", "c"), Size_Factor = 1), "response"
    )
    expect_lt(means[2], 1e-8)
  }
})

test_that("a reference group without counts makes the others infinite", {
  y <- withr::with_seed(1, rnbinom(150, size = 2, mu = 3))
  y[cells$group == "a"] <- 0
  model <- fit_one(y)$model[[1]]
  expect_identical(
    unname(coef(model)), c(-Inf, Inf, Inf)
  )
  expect_true(all(is.na(vcov(model))))
  means <- predict(
    model, data.frame(group = c("a", "b", "c"), Size_Factor = 1), "response"
  )
  poisson <- fit_one(y, ~ 0 + group)$model[[1]]
  expect_equal(unname(log(means[2:3])), unname(coef(poisson)[2:3]), tolerance = 1e-6)
})

test_that("collinear columns are NA and named, as in glm()", {
  cells$twice <- 2 * cells$share
  cells$in_c <- as.numeric(cells$group == "c")
  y <- withr::with_seed(1, rnbinom(150, size = 2, mu = 3))
  for (family in c("negbinomial", "poisson", "gaussian")) {
    fits <- fit_models(
      matrix(y, 1), ~ group + share + twice + in_c, family, cell_metadata = cells
    )
    expect_identical(fits$status, "OK")
    expect_match(
      fits$status_detail, "collinear, no estimate: twice, in_c", fixed = TRUE
    )
    table <- coefficient_table(fits)
    expect_identical(table$term[is.na(table$estimate)], c("twice", "in_c"))
    full <- fit_models(
      matrix(y, 1), ~ group + share, family, cell_metadata = cells
    )$model[[1]]
    model <- fits$model[[1]]
    expect_equal(coef(model, complete = FALSE), coef(full), tolerance = 1e-10)
    expect_identical(dim(vcov(model)), c(6L, 6L))
    expect_identical(dim(vcov(model, complete = FALSE)), c(4L, 4L))
    expect_identical(df.residual(model), 146L)
  }
})

test_that("counts may be huge", {
  y <- withr::with_seed(1, rnbinom(150, size = 3, mu = 2e6))
  model <- fit_one(y)$model[[1]]
  reference <- MASS::glm.nb(
    y ~ group + offset(log(Size_Factor)), cells,
    control = stats::glm.control(epsilon = 1e-10, maxit = 200)
  )
  expect_equal(coef(model), coef(reference), tolerance = 1e-6)
  expect_equal(model$theta, reference$theta, tolerance = 1e-5)
  # Terms of 1e9 cancel: nine digits of the likelihood are left.
  expect_equal(
    as.numeric(logLik(model)), as.numeric(logLik(reference)), tolerance = 1e-8
  )
})

test_that("without overdispersion theta is Inf, and the fit is Poisson", {
  y <- rep(c(2, 3), 75)
  fits <- fit_one(y)
  model <- fits$model[[1]]
  expect_identical(model$theta, Inf)
  expect_match(fits$status_detail, "theta = Inf")
  poisson <- refer(y, ~group)
  expect_equal(coef(model), coef(poisson), tolerance = 1e-8)
  expect_equal(vcov(model), vcov(poisson), tolerance = 1e-6)
  expect_equal(as.numeric(logLik(model)), as.numeric(logLik(poisson)))
  expect_equal(deviance(model), deviance(poisson))
  expect_equal(family(model)$variance(3), 3)
})

test_that("theta may be next to zero", {
  y <- replace(numeric(150), c(10, 70), c(1e5, 1))
  fits <- fit_one(y, ~1)
  model <- fits$model[[1]]
  expect_identical(fits$status, "OK")
  expect_lt(model$theta, 0.01)
  mu <- exp(coef(model)) * cells$Size_Factor
  profile <- function(theta) sum(dnbinom(y, size = theta, mu = mu, log = TRUE))
  expect_equal(as.numeric(logLik(model)), profile(model$theta), tolerance = 1e-9)
  expect_lt(profile(model$theta * 1.001), profile(model$theta))
  expect_lt(profile(model$theta / 1.001), profile(model$theta))
})

test_that("a hard gene does not touch its neighbours", {
  y <- withr::with_seed(1, matrix(as.double(rnbinom(600, size = 2, mu = 3)), 4))
  hard <- rbind(0, y[1, ], replace(numeric(150), 70, 1), y[2:4, ], 0)
  alone <- fit_models(y, ~group, "negbinomial", cell_metadata = cells)
  among <- fit_models(hard, ~group, "negbinomial", cell_metadata = cells)
  expect_identical(among$status[c(1, 7)], c("FAIL", "FAIL"))
  expect_identical(
    lapply(unname(among$model[c(2, 4:6)]), coef), lapply(unname(alone$model), coef)
  )
})

test_that("what a group without counts could have told is not made up", {
  # Nothing says how the mean changes with `share` where all counts are zero, nor
  # by how much the change elsewhere differs from that.
  y <- withr::with_seed(2, rpois(150, exp(1 + cells$share)))
  y[cells$group == "a"] <- 0
  for (family in c("negbinomial", "poisson", "quasipoisson")) {
    model <- fit_one(y, ~ group * share, family)$model[[1]]
    estimates <- coef(model)
    expect_false(any(is.finite(estimates)))
    # Not even the intercept: no cell of the group is at `share = 0`.
    expect_true(all(is.na(estimates[c("(Intercept)", "share")])))
    expect_true(all(is.na(diag(vcov(model)))))
    # Where there are counts the fit is that of these cells alone.
    rest <- cells$group != "a"
    alone <- refer(y[rest], ~ group * share, data = droplevels(cells[rest, ]))
    expect_equal(
      unname(predict(model, cells[rest, ], "response")),
      unname(fitted(alone)),
      tolerance = if (family == "negbinomial") 0.1 else 1e-8
    )
  }
})

test_that("of two empty groups neither is said to be above the other", {
  y <- withr::with_seed(3, rpois(150, 3)) * (cells$group == "c")
  for (family in c("negbinomial", "poisson", "binomial")) {
    counts <- if (family == "binomial") 1 * (y > 2) else y
    estimates <- unname(coef(fit_one(counts, family = family)$model[[1]]))
    expect_identical(estimates, c(-Inf, NA, Inf))
  }
})
