#' @importFrom generics tidy
#' @export
generics::tidy

#' @importFrom generics glance
#' @export
generics::glance

#' Tidy a model
#'
#' @description
#' `tidy()` and `glance()` give a model of [fit_models()] in broom's columns.
#'
#' @param x A model: an element of the column `model`.
#' @param conf.int Add a confidence interval? Default `FALSE`.
#' @param conf.level Its level. Default 0.95.
#' @param ... Not used.
#' @return
#' * `tidy()`: a tibble with one row a term, and columns `term`, `estimate`,
#'   `std.error`, `statistic`, `p.value`, and on request `conf.low` and
#'   `conf.high`.
#' * `glance()`: a tibble with one row, and columns `theta`, `dispersion`,
#'   `logLik`, `AIC`, `BIC`, `deviance`, `df.residual`, `nobs`, `iterations`.
#' @examples
#' counts <- matrix(rpois(100, 3), 2, dimnames = list(c("a", "b"), NULL))
#' cells <- data.frame(treated = rep(0:1, 25), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated", cell_metadata = cells)
#' tidy(fits$model[["a"]], conf.int = TRUE)
#' glance(fits$model[["a"]])
#' @name tidy.scoria_model
NULL

#' @rdname tidy.scoria_model
#' @export
tidy.scoria_model <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  rows <- model_coefficients(x)
  tidied <- tibble::tibble(
    term = rows$term, estimate = rows$estimate, std.error = rows$std_err,
    statistic = rows$test_val, p.value = rows$p_value
  )
  if (conf.int) {
    interval <- unname(stats::confint(x, level = conf.level))
    tidied$conf.low <- interval[, 1]
    tidied$conf.high <- interval[, 2]
  }
  tidied
}

#' @rdname tidy.scoria_model
#' @export
glance.scoria_model <- function(x, ...) {
  likelihood <- stats::logLik(x)
  tibble::tibble(
    theta = x$theta,
    dispersion = x$dispersion, logLik = as.numeric(likelihood),
    AIC = stats::AIC(likelihood), BIC = stats::BIC(likelihood),
    deviance = x$deviance, df.residual = stats::df.residual(x),
    nobs = stats::nobs(x), iterations = x$iterations
  )
}
