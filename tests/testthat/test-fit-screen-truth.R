# What fit_screen() finds in simulated screens, against what was put in.

skip_if_not_installed("SingleCellExperiment")

# The table of a fit, with the true effect of each pair.
with_truth <- function(screen, ...) {
  fit <- suppressMessages(fit_screen(screen, ..., threads = 2))
  table <- coefficient_table(fit)
  truth <- S4Vectors::metadata(screen)$truth
  pair <- function(x) paste(x$gene_id, x$perturbation)
  table$truth <- truth$estimate[match(pair(table), pair(truth))]
  table$truth[is.na(table$truth)] <- 0
  table
}

# Of estimates on truths, by precision, for pairs with an effect and genes with
# at least half a count a cell: of rarer genes it is the low estimates that are
# separated, and left out.
slope <- function(table) {
  kept <- table$truth != 0 & table$status == "ok" & table$mean >= 0.5
  stats::coef(stats::lm(
    estimate ~ 0 + truth, table[kept, ],
    weights = 1 / table$std_err[kept]^2
  ))[[1]]
}

# The mean over perturbations of the fraction of false discoveries, and its
# standard error.
false_discoveries <- function(table) {
  found <- !is.na(table$q_value) & table$q_value <= 0.05
  false <- tapply(found & table$truth == 0, table$perturbation, sum)
  fraction <- false / pmax(1, tapply(found, table$perturbation, sum))
  c(mean = mean(fraction), se = stats::sd(fraction) / sqrt(length(fraction)))
}

expect_truth <- function(table, power) {
  expect_lt(abs(slope(table) - 1), 0.03)
  false <- false_discoveries(table)
  expect_lt(false[["mean"]], 0.05 + 2 * false[["se"]])
  expect_gt(mean(table$q_value[table$truth != 0] < 0.05, na.rm = TRUE), power)
  null <- table$p_value[table$truth == 0 & table$status == "ok"]
  expect_lt(abs(mean(null < 0.05) - 0.05), 0.01)
}

test_that("a screen of low multiplicity is found as it was simulated", {
  screen <- simulate_screen(
    n_cells = 5000, n_genes = 200, n_perturbations = 20,
    control_fraction = 0.4, mean_range = c(0.1, 20)
  )
  for (test in c("wald", "lrt")) {
    expect_truth(with_truth(
      screen, "perturbation", ~ prep_batch + percent.mito + guide_count,
      control = "control", test = test
    ), power = 0.6)
  }
})

test_that("a screen of high multiplicity is found as it was simulated", {
  # Few effects beside the targets': those of a cell's other perturbations are
  # not in the model of a pair.
  screen <- simulate_screen(
    n_cells = 4000, n_genes = 200, n_perturbations = 50, moi = "high",
    effect_fraction = 0.01, mean_range = c(0.1, 20)
  )
  expect_truth(with_truth(
    screen, "perturbations", ~ prep_batch + percent.mito + guide_count,
    reference = "complement"
  ), power = 0.6)
})
