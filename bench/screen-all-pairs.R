# Rscript bench/screen-all-pairs.R: one gene in a hundred against all 6,542 groups
# of the screen of Gasperini et al. (2019), and what that makes for all genes,
# 85.9 million pairs. Run from the root of the repository.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")

# Sampled, and so few that the time is that of reading and gathering.
n_genes <- scaled(131, 13)
n_few <- max(2, n_genes %/% 10)
n_groups <- scaled(n_gasperini$groups, 100)

main <- function() {
  describe_machine()
  file <- gasperini_groups_file(n_genes, n_groups)
  screen <- readRDS(file)
  # Evenly over the abundances, as all of them are.
  ranked <- order(SingleCellExperiment::rowData(screen)$true_mean)
  few <- screen[ranked[round(seq(1, n_genes, length.out = n_few))], ]

  setup <- seconds(fit(few))
  reset_highest()
  before <- resident("VmRSS")
  in_memory <- seconds(fits <- fit(screen))
  highest <- resident("VmHWM")
  output <- tempfile(fileext = ".h5")
  on.exit(unlink(output))
  in_file <- seconds(fit(screen, output = output))

  n_pairs <- prod(dim(fits))
  say(
    nrow(screen), " genes x ", ncol(fits), " groups = ", n_pairs, " pairs, ", ncol(screen),
    " cells, ", round(mean(fits$perturbations$n_cells)), " a group, ", length(fits$terms),
    " columns, ", format(n_nonzero(screen), big.mark = ","), " counts not zero"
  )
  taken <- c("in memory" = in_memory, "in a file" = in_file)
  a_gene <- (taken - setup) / (n_genes - n_few)
  all <- setup - n_few * a_gene + n_gasperini$genes * a_gene
  print(data.frame(
    results = names(taken),
    seconds = round(taken, 1),
    us_a_pair = signif(1e6 * taken / n_pairs, 3),
    s_a_gene = signif(a_gene, 3),
    minutes_for_all_genes = round(all / 60, 1)
  ), row.names = FALSE)
  say(n_few, " genes alone: ", round(setup, 2), " s, subtracted once")
  say(
    "memory: ", round(before), " MB before (the input), ", round(highest - before),
    " MB beyond; 45 bytes a pair are ",
    round(45 * as.double(n_groups) * n_gasperini$genes / 1e9, 2), " GB for all genes"
  )
  say("file: ", file.size(output), " bytes, ", signif(file.size(output) / n_pairs, 3), " a pair")
  report_bar("minutes for all pairs, two threads, in memory", all[[1]] / 60, "<", 30)
  report_bar("minutes for all pairs, two threads, in a file", all[[2]] / 60, "<", 30)
}

fit <- function(screen, output = NULL) {
  suppressMessages(fit_screen(
    screen, "perturbations", groups_formula,
    reference = "complement", threads = 2, output = output, progress = FALSE
  ))
}

main()
