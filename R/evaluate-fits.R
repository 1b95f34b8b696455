#' How well each gene's model fits
#'
#' @description
#' `evaluate_fits()` returns one row a gene, with monocle3's columns in monocle3's
#' order.
#'
#' @param model_tbl What [fit_models()] returned, or rows of it.
#'
#' @return A tibble: the columns of `model_tbl` that are not lists, and
#' \describe{
#'   \item{null_deviance}{deviance of the model of the intercept alone, with the same
#'     offset; in the family negbinomial at the `theta` of the gene's model}
#'   \item{df_null}{its residual degrees of freedom: the number of cells minus one}
#'   \item{logLik}{log-likelihood; `NA` in the family quasipoisson, which has none}
#'   \item{AIC}{Akaike's criterion: `-2 logLik + 2 p`. p counts the coefficients, and
#'     `theta` or the residual variance where the family has one}
#'   \item{BIC}{Schwarz's criterion: `-2 logLik + p log(cells)`}
#'   \item{deviance}{deviance of the model}
#'   \item{df_residual}{its residual degrees of freedom: the number of cells minus that of
#'     coefficients}
#'   \item{status_detail}{moved to the end}
#' }
#' Genes that could not be fitted have `NA` in these columns.
#'
#' @section Where monocle3 differs:
#' * Its `BIC` repeats `AIC`, or is `NA`. Here it is Schwarz's.
#' * Its `null_deviance` leaves out the size factors in the families that it fits with
#'   speedglm, and so compares models of different data. Here the null model has the
#'   offset of the model, as in [stats::glm()]; where the formula has no intercept, the null
#'   model is the offset alone, and `df_null` is the number of cells, also as there.
#' * Of a gene without a count it shows the numbers of the iteration at which it gave up.
#'   Here they are `NA`.
#'
#' @seealso [compare_models()] for tests of one model against another.
#' @examples
#' counts <- matrix(rpois(200, 3), 4, dimnames = list(paste0("gene", 1:4), NULL))
#' cells <- data.frame(treated = rep(0:1, 25), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated",
#'   expression_family = "negbinomial", cell_metadata = cells
#' )
#' evaluate_fits(fits)
#' @export
evaluate_fits <- function(model_tbl) {
  check_model_table(model_tbl)
  kept <- as.list(model_tbl)[!vapply(model_tbl, is.list, NA)]
  last <- kept["status_detail"]
  kept$status_detail <- NULL
  kept <- rename_clashes(kept, names(evaluations()))
  models <- unname(model_tbl$model)
  fitted <- vapply(models, function(model) model$status == "OK", NA)
  for (column in names(evaluations())) {
    measure <- evaluations()[[column]]
    values <- rep(measure$none, length(models))
    values[fitted] <- unlist(lapply(models[fitted], measure$of))
    kept[[column]] <- values
  }
  tibble::as_tibble(c(kept, last))
}

# The columns that are added, in monocle3's order: how each is found of a model, and what
# it is of a gene that failed. By generic functions, for there are several classes of
# models.
evaluations <- function() {
  list(
    null_deviance = list(of = null_deviance, none = NA_real_),
    df_null = list(of = null_df, none = NA_integer_),
    logLik = list(of = function(model) as.numeric(stats::logLik(model)), none = NA_real_),
    AIC = list(of = stats::AIC, none = NA_real_),
    BIC = list(of = stats::BIC, none = NA_real_),
    deviance = list(of = stats::deviance, none = NA_real_),
    df_residual = list(of = stats::df.residual, none = NA_integer_)
  )
}

# The null deviance -----------------------------------------------------------------

# Of a model that was fitted; there is none where the null model would need a fit of its
# own.
null_deviance <- function(model) UseMethod("null_deviance")

#' @method null_deviance scoria_model
#' @export
null_deviance.scoria_model <- function(model) model$null_deviance

#' @method null_deviance scoria_zero_inflated
#' @export
null_deviance.scoria_zero_inflated <- function(model) NA_real_

#' @method null_deviance scoria_mixed
#' @export
null_deviance.scoria_mixed <- function(model) NA_real_

# The null model's residual degrees of freedom.
null_df <- function(model) UseMethod("null_df")

#' @method null_df scoria_model
#' @export
null_df.scoria_model <- function(model) {
  stats::nobs(model) - as.integer(model$shared$intercept)
}

# As in pscl: an intercept for the counts, and one for the zeros.
#' @method null_df scoria_zero_inflated
#' @export
null_df.scoria_zero_inflated <- function(model) stats::nobs(model) - 2

#' @method null_df scoria_mixed
#' @export
null_df.scoria_mixed <- function(model) NA_integer_
