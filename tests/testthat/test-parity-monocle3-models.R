# evaluate_fits(), compare_models() and model_predictions() beside monocle3 1.3.6 on real
# cells. What differs by design: BIC, the null deviance, genes without a count, and
# quasipoisson models, which it cannot compare. Its negative binomial stops before the
# optimum, so its likelihoods are below ours.

skip_if_not_installed("SingleCellExperiment")

families <- "(negbinomial|quasipoisson|poisson|binomial|gaussian)"
every <- oracle_names(paste0("^(a549|worm_l2)_", families, "_"))
# monocle3 finds the interaction's columns collinear by a threshold that is absolute.
every <- setdiff(every, grep("_alias$", every, value = TRUE))
loose <- grep("negbinomial", every, value = TRUE)
speedglm <- setdiff(every, loose)

cache <- new.env()

# Both models of one folder, and monocle3's tables of them.
fitted <- function(name) {
  if (is.null(cache[[name]])) {
    oracle <- read_oracle(name)
    x <- oracle_cells(oracle)
    lines <- readLines(file.path(monocle3_path(name), "meta.txt"))
    smaller <- sub("^reduced: *", "", grep("^reduced: ", lines, value = TRUE))
    mode <- if (oracle$family == "negbinomial") "covariate" else "offset"
    fit <- function(formula) {
      fit_models(x, formula, oracle$family, size_factors = mode)
    }
    types <- sub("^evaluate_fits columns: ", "", grep("^evaluate_fits col", lines, value = TRUE))
    cache[[name]] <- list(
      oracle = oracle, cells = x, full = fit(oracle$formula), reduced = fit(smaller),
      types = strsplit(types, ", ")[[1]],
      smaller = oracle_table(name, "evaluate_fits_reduced")
    )
  }
  cache[[name]]
}

# Genes that both programs fitted, both models.
usable <- function(x) {
  theirs <- x$oracle$fits
  gaussian <- x$oracle$family == "gaussian"
  met <- gaussian | (theirs$status == "OK" & x$smaller$status == "OK")
  met & !is.na(theirs$deviance) & x$full$status == "OK" & x$reduced$status == "OK"
}

test_that("evaluate_fits() has monocle3's columns, of its types", {
  for (name in every) {
    x <- fitted(name)
    table <- evaluate_fits(x$full)
    types <- c(character = "character", integer = "integer", double = "numeric")
    found <- paste0(names(table), "<", types[vapply(table, typeof, "")], ">")
    # Its column of NA is logical.
    expected <- sub("logLik<logical>", "logLik<numeric>", x$types)
    expect_identical(found, c(expected, "status_detail<character>"))
    expect_identical(table$gene_id, x$oracle$fits$gene_id)
  }
})

test_that("speedglm's likelihoods and deviances are ours", {
  for (name in speedglm) {
    x <- fitted(name)
    at <- usable(x)
    for (pair in list(list(x$full, x$oracle$fits), list(x$reduced, x$smaller))) {
      ours <- evaluate_fits(pair[[1]])[at, ]
      theirs <- pair[[2]][at, ]
      expect_identical(ours$df_null, theirs$df_null)
      expect_identical(ours$df_residual, theirs$df_residual)
      expect_lt(max(abs(ours$deviance / theirs$deviance - 1)), 1e-6, label = name)
      if (x$oracle$family == "quasipoisson") {
        expect_true(all(is.na(ours$logLik) & is.na(ours$AIC)))
      } else {
        expect_lt(max(abs(ours$logLik / theirs$logLik - 1)), 1e-6, label = name)
        expect_lt(max(abs(ours$AIC / theirs$AIC - 1)), 1e-6, label = name)
      }
      more <- ours$AIC + 2 * ours$logLik
      expect_equal(ours$BIC, ours$AIC + more / 2 * (log(ours$df_null + 1) - 2))
    }
  }
})

test_that("glm.nb()'s likelihoods are ours or lower, and its null deviance is of its theta", {
  for (name in loose) {
    x <- fitted(name)
    at <- usable(x)
    ours <- evaluate_fits(x$full)[at, ]
    theirs <- x$oracle$fits[at, ]
    expect_gt(min(ours$logLik - theirs$logLik), -1e-6)
    expect_lt(median(ours$logLik - theirs$logLik), 0.01)
    expect_identical(ours$df_null, theirs$df_null)
    apart <- abs(log(ours$null_deviance / theirs$null_deviance))
    expect_lt(median(apart), 0.02, label = name)
  }
})

test_that("without size factors, monocle3's null deviance would be ours", {
  for (name in grep("_cont$", speedglm, value = TRUE)) {
    x <- fitted(name)
    at <- usable(x)
    plain <- fit_models(x$cells, x$oracle$formula, x$oracle$family, size_factors = "none")
    ours <- evaluate_fits(plain)$null_deviance[at]
    theirs <- x$oracle$fits$null_deviance[at]
    if (x$oracle$family == "binomial") {
      # That of the intercept: its two likelihoods are the same with and without.
      expect_equal(ours, theirs, tolerance = 1e-8)
    } else {
      expect_lt(max(abs(ours / theirs - 1)), 1e-10, label = name)
    }
  }
})

test_that("p-values of compare_models() are monocle3's", {
  for (name in speedglm) {
    x <- fitted(name)
    at <- usable(x)
    theirs <- oracle_table(name, "compare_models")
    if (x$oracle$family == "quasipoisson") {
      expect_true(all(is.na(theirs$p_value)))
      next
    }
    ours <- compare_models(x$full, x$reduced)
    expect_identical(names(ours)[seq_along(theirs)], names(theirs))
    expect_identical(ours$gene_id, theirs$gene_id)
    expect_identical(ours$num_cells_expressed, theirs$num_cells_expressed)
    expect_equal(
      log10(pmax(ours$p_value, 1e-300))[at], log10(pmax(theirs$p_value, 1e-300))[at],
      tolerance = 1e-4
    )
    expect_equal(ours$q_value, p.adjust(ours$p_value, "holm"))
    expect_equal(theirs$q_value, p.adjust(theirs$p_value, "holm"))
  }
})

test_that("the negative binomial's statistics are as far away as its likelihoods are low", {
  for (name in loose) {
    x <- fitted(name)
    at <- usable(x)
    theirs <- oracle_table(name, "compare_models")
    ours <- compare_models(x$full, x$reduced)
    missing <- abs(evaluate_fits(x$full)$logLik - x$oracle$fits$logLik) +
      abs(evaluate_fits(x$reduced)$logLik - x$smaller$logLik)
    statistic <- qchisq(theirs$p_value, ours$df, lower.tail = FALSE)
    apart <- abs(ours$statistic - statistic) - 2 * missing
    expect_lt(max(apart[at & theirs$p_value > 1e-300]), 1e-5, label = name)
    # None of our full models is below the reduced one; of monocle3's, some are.
    expect_false(any(grepl("below", ours$status_detail)))
  }
})

test_that("quasipoisson models are compared by an F test", {
  for (name in grep("quasipoisson", every, value = TRUE)) {
    x <- fitted(name)
    expect_error(compare_models(x$full, x$reduced), class = "scoria_error_compare")
    table <- compare_models(x$full, x$reduced, test = "F")
    none <- x$full$status == "FAIL" | grepl("no variation", table$status_detail)
    expect_identical(is.na(table$p_value), none)
    expect_lte(sum(none & x$full$status == "OK"), 1)
  }
})

test_that("predictions are monocle3's", {
  for (name in every) for (type in c("response", "link")) {
    x <- fitted(name)
    path <- file.path(monocle3_path(name), paste0("predictions_", type, ".csv"))
    if (!file.exists(path)) next
    theirs <- as.matrix(utils::read.csv(path, row.names = 1, check.names = FALSE))
    data <- SummarizedExperiment::colData(x$cells)[colnames(theirs), ]
    ours <- model_predictions(x$full, data, type)
    expect_identical(dimnames(ours), dimnames(theirs))
    at <- usable(x) & !grepl("^separated", x$full$status_detail)
    expect_gt(sum(at), 10)
    apart <- abs(ours - theirs)[at, ]
    if (type == "response") apart <- apart / (1e-8 + abs(ours[at, ]))
    if (name %in% speedglm) {
      expect_lt(quantile(apart, 0.95), 1e-6, label = name)
      # Flat likelihoods, where speedglm stops early.
      expect_lt(max(apart), 0.01, label = name)
    } else {
      expect_lt(median(apart), 0.02, label = name)
      expect_lt(quantile(apart, 0.95), 0.2, label = name)
    }
  }
})
