#' Fit every gene against every perturbation of a screen
#'
#' @description
#' `fit_screen()` fits one model for each pair of a gene and a perturbation: the
#' gene's counts as a function of the covariates of `formula` and of whether a
#' cell has the perturbation, by maximum likelihood in all of its coefficients
#' together. The result holds an estimate, a standard error and a p-value for
#' every pair; [coefficient_table()] makes a table of it, or of a part.
#'
#' @param x Counts: a SingleCellExperiment, a monocle3 `cell_data_set`, a
#'   SummarizedExperiment, a Seurat object, a matrix (dense, sparse, delayed) of
#'   genes x cells together with `cell_metadata`, or the path of a file: see
#'   [open_h5ad()].
#' @param perturbation Which cells have which perturbation, one of
#'   * the name of a column of the cells' metadata with one label a cell, a
#'     factor or character vector (or these labels themselves). Levels without a
#'     cell are dropped;
#'   * a matrix, dense or sparse, of cells x perturbations: logical, or of zeros
#'     and ones, or, with `threshold`, of guide counts. Columns without a cell
#'     are kept, with the status `"no cells"`;
#'   * the name of an alternative experiment (of a Seurat object, of an assay)
#'     with guides in rows: its assay `"membership"`, or else its first, with
#'     values as in a matrix; of a file the name of a matrix in `obsm`, or of a
#'     type of features, as `"CRISPR Guide Capture"`.
#' @param formula Covariates: a formula, or a string, such as `~ batch +
#'   percent.mito`, as in [fit_models()]. The perturbation is added to it and
#'   must not be in it. Default `~ 1`: an intercept alone.
#' @param control Labels of the perturbations that are controls. They are not
#'   tested. Default `NULL`: see Controls.
#' @param reference What the cells with a perturbation are compared with:
#'   * `"control"`: control cells, which have a control and no other
#'     perturbation;
#'   * `"complement"`: all other cells;
#'   * `"perturbed"`: all other cells with a perturbation that is not a control.
#'
#'   Default: `"control"` if `control` is given or no cell has more than one
#'   perturbation; else `"complement"`, with a message.
#' @param pairs Which pairs to fit: `NULL` (default) for all, or a data frame
#'   with columns `gene` (or `gene_id`, `response_id`) and `perturbation` (or
#'   `grna_target`, `target`), one row a pair. [pairs_within()] makes one from
#'   positions in the genome.
#' @param family The distribution of the counts, each with a log link:
#'   `"negbinomial"` (default; variance \eqn{\mu + \mu^2 / \theta}{mu + mu^2 /
#'   theta}), `"poisson"`, or `"quasipoisson"` (Poisson estimates; variances
#'   times Pearson's \eqn{X^2} over its degrees of freedom in the null model).
#' @param dispersion Where the negative binomial's theta comes from: `"null"`
#'   (default), maximum likelihood in the gene's model without perturbation;
#'   `"pair"`, in the model of each pair; `"trend"`, the gene's, shrunken
#'   towards a trend over the mean.
#' @param test `"wald"` (default), `"lrt"` for the likelihood ratio, `"score"`,
#'   or `"calibrated"`: the score against its distribution over resampled
#'   perturbations, the probability of a sum of residuals as far from its mean.
#' @param se Standard errors: from the `"expected"` information (default), as
#'   [MASS::glm.nb()], from the `"observed"`, or the `"sandwich"` (HC0): valid
#'   where the variance is not as modelled, but too small with few perturbed
#'   cells (some 10 or fewer), and `NA` with one.
#' @param ... Not used; an unknown argument is an error. The arguments below need
#'   their names.
#' @param threads Number of threads; `NULL` (default) for the option
#'   `scoria.threads`, or else one. The result does not depend on it.
#' @param memory_limit The most memory that the fit may take: a number of bytes,
#'   or a text such as `"4GB"` (\eqn{10^9} bytes each) or `"4GiB"` (\eqn{2^{30}}).
#'   An error where it cannot be kept. Default `NULL`: no limit.
#' @param output Path of a file for the results, for screens whose results do
#'   not fit into memory (some 45 bytes a pair). Default `NULL`: in memory.
#' @param resume Go on with the file `output` of a call with the same data and
#'   arguments that was cut off? Default `FALSE`.
#' @param guide_targets Where `perturbation` says which cells have which guide:
#'   the guides' targets. Guides of one target become one perturbation, which a
#'   cell has if it has one of them. A data frame with columns `guide` (or
#'   `grna_id`, `guide_id`) and `target` (or `grna_target`, `perturbation`), a
#'   character vector of targets named by guide, or the name of a column of the
#'   guides' metadata.
#' @param threshold Where values are guide counts: a cell has a guide if its
#'   count is at least this.
#' @param resampling Of the calibrated test: `"permutation"` (default) of cells
#'   within `strata`, or `"conditional"`, each cell with the probability that a
#'   logistic model of the covariates gives it.
#' @param strata Of the permutations: the name of a column of the cells'
#'   metadata, or one value a cell. Default `NULL`: one stratum.
#' @param size_factors `"offset"` (default), `"covariate"` or `"none"`: as in
#'   [fit_models()], where the section Size factors says where they come from.
#' @param assay,cell_metadata,gene_metadata As in [fit_models()]. Of a file,
#'   `assay` names the matrix.
#' @param na_action What to do with cells without a label, or with `NA` in a
#'   variable of the formula: `"fail"` (default), with an error that counts
#'   them, or `"omit"` them with a message.
#' @param verbose Report what is done? Default `FALSE`.
#' @param progress Show a progress bar after two seconds? Default: in
#'   interactive sessions.
#'
#' @section Controls:
#' Without `control`, and unless the reference is `"complement"`, controls are
#' found by their labels, with a message: those that contain, in any case,
#' "control", "ctrl", "non-targeting" ("nontargeting", "non_target" and the
#' like), "safe-targeting" or "scramble", and "NT" and "NTC" with or without a
#' number; but none with "positive". Labels that differ in numbers alone
#' ("non-targeting_1", "non-targeting_2") are controls together. With none, or
#' with several kinds, `control` must be given (for `"perturbed"`, there may be
#' none). With `"complement"`, controls are perturbations like any other, and
#' tested, unless `control` names them.
#'
#' Cells that are neither perturbed nor in the reference are left out before
#' anything is estimated, with a message.
#'
#' @section Which test:
#' The Wald test costs least, and is enough to rank. Where a list of discoveries
#' at a stated rate of false ones is wanted, take `test = "lrt"` with `dispersion =
#' "trend"`, and the covariates that expression is known to depend on: in
#' simulated screens with 2,000 control cells that kept the false discoveries
#' among those at 5 % after Benjamini and Hochberg below 5 %, and found more than
#' any other setting that did. The Wald test with a theta a gene let 6 to 7 %
#' through, the score test 10 to 13 %: their p-values are too small in the far tail
#' where counts are few. Where counts are not negative binomial, see `test = "calibrated"` and
#' \code{vignette("screens")}.
#'
#' @return A [ScreenFit]: genes x perturbations.
#'
#' @section Errors:
#' All have the class `scoria_error`. Besides those of [fit_models()]:
#' `scoria_error_perturbation` (and `_threshold`, `_cells`, where the cells of a
#' matrix are not those of the counts, `_missing`, where labels are),
#' `scoria_error_guide_targets`, `scoria_error_control`, `scoria_error_pairs`,
#' `scoria_error_confounded`, `scoria_error_strata`, `scoria_error_dispersion`,
#' `scoria_error_resampling`, `scoria_error_memory_limit`,
#' `scoria_error_output`.
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", ~ prep_batch,
#'     control = "control"
#'   )
#'   fit
#'   coefficient_table(fit, q_value = 0.1)
#' }
#' @export
fit_screen <- function(x, perturbation, formula = ~1, control = NULL,
                       reference = c("control", "complement", "perturbed"),
                       pairs = NULL,
                       family = c("negbinomial", "poisson", "quasipoisson"),
                       dispersion = c("null", "pair", "trend"),
                       test = c("wald", "lrt", "score", "calibrated"),
                       se = c("expected", "observed", "sandwich"), ...,
                       threads = NULL, memory_limit = NULL, output = NULL,
                       resume = FALSE, guide_targets = NULL, threshold = NULL,
                       resampling = c("permutation", "conditional"),
                       strata = NULL,
                       size_factors = c("offset", "covariate", "none"),
                       assay = NULL, cell_metadata = NULL,
                       gene_metadata = NULL, na_action = c("fail", "omit"),
                       verbose = FALSE, progress = rlang::is_interactive()) {
  check_no_dots(..., of = "fit_screen")
  size_factors <- first_choice(size_factors, c("offset", "covariate", "none"))
  na_action <- first_choice(na_action, c("fail", "omit"))
  check_flag(verbose, "verbose", rlang::current_env())
  check_flag(progress, "progress", rlang::current_env())
  options <- screen_options(
    list(
      family = family, dispersion = dispersion, test = test, se = se,
      resampling = resampling
    ),
    threads, memory_limit, output, resume
  )
  formula <- parse_formula(formula, env = caller_env())
  x <- open_if_path(x, assay, verbose, options$memory_limit)
  source <- as_source(
    x, assay, cell_metadata, gene_metadata,
    threads = options$threads
  )
  assigned <- read_perturbation(
    perturbation, x, source, threshold, guide_targets
  )

  request <- screen_request(
    source, assigned, formula, options, control, reference, pairs, strata,
    size_factors, na_action
  )
  report_request(request, verbose)
  value <- run_screen(request, source$counts, progress)
  new_screen_fit(request$about, value, match.call())
}

# What the engine makes of a request; `counts` are of all cells, for messages.
run_screen <- function(request, counts, progress, call = caller_env()) {
  options <- request$options
  value <- rust_fit_screen(
    by_gene(request$counts, options$threads, options$memory_limit, progress),
    request$screen, options,
    progress_bar(
      "Fitting genes",
      nrow(request$counts) * if (options$dispersion == "trend") 3 else 1, progress
    )
  )
  check_counted(value, counts, request$cells, call)
  rust_value(value, call)
}

report_request <- function(request, verbose) {
  if (!verbose) {
    return(invisible())
  }
  about <- request$about
  cli::cli_inform(c(
    "{nrow(request$counts)} gene{?s}, {nrow(about$perturbations)}
     perturbation{?s}, {length(request$cells)} cell{?s}, of which
     {about$reference$n_cells} in the reference
     ({about$reference$kind}).",
    i = "Family {.val {about$options$family}}, {length(about$terms)} term{?s}
         beside the perturbation.",
    i = "Size factors: {about$size_factors}; {about$size_factor_origin}."
  ))
}
