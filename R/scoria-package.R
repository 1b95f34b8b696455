#' @keywords internal
#' @importFrom Matrix sparseMatrix
#' @importFrom methods as is slot
#' @importFrom rlang %||% .data caller_env
#' @importFrom stats coef nobs
"_PACKAGE"
