# crispyx's nb_glm_test() from R, through files (bench/nb_glm_test.py).

# The python that has it, or "" with a word on how to get one.
crispyx_python <- function() {
  python <- Sys.getenv("SCORIA_BENCH_PYTHON")
  if (!nzchar(python)) {
    say(
      "crispyx is left out: SCORIA_BENCH_PYTHON is not set. To make one:\n",
      "  python3 -m venv ~/.cache/scoria/crispyx\n",
      "  ~/.cache/scoria/crispyx/bin/pip install crispyx==0.2.2 psutil\n",
      "  export SCORIA_BENCH_PYTHON=~/.cache/scoria/crispyx/bin/python"
    )
  }
  python
}

# A folder, removed with this session, with what nb_glm_test.py reads.
write_for_crispyx <- function(screen) {
  folder <- tempfile("crispyx-")
  dir.create(folder)
  counts <- SingleCellExperiment::counts(screen)
  for (slot in c("p", "i", "x")) {
    writeBin(methods::slot(counts, slot), file.path(folder, slot))
  }
  cells <- as.data.frame(SingleCellExperiment::colData(screen))
  utils::write.csv(cells, file.path(folder, "cells.csv"))
  writeLines(rownames(screen), file.path(folder, "genes.txt"))
  writeLines(
    sprintf("{\"genes\": %d, \"cells\": %d}", nrow(screen), ncol(screen)),
    file.path(folder, "screen.json")
  )
  folder
}

# Two workers. List of `seconds` of the rounds after the first, in which code is
# compiled, `first`, and `table`: one row a pair, estimates as natural logarithms,
# size factors as simulated.
run_crispyx <- function(folder, name, covariates = character(), min_mu = 0.5, rounds = 0) {
  settings <- sprintf(
    "{\"name\": \"%s\", \"covariates\": [%s], \"min_mu\": %s, \"rounds\": %d}",
    name, paste0("\"", covariates, "\"", recycle0 = TRUE, collapse = ", "), min_mu, rounds
  )
  # R's own path of libraries may hold those of another python.
  status <- system2(
    crispyx_python(), shQuote(c("bench/nb_glm_test.py", folder, settings)),
    env = c("LD_LIBRARY_PATH=", "NUMBA_NUM_THREADS=2", "OMP_NUM_THREADS=2", "PYTHONWARNINGS=ignore")
  )
  if (status != 0) {
    stop("nb_glm_test.py failed.")
  }
  file <- function(what) file.path(folder, paste0(name, ".", what))
  genes <- readLines(file.path(folder, "genes.txt"))
  groups <- readLines(file("groups"), warn = FALSE)
  n <- length(genes) * length(groups)
  columns <- lapply(
    c(estimate = "estimate", std_err = "std_err", p_value = "p_value", dispersion = "dispersion"),
    function(what) readBin(file(what), "double", n)
  )
  timing <- readLines(file("json"), warn = FALSE)
  numbers <- as.numeric(regmatches(timing, gregexpr("[0-9.]+(e-?[0-9]+)?", timing))[[1]])
  list(
    first = numbers[1], seconds = numbers[-1],
    table = data.frame(
      gene_id = rep(genes, times = length(groups)),
      perturbation = rep(groups, each = length(genes)), columns
    )
  )
}
