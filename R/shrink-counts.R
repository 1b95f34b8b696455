# The posterior from the counts themselves --------------------------------------

# The screen that a fit was made of, as the engine wants it: see screen_request().
shrink_data <- function(fit, x, ..., threads, call = caller_env()) {
  if (is.null(x)) {
    scoria_abort(
      "{.code method = \"full\"} needs {.arg x}: the counts that {.arg fit} was
       fitted to.",
      c("source", "argument"), call
    )
  }
  if (fit$options$family == "quasipoisson") {
    scoria_abort(c(
      "{.code method = \"full\"} needs a likelihood, and the family
       {.val quasipoisson} has none.",
      i = "Use {.code method = \"stats\"}."
    ), c("family", "argument"), call)
  }
  given <- data_arguments(fit$call, ..., call = call)
  x <- open_if_path(x, given$assay, verbose = FALSE, call = call)
  source <- as_source(
    x, given$assay, given$cell_metadata, given$gene_metadata,
    threads = threads, call = call
  )
  controls <- fit$reference$controls
  # What is left out of the cells was said when they were fitted.
  request <- suppressMessages(screen_request(
    source,
    read_perturbation(
      given$perturbation, x, source, given$threshold, given$guide_targets, call
    ),
    parse_formula(fit$formula, env = caller_env(2)), fit$options,
    control = if (length(controls) > 0) controls,
    reference = fit$reference$kind, size_factors = fit$size_factors,
    na_action = given$na_action %||% "fail", call = call
  ))
  check_same_screen(request, fit, call)
  request$means <- replace(
    rep(NaN, nrow(request$counts)), fit$shown$genes, fit$genes$mean
  )
  request$poisson <- fit$options$family == "poisson"
  request
}

# Arguments of fit_screen() that say how to read the data: those that are given, and
# else those of the call that made the fit, where it has their values.
data_arguments <- function(fitted, ..., call) {
  names <- c(
    "perturbation", "guide_targets", "threshold", "assay", "cell_metadata",
    "gene_metadata", "na_action"
  )
  given <- list(...)
  unknown <- setdiff(rlang::names2(given), names)
  if (length(unknown) > 0) {
    scoria_abort(c(
      "{.fn shrink_effects} takes no argument {.arg {unknown[1]}}.",
      i = "Of {.fn fit_screen} it takes {.arg {names}}."
    ), "argument", call)
  }
  before <- as.list(fitted)[setdiff(names, names(given))]
  before <- before[!vapply(before, is.null, NA)]
  unevaluated <- names(before)[vapply(before, is.language, NA)]
  # The same expression may mean something else by now.
  if (length(unevaluated) > 0) {
    scoria_abort(
      "{.fn shrink_effects} needs {.arg {unevaluated}}, as {.fn fit_screen} was
       given {cli::qty(unevaluated)}{?it/them}.",
      c("other_data", "argument"), call
    )
  }
  given <- c(given, before)
  if (is.null(given$perturbation)) {
    scoria_abort(
      "{.fn shrink_effects} needs {.arg perturbation}, as {.fn fit_screen} was
       given it.",
      c("other_data", "argument"), call
    )
  }
  given
}

# Of genes and perturbations a fit may show a part. The counts are compared where
# they are read.
check_same_screen <- function(request, fit, call) {
  about <- request$about
  shown <- fit$shown
  perturbations <- about$perturbations[shown$perturbations, ]
  same <- c(
    genes = nrow(about$genes) >= fit$store$n_genes &&
      identical(about$genes$gene_id[shown$genes], fit$genes$gene_id),
    perturbations = nrow(about$perturbations) == fit$store$n_perturbations &&
      identical(perturbations$perturbation, fit$perturbations$perturbation),
    cells = about$n_cells == fit$n_cells &&
      about$reference$n_cells == fit$reference$n_cells &&
      all(perturbations$n_cells == fit$perturbations$n_cells),
    terms = identical(about$terms, fit$terms)
  )
  if (!isTRUE(all(same))) {
    scoria_abort(c(
      "{.arg x} is not what {.arg fit} was fitted to: its {names(which(!same))[1]}
       are others.",
      i = "{.arg x}, {.arg perturbation} and what else says how to read them must
           be as in the call of {.fn fit_screen}."
    ), c("other_data", "argument"), call)
  }
}

# Posteriors of the pairs with a fit, in the order of the table's rows; `gene` and
# `group` are numbers in the whole screen.
refit_rows <- function(table, gene, group, scales, data, options, progress,
                       call = caller_env()) {
  rows <- which(table$status %in% c("ok", "separated"))
  rows <- rows[order(gene[rows], group[rows])]
  screen <- data$screen
  n_genes <- nrow(data$counts)
  screen$pair_p <- as.double(cumsum(c(0, tabulate(gene[rows], n_genes))))
  screen$pair_i <- group[rows] - 1L
  screen$estimate <- table$estimate[rows]
  screen$theta <- as.double(
    if (data$poisson) rep(Inf, length(rows)) else table$theta[rows]
  )
  screen$theta[is.na(screen$theta)] <- NaN
  screen$mean <- data$means
  value <- rust_shrink_counts(
    by_gene(data$counts, options$threads, options$memory_limit, progress),
    screen, c(options, list(scale = scales)),
    progress_bar("Shrinking effects", n_genes, progress)
  )
  value <- rust_value(value, call)
  # Of separated pairs there is no mean.
  hoped <- options$estimate == "mode" | table$status[rows] == "ok"
  lost <- sum(is.nan(value$lfsr) & hoped)
  if (lost > 0) {
    cli::cli_inform("{lost} of {length(rows)} pairs have no posterior.")
  }
  lapply(value, function(column) {
    replace(rep(NA_real_, nrow(table)), rows, nan_to_na(column))
  })
}
