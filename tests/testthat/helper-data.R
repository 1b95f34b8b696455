# Data sets and results of other programs that are too large for the
# repository: a folder beside it, or wherever SCORIA_SHARED_DATA says.

# The folder, or NULL.
shared_folder <- function() {
  given <- Sys.getenv("SCORIA_SHARED_DATA")
  if (nzchar(given)) {
    return(if (dir.exists(given)) given)
  }
  # Upwards from the tests: the package's root may be called anything.
  above <- getwd()
  while (dirname(above) != above) {
    above <- dirname(above)
    beside <- file.path(above, "shared", "data")
    if (dir.exists(beside)) {
      return(beside)
    }
  }
}

# A path in that folder; the test is skipped where there is none.
shared_data <- function(...) {
  folder <- shared_folder()
  if (is.null(folder)) {
    skip(paste0(
      "no shared data: set SCORIA_SHARED_DATA to their folder (found \"",
      Sys.getenv("SCORIA_SHARED_DATA"), "\", and no ../shared/data)"
    ))
  }
  path <- file.path(folder, ...)
  if (!file.exists(path)) {
    stop("SCORIA_SHARED_DATA has no ", file.path(...), call. = FALSE)
  }
  path
}

# Without attaching, and announcing, the packages of what is read.
read_cells <- function(path) {
  requireNamespace("SingleCellExperiment", quietly = TRUE)
  readRDS(path)
}

monocle3_path <- function(...) shared_data("oracle", "monocle3", ...)

# Names of the folders with monocle3's results, by regular expression.
oracle_names <- function(pattern) {
  grep(pattern, dir(monocle3_path()), value = TRUE)
}

# A table of monocle3's, or NULL where that was not computed.
oracle_table <- function(name, table) {
  path <- file.path(monocle3_path(name), paste0(table, ".csv"))
  if (file.exists(path)) {
    utils::read.csv(path)
  }
}

# What monocle3 made of one data set, family and formula.
read_oracle <- function(name) {
  parts <- strsplit(name, "_(?=[^_]+_[^_]+$)", perl = TRUE)[[1]]
  family <- sub("_.*", "", parts[2])
  meta <- file.path(monocle3_path(name), "meta.txt")
  lines <- if (file.exists(meta)) readLines(meta) else character()
  field <- function(key) {
    line <- grep(paste0("^", key, ": "), lines, value = TRUE)
    sub(paste0("^", key, ": *"), "", line)
  }
  types <- strsplit(field("coefficient_table columns"), ", ")
  list(
    name = name,
    data = parts[1],
    subset = if (parts[1] == "papalexi") sub(".*_", "", parts[2]),
    family = sub("binomialraw", "binomial", family),
    binarised = family == "binomial",
    formula = if (length(lines) > 0) field("formula") else
      "~ perturbation + bio_rep",
    columns = if (length(types) > 0) types[[1]],
    table = oracle_table(name, "coefficient_table"),
    fits = oracle_table(name, "evaluate_fits"),
    details = oracle_table(name, "fit_details"),
    tight = oracle_table(name, "reference_tight"),
    true_offset = oracle_table(name, "reference_true_offset"),
    glm = oracle_table(name, "reference_glm")
  )
}

# The cells and genes that monocle3 was given.
oracle_cells <- function(oracle) {
  if (oracle$data == "papalexi") {
    return(papalexi_cells(oracle$subset))
  }
  x <- read_cells(monocle3_path("inputs", oracle$data, "sce.rds"))
  x <- x[unique(oracle$table$gene_id), ]
  if (oracle$binarised) {
    counts <- SummarizedExperiment::assay(x, "counts")
    counts@x <- as.double(counts@x > 0)
    SummarizedExperiment::assay(x, "counts") <- counts
  }
  # The order that monocle3 met; testthat sorts capitals first.
  texts <- names(which(vapply(SummarizedExperiment::colData(x), is.character, NA)))
  for (name in texts) {
    values <- unique(x[[name]])
    levels <- values[order(tolower(values), method = "radix")]
    x[[name]] <- factor(x[[name]], levels)
  }
  x
}

papalexi_cells <- function(subset) {
  x <- read_cells(shared_data("papalexi_lowmoi.rds"))
  cells <- utils::read.csv(monocle3_path("inputs", "papalexi", subset, "cells.csv"))
  genes <- utils::read.csv(monocle3_path("inputs", "papalexi", "genes.csv"))
  x <- x[genes$gene_id, cells$cell_id]
  targets <- setdiff(sort(unique(cells$perturbation)), "NT")
  cells$perturbation <- factor(cells$perturbation, c("NT", targets))
  SummarizedExperiment::colData(x) <- S4Vectors::DataFrame(cells)
  SummarizedExperiment::rowData(x) <- S4Vectors::DataFrame(genes)
  x
}
