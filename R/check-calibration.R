#' Are a screen's p-values what they say?
#'
#' @description
#' `check_calibration()` puts perturbations that do nothing through the same engine, with
#' the same formula and options, as the screen itself: non-targeting guides, or sets of
#' control cells, against the remaining control cells; or perturbations whose cells were
#' drawn anew. Their p-values must be uniform, and hardly any significant. It is a
#' diagnosis and not a correction: [recalibrate()] is one.
#'
#' @param fit A [ScreenFit].
#' @param x,perturbation,guide_targets,threshold,strata As they were given to
#'   [fit_screen()]. Default: what `fit$call` says, evaluated again; a fit that was read
#'   from a file does not know.
#' @param negative What does nothing.
#'   * `"guides"`: sets of `guides_per_set` non-targeting guides. Default where the
#'     reference is of control cells with several guides that are known apart.
#'   * `"cells"`: random sets of control cells, of the sizes of the screen's
#'     perturbations (half of the control cells at most). Default where guides are not
#'     known apart.
#'   * `"permuted"`: the cells of a perturbation are drawn anew among all that are
#'     compared, within `strata` where there are such. Default for the other kinds of
#'     reference.
#' @param n_sets How many sets. Default `NULL`: as many as the screen has perturbations, up
#'   to 100, and no more than there are combinations of guides.
#' @param guides_per_set Default `NULL`: the median number of guides of a perturbation, but
#'   no more than half of the non-targeting ones.
#' @param targets What is known to do something: the gene that each perturbation targets,
#'   as in [plot_knockdown()]. Default `NULL`: the genes that perturbations are named after.
#' @param q_value Adjusted p-value (Benjamini and Hochberg, over all pairs) up to which a
#'   pair is a discovery. Default 0.1.
#' @param seed Of what is drawn. Default 1.
#' @param threads,memory_limit,progress As in [fit_screen()].
#' @param ... Not used; an unknown argument is an error.
#'
#' @return A list of class `scoria_calibration`:
#' \describe{
#'   \item{table}{a tibble, the [`coefficient_table()`][coefficient_table.ScreenFit] of the
#'     sets, with `stratum`: five of genes, by mean}
#'   \item{sets}{a tibble: `set`, `members` (guides, or the perturbation that was permuted),
#'     `n_cells`}
#'   \item{summary}{one row: `negative`, `pairs` with a p-value, `false_discoveries`,
#'     `p_below_0.05` (a fraction; 0.05 is right), `p_below_0.001`, `lambda` (median of the
#'     chi-squared statistics, relative to that of one degree of freedom; 1 is right),
#'     `mean_log2_fold_change`, and of the screen itself at the same `q_value`
#'     `discoveries` and the `discovery_pairs` they are among}
#'   \item{strata}{`stratum`, `mean` (the greatest of its genes), `pairs`,
#'     `p_below_0.05`, `lambda`, and the empirical null `null_mean`, `null_sd` of z}
#'   \item{power}{of each perturbation whose target is measured: `perturbation`,
#'     `gene_id`, `log2_fold_change`, `p_value`, `q_value`, `status`}
#' }
#' `autoplot()`, of ggplot2, draws observed against expected p-values, as [plot_qq()].
#'
#' @section Sources:
#' Sets of non-targeting guides against the remaining control cells are sceptre's calibration
#' check (Barry et al. 2024). lambda is Devlin and Roeder's (1999).
#'
#' @section Errors:
#' All have the class `scoria_error`; besides those of [fit_screen()],
#' `scoria_error_calibration` where there are not enough guides or control cells, or where
#' `x` is not what was fitted.
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   check_calibration(fit)
#' }
#' @export
check_calibration <- function(fit, x = NULL, perturbation = NULL, ...,
                              negative = NULL, n_sets = NULL,
                              guides_per_set = NULL, targets = NULL,
                              q_value = 0.1, seed = 1, guide_targets = NULL,
                              threshold = NULL, strata = NULL, threads = NULL,
                              memory_limit = NULL,
                              progress = rlang::is_interactive()) {
  check_no_dots(..., of = "check_calibration")
  check_screen_fit(fit)
  check_probability(q_value, "q_value")
  check_seed(seed, rlang::current_env())
  data <- screened_data(fit, caller_env(), list(
    x = x, perturbation = perturbation, guide_targets = guide_targets,
    threshold = threshold, strata = strata
  ))
  local_fixed_seed(seed)
  sets <- null_sets(data, fit, negative, n_sets, guides_per_set)
  null_fit <- fit_null(fit, data, sets, threads, memory_limit, progress)
  table <- coefficient_table(null_fit, adjust_over = "all")
  table <- table[table$gene_id %in% fit$genes$gene_id, ]
  table$stratum <- gene_strata(table$gene_id, table$mean)
  structure(
    list(
      table = table,
      sets = tibble::tibble(
        set = null_fit$perturbations$perturbation, members = sets$members,
        n_cells = null_fit$perturbations$n_cells
      ),
      summary = summarise_null(table, fit, sets$negative, q_value),
      strata = summarise_strata(table),
      power = positive_controls(fit, targets),
      q_value = q_value
    ),
    class = "scoria_calibration"
  )
}

# The sets, fitted as the screen was.
fit_null <- function(fit, data, sets, threads, memory_limit, progress, call = caller_env()) {
  source <- keep_cells(data$source, sets$cells)
  about <- fit$options
  chosen <- screen_choices()
  chosen[names(about)] <- about
  if (about$test != "calibrated") chosen$resampling <- screen_choices()$resampling
  options <- screen_options(chosen, threads, memory_limit, call = call)
  assigned <- list(
    membership = sets$membership, missing = logical(length(sets$cells)), column = NULL
  )
  redraws <- options$test == "calibrated" && options$resampling == "permutation"
  request <- withCallingHandlers(
    screen_request(
      source, assigned, parse_formula(fit$formula, env = data$env), options,
      reference = "complement", strata = if (redraws) data$strata[sets$cells],
      size_factors = fit$size_factors, na_action = "omit", call = call
    ),
    message = function(message) rlang::cnd_muffle(message)
  )
  new_screen_fit(request$about, run_screen(request, source$counts, progress, call))
}

# What came of them ------------------------------------------------------------

# Fifths of the genes, by mean count.
gene_strata <- function(gene_id, mean) {
  of_gene <- mean[!duplicated(gene_id)]
  breaks <- unique(stats::quantile(of_gene, seq(0.2, 0.8, 0.2), names = FALSE, na.rm = TRUE))
  findInterval(mean, breaks, left.open = TRUE) + 1L
}

summarise_null <- function(table, fit, negative, q_value) {
  tested <- table[!is.na(table$p_value), ]
  finite <- is.finite(tested$log2_fold_change)
  tibble::tibble(
    negative = negative, pairs = nrow(tested),
    false_discoveries = sum(stats::p.adjust(tested$p_value, "BH") <= q_value),
    p_below_0.05 = mean(tested$p_value < 0.05),
    p_below_0.001 = mean(tested$p_value < 0.001),
    lambda = inflation(tested$p_value),
    mean_log2_fold_change = mean(tested$log2_fold_change[finite]),
    discoveries = length(significant_shown(fit, q_value, "BH", "all")$id),
    discovery_pairs = sum(tally_pairs(fit)$tested)
  )
}

summarise_strata <- function(table) {
  tested <- table[!is.na(table$p_value), ]
  rows <- lapply(split(tested, tested$stratum), function(part) {
    null <- empirical_null(signed_z(part$estimate, part$p_value))
    tibble::tibble(
      stratum = part$stratum[1], mean = max(part$mean), pairs = nrow(part),
      p_below_0.05 = mean(part$p_value < 0.05), lambda = inflation(part$p_value),
      null_mean = null[["mean"]], null_sd = null[["sd"]]
    )
  })
  do.call(rbind, unname(rows))
}

# What each perturbation does to its own target.
positive_controls <- function(fit, targets, call = caller_env()) {
  perturbations <- fit$perturbations$perturbation
  genes <- find_targets(
    perturbations, fit$genes$gene_id, fit$genes[["gene_short_name"]], targets, call
  )
  known <- which(!is.na(genes))
  table <- coefficient_table(
    fit, gene = fit$genes$gene_id[unique(genes[known])], perturbation = perturbations[known],
    adjust_over = "all"
  )
  at <- match(
    paste(perturbations[known], fit$genes$gene_id[genes[known]]),
    paste(table$perturbation, table$gene_id)
  )
  columns <- c(
    "perturbation", "gene_id", "log2_fold_change", "p_value", "q_value", "status"
  )
  table[at[!is.na(at)], columns]
}

check_screen_fit <- function(fit, call = caller_env()) {
  if (!inherits(fit, "ScreenFit")) {
    scoria_abort(
      "{.arg fit} must be what {.fn fit_screen} returned, not
       {.obj_type_friendly {fit}}.",
      "argument", call
    )
  }
}

#' @rdname check_calibration
#' @method print scoria_calibration
#' @export
print.scoria_calibration <- function(x, ...) {
  summary <- x$summary
  what <- c(
    guides = "sets of non-targeting guides", cells = "sets of control cells",
    permuted = "perturbations with other cells"
  )[[summary$negative]]
  percent <- function(fraction) paste0(signif(100 * fraction, 3), "%")
  cli::cli_text("{.cls scoria_calibration}: {nrow(x$sets)} {what}, {summary$pairs} pairs")
  cli::cli_bullets(c(
    " " = "false discoveries at {x$q_value}: {summary$false_discoveries} (of the screen:
           {summary$discoveries} of {summary$discovery_pairs} pairs)",
    " " = "p below 0.05: {percent(summary$p_below_0.05)}; below 0.001:
           {percent(summary$p_below_0.001)}; lambda {signif(summary$lambda, 3)}",
    " " = "mean log2 fold change: {signif(summary$mean_log2_fold_change, 2)}"
  ))
  print(x$strata)
  if (nrow(x$power) > 0) {
    found <- sum(x$power$q_value <= x$q_value, na.rm = TRUE)
    cli::cli_bullets(c(
      " " = "own targets found: {found} of {nrow(x$power)}"
    ))
  }
  invisible(x)
}
