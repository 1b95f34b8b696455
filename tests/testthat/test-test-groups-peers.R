# What pdex, crispyx, illico and scanpy made of the same 2,000 cells, 200 genes and 10
# perturbations; where they differ from scipy, so do they from us, as said.

test_tiny <- function(name, ..., reference = "control") {
  scale <- if (name == "tiny") "counts" else "log1p"
  path <- shared_data(paste0(name, ".h5ad"))
  test_groups(path, "perturbation", reference, ..., scale = scale)
}

# Their table in the order of ours.
peer <- function(path, table) {
  theirs <- utils::read.csv(shared_data("oracle", path))
  group <- theirs$target %||% theirs$perturbation %||% theirs$pert
  gene <- theirs$feature %||% theirs$gene
  theirs[match(paste(table$group, table$gene_id), paste(group, gene)), ]
}

# Relative to the larger of the two; what neither has is equal.
expect_close <- function(ours, theirs, tolerance) {
  expect_identical(is.na(ours), is.na(theirs))
  off <- abs(ours - theirs) / pmax(abs(ours), abs(theirs), 1e-300)
  expect_lt(max(off[!is.na(off) & ours != theirs], 0), tolerance)
}

test_that("pdex 0.3 finds the same", {
  for (name in c("tiny", "tiny_lognorm")) {
    for (against in c("reference", "rest")) {
      table <- test_tiny(name, against = against)
      mode <- if (against == "rest") "all" else "ref"
      values <- if (name == "tiny") "raw" else "lognorm"
      theirs <- peer(paste0("pdex/pdex030_tiny/", mode, "_", values, ".csv"), table)
      expect_identical(table$statistic, theirs$statistic)
      expect_close(table$p_value, theirs$p_value, 1e-9)
      expect_close(table$q_value, theirs$fdr, 1e-9)
      # pdex sums in single precision; means of the rest are differences of sums.
      near <- if (against == "rest") 1e-3 else 1e-5
      kept <- theirs$ref_mean > 1e-3
      expect_close(table$mean, theirs$target_mean, 1e-5)
      expect_close(table$mean_reference[kept], theirs$ref_mean[kept], near)
      if (against == "reference") {
        expect_lt(max(abs(table$log2_fold_change - theirs$log2_fold_change)), 2e-5)
      }
    }
  }
  arithmetic <- test_tiny("tiny_lognorm", fold_change = "arithmetic")
  theirs <- peer("pdex/pdex030_tiny/ref_lognorm_arith.csv", arithmetic)
  expect_close(arithmetic$mean, theirs$target_mean, 1e-5)
  expect_lt(max(abs(arithmetic$log2_fold_change - theirs$log2_fold_change)), 2e-5)
})

test_that("pdex 0.1 finds the same, in single precision", {
  # It has p = 1 where there is no test, and adjusts over all pairs.
  anderson <- test_tiny("tiny_lognorm", "anderson", adjust_over = "all")
  theirs <- peer("pdex/pdex0128_tiny/anderson_lognorm.csv", anderson)
  expect_close(anderson$statistic, theirs$statistic, 1e-11)
  tested <- anderson$status == "ok"
  expect_close(anderson$p_value[tested], theirs$p_value[tested], 1e-12)
  welch <- test_tiny("tiny_lognorm", "t")
  theirs <- peer("pdex/pdex0128_tiny/t_test_lognorm_welch.csv", welch)
  tested <- welch$status == "ok"
  expect_lt(max(abs(welch$statistic - theirs$statistic)[tested]), 1e-4)
  pooled <- test_tiny("tiny_lognorm", "t", equal_variance = TRUE)
  theirs <- peer("pdex/pdex0128_tiny/t_test_lognorm.csv", pooled)
  expect_lt(max(abs(pooled$statistic - theirs$statistic)[tested]), 1e-4)
})

test_that("crispyx finds the same", {
  table <- test_tiny("tiny_lognorm", continuity = FALSE, filter = "crispyx")
  theirs <- peer("crispyx/crispyx_tiny/wilcoxon.csv", table)
  expect_close(table$statistic, theirs$u_statistic, 1e-15)
  expect_close(table$effect, theirs$X, 1e-15)
  expect_close(table$p_value, theirs$pvalue, 1e-9)
  expect_close(table$q_value, theirs$pvalue_adj, 1e-9)
  expect_lt(max(abs(table$pct - theirs$pts)), 1e-6)
  tested <- table$status == "ok"
  expect_lt(max(abs(table$log2_fold_change - theirs$logfoldchanges)[tested]), 2e-5)
  # Without its filter it does not test genes that are all tied: there p is 1.
  open <- test_tiny("tiny_lognorm", continuity = FALSE)
  theirs <- peer("crispyx/crispyx_tiny/wilcoxon_nofilter.csv", open)
  untested <- is.na(theirs$pvalue)
  expect_gt(sum(untested), 0)
  expect_identical(open$p_value[untested], rep(1, sum(untested)))
  expect_close(open$p_value[!untested], theirs$pvalue[!untested], 1e-9)
  # It rounds the difference of means to single precision before it divides.
  t <- test_tiny("tiny_lognorm", "t", filter = "crispyx")
  theirs <- peer("crispyx/crispyx_tiny/t_test.csv", t)
  expect_identical(is.na(t$statistic), is.na(theirs$z_score))
  expect_lt(max(abs(t$statistic - theirs$z_score), na.rm = TRUE), 2e-4)
  expect_close(t$p_value, theirs$pvalue, 1e-3)
})

test_that("illico finds the same, but for a sign", {
  # Where U is at its mean, the correction has the sign of 0.0, which is one in Rust.
  expect_same <- function(table, file) {
    theirs <- peer(paste0("illico/illico_tiny/", file, ".csv"), table)
    expect_identical(table$statistic, theirs$statistic)
    at_mean <- table$effect == 0.5
    expect_true(all(table$p_value[at_mean] == 1))
    expect_close(table$p_value[!at_mean], theirs$p_value[!at_mean], 1e-9)
  }
  expect_same(test_tiny("tiny"), "ovo_raw_cont")
  expect_same(test_tiny("tiny_lognorm"), "ovo_lognorm_cont")
  expect_same(test_tiny("tiny_lognorm", continuity = FALSE), "ovo_lognorm_nocont")
  expect_same(test_tiny("tiny_lognorm", against = "rest"), "ovr_lognorm_cont")
})

test_that("scanpy finds the same, in single precision", {
  # z-scores to seven digits, and p-values of them.
  table <- test_tiny("tiny_lognorm", continuity = FALSE)
  theirs <- peer("scanpy/scanpy_tiny/wilcoxon_tie.csv", table)
  expect_close(table$p_value, theirs$pval, 1e-5)
  expect_lt(max(abs(table$log2_fold_change - theirs$logfoldchange)), 2e-5)
  t <- test_tiny("tiny_lognorm", "t")
  theirs <- peer("scanpy/scanpy_tiny/t_test.csv", t)
  tested <- t$status == "ok"
  expect_lt(max(abs(t$statistic - theirs$score)[tested]), 1e-6)
  expect_close(t$p_value[tested], theirs$pval[tested], 1e-5)
})
