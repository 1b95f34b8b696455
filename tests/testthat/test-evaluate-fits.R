cells <- withr::with_seed(31, data.frame(
  group = rep(c("a", "b", "c"), 100), share = runif(300),
  Size_Factor = exp(rnorm(300, 0, 0.4))
))
y <- withr::with_seed(32, rnbinom(300, size = 3, mu = 4 * cells$Size_Factor))
counts <- rbind(
  usual = y, rare = as.double(y > 8), apart = replace(y, cells$group == "b", 0),
  none = 0 * y, even = rep(c(2, 3, 2), 100)
)
measures <- c("null_deviance", "df_null", "logLik", "AIC", "BIC", "deviance", "df_residual")
poisson_families <- c("poisson", "quasipoisson", "gaussian", "binomial")

fit <- function(family, formula = ~ group + share, ..., y = counts) {
  if (family == "binomial") y <- 1 * (y > 0)
  fit_models(y, formula, family, cell_metadata = cells, ...)
}

glm_of <- function(family, gene, formula = ~ group + share, offset = log(cells$Size_Factor)) {
  y <- counts[gene, ]
  if (family == "binomial") y <- 1 * (y > 0)
  data <- cbind(cells, .y = y, .offset = offset)
  stats::glm(
    stats::update(formula, .y ~ . + offset(.offset)), family, data,
    control = list(epsilon = 1e-14, maxit = 100)
  )
}

expect_row_of_glm <- function(row, glm) {
  expect_equal(row$null_deviance, glm$null.deviance, tolerance = 1e-10)
  expect_identical(row$df_null, glm$df.null)
  expect_equal(row$deviance, glm$deviance, tolerance = 1e-8)
  expect_identical(row$df_residual, glm$df.residual)
  if (glm$family$family == "quasipoisson") {
    expect_identical(c(row$logLik, row$AIC, row$BIC), rep(NA_real_, 3))
  } else {
    expect_equal(row$logLik, as.numeric(logLik(glm)), tolerance = 1e-8)
    expect_equal(row$AIC, AIC(glm), tolerance = 1e-8)
    expect_equal(row$BIC, BIC(glm), tolerance = 1e-8)
  }
}

test_that("the columns are those of the genes, monocle3's, and ours", {
  genes <- data.frame(gene_short_name = letters[1:5], listed = I(as.list(1:5)))
  fits <- fit("poisson", gene_metadata = genes)
  table <- evaluate_fits(fits)
  expect_s3_class(table, "tbl_df")
  expect_named(table, c(
    "gene_short_name", "num_cells_expressed", "gene_id", "status", measures, "status_detail"
  ))
  expect_identical(table$gene_id, rownames(counts))
  types <- c("double", "integer", "double", "double", "double", "double", "integer")
  expect_identical(unname(vapply(table[measures], typeof, "")), types)
  expect_identical(unname(vapply(evaluate_fits(fits[0, ])[measures], typeof, "")), types)
  expect_true(all(is.na(table[4, measures])))
  expect_identical(table$status_detail, fits$status_detail)
})

test_that("numbers are stats::glm()'s", {
  for (family in poisson_families) for (formula in c(~ group + share, ~ 0 + group, ~1)) {
    table <- evaluate_fits(fit(family, formula))
    for (gene in if (family == "binomial") "usual" else c("usual", "rare", "even")) {
      expect_row_of_glm(table[table$gene_id == gene, ], glm_of(family, gene, formula))
    }
  }
})

test_that("the null model has the offset that the model has", {
  shifted <- ~ group + offset(2 * share)
  for (family in poisson_families) {
    table <- evaluate_fits(fit(family, shifted))
    expect_row_of_glm(table[1, ], glm_of(family, "usual", shifted))
    table <- evaluate_fits(fit(family, size_factors = "none"))
    expect_row_of_glm(table[1, ], glm_of(family, "usual", offset = 0))
    table <- evaluate_fits(fit(family, size_factors = "covariate"))
    expect_row_of_glm(table[1, ], glm_of(
      family, "usual", ~ group + share + log(Size_Factor), 0
    ))
  }
  table <- evaluate_fits(fit("poisson", size_factors = "divide"))
  divided <- round(y / cells$Size_Factor)
  glm <- stats::glm(divided ~ group + share, poisson, cbind(cells, divided))
  expect_row_of_glm(table[1, ], glm)
})

test_that("a formula whose columns contain the constant has no intercept all the same", {
  table <- evaluate_fits(fit("poisson", ~ 0 + group))
  expect_identical(table$df_null[1], 300L)
  expect_identical(table$df_residual[1], 297L)
})

test_that("separated genes have the null deviance of all cells", {
  for (family in c("poisson", "quasipoisson")) {
    table <- evaluate_fits(fit(family))
    null <- glm_of(family, "apart", ~1)
    expect_match(table$status_detail[3], "^separated")
    expect_equal(table$null_deviance[3], null$deviance, tolerance = 1e-10)
  }
})

test_that("the negative binomial's are MASS::glm.nb()'s, at its theta", {
  skip_if_not_installed("MASS")
  for (mode in c("offset", "covariate")) {
    fits <- fit("negbinomial", size_factors = mode)
    table <- evaluate_fits(fits)
    data <- cbind(cells, y = counts["usual", ])
    formula <- if (mode == "offset") {
      y ~ group + share + offset(log(Size_Factor))
    } else {
      y ~ group + share + log(Size_Factor)
    }
    glm <- MASS::glm.nb(formula, data, control = glm.control(epsilon = 1e-12, maxit = 100))
    row <- table[1, ]
    expect_equal(row$null_deviance, glm$null.deviance, tolerance = 1e-5)
    expect_identical(row$df_null, glm$df.null)
    expect_equal(row$logLik, as.numeric(logLik(glm)), tolerance = 1e-8)
    expect_equal(row$AIC, AIC(glm), tolerance = 1e-8)
    expect_equal(row$BIC, BIC(glm), tolerance = 1e-8)
    expect_equal(row$deviance, glm$deviance, tolerance = 1e-5)
    expect_identical(row$df_residual, glm$df.residual)
    # At our theta, to all digits.
    family <- MASS::negative.binomial(fits$model$usual$theta)
    offset <- if (mode == "offset") log(cells$Size_Factor) else rep(0, 300)
    null <- stats::glm(y ~ 1, family, offset = offset, control = list(epsilon = 1e-14))
    expect_equal(row$null_deviance, null$deviance, tolerance = 1e-10)
  }
})

test_that("in the Poisson limit, the null deviance is Poisson's", {
  fits <- fit("negbinomial")
  expect_identical(fits$model$even$theta, Inf)
  table <- evaluate_fits(fits)
  expect_equal(
    table$null_deviance[5], glm_of("poisson", "even")$null.deviance, tolerance = 1e-10
  )
})

test_that("rows of a table, and columns of our names, are no obstacle", {
  genes <- data.frame(AIC = 1:5, q_value = 5:1)
  fits <- fit("poisson", gene_metadata = genes)
  expect_warning(table <- evaluate_fits(fits), class = "scoria_warning_renamed")
  expect_identical(table$rowData.AIC, 1:5)
  expect_type(table$AIC, "double")
  fits <- fit("poisson")
  expect_identical(evaluate_fits(fits[3:1, ]), evaluate_fits(fits)[3:1, ])
})

test_that("what is no table of models is refused", {
  for (wrong in list(NULL, 1, data.frame(a = 1), coefficient_table(fit("poisson"))["model"])) {
    expect_error(evaluate_fits(wrong), class = "scoria_error_model_table")
  }
})

# Other classes of models ------------------------------------------------------------

test_that("models of zero inflation and mixed models are evaluated by their methods", {
  inflated <- fit("zinegbinomial", ~ group | share)
  mixed <- fit("mixed-negbinomial", "~ share + (1 | group)")
  for (fits in list(inflated, mixed)) {
    table <- evaluate_fits(fits)
    model <- fits$model$usual
    here <- table[table$gene_id == "usual", ]
    expect_identical(here$null_deviance, NA_real_)
    expect_identical(here$logLik, as.numeric(logLik(model)))
    expect_identical(here$AIC, AIC(model))
    expect_equal(here$BIC, -2 * here$logLik + log(300) * attr(logLik(model), "df"))
    expect_equal(here$deviance, deviance(model))
    expect_equal(here$df_residual, df.residual(model))
    expect_true(all(is.na(table[table$gene_id == "none", measures])))
  }
  expect_equal(unique(evaluate_fits(inflated)$df_null[1]), 298)
  expect_true(all(is.na(evaluate_fits(mixed)$df_null)))
})
