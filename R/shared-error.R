# How the errors of a screen's estimates go together ---------------------------
#
# Perturbations that are compared with the same cells share the error of these. To
# first order about the null (no effect), the estimate of a perturbation k is
# sum(w psi_k r) over the cells it is fitted on: those of the reference and its own. r are
# working residuals, of variance 1 / w; psi_k is its membership a_k less what the
# covariates X tell of it, psi_k = (a_k - X beta_k) / d_k, with beta_k = (X'WX)^-1 X'W a_k
# and d_k = a_k'W (a_k - X beta_k), the information on k in the joint model. Two
# estimates go together by the sum of w psi_j psi_k over the cells that both are
# fitted on: the reference, and what cells have both perturbations.
#
# The weights of a gene are mu / (1 + mu / theta); those here are proportional to the size
# factors, as for genes with few counts, so that one matrix stands for all genes.

# What is kept of that with a fit: by perturbation beta, `sums` = X'W a_k over the
# reference and `information` d_k, X'WX over the `reference`; `overlap`, of cells with two
# perturbations, is NULL where there are none, and NA where it would be too large.
shared_error <- function(design, offset, membership, reference_cells) {
  weights <- if (length(offset) == 0) rep(1, nrow(design)) else exp(offset - max(offset))
  within <- reference_cells %||% rep(TRUE, nrow(design))
  weighted <- design * weights
  sums_over <- function(cells, of = weighted) {
    as.matrix(Matrix::crossprod(membership[cells, , drop = FALSE], of[cells, , drop = FALSE]))
  }
  sums <- sums_over(within)
  own <- sums_over(!within)
  reference <- crossprod(design[within, , drop = FALSE], weighted[within, , drop = FALSE])
  # For each column of the design, the row of X'WX over a perturbation's own cells.
  products <- lapply(seq_len(ncol(design)), function(column) {
    sums_over(!within, weighted * design[, column])
  })
  total <- as.vector(Matrix::crossprod(membership, weights))
  beta <- matrix(NA_real_, nrow(sums), ncol(sums))
  for (k in seq_len(nrow(sums))) {
    extra <- vapply(products, function(product) product[k, ], double(ncol(design)))
    factor <- tryCatch(chol(reference + extra), error = function(e) NULL)
    if (!is.null(factor)) {
      beta[k, ] <- backsolve(factor, backsolve(factor, sums[k, ] + own[k, ], transpose = TRUE))
    }
  }
  information <- total - rowSums((sums + own) * beta)
  information[!is.na(information) & information <= 1e-8 * total] <- NA_real_
  list(
    beta = beta, sums = sums, reference = reference, information = information,
    overlap = shared_overlap(design, weights, membership, within, beta)
  )
}

shared_overlap <- function(design, weights, membership, within, beta) {
  most <- max(0, Matrix::rowSums(membership))
  if (most <= 1) {
    return(NULL)
  }
  if (ncol(membership) > max_overlapping()) {
    return(NA)
  }
  memberships <- methods::as(membership, "TsparseMatrix")
  cell <- memberships@i + 1L
  of <- memberships@j + 1L
  # 1 in the reference, where the rest is sums of the reference; what is left of the
  # membership elsewhere.
  fitted <- rowSums(design[cell, , drop = FALSE] * beta[of, , drop = FALSE])
  part <- sqrt(weights[cell]) * ifelse(within[cell], 1, 1 - fitted)
  part[is.na(part)] <- 0
  parts <- Matrix::sparseMatrix(cell, of, x = part, dims = dim(membership))
  overlap <- Matrix::crossprod(parts)
  Matrix::diag(overlap) <- 0
  Matrix::drop0(overlap)
}

# Beyond so many perturbations, cells with several give a table that is too large to
# be kept with every fit.
max_overlapping <- function() 1000L

# The correlation of two perturbations' errors, for those of these numbers: 0 for those
# that could not be estimated.
shared_correlation <- function(error, perturbations) {
  beta <- error$beta[perturbations, , drop = FALSE]
  sums <- error$sums[perturbations, , drop = FALSE]
  across <- tcrossprod(sums, beta)
  covariance <- beta %*% tcrossprod(error$reference, beta) - across - t(across)
  if (!is.null(error$overlap)) {
    covariance <- covariance + as.matrix(error$overlap[perturbations, perturbations])
  }
  scale <- sqrt(error$information[perturbations])
  correlation <- covariance / outer(scale, scale)
  correlation[is.na(correlation)] <- 0
  diag(correlation) <- 1
  correlation
}
