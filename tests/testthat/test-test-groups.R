# Against R's own tests, and tables written out by hand. What other programs found is
# in test-test-groups-peers.R.

groups_of <- function(x, ...) {
  test_groups(x, rep(c("A", "B", "control"), c(12, 9, 15)), "control", ...)
}

counts_of <- function(seed = 1) {
  withr::local_seed(seed)
  x <- matrix(stats::rnbinom(8 * 36, mu = 3, size = 1), 8)
  x[1, ] <- 0
  x[2, ] <- 4
  dimnames(x) <- list(paste0("g", 1:8), NULL)
  x
}

# One row of the table: cells of the group, and of the reference.
samples_of <- function(x, row) {
  labels <- rep(c("A", "B", "control"), c(12, 9, 15))
  list(x = x[row$gene_id, labels == row$group], y = x[row$gene_id, labels == "control"])
}

each_row <- function(table, x, test) {
  t(vapply(seq_len(nrow(table)), function(k) {
    cells <- samples_of(x, table[k, ])
    test(cells$x, cells$y)
  }, c(0, 0)))
}

test_that("Wilcoxon's test is that of R", {
  x <- counts_of()
  for (continuity in c(TRUE, FALSE)) {
    table <- groups_of(x, continuity = continuity)
    theirs <- each_row(table, x, function(x, y) {
      test <- suppressWarnings(
        stats::wilcox.test(x, y, exact = FALSE, correct = continuity)
      )
      c(test$statistic, test$p.value)
    })
    expect_equal(table$statistic, theirs[, 1], tolerance = 1e-14)
    # R has no p-value where all is tied.
    tied <- table$gene_id %in% c("g1", "g2")
    expect_true(all(table$p_value[tied] == 1))
    expect_equal(table$p_value[!tied], theirs[!tied, 2], tolerance = 1e-12)
    expect_equal(table$effect, table$statistic / (table$n_cells * table$n_reference))
    expect_identical(unique(table$status), "ok")
  }
})

test_that("p-values are exact where R's are, or where asked for", {
  withr::local_seed(2)
  x <- matrix(stats::runif(3 * 36), 3, dimnames = list(c("a", "b", "c"), NULL))
  exact <- groups_of(x, scale = "linear")
  theirs <- each_row(exact, x, function(x, y) {
    c(0, stats::wilcox.test(x, y)$p.value)
  })
  expect_equal(exact$p_value, theirs[, 2], tolerance = 1e-12)
  normal <- groups_of(x, scale = "linear", exact = "never")
  expect_gt(max(abs(normal$p_value / exact$p_value - 1)), 1e-3)
  always <- groups_of(counts_of(), exact = "always")
  close <- groups_of(counts_of(), exact = "never")
  expect_false(any(always$p_value[3:8] == close$p_value[3:8]))
  expect_equal(always$p_value, close$p_value, tolerance = 0.1)
})

test_that("t tests are those of R", {
  x <- counts_of()
  for (equal in c(TRUE, FALSE)) {
    table <- groups_of(x, "t", equal_variance = equal)
    constant <- table$gene_id %in% c("g1", "g2")
    expect_identical(unique(table$status[constant]), "no variance")
    expect_true(all(is.na(unlist(table[constant, c("statistic", "effect", "p_value", "q_value")]))))
    theirs <- each_row(table[!constant, ], log1p(x), function(x, y) {
      test <- stats::t.test(x, y, var.equal = equal)
      c(test$statistic, test$p.value)
    })
    expect_equal(table$statistic[!constant], theirs[, 1], tolerance = 1e-12)
    expect_equal(table$p_value[!constant], theirs[, 2], tolerance = 1e-11)
  }
})

test_that("p-values in the far tail keep their digits", {
  x <- matrix(c(1:900, 901:1800), 1)
  group <- rep(c("low", "high"), each = 900)
  table <- test_groups(x, group, "low", continuity = FALSE)
  z <- 900^2 / 2 / sqrt(900^2 / 12 * 1801)
  expect_equal(table$p_value / (2 * stats::pnorm(-z)), 1, tolerance = 1e-11)
  expect_lt(table$p_value, 1e-290)
  far <- matrix(c(1:300, 481:780), 1)
  t <- test_groups(far, rep(c("low", "high"), each = 300), "low", "t", log1p = FALSE)
  theirs <- stats::t.test(481:780, 1:300)
  expect_lt(theirs$p.value, 1e-270)
  expect_equal(t$p_value / theirs$p.value, 1, tolerance = 1e-11)
})

test_that("q-values are over each group's genes, or over all, and leave out what is not tested", {
  x <- counts_of()
  table <- groups_of(x, "t")
  expect_equal(
    table$q_value,
    unsplit(lapply(split(table$p_value, table$group), stats::p.adjust, "BH"), table$group)
  )
  all <- groups_of(x, "t", adjust_over = "all")
  expect_equal(all$q_value, stats::p.adjust(table$p_value, "BH"))
})

test_that("means and fold changes are as defined, of what is normalised", {
  x <- counts_of()
  x[3, ] <- x[3, ] + 1
  group <- rep(c("A", "B", "control"), c(12, 9, 15))
  scaled <- t(t(x) / colSums(x)) * 100
  geometric <- groups_of(x, normalize = "library", target_sum = 100)
  mean_of <- function(x, label) expm1(rowMeans(log1p(x[, group == label])))
  expect_equal(geometric$mean, unname(c(mean_of(scaled, "A"), mean_of(scaled, "B"))))
  expect_equal(geometric$mean_reference[1:8], unname(mean_of(scaled, "control")))
  ratio <- (geometric$mean + 1e-9) / (geometric$mean_reference + 1e-9)
  expect_equal(geometric$log2_fold_change, log2(ratio))
  arithmetic <- groups_of(
    x, normalize = "library", target_sum = 100, fold_change = "arithmetic", epsilon = 1
  )
  expect_equal(arithmetic$mean[1:8], unname(rowMeans(scaled[, group == "A"])))
  ratio <- (arithmetic$mean + 1) / (arithmetic$mean_reference + 1)
  expect_equal(arithmetic$log2_fold_change, log2(ratio))
  expect_identical(arithmetic$p_value, geometric$p_value)
  given <- groups_of(log1p(scaled), scale = "log1p", fold_change = "arithmetic", epsilon = 1)
  expect_equal(given$mean, arithmetic$mean)
  expect_equal(geometric$pct[1:8], unname(rowMeans(x[, group == "A"] > 0)))

  cells <- data.frame(group = group, Size_Factor = seq(0.5, 2, length.out = 36))
  divided <- test_groups(
    x, "group", "control", "t", normalize = "size_factors", cell_metadata = cells
  )
  by_hand <- test_groups(t(t(x) / cells$Size_Factor), group, "control", "t", scale = "linear")
  expect_equal(divided, by_hand)
})

test_that("groups are compared with the reference, the rest, or the other perturbed cells", {
  x <- counts_of()
  group <- rep(c("A", "B", "control"), c(12, 9, 15))
  rest <- test_groups(x, group, against = "rest")
  expect_identical(unique(rest$group), c("A", "B", "control"))
  one <- test_groups(x, ifelse(group == "B", "B", "other"), "other")
  columns <- c("n_cells", "n_reference", "statistic", "effect", "p_value")
  expect_identical(rest[rest$group == "B", columns], one[columns])
  expect_equal(rest[rest$group == "B", ], one)
  only <- test_groups(x, group, against = "rest", groups = "B")
  expect_equal(only, one)
  perturbed <- test_groups(x, group, "control", against = "perturbed")
  kept <- group != "control"
  expect_identical(perturbed, test_groups(x[, kept], group[kept], against = "rest"))
  expect_identical(
    test_groups(x, group, "control", groups = "B"),
    subset(test_groups(x, group, "control"), group == "B")
  )
  both <- test_groups(x, sub("B", "control2", group), c("control", "control2"))
  expect_identical(unique(both$n_reference), 24L)
})

test_that("cells without a label are in no group, and levels keep their order", {
  x <- counts_of()
  group <- rep(c("A", "B", "control"), c(12, 9, 15))
  some <- group
  some[1:3] <- c(NA, "", NA)
  expect_message(
    table <- test_groups(x, some, "control"), "3 of 36 cells are in no group"
  )
  expect_identical(table, test_groups(x[, -(1:3)], group[-(1:3)], "control"))
  turned <- factor(group, c("B", "control", "A"))
  expect_identical(unique(test_groups(x, turned, "control")$group), c("B", "A"))
})

test_that("results do not depend on threads or memory", {
  x <- counts_of()
  for (method in c("wilcoxon", "t", "anderson")) {
    for (normalize in c("none", "library")) {
      run <- function(...) groups_of(x + 1, method, normalize = normalize, ...)
      expect_identical(run(threads = 2), run())
      expect_identical(run(memory_limit = "100MB"), run())
    }
  }
  expect_error(groups_of(x, memory_limit = 1e4), class = "scoria_error_memory_limit")
})

test_that("what cannot be tested is refused, with a class", {
  x <- counts_of()
  group <- rep(c("A", "B", "control"), c(12, 9, 15))
  cells <- data.frame(guide = group, batch = 1)
  expect_snapshot(error = TRUE, {
    test_groups(x, group)
    test_groups(x, group, "ctrl")
    test_groups(x, group, "control", groups = c("A", "C"))
    test_groups(x, group, "control", groups = "control")
    test_groups(x, group[-1], "control")
    test_groups(x, "giude", "control", cell_metadata = cells)
    test_groups(x, "batch", "control", cell_metadata = cells)
    test_groups(x, factor(group, c("A", "B", "C", "control")), "control")
    test_groups(x, rep("A", 36), against = "rest")
    test_groups(x, rep("A", 36), "A")
    test_groups(x, rep(NA_character_, 36), "A")
    test_groups(x, group, "control", scale = "log1p")
    test_groups(x, group, "control", scale = "log1p", normalize = "library")
    test_groups(x + 0.5, group, "control")
    test_groups(x - 1, group, "control", "t", scale = "linear")
    test_groups(x, group, "control", filter = c(min_pct = 1))
    test_groups(x, group, "control", epsilon = -1)
    test_groups(x, group, "control", target_sum = 0)
    test_groups(x, group, "control", tie_correct = TRUE)
    test_groups(x, rep(c("A", "control"), c(1, 35)), "control", "t", log1p = NA)
  })
  refused <- function(class, ...) {
    expect_error(test_groups(x, ...), class = paste0("scoria_error_", class))
  }
  refused("reference", group)
  refused("reference", group, "ctrl")
  refused("group", group, "control", groups = "C")
  refused("cells", rep("A", 36), against = "rest")
  refused("scale", group, "control", scale = "log1p")
  refused("filter", group, "control", filter = 1)
})

test_that("a group of one cell has no variance of its own", {
  x <- counts_of()
  group <- rep(c("A", "control"), c(1, 35))
  expect_identical(unique(test_groups(x, group, "control", "t")$status), "too few cells")
  pooled <- test_groups(x, group, "control", "t", equal_variance = TRUE)
  theirs <- stats::t.test(log1p(x["g5", 1]), log1p(x["g5", -1]), var.equal = TRUE)
  expect_equal(pooled$p_value[5], theirs$p.value)
})

test_that("columns that Rust holds are like any others", {
  cells <- 100
  counts <- matrix(rpois(5000 * cells, 1), 5000)
  found <- test_groups(counts, rep(c("a", "b"), each = cells / 2), "b")
  p <- found$p_value
  expect_length(p, 5000)
  copied <- p + 0
  expect_identical(p, copied)
  expect_identical(p[c(2, 5000)], copied[c(2, 5000)])
  expect_identical(sort(p), sort(copied))
  expect_identical(unserialize(serialize(p, NULL)), copied)
  changed <- p
  changed[1] <- -1
  expect_identical(p, copied)
  expect_identical(changed[-1], copied[-1])
  rm(found, p)
  gc()
  expect_identical(changed[-1], copied[-1])
})
