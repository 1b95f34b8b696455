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

seeds <- 1:2
level <- 0.05

main <- function() {
  describe_machine()
  for (seed in seeds) {
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
    print(scores)
    judge(scores)
  }
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

# Without covariates, as theirs; and the default test with them.
run_ours <- function(screen) {
  settings <- expand.grid(
    test = c("wald", "lrt", "score", "calibrated"), dispersion = c("null", "trend"),
    stringsAsFactors = FALSE
  )
  fit <- function(formula, test, dispersion) {
    coefficient_table(fit_screen(
      screen, "perturbation", formula,
      control = "control", test = test, dispersion = dispersion, threads = 2, progress = FALSE
    ))
  }
  results <- Map(function(test, dispersion) fit(~1, test, dispersion),
                 settings$test, settings$dispersion)
  names(results) <- paste(settings$test, settings$dispersion)
  results[["wald null, covariates"]] <- fit(low_moi_formula, "wald", "null")
  results
}

run_theirs <- function(screen) {
  if (!nzchar(crispyx_python())) {
    return(list())
  }
  folder <- write_for_crispyx(screen)
  list(
    "crispyx" = run_crispyx(folder, "default")$table,
    "crispyx min_mu=0" = run_crispyx(folder, "unfloored", min_mu = 0)$table
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
    null_05 = signif(mean(null < 0.05), 3),
    null_001 = signif(mean(null < 0.001), 3),
    true = sum(truth[found] != 0),
    false = sum(truth[found] == 0),
    fdp = signif(mean(truth[found] == 0), 3),
    slope = round(own[1], 3),
    rmse = round(own[2], 3),
    infinite = sum(is.infinite(result$estimate) & truth != 0),
    slope_shared = round(same[1], 3),
    rmse_shared = round(same[2], 3)
  )
}

slope_and_error <- function(estimate, truth, finite) {
  kept <- which(finite & truth != 0)
  x <- truth[kept] / log(2)
  y <- estimate[kept] / log(2)
  c(stats::cov(x, y) / stats::var(x), sqrt(mean((y - x)^2)))
}

judge <- function(scores) {
  theirs <- grepl("crispyx", rownames(scores))
  usable <- !theirs & scores$fdp <= level
  best <- rownames(scores)[usable][which.max(scores$true[usable])]
  if (length(best) == 0) {
    say("bar: no setting has a false discovery proportion of at most ", level, ": MISSED")
    return(invisible())
  }
  for (name in unique(c("wald null", best))) {
    report_bar(paste0(name, ", false discovery proportion"), scores[name, "fdp"], "<", level)
    if (any(theirs)) {
      report_bar(
        paste0(name, ", true discoveries"), scores[name, "true"], ">", max(scores$true[theirs])
      )
    }
    report_bar(
      paste0(name, ", slope's distance from one"), abs(scores[name, "slope"] - 1), "<", 0.03
    )
  }
}

main()
