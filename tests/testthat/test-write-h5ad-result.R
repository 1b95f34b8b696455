# Written to a file that is gone with the test.
written <- function(x, ..., envir = parent.frame()) {
  path <- withr::local_tempfile(fileext = ".h5ad", .local_envir = envir)
  write_h5ad_result(x, path, ...)
  path
}

# Perturbations x genes of a column of the table of coefficients.
expected_matrix <- function(fit, column, none = NA_real_) {
  table <- coefficient_table(fit)
  matrix <- matrix(
    none, ncol(fit), nrow(fit),
    dimnames = rev(dimnames(fit))
  )
  matrix[cbind(table$perturbation, table$gene_id)] <- table[[column]]
  matrix
}

test_that("anndata reads what coefficient_table() has", {
  skip_without_python()
  fit <- made_up_fit()
  path <- written(fit)
  columns <- c(
    X = "log2_fold_change", z_score = "statistic", pvalue = "p_value",
    pvalue_adj = "q_value", logfoldchange_raw_ln = "estimate",
    standard_error_ln = "std_err"
  )
  read <- anndata_layers(
    path, c(names(columns), "standard_error", "status", "converged")
  )
  for (layer in names(columns)) {
    expect_equal(
      read[[layer]], expected_matrix(fit, columns[[layer]]),
      tolerance = 1e-15, info = layer
    )
  }
  expect_equal(
    read$standard_error, expected_matrix(fit, "std_err") / log(2),
    tolerance = 1e-15
  )
  status <- read$status
  words <- array(pair_status()[status + 1], dim(status), dimnames(status))
  expect_identical(words, expected_matrix(fit, "status", none = ""))
  expect_equal(read$converged == 1, words == "ok")
})

test_that("anndata reads what is said of perturbations and genes", {
  fit <- made_up_fit()
  fit$genes$chromosome <- factor(rep_len(c("chr2", NA, "chr1"), nrow(fit)))
  fit$genes$length <- rep_len(c(NA, 7L), nrow(fit))
  fit$genes$exons <- as.list(seq_len(nrow(fit)))
  seen <- run_python(c(
    "import sys, anndata",
    "read = anndata.read_h5ad(sys.argv[1])",
    "print(*read.obs.columns)",
    "print(*read.obs['n_cells'])",
    "print(*read.obs['n_genes_tested'])",
    "print(*read.var.columns)",
    "print(*read.var['chromosome'][:3], *read.var['chromosome'].cat.categories)",
    "print(*read.var['length'][:2])",
    "print(*(read.var['dispersion'] * read.var_names.str[-2:].astype(int)))",
    "print(read.uns['method'], read.uns['control_label'], read.uns['lfc_base'])",
    "print(read.uns['pvalue_correction'], *read.uns['status_levels'][:2])"
  ), written(fit))
  expect_identical(seen, c(
    "perturbation n_cells n_genes_tested",
    paste(fit$perturbations$n_cells, collapse = " "),
    paste(summary(fit)$tested, collapse = " "),
    paste(
      "gene_short_name chromosome length status mean dispersion",
      "quasi_dispersion"
    ),
    "chr2 nan chr1 chr1 chr2",
    "<NA> 7",
    paste(c("0.0", rep("1.0", nrow(fit) - 1)), collapse = " "),
    "nb_glm control log2",
    "benjamini-hochberg ok separated"
  ))
})

test_that("scanpy ranks genes as their statistics are", {
  skip_without_python()
  fit <- made_up_fit(n_genes = 30)
  ranks <- scanpy_ranks(written(fit))
  table <- coefficient_table(fit)
  for (name in colnames(fit)) {
    found <- ranks[ranks$group == name, ]
    own <- table[table$perturbation == name, ]
    own <- own[order(-own$statistic), ]
    tested <- !is.na(own$statistic)
    expect_identical(found$names, own$gene_id)
    expect_equal(found$scores, own$statistic, tolerance = 1e-15)
    expect_equal(found$logfoldchanges, own$log2_fold_change, tolerance = 1e-15)
    expect_equal(found$pvals[tested], own$p_value[tested], tolerance = 1e-15)
    expect_equal(found$pvals_adj, own$q_value, tolerance = 1e-15)
  }
})

test_that("a file and its parts say the same, however large the blocks are", {
  skip_without_python()
  screen <- suppressMessages(
    simulate_screen(n_cells = 300, n_genes = 23, n_perturbations = 4)
  )
  output <- withr::local_tempfile(fileext = ".scoria")
  fit <- fit_screen(screen, "perturbation", control = "control", output = output)
  part <- fit[c(5, 3, 20), c("perturb_003", "perturb_001")]
  for (size in c(4, 17, 2^20)) {
    withr::local_options(scoria.pairs_at_a_time = size)
    for (x in list(fit, part)) {
      read <- anndata_layers(written(x), c("X", "pvalue_adj"))
      expect_equal(
        read$X, expected_matrix(x, "log2_fold_change"),
        tolerance = 1e-15
      )
      expect_equal(
        read$pvalue_adj, expected_matrix(x, "q_value"),
        tolerance = 1e-15
      )
    }
  }
  expect_error(
    write_h5ad_result(fit, output, overwrite = TRUE),
    class = "scoria_error_output"
  )
  expect_identical(dim(read_screen(output)), dim(fit))
})

test_that("pairs that were not asked for have no number and say so", {
  skip_without_python()
  pairs <- data.frame(
    gene = c("gene_02", "gene_02", "gene_05"),
    perturbation = c("perturb_1", "perturb_3", "perturb_2")
  )
  fit <- made_up_fit(pairs = pairs)
  read <- anndata_layers(written(fit), c("X", "z_score", "status"))
  expect_equal(read$X, expected_matrix(fit, "log2_fold_change"))
  expect_identical(sum(!is.na(read$z_score)), 3L)
  expect_identical(
    sum(read$status == length(pair_status())), length(read$X) - 3L
  )
})

test_that("tables of groups are written under the names of other programs", {
  skip_without_python()
  table <- expand.grid(
    gene_id = c("g1", "g2", "g3"), group = c("q", "p"), stringsAsFactors = FALSE
  )
  table$n <- ifelse(table$group == "q", 10L, 20L)
  table$effect <- c(0.5, 0.6, 0.7, 0.1, NA, 0.3)
  table$statistic <- c(1, 3, 2, -1, NA, 5)
  table$p_value <- c(0.3, 0.01, 0.02, 0.4, NA, 1e-9)
  table$q_value <- table$p_value * 1.5
  table$log2_fold_change <- table$effect * 2
  table$pct_expressed <- (1:6) / 6
  path <- written(table[-3, ], method = "wilcoxon", reference = "control")
  as_matrix <- function(column) {
    values <- table[[column]]
    values[3] <- NA
    matrix(
      values, 2, 3,
      byrow = TRUE, dimnames = list(c("q", "p"), c("g1", "g2", "g3"))
    )
  }
  columns <- c(
    X = "effect", z_score = "statistic", pvalue = "p_value",
    pvalue_adj = "q_value", logfoldchanges = "log2_fold_change",
    pts = "pct_expressed"
  )
  read <- anndata_layers(path, names(columns))
  for (layer in names(columns)) {
    expect_equal(read[[layer]], as_matrix(columns[[layer]]))
  }
  ranks <- scanpy_ranks(path)
  expect_identical(ranks$names[ranks$group == "q"], c("g2", "g1", "g3"))
  expect_identical(ranks$names[ranks$group == "p"], c("g3", "g1", "g2"))
  expect_equal(ranks$scores[ranks$group == "p"], c(5, -1, NA))
  seen <- run_python(c(
    "import sys, anndata",
    "read = anndata.read_h5ad(sys.argv[1])",
    "print(*read.obs['n_cells'], read.uns['method'], read.uns['control_label'])",
    "print(read.uns['rank_genes_groups']['params']['method'])"
  ), path)
  expect_identical(seen, c("10 20 wilcoxon control", "wilcoxon"))
})

test_that("files are not overwritten, nor named before they are whole", {
  fit <- made_up_fit()
  path <- written(fit)
  expect_error(
    write_h5ad_result(fit, path),
    class = "scoria_error_output_exists"
  )
  before <- file.mtime(path)
  expect_identical(
    write_h5ad_result(fit, path, overwrite = TRUE), normalizePath(path)
  )
  folder <- withr::local_tempdir()
  fit$store$columns$p_value <- NULL
  expect_error(write_h5ad_result(fit, file.path(folder, "x.h5ad")))
  gc()
  expect_identical(dir(folder), character())
})

test_that("ranks that cannot be written are said to be missing", {
  fit <- made_up_fit()
  fit$genes$gene_id[1] <- "\u03b3"
  path <- withr::local_tempfile(fileext = ".h5ad")
  expect_message(write_h5ad_result(fit, path), "not ASCII")
  expect_silent(
    write_h5ad_result(fit, path, rank_genes_groups = FALSE, overwrite = TRUE)
  )
  expect_error(
    write_h5ad_result(fit, path, rank_genes_groups = TRUE, overwrite = TRUE),
    class = "scoria_error_rank_genes_groups"
  )
  table <- data.frame(group = "p", gene_id = "g", log2_fold_change = 1)
  expect_message(
    write_h5ad_result(table, path, overwrite = TRUE), "a column that it needs"
  )
})

test_that("arguments are checked", {
  fit <- made_up_fit()
  table <- data.frame(group = "p", gene_id = "g", effect = c(1, 2))
  expect_snapshot(error = TRUE, {
    write_h5ad_result(1, "x.h5ad")
    write_h5ad_result(fit, 1)
    write_h5ad_result(fit, "x.h5ad", overwrite = NA)
    write_h5ad_result(fit, "x.h5ad", rank_genes_groups = "yes")
    write_h5ad_result(fit, "x.h5ad", adjusted = "BH")
    write_h5ad_result(table, "x.h5ad")
    write_h5ad_result(table[-1], "x.h5ad")
    write_h5ad_result(table[-3], "x.h5ad")
  })
  expect_false(file.exists("x.h5ad"))
})
