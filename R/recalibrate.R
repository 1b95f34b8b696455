#' P-values against an empirical null
#'
#' @description
#' `recalibrate()` corrects p-values for a null distribution of z that is not the standard
#' normal one, be it wider, narrower or shifted: z' = (z - mean) / sd, with the mean and
#' standard deviation of the null taken from perturbations that do nothing, or from the
#' bulk of the p-values themselves.
#'
#' @param table A table with columns `estimate`, `p_value` and, with `by`, that column:
#'   of [coefficient_table()] or [test_groups()].
#' @param null Where the null is taken from: `NULL` (default), the table itself, each
#'   group of `by` by itself; or what [check_calibration()] returned, whose null is taken
#'   by stratum of the genes' means.
#' @param method How mean and standard deviation are estimated: `"efron"` (default), by
#'   maximum likelihood from the z in the middle, which admits that some are not null; or
#'   `"median"`, the median and the scaled median absolute deviation.
#' @param by Name of the column whose groups each have a null of their own. Default
#'   `"perturbation"` where there is one.
#' @param shrink Correct where the null is narrower than the standard normal too, which
#'   makes p-values smaller? Default `FALSE`.
#' @param z For `empirical_null()`: z-scores; those that are missing or infinite do not
#'   count.
#'
#' @details
#' z is that of the p-value with the sign of the estimate. Where the table is its own
#' null, most perturbations must do nothing to most genes: otherwise what they do is taken
#' for a wide null.
#'
#' @return `recalibrate()`: the table, with `null_mean`, `null_sd`,
#' `p_value_recalibrated` and `q_value_recalibrated` (Benjamini and Hochberg within `by`).
#' `empirical_null()`: `mean` and `sd`; `NA` where there are fewer than 20 z, or they do not
#' tell.
#'
#' @section Sources:
#' The maximum likelihood estimate of the central part: Efron (2004, JASA 99: 96), and his
#' locfdr 1.1. Median and MAD within each perturbation: causarray (Du et al. 2025).
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   recalibrate(coefficient_table(fit))
#' }
#' empirical_null(rnorm(1000, 0.1, 1.2))
#' @export
recalibrate <- function(table, null = NULL, method = c("efron", "median"),
                        by = intersect("perturbation", names(table)), shrink = FALSE) {
  method <- first_choice(method, c("efron", "median"))
  check_flag(shrink, "shrink", rlang::current_env())
  check_p_table(table, by)
  z <- signed_z(table$estimate, table$p_value)
  group <- if (length(by) == 0) rep(1L, nrow(table)) else match(table[[by]], table[[by]])
  if (is.null(null)) {
    nulls <- lapply(split(z, group), empirical_null, method)
    at <- match(group, names(nulls))
  } else {
    at <- stratum_of(table$mean, null)
    nulls <- nulls_by_stratum(null, method)
  }
  table$null_mean <- vapply(nulls, `[[`, 0, "mean", USE.NAMES = FALSE)[at]
  table$null_sd <- vapply(nulls, `[[`, 0, "sd", USE.NAMES = FALSE)[at]
  sd <- if (shrink) table$null_sd else pmax(table$null_sd, 1)
  corrected <- (z - table$null_mean) / sd
  table$p_value_recalibrated <- 2 * stats::pnorm(-abs(corrected))
  table$q_value_recalibrated <- stats::ave(
    table$p_value_recalibrated, group,
    FUN = function(p) stats::p.adjust(p, "BH")
  )
  table
}

#' @rdname recalibrate
#' @export
empirical_null <- function(z, method = c("efron", "median")) {
  method <- first_choice(method, c("efron", "median"))
  z <- z[is.finite(z)]
  centre <- c(mean = stats::median(z), sd = stats::mad(z))
  if (length(z) < 20 || !isTRUE(centre[["sd"]] > 0)) {
    return(c(mean = NA_real_, sd = NA_real_))
  }
  if (method == "median") centre else central_null(z, centre)
}

# z of which the null's share lies within some of its standard deviations (locfdr's rule
# for how many), by maximum likelihood of a normal distribution cut off there.
central_null <- function(z, start) {
  width <- 4.3 * exp(-0.26 * log10(length(z)))
  bounds <- start[["mean"]] + c(-1, 1) * width * start[["sd"]]
  inside <- z[z >= bounds[1] & z <= bounds[2]]
  minus_log_likelihood <- function(parameter) {
    mean <- parameter[1]
    sd <- exp(parameter[2])
    within <- diff(stats::pnorm(bounds, mean, sd))
    length(inside) * log(within) - sum(stats::dnorm(inside, mean, sd, log = TRUE))
  }
  best <- stats::optim(
    c(start[["mean"]], log(start[["sd"]])), minus_log_likelihood,
    method = "BFGS", control = list(reltol = 1e-12)
  )
  c(mean = best$par[1], sd = exp(best$par[2]))
}

# z of two-sided p-values, with the sign of the effect.
signed_z <- function(effect, p_value) {
  size <- stats::qnorm(log(p_value) - log(2), lower.tail = FALSE, log.p = TRUE)
  ifelse(effect < 0, -size, size)
}

# The stratum of the calibration that each mean belongs to.
stratum_of <- function(mean, calibration, call = caller_env()) {
  if (!inherits(calibration, "scoria_calibration")) {
    scoria_abort(
      "{.arg null} must be what {.fn check_calibration} returned, or {.code NULL}; not
       {.obj_type_friendly {calibration}}.",
      "argument", call
    )
  }
  if (is.null(mean)) {
    scoria_abort(
      "{.arg table} has no column {.field mean}, by which {.arg null} has its strata.",
      "argument", call
    )
  }
  most <- calibration$strata$mean
  findInterval(mean, most[-length(most)], left.open = TRUE) + 1L
}

# The chi-squared statistic of the median p-value, over that of 0.5: 1 where they are
# uniform.
inflation <- function(p) {
  stats::qchisq(stats::median(p), 1, lower.tail = FALSE) / stats::qchisq(0.5, 1)
}

nulls_by_stratum <- function(calibration, method) {
  table <- calibration$table
  strata <- factor(table$stratum, calibration$strata$stratum)
  lapply(split(signed_z(table$estimate, table$p_value), strata), empirical_null, method)
}

check_p_table <- function(table, by, call = caller_env()) {
  missing <- setdiff(c("estimate", "p_value", by), names(table))
  if (!is.data.frame(table) || length(missing) > 0) {
    scoria_abort(
      "{.arg table} must be a table of coefficients with the column{?s}
       {.field {missing}}.",
      "argument", call
    )
  }
}
