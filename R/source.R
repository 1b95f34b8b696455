# Where counts come from: whatever the user holds becomes one `source` ----------
#
# A source is a list of
#   counts     genes x cells: a dgCMatrix, or where they are in a file (class
#              scoria_counts; see source-file.R)
#   cells      list of covariates, one value (or one row) a cell
#   genes      data frame, one row a gene, with gene_id and num_cells_expressed
# and knows nothing of models.

as_source <- function(x, assay = NULL, cell_metadata = NULL,
                      gene_metadata = NULL, reduction_method = "UMAP",
                      threads = 1L, complete = TRUE, arg = rlang::caller_arg(x),
                      call = caller_env()) {
  if (inherits(x, "scoria_source")) {
    source <- read_file_source(x, assay, cell_metadata, gene_metadata, arg, call)
  } else if ("cell_data_set" %in% class(x)) {
    source <- read_cell_data_set(x, assay, reduction_method, arg, call)
  } else if (is(x, "SummarizedExperiment")) {
    source <- read_experiment(x, assay, arg, call)
  } else if (inherits(x, "Seurat")) {
    source <- read_seurat(x, assay, arg, call)
  } else if (is.matrix(x) || is(x, "Matrix") || is(x, "DelayedMatrix")) {
    source <- read_matrix(x, cell_metadata, gene_metadata, arg, call)
  } else {
    scoria_abort(c(
      "Can't find counts in {.arg {arg}}, {.obj_type_friendly {x}}.",
      i = "A SingleCellExperiment, SummarizedExperiment, cell_data_set or
           Seurat object is expected, a matrix of genes x cells with
           {.arg cell_metadata}, or the path of a file."
    ), "source", call)
  }
  if (nrow(source$counts) == 0 || ncol(source$counts) == 0) {
    scoria_abort(
      "{.arg {arg}} has {nrow(source$counts)} gene{?s} and
       {ncol(source$counts)} cell{?s}: there is nothing to fit.",
      "source", call
    )
  }
  source$threads <- threads
  if (complete) source <- complete_source(source)
  source$genes$gene_id <- gene_names(source$counts)
  source
}

# What monocle3 adds: how many cells express each gene, and, for formulas, how
# many genes each cell expresses.
complete_source <- function(source) {
  wanted <- is.null(source$genes$num_cells_expressed) ||
    is.null(source$cells$num_genes_expressed)
  if (wanted) {
    summary <- rust_value(rust_summarise(source$counts, source$threads))
    source$totals <- summary$totals
    source$genes$num_cells_expressed <-
      source$genes$num_cells_expressed %||% summary$cells_expressing
    source$cells$num_genes_expressed <-
      source$cells$num_genes_expressed %||% summary$genes_expressed
  }
  source
}

# A path is opened; other objects are what they are.
open_if_path <- function(x, assay = NULL, verbose = TRUE, memory_limit = NULL,
                         arg = rlang::caller_arg(x), call = caller_env()) {
  if (!is.character(x) || !is.null(dim(x))) {
    return(x)
  }
  if (length(x) != 1 || is.na(x)) {
    scoria_abort(
      "{.arg {arg}} must be one path, where it is one, not {length(x)}.",
      c("source", "argument"), call
    )
  }
  open_path(x, assay, verbose, memory_limit, call)
}

# Metadata that are given go before those of the file.
read_file_source <- function(x, assay, cell_metadata, gene_metadata, arg, call) {
  if (!is.null(assay) && !identical(sub("^layers/", "", x$counts$matrix), assay)) {
    scoria_abort(c(
      "{.arg {arg}} was opened with the matrix {.val {x$counts$matrix}}, not
       {.val {assay}}.",
      i = "Leave {.arg assay} out, or name it where the file is opened."
    ), c("assay", "source"), call)
  }
  if (!is.null(cell_metadata)) {
    check_metadata(
      cell_metadata, "cell_metadata", "cell", ncol(x), colnames(x), arg, call
    )
    columns <- as_covariates(cell_metadata)
    x$cells[names(columns)] <- columns
  }
  if (!is.null(gene_metadata)) {
    check_metadata(
      gene_metadata, "gene_metadata", "gene", nrow(x), rownames(x), arg, call
    )
    x$genes[names(gene_metadata)] <- as.data.frame(gene_metadata)
  }
  unclass(x)[c("counts", "cells", "genes")]
}

gene_names <- function(counts) {
  rownames(counts) %||% paste0("gene_", seq_len(nrow(counts)))
}

read_experiment <- function(x, assay, arg, call) {
  rlang::check_installed("SummarizedExperiment", call = call)
  assay <- assay %||% "counts"
  present <- SummarizedExperiment::assayNames(x)
  if (!assay %in% present) {
    scoria_abort(c(
      "{.arg {arg}} has no assay {.val {assay}}.",
      i = "It has {.val {present}}: name one with {.arg assay}."
    ), c("assay", "source"), call)
  }
  genes <- as.data.frame(SummarizedExperiment::rowData(x))
  list(
    counts = as_counts(SummarizedExperiment::assay(x, assay), call),
    cells = as_covariates(SummarizedExperiment::colData(x)),
    genes = structure(genes, row.names = seq_len(nrow(x)))
  )
}

# monocle3 need not be installed: what it derives from SingleCellExperiment is
# read as one, and its own slots are attributes.
read_cell_data_set <- function(x, assay, reduction_method, arg, call) {
  source <- read_experiment(as_experiment(x), assay, arg, call)
  of_method <- function(name) {
    kept <- attr(x, name, exact = TRUE)
    if (reduction_method %in% names(kept)) kept[[reduction_method]]
  }
  clusters <- of_method("clusters")
  offered <- list(
    cluster = clusters$clusters,
    partition = clusters$partitions,
    pseudotime = of_method("principal_graph_aux")$pseudotime
  )
  for (name in names(offered)) {
    values <- offered[[name]]
    if (is.null(values)) next
    if (!is.null(names(values))) values <- values[colnames(source$counts)]
    source$cells[[name]] <- unname(values)
  }
  source
}

as_experiment <- function(x) {
  if ("cell_data_set" %in% class(x)) {
    attr(x, "class") <-
      structure("SingleCellExperiment", package = "SingleCellExperiment")
  }
  x
}

read_seurat <- function(x, assay, arg, call) {
  rlang::check_installed("SeuratObject", call = call)
  assay <- assay %||% SeuratObject::DefaultAssay(x)
  present <- seurat_assays(x)
  if (!assay %in% present) {
    scoria_abort(c(
      "{.arg {arg}} has no assay {.val {assay}}.",
      i = "It has {.val {present}}: name one with {.arg assay}."
    ), c("assay", "source"), call)
  }
  counts <- seurat_counts(x, assay)
  genes <- as.data.frame(x[[assay]][[]])
  list(
    counts = as_counts(counts, call),
    cells = as_covariates(x[[]]),
    genes = structure(genes, row.names = seq_len(nrow(counts)))
  )
}

seurat_assays <- function(x) {
  names(x)[vapply(names(x), function(name) {
    inherits(x[[name]], c("Assay", "StdAssay"))
  }, NA)]
}

seurat_counts <- function(x, assay) {
  if (utils::packageVersion("SeuratObject") >= "5.0.0") {
    layers <- getExportedValue("SeuratObject", "LayerData")
    layers(x, assay = assay, layer = "counts")
  } else {
    SeuratObject::GetAssayData(x, assay = assay, slot = "counts")
  }
}

read_matrix <- function(x, cell_metadata, gene_metadata, arg, call) {
  counts <- as_counts(x, call)
  if (is.null(cell_metadata)) {
    cells <- list()
  } else {
    check_metadata(
      cell_metadata, "cell_metadata", "cell", ncol(counts), colnames(counts),
      arg, call
    )
    cells <- as_covariates(cell_metadata)
  }
  if (is.null(gene_metadata)) {
    gene_metadata <- data.frame(row.names = seq_len(nrow(counts)))
  } else {
    check_metadata(
      gene_metadata, "gene_metadata", "gene", nrow(counts), rownames(counts),
      arg, call
    )
  }
  genes <- as.data.frame(gene_metadata)
  list(
    counts = counts,
    cells = cells,
    genes = structure(genes, row.names = seq_len(nrow(counts)))
  )
}

check_metadata <- function(metadata, arg, unit, expected, names, source,
                           call) {
  if (!is.data.frame(metadata) && !is(metadata, "DataFrame")) {
    scoria_abort(
      "{.arg {arg}} must be a data frame with one row a {unit}, not
       {.obj_type_friendly {metadata}}.",
      c("metadata", "argument"), call
    )
  }
  if (nrow(metadata) != expected) {
    scoria_abort(
      "{.arg {arg}} has {nrow(metadata)} row{?s}, but there are {expected}
       {unit}s.",
      c("metadata", "argument"), call
    )
  }
  # A tibble, or a data frame nobody named, has automatic row names.
  own <- if (is.data.frame(metadata) && .row_names_info(metadata) <= 0) {
    NULL
  } else {
    rownames(metadata)
  }
  if (!is.null(own) && !is.null(names) && !identical(own, names)) {
    first <- which(own != names)[1]
    scoria_abort(c(
      "The {unit}s of {.arg {arg}} are not those of {.arg {source}}, or stand in
       another order.",
      x = "{unit} {first} is {.val {own[first]}} in one and
           {.val {names[first]}} in the other."
    ), c("metadata", "argument"), call)
  }
}

# As a list, so that a column keeps its name and may be a matrix.
as_covariates <- function(metadata) {
  columns <- as.list(metadata)
  lapply(columns, function(column) {
    if (is(column, "Rle")) as.vector(column) else column
  })
}

as_counts <- function(x, call) {
  if (is(x, "DelayedMatrix")) {
    return(delayed_counts(x, call))
  }
  if (is.matrix(x) && !is.numeric(x) && !is.logical(x)) {
    scoria_abort(
      "Counts must be numeric, not {.obj_type_friendly {x}}.",
      c("counts", "source"), call
    )
  }
  if (is.matrix(x) && is.integer(x)) storage.mode(x) <- "double"
  as(as(as(x, "dMatrix"), "generalMatrix"), "CsparseMatrix")
}
