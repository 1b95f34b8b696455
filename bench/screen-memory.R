# Rscript bench/screen-memory.R: time and memory of a whole process that reads a
# screen of 80,000 cells, 8,857 genes and 85 perturbations, one a cell, and fits
# its 752,845 pairs. Run from the root of the repository. Linux only.
#
# Rscript bench/screen-memory.R SCREEN.rds is that process.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")

main <- function(arguments) {
  if (length(arguments) == 1) {
    return(read_and_fit(arguments))
  }
  describe_machine()
  file <- sparse_low_moi_file()
  say(paste(system2("Rscript", c("bench/screen-memory.R", file), stdout = TRUE), collapse = "\n"))
}

read_and_fit <- function(file) {
  reading <- seconds(screen <- readRDS(file))
  highest <- resident("VmHWM")
  reset_highest()
  before <- resident("VmRSS")
  fitting <- seconds(fits <- fit_screen(
    screen, "perturbation", ~ percent.mito + prep_batch,
    control = "control", threads = 2, progress = FALSE
  ))
  beyond <- resident("VmHWM") - before
  tabulating <- seconds(found <- coefficient_table(fits, q_value = 0.05))
  highest <- max(highest, resident("VmHWM"))
  n_pairs <- prod(dim(fits))
  say(
    nrow(screen), " genes x ", ncol(fits), " perturbations = ", n_pairs, " pairs, ",
    ncol(screen), " cells, of which ", fits$reference$n_cells, " controls, ",
    length(fits$terms), " columns, ", format(n_nonzero(screen), big.mark = ","),
    " counts not zero"
  )
  print(data.frame(
    step = c("read the .rds file", "fit_screen(), two threads", "table of significant pairs"),
    seconds = round(c(reading, fitting, tabulating), 2)
  ), row.names = FALSE)
  say(
    "us a pair: ", signif(1e6 * fitting / n_pairs, 3), "; significant: ", nrow(found), " pairs"
  )
  say(
    "memory: ", round(before), " MB with the screen read (counts ",
    round(as.numeric(object.size(counts(screen))) / 2^20), " MB), ", round(beyond),
    " MB beyond in the fit, ", round(highest), " MB at the highest of the whole process"
  )
  report_bar("GB at the highest of the whole process", highest * 2^20 / 1e9, "<", 4)
}

main(commandArgs(trailingOnly = TRUE))
