#' Tables of a fitted screen
#'
#' @description
#' `coefficient_table()` makes a table of the pairs of a [ScreenFit], or of those
#' that are asked for: rows that are not are not built, nor read from a file.
#' `tidy()` gives the same rows in broom's columns, `glance()` one row for the
#' screen.
#'
#' @param model_tbl,x A [ScreenFit], or a part of one (`fit[genes, ]`).
#' @param ... `coefficient_table()`: not used; an unknown argument is an error.
#'   `tidy()`: the filters and the adjustment of `coefficient_table()`.
#' @param gene,perturbation Names of the genes and perturbations to keep.
#'   Default `NULL`: all.
#' @param status Keep pairs with one of these statuses, such as `"ok"` or
#'   `"separated"`. Default `NULL`: all.
#' @param q_value Keep pairs whose `q_value` is at most this. Default `NULL`:
#'   all.
#' @param adjust How `q_value` is adjusted for multiple testing: a method of
#'   [stats::p.adjust()]. Default `"BH"`. All but `"none"` look at the p-values
#'   of the whole screen, which takes a moment where they are in a file.
#' @param adjust_over What it is adjusted over: the genes of each
#'   `"perturbation"` (default), or `"all"` pairs together. In either case all
#'   tested pairs of the screen count, whichever of them are kept.
#' @param conf.int Add a Wald confidence interval? Default `FALSE`.
#' @param conf.level Its level. Default 0.95.
#'
#' @return
#' `coefficient_table()`: a tibble with one row a pair, gene by gene, and
#' \describe{
#'   \item{gene_id}{the gene}
#'   \item{gene_short_name}{if the genes' metadata have it}
#'   \item{perturbation}{the perturbation}
#'   \item{estimate}{natural logarithm of the ratio of means, perturbed to
#'     reference, with covariates as they are; `-Inf` or `Inf` where separated}
#'   \item{log2_fold_change}{the same as a logarithm to base 2}
#'   \item{std_err}{standard error of `estimate`; `NA` where separated}
#'   \item{statistic}{of the test, on the scale of z}
#'   \item{p_value}{two-sided; where separated, that of the likelihood ratio}
#'   \item{q_value}{adjusted `p_value`}
#'   \item{status}{`"ok"`; `"separated"`, no finite estimate: as a rule no
#'     perturbed cell has a count; `"all zero"`, no cell has one; `"no cells"`,
#'     nor has the perturbation any; `"aliased"`, the perturbation is a
#'     combination of the covariates; `"not converged"`; `"null failed"`, the
#'     gene's model without perturbation could not be fitted. All but the first
#'     two have `NA` for results}
#'   \item{n_cells}{number of cells with the perturbation}
#'   \item{mean}{the gene's mean count in the reference cells}
#'   \item{theta}{variance = mu + mu^2 / theta; `Inf` is Poisson}
#'   \item{error_bound}{`estimate` is within so many standard errors of the
#'     maximum of the likelihood}
#' }
#' `tidy()`: columns `gene_id`, `term` (the perturbation), `estimate`,
#' `std.error`, `statistic`, `p.value`, `adj.p.value`, and on request `conf.low`
#' and `conf.high`.
#'
#' `glance()`: one row with the columns `n_genes`, `n_perturbations`, `n_cells`,
#' `n_pairs`, `n_tested`, `n_separated`, `n_significant` (`q_value` at most 0.05),
#' `reference`, `family`, `dispersion`, `test`, `seconds`, `peak_bytes`.
#'
#' @section Errors:
#' `scoria_error_gene`, `scoria_error_perturbation`: not in the fit;
#' `scoria_error_argument`.
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   coefficient_table(fit, perturbation = "perturb_001")
#'   coefficient_table(fit, q_value = 0.05, adjust_over = "all")
#'   tidy(fit, gene = "gene_007", conf.int = TRUE)
#'   glance(fit)
#' }
#' @name screen_table
NULL

#' @rdname screen_table
#' @export
coefficient_table.ScreenFit <- function( # nolint: object_name_linter.
    model_tbl, ..., gene = NULL, perturbation = NULL, status = NULL,
    q_value = NULL, adjust = "BH", adjust_over = c("perturbation", "all")) {
  check_no_dots(..., of = "coefficient_table.ScreenFit")
  fit <- model_tbl
  adjust <- first_choice(adjust, stats::p.adjust.methods)
  adjust_over <- first_choice(adjust_over, c("perturbation", "all"))
  if (!is.null(q_value)) check_probability(q_value, "q_value")
  store <- fit$store
  genes <- shown_of(fit, gene, "gene")
  perturbations <- shown_of(fit, perturbation, "perturbation")
  ids <- pair_ids(store, genes, perturbations)
  if (!is.null(status)) {
    code <- status_codes(status)
    ids <- ids[read_pairs_of(store, "status", ids) %in% code]
  }
  if (is.null(q_value)) {
    q <- adjusted_p(store, ids, adjust, adjust_over)
  } else {
    small <- significant_pairs(store, adjust, adjust_over, q_value)
    at <- match(ids, small$id)
    ids <- ids[!is.na(at)]
    q <- small$q[at[!is.na(at)]]
  }
  pair_table(fit, ids, q)
}

# Rows of the table for these pairs.
pair_table <- function(fit, ids, q) {
  store <- fit$store
  g <- match(gene_of_pair(store, ids), fit$shown$genes)
  k <- match(perturbation_of_pair(store, ids), fit$shown$perturbations)
  read <- function(column) read_pairs_of(store, column, ids)
  genes <- fit$genes
  estimate <- read("estimate")
  table <- list(
    gene_id = genes$gene_id[g],
    gene_short_name = genes[["gene_short_name"]][g],
    perturbation = fit$perturbations$perturbation[k],
    estimate = estimate, log2_fold_change = estimate / log(2),
    std_err = read("std_err"), statistic = read("statistic"),
    p_value = read("p_value"), q_value = q,
    status = pair_status()[read("status") + 1L],
    n_cells = fit$perturbations$n_cells[k],
    mean = genes$mean[g],
    theta = if (fit$options$dispersion == "pair") {
      read("theta")
    } else {
      genes$theta[g]
    },
    error_bound = read("error_bound")
  )
  tibble::as_tibble(table[!vapply(table, is.null, NA)])
}

# In the order of the engine's numbers, from zero.
pair_status <- function() {
  c(
    "ok", "separated", "all zero", "no cells", "aliased", "not converged",
    "null failed"
  )
}

status_codes <- function(status, call = caller_env()) {
  for (one in as.list(status)) {
    check_choice(one, pair_status(), "argument", "status", call)
  }
  match(status, pair_status()) - 1L
}

# Of the genes or perturbations that a fit shows, those of these names, as
# numbers in the whole screen.
shown_of <- function(fit, names, what, call = caller_env()) {
  shown <- fit$shown[[paste0(what, "s")]]
  if (is.null(names)) {
    return(shown)
  }
  present <- dimnames(fit)[[if (what == "gene") 1 else 2]]
  if (!is.character(names) && !is.factor(names)) {
    scoria_abort(
      "{.arg {what}} must be names of {what}s, not {.obj_type_friendly {names}}.",
      c(what, "argument"), call
    )
  }
  names <- unique(as.character(names))
  check_present(names, present, what, call)
  shown[present %in% names]
}

check_present <- function(names, present, what, call) {
  unknown <- setdiff(names, present)
  if (length(unknown) == 0) {
    return(invisible())
  }
  near <- if (is.na(unknown[1])) NULL else near_names(unknown[1], present)
  scoria_abort(c(
    "The fit has no {what} {.val {utils::head(unknown, 5)}}.",
    i = if (length(near) > 0) "Did you mean {.val {near}}?"
  ), c(what, "argument"), call)
}

check_probability <- function(value, arg, call = caller_env()) {
  if (!is.numeric(value) || !isTRUE(value >= 0 & value <= 1)) {
    scoria_abort(
      "{.arg {arg}} must be a number from 0 to 1, not {.val {value}}.",
      "argument", call
    )
  }
}

#' @rdname screen_table
#' @export
tidy.ScreenFit <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  table <- coefficient_table(x, ...)
  tidied <- tibble::tibble(
    gene_id = table$gene_id, term = table$perturbation,
    estimate = table$estimate, std.error = table$std_err,
    statistic = table$statistic, p.value = table$p_value,
    adj.p.value = table$q_value
  )
  if (conf.int) {
    half <- table$std_err * stats::qnorm((1 + conf.level) / 2)
    tidied$conf.low <- table$estimate - half
    tidied$conf.high <- table$estimate + half
  }
  tidied
}

#' @rdname screen_table
#' @export
glance.ScreenFit <- function(x, ...) {
  tally <- tally_pairs(x)
  options <- x$options
  tibble::tibble(
    n_genes = nrow(x), n_perturbations = ncol(x), n_cells = x$n_cells,
    n_pairs = sum(tally$statuses), n_tested = sum(tally$tested),
    n_separated = sum(tally$statuses[, "separated"]),
    n_significant = as.double(length(significant_shown(x, 0.05)$id)),
    reference = x$reference$kind, family = options$family,
    dispersion = options$dispersion, test = options$test,
    seconds = x$seconds, peak_bytes = x$peak_bytes
  )
}
