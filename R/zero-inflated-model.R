# One gene's zero-inflated model ---------------------------------------------------

#' Zero-inflated models and their methods
#'
#' @description
#' The elements of the column `model` that [fit_models()] returns in the families
#' `"zipoisson"` and `"zinegbinomial"`. Where methods of `pscl::zeroinfl()` exist,
#' these are the same; [nobs()], [AIC()] and [BIC()] work as for any model.
#'
#' @param object,x A model, or its summary.
#' @param model Which part: `"full"` for both, with names that begin with `count_`
#'   and `zero_`, `"count"` or `"zero"`.
#' @param complete Include terms without an estimate, as `NA`? Default `TRUE`.
#' @param parm Terms, by the names that [coef()] gives, or by number. Default: all.
#' @param level Confidence level. Default 0.95.
#' @param newdata A data frame with the formula's variables, and with
#'   `Size_Factor` where size factors are part of the model. Required: a model
#'   does not keep the cells that it was fitted to.
#' @param type `"response"` (default): the mean, \eqn{(1 - \pi) \mu}{(1 - pi) mu};
#'   `"count"`: \eqn{\mu}{mu}, the mean of counts that are no structural zeros;
#'   `"zero"`: \eqn{\pi}{pi}, the probability of a structural zero; `"link"`:
#'   \eqn{\log \mu}{log(mu)}.
#' @param conf.int Add a confidence interval? Default `FALSE`.
#' @param conf.level Its level. Default 0.95.
#' @param ... Not used.
#'
#' @return
#' * `coef()`: named vector, logarithms in the count part and logits in the zero part;
#'   `NA` for aliased terms, `Inf`, `-Inf` or `NA` where there is no finite optimum.
#' * `vcov()`: the inverse of the observed information, `NA` where there is none.
#' * `confint()`: Wald intervals.
#' * `logLik()`: with `df` (theta counts) and `nobs`. `deviance()`: `NA`.
#' * `family()`: that of the count part, under its own name, with `link_zero`.
#' * `predict()`: one value a row of `newdata`, at that row's size factor. `NA` for
#'   `"count"`, `"zero"` and `"link"` in a group of cells without a count, where only
#'   the product is known.
#' * `summary()`: a list with the tables of `coefficients` of both parts, and a print
#'   method.
#' * `tidy()`: a tibble with one row a term, and columns `component` (`"count"` or
#'   `"zero"`), `term`, `estimate`, `std.error`, `statistic`, `p.value`, and on request
#'   `conf.low` and `conf.high`.
#' * `glance()`: a tibble with one row, and columns `theta`, `logLik`, `AIC`, `BIC`,
#'   `df.residual`, `nobs`, `iterations`.
#'
#' @examples
#' counts <- matrix(rpois(200, 3) * rbinom(200, 1, 0.6), 2,
#'   dimnames = list(c("a", "b"), NULL)
#' )
#' cells <- data.frame(treated = rep(0:1, 50), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated | 1", "zipoisson", cell_metadata = cells)
#' model <- fits$model[["a"]]
#' summary(model)
#' predict(model, data.frame(treated = 0:1, Size_Factor = 1), type = "zero")
#' @name scoria_zero_inflated
NULL

#' @rdname scoria_zero_inflated
#' @export
coef.scoria_zero_inflated <- function(object, model = c("full", "count", "zero"),
                                      complete = TRUE, ...) {
  model <- rlang::arg_match(model)
  estimates <- object$coefficients[part_positions(object, model)]
  names(estimates) <- part_names(object, model)
  if (complete) estimates else estimates[!is.na(estimates)]
}

#' @rdname scoria_zero_inflated
#' @export
vcov.scoria_zero_inflated <- function(object, model = c("full", "count", "zero"),
                                      complete = TRUE, ...) {
  model <- rlang::arg_match(model)
  kept <- object$shared$kept
  covariance <- full_covariance(object)
  wanted <- part_positions(object, model)
  covariance <- covariance[wanted, wanted, drop = FALSE]
  names <- part_names(object, model)
  dimnames(covariance) <- list(names, names)
  if (complete) {
    return(covariance)
  }
  estimated <- wanted %in% kept
  covariance[estimated, estimated, drop = FALSE]
}

#' @rdname scoria_zero_inflated
#' @export
confint.scoria_zero_inflated <- function(object, parm = NULL, level = 0.95, ...) {
  table <- model_coefficients(object)
  half <- table$std_err * stats::qnorm((1 + level) / 2)
  sides <- paste(format(100 * c(1 - level, 1 + level) / 2, trim = TRUE), "%")
  interval <- cbind(table$estimate - half, table$estimate + half)
  dimnames(interval) <- list(part_names(object, "full"), sides)
  if (is.null(parm)) interval else interval[parm, , drop = FALSE]
}

#' @rdname scoria_zero_inflated
#' @export
logLik.scoria_zero_inflated <- function(object, ...) {
  shared <- object$shared
  structure(
    object$log_likelihood,
    df = parameters(object), nobs = shared$nobs, class = "logLik"
  )
}

#' @rdname scoria_zero_inflated
#' @export
deviance.scoria_zero_inflated <- function(object, ...) NA_real_

#' @rdname scoria_zero_inflated
#' @export
df.residual.scoria_zero_inflated <- function(object, ...) {
  object$shared$nobs - parameters(object)
}

#' @rdname scoria_zero_inflated
#' @export
family.scoria_zero_inflated <- function(object, ...) {
  if (object$shared$family == "zipoisson") {
    family <- stats::poisson()
    family$family <- "Zero-inflated Poisson"
  } else {
    family <- negative_binomial_family(object$theta)
    family$family <- paste("Zero-inflated", family$family)
  }
  family$link_zero <- "logit"
  family
}

#' @rdname scoria_zero_inflated
#' @export
predict.scoria_zero_inflated <- function(object, newdata,
                                         type = c("response", "count", "zero", "link"),
                                         ...) {
  type <- rlang::arg_match(type)
  if (missing(newdata) || !is.data.frame(newdata)) {
    scoria_abort(
      "{.arg newdata} must be a data frame: a model does not keep the cells it
       was fitted to.",
      c("newdata", "argument")
    )
  }
  shared <- object$shared
  sized <- shared$size_factors == "offset" && type != "zero"
  terms <- switch(type,
    zero = list(shared$zero$terms),
    response = list(shared$count$terms, shared$zero$terms),
    list(shared$count$terms)
  )
  needed <- c(unlist(lapply(terms, all.vars)), if (sized) "Size_Factor")
  lacking <- setdiff(needed, names(newdata))
  if (length(lacking) > 0) {
    scoria_abort(
      "{.arg newdata} has no column {.field {lacking}}.",
      c("newdata", "argument")
    )
  }
  mean <- function() {
    link <- part_predictor(object, "count", newdata, type != "response")
    if (sized) link + log(newdata$Size_Factor) else link
  }
  share <- function() part_predictor(object, "zero", newdata, type != "response")
  values <- switch(type,
    # Far out, 1 - plogis() would be rounding.
    response = exp(mean()) * stats::plogis(-share()),
    count = exp(mean()),
    zero = stats::plogis(share()),
    link = mean()
  )
  rlang::set_names(values, rownames(newdata))
}

# The predictor of one part. Alone it is not known where only both together are.
part_predictor <- function(object, part, newdata, alone) {
  held <- object$shared[[part]]
  frame <- stats::model.frame(
    held$terms, newdata,
    na.action = stats::na.pass, xlev = held$xlevels
  )
  matrix <- if (length(all.vars(held$terms)) == 0) {
    base::matrix(1, nrow(newdata), 1)
  } else {
    stats::model.matrix(held$terms, frame, contrasts.arg = held$contrasts)
  }
  at <- part_positions(object, part)[held$kept]
  matrix <- matrix[, held$kept, drop = FALSE]
  predictor <- drop(matrix %*% object$working[at])
  unknown <- is.na(object$coefficients[at])
  if (alone && object$certain_cells > 0 && any(unknown)) {
    touched <- rowSums(matrix[, unknown, drop = FALSE] != 0) > 0
    predictor[touched] <- NA_real_
  }
  predictor + (stats::model.offset(frame) %||% 0)
}

#' @rdname scoria_zero_inflated
#' @method summary scoria_zero_inflated
#' @export
summary.scoria_zero_inflated <- function(object, ...) {
  rows <- if (object$status == "OK") {
    zero_inflated_rows(object)
  } else {
    model_coefficients(object)
  }
  table <- cbind(rows$estimate, rows$std_err, rows$test_val, rows$p_value)
  dimnames(table) <- list(
    rows$term, c("Estimate", "Std. Error", "z value", "Pr(>|z|)")
  )
  zero <- utils::tail(seq_len(nrow(table)), length(object$shared$zero$term))
  # What the tables say already need not be held twice.
  object[c("coefficients", "working", "covariance")] <- NULL
  structure(
    list(
      coefficients = list(
        count = table[-zero, , drop = FALSE], zero = table[zero, , drop = FALSE]
      ),
      model = object
    ),
    class = c("scoria_zero_inflated_summary", "scoria_model_summary")
  )
}

#' @rdname scoria_zero_inflated
#' @method print scoria_zero_inflated
#' @export
print.scoria_zero_inflated <- function(x, ...) {
  cat_zero_inflated_head(x)
  cat("Count part (log):\n")
  print(signif(coef(x, "count"), 4))
  cat("Zero part (logit):\n")
  print(signif(coef(x, "zero"), 4))
  invisible(x)
}

#' @rdname scoria_zero_inflated
#' @method print scoria_zero_inflated_summary
#' @export
print.scoria_zero_inflated_summary <- function(x, ...) {
  model <- x$model
  cat_zero_inflated_head(model)
  cat("Count part (log):\n")
  stats::printCoefmat(x$coefficients$count, na.print = "NA", signif.legend = FALSE)
  cat("\nZero part (logit):\n")
  stats::printCoefmat(x$coefficients$zero, na.print = "NA")
  cat(
    "\nLog-likelihood ", format(as.numeric(logLik(model)), digits = 7), " on ",
    df.residual(model), " residual degrees of freedom\n",
    sep = ""
  )
  invisible(x)
}

#' @rdname scoria_zero_inflated
#' @export
tidy.scoria_zero_inflated <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  positions <- zero_inflated_positions(x)
  component <- rep(names(positions), lengths(positions))
  tibble::add_column(NextMethod(), component = component, .before = 1)
}

#' @rdname scoria_zero_inflated
#' @export
glance.scoria_zero_inflated <- function(x, ...) {
  likelihood <- stats::logLik(x)
  tibble::tibble(
    theta = x$theta, logLik = as.numeric(likelihood),
    AIC = stats::AIC(likelihood), BIC = stats::BIC(likelihood),
    df.residual = stats::df.residual(x), nobs = stats::nobs(x),
    iterations = x$iterations
  )
}

cat_zero_inflated_head <- function(model) {
  shared <- model$shared
  cat(
    "<scoria_model> ", model$gene_id, ": ", shared$family, ", ",
    deparse1(shared$formula), "\n",
    "  ", shared$nobs, " cells, status ", model$status,
    if (shared$family == "zinegbinomial" && model$status == "OK") {
      paste0(", theta ", format(signif(model$theta, 4)))
    },
    "\n",
    sep = ""
  )
}

part_positions <- function(object, model) {
  positions <- zero_inflated_positions(object)
  if (model == "full") unlist(positions, use.names = FALSE) else positions[[model]]
}

part_names <- function(object, model) {
  term <- list(count = object$shared$count$term, zero = object$shared$zero$term)
  if (model != "full") {
    return(term[[model]])
  }
  paste0(rep(names(term), lengths(term)), "_", unlist(term))
}

parameters <- function(model) {
  length(model$shared$kept) + (model$shared$family == "zinegbinomial")
}
