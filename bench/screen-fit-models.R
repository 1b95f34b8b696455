# Rscript bench/screen-fit-models.R: fit_screen() beside fit_models() for the same
# pairs, one model a pair on the perturbation's cells and the controls, with a
# dispersion a pair; and how far apart they are. Run from the root of the repository.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")

rounds <- 3
n_perturbations <- 3

main <- function() {
  describe_machine()
  screen <- readRDS(low_moi_file())
  labels <- setdiff(levels(screen$perturbation), "control")
  labels <- labels[round(seq(1, length(labels), length.out = n_perturbations))]
  pairs <- expand.grid(gene = rownames(screen), perturbation = labels)
  all_pairs <- nrow(screen) * (nlevels(screen$perturbation) - 1)
  calls <- list(
    "fit_models(), these pairs" = function() fit_each(screen, labels),
    "fit_screen(), these pairs" = function() fit(screen, "pair", pairs),
    "fit_screen(), all pairs" = function() fit(screen, "pair"),
    "fit_screen(), all pairs, a dispersion a gene" = function() fit(screen, "null")
  )
  n_pairs <- c(nrow(pairs), nrow(pairs), all_pairs, all_pairs)
  taken <- fastest_each(calls, rounds)
  say(
    ncol(screen), " cells, of which ", sum(screen$perturbation == "control"),
    " controls; ", deparse1(low_moi_formula), "; two threads"
  )
  print(data.frame(
    pairs = n_pairs, seconds = round(taken, 2), us_a_pair = signif(1e6 * taken / n_pairs, 3),
    times_as_fast = round((taken[1] / n_pairs[1]) / (taken / n_pairs), 1)
  ))
  measure_distance(fit_each(screen, labels), coefficient_table(fit(screen, "pair", pairs)))
}

fit <- function(screen, dispersion, pairs = NULL) {
  fit_screen(
    screen, "perturbation", low_moi_formula,
    control = "control", pairs = pairs, dispersion = dispersion, threads = 2, progress = FALSE
  )
}

# The same model written out, one perturbation after the other.
fit_each <- function(screen, labels) {
  tables <- lapply(labels, function(label) {
    part <- screen[, screen$perturbation %in% c("control", label)]
    part$perturbed <- as.integer(part$perturbation == label)
    fits <- fit_models(
      part, stats::update(low_moi_formula, ~ perturbed + .),
      expression_family = "negbinomial", cores = 2, progress = FALSE
    )
    table <- coefficient_table(fits)
    table <- table[table$term %in% "perturbed", c("gene_id", "estimate", "std_err")]
    table$perturbation <- rep(label, nrow(table))
    table
  })
  do.call(rbind, tables)
}

measure_distance <- function(one_by_one, screen) {
  key <- function(table) paste(table$gene_id, table$perturbation)
  one_by_one <- one_by_one[match(key(screen), key(one_by_one)), ]
  both <- which(screen$status == "ok" & is.finite(one_by_one$std_err))
  say(
    length(both), " pairs with an estimate in both; ",
    sum(screen$status == "ok") - length(both), " in fit_screen() alone, ",
    sum(is.finite(one_by_one$std_err)) - length(both), " in fit_models() alone"
  )
  distance <- abs(screen$estimate - one_by_one$estimate)[both] / one_by_one$std_err[both]
  errors <- abs(screen$std_err / one_by_one$std_err - 1)[both]
  print(data.frame(
    of = c("estimates, in standard errors", "standard errors, relative"),
    median = signif(c(stats::median(distance), stats::median(errors)), 2),
    percent_99 = signif(c(stats::quantile(distance, 0.99), stats::quantile(errors, 0.99)), 2),
    largest = signif(c(max(distance), max(errors)), 2)
  ), row.names = FALSE)
}

main()
