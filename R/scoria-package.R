#' @keywords internal
#' @importFrom Matrix sparseMatrix
#' @importFrom methods as is slot
#' @importFrom rlang %||% caller_env
#' @importFrom stats coef nobs
"_PACKAGE"
