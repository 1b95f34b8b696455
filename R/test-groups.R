#' Test every gene of every group of cells against a reference
#'
#' @description
#' `test_groups()` compares the cells of each group with control cells, or with
#' all others, gene by gene: with Wilcoxon's rank sum test, a t test, or the test of
#' Anderson and Darling. It is fast enough for all groups and genes of a screen at
#' once. It knows no covariates: where there are batches, see [fit_screen()].
#'
#' @param x Counts, or values made of them: anything that [fit_screen()] takes.
#'   `scale` says which.
#' @param group Which group each cell is in: the name of a column of the cells'
#'   metadata, a factor or character vector, or these labels themselves. Cells
#'   whose label is `NA` or `""` are in no group, and left out, with a message.
#' @param reference Labels of the control cells. Needed unless `against` is
#'   `"rest"`.
#' @param method The test:
#'   * `"wilcoxon"` (default): the rank sum test of Wilcoxon, and Mann and Whitney;
#'   * `"t"`: Welch's t test, or Student's (`equal_variance`);
#'   * `"anderson"`: the test of Anderson and Darling for two samples, which also
#'     finds differences in spread and shape.
#' @param ... Not used; an unknown argument is an error. The arguments below need
#'   their names.
#' @param against What a group is compared with:
#'   * `"reference"` (default): the cells with a label of `reference`;
#'   * `"rest"`: all other cells that have a label;
#'   * `"perturbed"`: the same, but for those with a label of `reference`, which
#'     are left out.
#' @param groups Labels of the groups to test. Default `NULL`: all but the
#'   reference.
#' @param scale What the values of `x` are. It is never guessed.
#'   * `"counts"` (default): whole numbers, as sequenced;
#'   * `"linear"`: numbers from zero on, such as corrected or normalised counts;
#'   * `"log1p"`: natural logarithms of 1 + such numbers.
#' @param normalize What values are divided by, unless they are logarithms:
#'   nothing (`"none"`, default); each cell's total over `target_sum`
#'   (`"library"`), as scanpy's `normalize_total()`; or size factors
#'   (`"size_factors"`), where [fit_models()] finds them.
#' @param target_sum Total of each cell after `normalize = "library"`. Default
#'   10,000.
#' @param log1p Test log(1 + x) of values that are not logarithms yet? Default
#'   `TRUE`. It makes no difference to tests of ranks.
#' @param fold_change What `mean` and `log2_fold_change` are of: means of 1 + x that
#'   are `"geometric"` (default), less 1, or `"arithmetic"` means.
#' @param epsilon Added to both means before their ratio is taken. Default 1e-9.
#' @param continuity Wilcoxon: correct the normal approximation for continuity?
#'   Default `TRUE`.
#' @param exact Wilcoxon: take p-values from the exact distribution? `"auto"`
#'   (default): where both have fewer than 50 cells and no value occurs twice;
#'   `"always"`, with ties too, for up to 100 cells in the two together; or
#'   `"never"`.
#' @param equal_variance t test: take variances to be equal? Default `FALSE`.
#' @param filter Pairs that are not worth a test: `"none"` (default); `"crispyx"`,
#'   the defaults of that program; or numbers named `min_pct_pert`,
#'   `min_mean_pert`, `min_pct_ctrl`, `min_mean_ctrl`. See Filters.
#' @param adjust_over What `q_value` is adjusted over: the genes of each `"group"`
#'   (default), or `"all"` pairs together.
#' @param threads,memory_limit,verbose,progress As in [fit_screen()].
#' @param assay,cell_metadata As in [fit_models()].
#'
#' @section The tests:
#' \eqn{n_1}{n1} cells of the group, \eqn{n_2}{n2} of its reference, \eqn{N} in all.
#'
#' * Wilcoxon: \eqn{U} is the number of pairs of a cell of the group and one of the
#'   reference in which the former has the larger value, ties counting one half:
#'   R's `W`, scipy's `statistic`. The p-value is that of a normal distribution with
#'   variance \eqn{n_1 n_2 / 12 (N + 1 - \sum (t^3 - t) / (N (N - 1)))}{n1 n2 / 12
#'   (N + 1 - sum(t^3 - t) / (N (N - 1)))}, where \eqn{t} cells have the same value:
#'   as [stats::wilcox.test()] and scipy's `mannwhitneyu()`. Where all values are
#'   the same, it is 1. With `exact = "always"` and ties it is twice the smaller
#'   tail of the permutation distribution.
#' * t: as [stats::t.test()] and scipy's `ttest_ind()`. A variance needs two cells.
#' * Anderson and Darling: as scipy's `anderson_ksamp()`, with midranks. P-values
#'   above 0.25 and below 0.001 are not known: they are given as 0.25 and 0.001.
#'   Where most values are zero they are too small: of genes without any effect,
#'   simulated with 12 % of values above zero, 3.6 % had a p-value below 0.01.
#'
#' Values are `x`, divided by what `normalize` says, and with `log1p` their natural
#' logarithms log(1 + x). `"library"` computes `x * target_sum / total`, rounded
#' once, so that equal values tie as they should.
#'
#' @section Fold changes:
#' `log2_fold_change` is log2((`mean` + `epsilon`) / (`mean_reference` + `epsilon`)).
#' With `fold_change = "geometric"`, `mean` is exp(m) - 1, with m the mean of
#' log(1 + x) over cells: that of pdex from 0.2 on, and, with log-normalised values,
#' that of scanpy and crispyx. With `"arithmetic"` it is the mean of x. Either is on
#' the scale of normalised counts. Where a gene has no count in one of the two,
#' the ratio is what `epsilon` makes of it, up to some 30: look at `pct`.
#'
#' @section Filters:
#' A pair is not tested if the gene is expressed little in both: its share of
#' cells below `min_pct_pert` *and* mean of the tested values below `min_mean_pert`
#' in the group, *and* likewise `min_pct_ctrl` and `min_mean_ctrl` in the reference.
#' A gene that a perturbation silences is thus kept. `"crispyx"` is 0.002, 0.005,
#' 0.01 and 0.05. Numbers that are not given are zero, and nothing is below that.
#'
#' @return A tibble with one row for each group and gene, group by group:
#' \describe{
#'   \item{group, gene_id}{the pair}
#'   \item{n_cells, n_reference}{numbers of cells}
#'   \item{mean, mean_reference}{means, on the scale of (normalised) counts: see
#'     Fold changes}
#'   \item{pct, pct_reference}{shares of cells whose value is not zero, from 0 to 1}
#'   \item{log2_fold_change}{group to reference}
#'   \item{statistic}{U; t; or the standardised criterion of Anderson and Darling}
#'   \item{effect}{\eqn{U / (n_1 n_2)}{U / (n1 n2)}, the probability that a cell of
#'     the group has the larger value, or area under the curve; Hedges' g, the
#'     difference of means over the pooled standard deviation, unbiased; or the
#'     criterion of Anderson and Darling before it is standardised}
#'   \item{p_value}{two-sided}
#'   \item{q_value}{adjusted after Benjamini and Hochberg}
#'   \item{status}{`"ok"`; `"low expression"`, see Filters; `"too few cells"`; or
#'     `"no variance"`. All but the first have `NA` from `statistic` to `q_value`,
#'     and do not count in the adjustment}
#' }
#'
#' @section Errors:
#' All have the class `scoria_error`. Besides those of [fit_models()] on `x`:
#' `scoria_error_group` (and `_cells`, where a group or reference has no cell),
#' `scoria_error_reference`, `scoria_error_scale`, `scoria_error_filter`,
#' `scoria_error_counts`, `scoria_error_size_factors`, `scoria_error_memory_limit`,
#' `scoria_error_argument`.
#'
#' @references
#' Mann and Whitney (1947) *Annals of Mathematical Statistics* 18:50. Welch (1947)
#' *Biometrika* 34:28. Hedges (1981) *Journal of Educational Statistics* 6:107.
#' Scholz and Stephens (1987) *Journal of the American Statistical Association*
#' 82:918.
#'
#' @seealso [fit_screen()] for models of counts, with covariates.
#' @examples
#' counts <- matrix(rpois(600, 2), 6, dimnames = list(paste0("gene", 1:6), NULL))
#' guide <- rep(c("control", "A", "B", "C"), each = 25)
#' counts[1, guide == "A"] <- 0
#' test_groups(counts, guide, "control")
#' test_groups(counts, guide, "control", "t", normalize = "library")
#' @export
test_groups <- function(x, group, reference = NULL,
                        method = c("wilcoxon", "t", "anderson"), ...,
                        against = c("reference", "rest", "perturbed"),
                        groups = NULL,
                        scale = c("counts", "linear", "log1p"),
                        normalize = c("none", "library", "size_factors"),
                        target_sum = 1e4, log1p = TRUE,
                        fold_change = c("geometric", "arithmetic"),
                        epsilon = 1e-9, continuity = TRUE,
                        exact = c("auto", "always", "never"),
                        equal_variance = FALSE, filter = "none",
                        adjust_over = c("group", "all"), threads = NULL,
                        memory_limit = NULL, assay = NULL,
                        cell_metadata = NULL, verbose = FALSE,
                        progress = rlang::is_interactive()) {
  check_no_dots(..., of = "test_groups")
  against <- first_choice(against, c("reference", "rest", "perturbed"))
  adjust_over <- first_choice(adjust_over, c("group", "all"))
  check_flag(verbose, "verbose", rlang::current_env())
  check_flag(progress, "progress", rlang::current_env())
  options <- list(
    method = first_choice(method, c("wilcoxon", "t", "anderson")),
    scale = first_choice(scale, c("counts", "linear", "log1p")),
    mean = first_choice(fold_change, c("geometric", "arithmetic")),
    exact = first_choice(exact, c("auto", "always", "never")),
    log1p = log1p, continuity = continuity, equal_variance = equal_variance,
    epsilon = check_number(epsilon, "epsilon", least = 0),
    filter = read_filter(filter),
    adjust_each_group = adjust_over == "group", against_rest = against != "reference",
    threads = resolve_threads(threads), memory_limit = parse_memory(memory_limit)
  )
  for (flag in c("log1p", "continuity", "equal_variance")) {
    check_flag(options[[flag]], flag, rlang::current_env())
  }
  x <- open_if_path(x, assay, verbose, options$memory_limit)
  source <- as_source(
    x, assay, cell_metadata, threads = options$threads, complete = FALSE
  )
  options <- c(options, read_normalization(
    first_choice(normalize, c("none", "library", "size_factors")), target_sum,
    options$scale, source
  ))
  labels <- read_groups(group, source)
  classes <- assign_classes(labels, reference, against, groups)
  options$n_groups <- length(classes$tested)
  report_groups(classes, against, options, verbose)
  value <- rust_test_groups(
    source$counts, classes$of, options,
    progress_bar("Testing genes", nrow(source$counts), progress)
  )
  check_counted(value, source$counts, seq_len(ncol(source$counts)))
  check_logarithms(value)
  tabulate_groups(rust_value(value), classes, source$genes$gene_id)
}

# The tibble, from the engine's columns: all genes of the first group come first.
tabulate_groups <- function(columns, classes, gene_id) {
  n_genes <- length(gene_id)
  n_groups <- length(classes$tested)
  # Faster than `rep(each = )`: there are millions.
  of_group <- function(values) rep.int(values, rep.int(n_genes, n_groups))
  statuses <- c("ok", "low expression", "too few cells", "no variance")
  tibble::new_tibble(list(
    group = of_group(classes$tested),
    gene_id = rep.int(gene_id, n_groups),
    n_cells = of_group(classes$n_cells),
    n_reference = of_group(classes$n_reference),
    mean = columns$mean,
    mean_reference = columns$reference_mean,
    pct = columns$share,
    pct_reference = columns$reference_share,
    log2_fold_change = columns$log2_fold_change,
    statistic = columns$statistic,
    effect = columns$effect,
    p_value = columns$p_value,
    q_value = columns$q_value,
    status = if (is.null(columns$status)) {
      rep.int(statuses[1], n_genes * n_groups)
    } else {
      statuses[columns$status + 1L]
    }
  ), nrow = n_genes * n_groups)
}

report_groups <- function(classes, against, options, verbose) {
  if (!verbose) {
    return(invisible())
  }
  values <- if (options$scale == "log1p") {
    "logarithms as given"
  } else {
    divided <- c(
      if (!is.null(options$target_sum)) "divided by totals",
      if (!is.null(options$factors)) "divided by size factors"
    )
    paste(
      c(options$scale, divided, if (options$log1p) "as log(1 + x)"), collapse = ", "
    )
  }
  cli::cli_inform(c(
    "{length(classes$tested)} group{?s}, {sum(classes$n_cells)} cell{?s}, against
     {switch(against, reference = 'the reference', rest = 'all other cells',
     'all other perturbed cells')}.",
    i = "Values: {values}."
  ))
}
