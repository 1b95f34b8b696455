cells <- withr::with_seed(41, data.frame(
  group = rep(c("a", "b", "c"), 100), share = runif(300), dose = rnorm(300),
  Size_Factor = exp(rnorm(300, 0, 0.4)), row.names = paste0("cell", 1:300)
))
draw <- function(mu, seed) withr::with_seed(seed, rnbinom(300, size = 3, mu = mu))
counts <- rbind(
  changed = draw(4 * cells$Size_Factor * exp(0.5 * cells$dose), 1),
  steady = draw(4 * cells$Size_Factor, 2),
  apart = replace(draw(4 * cells$Size_Factor, 3), cells$group == "b", 0),
  none = 0
)
colnames(counts) <- rownames(cells)

fit <- function(formula, family = "poisson", y = counts, ..., data = cells) {
  if (family == "binomial") y <- 1 * (y > 3)
  fit_models(y, formula, family, cell_metadata = data, ...)
}

refused <- function(..., class = "scoria_error_compare") {
  expect_error(compare_models(...), class = class)
}

# Tests ------------------------------------------------------------------------------

glm_of <- function(formula, family, gene) {
  data <- cbind(cells, .y = counts[gene, ])
  if (family == "binomial") data$.y <- 1 * (data$.y > 3)
  stats::glm(
    stats::update(formula, .y ~ . + offset(log(Size_Factor))), family, data,
    control = list(epsilon = 1e-14, maxit = 100)
  )
}

test_that("likelihood ratios are stats::anova()'s", {
  for (family in c("poisson", "binomial")) {
    table <- compare_models(fit(~ share + dose + group, family), fit(~share, family))
    for (gene in c("changed", "steady")) {
      reference <- stats::anova(
        glm_of(~share, family, gene), glm_of(~ share + dose + group, family, gene),
        test = "LRT"
      )
      row <- table[table$gene_id == gene, ]
      expect_equal(row$statistic, reference$Deviance[2], tolerance = 1e-8)
      expect_identical(row$df, 3L)
      expect_equal(row$p_value, reference$`Pr(>Chi)`[2], tolerance = 1e-7)
    }
  }
})

test_that("F tests are stats::anova()'s", {
  for (family in c("quasipoisson", "gaussian")) {
    table <- compare_models(
      fit(~ share + dose + group, family), fit(~share, family), test = "F"
    )
    for (gene in c("changed", "steady")) {
      reference <- stats::anova(
        glm_of(~share, family, gene), glm_of(~ share + dose + group, family, gene),
        test = "F"
      )
      row <- table[table$gene_id == gene, ]
      expect_equal(row$statistic, reference$F[2], tolerance = 1e-7)
      expect_identical(row$df, 3L)
      expect_equal(row$p_value, reference$`Pr(>F)`[2], tolerance = 1e-6)
    }
  }
})

test_that("gaussian models are compared by their likelihood as well", {
  table <- compare_models(fit(~dose, "gaussian"), fit(~1, "gaussian"))
  one <- glm_of(~dose, "gaussian", "changed")
  other <- glm_of(~1, "gaussian", "changed")
  statistic <- 2 * as.numeric(logLik(one) - logLik(other))
  expect_equal(table$statistic[1], statistic, tolerance = 1e-8)
  expect_equal(table$p_value[1], pchisq(statistic, 1, lower.tail = FALSE), tolerance = 1e-6)
})

test_that("the negative binomial's are MASS's, each model at its own theta", {
  skip_if_not_installed("MASS")
  table <- compare_models(fit(~ share + dose, "negbinomial"), fit(~share, "negbinomial"))
  for (gene in 1:2) {
    data <- cbind(cells, y = counts[gene, ])
    control <- stats::glm.control(epsilon = 1e-12, maxit = 100)
    full <- MASS::glm.nb(y ~ share + dose + offset(log(Size_Factor)), data, control = control)
    reduced <- MASS::glm.nb(y ~ share + offset(log(Size_Factor)), data, control = control)
    reference <- stats::anova(reduced, full)
    expect_equal(table$statistic[gene], reference$`LR stat.`[2], tolerance = 1e-6)
    expect_equal(table$p_value[gene], reference$`Pr(Chi)`[2], tolerance = 1e-5)
  }
})

test_that("the far tail is kept", {
  strong <- counts[1, , drop = FALSE] * ifelse(cells$dose > 0, 60, 1)
  table <- compare_models(fit(~ I(dose > 0), y = strong), fit(~1, y = strong))
  expect_lt(table$p_value, 1e-300)
  table <- compare_models(fit(~ I(dose > 0), "gaussian"), fit(~1, "gaussian"), test = "F")
  expect_equal(
    table$p_value[1], pf(table$statistic[1], 1, 298, lower.tail = FALSE)
  )
})

test_that("columns and their order are monocle3's, then ours", {
  full <- fit(~dose, gene_metadata = data.frame(
    id = 1:4, gene_short_name = letters[1:4], statistic = 4:1
  ))
  table <- compare_models(full, fit(~1))
  expect_named(table, c(
    "gene_short_name", "num_cells_expressed", "gene_id", "p_value", "q_value",
    "statistic", "df", "status_detail"
  ))
  expect_s3_class(table, "tbl_df")
  expect_identical(table$gene_id, rownames(counts))
  expect_named(compare_models(fit(~dose), fit(~1))[1:2], c("num_cells_expressed", "gene_id"))
  expect_equal(table$q_value, p.adjust(table$p_value, "holm"))
  adjusted <- compare_models(full, fit(~1), adjust = "BH")
  expect_equal(adjusted$q_value, p.adjust(table$p_value, "BH"))
  expect_identical(nrow(compare_models(full[0, ], fit(~1)[0, ])), 0L)
})

test_that("failed genes have NA and the reason, and take no part in the adjustment", {
  full <- fit(~dose)
  table <- compare_models(full, fit(~1))
  expect_true(all(is.na(table[4, c("p_value", "q_value", "statistic", "df")])))
  expect_identical(table$status_detail, c(NA, NA, NA, "all counts are zero"))
  expect_equal(table$q_value[1:3], p.adjust(table$p_value[1:3], "holm"))
  full$model[[2]]$status <- "FAIL"
  full$status_detail[2] <- "not converged"
  table <- compare_models(full, fit(~1))
  expect_identical(table$status_detail[2], "full model: not converged")
  expect_identical(table$p_value[2], NA_real_)
})

test_that("a full model with the lower likelihood has NA and the reason", {
  full <- fit(~dose)
  below <- as.numeric(logLik(fit(~1)$model[[1]])) - 5
  full$model[[1]]$log_likelihood <- below
  table <- compare_models(full, fit(~1))
  expect_identical(table$p_value[1], NA_real_)
  expect_match(table$status_detail[1], "likelihood of the full model is below")
  # By rounding, it may be.
  full$model[[1]]$log_likelihood <- below + 5 - 1e-9
  table <- compare_models(full, fit(~1))
  expect_identical(table$p_value[1], 1)
  expect_identical(table$statistic[1], 0)
  full <- fit(~dose, "gaussian")
  full$model[[1]]$deviance <- 2 * deviance(fit(~1, "gaussian")$model[[1]])
  table <- compare_models(full, fit(~1, "gaussian"), test = "F")
  expect_identical(table$p_value[1], NA_real_)
  expect_match(table$status_detail[1], "deviance of the full model is above")
})

test_that("a model that fits every cell exactly has no F", {
  single <- replace(numeric(300), 7, 1)
  alone <- transform(cells, seventh = single)
  y <- rbind(counts[1, ], one = 5 * single)
  of <- function(formula, family) fit(formula, family, y, data = alone)
  for (family in c("quasipoisson", "gaussian")) {
    # With what takes out the offset, a gaussian model of the second gene is exact as well.
    gaussian <- family == "gaussian"
    table <- compare_models(
      of(if (gaussian) ~ seventh + log(Size_Factor) else ~seventh, family),
      of(if (gaussian) ~ log(Size_Factor) else ~1, family),
      test = "F"
    )
    expect_false(is.na(table$p_value[1]))
    expect_identical(table$p_value[2], NA_real_)
    expect_match(table$status_detail[2], "leaves no variation")
  }
})

test_that("separated genes are compared at their limits", {
  for (family in c("poisson", "negbinomial")) {
    table <- compare_models(fit(~group, family), fit(~1, family))
    expect_identical(table$df[3], 2L)
    expect_lt(table$p_value[3], 1e-10)
  }
  # glm() stops close to the limit, whose likelihood it has to eight digits.
  reference <- suppressWarnings(stats::anova(
    glm_of(~1, "poisson", "apart"), glm_of(~group, "poisson", "apart"), test = "LRT"
  ))
  table <- compare_models(fit(~group), fit(~1))
  expect_equal(table$statistic[3], reference$Deviance[2], tolerance = 1e-7)
})

# What is nested ----------------------------------------------------------------------

test_that("nested models are recognised in any coding", {
  df_of <- function(full, reduced, ...) compare_models(fit(full, ...), fit(reduced, ...))$df[1]
  expect_identical(df_of(~ group + dose, ~group), 1L)
  expect_identical(df_of(~ 0 + group + dose, ~group), 1L)
  expect_identical(df_of(~ group + dose, ~ 0 + group), 1L)
  expect_identical(df_of(~ group * dose, ~dose), 4L)
  expect_identical(df_of(~ poly(dose, 3), ~ dose + I(dose^2)), 1L)
  expect_identical(df_of(~ dose + share, ~ I(1e6 * dose - 3)), 1L)
  expect_identical(df_of(~group, ~ I(group == "b")), 1L)
  expect_identical(df_of(~dose, ~1, size_factors = "covariate"), 1L)
  # The full model's columns are of rank 3.
  expect_identical(df_of(~ dose + share + I(dose + share), ~dose), 1L)
})

test_that("a spline is compared with a line that it contains", {
  skip_if_not_installed("splines")
  ns <- splines::ns
  expect_identical(compare_models(fit(~ ns(dose, 3)), fit(~dose))$df[1], 2L)
  # Its quadratic pieces are not a parabola.
  refused(fit(~ ns(dose, 3)), fit(~ dose + I(dose^2)))
  bs <- splines::bs
  expect_identical(compare_models(fit(~ bs(dose)), fit(~ poly(dose, 2)))$df[1], 1L)
})

test_that("it is the same with more cells than a sketch has rows", {
  many <- withr::with_seed(5, data.frame(
    x = rnorm(9000), g = sample(letters, 9000, TRUE), one = replace(numeric(9000), 4567, 1),
    other = replace(numeric(9000), 89, 1), Size_Factor = 1
  ))
  y <- withr::with_seed(6, matrix(rpois(9000, 2), 1))
  of <- function(formula) fit(formula, y = y, data = many)
  seed <- withr::with_seed(1, {
    full <- of(~ x + g + one)
    .Random.seed
  })
  expect_identical(seed, withr::with_seed(1, {
    .Random.seed
  }))
  expect_identical(compare_models(full, of(~ 0 + g))$df, 2L)
  expect_identical(compare_models(full, of(~ x + I(g %in% c("a", "k"))))$df, 25L)
  refused(full, of(~other))
  refused(full, of(~ I(x^2)))
  refused(full, of(~ I(x + 1e-4 * other)))
  size <- length(serialize(full$model[[1]]$shared$marks, NULL))
  expect_lt(size, 2048 * 28 * 8 + 1e4)
})

test_that("what is not nested is refused, and named", {
  expect_snapshot(error = TRUE, {
    compare_models(fit(~dose), fit(~ share + group))
    compare_models(fit(~1), fit(~dose))
    compare_models(fit(~group), fit(~ 0 + group))
    compare_models(fit(~dose), fit(~1, "negbinomial"))
    compare_models(fit(~dose), fit(~1, size_factors = "none"))
    compare_models(fit(~dose), fit(~ 1 + offset(share)))
    compare_models(fit(~dose), fit(~1, y = counts[, 1:200], data = cells[1:200, ]))
    compare_models(fit(~dose), fit(~1, y = counts[, 300:1], data = cells[300:1, ]))
    compare_models(fit(~dose), fit(~1, y = rbind(counts[1:2, ] + 1, counts[3:4, ])))
    compare_models(fit(~dose, "quasipoisson"), fit(~1, "quasipoisson"))
    compare_models(fit(~dose), fit(~1), test = "F")
    compare_models(fit(~dose), fit(~1), test = "Wald")
    compare_models(fit(~dose), fit(~1), adjust = "no")
    compare_models(fit(~dose), fit(~1), "F")
    compare_models(fit(~dose), cells)
  })
})

test_that("errors have classes", {
  refused(fit(~dose), fit(~ share + group))
  refused(fit(~dose), fit(~1), test = "F")
  refused(fit(~dose), fit(~ share + group), class = "scoria_error_argument")
  refused(fit(~dose), NULL, class = "scoria_error_model_table")
})

test_that("other counts are noticed, even those with the same total", {
  refused(fit(~dose), fit(~1, y = rbind(counts[1:3, ] + 1, none = 0)))
  swapped <- counts
  swapped[1, 1:2] <- counts[1, 2:1] + c(1, -1)
  refused(fit(~dose), fit(~1, y = swapped))
  refused(fit(~dose), fit(~1, y = counts[, 1:200], data = cells[1:200, ]))
})

test_that("other size factors are another offset", {
  doubled <- transform(cells, Size_Factor = 2 * Size_Factor)
  refused(fit(~dose), fit(~1, data = doubled))
  refused(fit(~dose, size_factors = "divide"), fit(~1, size_factors = "divide", data = doubled))
  expect_silent(compare_models(fit(~dose), fit(~1)))
})

# Genes ------------------------------------------------------------------------------

test_that("genes are matched by position, or by name", {
  full <- fit(~dose)
  reduced <- fit(~1)
  expect_identical(compare_models(full, reduced[4:1, ]), compare_models(full, reduced))
  expect_identical(compare_models(full[3, ], reduced[3, ])$gene_id, "apart")
  twice <- counts[c(1, 1, 2), ]
  expect_identical(nrow(compare_models(fit(~dose, y = twice), fit(~1, y = twice))), 3L)
  expect_snapshot(error = TRUE, {
    compare_models(full, reduced[1:3, ])
    compare_models(full[2:4, ], reduced[c(1, 4), ])
    compare_models(full[c(1, 1, 2), ], reduced[1:2, ])
  })
})

test_that("rows of several calls may be put together", {
  full <- rbind(fit(~dose, y = counts[1:2, ]), fit(~dose, y = counts[3:4, ]))
  expect_equal(compare_models(full, fit(~1)), compare_models(fit(~dose), fit(~1)))
  odd <- rbind(fit(~dose, y = counts[1:2, ]), fit(~share, y = counts[3:4, ]))
  refused(odd, fit(~dose))
})

test_that("tables that were stored are compared", {
  path <- withr::local_tempfile()
  saveRDS(fit(~1), path)
  expect_equal(compare_models(fit(~dose), readRDS(path)), compare_models(fit(~dose), fit(~1)))
})

# Other classes of models ------------------------------------------------------------

test_that("zero parts must be nested too", {
  inflated <- function(formula) fit(formula, "zipoisson")
  full <- inflated(~ share | share)
  reduced <- inflated(~ 1 | 1)
  table <- compare_models(full, reduced)
  gain <- logLik(full$model$steady) - logLik(reduced$model$steady)
  expect_identical(table$df[2], 2L)
  expect_equal(table$statistic[2], 2 * as.numeric(gain))
  expect_equal(table$p_value[2], pchisq(2 * as.numeric(gain), 2, lower.tail = FALSE))
  refused(full, inflated(~ 1 | dose))
  refused(inflated(~ 1 | share), inflated(~ share | 1))
})

test_that("random effects must be nested too", {
  grouped <- cells
  grouped$donor <- rep_len(letters[1:7], 300)
  grouped$plate <- rep_len(LETTERS[1:5], 300)
  mixed <- function(formula) {
    fit(formula, "mixed-negbinomial", y = counts[1:2, ], data = grouped)
  }
  full <- mixed("~ share + (1 | donor) + (1 | plate)")
  reduced <- mixed("~ 1 + (1 | donor)")
  table <- compare_models(full, reduced)
  gain <- logLik(full$model$steady) - logLik(reduced$model$steady)
  expect_identical(table$df[2], 2L)
  expect_equal(table$statistic[2], 2 * as.numeric(gain))
  refused(full, mixed("~ 1 + (dose | donor)"))
  refused(reduced, full)
  correlated <- mixed("~ share + (dose | donor)")
  apart <- mixed("~ 1 + (dose || donor)")
  expect_identical(compare_models(correlated, apart)$df[2], 2L)
  refused(mixed("~ share + (dose || donor)"), mixed("~ 1 + (dose | donor)"))
})
