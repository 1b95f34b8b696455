# `make bench-growth`: how the time of fit_models() grows with cells and covariates, what
# discrete designs save, what threads give to many genes and to few, and the memory that a
# million cells take. Run from the root of the repository.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")

rounds <- 3

main <- function() {
  describe_machine()
  against_cells()
  against_covariates()
  discrete_designs()
  threads()
  million_cells()
}

# Counts and covariates -----------------------------------------------------------

# Genes of mean counts from 0.02 to 2, and 19 covariates: cells x covariates.
grown_screen <- function(n_cells, n_genes) {
  screen <- scoria::simulate_screen(
    n_cells = n_cells, n_genes = n_genes, n_perturbations = 10, mean_range = c(0.02, 2),
    threads = 2
  )
  altExps(screen) <- list()
  set.seed(1)
  for (k in 1:19) {
    of_few_values <- rep_len(0:k, n_cells) %% 2
    screen[[paste0("x", k)]] <- if (k %% 2 == 1) stats::rnorm(n_cells) else of_few_values
  }
  screen
}

formula_of <- function(columns) {
  terms <- if (columns > 1) paste0("x", seq_len(columns - 1)) else "1"
  paste("~", paste(terms, collapse = " + "))
}

# Seconds of the call, and of what it does before the engine is called.
time_call <- function(screen, formula, cores, family = "negbinomial") {
  fit <- function() {
    fit_models(screen, formula, expression_family = family, cores = cores, progress = FALSE)
  }
  fits <- fit()
  stopifnot(fits$status == "OK")
  parsed <- scoria:::parse_formula(formula, globalenv())
  prepare <- function() {
    scoria:::prepare_model(scoria:::as_source(screen), parsed, family, "offset", "fail")
  }
  taken <- fastest_each(list(call = fit, in_r = prepare), rounds)
  passes <- mean(vapply(fits$model, function(model) model$iterations, 1))
  list(seconds = taken[["call"]], in_r = taken[["in_r"]], passes = passes)
}

# Tables ---------------------------------------------------------------------------

row <- function(what, screen, columns, cores = 1) {
  taken <- time_call(screen, formula_of(columns), cores)
  genes <- nrow(screen)
  engine <- taken$seconds - taken$in_r
  stats::setNames(
    data.frame(
      what, ncol(screen), genes, columns, cores, round(taken$seconds, 3),
      signif(1e3 * taken$seconds / genes, 3), signif(1e3 * taken$in_r / genes, 2),
      round(taken$passes, 1), signif(1e9 * engine / genes / ncol(screen), 3)
    ),
    c(
      "what", "cells", "genes", "columns", "threads", "seconds", "ms_a_gene", "in_r",
      "passes", "ns_a_cell"
    )
  )
}

against_cells <- function() {
  say("\nAgainst cells: 50 genes, 5 columns, one thread")
  cells <- scaled(1e4, 2000) * c(1, 5, 20, 100)
  print(do.call(rbind, lapply(cells, function(n) row("cells", grown_screen(n, 50), 5))),
        row.names = FALSE)
}

against_covariates <- function() {
  say("\nAgainst covariates: 50 genes, 50,000 cells, one thread")
  screen <- grown_screen(scaled(5e4, 5000), 50)
  print(do.call(rbind, lapply(c(2, 5, 20), function(p) row("columns", screen, p))),
        row.names = FALSE)
}

# Five columns of few values, and five of which two have a value a cell.
discrete_designs <- function() {
  say("\nDiscrete designs: 200 genes, 200,000 cells, two groups x two batches x three days")
  screen <- grown_screen(scaled(2e5, 10000), 200)
  screen$group <- rep_len(c(0, 0, 0, 1), ncol(screen))
  screen$batch <- rep_len(c(0, 1), ncol(screen))
  screen$day <- factor(rep_len(1:3, ncol(screen)))
  screen$depth <- stats::rnorm(ncol(screen))
  discrete <- time_call(screen, "~ group + batch + day", 1)
  # As many columns.
  dense <- time_call(screen, "~ group + batch + depth + x1", 1)
  engine <- function(taken) (taken$seconds - taken$in_r) / nrow(screen)
  for (taken in list(discrete, dense)) {
    say("  ", signif(1e3 * taken$seconds / nrow(screen), 3), " ms a gene, of the engine ",
        signif(1e3 * engine(taken), 3))
  }
  say("  times as fast, reading included: ", signif(engine(dense) / engine(discrete), 3),
      " (fits alone, for which there is a bar: make bench-core)")
}

threads <- function() {
  say("\nThreads: many genes with few cells, few genes with many")
  many <- grown_screen(scaled(2000, 500), 2000)
  few <- grown_screen(scaled(1e6, 20000), 2)
  print(rbind(
    row("many genes", many, 5), row("many genes", many, 5, 2),
    row("few genes", few, 5), row("few genes", few, 5, 2)
  ), row.names = FALSE)
}

million_cells <- function() {
  n <- scaled(1e6, 20000)
  say("\nMemory: ", n, " cells x 50 genes")
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  screen <- grown_screen(n, 50)
  colData(screen) <- colData(screen)[c("x1", "x2", "x3", "x4", "Size_Factor")]
  saveRDS(screen, file, compress = FALSE)
  for (family in c("negbinomial", "quasipoisson")) {
    arguments <- c("bench/peak-memory.R", file, family, shQuote(formula_of(5)))
    said <- system2("Rscript", arguments, stdout = TRUE)
    say(paste(said, collapse = "\n"))
    beyond <- as.numeric(sub(".*: ([0-9]+) MB beyond.*", "\\1", utils::tail(said, 1)))
    report_bar("MB beyond the input", beyond, "<", 2000)
  }
}

main()
