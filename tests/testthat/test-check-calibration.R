skip_if_not_installed("SingleCellExperiment")

simulated <- simulate_screen(
  n_cells = 2000, n_genes = 100, n_perturbations = 8, mean_range = c(0.5, 20)
)
fitted <- function(...) {
  fit_screen(simulated, "perturbation", ~prep_batch, control = "control", ...)
}

# Non-targeting guides NT1 to NT6, and two guides of each of three targets.
guides <- withr::with_seed(3, {
  names <- c(paste0("NT", 1:6), paste0(rep(c("A", "B", "C"), each = 2), "_", 1:2))
  factor(sample(names, 1200, replace = TRUE), names)
})
targets <- rlang::set_names(sub("^NT.*", "none", sub("_.*", "", levels(guides))), levels(guides))
counts <- withr::with_seed(4, matrix(
  stats::rnbinom(60 * 1200, mu = 4, size = 2), 60,
  dimnames = list(paste0("g", 1:60), paste0("c", 1:1200))
))

test_that("sets of control cells are fitted as the screen is", {
  fit <- fitted(test = "lrt", dispersion = "trend", threads = 2)
  found <- check_calibration(fit, seed = 7)
  expect_identical(found$summary$negative, "cells")
  expect_identical(nrow(found$sets), 8L)
  controls <- which(simulated$perturbation == "control")
  expect_true(all(found$sets$n_cells <= length(controls) / 2))
  expect_true(all(found$sets$n_cells %in%
    pmin(fit$perturbations$n_cells, length(controls) %/% 2)))

  # The same by hand.
  data <- screened_data(fit, rlang::current_env(), list())
  local_fixed_seed(7)
  sets <- null_sets(data, fit, NULL, NULL, NULL)
  expect_identical(sets$cells, controls)
  by_hand <- suppressMessages(fit_screen(
    simulated[, controls], sets$membership, ~prep_batch, reference = "complement",
    test = "lrt", dispersion = "trend"
  ))
  expected <- coefficient_table(by_hand, adjust_over = "all")
  expect_identical(found$table[names(expected)], expected)
  p <- expected$p_value[!is.na(expected$p_value)]
  expect_identical(found$summary$pairs, length(p))
  expect_identical(found$summary$p_below_0.05, mean(p < 0.05))
  expect_identical(found$summary$false_discoveries, sum(stats::p.adjust(p, "BH") <= 0.1))
  expect_equal(
    found$summary$discoveries,
    sum(coefficient_table(fit, adjust_over = "all")$q_value <= 0.1, na.rm = TRUE)
  )
  expect_identical(sum(found$strata$pairs), length(p))
})

test_that("a right model is called right, and a wrong one wrong", {
  right <- check_calibration(fitted(test = "lrt"), n_sets = 20, negative = "permuted")
  expect_lt(abs(right$summary$p_below_0.05 - 0.05), 0.02)
  expect_lt(abs(right$summary$lambda - 1), 0.15)
  expect_lt(right$summary$false_discoveries, 5)
  wrong <- check_calibration(fitted(family = "poisson"), n_sets = 20, negative = "permuted")
  expect_gt(wrong$summary$p_below_0.05, 0.15)
  expect_gt(wrong$summary$lambda, 1.5)
  expect_gt(wrong$summary$false_discoveries, 50)
  # Its empirical null puts that right.
  corrected <- recalibrate(wrong$table, wrong)
  expect_lt(mean(corrected$p_value_recalibrated < 0.05, na.rm = TRUE), 0.08)
})

test_that("guides that do nothing make sets against the other such guides", {
  fit <- fit_screen(
    counts, guides, control = "none", guide_targets = targets, size_factors = "none"
  )
  found <- check_calibration(fit)
  expect_identical(found$summary$negative, "guides")
  members <- strsplit(found$sets$members, "&")
  expect_true(all(lengths(members) == 2))
  expect_true(all(unlist(members) %in% paste0("NT", 1:6)))
  expect_false(anyDuplicated(found$sets$members) > 0)
  sizes <- vapply(members, function(set) sum(guides %in% set), 1L)
  expect_identical(found$sets$n_cells, sizes)
  alone <- check_calibration(fit, n_sets = 6, guides_per_set = 1)
  expect_setequal(alone$sets$members, paste0("NT", 1:6))
  # One of them by hand.
  none <- startsWith(as.character(guides), "NT")
  by_hand <- suppressMessages(fit_screen(
    counts[, none], matrix(guides[none] == "NT3", dimnames = list(NULL, "NT3")),
    reference = "complement", size_factors = "none"
  ))
  set <- alone$sets$set[alone$sets$members == "NT3"]
  expect_identical(
    alone$table$p_value[alone$table$perturbation == set], coefficient_table(by_hand)$p_value
  )
})

test_that("cells are drawn anew within strata", {
  strata <- rep(c("a", "b"), c(400, 800))
  label <- as.character(guides)
  label[strata == "a" & label == "A_1"] <- "B_1"
  fit <- suppressMessages(fit_screen(
    counts[1:5, ], label, reference = "complement", test = "calibrated", strata = strata,
    size_factors = "none"
  ))
  data <- screened_data(fit, rlang::current_env(), list())
  local_fixed_seed(1)
  sets <- null_sets(data, fit, NULL, 30, NULL)
  expect_identical(sets$negative, "permuted")
  per_stratum <- function(cells) table(factor(strata[cells], c("a", "b")))
  for (k in seq_along(sets$members)) {
    drawn <- per_stratum(which(sets$membership[, k]))
    expect_identical(drawn, per_stratum(which(label == sets$members[k])))
  }
  expect_gt(nrow(check_calibration(fit, n_sets = 3)$table), 0)
})

test_that("seeds fix what is drawn, and the session's own numbers stay", {
  fit <- fitted()
  set.seed(11)
  before <- .Random.seed
  one <- check_calibration(fit, n_sets = 2)
  expect_identical(.Random.seed, before)
  expect_identical(check_calibration(fit, n_sets = 2), one)
  expect_false(identical(check_calibration(fit, n_sets = 2, seed = 2)$table, one$table))
})

test_that("what is missing is asked for", {
  file <- withr::local_tempfile(fileext = ".h5")
  fit <- fitted(output = file)
  again <- read_screen(file)
  refused <- function(code, pattern, class = "calibration") {
    expect_error(code, pattern, class = paste0("scoria_error_", class))
  }
  refused(check_calibration(again), "give")
  given <- check_calibration(again, simulated, "perturbation", n_sets = 2)
  expect_equal(given$table, check_calibration(fit, n_sets = 2)$table)
  refused(check_calibration(fit, x = simulated[1:50, ]), "50 genes")
  refused(check_calibration(fit, negative = "guides"), "cells")
  refused(check_calibration(fit, negative = "nothing"), "negative")
  refused(check_calibration(1), "fit_screen", "argument")
  refused(check_calibration(fit, targets = "gene_001"), "named", "targets")
  refused(check_calibration(fit, targets = c(perturb_900 = "gene_001")), "900", "targets")
})

test_that("positive controls are looked up", {
  fit <- fitted()
  found <- check_calibration(fit, n_sets = 1, targets = c(
    perturb_002 = "gene_010", perturb_001 = "gene_004"
  ))$power
  table <- coefficient_table(fit, adjust_over = "all")
  row <- table[table$perturbation == "perturb_001" & table$gene_id == "gene_004", ]
  expect_identical(found$perturbation, c("perturb_001", "perturb_002"))
  expect_identical(found$gene_id, c("gene_004", "gene_010"))
  expect_identical(found$p_value[1], row$p_value)
  expect_identical(found$q_value[1], row$q_value)
  expect_identical(nrow(check_calibration(fit, n_sets = 1)$power), 0L)
})

test_that("a real screen has no false discovery more than sceptre, and finds what it finds", {
  cells <- utils::read.csv(shared_data("oracle", "sceptre", "cells.csv"))
  screen <- read_cells(shared_data("papalexi_lowmoi.rds"))
  used <- cells$in_use
  screen <- screen[, used]
  screen$n_umis <- cells$response_n_umis[used]
  screen$n_nonzero <- cells$response_n_nonzero[used]
  guides <- SingleCellExperiment::altExp(screen)
  targets <- rlang::set_names(
    SummarizedExperiment::rowData(guides)$grna_target, rownames(guides)
  )
  fit <- fit_screen(
    screen, cells$grna[used], ~ log(n_umis) + log(n_nonzero) + factor(bio_rep),
    control = "non-targeting", guide_targets = targets, size_factors = "none",
    test = "lrt", dispersion = "trend", threads = 2
  )
  calibration <- check_calibration(fit, n_sets = 25)
  expect_identical(calibration$summary$negative, "guides")
  theirs <- utils::read.csv(shared_data("oracle", "sceptre", "calibration_result.csv"))
  expect_lte(calibration$summary$false_discoveries, sum(theirs$significant))
  expect_lt(abs(calibration$summary$p_below_0.05 - 0.05), 0.015)
  expect_identical(nrow(calibration$power), 9L)
  expect_true(all(calibration$power$q_value < 1e-4))
  expect_true(all(calibration$power$log2_fold_change < 0))

  # On the pairs that both test.
  table <- coefficient_table(fit)
  discovery <- utils::read.csv(shared_data("oracle", "sceptre", "discovery_result.csv"))
  discovery <- discovery[discovery$pass_qc, ]
  at <- match(
    paste(discovery$response_id, discovery$grna_target),
    paste(table$gene_id, table$perturbation)
  )
  ours <- stats::p.adjust(table$p_value[at], "BH") <= 0.1
  expect_gt(mean(discovery$significant[ours]), 0.93)
  expect_gt(mean(ours[discovery$significant]), 0.97)
  both <- ours & discovery$significant
  expect_true(all(sign(table$estimate[at][both]) == sign(discovery$log_2_fold_change[both])))
})

test_that("it is drawn as observed against expected p-values", {
  skip_if_not_installed("ggplot2")
  found <- check_calibration(fitted(), n_sets = 3)
  whole <- ggplot2::ggplot_build(ggplot2::autoplot(found))
  expect_identical(nrow(whole$layout$layout), 1L)
  panels <- ggplot2::ggplot_build(ggplot2::autoplot(found, by = "stratum"))
  expect_identical(nrow(panels$layout$layout), 5L)
})

test_that("printing says what came of it", {
  expect_snapshot(check_calibration(fitted(), n_sets = 3))
})
