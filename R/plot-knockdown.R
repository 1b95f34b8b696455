#' Effects of perturbations on their own targets
#'
#' @description
#' `plot_knockdown()` draws, for each perturbation whose target gene is measured,
#' its effect on that gene, with a confidence interval, the strongest first: did the
#' perturbation work?
#'
#' @inheritParams plot_volcano
#' @param x What [fit_screen()] returned, or a part of it; or a table of
#'   [coefficient_table()] or [test_groups()]. Where there are no standard errors,
#'   there are no intervals.
#' @param targets The perturbations' target genes: a character vector, named by
#'   perturbation, of `gene_id` or `gene_short_name`. Default `NULL`: the gene of the
#'   perturbation's name, or of its name without the number of a guide, as in
#'   `"KRAS_1"`, `"KRASg1"` or `"KRAS_sgRNA1"`. A message says of how many no target
#'   was found.
#' @param level Of the confidence intervals, of Wald. Default 0.95.
#'
#' @details
#' The upper axis says how much of the gene's expression is left. A separated pair,
#' without a finite estimate, is a triangle at the edge. Of more than 60
#' perturbations the names are left out.
#'
#' @return A ggplot.
#' @section Errors:
#' `scoria_error_targets`: no target is found, or `targets` are not as described;
#' `scoria_error_gene`, `scoria_error_perturbation`: not in the fit;
#' `scoria_error_argument`.
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE) &&
#'       requireNamespace("ggplot2", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 1000, n_genes = 40, n_perturbations = 10
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   targets <- S4Vectors::metadata(screen)$targets
#'   plot_knockdown(fit, setNames(targets$gene_id, targets$perturbation))
#' }
#' @export
plot_knockdown <- function(x, targets = NULL, ..., level = 0.95, q_value = 0.05,
                           adjust_over = c("perturbation", "all")) {
  check_no_dots(..., of = "plot_knockdown")
  check_ggplot2("to draw effects on targets.")
  call <- rlang::current_env()
  adjust_over <- first_choice(adjust_over, c("perturbation", "all"))
  check_probability(level, "level")
  check_probability(q_value, "q_value")
  value <- if (inherits(x, "ScreenFit")) {
    knockdown_of_fit(x, targets, q_value, adjust_over, call)
  } else {
    knockdown_of_table(x, targets, q_value, call)
  }
  rows <- value$rows[!is.na(value$rows$effect), ]
  if (nrow(rows) == 0) {
    abort_nothing("No perturbation was tested on its own target.", call)
  }
  value$untested <- nrow(value$rows) - nrow(rows)
  value$rows <- place_knockdown(rows, level)
  draw_knockdown(value, level)
}

# Pairs of `gene` and `perturbation`, as numbers in what is given, of those whose
# target is measured.
own_targets <- function(perturbations, gene_id, short_name, targets, call) {
  gene <- find_targets(perturbations, gene_id, short_name, targets, call)
  k <- which(!is.na(gene))
  n <- length(perturbations)
  if (length(k) == 0) {
    scoria_abort(c(
      "Of none of {n} perturbation{?s} the target gene is found.",
      i = "Name the targets: {.code targets = c(perturbation = 'gene')}."
    ), c("targets", "argument"), call)
  }
  if (length(k) < n) {
    cli::cli_inform(
      "The target gene of {n - length(k)} of {n} perturbation{?s} is not found."
    )
  }
  list(gene = gene[k], perturbation = k, absent = n - length(k))
}

# What is drawn ------------------------------------------------------------------
#
# A list of `rows`, a tibble of perturbation, gene, effect, std_err (of the effect)
# and change, one row a perturbation with a target; `absent`, the number of those
# without; `effect`, what the effect is; and `level`.

knockdown_of_fit <- function(fit, targets, q_value, adjust_over, call) {
  store <- fit$store
  names <- fit$perturbations$perturbation
  short <- fit$genes[["gene_short_name"]]
  of <- own_targets(names, fit$genes$gene_id, short, targets, call)
  ids <- id_of_pair(
    store, fit$shown$genes[of$gene], fit$shown$perturbations[of$perturbation]
  )
  # Pairs that were not asked for have no number.
  fitted <- !is.na(ids)
  read <- function(column) {
    values <- rep(NA_real_, length(ids))
    values[fitted] <- read_pairs_of(store, column, ids[fitted])
    values / log(2)
  }
  effect <- read("estimate")
  found <- significant_shown(fit, q_value, "BH", adjust_over)$id
  list(
    rows = tibble::tibble(
      perturbation = names[of$perturbation],
      gene = as.character(short %||% fit$genes$gene_id)[of$gene],
      effect = effect, std_err = read("std_err"),
      change = direction(effect, ids %in% found)
    ),
    absent = of$absent, effect = "log2 fold change",
    level = adjustment_words(q_value, "BH", adjust_over)
  )
}

knockdown_of_table <- function(table, targets, q_value, call) {
  read <- read_table_to_plot(table, call = call)
  rows <- read$rows
  names <- unique(rows$perturbation)
  genes <- rows[!duplicated(rows$gene_id), ]
  of <- own_targets(names, genes$gene_id, genes$gene, targets, call)
  pair <- paste(rows$perturbation, rows$gene_id, sep = "\r")
  own <- paste(names[of$perturbation], genes$gene_id[of$gene], sep = "\r")
  rows <- rows[match(own, pair), ]
  rows$change <- direction(rows$effect, rows$q_value <= q_value)
  list(
    rows = rows[c("perturbation", "gene", "effect", "std_err", "change")],
    absent = of$absent, effect = read$effect,
    level = paste("q-value at most", q_value)
  )
}

# Numbers of single pairs, NA where these were not fitted.
id_of_pair <- function(store, genes, perturbations) {
  if (is.null(store$pair_p)) {
    return((genes - 1) * as.double(store$n_perturbations) + perturbations)
  }
  vapply(seq_along(genes), function(i) {
    before <- store$pair_p[genes[i]]
    of_gene <- seq_len(store$pair_p[genes[i] + 1] - before)
    at <- match(perturbations[i] - 1L, store$pair_i[before + of_gene])
    as.double(before + at)
  }, 0)
}
