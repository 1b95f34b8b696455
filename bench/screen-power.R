# Rscript bench/screen-power.R: what is found at a false discovery rate of 5 % in
# simulated screens whose truth is known, by fit_screen() in all its settings and by
# crispyx's nb_glm_test() (with SCORIA_BENCH_PYTHON set to a python that has it). Run
# from the root of the repository.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")
source("bench/nb_glm_test.R")

seeds <- 1:4
level <- 0.05

main <- function() {
  describe_machine()
  scores <- lapply(seeds, function(seed) {
    screen <- readRDS(low_moi_file(seed))
    truth <- true_effects(screen)
    results <- c(run_ours(screen), run_theirs(screen))
    results <- lapply(results, aligned, to = truth)
    shared <- Reduce(`&`, lapply(results, function(result) is.finite(result$estimate)))
    scores <- do.call(rbind, lapply(results, score, truth = truth$effect, shared = shared))
    say(
      "\nseed ", seed, ": ", nrow(truth), " pairs, ", sum(truth$effect != 0), " with an effect, ",
      sum(shared & truth$effect != 0), " of these with a finite estimate everywhere"
    )
    print(in_short(scores))
    scores
  })
  all <- together(scores)
  say("\nall seeds: sums of what is counted, means of the rest")
  print(in_short(all))
  judge(all)
}

# One row a pair, with its effect (natural logarithm).
true_effects <- function(screen) {
  truth <- metadata(screen)$truth
  pairs <- expand.grid(
    gene_id = rownames(screen),
    perturbation = setdiff(levels(screen$perturbation), "control"), stringsAsFactors = FALSE
  )
  at <- match(pair_key(pairs), pair_key(truth))
  pairs$effect <- ifelse(is.na(at), 0, truth$estimate[at])
  pairs
}

pair_key <- function(table) paste(table$gene_id, table$perturbation)

aligned <- function(table, to) table[match(pair_key(to), pair_key(table)), ]

# Fits --------------------------------------------------------------------------

run_ours <- function(screen) {
  settings <- rbind(
    expand.grid(
      test = c("wald", "lrt", "score", "calibrated"), dispersion = c("null", "trend"),
      covariates = FALSE, stringsAsFactors = FALSE
    ),
    data.frame(test = c("wald", "lrt"), dispersion = c("null", "trend"), covariates = TRUE)
  )
  fit <- function(test, dispersion, covariates) {
    coefficient_table(fit_screen(
      screen, "perturbation", if (covariates) low_moi_formula else ~1,
      control = "control", test = test, dispersion = dispersion, threads = 2, progress = FALSE
    ))
  }
  results <- Map(fit, settings$test, settings$dispersion, settings$covariates)
  names(results) <- paste0(
    settings$test, " ", settings$dispersion, ifelse(settings$covariates, ", covariates", "")
  )
  results
}

run_theirs <- function(screen) {
  if (!nzchar(crispyx_python())) {
    return(list())
  }
  folder <- write_for_crispyx(screen)
  list(
    "crispyx" = run_crispyx(folder, "default")$table,
    "crispyx min_mu=0" = run_crispyx(folder, "unfloored", min_mu = 0)$table,
    "crispyx min_mu=0, covariates" =
      run_crispyx(folder, "adjusted", all.vars(low_moi_formula), min_mu = 0)$table
  )
}

# Scores ------------------------------------------------------------------------

# What is significant among the pairs of each perturbation; slope and error of the
# estimated log2 fold changes of pairs that have an effect. Estimates of separated
# pairs are infinite (theirs are NA): they have p-values and count as discoveries,
# but not in slope and error, which are taken over the pairs with a finite estimate
# by the method, and, for a fair comparison, by all of them.
score <- function(result, truth, shared) {
  q <- stats::ave(
    result$p_value, result$perturbation, FUN = function(p) stats::p.adjust(p, "BH")
  )
  found <- which(q <= level)
  null <- result$p_value[truth == 0 & !is.na(result$p_value)]
  own <- slope_and_error(result$estimate, truth, is.finite(result$estimate))
  same <- slope_and_error(result$estimate, truth, shared)
  data.frame(
    tested = sum(!is.na(result$p_value)),
    null_05 = mean(null < 0.05),
    null_001 = mean(null < 0.001),
    true = sum(truth[found] != 0),
    false = sum(truth[found] == 0),
    true_at_level = true_at_level(q, truth),
    slope = own[1],
    rmse = own[2],
    infinite = sum(is.infinite(result$estimate) & truth != 0),
    slope_shared = same[1],
    rmse_shared = same[2]
  )
}

# How many true effects the ranking by q-value finds before more than `level` of what
# it found is false: what tests of different size can be compared by.
true_at_level <- function(q, truth) {
  ranked <- order(q, na.last = NA)
  true <- cumsum(truth[ranked] != 0)
  last_of_ties <- !duplicated(q[ranked], fromLast = TRUE)
  max(0, true[last_of_ties & 1 - true / seq_along(true) <= level])
}

slope_and_error <- function(estimate, truth, finite) {
  kept <- which(finite & truth != 0)
  x <- truth[kept] / log(2)
  y <- estimate[kept] / log(2)
  c(stats::cov(x, y) / stats::var(x), sqrt(mean((y - x)^2)))
}

together <- function(scores) {
  counted <- c("tested", "true", "false", "true_at_level", "infinite")
  all <- Reduce(`+`, scores)
  rest <- setdiff(names(all), counted)
  all[rest] <- all[rest] / length(scores)
  all
}

share_false <- function(scores) scores$false / (scores$true + scores$false)

in_short <- function(scores) {
  scores$fdp <- share_false(scores)
  shown <- c(
    "tested", "null_05", "null_001", "true", "false", "fdp", "true_at_level", "slope", "rmse",
    "infinite", "slope_shared", "rmse_shared"
  )
  format(scores[shown], digits = 3)
}

# With the settings that the documentation advises.
judge <- function(scores) {
  for (covariates in c("", ", covariates")) {
    ours <- scores[paste0("lrt trend", covariates), ]
    theirs <- scores[paste0("crispyx min_mu=0", covariates), ]
    bar <- function(what, ...) report_bar(paste0(rownames(ours), ", ", what), ...)
    bar("false discovery proportion", share_false(ours), "<", level)
    bar("true discoveries", ours$true, ">", theirs$true)
    bar("true discoveries, 5 % false", ours$true_at_level, ">", theirs$true_at_level)
    bar("slope's distance from one", abs(ours$slope - 1), "<", 0.03)
  }
}

main()
