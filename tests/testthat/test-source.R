# The same cells, held in whatever there is.

skip_if_not_installed("SingleCellExperiment")

cells <- withr::with_seed(5, data.frame(
  group = rep(c("a", "b"), 40), Size_Factor = exp(rnorm(80, 0, 0.3)),
  row.names = paste0("cell", 1:80)
))
genes <- data.frame(
  gene_short_name = c("Aa", "Bb", "Cc"), row.names = c("a1", "b1", "c1")
)
counts <- withr::with_seed(6, matrix(rpois(240, c(0.2, 2, 9)), 3))
dimnames(counts) <- list(rownames(genes), rownames(cells))
sparse <- methods::as(Matrix::Matrix(counts + 0, sparse = TRUE), "generalMatrix")

experiment <- function(x = sparse, make = SingleCellExperiment::SingleCellExperiment,
                       assay = "counts") {
  make(
    stats::setNames(list(x), assay), colData = cells, rowData = genes
  )
}

table_of <- function(x, formula = "~ group", ...) {
  fits <- fit_models(x, formula, "negbinomial", ...)
  coefficient_table(fits)[c("gene_id", "term", "estimate", "std_err", "p_value")]
}

expected <- table_of(experiment())

test_that("every container of the same counts gives the same numbers", {
  expect_identical(expected$gene_id[c(1, 6)], c("a1", "c1"))
  summarized <- SummarizedExperiment::SummarizedExperiment
  expect_identical(table_of(experiment(make = summarized)), expected)
  expect_identical(table_of(experiment(counts)), expected)

  of_matrix <- function(x) table_of(x, cell_metadata = cells)
  expect_identical(of_matrix(counts), expected)
  expect_identical(of_matrix(counts + 0), expected)
  expect_identical(of_matrix(sparse), expected)
  expect_identical(of_matrix(methods::as(sparse, "TsparseMatrix")), expected)
  expect_identical(of_matrix(methods::as(sparse, "RsparseMatrix")), expected)
  expect_identical(of_matrix(Matrix::Matrix(counts + 0, sparse = FALSE)), expected)
  tibble <- tibble::as_tibble(cells)
  expect_identical(table_of(counts, cell_metadata = tibble), expected)
  frame <- S4Vectors::DataFrame(cells)
  expect_identical(table_of(counts, cell_metadata = frame), expected)
})

test_that("delayed matrices are read", {
  suppressMessages(skip_if_not_installed("DelayedArray"))
  delayed <- DelayedArray::DelayedArray(sparse)
  expect_identical(table_of(delayed, cell_metadata = cells), expected)
  expect_identical(table_of(experiment(delayed)), expected)
  # With something yet to be done.
  later <- (delayed + 1) - 1
  expect_identical(table_of(experiment(later)), expected)
})

test_that("Seurat objects are read", {
  skip_if_not_installed("SeuratObject")
  x <- suppressWarnings(
    SeuratObject::CreateSeuratObject(sparse, meta.data = cells)
  )
  expect_identical(table_of(x), expected)
  expect_identical(table_of(x, assay = "RNA"), expected)
  expect_error(table_of(x, assay = "ADT"), "RNA", class = "scoria_error_assay")
})

test_that("an entry that is stored twice counts twice, and stored zeros not", {
  twice <- Matrix::sparseMatrix(
    i = c(1, 1, 2), j = c(1, 1, 3), x = c(1, 2, 0), dims = c(2, 60), repr = "T"
  )
  source <- as_source(twice, cell_metadata = cells[1:60, ])
  expect_identical(source$counts[1, 1], 3)
  expect_identical(source$genes$num_cells_expressed, c(1L, 0L))
  expect_identical(source$cells$num_genes_expressed[1:3], c(1L, 0L, 0L))
})

test_that("counts of logical type are zeros and ones", {
  fits <- fit_models(counts > 2, "~ group", "binomial", cell_metadata = cells)
  same <- fit_models(1 * (counts > 2), "~ group", "binomial", cell_metadata = cells)
  expect_identical(coefficient_table(fits)$estimate, coefficient_table(same)$estimate)
})

test_that("an assay may have another name", {
  other <- experiment(assay = "umi")
  expect_identical(table_of(other, assay = "umi"), expected)
  expect_error(table_of(other), "umi", class = "scoria_error_assay")
})

test_that("genes without names are numbered", {
  fits <- fit_models(unname(counts), "~ group", cell_metadata = cells)
  expect_identical(fits$gene_id, paste0("gene_", 1:3))
})

# Metadata -----------------------------------------------------------------------

test_that("num_cells_expressed is counted, or trusted where it is there", {
  fits <- fit_models(experiment(), "~ group")
  expect_identical(fits$num_cells_expressed, unname(as.integer(rowSums(counts > 0))))
  expect_named(fits, c(
    "gene_short_name", "num_cells_expressed", "gene_id", "model", "model_summary",
    "status", "status_detail"
  ))
  x <- experiment()
  SummarizedExperiment::rowData(x)$num_cells_expressed <- 101:103
  expect_identical(fit_models(x, "~ group")$num_cells_expressed, 101:103)
})

test_that("num_genes_expressed can be used in formulas", {
  found <- table_of(experiment(), "~ num_genes_expressed")
  x <- experiment()
  x$detected <- colSums(counts > 0)
  expect_identical(found$estimate, table_of(x, "~ detected")$estimate)
})

test_that("gene_metadata of a matrix stand before the rest", {
  fits <- fit_models(counts, "~ group", cell_metadata = cells, gene_metadata = genes)
  expect_identical(names(fits)[1:3], c(
    "gene_short_name", "num_cells_expressed", "gene_id"
  ))
  expect_identical(fits$gene_short_name, c("Aa", "Bb", "Cc"))
})

test_that("metadata of other cells or genes are refused", {
  refused <- function(..., pattern) {
    expect_error(
      fit_models(counts, "~ group", ...), pattern, class = "scoria_error_metadata"
    )
  }
  refused(cell_metadata = cells[-1, ], pattern = "79 rows.*80 cells")
  refused(cell_metadata = cells[80:1, ], pattern = "cell80.*cell1")
  refused(cell_metadata = as.list(cells), pattern = "data frame")
  refused(
    cell_metadata = cells, gene_metadata = genes[c(2, 1, 3), , drop = FALSE],
    pattern = "b1.*a1"
  )
  refused(
    cell_metadata = cells, gene_metadata = genes[1:2, , drop = FALSE],
    pattern = "2 rows.*3 genes"
  )
  unnamed <- cells
  rownames(unnamed) <- NULL
  expect_identical(table_of(counts, cell_metadata = unnamed), expected)
})

# cell_data_set ------------------------------------------------------------------

# monocle3's class, as far as it is read; run in this process or in another.
make_cds <- quote({
  methods::setClass("cell_data_set",
    contains = "SingleCellExperiment",
    slots = c(
      reduce_dim_aux = "SimpleList", principal_graph_aux = "SimpleList",
      principal_graph = "SimpleList", clusters = "SimpleList"
    ),
    where = globalenv()
  )
  cds <- methods::new("cell_data_set", sce,
    principal_graph_aux = S4Vectors::SimpleList(
      list(UMAP = list(pseudotime = time))
    ),
    clusters = S4Vectors::SimpleList(
      UMAP = list(clusters = cluster, partitions = partition),
      PCA = list(clusters = partition)
    )
  )
})

extras <- list(
  sce = experiment(),
  time = stats::setNames(seq(0, 4, length.out = 80), rownames(cells)),
  cluster = stats::setNames(factor(rep(1:4, each = 20)), rownames(cells)),
  partition = stats::setNames(factor(rep(1:2, 40)), rownames(cells))
)

expect_read_as_monocle3_does <- function(cds) {
  expect_identical(table_of(cds), expected)
  x <- experiment()
  x$time <- extras$time
  x$leiden <- extras$cluster
  x$part <- extras$partition
  same <- function(formula, plain, ...) {
    expect_identical(
      table_of(cds, formula, ...)$estimate, table_of(x, plain)$estimate
    )
  }
  same("~ pseudotime", "~ time")
  same("~ cluster", "~ leiden")
  same("~ partition", "~ part")
  same("~ cluster", "~ part", reduction_method = "PCA")
  expect_error(
    table_of(cds, "~ pseudotime", reduction_method = "PCA"),
    "'pseudotime': not in cds", class = "scoria_error_terms"
  )
  # A column of that name gives way, as in monocle3.
  cds$cluster <- "of the metadata"
  same("~ cluster", "~ leiden")
}

test_that("cell_data_sets give clusters, partitions and pseudotime to formulas", {
  withr::defer(methods::removeClass("cell_data_set", where = globalenv()))
  expect_read_as_monocle3_does(eval(make_cds, extras))
})

test_that("cell_data_sets are read where monocle3 is not installed", {
  skip_on_os("windows")
  folder <- withr::local_tempdir()
  saveRDS(list(extras, make_cds), file.path(folder, "parts.rds"))
  script <- file.path(folder, "make.R")
  writeLines(c(
    "suppressMessages(library(SingleCellExperiment))",
    "parts <- readRDS(file.path(commandArgs(TRUE), 'parts.rds'))",
    "cds <- eval(parts[[2]], parts[[1]])",
    "saveRDS(cds, file.path(commandArgs(TRUE), 'cds.rds'))"
  ), script)
  system2(file.path(R.home("bin"), "Rscript"), c(script, folder))
  cds <- readRDS(file.path(folder, "cds.rds"))
  expect_null(methods::getClassDef("cell_data_set"))
  fit <- function(...) suppressWarnings(table_of(cds, ...))
  expect_identical(fit(), expected)
  x <- experiment()
  x$time <- extras$time
  x$leiden <- extras$cluster
  expect_identical(fit("~ pseudotime")$estimate, table_of(x, "~ time")$estimate)
  expect_identical(fit("~ cluster")$estimate, table_of(x, "~ leiden")$estimate)
})

test_that("clusters are matched to cells by name", {
  withr::defer(methods::removeClass("cell_data_set", where = globalenv()))
  mixed <- extras
  mixed$cluster <- rev(mixed$cluster)
  cds <- eval(make_cds, mixed)
  x <- experiment()
  x$leiden <- extras$cluster
  expect_identical(
    table_of(cds, "~ cluster")$estimate, table_of(x, "~ leiden")$estimate
  )
})
