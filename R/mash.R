#' Shrink effects in many conditions together
#'
#' @description
#' `mash()` shrinks every gene's effects in all conditions (perturbations, say) together,
#' and learns from all genes which conditions share effects: the multivariate adaptive
#' shrinkage of Urbut et al. (2019). It needs no other package, finds what mashr's function
#' of the same name finds, and is fast with hundreds of conditions.
#'
#' @param data A list of estimated effects:
#'   * `Bhat`, `Shat`: matrices of genes x conditions, of effects and their standard
#'     errors, with the same names; `NA` in both where there is no estimate;
#'   * `V`, if errors are correlated: the conditions' correlation matrix, as
#'     [estimate_null_correlation_simple()] gives it, or one for each gene, an array of
#'     conditions x conditions x genes;
#'   * `df`, degrees of freedom of the standard errors, if they are few: one number, or a
#'     matrix;
#'   * `strong`, `random`: rows of genes with strong effects, of which data-driven
#'     covariances are made, and rows picked at random, on which weights are fitted.
#'
#'   Or what `mashr::mash_set_data()` returns.
#' @param covariances Covariances of effects, up to scale: any of `"canonical"` (default),
#'   `"pca"` and `"ed"` (or `"data-driven"`), see [cov_canonical()], and `"clusters"`, see
#'   [cov_clusters()], which many conditions need; a named list of matrices; or a list with
#'   both.
#' @param prior,nullweight,gridmult,threads,progress As in [ash()].
#' @param ... Must be empty: the arguments below need their names.
#' @param usepointmass Can all effects of a gene be zero? Default `TRUE`. If not, the null's
#'   prior is that of the first covariance with the smallest scale, as in mashr.
#' @param grid Scales that each covariance is multiplied by the square of. Default `NULL`:
#'   from a tenth of the smallest standard error to twice the largest effect that is no
#'   error.
#' @param normalizeU Divide each covariance by its largest variance? Default `TRUE`.
#' @param alpha Effects are alike on the scale of `Bhat / Shat^alpha`: 0 (default) for
#'   effects themselves, 1 for z-scores.
#' @param g A mixture to use: `fitted_g` of a result. Its weights are not fitted again.
#' @param pi_thresh Components with a smaller weight have no part in posteriors: 1e-10, and
#'   no other number.
#' @param verbose Say what is done with the data? Default `TRUE`.
#'
#' @section Missing estimates:
#' A gene's effect in a condition without an estimate has a posterior nonetheless, from
#' the other conditions. mashr gives it the estimate 0 and the standard error 1e6, which,
#' if errors are correlated, says that the errors of the others are those of a condition
#' where there was none; here a missing estimate says nothing. The log-likelihoods have a
#' constant, log(1e-6 / sqrt(2 pi)), for each, as mashr's do. With `alpha` above zero the
#' standard error is needed to say how large the effect is: its mean is `NA`.
#'
#' @section Cost:
#' Without `V`, time grows as genes x covariances x scales: 500 conditions with all
#' canonical covariances are thousands of components, and take minutes at most. With `V`, a
#' matrix of conditions x conditions is decomposed for every gene, unless all have the same
#' standard errors (`alpha = 1`).
#'
#' @return A list of class `mash` with mashr's names, which its functions, and
#' [get_lfsr()] and the like, understand:
#' \describe{
#'   \item{result}{matrices of genes x conditions: `PosteriorMean`, `PosteriorSD`, `lfsr`,
#'     `lfdr` (probability that the effect is zero), `NegativeProb`}
#'   \item{fitted_g}{the mixture: weights `pi` of the null and, for each scale of `grid`, of
#'     all of `Ulist`; `usepointmass`}
#'   \item{loglik, vloglik, null_loglik, alt_loglik}{the log-likelihood; of each gene; of
#'     each if it has no effect, and if it has one}
#'   \item{posterior_weights}{of each gene, of components with a weight above 1e-10}
#'   \item{alpha}{as given}
#' }
#'
#' @section Errors:
#' All have the class `scoria_error`: `scoria_error_data` where `Bhat` and `Shat` are not
#' matrices alike, have other names, `NA` in one alone, or values that are not finite;
#' `scoria_error_sebetahat` where a standard error is not above zero; `scoria_error_V`;
#' `scoria_error_covariances`; `scoria_error_argument`.
#'
#' @references Urbut, Wang, Carbonetto and Stephens (2019) *Nature Genetics* 51:187.
#' @seealso [cov_canonical()], [get_lfsr()], [ash()].
#' @examples
#' shared <- rbind(matrix(0, 150, 4), matrix(rnorm(50), 50, 4))
#' noise <- matrix(rnorm(800, sd = 0.3), 200)
#' Bhat <- shared + noise
#' dimnames(Bhat) <- list(paste0("gene", 1:200), c("A", "B", "C", "D"))
#' fit <- mash(list(Bhat = Bhat, Shat = array(0.3, dim(Bhat), dimnames(Bhat))))
#' fit
#' head(get_lfsr(fit))
#' @export
mash <- function(data, covariances = "canonical", prior = c("nullbiased", "uniform"),
                 nullweight = 10, usepointmass = TRUE, grid = NULL, ...,
                 gridmult = sqrt(2), normalizeU = TRUE, alpha = NULL, # nolint
                 g = NULL, pi_thresh = 1e-10, threads = NULL, verbose = TRUE,
                 progress = rlang::is_interactive()) {
  check_no_dots(..., of = "mash")
  threads <- resolve_threads(threads)
  if (!identical(pi_thresh, 1e-10)) {
    scoria_abort("{.arg pi_thresh} must be 1e-10, not {.val {pi_thresh}}.", "argument")
  }
  effects <- prepare_effects(data, alpha)
  if (verbose) {
    report_effects(effects)
  }
  if (is.null(g)) {
    ulist <- make_covariances(covariances, effects, threads, verbose)
    if (normalizeU) {
      ulist <- lapply(ulist, normalised)
    }
    g <- list(
      pi = NULL, Ulist = ulist, grid = grid %||% default_grid(effects, gridmult),
      usepointmass = usepointmass
    )
  }
  check_model(g)
  fit <- rust_value(rust_mash(c(rust_effects(effects), list(
    Ulist = unname(lapply(g$Ulist, rust_covariance)), grid = as.double(g$grid),
    point_mass = g$usepointmass, rows = effects$random,
    prior = mash_prior(prior, nullweight, g), weights = g$pi, threads = threads
  )), mash_progress(effects, g, progress)))
  assemble_mash(fit, g, effects)
}

mash_progress <- function(effects, g, progress) {
  fitted <- if (!is.null(g$pi)) 0 else length(effects$random %||% effects$genes)
  progress_bar("Shrinking effects", fitted + length(effects$genes), progress)
}

mash_prior <- function(prior, nullweight, g) {
  # As mashr: without a null the first component, next to it, takes its place.
  prior_counts(prior, nullweight, n_components(g), 1L)
}

default_grid <- function(effects, gridmult) {
  rows <- effects$random %||% seq_along(effects$genes)
  scale_grid(effects$Bhat[rows, ], effects$Shat[rows, ], gridmult, caller_env(2))
}

normalised <- function(u) {
  largest <- max(Matrix::diag(u))
  if (largest > 0 && largest != 1) u / largest else u
}

check_model <- function(g, call = caller_env()) {
  complete <- all(c("Ulist", "grid", "usepointmass") %in% names(g))
  if (!complete || !is.numeric(g$grid) || !isTRUE(all(g$grid > 0))) {
    scoria_abort(
      "{.arg grid} must be numbers above zero, and {.arg g} {.field fitted_g} of a result
       of {.fn mash}.", "argument", call
    )
  }
  n <- n_components(g)
  if (!is.null(g$pi) && (length(g$pi) != n || abs(sum(g$pi) - 1) > 1e-6)) {
    scoria_abort(
      "{.field pi} of {.arg g} must be {n} weight{?s} that sum up to one.",
      "argument", call
    )
  }
}

n_components <- function(g) g$usepointmass + length(g$Ulist) * length(g$grid)

component_names <- function(g) {
  c(
    if (g$usepointmass) "null",
    paste0(
      rep(names(g$Ulist), times = length(g$grid)), ".",
      rep(seq_along(g$grid), each = length(g$Ulist))
    )[seq_len(length(g$Ulist) * length(g$grid))]
  )
}

assemble_mash <- function(fit, g, effects) {
  names <- dimnames(effects$Bhat)
  genes <- length(effects$genes)
  as_matrix <- function(values) matrix(values, genes, dimnames = names)
  scale <- effects$Shat_alpha %||% 1
  components <- component_names(g)
  g$pi <- stats::setNames(fit$pi, components)
  by_gene <- function(values) {
    values <- values + effects$constant
    if (is.null(effects$genes_given)) values else stats::setNames(values, effects$genes)
  }
  vloglik <- by_gene(fit$log_likelihood)
  structure(list(
    result = list(
      PosteriorMean = as_matrix(fit$mean) * scale,
      PosteriorSD = as_matrix(fit$sd) * scale,
      lfdr = as_matrix(fit$lfdr), NegativeProb = as_matrix(fit$negative),
      lfsr = as_matrix(fit$lfsr)
    ),
    loglik = sum(vloglik), vloglik = vloglik,
    null_loglik = if (g$usepointmass) by_gene(fit$null_log_likelihood),
    alt_loglik = by_gene(fit$alt_log_likelihood),
    fitted_g = g[c("pi", "Ulist", "grid", "usepointmass")],
    posterior_weights = matrix(
      fit$weights, genes, dimnames = list(effects$genes_given, components[fit$used])
    ),
    alpha = effects$alpha
  ), class = c("mash", "scoria_mash"))
}

#' @method print scoria_mash
#' @export
print.scoria_mash <- function(x, ...) {
  g <- x$fitted_g
  shares <- sort(get_estimated_pi(x), decreasing = TRUE)
  shares <- utils::head(shares[shares > 0.005], 5)
  below <- get_lfsr(x) < 0.05
  conditions <- colSums(below)
  most <- utils::head(sort(conditions[conditions > 0], decreasing = TRUE), 5)
  cat(
    "<mash> ", big(nrow(below)), " genes x ", big(ncol(below)), " conditions, ",
    length(g$Ulist), " covariances x ", length(g$grid), " scales\n",
    "Log-likelihood: ", format(x$loglik, digits = 8), "\n",
    "Largest weights: ", paste(names(shares), signif(shares, 3), collapse = ", "), "\n",
    "Significant (lfsr < 0.05): ", big(sum(below)), " effects of ",
    big(sum(rowSums(below) > 0)), " genes\n",
    if (length(most) > 0 && !is.null(names(most))) {
      paste0(
        "  (", paste(names(most), most, collapse = ", "),
        if (sum(conditions > 0) > length(most)) ", ...", ")\n"
      )
    },
    sep = ""
  )
  invisible(x)
}

#' @method summary scoria_mash
#' @export
summary.scoria_mash <- function(object, thresh = 0.05, ...) {
  lfsr <- get_lfsr(object)
  tibble::tibble(
    condition = colnames(lfsr) %||% as.character(seq_len(ncol(lfsr))),
    n_significant = as.integer(colSums(lfsr < thresh)),
    n_negative = as.integer(colSums(lfsr < thresh & get_pm(object) < 0, na.rm = TRUE)),
    median_lfsr = apply(lfsr, 2, stats::median)
  )
}

#' @method as_tibble scoria_mash
#' @export
as_tibble.scoria_mash <- function(x, ...) {
  lfsr <- get_lfsr(x)
  genes <- rownames(lfsr) %||% as.character(seq_len(nrow(lfsr)))
  conditions <- colnames(lfsr) %||% as.character(seq_len(ncol(lfsr)))
  tibble::tibble(
    gene_id = rep(genes, times = length(conditions)),
    condition = rep(conditions, each = length(genes)),
    posterior_mean = as.vector(get_pm(x)), posterior_sd = as.vector(get_psd(x)),
    lfsr = as.vector(lfsr)
  )
}
