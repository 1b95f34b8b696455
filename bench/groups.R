# Rscript bench/groups.R: test_groups() on .h5ad files of 50,000 cells x 5,000 genes x
# 200 groups, beside illico, crispyx and pdex 0.1.28, two threads each; how its time
# grows; and from the file beside from memory. Run from the root of the repository, with
# SCORIA_BENCH_PYTHON set to a python with illico and crispyx, and SCORIA_BENCH_PDEX to
# one with pdex 0.1.28.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")

rounds <- 3
genes <- scaled(5000, 100)
groups <- scaled(200, 10)
pdex_genes <- 50
pdex_groups <- 100

main <- function() {
  if (!nzchar(Sys.getenv("SCORIA_BENCH_PYTHON"))) {
    say("SCORIA_BENCH_PYTHON is not set: a python with illico 0.6.0 and crispyx 0.2.2.")
    return(invisible())
  }
  describe_machine()
  folder <- screen_folder(scaled(50000, 2000), genes, groups)
  counts <- file.path(folder, "counts.h5ad")
  lognorm <- file.path(folder, "lognorm.h5ad")
  say(round(file.size(counts) / 8e6, 1), " million values are not zero")
  read_files(c(counts, lognorm))

  illico_counts <- peer("illico", counts, "counts", rounds)
  illico_lognorm <- peer("illico", lognorm, "lognorm", rounds)
  crispyx <- peer("crispyx", lognorm, "t", rounds)
  crispyx_wilcoxon <- peer("crispyx", lognorm, "wilcoxon", 1)
  wilcoxon_counts <- ours(counts, "wilcoxon", "counts")
  wilcoxon_lognorm <- ours(lognorm, "wilcoxon", "log1p")
  t <- ours(lognorm, "t", "log1p")
  anderson <- ours(lognorm, "anderson", "log1p")
  print(rbind(
    "Wilcoxon, counts: illico" = illico_counts, "ours" = wilcoxon_counts,
    "Wilcoxon, log-normalised: illico" = illico_lognorm, "crispyx" = crispyx_wilcoxon,
    "ours " = wilcoxon_lognorm,
    "t: crispyx" = crispyx, "ours  " = t, "Anderson-Darling: ours" = anderson
  ), digits = 3)
  faster <- function(peer, ours) peer[["seconds"]] / ours[["seconds"]]
  report_bar("times faster than illico on counts", faster(illico_counts, wilcoxon_counts), ">", 5)
  report_bar(
    "times faster than illico on logarithms", faster(illico_lognorm, wilcoxon_lognorm), ">", 3
  )
  report_bar("times faster than crispyx's t test", faster(crispyx, t), ">", 3)
  most <- max(wilcoxon_counts[["peak_mb"]], wilcoxon_lognorm[["peak_mb"]])
  report_bar("of illico's memory", most / illico_counts[["peak_mb"]], "<", 0.5)
  report_bar("of crispyx's memory for it", most / crispyx_wilcoxon[["peak_mb"]], "<", 0.2)
  beside_pdex(lognorm, anderson)
  from_memory(counts)
  growth()
}

beside_pdex <- function(lognorm, anderson) {
  python <- Sys.getenv("SCORIA_BENCH_PDEX")
  if (!nzchar(python)) {
    say("pdex is left out: SCORIA_BENCH_PDEX is not set.")
    return(invisible())
  }
  theirs <- peer("pdex", lognorm, pdex_genes, pdex_groups, python = python)
  each <- theirs[["seconds"]] / (pdex_genes * pdex_groups)
  say("pdex 0.1.28: ", signif(1e3 * each, 3), " ms a pair, of ", pdex_genes * pdex_groups)
  report_bar(
    "times faster than pdex's Anderson-Darling, a pair",
    each / (anderson[["seconds"]] / (genes * groups)), ">", 50
  )
}

from_memory <- function(counts) {
  opened <- open_h5ad(counts, verbose = FALSE)
  held <- methods::as(HDF5Array::H5SparseMatrix(counts, "X"), "dgCMatrix")
  cells <- data.frame(perturbation = opened$cells$perturbation)
  run <- function(x) {
    function() test_groups(x, "perturbation", "control", threads = 2, cell_metadata = cells)
  }
  taken <- fastest_each(list(file = run(opened), memory = run(held)), rounds)
  say("Wilcoxon on counts, seconds: ", paste(names(taken), round(taken, 3), collapse = ", "))
}

# How fast the disk's cache hands the files over, as a measure of reading.
read_files <- function(paths) {
  copy <- function(path) {
    function() system2("cat", shQuote(path), stdout = FALSE)
  }
  for (path in paths) {
    taken <- fastest_each(list(copy(path)), 2)
    say(
      basename(path), ": ", round(file.size(path) / 1e6), " MB, read by cat at ",
      round(file.size(path) / 1e9 / taken, 2), " GB/s"
    )
  }
}

growth <- function() {
  say("\nWilcoxon on counts by size, seconds (fastest of ", rounds + 1, "):")
  base <- c(cells = 20000, genes = 2000, groups = 100)
  sizes <- rbind(base, base * c(2, 1, 1), base * c(4, 1, 1), base * c(1, 2, 1), base * c(1, 4, 1),
    base * c(1, 1, 2), base * c(1, 1, 4)
  )
  seconds <- apply(sizes, 1, function(size) {
    folder <- screen_folder(scaled(size[1], 500), scaled(size[2], 50), scaled(size[3], 5))
    ours(file.path(folder, "counts.h5ad"), "wilcoxon", "counts")[["seconds"]]
  })
  print(data.frame(sizes, seconds = round(seconds, 3), row.names = NULL))
}

# A folder with the screen as counts.h5ad and lognorm.h5ad, made if it is not there.
screen_folder <- function(n_cells, n_genes, n_groups) {
  key <- sprintf("groups-%d-%d-%d", n_cells, n_genes, n_groups)
  cache <- Sys.getenv("SCORIA_BENCH_CACHE", path.expand("~/.cache/scoria/bench"))
  folder <- file.path(cache, key)
  if (file.exists(file.path(folder, "lognorm.h5ad"))) {
    return(folder)
  }
  say("# simulating ", key)
  dir.create(folder, showWarnings = FALSE, recursive = TRUE)
  screen <- simulate_screen(
    n_cells, n_genes, n_groups,
    mean_range = c(0.002, 6), control_fraction = 0.1, threads = 2
  )
  slots <- c("p", "i", "x")
  for (slot in slots) {
    writeBin(methods::slot(counts(screen), slot), file.path(folder, slot))
  }
  cells <- data.frame(perturbation = screen$perturbation, row.names = colnames(screen))
  utils::write.csv(cells, file.path(folder, "cells.csv"))
  writeLines(rownames(screen), file.path(folder, "genes.txt"))
  python(Sys.getenv("SCORIA_BENCH_PYTHON"), "bench/groups.py", "write", folder)
  unlink(file.path(folder, slots))
  folder
}

ours <- function(file, method, scale, threads = 2) {
  found <- result_of(system2(
    file.path(R.home("bin"), "Rscript"),
    shQuote(c("bench/groups-once.R", file, method, scale, threads, rounds)),
    stdout = TRUE
  ))
  n <- length(found)
  c(seconds = min(found[-n]), first = found[1], peak_mb = found[n])
}

peer <- function(..., python = Sys.getenv("SCORIA_BENCH_PYTHON")) {
  found <- result_of(python(python, "bench/groups.py", ...))
  n <- length(found)
  c(seconds = min(found[-n]), first = NA, peak_mb = found[n])
}

# R's own path of libraries may hold those of another python.
python <- function(path, ...) {
  system2(
    path, shQuote(c(...)), stdout = TRUE, stderr = FALSE,
    env = c("LD_LIBRARY_PATH=", "NUMBA_NUM_THREADS=2", "OMP_NUM_THREADS=2")
  )
}

result_of <- function(lines) {
  line <- grep("^RESULT", lines, value = TRUE)
  as.numeric(strsplit(trimws(sub("RESULT", "", line)), " +")[[1]])
}

main()
