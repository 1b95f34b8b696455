# Rscript bench/peak-memory.R SCREEN.rds FAMILY [FORMULA]: the memory that a fit takes beyond
# its input, in a process that does nothing else. Linux only.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")

arguments <- commandArgs(trailingOnly = TRUE)
screen <- readRDS(arguments[1])
input <- as.numeric(object.size(counts(screen))) / 2^20
reset_highest()
before <- resident("VmRSS")
formula <- if (length(arguments) > 2) arguments[3] else screen_formula
fits <- fit_models(screen, formula, expression_family = arguments[2], cores = 2)
peak <- resident("VmHWM")
cat(
  "Memory, ", arguments[2], ", two threads: ", round(before), " MB before (counts ",
  round(input), " MB), ", round(peak), " MB at the highest: ", round(peak - before),
  " MB beyond the input.\n",
  sep = ""
)
