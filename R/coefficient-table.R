#' The table of coefficients
#'
#' @description
#' `coefficient_table()` returns one row a gene and term, with monocle3's
#' columns in monocle3's order. For what [fit_screen()] returns, see
#' [its method][coefficient_table.ScreenFit].
#'
#' @param model_tbl What [fit_models()] returned, or rows of it.
#' @param adjust How `q_value` is adjusted for multiple testing: a method of
#'   [stats::p.adjust()]. Default `"holm"`, as in monocle3 (whose documentation
#'   says Benjamini and Hochberg: `"BH"`).
#' @param ... Not used; an unknown argument is an error.
#'
#' @return A tibble: the columns of `model_tbl`, and
#' \describe{
#'   \item{term}{column of the model matrix; `Log(theta)` in the family
#'     zinegbinomial}
#'   \item{estimate}{coefficient, on the scale of the link: natural logarithm,
#'     logit in the family binomial; `NA` for an aliased term; `Inf`, `-Inf` or
#'     `NA` where there is no finite optimum}
#'   \item{std_err}{its standard error}
#'   \item{test_val}{`estimate / std_err`: t in the families quasipoisson and
#'     gaussian, else z}
#'   \item{p_value}{two-sided p-value of the hypothesis that it is zero}
#'   \item{normalized_effect}{`log2((m1 + 0.01) / (m0 + 0.01))`, where `m0` is the
#'     mean that the first coefficient alone gives and `m1` the mean with this
#'     coefficient added, both at size factor 1; 0 for the first coefficient. For
#'     an infinite `estimate` it is finite, for the mean then is zero, and the
#'     0.01 is not}
#'   \item{model_component}{`"count"`, or `"zero"` for the zero part of a
#'     zero-inflated model, whose `normalized_effect` is `NA`}
#'   \item{q_value}{`p_value`, adjusted over the genes of the table within each
#'     term}
#'   \item{status_detail}{moved to the end}
#' }
#' Genes that could not be fitted keep one row, with `NA` in these columns.
#'
#' @examples
#' counts <- matrix(rpois(200, 3), 4, dimnames = list(paste0("gene", 1:4), NULL))
#' cells <- data.frame(treated = rep(0:1, 25), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated", cell_metadata = cells)
#' coefficient_table(fits, adjust = "BH")
#' @seealso [evaluate_fits()], [compare_models()], [model_predictions()].
#' @export
coefficient_table <- function(model_tbl, ...) UseMethod("coefficient_table")

#' @rdname coefficient_table
#' @export
coefficient_table.default <- function(model_tbl, adjust = "holm", ...) {
  check_no_dots(..., of = "coefficient_table.default")
  check_model_table(model_tbl)
  adjust <- first_choice(adjust, stats::p.adjust.methods)
  rows <- lapply(unname(model_tbl$model), coefficient_rows)
  lengths <- vapply(rows, function(row) length(row$term), 1L)
  table <- as.list(model_tbl[rep(seq_along(rows), lengths), ])
  table$q_value <- NULL
  for (column in setdiff(table_columns(), "q_value")) {
    values <- lapply(rows, `[[`, column)
    none <- if (column %in% c("term", "model_component")) "" else 0
    table[[column]] <- unlist(values, use.names = FALSE) %||% none[0]
  }
  group <- paste(table$model_component, table$term)
  table$q_value <- stats::ave(
    as.double(table$p_value), group,
    FUN = function(p) stats::p.adjust(p, adjust)
  )
  last <- table["status_detail"]
  table$status_detail <- NULL
  tibble::as_tibble(c(table, last))
}

# The columns that a table of coefficients adds, in monocle3's order.
table_columns <- function() {
  c(
    "term", "estimate", "std_err", "test_val", "p_value", "normalized_effect",
    "model_component", "q_value"
  )
}

coefficient_rows <- function(model) {
  if (model$status == "FAIL") {
    return(list(
      term = NA_character_, estimate = NA_real_, std_err = NA_real_,
      test_val = NA_real_, p_value = NA_real_, normalized_effect = NA_real_,
      model_component = NA_character_
    ))
  }
  if (inherits(model, "scoria_zero_inflated")) {
    return(zero_inflated_rows(model))
  }
  rows <- model_coefficients(model)
  rows$normalized_effect <- normalized_effect(model)
  rows$model_component <- rep("count", length(rows$term))
  rows
}

# Separated coefficients stand with the finite values that reproduce the fitted
# means.
normalized_effect <- function(model) {
  pseudocount <- 0.01
  inverse_link <- switch(model$shared$family,
    gaussian = identity,
    binomial = stats::plogis,
    `mixed-negbinomial` = exp,
    function(eta) pmax(exp(eta), .Machine$double.eps)
  )
  working <- model$working
  base <- inverse_link(working[1])
  raised <- inverse_link(working + working[1])
  # Of a negative mean, in the gaussian family, there is no logarithm.
  effect <- suppressWarnings(
    log2((raised + pseudocount) / (base + pseudocount))
  )
  undetermined <- is.na(model$coefficients) | is.na(model$coefficients[1])
  effect[undetermined] <- NA_real_
  effect[1] <- 0
  effect
}

check_model_table <- function(model_tbl, arg = rlang::caller_arg(model_tbl),
                              call = caller_env()) {
  needed <- c("model", "status", "status_detail")
  ours <- is.data.frame(model_tbl) && all(needed %in% names(model_tbl)) &&
    all(vapply(model_tbl$model, inherits, NA, "scoria_model"))
  if (!ours) {
    scoria_abort(
      "{.arg {arg}} must be what {.fn fit_models} returned, not
       {.obj_type_friendly {model_tbl}}.",
      c("model_table", "argument"), call
    )
  }
}
