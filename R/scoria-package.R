#' @keywords internal
#' @importFrom Matrix colSums
#' @importFrom methods as is slot
#' @importFrom rlang %||% caller_env
#' @importFrom stats coef nobs
"_PACKAGE"
