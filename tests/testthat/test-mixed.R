# Mixed models against lme4's glmer.nb(), asked to converge further than it does
# by default.

simulated <- function(seed, n = 500, slopes = 0, crossed = 0, nested = 0) {
  withr::with_seed(seed, {
    cells <- data.frame(
      donor = factor(sample(letters[1:12], n, TRUE)),
      lane = factor(sample(6, n, TRUE)), x = rnorm(n), t = rbinom(n, 1, 0.4),
      Size_Factor = exp(rnorm(n, 0, 0.3))
    )
    cells$batch <- paste0(cells$donor, sample(3, n, TRUE))
    eta <- 0.7 + 0.3 * cells$x - 0.4 * cells$t + log(cells$Size_Factor) +
      rnorm(12, 0, 0.5)[cells$donor] +
      rnorm(12, 0, slopes)[cells$donor] * cells$x +
      rnorm(6, 0, crossed)[cells$lane] +
      rnorm(36, 0, nested)[factor(cells$batch)]
    cells$y <- as.double(rnbinom(n, size = 2, mu = exp(eta)))
    cells
  })
}

mixed <- function(cells, formula, ...) {
  counts <- matrix(cells$y, 1, dimnames = list("GATA1", NULL))
  fit_models(counts, formula, "mixed-negbinomial", cell_metadata = cells, ...)
}

lme4s <- function(cells, formula) {
  formula <- stats::update(stats::as.formula(formula), y ~ .)
  # glmer.nb() evaluates its call anew, where formulas come from.
  environment(formula) <- environment()
  control <- lme4::glmerControl(
    optimizer = "nloptwrap", tolPwrss = 1e-13,
    optCtrl = list(xtol_abs = 1e-9, ftol_abs = 1e-12, maxeval = 2000)
  )
  suppressWarnings(suppressMessages(lme4::glmer.nb(
    formula, data = cells, nAGQ = 0, control = control,
    offset = log(Size_Factor)
  )))
}

# lme4's table of variances with our columns.
lme4s_variances <- function(model) {
  table <- as.data.frame(lme4::VarCorr(model))
  pair <- !is.na(table$var2)
  tibble::tibble(
    group = sub("[.]1$", "", table$grp), term = table$var1,
    other = table$var2, covariance = table$vcov,
    std_dev = ifelse(pair, NA_real_, table$sdcor),
    correlation = ifelse(pair, table$sdcor, NA_real_)
  )
}

# Its search for theta ends within 5e-5: 1e-4 is left of standard errors and standard
# deviations, twice that of their squares.
expect_lme4s <- function(model, reference) {
  expect_gt(as.numeric(logLik(model) - logLik(reference)), -1e-6)
  expect_equal(
    logLik(model), logLik(reference), tolerance = 1e-8, ignore_attr = "class"
  )
  expect_equal(coef(model), lme4::fixef(reference), tolerance = 1e-4)
  expect_equal(
    vcov(model), as.matrix(stats::vcov(reference)),
    tolerance = 4e-4, ignore_attr = TRUE
  )
  expect_equal(
    model$theta, lme4::getME(reference, "glmer.nb.theta"), tolerance = 1e-4
  )
  expect_equal(
    variances(model), lme4s_variances(reference), tolerance = 4e-4
  )
  expect_equal(
    deviance(model), unname(reference@devcomp$cmp["dev"]), tolerance = 1e-8
  )
  expect_equal(AIC(model), AIC(reference), tolerance = 1e-8)
  expect_equal(BIC(model), BIC(reference), tolerance = 1e-8)
  expect_equal(df.residual(model), df.residual(reference))
  expect_equal(nobs(model), stats::nobs(reference))
}

test_that("every kind of random effects is lme4's", {
  skip_if_not_installed("lme4")
  expect_agree <- function(cells, formula) {
    expect_lme4s(mixed(cells, formula)$model[[1]], lme4s(cells, formula))
  }
  for (seed in 1:2) {
    expect_agree(simulated(seed), "~ x + t + (1 | donor)")
    expect_agree(simulated(seed, slopes = 0.4), "~ x + t + (x | donor)")
    expect_agree(simulated(seed, slopes = 0.4), "~ x + t + (x || donor)")
    expect_agree(simulated(seed, slopes = 0.4), "~ x + t + (0 + x | donor)")
    expect_agree(
      simulated(seed, crossed = 0.5), "~ t + (1 | donor) + (1 | lane)"
    )
    expect_agree(
      simulated(seed, 700, nested = 0.5), "~ x + (1 | donor/batch)"
    )
    expect_agree(
      simulated(seed, 700, nested = 0.5), "~ x + (1 | donor:lane)"
    )
    expect_agree(
      simulated(seed, 800, slopes = 0.4, crossed = 0.5),
      "~ x + (x | donor) + (1 | lane)"
    )
  }
})

test_that("factors may have random effects", {
  skip_if_not_installed("lme4")
  cells <- simulated(5, 800, crossed = 0.5)
  cells$arm <- factor(ifelse(cells$t == 1, "treated", "control"))
  for (formula in c("~ arm + (0 + arm | donor)", "~ arm + (arm | donor)")) {
    model <- mixed(cells, formula)$model[[1]]
    reference <- lme4s(cells, formula)
    expect_gt(as.numeric(logLik(model) - logLik(reference)), -1e-6)
    expect_identical(
      variances(model)[1:3], lme4s_variances(reference)[1:3]
    )
  }
})

test_that("the ways to write a formula are the same", {
  cells <- simulated(6, nested = 0.4)
  one <- function(formula) {
    model <- mixed(cells, formula)$model[[1]]
    list(coef(model), variances(model)[c("covariance", "std_dev")])
  }
  expect_identical(one("~ x + (x || donor)"), one(~ x + (1 | donor) + (0 + x | donor)))
  expect_identical(
    one("~ (1 | donor/lane) + x"), one(~ x + (1 | donor) + (1 | lane:donor))
  )
  expect_identical(one("~ (1 | donor)"), one(~ 1 + (1 | factor(donor))))
  expect_identical(one("~ x + ((1 | donor) + (1 | lane))"),
    one("~ x + (1 | donor) + (1 | lane)"))
  expect_identical(one("~ (1 | donor) - 1 + x"), one("~ 0 + x + (1 | donor)"))
})

test_that("terms with more levels come first, as in lme4", {
  cells <- simulated(7, crossed = 0.4)
  model <- mixed(cells, "~ (1 | lane) + (1 | donor)")$model[[1]]
  expect_identical(variances(model)$group, c("donor", "lane"))
  model <- mixed(cells, "~ (1 | lane/donor)")$model[[1]]
  expect_identical(variances(model)$group, c("donor:lane", "lane"))
})

test_that("no variance and no overdispersion are said", {
  cells <- simulated(8)
  cells$y <- withr::with_seed(1, as.double(rpois(500, 4 * cells$Size_Factor)))
  fits <- mixed(cells, "~ x + (1 | donor)")
  expect_identical(fits$status, "OK")
  expect_identical(
    fits$status_detail,
    "Poisson limit: no overdispersion (theta = Inf); singular: a variance of random effects is zero, or a correlation one (donor)" # nolint: line_length
  )
  model <- fits$model[[1]]
  expect_identical(model$theta, Inf)
  expect_identical(variances(model)$std_dev, 0)
  reference <- stats::glm(
    y ~ x + offset(log(Size_Factor)), stats::poisson(), cells,
    control = list(epsilon = 1e-14)
  )
  expect_equal(coef(model), stats::coef(reference), tolerance = 1e-6)
  expect_equal(vcov(model), stats::vcov(reference), tolerance = 1e-6)
  expect_equal(
    as.numeric(logLik(model)), as.numeric(logLik(reference)), tolerance = 1e-9
  )
})

test_that("genes that fail say why, and stand in the table", {
  cells <- simulated(9)
  counts <- rbind(none = 0, some = cells$y)
  fits <- fit_models(
    counts, "~ x + (x | donor)", "mixed-negbinomial", cell_metadata = cells
  )
  expect_identical(fits$status, c("FAIL", "OK"))
  expect_identical(fits$status_detail[1], "all counts are zero")
  expect_true(all(is.na(variances(fits$model$none)$covariance)))
  expect_identical(as.numeric(logLik(fits$model$none)), NA_real_)
  table <- coefficient_table(fits)
  expect_identical(table$term, c(NA, "(Intercept)", "x"))
  expect_identical(table$model_component, c(NA, "count", "count"))
  b <- coef(fits$model$some)
  expect_equal(
    table$normalized_effect[3],
    log2((exp(sum(b)) + 0.01) / (exp(b[[1]]) + 0.01))
  )
  expect_equal(table$p_value[3], 2 * pnorm(-abs(table$test_val[3])))
  expect_snapshot(fits$model$none)
})

test_that("a separated group is told, and the rest is fitted", {
  cells <- simulated(10)
  cells$y[cells$t == 1] <- 0
  fits <- mixed(cells, "~ x + t + (1 | donor)")
  expect_identical(fits$status_detail, "separated, no finite estimate: t")
  rest <- mixed(cells[cells$t == 0, ], "~ x + (1 | donor)")$model[[1]]
  expect_equal(coef(fits$model[[1]])[["t"]], -Inf)
  expect_equal(coef(fits$model[[1]])[1:2], coef(rest), tolerance = 1e-5)
  expect_equal(variances(fits$model[[1]]), variances(rest), tolerance = 1e-4)
})

test_that("models are printed, tidied and predicted from", {
  cells <- simulated(11, slopes = 0.4)
  model <- mixed(cells, "~ x + t + (x | donor) + (1 | lane)")$model[[1]]
  expect_snapshot({
    model
    summary(model)
  })
  rows <- tidy(model, conf.int = TRUE)
  expect_identical(rows$effect, rep("fixed", 3))
  expect_identical(rows$component, rep("count", 3))
  expect_identical(rows$estimate, unname(coef(model)))
  expect_equal(rows$conf.low, unname(confint(model)[, 1]))
  expect_identical(glance(model)$theta, model$theta)
  expect_equal(family(model)$variance(2), 2 + 4 / model$theta)

  new <- data.frame(x = c(0, 1), t = 1, Size_Factor = c(1, 2))
  b <- coef(model)
  link <- b[[1]] + b[["x"]] * new$x + b[["t"]] + log(new$Size_Factor)
  expect_equal(unname(predict(model, new)), link)
  expect_equal(unname(predict(model, new, "response")), exp(link))
  expect_error(predict(model, new[-1]), class = "scoria_error_newdata")
})

test_that("size factors enter as in every family", {
  cells <- simulated(12)
  term <- "stats::offset(log(Size_Factor))"
  model <- mixed(cells, "~ x + (1 | donor)", size_factors = "covariate")$model[[1]]
  expect_identical(names(coef(model))[3], term)
  none <- mixed(cells, "~ x + (1 | donor)", size_factors = "none")$model[[1]]
  same <- mixed(transform(cells, Size_Factor = 1), "~ x + (1 | donor)")$model[[1]]
  expect_identical(coef(none), coef(same))
})

test_that("threads change nothing", {
  cells <- simulated(13)
  counts <- t(vapply(1:6, function(g) c(cells$y[-(1:g)], cells$y[1:g]), cells$y))
  rownames(counts) <- letters[1:6]
  fit <- function(cores) {
    coefficient_table(fit_models(
      counts, "~ x + (x | donor)", "mixed-negbinomial",
      cell_metadata = cells, cores = cores
    ))$estimate
  }
  expect_identical(fit(1), fit(2))
})

test_that("cells without a value of a grouping factor are left out, or an error", {
  cells <- simulated(14)
  part <- cells[-(1:20), ]
  cells$donor[1:20] <- NA
  expect_error(
    mixed(cells, "~ x + (1 | donor)"), class = "scoria_error_missing"
  )
  expect_message(
    omitted <- mixed(cells, "~ x + (1 | donor)", na_action = "omit"),
    "20 of 500 cells"
  )
  expect_identical(
    coef(omitted$model[[1]]), coef(mixed(part, "~ x + (1 | donor)")$model[[1]])
  )
})

test_that("random effects that can't be fitted are errors", {
  cells <- simulated(15)
  cells$each <- seq_len(500)
  cells$same <- "a"
  cells$almost <- pmax(cells$each, 3)
  expect_snapshot(error = TRUE, {
    mixed(cells, "~ x")
    mixed(cells, "~ x + (1 | each)")
    mixed(cells, "~ x + (1 | same)")
    mixed(cells, "~ x + (x | almost)")
    mixed(cells, "~ x + (1 | nobody)")
    mixed(cells, "~ x + 1 | donor")
    mixed(cells, "~ x * (1 | donor)")
    mixed(cells, "~ x + (0 | donor)")
    mixed(cells, "~ x + (x + I(2 * x) | donor)")
    mixed(cells, "~ x + (1 | log(donor))")
    mixed(cells, "~ x + (1 | (donor/lane):t)")
  })
  classes <- list(
    formula = "~ x", levels = "~ x + (1 | each)", levels = "~ x + (1 | same)",
    levels = "~ x + (x | almost)", terms = "~ x + (1 | nobody)",
    formula = "~ x * (1 | donor)"
  )
  for (k in seq_along(classes)) {
    expect_error(
      mixed(cells, classes[[k]]),
      class = paste0("scoria_error_", names(classes)[k])
    )
  }
})

test_that("other families name the one for random effects", {
  cells <- simulated(16)
  counts <- matrix(cells$y, 1, dimnames = list("a", NULL))
  for (family in glm_families()) {
    expect_error(
      fit_models(counts, "~ x + (1 | donor)", family, cell_metadata = cells),
      "mixed-negbinomial",
      class = "scoria_error_formula"
    )
  }
})

# The Laplace approximation by its definition, of a model with random intercepts.
laplace <- function(y, X, Z, offset, sd, theta) {
  A <- cbind(Z * sd, X)
  q <- ncol(Z)
  penalty <- rep(1:0, c(q, ncol(X)))
  at <- c(rep(0, q), log(mean(y)), rep(0, ncol(X) - 1))
  for (iteration in 1:100) {
    mu <- exp(drop(A %*% at) + offset)
    observed <- mu * (1 + y / theta) / (1 + mu / theta)^2
    slope <- crossprod(A, (y - mu) / (1 + mu / theta)) - penalty * at
    step <- solve(crossprod(A, observed * A) + diag(penalty), slope)
    at <- at + drop(step)
    if (max(abs(step)) < 1e-12) break
  }
  mu <- exp(drop(A %*% at) + offset)
  Z <- A[, seq_len(q)]
  M <- crossprod(Z, mu / (1 + mu / theta) * Z) + diag(q)
  sum(stats::dnbinom(y, size = theta, mu = mu, log = TRUE)) -
    sum((penalty * at)^2) / 2 - as.numeric(determinant(M)$modulus) / 2
}

# lme4 stops its inner iterations early, and so reports likelihoods that are off by up
# to 2e-3: what counts is the likelihood at its estimates.
test_that("monocle3's likelihood is never above ours", {
  skip_if_not_installed("SingleCellExperiment")
  oracle <- read_oracle(oracle_names("^a549_mixednegbinomial_"))
  x <- oracle_cells(oracle)
  fits <- fit_models(x, oracle$formula, "mixed-negbinomial")
  expect_identical(fits$status, rep("OK", 24))
  details <- oracle$details[match(fits$gene_id, oracle$details$gene_id), ]
  cells <- as.data.frame(SummarizedExperiment::colData(x))
  counts <- as.matrix(SummarizedExperiment::assay(x, "counts"))
  likelihood <- function(gene, sd, theta) {
    laplace(
      counts[gene, ], stats::model.matrix(~log_dose, cells),
      stats::model.matrix(~ 0 + factor(replicate), cells),
      log(cells$Size_Factor), sd, theta
    )
  }
  # Its column has the parameter of Lambda.
  theirs <- mapply(likelihood, 1:24, details$dispersion, details$theta)
  ours <- unname(vapply(fits$model, function(m) as.numeric(logLik(m)), 0))
  expect_gt(min(ours - theirs), -1e-6)

  theta <- vapply(fits$model, `[[`, 0, "theta")
  sd <- vapply(fits$model, function(m) variances(m)$std_dev, 0)
  inside <- which(is.finite(theta))
  expect_equal(
    ours[inside], unname(mapply(likelihood, inside, sd[inside], theta[inside])),
    tolerance = 1e-10
  )

  evaluated <- oracle$fits[match(fits$gene_id, oracle$fits$gene_id), ]
  expect_equal(
    unname(vapply(fits$model, df.residual, 0)), as.double(evaluated$df_residual)
  )
  both <- merge(
    oracle$table, coefficient_table(fits)[c("gene_id", "term", "estimate", "std_err")],
    by = c("gene_id", "term"), suffixes = c(".m", "")
  )
  near <- both$gene_id %in% fits$gene_id[ours - theirs < 1e-5]
  expect_gte(sum(near), 18)
  apart <- abs(both$estimate - both$estimate.m) / both$std_err
  expect_lt(max(apart[near]), 0.01)
  expect_lt(max(abs(both$std_err / both$std_err.m - 1)[near]), 0.01)
})
