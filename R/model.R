# One gene's model: a light object, the heavy parts shared by all genes ---------

#' Models and their methods
#'
#' @description
#' The elements of the column `model` that [fit_models()] returns. What all
#' genes have in common (formula, terms, levels) is held once.
#'
#' @param object,x A model, or its summary.
#' @param complete Include terms without an estimate, as `NA`? Default `TRUE`.
#' @param parm Terms, by name or number. Default: all.
#' @param level Confidence level. Default 0.95.
#' @param newdata A data frame with the formula's variables, and with
#'   `Size_Factor` where size factors are part of the model. Required: a model
#'   does not keep the cells that it was fitted to.
#' @param type `"link"` (default) or `"response"`.
#' @param ... Not used.
#'
#' @return
#' * `coef()`: named vector, on the scale of the link; `NA` for aliased terms,
#'   `Inf`, `-Inf` or `NA` where there is no finite optimum.
#' * `vcov()`: their covariance matrix, `NA` where there is none.
#' * `confint()`: Wald intervals, from the t distribution in the families with
#'   an estimated dispersion.
#' * `logLik()`: with `df` (theta and the residual variance count) and `nobs`;
#'   `NA` for quasipoisson.
#' * `family()`: as [stats::family()]; for negbinomial with its `theta`.
#' * `predict()`: one value a row of `newdata`, at that row's size factor.
#' * `summary()`: a list with the table of `coefficients`, and a print method.
#'
#' @examples
#' counts <- matrix(rpois(100, 3), 2, dimnames = list(c("a", "b"), NULL))
#' cells <- data.frame(treated = rep(0:1, 25), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated", cell_metadata = cells)
#' model <- fits$model[["a"]]
#' model
#' confint(model)
#' predict(model, data.frame(treated = 0:1, Size_Factor = 1), type = "response")
#' @name scoria_model
NULL

new_models <- function(gene_ids, model, columns) {
  design <- model$design
  term <- colnames(design$matrix)
  shared <- rlang::env(
    rlang::empty_env(),
    term = term, kept = columns$kept, family = model$family,
    formula = model$formula, terms = design$terms, xlevels = design$xlevels,
    contrasts = design$contrasts, size_factors = model$size_factors,
    nobs = nrow(design$matrix), intercept = attr(design$terms, "intercept") == 1L,
    marks = new_marks(model, list(count = design$matrix[, columns$kept, drop = FALSE]))
  )
  genes <- length(gene_ids)
  rank <- length(columns$kept)
  # What the engine does not know is NaN, and NA in R.
  numeric <- vapply(columns, is.double, NA)
  columns[numeric] <- lapply(columns[numeric], nan_to_na)
  failed <- columns$status != 0L
  reached <- function(x) replace(x, failed, NA_real_)
  working <- matrix(NA_real_, length(term), genes)
  working[columns$kept, ] <- columns$coefficients
  reported <- matrix(columns$coefficients, rank, genes)
  separated <- matrix(columns$separated, rank, genes)
  infinite <- separated == -1L | separated == 1L
  reported[infinite] <- separated[infinite] * Inf
  reported[separated == 2L] <- NA_real_
  estimates <- matrix(NA_real_, length(term), genes)
  estimates[columns$kept, ] <- reported
  covariance <- matrix(columns$covariance, ncol = genes)
  log_likelihood <- reached(columns$log_likelihood)
  deviance <- reached(columns$deviance)
  null_deviance <- reached(columns$null_deviance)
  models <- lapply(seq_len(genes), function(g) {
    structure(
      list(
        gene_id = gene_ids[g],
        coefficients = rlang::set_names(estimates[, g], term),
        working = working[, g],
        covariance = covariance[, g],
        theta = columns$theta[g],
        theta_se = columns$theta_se[g],
        dispersion = columns$dispersion[g],
        log_likelihood = log_likelihood[g],
        deviance = deviance[g],
        null_deviance = null_deviance[g],
        mark = columns$mark[g],
        decrement = columns$decrement[g],
        iterations = columns$iterations[g],
        status = if (failed[g]) "FAIL" else "OK",
        shared = shared
      ),
      class = "scoria_model"
    )
  })
  rlang::set_names(models, gene_ids)
}

# What is to be known of each gene's fit.
status_details <- function(model, columns) {
  term <- colnames(model$design$matrix)
  rank <- length(columns$kept)
  failures <- c(
    "all counts are zero",
    "not converged",
    "counts other than 0 and 1 in a binomial model",
    "no count is zero in a binomial model"
  )
  status <- columns$status
  separated <- matrix(columns$separated, rank)
  aliased <- setdiff(seq_along(term), columns$kept)
  collinear <- if (length(aliased) > 0) {
    paste0(
      "collinear, no estimate: ", paste(term[aliased], collapse = ", ")
    )
  }
  vapply(seq_along(status), function(g) {
    if (status[g] != 0L) {
      return(failures[status[g]])
    }
    apart <- term[columns$kept[separated[, g] != 0L]]
    notes <- c(
      if (length(apart) > 0) {
        paste0("separated, no finite estimate: ", paste(apart, collapse = ", "))
      },
      if (is.infinite(columns$theta[g])) {
        "Poisson limit: no overdispersion (theta = Inf)"
      },
      collinear
    )
    if (length(notes) > 0) paste(notes, collapse = "; ") else NA_character_
  }, "")
}

#' @rdname scoria_model
#' @export
coef.scoria_model <- function(object, complete = TRUE, ...) {
  estimates <- object$coefficients
  if (complete) estimates else estimates[!is.na(estimates)]
}

#' @rdname scoria_model
#' @importFrom stats vcov
#' @export
vcov.scoria_model <- function(object, complete = TRUE, ...) {
  term <- object$shared$term
  kept <- object$shared$kept
  covariance <- full_covariance(object)
  dimnames(covariance) <- list(term, term)
  if (complete) covariance else covariance[kept, kept, drop = FALSE]
}

# Of all coefficients, from the packed triangle of those that are kept: `NA` where a
# coefficient has no finite estimate.
full_covariance <- function(model) {
  kept <- model$shared$kept
  rank <- length(kept)
  filled <- matrix(NA_real_, rank, rank)
  filled[upper.tri(filled, diag = TRUE)] <- model$covariance
  filled[lower.tri(filled)] <- t(filled)[lower.tri(filled)]
  apart <- !is.finite(model$coefficients[kept])
  filled[apart, ] <- NA_real_
  filled[, apart] <- NA_real_
  terms <- length(model$coefficients)
  covariance <- matrix(NA_real_, terms, terms)
  covariance[kept, kept] <- filled
  covariance
}

#' @rdname scoria_model
#' @importFrom stats confint
#' @export
confint.scoria_model <- function(object, parm = NULL, level = 0.95, ...) {
  table <- model_coefficients(object)
  half <- table$std_err * quantile_of(object, (1 + level) / 2)
  sides <- paste(format(100 * c(1 - level, 1 + level) / 2, trim = TRUE), "%")
  interval <- cbind(table$estimate - half, table$estimate + half)
  dimnames(interval) <- list(table$term, sides)
  if (is.null(parm)) interval else interval[parm, , drop = FALSE]
}

#' @rdname scoria_model
#' @importFrom stats logLik
#' @export
logLik.scoria_model <- function(object, ...) {
  shared <- object$shared
  value <- object$log_likelihood
  own <- shared$family %in% c("negbinomial", "gaussian")
  structure(
    value,
    df = length(shared$kept) + own, nobs = shared$nobs, class = "logLik"
  )
}

#' @rdname scoria_model
#' @importFrom stats deviance
#' @export
deviance.scoria_model <- function(object, ...) object$deviance

#' @rdname scoria_model
#' @export
nobs.scoria_model <- function(object, ...) object$shared$nobs

#' @rdname scoria_model
#' @importFrom stats df.residual
#' @export
df.residual.scoria_model <- function(object, ...) {
  object$shared$nobs - length(object$shared$kept)
}

#' @rdname scoria_model
#' @importFrom stats formula
#' @export
formula.scoria_model <- function(x, ...) x$shared$formula

#' @rdname scoria_model
#' @importFrom stats family
#' @export
family.scoria_model <- function(object, ...) {
  switch(object$shared$family,
    negbinomial = negative_binomial_family(object$theta),
    poisson = stats::poisson(),
    quasipoisson = stats::quasipoisson(),
    binomial = stats::binomial(),
    gaussian = stats::gaussian()
  )
}

#' @rdname scoria_model
#' @importFrom stats predict
#' @export
predict.scoria_model <- function(object, newdata,
                                 type = c("link", "response"), ...) {
  type <- rlang::arg_match(type)
  shared <- object$shared
  if (missing(newdata) || !is.data.frame(newdata)) {
    scoria_abort(
      "{.arg newdata} must be a data frame: a model does not keep the cells it
       was fitted to.",
      c("newdata", "argument")
    )
  }
  rows <- new_rows(shared, newdata, "newdata", rlang::current_env())
  link <- drop(rows$matrix %*% object$working[shared$kept]) + rows$offset
  names(link) <- rownames(newdata)
  if (type == "link") link else family(object)$linkinv(link)
}

#' @rdname scoria_model
#' @method summary scoria_model
#' @export
summary.scoria_model <- function(object, ...) {
  table <- model_coefficients(object)
  statistic <- if (uses_t(object)) "t value" else "z value"
  coefficients <- cbind(
    table$estimate, table$std_err, table$test_val, table$p_value
  )
  tail <- if (uses_t(object)) "Pr(>|t|)" else "Pr(>|z|)"
  dimnames(coefficients) <- list(
    table$term, c("Estimate", "Std. Error", statistic, tail)
  )
  # What the table says already need not be held twice.
  object[c("coefficients", "working", "covariance")] <- NULL
  structure(
    list(coefficients = coefficients, model = object),
    class = "scoria_model_summary"
  )
}

#' @rdname scoria_model
#' @method print scoria_model
#' @export
print.scoria_model <- function(x, ...) {
  cat_model_head(x)
  print(signif(x$coefficients, 4))
  invisible(x)
}

#' @rdname scoria_model
#' @method print scoria_model_summary
#' @export
print.scoria_model_summary <- function(x, ...) {
  cat_model_head(x$model)
  stats::printCoefmat(x$coefficients, na.print = "NA")
  model <- x$model
  cat(
    "\nDeviance ", format(signif(model$deviance, 5)), " on ",
    df.residual(model), " degrees of freedom; log-likelihood ",
    format(as.numeric(logLik(model)), digits = 7), "\n",
    sep = ""
  )
  invisible(x)
}

cat_model_head <- function(model) {
  shared <- model$shared
  cat(
    "<scoria_model> ", model$gene_id, ": ", shared$family, ", ",
    deparse1(shared$formula), "\n",
    "  ", shared$nobs, " cells, status ", model$status,
    if (grepl("negbinomial", shared$family) && model$status == "OK") {
      paste0(", theta ", format(signif(model$theta, 4)))
    },
    if (uses_t(model) && model$status == "OK") {
      paste0(", dispersion ", format(signif(model$dispersion, 4)))
    },
    "\n",
    sep = ""
  )
}

# Estimates and tests of one model, as coefficient_table() names them.
model_coefficients <- function(model) {
  estimate <- model$coefficients
  shared <- model$shared
  term <- shared$term %||% c(shared$count$term, shared$zero$term)
  std_err <- model_std_err(model)
  test_val <- ifelse(is.infinite(estimate), NA_real_, estimate / std_err)
  p_value <- if (uses_t(model)) {
    2 * stats::pt(-abs(test_val), df.residual(model))
  } else {
    2 * stats::pnorm(-abs(test_val))
  }
  list(
    term = term, estimate = unname(estimate), std_err = std_err,
    test_val = unname(test_val), p_value = unname(p_value)
  )
}

# From the diagonal of the packed lower triangle.
model_std_err <- function(model) {
  kept <- model$shared$kept
  diagonal <- cumsum(seq_along(kept))
  # Of a separated coefficient, the variance is rounding of an infinity.
  finite <- is.finite(model$coefficients[kept])
  std_err <- rep(NA_real_, length(model$coefficients))
  std_err[kept[finite]] <- sqrt(model$covariance[diagonal[finite]])
  std_err
}

uses_t <- function(model) {
  model$shared$family %in% c("quasipoisson", "gaussian")
}

quantile_of <- function(model, probability) {
  if (uses_t(model)) {
    stats::qt(probability, df.residual(model))
  } else {
    stats::qnorm(probability)
  }
}

negative_binomial_family <- function(theta) {
  log_link <- stats::make.link("log")
  structure(
    list(
      family = paste0("Negative Binomial(", format(signif(theta, 4)), ")"),
      link = "log", linkfun = log_link$linkfun, linkinv = log_link$linkinv,
      mu.eta = log_link$mu.eta, valideta = log_link$valideta,
      variance = function(mu) mu + mu^2 / theta, theta = theta
    ),
    class = "family"
  )
}
