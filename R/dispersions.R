#' Estimate dispersions, and shrink them to their trend over the mean
#'
#' @description
#' `estimate_dispersions()` estimates the dispersion \eqn{\alpha = 1/\theta} of
#' every gene's negative binomial counts, whose variance is
#' \eqn{\mu + \alpha \mu^2}{mu + alpha mu^2}, in the three steps of DESeq2: each
#' gene's own estimate, a trend over the mean, and the estimate that is largest a
#' posteriori when the trend is taken for the prior's centre. Genes with few
#' counts borrow what they lack from the others.
#'
#' @param x Counts: anything that [fit_models()] takes.
#' @param formula The design: a formula without a left side, or a string, of the
#'   cells' metadata. Default `~ 1`. What it does not explain is dispersion.
#' @param ... Must be empty: the arguments below need their names.
#' @param threads Number of threads; `NULL`, the default, for the option
#'   `scoria.threads`, or else one. The result does not depend on it.
#' @param assay,cell_metadata,na_action,memory_limit As in [fit_models()].
#' @param progress Show a progress bar after two seconds? Default: in
#'   interactive sessions.
#'
#' @details
#' Logarithms are natural. Size factors are offsets, found as [fit_models()] finds
#' them.
#'
#' * `dispersion_gene` is the maximum of the profile likelihood with the adjustment
#'   of Cox and Reid (1987), \eqn{-\frac12 \log\det X^T W X}{-1/2 log det X'WX} with
#'   \eqn{W = \mu / (1 + \alpha \mu)}{W = mu / (1 + alpha mu)}, which takes the
#'   coefficients' degrees of freedom into account. It is 0 where counts are no
#'   more variable than Poisson counts, and `NA` where there is no maximum: with
#'   hardly more counts than coefficients.
#' * `dispersion_trend` is \eqn{a_0 + a_1 / mean}{a0 + a1 / mean}, fitted to genes
#'   with `dispersion_gene` above 1e-6 by a generalised linear model of the gamma
#'   family, in rounds that leave out genes below 1e-4 or above 15 times the trend.
#'   Where that fails, as a rule because dispersions do not fall with the mean, the
#'   trend is a local regression of log dispersion on log mean; with fewer than 20
#'   genes, the mean of their dispersions. A message says so.
#' * `dispersion` is the mode of the posterior: the prior of
#'   \eqn{\log\alpha}{log(alpha)} is normal about the trend. Its variance is the
#'   squared median absolute deviation of `log(dispersion_gene / dispersion_trend)`
#'   less the part that is estimation error, trigamma(degrees of freedom / 2), and
#'   at least 0.25. Genes whose own dispersion is above the trend by more than two
#'   such deviations are outliers, and keep their own, if their log-likelihood is
#'   lower at the trend by more than 2: two or three counts in thousands of cells
#'   may have any dispersion of their own, and say nothing.
#'
#' It differs from DESeq2's result in that coefficients are fitted anew at every
#' dispersion, that no mean is raised to 0.5, which would swamp the means of
#' single cells, that dispersions have neither a floor (1e-8) nor a ceiling, that
#' an outlier's likelihood is asked too, and that searches end at the optimum.
#' With three residual degrees of freedom or fewer DESeq2 finds the prior's
#' variance by simulation; here the formula above holds for all.
#'
#' @return A tibble with one row a gene, in the order of `x`:
#' \describe{
#'   \item{gene_id}{the gene's row name}
#'   \item{mean}{mean over cells of counts divided by size factors}
#'   \item{dispersion_gene, dispersion_trend, dispersion}{as above; the last is
#'     what to use}
#'   \item{outlier}{does `dispersion` stay what the gene's own is?}
#'   \item{status}{`"ok"`; `"all zero"`, no count; or `"not converged"`}
#' }
#' Its attributes are `trend`, a list of `type` (`"parametric"`, `"local"` or
#' `"mean"`) and `coefficients` (`asymptotic` and `extra_poisson`, or `mean`); and
#' `residual_variance` and `prior_variance`, of log dispersions about the trend.
#'
#' @section Errors:
#' Those of [fit_models()], and `scoria_error_dispersions` where no gene has a
#' dispersion above 1e-6 to fit a trend to.
#'
#' @references
#' Love, Huber and Anders (2014) *Genome Biology* 15:550. Cox and Reid (1987)
#' *Journal of the Royal Statistical Society B* 49:1. McCarthy, Chen and Smyth
#' (2012) *Nucleic Acids Research* 40:4288. Ahlmann-Eltze and Huber (2020)
#' *Bioinformatics* 36:5701.
#'
#' @examples
#' counts <- t(vapply(1:30, function(gene) {
#'   as.double(rnbinom(100, mu = gene, size = 1 / (0.2 + 0.5 / gene)))
#' }, numeric(100)))
#' cells <- data.frame(batch = rep(c("a", "b"), 50), Size_Factor = 1)
#' dispersions <- estimate_dispersions(counts, ~ batch, cell_metadata = cells)
#' dispersions
#' attr(dispersions, "trend")
#' @export
estimate_dispersions <- function(x, formula = ~ 1, ..., threads = NULL,
                                 assay = NULL, cell_metadata = NULL,
                                 na_action = c("fail", "omit"),
                                 memory_limit = NULL,
                                 progress = rlang::is_interactive()) {
  check_no_dots(..., of = "estimate_dispersions")
  na_action <- first_choice(na_action, c("fail", "omit"))
  threads <- resolve_threads(threads)
  memory_limit <- parse_memory(memory_limit)
  formula <- parse_formula(formula, env = caller_env())
  x <- open_if_path(x, assay, memory_limit = memory_limit)
  source <- as_source(x, assay, cell_metadata, threads = threads)
  model <- prepare_model(
    source, formula, "negbinomial", "offset", na_action, "x"
  )
  columns <- rust_estimate_dispersions(
    by_gene(model$counts, threads, memory_limit, progress), model$design$matrix,
    as.double(model$offset), list(threads = threads, memory_limit = memory_limit),
    progress_bar("Estimating dispersions", 2 * nrow(model$counts), progress)
  )
  check_counted(columns, source$counts, model$design$cells)
  assemble_dispersions(source$genes$gene_id, rust_value(columns))
}

assemble_dispersions <- function(gene_id, columns) {
  known <- function(values) replace(values, is.nan(values), NA)
  table <- tibble::tibble(
    gene_id = gene_id,
    mean = columns$mean,
    dispersion_gene = known(columns$gene_wise),
    dispersion_trend = known(columns$trend),
    dispersion = known(columns$dispersion),
    outlier = columns$outlier,
    status = c("ok", "all zero", "not converged")[columns$status + 1L]
  )
  type <- columns$trend_type
  names <- list(parametric = c("asymptotic", "extra_poisson"), mean = "mean")
  if (type != "parametric") {
    cli::cli_inform(
      "Dispersions do not follow {.code a0 + a1 / mean}: their trend is
       {c(local = 'a local regression', mean = 'their mean')[[type]]}."
    )
  }
  attr(table, "trend") <- list(
    type = type,
    coefficients = rlang::set_names(columns$trend_coefficients, names[[type]])
  )
  attr(table, "residual_variance") <- columns$residual_variance
  attr(table, "prior_variance") <- columns$prior_variance
  table
}
