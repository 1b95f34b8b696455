# A ScreenFit, with results that are made up in place of the engine's.

test_that("a screen is printed: what was fitted, what was found", {
  expect_snapshot({
    made_up_fit()
    made_up_fit(3, 2, test = "lrt", family = "poisson")[2:3, 0]
    on_file(made_up_fit())[c("gene_03", "gene_02"), ]
  })
  fit <- made_up_fit()
  fit$reference <- list(kind = "complement", controls = character(), n_cells = 9)
  expect_output(print(fit), "Reference: all other cells")
  fit$reference <- list(kind = "perturbed", controls = "NT", n_cells = 9e4)
  expect_output(print(fit), "the other non-control perturbed cells, of 90,000")
})

test_that("pairs whose p-values underflow are ordered by their statistics", {
  fit <- made_up_fit()
  statistic <- fit$store$columns$statistic
  ids <- which(is.finite(statistic))
  tiny <- ids[-(1:3)]
  fit$store$columns$p_value[tiny] <- 0
  first <- utils::head(tiny[order(-abs(statistic[tiny]))], 10)
  for (fit in list(fit, on_file(fit))) {
    top <- top_pairs(fit, list(id = ids, q = ids / 100))
    expect_identical(top, pair_table(fit, first, first / 100)[names(top)])
  }
})

test_that("a summary counts by perturbation", {
  fit <- made_up_fit()
  table <- coefficient_table(fit)
  found <- summary(fit, q = 0.01)
  by <- function(x) as.vector(tapply(x, table$perturbation, sum))
  expect_identical(found$perturbation, fit$perturbations$perturbation)
  expect_equal(found$pairs, rep(12, 5))
  expect_equal(found$tested, by(!is.na(table$p_value)))
  expect_equal(found$separated, by(table$status == "separated"))
  expect_equal(
    found$significant, by(!is.na(table$q_value) & table$q_value <= 0.01)
  )
  over_all <- coefficient_table(fit, adjust_over = "all", q_value = 0.01)
  expect_equal(
    sum(summary(fit, q = 0.01, adjust_over = "all")$significant), nrow(over_all)
  )
  expect_snapshot(found)
  # Of a part, and after the whole was counted.
  part <- summary(fit[c(5, 2), 2:3], q = 0.01)
  rows <- table$gene_id %in% c("gene_02", "gene_05")
  expect_equal(
    part$tested, by(rows & !is.na(table$p_value))[2:3]
  )
  expect_equal(
    part$significant,
    by(rows & !is.na(table$q_value) & table$q_value <= 0.01)[2:3]
  )
})

test_that("the table has one row a pair, gene by gene", {
  fit <- made_up_fit()
  columns <- fit$store$columns
  table <- coefficient_table(fit)
  expect_identical(names(table), c(
    "gene_id", "gene_short_name", "perturbation", "estimate",
    "log2_fold_change", "std_err", "statistic", "p_value", "q_value", "status",
    "n_cells", "mean", "theta", "error_bound"
  ))
  expect_identical(table$gene_id, rep(fit$genes$gene_id, each = 5))
  expect_identical(
    table$perturbation, rep(fit$perturbations$perturbation, 12)
  )
  expect_identical(table$estimate, columns$estimate)
  expect_identical(table$log2_fold_change, columns$estimate / log(2))
  expect_identical(table$status, pair_status()[columns$status + 1])
  expect_identical(table$n_cells, rep(1:5 * 10L, 12))
  expect_identical(table$theta, rep(fit$genes$theta, each = 5))
  expect_identical(table$mean, rep(fit$genes$mean, each = 5))
  # Not known is NA, not NaN.
  none <- table$status == "all zero"
  expect_true(any(none))
  expect_false(any(is.nan(table$estimate[none])))
  expect_true(all(is.na(table$estimate[none])))
  expect_identical(unique(table$estimate[table$status == "separated"]), -Inf)
  own <- made_up_fit(dispersion = "pair")
  expect_identical(coefficient_table(own)$theta, own$store$columns$theta)
})

test_that("adjusted p-values are over all pairs tested, whatever is kept", {
  fit <- made_up_fit(40, 6)
  table <- coefficient_table(fit)
  slow <- stats::ave(
    table$p_value, table$perturbation,
    FUN = function(p) stats::p.adjust(p, "BH")
  )
  expect_identical(table$q_value, slow)
  expect_identical(
    coefficient_table(fit, adjust_over = "all", adjust = "holm")$q_value,
    stats::p.adjust(table$p_value, "holm")
  )
  expect_identical(
    coefficient_table(fit, gene = "gene_07"),
    table[table$gene_id == "gene_07", ]
  )
  expect_identical(
    coefficient_table(fit, perturbation = c("perturb_4", "perturb_2")),
    table[table$perturbation %in% c("perturb_2", "perturb_4"), ]
  )
  expect_identical(
    coefficient_table(fit, status = c("separated", "all zero")),
    table[table$status %in% c("separated", "all zero"), ]
  )
  expect_identical(
    coefficient_table(fit, gene = "gene_07", status = "ok", q_value = 0.2),
    table[
      table$gene_id == "gene_07" & table$status == "ok" &
        !is.na(table$q_value) & table$q_value <= 0.2,
    ]
  )
})

test_that("significant pairs are those of the whole table, by every method", {
  fit <- made_up_fit(40, 6)
  for (method in stats::p.adjust.methods) {
    for (over in c("perturbation", "all")) {
      whole <- coefficient_table(fit, adjust = method, adjust_over = over)
      for (limit in c(0, 1e-6, 0.05, 0.5, 1)) {
        kept <- !is.na(whole$q_value) & whole$q_value <= limit
        expect_equal(
          coefficient_table(
            fit, adjust = method, adjust_over = over, q_value = limit
          ),
          whole[kept, ],
          tolerance = 1e-14, label = paste(method, over, limit)
        )
      }
    }
  }
})

test_that("results in a file are read as they are asked for", {
  fit <- made_up_fit(40, 6)
  filed <- on_file(fit)
  local_chunks(7)
  expect_identical(coefficient_table(filed), coefficient_table(fit))
  expect_identical(
    coefficient_table(filed, q_value = 0.1), coefficient_table(fit, q_value = 0.1)
  )
  expect_identical(
    coefficient_table(filed, adjust_over = "all", q_value = 0.1),
    coefficient_table(fit, adjust_over = "all", q_value = 0.1)
  )
  expect_identical(summary(filed), summary(fit))
  expect_identical(
    coefficient_table(filed[c(9, 3), c(5, 1)]),
    coefficient_table(fit[c(9, 3), c(5, 1)])
  )
  expect_true(max(filed$store$reads) <= 7)
  # Without adjusting anything, one gene is one look at one row of pairs.
  local_chunks(1000)
  filed$store$reads <- NULL
  ids <- pair_ids(filed$store, 4)
  read_pairs_of(filed$store, "estimate", ids)
  expect_identical(filed$store$reads, 6)
})

some_pairs <- function() {
  data.frame(
    gene = sprintf("gene_%02d", c(2, 2, 5, 9, 9, 9, 12)),
    perturbation = sprintf("perturb_%d", c(1, 4, 2, 1, 2, 3, 5))
  )
}

test_that("a screen of some pairs has these alone", {
  fit <- made_up_fit(pairs = some_pairs())
  table <- coefficient_table(fit)
  expect_identical(table$gene_id, some_pairs()$gene)
  expect_identical(table$perturbation, some_pairs()$perturbation)
  expect_identical(table$estimate, fit$store$columns$estimate)
  for (k in fit$perturbations$perturbation) {
    expect_identical(
      coefficient_table(fit, perturbation = k), table[table$perturbation == k, ]
    )
  }
  expect_identical(nrow(coefficient_table(fit, gene = "gene_01")), 0L)
  local_chunks(2)
  expect_identical(coefficient_table(on_file(fit)), table)
  expect_equal(summary(on_file(fit))$pairs, c(2, 2, 1, 1, 1))
  expect_identical(
    coefficient_table(fit[c(9, 2), ])$perturbation,
    sprintf("perturb_%d", c(1, 2, 3, 1, 4))
  )
})

test_that("a part of a screen is a screen", {
  fit <- made_up_fit()
  table <- coefficient_table(fit)
  expect_identical(dim(fit), c(12L, 5L))
  expect_identical(rownames(fit), fit$genes$gene_id)
  expect_identical(colnames(fit), fit$perturbations$perturbation)
  part <- fit[c("gene_09", "gene_03"), c(FALSE, TRUE, FALSE, TRUE, FALSE)]
  expect_s3_class(part, "ScreenFit")
  expect_identical(
    dimnames(part), list(c("gene_09", "gene_03"), c("perturb_2", "perturb_4"))
  )
  key <- paste(table$gene_id, table$perturbation)
  rows <- match(
    paste(rep(rownames(part), each = 2), colnames(part)), key
  )
  expect_identical(coefficient_table(part), table[rows, ])
  again <- part[2, "perturb_4"]
  expect_identical(coefficient_table(again), table[rows[4], ])
  expect_identical(dim(fit[-1, ]), c(11L, 5L))
  expect_identical(dim(fit[, 0]), c(12L, 0L))
  expect_identical(nrow(coefficient_table(fit[, 0])), 0L)
  expect_identical(dim(fit[c(1, 1), ]), c(1L, 5L))
  expect_identical(glance(part)$n_pairs, 4)
  expect_snapshot(error = TRUE, {
    fit["gene_3", ]
    fit[13, ]
    fit[, "perturb2"]
    fit[1:3]
    coefficient_table(fit, gene = "gene_3")
    coefficient_table(fit, gene = 3)
    coefficient_table(part, perturbation = "perturb_1")
    coefficient_table(fit, status = "seperated")
    coefficient_table(fit, q_value = 2)
    coefficient_table(fit, adjust = "fdrr")
    coefficient_table(fit, genes = "gene_03")
    summary(fit, q = "0.05")
  })
})

test_that("tidy() and glance() have broom's columns", {
  fit <- made_up_fit()
  table <- coefficient_table(fit, gene = "gene_01")
  tidied <- tidy(fit, gene = "gene_01", conf.int = TRUE, conf.level = 0.9)
  expect_identical(tidied$term, table$perturbation)
  expect_identical(tidied$adj.p.value, table$q_value)
  expect_equal(
    tidied$conf.high - tidied$conf.low, 2 * stats::qnorm(0.95) * table$std_err
  )
  glanced <- glance(fit)
  expect_identical(dim(glanced), c(1L, 13L))
  expect_identical(glanced$n_pairs, 60)
  expect_equal(glanced$n_tested, sum(!is.na(coefficient_table(fit)$p_value)))
  expect_equal(glanced$n_significant, nrow(coefficient_table(fit, q_value = 0.05)))
})

test_that("a screen becomes a data frame, a tibble, a SummarizedExperiment", {
  fit <- made_up_fit()
  table <- coefficient_table(fit)
  expect_identical(tibble::as_tibble(fit), table)
  expect_identical(as.data.frame(fit, gene = "gene_01")$estimate, table$estimate[1:5])
  skip_if_not_installed("SummarizedExperiment")
  loadNamespace("SummarizedExperiment")
  # Also of some genes, and where not all pairs were fitted.
  made <- methods::as(fit[3:2, ], "SummarizedExperiment")
  expect_identical(dimnames(made), dimnames(fit[3:2, ]))
  assay <- function(name) SummarizedExperiment::assay(made, name)
  expect_identical(
    unname(assay("estimate")[2, ]), table$estimate[table$gene_id == "gene_02"]
  )
  expect_identical(
    unname(assay("q_value")[1, ]), table$q_value[table$gene_id == "gene_03"]
  )
  expect_identical(assay("status")["gene_02", "perturb_1"], table$status[6])
  expect_identical(
    SummarizedExperiment::rowData(made)$gene_short_name, c("GENE_03", "GENE_02")
  )
  expect_identical(made$n_cells, 1:5 * 10L)
  made <- methods::as(made_up_fit(pairs = some_pairs()), "SummarizedExperiment")
  expect_identical(
    unname(which(!is.na(assay("status")), arr.ind = TRUE)[, "col"]),
    c(1L, 1L, 2L, 2L, 3L, 4L, 5L)
  )
})

test_that("a file that is not complete has the genes that are done", {
  about <- made_up_about(12, 5)
  value <- made_up_columns(4, 20)
  opened <- function(complete, genes_done) {
    opened_screen(
      list(
        description = serialize(about, NULL), genes = value$genes,
        n_pairs = 60, genes_done = genes_done, complete = complete
      ),
      "results.scoria"
    )
  }
  expect_snapshot(fit <- opened(FALSE, 4))
  expect_identical(dim(fit), c(4L, 5L))
  expect_identical(n_pairs(fit$store), 20)
  about <- made_up_about(12, 5, some_pairs())
  fit <- suppressMessages(opened(FALSE, 4))
  expect_identical(n_pairs(fit$store), 2)
  expect_identical(pair_ids(fit$store), c(1, 2))
  expect_snapshot(error = TRUE, {
    read_screen("no such file")
    read_screen(3)
  })
})

test_that("a screen outlives the session", {
  fit <- made_up_fit()
  path <- withr::local_tempfile()
  saveRDS(fit, path)
  expect_identical(coefficient_table(readRDS(path)), coefficient_table(fit))
})
