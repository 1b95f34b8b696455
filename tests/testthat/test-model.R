cells <- withr::with_seed(21, data.frame(
  group = rep(c("a", "b", "c"), 50), share = runif(150),
  Size_Factor = exp(rnorm(150, 0, 0.3))
))
y <- withr::with_seed(22, as.double(rnbinom(150, size = 3, mu = 6)))
apart <- replace(y, cells$group == "b", 0)

# One model, and glm()'s of the same.
model_of <- function(family = "poisson", formula = ~ group + share, count = y, ...) {
  counts <- matrix(count, 1, dimnames = list("GATA1", NULL))
  fit_models(counts, formula, family, cell_metadata = cells, ...)$model[["GATA1"]]
}

glm_of <- function(family = "poisson", formula = ~ group + share) {
  data <- transform(cells, y = y)
  formula <- stats::update(formula, y ~ . + offset(log(Size_Factor)))
  stats::glm(formula, family, data, control = list(epsilon = 1e-14))
}

test_that("models are printed", {
  expect_snapshot({
    model_of("negbinomial")
    model_of("quasipoisson")
    model_of("gaussian", ~share)
    model_of(count = 0 * y)
    model_of("negbinomial", count = apart, formula = ~group)
    summary(model_of("negbinomial", size_factors = "covariate"))
    summary(model_of("quasipoisson"))
    summary(model_of(formula = ~ share + I(2 * share)))
    summary(model_of(count = 0 * y))
  })
})

test_that("methods agree with glm()'s", {
  for (family in c("poisson", "quasipoisson", "gaussian")) {
    model <- model_of(family)
    reference <- glm_of(family)
    expect_equal(coef(model), coef(reference), tolerance = 1e-7)
    expect_equal(vcov(model), vcov(reference), tolerance = 1e-6)
    expect_equal(
      summary(model)$coefficients, summary(reference)$coefficients,
      tolerance = 1e-6
    )
    expect_equal(deviance(model), deviance(reference), tolerance = 1e-8)
    expect_identical(df.residual(model), df.residual(reference))
    expect_identical(nobs(model), 150L)
    expect_identical(family(model)$family, family)
    if (family != "quasipoisson") {
      expect_equal(
        logLik(model), logLik(reference), tolerance = 1e-8, ignore_attr = "class"
      )
      expect_equal(AIC(model), AIC(reference), tolerance = 1e-8)
      expect_equal(BIC(model), BIC(reference), tolerance = 1e-8)
    }
  }
  expect_identical(as.numeric(logLik(model_of("quasipoisson"))), NA_real_)
  expect_identical(deparse(formula(model_of())), "~group + share")
})

test_that("AIC and BIC of the negative binomial count theta, and differ", {
  model <- model_of("negbinomial")
  likelihood <- as.numeric(logLik(model))
  expect_identical(attr(logLik(model), "df"), 5L)
  expect_equal(AIC(model), -2 * likelihood + 10)
  expect_equal(BIC(model), -2 * likelihood + 5 * log(150))
})

test_that("confidence intervals are Wald's", {
  for (family in c("poisson", "quasipoisson", "negbinomial")) {
    model <- model_of(family)
    quantile <- if (family == "quasipoisson") qt(0.95, 146) else qnorm(0.95)
    half <- quantile * sqrt(diag(vcov(model)))
    interval <- confint(model, level = 0.9)
    expect_equal(interval[, 1], coef(model) - half)
    expect_equal(interval[, 2], coef(model) + half)
    expect_identical(colnames(interval), c("5 %", "95 %"))
  }
  expect_equal(
    confint(model_of()), stats::confint.default(glm_of()), tolerance = 1e-6
  )
  expect_identical(dim(confint(model_of(), "share")), c(1L, 2L))
  expect_identical(confint(model_of(), 2:3), confint(model_of())[2:3, ])
})

test_that("a model that failed has numbers of no kind", {
  model <- model_of("negbinomial", count = 0 * y)
  expect_true(all(is.na(coef(model))))
  expect_true(all(is.na(vcov(model))))
  expect_true(all(is.na(confint(model))))
  expect_true(is.na(AIC(model)))
  expect_true(is.na(deviance(model)))
  new <- data.frame(group = "a", share = 0.5, Size_Factor = 1)
  expect_true(is.na(predict(model, new, type = "response")))

  late <- model_of("negbinomial", maxit = 1)
  expect_identical(late$status, "FAIL")
  expect_true(all(is.na(coef(late))))
  expect_true(is.na(logLik(late)))
  expect_true(is.na(deviance(late)))
})

# Prediction ---------------------------------------------------------------------

test_that("predictions are glm()'s, at the rows' size factors", {
  new <- data.frame(
    group = c("c", "a", "b"), share = c(0.1, 0.5, 2), Size_Factor = c(1, 2, 0.5),
    row.names = c("one", "two", "three")
  )
  for (family in c("poisson", "gaussian")) for (type in c("link", "response")) {
    expect_equal(
      predict(model_of(family), new, type), predict(glm_of(family), new, type),
      tolerance = 1e-7
    )
  }
  link <- predict(model_of("negbinomial"), new)
  expect_identical(predict(model_of("negbinomial"), new, type = "link"), link)
  expect_equal(predict(model_of("negbinomial"), new, "response"), exp(link))
  twice <- predict(
    model_of("negbinomial"), transform(new, Size_Factor = 2 * Size_Factor)
  )
  expect_equal(unname(twice - link), rep(log(2), 3))
  bare <- new[c("group", "share")]
  expect_length(predict(model_of(size_factors = "none"), bare), 3)
  expect_length(predict(model_of(size_factors = "divide"), bare), 3)
})

test_that("splines and polynomials keep the basis of the fit", {
  new <- data.frame(share = c(0.2, 0.8), group = "a", Size_Factor = 1)
  ns <- splines::ns
  for (formula in list(
    ~ splines::ns(share, df = 3), ~ ns(share, df = 3), ~ poly(share, 2),
    ~ group * scale(share)
  )) {
    expect_equal(
      predict(model_of(formula = formula), new),
      predict(glm_of(formula = formula), new),
      tolerance = 1e-6
    )
  }
})

test_that("separated groups are predicted to have no counts", {
  model <- model_of("negbinomial", ~group, apart)
  new <- data.frame(group = c("a", "b", "c"), Size_Factor = 1)
  response <- predict(model, new, type = "response")
  expect_lt(response[[2]], 1e-8)
  expect_equal(log(response[[1]]), coef(model)[["(Intercept)"]])
})

test_that("what cannot be predicted is refused, or NA", {
  model <- model_of()
  new <- data.frame(group = "a", share = 0.5, Size_Factor = 1)
  refused <- function(...) {
    expect_error(predict(model, ...), class = "scoria_error_newdata")
  }
  refused()
  refused(as.list(new))
  refused(new["share"])
  refused(new[c("group", "share")])
  expect_identical(unname(predict(model, transform(new, share = NA))), NA_real_)
  expect_error(predict(model, transform(new, group = "z")))
})

# broom --------------------------------------------------------------------------

test_that("tidy() has broom's columns", {
  tidied <- tidy(model_of())
  expect_named(tidied, c("term", "estimate", "std.error", "statistic", "p.value"))
  reference <- summary(glm_of())$coefficients
  expect_identical(tidied$term, rownames(reference))
  expect_equal(
    as.matrix(tidied[-1]), reference, tolerance = 1e-6, ignore_attr = TRUE
  )
  wide <- tidy(model_of(), conf.int = TRUE, conf.level = 0.9)
  expect_equal(wide$conf.low, unname(confint(model_of(), level = 0.9)[, 1]))
  expect_equal(wide$conf.high, unname(confint(model_of(), level = 0.9)[, 2]))
})

test_that("glance() has one row, whatever became of the gene", {
  columns <- c(
    "theta", "dispersion", "logLik", "AIC", "BIC", "deviance", "df.residual",
    "nobs", "iterations"
  )
  model <- model_of("negbinomial")
  row <- glance(model)
  expect_named(row, columns)
  expect_identical(row$theta, model$theta)
  expect_equal(row$BIC, BIC(model))
  for (other in list(
    model_of("quasipoisson"), model_of("gaussian"), model_of(count = 0 * y),
    model_of("negbinomial", ~group, apart)
  )) {
    expect_named(glance(other), columns)
    expect_identical(nrow(glance(other)), 1L)
    expect_false(any(vapply(glance(other), is.nan, NA)))
  }
})

test_that("models share what genes have in common", {
  counts <- matrix(rep(y, each = 200), 200)
  few <- fit_models(counts[1:10, ], ~ group + share, cell_metadata = cells)
  many <- fit_models(counts, ~ group + share, cell_metadata = cells)
  expect_identical(many$model[[1]]$shared, many$model[[200]]$shared)
  each <- (length(serialize(many$model, NULL)) - length(serialize(few$model, NULL))) / 190
  expect_lt(each, 3000)
})
