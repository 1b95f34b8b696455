# What monocle3 1.3.6 made of real cells with pscl::zeroinfl(), whose BFGS stops
# where an iteration gains less than 1.6e-10 of the likelihood, at the optimum that it
# comes to first, and at large numbers where there is none.

skip_if_not_installed("SingleCellExperiment")

every <- oracle_names("_zi(poisson|negbinomial)_")

fitted <- new.env()
compute <- function(name) {
  if (!is.null(fitted[[name]])) {
    return(fitted[[name]])
  }
  oracle <- read_oracle(name)
  fits <- fit_models(oracle_cells(oracle), oracle$formula, oracle$family)
  table <- coefficient_table(fits)
  genes <- oracle$fits[match(fits$gene_id, oracle$fits$gene_id), ]
  ours <- vapply(fits$model, function(m) as.numeric(logLik(m)), 0)
  genes$gain <- unname(ours) - genes$logLik
  fitted[[name]] <- list(
    oracle = oracle, fits = fits, genes = genes,
    table = as.data.frame(table[setdiff(names(table), c("model", "model_summary"))])
  )
  fitted[[name]]
}

# Genes that fail with us and not there: two counts, which do not tell a mean from a
# share, or have means without an optimum.
failing <- c("ENSG00000272072.1", "ENSG00000251504.1", "ENSG00000235335.2")

test_that("zeroinfl()'s likelihood is never above ours", {
  gains <- unlist(lapply(every, function(name) {
    genes <- compute(name)$genes
    rlang::set_names(genes$gain, paste(name, genes$gene_id))
  }))
  gains <- gains[!is.na(gains)]
  expect_gt(length(gains), 1100)
  expect_identical(names(gains)[gains < -1e-6], character())
  # It stops early, or at another optimum.
  expect_gt(sum(gains > 1e-3), 250)
})

test_that("genes fail where all counts are zero, or there are two", {
  for (name in every) {
    x <- compute(name)
    failed <- x$fits$status == "FAIL"
    zero <- x$fits$num_cells_expressed == 0
    expect_true(all(failed[zero]), label = name)
    expect_true(all(x$fits$gene_id[failed & !zero] %in% failing), label = name)
    ok <- x$genes[!failed, ]
    converged <- !is.na(ok$df_residual)
    df <- vapply(x$fits$model[!failed], df.residual, 0)
    expect_equal(unname(df[converged]), as.double(ok$df_residual[converged]))
  }
})

test_that("where zeroinfl() came to the same optimum, so are its numbers", {
  compared <- 0
  for (name in every) {
    x <- compute(name)
    theirs <- x$oracle$table
    theirs <- theirs[theirs$status == "OK" & !is.na(theirs$term), ]
    both <- merge(theirs, x$table,
      by = c("gene_id", "term", "model_component"), suffixes = c(".m", "")
    )
    same <- x$genes$gene_id[!is.na(x$genes$gain) & abs(x$genes$gain) < 1e-6]
    both <- both[both$gene_id %in% same, ]
    # Of an infinite coefficient it makes a large number, and spoils its neighbours'.
    infinite <- unique(both$gene_id[!is.finite(both$estimate)])
    both <- both[!both$gene_id %in% infinite, ]
    if (nrow(both) == 0) next
    missing <- x$genes$gain[match(both$gene_id, x$genes$gene_id)]
    apart <- abs(both$estimate - both$estimate.m) / both$std_err
    # Were it quadratic, sqrt(2 * missing).
    expect_lt(max(apart - 2.5 * sqrt(2 * pmax(missing, 0))), 1e-3, label = name)
    compared <- compared + nrow(both)
    # Its second derivatives are differences with a step of 1e-3 in coefficients of
    # covariates that are in the thousands: up to 9 % off.
    if (grepl("worm_l2_.*_cont", name)) next
    known <- !is.na(both$std_err.m)
    off <- abs(both$std_err / both$std_err.m - 1)[known]
    expect_lt(stats::quantile(off, 0.95), 5e-3, label = name)
  }
  expect_gt(compared, 2000)
})

test_that("rows are monocle3's", {
  for (name in every) {
    x <- compute(name)
    fitted <- x$fits$gene_id[x$fits$status == "OK" & !is.na(x$genes$logLik)]
    rows <- function(table) {
      table <- table[table$gene_id %in% fitted, ]
      paste(table$gene_id, table$model_component, table$term)
    }
    expect_identical(rows(x$table), rows(x$oracle$table), label = name)
  }
})

test_that("predictions of all types are monocle3's where the optimum is", {
  for (name in grep("bar$", every, value = TRUE)) {
    x <- compute(name)
    cells <- as.data.frame(SummarizedExperiment::colData(oracle_cells(x$oracle)))
    finite <- vapply(x$fits$model, function(m) all(is.finite(coef(m))), NA)
    same <- which(finite & x$genes$gain < 1e-7)
    expect_gt(length(same), 5)
    for (type in c("response", "count", "zero")) {
      theirs <- oracle_table(name, paste0("predictions_", type))
      new <- cells[match(names(theirs)[-1], make.names(rownames(cells))), ]
      for (g in same) {
        row <- theirs[theirs$gene_id == x$fits$gene_id[g], -1]
        ours <- predict(x$fits$model[[g]], new, type)
        expect_equal(unname(ours), unname(unlist(row)), tolerance = 5e-3)
      }
    }
  }
})
