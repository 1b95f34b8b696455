#' What mash() found
#'
#' @description
#' Parts of a result of [mash()], and counts made of it, by mashr's names. They work on
#' results of mashr itself, too; those of one matrix also on results of [ash()].
#'
#' @param m A result of [mash()].
#' @param thresh,lfsr_thresh Effects with a local false sign rate below this are
#'   significant. Default 0.05.
#' @param conditions Names or numbers of the conditions to look at. Default `NULL`: all.
#' @param sig_fn What is compared with `thresh`. Default `get_lfsr`.
#' @param factor Effects are shared that differ by less than this factor. Default 0.5.
#' @param FUN Applied to effects before they are compared: with `abs` signs may differ.
#' @param dimension What weights are summed over: with `"cov"` (default) the scales, to one
#'   for each covariance; with `"grid"` the covariances; with `"all"` nothing.
#' @return
#' * `get_pm()`, `get_psd()`, `get_lfsr()`, `get_lfdr()`, `get_np()`: matrices of genes x
#'   conditions, of posterior means and standard deviations, local false sign rates,
#'   probabilities that effects are zero, and below zero.
#' * `get_significant_results()`: row numbers of genes with a significant effect in any
#'   condition, the most certain first, named.
#' * `get_n_significant_conditions()`: for each gene, in how many.
#' * `get_pairwise_sharing()`: a matrix of conditions x conditions: of the genes with a
#'   significant effect in one of the two, the share with effects of the same sign, within
#'   `factor` of each other.
#' * `get_estimated_pi()`: weights.
#' * `get_loglik()`: the log-likelihood.
#' @seealso [mash()]
#' @examples
#' Bhat <- matrix(rnorm(400), 100) + rep(c(0, 3), c(80, 20))
#' dimnames(Bhat) <- list(paste0("gene", 1:100), c("A", "B", "C", "D"))
#' fit <- mash(list(Bhat = Bhat, Shat = array(1, dim(Bhat), dimnames(Bhat))))
#' head(get_significant_results(fit))
#' get_pairwise_sharing(fit)
#' get_estimated_pi(fit)
#' @export
get_lfsr <- function(m) m$result$lfsr

#' @rdname get_lfsr
#' @export
get_pm <- function(m) m$result$PosteriorMean

#' @rdname get_lfsr
#' @export
get_psd <- function(m) m$result$PosteriorSD

#' @rdname get_lfsr
#' @export
get_np <- function(m) m$result$NegativeProb

#' @rdname get_lfsr
#' @export
get_lfdr <- function(m) m$result$lfdr

#' @rdname get_lfsr
#' @export
get_significant_results <- function(m, thresh = 0.05, conditions = NULL,
                                    sig_fn = get_lfsr) {
  least <- apply(of_conditions(sig_fn(m), conditions), 1, min)
  significant <- which(least < thresh)
  significant[order(least[significant])]
}

#' @rdname get_lfsr
#' @export
get_n_significant_conditions <- function(m, thresh = 0.05, conditions = NULL,
                                         sig_fn = get_lfsr) {
  rowSums(of_conditions(sig_fn(m), conditions) < thresh)
}

#' @rdname get_lfsr
#' @export
get_pairwise_sharing <- function(m, factor = 0.5, lfsr_thresh = 0.05,
                                 FUN = identity) { # nolint
  significant <- get_lfsr(m) < lfsr_thresh
  effects <- FUN(get_pm(m))
  conditions <- ncol(significant)
  shared <- matrix(
    NA_real_, conditions, conditions,
    dimnames = list(colnames(significant), colnames(significant))
  )
  for (i in seq_len(conditions)) {
    for (j in seq_len(i)) {
      either <- significant[, i] | significant[, j]
      ratio <- effects[either, i] / effects[either, j]
      shared[i, j] <- shared[j, i] <- mean(ratio > factor & ratio < 1 / factor)
    }
  }
  shared
}

#' @rdname get_lfsr
#' @export
get_estimated_pi <- function(m, dimension = c("cov", "grid", "all")) {
  dimension <- first_choice(dimension, c("cov", "grid", "all"))
  g <- m$fitted_g
  if (dimension == "all") {
    return(g$pi)
  }
  null <- if (g$usepointmass) c(null = g$pi[[1]])
  rest <- if (g$usepointmass) g$pi[-1] else g$pi
  weights <- matrix(rest, length(g$Ulist))
  if (dimension == "cov") {
    c(null, stats::setNames(rowSums(weights), names(g$Ulist)))
  } else {
    c(null, stats::setNames(colSums(weights), seq_along(g$grid)))
  }
}

#' @rdname get_lfsr
#' @export
get_loglik <- function(m) m$loglik

of_conditions <- function(matrix, conditions) {
  if (is.null(conditions)) matrix else matrix[, conditions, drop = FALSE]
}
