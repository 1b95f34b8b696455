# The correlation of errors between conditions of mash, without any effect -----

# `given` is a matrix or says how; `shared` is a function that gives it from what the
# fits share, or NULL where they do not say.
null_correlation <- function(given, data, shared, call = caller_env()) {
  if (is.matrix(given)) {
    return(check_given_correlation(given, data$Bhat, call))
  }
  ways <- c(if (!is.null(shared)) "shared", "simple", "identity")
  way <- if (is.null(given)) ways[1] else given
  if (identical(way, "shared") && is.null(shared)) {
    scoria_abort(c(
      "{.code V = \"shared\"} is for the perturbations of screens as conditions.",
      i = "Use {.val simple} or {.val identity}, or give a matrix."
    ), c("V", "argument"), call)
  }
  check_choice(way, ways, c("V", "argument"), "V", call)
  conditions <- colnames(data$Bhat)
  correlation <- switch(way,
    shared = shared(),
    simple = estimate_null_correlation_simple(data),
    identity = diag(length(conditions))
  )
  dimnames(correlation) <- list(conditions, conditions)
  positive_definite(correlation)
}

# Groups of cells that are each compared with all others have errors of which one tells
# the last: their correlation has no inverse. So much of the identity is mixed in that it
# has one.
positive_definite <- function(correlation, least = 1e-4) {
  factor <- tryCatch(chol(correlation), error = function(e) NULL)
  if (!is.null(factor) && min(diag(factor))^2 > least) {
    return(correlation)
  }
  smallest <- min(eigen(correlation, symmetric = TRUE, only.values = TRUE)$values)
  share <- max(0, (least - smallest) / (1 - smallest))
  (1 - share) * correlation + share * diag(nrow(correlation))
}

# Also that it is in the order of the conditions.
check_given_correlation <- function(given, estimates, call) {
  others <- Filter(Negate(is.null), dimnames(given))
  others <- Filter(function(names) !identical(names, colnames(estimates)), others)
  if (length(others) > 0) {
    scoria_abort(c(
      "{.arg V} must have the names of the conditions, in their order, or none.",
      x = "It has {.val {utils::head(others[[1]], 5)}}, the conditions are
           {.val {utils::head(colnames(estimates), 5)}}."
    ), c("V", "argument"), call)
  }
  check_correlation(given, dim(estimates), call)
}

screen_correlation <- function(fit, call = caller_env()) {
  error <- fit$shared_error
  if (is.null(error) || identical(error$overlap, NA)) {
    why <- if (is.null(error)) {
      "The fit does not say: it was made by an earlier release."
    } else {
      "Cells have several perturbations, and there are more than {max_overlapping()}."
    }
    scoria_abort(c(
      "{.code V = \"shared\"}: what the errors share is not known.",
      x = why, i = "Use {.val simple} or {.val identity}."
    ), c("V", "argument"), call)
  }
  shared_correlation(error, fit$shown$perturbations)
}

block_diagonal <- function(blocks) as.matrix(Matrix::bdiag(blocks))
