# Rscript bench/screen-pairs.R: what a pair costs, at the size of the screen of
# Gasperini et al. (2019): microseconds a pair and core, apart from the genes' fits
# without perturbation; passes and refreshes; and how much of it is the exponential
# and the division of the cells that are looked at. Run from the root of the
# repository.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")

n_genes <- scaled(50, 10)
n_groups <- scaled(1000, 20)
rounds <- 3

main <- function() {
  describe_machine()
  screen <- readRDS(gasperini_groups_file(n_genes, n_groups))
  fits <- fit(screen, 1)
  all <- fastest_each(list(
    one = function() fit(screen, 1), two = function() fit(screen, 2)
  ), rounds)
  # A single pair a gene: what is left is the fit without perturbation, reading
  # the screen, and gathering the cells of the groups.
  single <- data.frame(gene = rownames(screen), perturbation = colnames(fits)[1])
  none <- fastest_each(list(
    one = function() fit(screen, 1, single), two = function() fit(screen, 2, single)
  ), rounds)
  report(screen, fits, all, none, measure_floor())
}

fit <- function(screen, threads, pairs = NULL) {
  suppressMessages(fit_screen(
    screen, "perturbations", groups_formula,
    reference = "complement", pairs = pairs, threads = threads, progress = FALSE
  ))
}

report <- function(screen, fits, all, none, floor) {
  n_pairs <- prod(dim(fits))
  say(
    nrow(screen), " genes x ", ncol(fits), " groups, ", ncol(screen), " cells, ",
    length(fits$terms), " columns, ", format(n_nonzero(screen), big.mark = ","),
    " counts not zero"
  )
  print(data.frame(
    threads = 1:2,
    seconds = round(all, 2),
    without_pairs = round(none, 2),
    us_a_pair = signif(1e6 * (all - none) / n_pairs, 3),
    us_a_pair_and_core = signif(1e6 * 1:2 * (all - none) / n_pairs, 3),
    ms_a_gene_without_pairs = signif(1e3 * none / nrow(screen), 3)
  ), row.names = FALSE)
  say("two threads : one, the pairs: ", round(
    (all[["one"]] - none[["one"]]) / (all[["two"]] - none[["two"]]), 2
  ), " times as fast")
  report_passes(fits, all[["one"]] - none[["one"]], floor)
  report_bar("microseconds a pair and core, two threads", side = "<",
             1e6 * 2 * (all[["two"]] - none[["two"]]) / n_pairs, 25)
}

# `taken`: seconds of the pairs with one thread.
report_passes <- function(fits, taken, floor) {
  columns <- fits$store$columns
  cells <- rep(fits$perturbations$n_cells, times = nrow(fits))
  n <- length(cells)
  say(
    "a pair: ", round(mean(cells)), " cells; passes ", quartiles(columns$passes),
    "; refreshes ", quartiles(columns$refreshes), ", of ",
    round(100 * mean(columns$refreshes > 0), 2), " % of the pairs any"
  )
  say("status: ", paste(
    c("ok", "separated", "other"),
    c(sum(columns$status == 0), sum(columns$status == 1), sum(columns$status > 1)),
    sep = " ", collapse = ", "
  ))
  looked_at <- sum(as.double(cells) * columns$passes)
  say("a cell and pass: ", signif(1e9 * taken / looked_at, 3), " ns")
  for (part in names(floor)) {
    what <- c(all = "the floor", exp_division = "exponential and division alone")[part]
    say(
      "  ", what, ": ", signif(floor[[part]], 3), " ns, ",
      signif(1e6 * 1e-9 * floor[[part]] * looked_at / n, 3), " us a pair, ",
      round(100 * 1e-9 * floor[[part]] * looked_at / taken), " % of its time"
    )
  }
}

quartiles <- function(x) {
  q <- stats::quantile(x, c(0.25, 0.5, 0.75), names = FALSE)
  paste0(signif(mean(x), 3), " (quartiles ", paste(q, collapse = ", "), ")")
}

main()
