#' Predict the expression of every gene
#'
#' @description
#' `model_predictions()` returns what every gene's model predicts for cells that are
#' described by `new_data`, as a matrix.
#'
#' @param model_tbl What [fit_models()] returned, or rows of it.
#' @param new_data A data frame (or DataFrame) with the formula's variables, and with
#'   `Size_Factor` where size factors are part of the model: one row a prediction.
#' @param type What to predict:
#'   * `"response"` (default): the mean count (of the family binomial, the probability).
#'   * `"link"`: the linear predictor, with the logarithm of the size factor.
#'   * `"count"`, `"zero"`: of models of zero inflation, the mean of the part that counts,
#'     and the probability of an additional zero.
#'
#' @return A numeric matrix, genes x rows of `new_data`. Row names are the genes' ids,
#' column names the row names of `new_data`. The row of a gene that could not be fitted is
#' `NA`, and so is the column of a row of `new_data` with a missing value. Where a
#' coefficient has no finite estimate, the mean that the model goes to, nearly zero, is
#' predicted.
#'
#' @section Where monocle3 differs:
#' What is wrong for all genes alike (a column that `new_data` lacks, an unknown level of
#' a factor, an unknown `type`) is an error here, of the class
#' `scoria_error_argument`, and a matrix of `NA` there. In the family negbinomial
#' it multiplies means by a power of the size factor, as does
#' `fit_models(size_factors = "covariate")` here.
#'
#' @examples
#' counts <- matrix(rpois(200, 3), 4, dimnames = list(paste0("gene", 1:4), NULL))
#' cells <- data.frame(treated = rep(0:1, 25), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated", cell_metadata = cells)
#' model_predictions(fits, data.frame(treated = 0:1, Size_Factor = 1))
#' @export
model_predictions <- function(model_tbl, new_data, type = "response") {
  check_model_table(model_tbl)
  type <- first_choice(type, c("response", "link", "count", "zero"))
  new_data <- as_new_data(new_data)
  models <- unname(model_tbl$model)
  predicted <- matrix(
    NA_real_, length(models), nrow(new_data),
    dimnames = list(as.character(model_tbl$gene_id), rownames(new_data))
  )
  # One group, unless rows of several calls were put together.
  calls <- vapply(models, function(model) rlang::obj_address(model$shared), "")
  for (rows in split(seq_along(models), calls)) {
    first <- models[[rows[1]]]
    predicted[rows, ] <- predict_genes(
      first, models[rows], new_data, type, rlang::current_env()
    )
  }
  predicted
}

as_new_data <- function(new_data, call = caller_env()) {
  if (is(new_data, "DataFrame")) {
    columns <- as_covariates(new_data)
    names <- rownames(new_data) %||% seq_len(nrow(new_data))
    return(structure(columns, class = "data.frame", row.names = names))
  }
  if (!is.data.frame(new_data)) {
    scoria_abort(
      "{.arg new_data} must be a data frame, not {.obj_type_friendly {new_data}}.",
      c("newdata", "argument"), call
    )
  }
  new_data
}

# Predictions of models of one call, genes x rows; `first` is one of them.
predict_genes <- function(first, models, new_data, type, call) UseMethod("predict_genes")

# The model matrix is built once.
#' @method predict_genes scoria_model
#' @export
predict_genes.scoria_model <- function(first, models, new_data, type, call) {
  if (!type %in% c("response", "link")) {
    scoria_abort(
      "{.code type = {.val {type}}} is for models of zero inflation, not for the family
       {.val {first$shared$family}}.",
      "argument", call
    )
  }
  shared <- first$shared
  rows <- new_rows(shared, new_data, "new_data", call)
  kept <- shared$kept
  working <- vapply(models, function(model) model$working[kept], double(length(kept)))
  working <- matrix(working, length(kept))
  link <- crossprod(working, t(rows$matrix)) + rep(rows$offset, each = length(models))
  if (type == "link") link else stats::family(first)$linkinv(link)
}

#' @method predict_genes scoria_zero_inflated
#' @export
predict_genes.scoria_zero_inflated <- function(first, models, new_data, type, call) {
  one_by_one(models, new_data, type)
}

#' @method predict_genes scoria_mixed
#' @export
predict_genes.scoria_mixed <- function(first, models, new_data, type, call) {
  one_by_one(models, new_data, type)
}

one_by_one <- function(models, new_data, type) {
  predicted <- vapply(models, function(model) {
    if (model$status == "FAIL") {
      return(rep(NA_real_, nrow(new_data)))
    }
    as.double(stats::predict(model, new_data, type = type))
  }, double(nrow(new_data)))
  t(matrix(predicted, nrow(new_data)))
}

# New rows of a model's matrix, without columns that have no coefficient, and their
# offset.
new_rows <- function(shared, new_data, arg, call) {
  refuse <- function(message, .envir = parent.frame()) {
    scoria_abort(message, c("newdata", "argument"), call, .envir)
  }
  needed <- all.vars(shared$terms)
  if (shared$size_factors == "offset") needed <- c(needed, "Size_Factor")
  lacking <- setdiff(needed, names(new_data))
  if (length(lacking) > 0) {
    refuse("{.arg {arg}} has no column {.field {lacking}}.")
  }
  if ("Size_Factor" %in% needed) {
    sizes <- new_data$Size_Factor
    if (!all(is.na(sizes)) && (!is.numeric(sizes) || any(sizes <= 0, na.rm = TRUE))) {
      refuse("{.field Size_Factor} of {.arg {arg}} must be positive.")
    }
  }
  rlang::try_fetch(
    matrix <- new_matrix(shared, new_data),
    error = function(cnd) {
      refuse(c("Can't predict for {.arg {arg}}.", x = escape_braces(conditionMessage(cnd))))
    }
  )
  offset <- attr(matrix, "offset")
  if (shared$size_factors == "offset") {
    offset <- offset + log(as.double(new_data$Size_Factor))
  }
  list(matrix = matrix[, shared$kept, drop = FALSE], offset = offset)
}

# With what offset() adds in the formula as an attribute.
new_matrix <- function(shared, new_data) {
  frame <- stats::model.frame(
    shared$terms, new_data,
    na.action = stats::na.pass, xlev = shared$xlevels
  )
  # A column without any value may be of any type.
  known <- names(frame)[!vapply(frame, function(column) all(is.na(column)), NA)]
  classes <- attr(shared$terms, "dataClasses")
  stats::.checkMFClasses(classes[intersect(names(classes), known)], frame[known])
  matrix <- if (length(all.vars(shared$terms)) == 0) {
    # A formula without variables, ~ 1, makes a frame without rows.
    matrix(1, nrow(new_data), 1)
  } else {
    stats::model.matrix(shared$terms, frame, contrasts.arg = shared$contrasts)
  }
  offset <- stats::model.offset(frame) %||% numeric(nrow(new_data))
  structure(matrix, offset = offset)
}
