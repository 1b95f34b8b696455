# Against pscl::zeroinfl(), told to go on until nothing changes any more.

skip_if_not_installed("pscl")

cells <- withr::with_seed(31, data.frame(
  group = factor(rep(c("a", "b", "c"), 200)), dose = runif(600, 0, 2),
  Size_Factor = exp(rnorm(600, 0, 0.3))
))

# Genes with as many structural zeros as counts of zero, and more, and less.
draw <- function(genes = 6, theta = 1.5, seed = 1) {
  withr::local_seed(seed)
  n <- nrow(cells)
  counts <- t(vapply(seq_len(genes), function(g) {
    mu <- g * cells$Size_Factor * exp(0.5 * (cells$group == "b") + 0.2 * cells$dose)
    structural <- rbinom(n, 1, plogis(-1 + 0.8 * cells$dose))
    drawn <- if (is.finite(theta)) rnbinom(n, size = theta, mu = mu) else rpois(n, mu)
    as.double((1 - structural) * drawn)
  }, numeric(n)))
  rownames(counts) <- paste0("gene", seq_len(genes))
  counts
}

fit <- function(counts, formula, family = "zipoisson", ...) {
  fit_models(counts, formula, family, cell_metadata = cells, ...)
}

refer <- function(y, formula, family, offset = log(cells$Size_Factor)) {
  data <- cbind(cells, y = y, logsize = offset)
  dist <- if (family == "zipoisson") "poisson" else "negbin"
  parts <- strsplit(formula, "|", fixed = TRUE)[[1]]
  if (length(parts) == 1) parts[2] <- sub("~", "", parts)
  formula <- paste("y", parts[1], "+ offset(logsize) |", parts[2])
  pscl::zeroinfl(
    stats::as.formula(formula), data, dist = dist,
    control = pscl::zeroinfl.control(reltol = 1e-15)
  )
}

formulas <- c("~ group + dose", "~ group | dose", "~ dose | 1", "~ 1 | group", "~ 1")

expect_same_optimum <- function(model, reference, label) {
  gain <- as.numeric(logLik(model)) - as.numeric(logLik(reference))
  expect_gt(gain, -1e-6, label = label)
  if (!all(is.finite(coef(model))) || !reference$converged) {
    return(invisible())
  }
  expect_lt(abs(gain), 1e-6, label = label)
  # zeroinfl()'s second derivatives are differences.
  errors <- sqrt(diag(vcov(reference)))
  expect_lt(max(abs(coef(model) - coef(reference)) / errors), 1e-4, label = label)
  expect_lt(max(abs(sqrt(diag(vcov(model))) / errors - 1)), 1e-4, label = label)
  expect_identical(names(coef(model)), names(coef(reference)))
  if (!is.null(reference$theta)) {
    expect_equal(model$theta, reference$theta, tolerance = 1e-4)
    expect_equal(model$log_theta_se, reference$SE.logtheta[[1]], tolerance = 1e-3)
  }
}

test_that("estimates, errors, theta and likelihoods are those of zeroinfl()", {
  for (family in zero_inflated_families()) for (formula in formulas) {
    counts <- draw(theta = if (family == "zipoisson") Inf else 1.5)
    fits <- fit(counts, formula, family)
    expect_identical(unique(fits$status), "OK")
    for (g in rownames(counts)) {
      reference <- refer(counts[g, ], formula, family)
      expect_same_optimum(fits$model[[g]], reference, paste(family, formula, g))
    }
  }
})

test_that("genes with few counts have optima no lower than zeroinfl()'s", {
  counts <- withr::with_seed(8, t(vapply(1:30, function(g) {
    as.double(rpois(600, 0.04 * cells$Size_Factor) * rbinom(600, 1, 0.7))
  }, numeric(600))))
  rownames(counts) <- paste0("gene", 1:30)
  for (family in zero_inflated_families()) {
    fits <- fit(counts, "~ group + dose", family)
    expect_gt(sum(fits$status == "OK"), 28)
    for (g in which(fits$status == "OK")) {
      reference <- suppressWarnings(try(
        refer(counts[g, ], "~ group + dose", family),
        silent = TRUE
      ))
      if (inherits(reference, "try-error")) next
      gain <- logLik(fits$model[[g]])[1] - logLik(reference)[1]
      expect_gt(gain, -1e-6, label = paste(family, g))
    }
  }
})

test_that("methods agree with zeroinfl()'s", {
  counts <- draw(1, seed = 4)
  new <- cells[c(1, 77, 300), ]
  for (family in zero_inflated_families()) {
    model <- fit(counts, "~ group | dose", family)$model[[1]]
    reference <- refer(counts[1, ], "~ group | dose", family)
    for (part in c("full", "count", "zero")) {
      expect_equal(coef(model, part), coef(reference, part), tolerance = 1e-4)
      expect_equal(vcov(model, part), vcov(reference, part), tolerance = 1e-3)
    }
    interval <- confint(reference)
    expect_equal(unname(confint(model)), unname(interval), tolerance = 1e-3)
    expect_identical(rownames(confint(model)), rownames(interval))
    expect_identical(nobs(model), 600L)
    expect_equal(df.residual(model), df.residual(reference))
    expect_equal(AIC(model), AIC(reference), tolerance = 1e-8)
    expect_equal(BIC(model), BIC(reference), tolerance = 1e-8)
    expect_identical(attr(logLik(model), "df"), attr(logLik(reference), "df"))
    newdata <- cbind(new, logsize = log(new$Size_Factor))
    for (type in c("response", "count", "zero")) {
      expect_equal(
        predict(model, new, type), predict(reference, newdata, type),
        tolerance = 1e-4
      )
    }
    expect_equal(predict(model, new, "link"), log(predict(model, new, "count")))
    table <- summary(reference)$coefficients
    expect_equal(summary(model)$coefficients, table, tolerance = 1e-3)
    expect_identical(deviance(model), NA_real_)
    expect_identical(family(model)$link_zero, "logit")
  }
})

test_that("the table has the rows of both parts, and of theta", {
  counts <- draw(2, seed = 4)
  table <- coefficient_table(fit(counts, "~ dose | group", "zinegbinomial"))
  count <- c("(Intercept)", "dose", "Log(theta)")
  zero <- c("(Intercept)", "groupb", "groupc")
  expect_identical(table$term, rep(c(count, zero), 2))
  expect_identical(table$model_component, rep(rep(c("count", "zero"), each = 3), 2))
  expect_identical(table$normalized_effect[c(1, 7)], c(0, 0))
  b <- table$estimate[1:2]
  expect_equal(
    table$normalized_effect[2],
    log2((exp(sum(b)) + 0.01) / (exp(b[1]) + 0.01))
  )
  expect_true(all(is.na(table$normalized_effect[c(3:6, 9:12)])))
  expect_equal(
    table$p_value, 2 * pnorm(-abs(table$estimate / table$std_err))
  )
  poisson <- coefficient_table(fit(counts, "~ dose", "zipoisson"))
  expect_identical(poisson$term, rep(c("(Intercept)", "dose"), 4))
})

test_that("models are printed, and tidied", {
  counts <- draw(1, seed = 4)
  model <- fit(counts, "~ dose | 1", "zinegbinomial")$model[[1]]
  expect_snapshot({
    model
    summary(model)
  })
  tidied <- tidy(model, conf.int = TRUE)
  expect_identical(tidied$component, c("count", "count", "zero"))
  expect_identical(tidied$estimate, unname(coef(model)))
  expect_identical(tidied$conf.low, unname(confint(model)[, 1]))
  expect_identical(glance(model)$theta, model$theta)
  failed <- fit(0 * counts, "~ dose")$model[[1]]
  expect_output(print(summary(failed)), "FAIL")
})

test_that("size factors enter the count part alone", {
  counts <- draw(1, seed = 5)
  covariate <- fit(counts, "~ dose", size_factors = "covariate")$model[[1]]
  added <- "stats::offset(log(Size_Factor))"
  expect_identical(names(coef(covariate, "count")), c("(Intercept)", "dose", added))
  expect_identical(names(coef(covariate, "zero")), c("(Intercept)", "dose"))
  data <- cbind(cells, y = counts[1, ])
  reference <- pscl::zeroinfl(
    y ~ dose + log(Size_Factor) | dose, data,
    control = pscl::zeroinfl.control(reltol = 1e-15)
  )
  expect_equal(unname(coef(covariate)), unname(coef(reference)), tolerance = 1e-4)
  none <- fit(counts, "~ dose", size_factors = "none")$model[[1]]
  zero <- refer(counts[1, ], "~ dose", "zipoisson", offset = 0)
  expect_equal(coef(none), coef(zero), tolerance = 1e-4)
  divide <- fit(counts, "~ dose", size_factors = "divide")$model[[1]]
  rounded <- round(counts[1, ] / cells$Size_Factor)
  expect_equal(
    coef(divide), coef(refer(rounded, "~ dose", "zipoisson", 0)), tolerance = 1e-4
  )
  # An offset of the formula is in both parts, unless there is a bar.
  own <- fit(counts, "~ group + offset(dose)")$model[[1]]
  both <- pscl::zeroinfl(
    y ~ group + offset(dose + log(Size_Factor)) | group + offset(dose), data,
    control = pscl::zeroinfl.control(reltol = 1e-15)
  )
  expect_equal(unname(coef(own)), unname(coef(both)), tolerance = 1e-4)
  new <- cells[1:3, ]
  expect_equal(
    unname(predict(own, new)), unname(predict(both, new)), tolerance = 1e-4
  )
})

test_that("without zero inflation the model is the plain one, and says so", {
  counts <- withr::with_seed(1, matrix(
    as.double(4 + rbinom(600, 4, 0.5)), 1,
    dimnames = list("gene", NULL)
  ))
  counts[1, 5] <- 0
  for (family in zero_inflated_families()) {
    fits <- fit(counts, "~ dose | 1", family)
    expect_match(fits$status_detail, "^no zero inflation; no finite estimate: zero_")
    model <- fits$model[[1]]
    plain <- fit(counts, "~ dose", sub("zi", "", family))$model[[1]]
    expect_identical(coef(model, "zero"), c("(Intercept)" = -Inf))
    expect_equal(coef(model, "count"), coef(plain), tolerance = 1e-8)
    expect_equal(vcov(model, "count"), vcov(plain), tolerance = 1e-6)
    expect_equal(as.numeric(logLik(model)), as.numeric(logLik(plain)))
    expect_lt(max(predict(model, cells, "zero")), 1e-15)
    table <- coefficient_table(fits)
    last <- table[nrow(table), ]
    expect_true(is.na(last$std_err) && is.na(last$p_value) && is.na(last$test_val))
    if (family == "zinegbinomial") {
      expect_match(fits$status_detail, "Poisson limit", fixed = TRUE)
      theta <- table[table$term == "Log(theta)", ]
      expect_identical(theta$estimate, Inf)
      expect_true(is.na(theta$std_err) && is.na(theta$p_value))
    }
  }
})

test_that("of a group without counts only the product of both parts is known", {
  counts <- draw(1, theta = Inf, seed = 7)
  counts[1, cells$group == "c"] <- 0
  fits <- fit(counts, "~ group")
  model <- fits$model[[1]]
  expect_match(fits$status_detail, "no counts in 200 of 600 cells", fixed = TRUE)
  expect_identical(unname(is.na(coef(model))), rep(c(FALSE, FALSE, TRUE), 2))
  new <- data.frame(group = c("a", "c"), Size_Factor = 1)
  expect_lt(predict(model, new)[[2]], 1e-15)
  expect_identical(is.na(predict(model, new, "count")), c(`1` = FALSE, `2` = TRUE))
  expect_identical(is.na(predict(model, new, "zero")), c(`1` = FALSE, `2` = TRUE))
  # Others are fitted as if it were not there.
  rest <- cells$group != "c"
  alone <- fit_models(
    counts[, rest, drop = FALSE], "~ group", "zipoisson",
    cell_metadata = droplevels(cells[rest, ])
  )$model[[1]]
  known <- c("count_(Intercept)", "count_groupb", "zero_(Intercept)", "zero_groupb")
  expect_equal(coef(model)[known], coef(alone), tolerance = 1e-7)
  expect_equal(vcov(model)[known, known], vcov(alone), tolerance = 1e-6)
  one <- fit(counts, "~ group | 1")$model[[1]]
  expect_identical(coef(one, "count")[["groupc"]], -Inf)
  expect_identical(coef(fit(counts, "~ 1 | group")$model[[1]], "zero")[["groupc"]], Inf)
})

test_that("threads and containers make no difference", {
  counts <- draw(4, seed = 9)
  formula <- "~ group | dose"
  one <- fit(counts, formula, "zinegbinomial")
  same <- function(other) {
    expect_identical(lapply(other$model, coef), lapply(one$model, coef))
    expect_identical(lapply(other$model, vcov), lapply(one$model, vcov))
  }
  same(fit(counts, formula, "zinegbinomial", cores = 3))
  sparse <- methods::as(counts, "CsparseMatrix")
  same(fit(sparse, formula, "zinegbinomial"))
  skip_if_not_installed("SingleCellExperiment")
  object <- SingleCellExperiment::SingleCellExperiment(
    list(counts = sparse),
    colData = S4Vectors::DataFrame(cells)
  )
  same(fit_models(object, formula, "zinegbinomial"))
})

test_that("cells with NA in either part are left out of both", {
  counts <- draw(1, seed = 9)
  cells$dose[3] <- NA
  cells$group[5] <- NA
  expect_error(
    fit_models(counts, "~ group | dose", "zipoisson", cell_metadata = cells),
    class = "scoria_error_missing"
  )
  expect_message(
    omitted <- fit_models(counts, "~ group | dose", "zipoisson",
      cell_metadata = cells, na_action = "omit"
    ),
    "2 of 600"
  )
  without <- fit_models(counts[, -c(3, 5), drop = FALSE], "~ group | dose",
    "zipoisson",
    cell_metadata = cells[-c(3, 5), ]
  )
  expect_identical(coef(omitted$model[[1]]), coef(without$model[[1]]))
})

test_that("what cannot be fitted is refused, or fails", {
  counts <- draw(2, seed = 9)
  counts[2, ] <- 0
  fits <- fit(counts, "~ dose")
  expect_identical(fits$status, c("OK", "FAIL"))
  expect_identical(fits$status_detail[2], "all counts are zero")
  few <- fit(counts, "~ dose", maxit = 1)
  expect_identical(few$status_detail[1], "not converged")
  expect_identical(few$model[[1]]$theta, NA_real_)
  expect_error(fit(counts + 0.5, "~ dose"), class = "scoria_error_counts")
  for (formula in c("~ dose | group | 1", "~ dose + (1 | group)", "~ (1 | group) | 1")) {
    expect_error(fit(counts, formula), class = "scoria_error_formula")
  }
  expect_error(fit(counts, "~ dose | nope"), class = "scoria_error_terms")
  expect_error(fit(counts, "~ dose | group", "poisson"), class = "scoria_error_formula")
  expect_error(fit(counts[, 1:4], "~ dose"), class = "scoria_error")
  model <- fits$model[[1]]
  expect_error(predict(model), class = "scoria_error_newdata")
  expect_error(predict(model, data.frame(dose = 1)), class = "scoria_error_newdata")
  expect_length(predict(model, data.frame(dose = 1), "zero"), 1)
})
