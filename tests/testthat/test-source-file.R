# The same screen in every kind of file that its owners may have, written with the
# programs that write such files.

suppressMessages({
  skip_if_not_installed("SingleCellExperiment")
})

set_up <- withr::with_seed(8, {
  n <- 120
  cells <- data.frame(
    group = factor(rep(c("control", "p1", "p2", "p3"), n / 4)),
    batch = sample(c("a", "b"), n, replace = TRUE),
    depth = round(exp(rnorm(n)), 3), used = rep(c(TRUE, FALSE), n / 2),
    Size_Factor = round(exp(rnorm(n, 0, 0.3)), 3), row.names = sprintf("cell%03d", 1:n)
  )
  means <- exp(seq(-3, 3, length.out = 25))
  counts <- matrix(
    rnbinom(25 * n, mu = means, size = 2), 25,
    dimnames = list(sprintf("g%02d", 1:25), rownames(cells))
  )
  counts[3, ] <- 0
  guides <- matrix(rbinom(2 * n, 1, 0.3), n, dimnames = list(NULL, c("x1", "x2")))
  list(counts = counts, cells = cells, guides = guides)
})
counts <- set_up$counts
cells <- set_up$cells

writer <- c(
  "import sys, os, gzip, h5py, numpy as np, pandas as pd, scipy.sparse as sp",
  "import scipy.io, anndata as ad",
  "folder = sys.argv[1]",
  "counts = pd.read_csv(folder + '/counts.csv', index_col=0)",
  "cells = pd.read_csv(folder + '/cells.csv', index_col=0)",
  "cells['group'] = cells['group'].astype('category')",
  "guides = pd.read_csv(folder + '/guides.csv')",
  "Y = counts.to_numpy().T",
  "def write(name, X, **how):",
  "    a = ad.AnnData(X, obs=cells, var=pd.DataFrame({'kind': 'gene'}, index=counts.index))",
  "    a.obsm['guides'] = sp.csr_matrix(guides.to_numpy().astype('int8'))",
  "    a.uns['guide_names'] = guides.columns.to_numpy(dtype=object)",
  "    a.layers['twice'] = X * 2",
  "    a.write_h5ad(f'{folder}/{name}.h5ad', **how)",
  "write('csr', sp.csr_matrix(Y.astype('float32')))",
  "write('csr_gzip', sp.csr_matrix(Y.astype('int32')), compression='gzip')",
  "write('csr_lzf', sp.csr_matrix(Y.astype('int64')), compression='lzf')",
  "write('csc', sp.csc_matrix(Y.astype('float64')))",
  "write('csc_gzip', sp.csc_matrix(Y.astype('uint16')), compression='gzip')",
  "write('dense', Y.astype('float32'))",
  "write('dense_lzf', Y.astype('int16'), compression='lzf')",
  # As AnnData wrote before 0.7: tables are records, matrices say h5sparse.
  "codes = cells['group'].cat.codes.to_numpy().astype('int8')",
  "obs = np.rec.fromarrays(",
  "    [cells.index.to_numpy().astype('S'), codes, cells['batch'].to_numpy().astype('S'),",
  "     cells['Size_Factor'].to_numpy()], names=['index', 'group', 'batch', 'Size_Factor'])",
  "var = np.rec.fromarrays([counts.index.to_numpy().astype('S')], names=['index'])",
  "with h5py.File(folder + '/old.h5ad', 'w') as f:",
  "    f['obs'], f['var'] = obs, var",
  "    f['uns/group_categories'] = cells['group'].cat.categories.to_numpy().astype('S')",
  "    X = sp.csr_matrix(Y.astype('float32'))",
  "    g = f.create_group('X')",
  "    g.attrs['h5sparse_format'], g.attrs['h5sparse_shape'] = b'csr', np.array(X.shape)",
  "    g['data'], g['indices'], g['indptr'] = X.data, X.indices, X.indptr",
  # As Cell Ranger writes.
  "both = sp.csc_matrix(np.vstack([Y.T, guides.to_numpy().T]).astype('int32'))",
  "ids = list(counts.index) + list(guides.columns)",
  "types = ['Gene Expression'] * Y.shape[1] + ['CRISPR Guide Capture'] * guides.shape[1]",
  "def fill(g, m):",
  "    g['barcodes'] = cells.index.to_numpy().astype('S')",
  "    g['shape'] = np.array(m.shape, dtype='int32')",
  "    for part, values in [('data', m.data), ('indices', m.indices.astype('int64')),",
  "                         ('indptr', m.indptr.astype('int64'))]:",
  "        g.create_dataset(part, data=values, chunks=True, compression='gzip')",
  "with h5py.File(folder + '/v3.h5', 'w') as f:",
  "    g = f.create_group('matrix'); fill(g, both)",
  "    for name, values in [('id', ids), ('name', ids), ('feature_type', types),",
  "                         ('genome', ['GRCh38'] * len(ids))]:",
  "        g['features/' + name] = np.array(values, dtype='S')",
  "with h5py.File(folder + '/v2.h5', 'w') as f:",
  "    g = f.create_group('GRCh38'); fill(g, sp.csc_matrix(Y.T.astype('int32')))",
  "    g['genes'] = g['gene_names'] = counts.index.to_numpy().astype('S')",
  "def lines(path, values):",
  "    with gzip.open(path, 'wt') as f: f.writelines(v + '\\n' for v in values)",
  "os.mkdir(folder + '/mtx'); m = folder + '/mtx/'",
  "scipy.io.mmwrite(m + 'matrix.mtx', both.tocoo(), field='integer')",
  "os.system('gzip ' + m + 'matrix.mtx')",
  "lines(m + 'barcodes.tsv.gz', cells.index)",
  "lines(m + 'features.tsv.gz', ['\\t'.join(f) for f in zip(ids, ids, types)])"
)

folder <- NULL
files <- function() {
  if (is.null(folder)) {
    made <- withr::local_tempdir(.local_envir = teardown_env())
    utils::write.csv(counts, file.path(made, "counts.csv"))
    utils::write.csv(cells, file.path(made, "cells.csv"))
    utils::write.csv(set_up$guides, file.path(made, "guides.csv"), row.names = FALSE)
    run_python(writer, made)
    folder <<- made
  }
  folder
}

path_of <- function(name) file.path(files(), name)

in_memory <- function() {
  SingleCellExperiment::SingleCellExperiment(
    list(counts = Matrix::Matrix(counts + 0, sparse = TRUE)), colData = cells
  )
}

quietly <- function(...) suppressMessages(suppressWarnings(...))

# What does not come from the genes' metadata, which files have and others have not.
estimates <- function(fits) {
  table <- coefficient_table(fits)
  table[setdiff(names(table), c("kind", "gene_short_name", "feature_type", "genome"))]
}

screen_of <- function(x, ...) {
  quietly(estimates(fit_screen(
    x, "group", ~ batch, control = "control", dispersion = "trend", ...
  )))
}

models_of <- function(x, ...) {
  quietly(coefficient_table(fit_models(x, "~ group + batch", "negbinomial", ...)))[
    c("gene_id", "term", "estimate", "std_err", "p_value")
  ]
}

groups_of <- function(x, ...) quietly(test_groups(x, "group", "control", ...))

h5ad <- c(
  "csr", "csr_gzip", "csr_lzf", "csc", "csc_gzip", "dense", "dense_lzf", "old"
)

test_that("every file gives the bits of the matrix in memory", {
  skip_without_python()
  held <- in_memory()
  screen <- screen_of(held)
  models <- models_of(held)
  groups <- groups_of(held)
  t <- groups_of(held, method = "t", normalize = "library")
  for (name in h5ad) {
    path <- path_of(paste0(name, ".h5ad"))
    expect_identical(screen_of(path), screen, label = name)
    expect_identical(models_of(path), models, label = name)
    expect_identical(groups_of(path), groups, label = name)
    expect_identical(
      groups_of(path, method = "t", normalize = "library"), t, label = name
    )
  }
  for (name in c("v3.h5", "v2.h5", "mtx")) {
    path <- path_of(name)
    expect_identical(screen_of(path, cell_metadata = cells), screen, label = name)
    expect_identical(models_of(path, cell_metadata = cells), models, label = name)
    expect_identical(groups_of(path, cell_metadata = cells), groups, label = name)
  }
})

test_that("results do not depend on threads, memory or scratch", {
  skip_without_python()
  path <- path_of("csr_gzip.h5ad")
  expected <- screen_of(path)
  expect_identical(screen_of(path, threads = 2), expected)
  withr::local_options(scoria.scratch = withr::local_tempdir())
  expect_identical(screen_of(path, memory_limit = "200MB"), expected)
  models <- models_of(path)
  expect_identical(models_of(path, memory_limit = "100MB"), models)
  refused <- "scoria_error_memory_limit"
  expect_error(models_of(path, memory_limit = 1e4), class = refused)
  expect_error(estimate_dispersions(path, memory_limit = 1e4), class = refused)
})

test_that("metadata come as they were written", {
  skip_without_python()
  for (name in setdiff(h5ad, "old")) {
    opened <- open_h5ad(path_of(paste0(name, ".h5ad")))
    expect_identical(dim(opened), dim(counts))
    expect_identical(dimnames(opened), dimnames(counts))
    expect_identical(opened$cells$group, cells$group)
    expect_identical(as.character(opened$cells$batch), cells$batch)
    expect_identical(opened$cells$depth, cells$depth)
    expect_identical(opened$cells$used, cells$used)
    expect_identical(as.character(opened$genes$kind), rep("gene", 25))
  }
  old <- open_h5ad(path_of("old.h5ad"))
  expect_identical(dimnames(old), dimnames(counts))
  expect_identical(as.character(old$cells$group), as.character(cells$group))
})

test_that("guides are found in matrices of cells and among features", {
  skip_without_python()
  fit <- function(x, perturbation, ...) {
    quietly(estimates(fit_screen(x, perturbation, reference = "complement", ...)))
  }
  expected <- fit(in_memory(), set_up$guides == 1)
  expect_setequal(expected$perturbation, c("x1", "x2"))
  expect_identical(fit(path_of("csr.h5ad"), "guides"), expected)
  for (name in c("v3.h5", "mtx")) {
    captured <- fit(
      path_of(name), "CRISPR Guide Capture", cell_metadata = cells, threshold = 1
    )
    expect_identical(captured, expected, label = name)
  }
})

test_that("layers are found by name, and others named", {
  skip_without_python()
  path <- path_of("csr.h5ad")
  twice <- in_memory()
  SummarizedExperiment::assay(twice, "counts") <-
    2 * SummarizedExperiment::assay(twice, "counts")
  expect_identical(models_of(path, assay = "twice"), models_of(twice))
  expect_error(open_h5ad(path, "thrice"), "twice", class = "scoria_error_assay")
  opened <- open_h5ad(path)
  expect_error(
    fit_models(opened, "~ group", assay = "twice"), class = "scoria_error_assay"
  )
})

test_that("a file that is stored by cell is turned round once, and told of", {
  skip_without_python()
  withr::local_options(scoria.scratch = withr::local_tempdir())
  path <- path_of("csr_lzf.h5ad")
  fit <- function() suppressWarnings(fit_models(path, "~ group"))
  expect_message(fit(), "turned round")
  expect_length(dir(getOption("scoria.scratch")), 1)
  expect_no_message(fit())
  # Damage is seen, and mended.
  scratch <- dir(getOption("scoria.scratch"), full.names = TRUE)
  writeBin(as.raw(1:100), scratch)
  expect_message(fit(), "turned round")
  expect_no_message(suppressWarnings(fit_models(path_of("csc.h5ad"), "~ group")))
})

test_that("omitted cells and divided counts are those of the matrix in memory", {
  skip_without_python()
  some <- cells
  some$depth[c(5, 50)] <- NA
  fit <- function(x) {
    models <- quietly(fit_models(
      x, "~ depth", "poisson", size_factors = "divide", na_action = "omit",
      cell_metadata = some
    ))
    coefficient_table(models)[c("gene_id", "term", "estimate", "std_err")]
  }
  expected <- fit(counts)
  for (name in c("csr.h5ad", "csc.h5ad", "dense.h5ad")) {
    expect_identical(fit(path_of(name)), expected, label = name)
  }
})

test_that("delayed matrices are read from their files, or by block", {
  skip_without_python()
  suppressMessages(skip_if_not_installed("HDF5Array"))
  # Each in an R of its own: Debian's rhdf5 opens one and fails at the next.
  seed_of <- function(code) {
    kept <- withr::local_tempfile()
    code <- sprintf("saveRDS(HDF5Array::%s, '%s')", code, kept)
    system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stderr = FALSE)
    readRDS(kept)
  }
  seeds <- lapply(c(
    sprintf("H5SparseMatrixSeed('%s', 'X')", path_of("csr.h5ad")),
    sprintf("H5SparseMatrixSeed('%s', 'X')", path_of("csc_gzip.h5ad")),
    sprintf("HDF5ArraySeed('%s', 'X')", path_of("dense.h5ad")),
    sprintf("TENxMatrixSeed('%s', 'GRCh38')", path_of("v2.h5"))
  ), seed_of)
  expected <- models_of(in_memory())
  for (seed in seeds) {
    delayed <- DelayedArray::DelayedArray(seed)
    dimnames(delayed) <- dimnames(counts)
    expect_identical(delayed_counts(delayed)$path, normalizePath(seed@filepath))
    expect_identical(models_of(delayed, cell_metadata = cells), expected)
  }
  # With something yet to be done, and in more than one block.
  before <- DelayedArray::getAutoBlockSize()
  suppressMessages(DelayedArray::setAutoBlockSize(8 * 25 * 50))
  withr::defer(suppressMessages(DelayedArray::setAutoBlockSize(before)))
  later <- DelayedArray::DelayedArray(counts) * 2
  expect_match(delayed_counts(later)$path, "delayed-")
  expect_identical(
    models_of(later, cell_metadata = cells),
    models_of(counts * 2, cell_metadata = cells)
  )
})

test_that("files that are none are refused by name", {
  folder <- withr::local_tempdir()
  text <- file.path(folder, "counts.csv")
  writeLines("gene,cell,count", text)
  refused <- function(code, class) {
    error <- expect_error(code, class = paste0("scoria_error_", class))
    expect_s3_class(error, "scoria_error")
    conditionMessage(error)
  }
  expect_match(refused(open_h5ad(text), "input_file"), "counts.csv")
  expect_match(refused(fit_models(text, "~ 1"), "input_file"), "counts.csv")
  expect_match(refused(open_h5ad(file.path(folder, "no.h5ad")), "input_file"), "no.h5ad")
  expect_match(refused(open_h5ad(folder), "input_file"), "directory")
  expect_match(refused(open_10x_h5(text), "input_file"), "counts.csv")
  refused(open_h5ad(3), "input_file")
  refused(fit_models(c("a", "b"), "~ 1"), "source")
})

test_that("a file that is damaged anywhere is refused, or read, and R lives on", {
  skip_without_python()
  # Where rhdf5 is loaded, the library of HDF5 tells it of errors, and it jumps into R.
  suppressMessages(requireNamespace("HDF5Array", quietly = TRUE))
  folder <- withr::local_tempdir()
  outcomes <- vapply(1:100, function(case) {
    withr::local_seed(case)
    original <- path_of(sample(c("csr_gzip.h5ad", "dense_lzf.h5ad", "old.h5ad", "v3.h5"), 1))
    bytes <- readBin(original, "raw", file.size(original))
    # All that HDF5 keeps for itself is in small pieces, most of them near the beginning.
    at <- ceiling(length(bytes) * stats::runif(sample(c(1, 10, 100), 1))^2)
    bytes[at] <- as.raw(sample(0:255, length(at), replace = TRUE))
    path <- file.path(folder, paste0(case, ".", tools::file_ext(original)))
    writeBin(bytes, path)
    tryCatch(
      {
        quietly(fit_models(path, "~ 1"))
        "read"
      },
      scoria_error = function(error) "refused"
    )
  }, "")
  expect_setequal(outcomes, c("read", "refused"))
})

test_that("a source says where its counts are", {
  skip_without_python()
  said <- function(x) cli::cli_fmt(print(x))
  expect_match(said(quietly(open_mtx(path_of("mtx")))), "counts: in a scratch file", all = FALSE)
  expect_match(said(open_h5ad(path_of("csr.h5ad"))), "counts: X, stored by cell", all = FALSE)
})
