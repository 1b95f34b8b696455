# Rscript bench/peak-memory.R SCREEN.rds FAMILY: the memory that a fit takes beyond
# its input, in a process that does nothing else. Linux only.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/screen.R")

# Resident memory of this process in MB: now (VmRSS), or at its highest (VmHWM).
resident <- function(field) {
  line <- grep(field, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

arguments <- commandArgs(trailingOnly = TRUE)
screen <- readRDS(arguments[1])
input <- as.numeric(object.size(counts(screen))) / 2^20
invisible(gc())
# The highest is counted from here.
writeLines("5", "/proc/self/clear_refs")
before <- resident("VmRSS")
fits <- fit_models(screen, screen_formula, expression_family = arguments[2], cores = 2)
peak <- resident("VmHWM")
cat(
  "Memory, ", arguments[2], ", two threads: ", round(before), " MB before (counts ",
  round(input), " MB), ", round(peak), " MB at the highest: ", round(peak - before),
  " MB beyond the input.\n",
  sep = ""
)
