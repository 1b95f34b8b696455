# Rscript bench/groups-once.R FILE METHOD SCALE THREADS ROUNDS: seconds of each call of
# test_groups() on the path of a file, and the highest resident memory in MB after the
# first. In a process of its own, for bench/groups.R.
suppressPackageStartupMessages(library(scoria))
source("bench/common.R")

arguments <- commandArgs(TRUE)
run <- function() {
  test_groups(
    arguments[1], "perturbation", "control", arguments[2],
    scale = arguments[3], threads = as.integer(arguments[4]), progress = FALSE
  )
}
first <- system.time(run())[["elapsed"]]
peak <- resident("VmHWM")
more <- vapply(seq_len(as.integer(arguments[5])), function(round) {
  gc()
  system.time(run())[["elapsed"]]
}, 0)
cat("RESULT", first, more, peak, "\n")
