# The correlation of errors between conditions of mash, without any effect -----

# `given` is a matrix or says how; `shared` is a function that gives it from what the
# fits share, or NULL where they do not say.
null_correlation <- function(given, data, shared, call = caller_env()) {
  if (is.matrix(given)) {
    return(check_correlation(given, data$Bhat, call))
  }
  ways <- c(if (!is.null(shared)) "shared", "simple", "identity")
  way <- if (is.null(given)) ways[1] else given
  if (identical(way, "shared") && is.null(shared)) {
    scoria_abort(c(
      "{.code V = \"shared\"} is for the perturbations of screens as conditions.",
      i = "Use {.val simple} or {.val identity}, or give a matrix."
    ), c("null_correlation", "argument"), call)
  }
  check_choice(way, ways, c("null_correlation", "argument"), "V", call)
  conditions <- colnames(data$Bhat)
  correlation <- switch(way,
    shared = shared(),
    simple = simple_correlation(data, call),
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

check_correlation <- function(given, estimates, call) {
  n <- ncol(estimates)
  square <- is.numeric(given) && all(dim(given) == n) && all(is.finite(given)) &&
    isSymmetric(unname(given))
  named <- all(vapply(dimnames(given), function(names) {
    is.null(names) || identical(names, colnames(estimates))
  }, NA))
  positive <- square && min(eigen(given, symmetric = TRUE, only.values = TRUE)$values) > 0
  if (!positive || !named) {
    scoria_abort(c(
      "{.arg V} must be a positive definite matrix of {n} x {n} conditions, in the order
       of the columns of {.field Bhat}.",
      x = "It is {nrow(given)} x {ncol(given)}{if (!named) ', with other names'}{
           if (square && !positive) ', and not positive definite'}."
    ), c("null_correlation", "argument"), call)
  }
  given
}

# Of z, over rows without an effect to speak of.
simple_correlation <- function(data, call) {
  z <- data$Bhat / data$Shat
  z[is.na(z)] <- 0
  null <- apply(abs(z), 1, max) < 2
  if (sum(null) < ncol(z)) {
    scoria_abort(c(
      "{.code V = \"simple\"} needs at least as many rows without effect (all |z| < 2) as
       there are conditions.",
      x = "There are {sum(null)} such rows and {ncol(z)} conditions.",
      i = "Use {.val identity}, or give a matrix."
    ), c("null_correlation", "argument"), call)
  }
  stats::cor(z[null, , drop = FALSE])
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
    ), c("null_correlation", "argument"), call)
  }
  shared_correlation(error, fit$shown$perturbations)
}

block_diagonal <- function(blocks) as.matrix(Matrix::bdiag(blocks))
