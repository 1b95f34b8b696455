# Rscript bench/screen-crispyx.R: fit_screen() beside crispyx's nb_glm_test(), two
# threads and two workers, on 10,000 cells x 2,000 genes x 50 perturbations, with and
# without covariates; and the likelihood that each of them reaches. Run from the root
# of the repository, with SCORIA_BENCH_PYTHON set to a python that has crispyx.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")
source("bench/nb_glm_test.R")

rounds <- 3
n_compared <- 60

main <- function() {
  if (!nzchar(crispyx_python())) {
    return(invisible())
  }
  describe_machine()
  screen <- readRDS(low_moi_file())
  folder <- write_for_crispyx(screen)
  say(
    nrow(screen), " genes x ", nlevels(screen$perturbation) - 1, " perturbations, ",
    ncol(screen), " cells, of which ", sum(screen$perturbation == "control"), " controls"
  )
  compare(screen, folder, "without", ~1, bar = 40)
  compare(screen, folder, "with", low_moi_formula, bar = 20)
}

compare <- function(screen, folder, name, formula, bar) {
  say("\n", name, " covariates: ", deparse1(formula))
  fit <- function(threads = 2, ...) {
    fit_screen(
      screen, "perturbation", formula,
      control = "control", threads = threads, progress = FALSE, ...
    )
  }
  ours <- fastest_each(list(
    one = function() fit(1), two = function() fit(2), pair = function() fit(2, dispersion = "pair")
  ), rounds)
  theirs <- run_crispyx(folder, name, all.vars(formula), rounds = rounds)
  n_pairs <- nrow(theirs$table)
  taken <- c(
    "fit_screen(), two threads" = ours[["two"]],
    "fit_screen(), one thread" = ours[["one"]],
    "fit_screen(), a dispersion a pair, two threads" = ours[["pair"]],
    "crispyx, two workers" = min(theirs$seconds)
  )
  print(data.frame(
    seconds = round(taken, 2), us_a_pair = signif(1e6 * taken / n_pairs, 3),
    crispyx_takes_times = round(min(theirs$seconds) / taken, 1)
  ))
  say("crispyx, the first call, which compiles: ", round(theirs$first, 1), " s")
  report_bar(
    paste("times faster than crispyx,", name, "covariates,"),
    min(theirs$seconds) / ours[["two"]], ">", bar
  )
  compare_likelihoods(screen, formula, list(
    "null" = fit(), "pair" = fit(dispersion = "pair")
  ), theirs$table)
}

# Likelihoods ---------------------------------------------------------------------

# Of pairs spread evenly over the abundances. A pair's log-likelihood over its cells
# and the controls, at an estimate and a dispersion, with all other coefficients at
# their best, for neither prints those of the covariates.
#
# * At its own dispersion, how far is each below the maximum of the likelihood?
#   This is the fault of the estimate alone: nothing, for one of maximum likelihood.
# * How much higher is ours at our dispersion than theirs at theirs? With
#   dispersion = "pair" ours is the maximum over both, and cannot be lower. With
#   dispersion = "null" it can, where theta happens to suit the pair less.
# * How much higher is ours than theirs, both at their dispersion? Ours was fitted
#   at another, so that it can be lower by a little.
compare_likelihoods <- function(screen, formula, fits, theirs) {
  ours <- lapply(fits, coefficient_table)
  theirs <- theirs[match(pair_key(ours[[1]]), pair_key(theirs)), ]
  pairs <- compared_pairs(ours, theirs)
  prepared <- lapply(pairs, function(row) prepare_pair(screen, formula, ours[[1]][row, ]))
  their_theta <- 1 / theirs$dispersion[pairs]
  their_likelihood <- Map(profile_likelihood, prepared, theirs$estimate[pairs], their_theta)
  below <- unlist(Map(best_likelihood, prepared, their_theta)) - unlist(their_likelihood)
  rows <- list(crispyx = c(mean(below), max(below), NA, NA, NA, NA))
  for (dispersion in names(ours)) {
    estimate <- ours[[dispersion]]$estimate[pairs]
    theta <- ours[[dispersion]]$theta[pairs]
    likelihood <- unlist(Map(profile_likelihood, prepared, estimate, theta))
    below <- unlist(Map(best_likelihood, prepared, theta)) - likelihood
    more <- likelihood - unlist(their_likelihood)
    same <- unlist(Map(profile_likelihood, prepared, estimate, their_theta)) -
      unlist(their_likelihood)
    rows[[paste("ours,", dispersion)]] <- c(
      mean(below), max(below), mean(more), min(more), mean(same), min(same)
    )
  }
  say("log-likelihoods of ", length(pairs), " pairs:")
  table <- signif(do.call(rbind, rows), 3)
  colnames(table) <- c(
    "below_best_mean", "below_best_max", "own_more_mean", "own_more_min",
    "same_more_mean", "same_more_min"
  )
  print(table)
  report_bar("least gain in log-likelihood, a dispersion a pair,", table[3, 4], ">", -1e-6)
  report_bar("farthest below the best, ours,", max(table[-1, 2]), "<", 1e-6)
}

pair_key <- function(table) paste(table$gene_id, table$perturbation)

compared_pairs <- function(ours, theirs) {
  usable <- Reduce(`&`, lapply(ours, function(table) table$status == "ok"))
  usable <- which(usable & is.finite(theirs$estimate) & is.finite(theirs$dispersion))
  # By the abundance, and within a gene by the perturbation.
  usable <- usable[order(ours[[1]]$mean[usable])]
  usable[round(seq(1, length(usable), length.out = min(n_compared, length(usable))))]
}

# The cells of a pair: counts, design, offset and who has the perturbation.
prepare_pair <- function(screen, formula, pair) {
  of_pair <- screen$perturbation %in% c("control", pair$perturbation)
  cells <- as.data.frame(colData(screen)[of_pair, ])
  list(
    y = as.numeric(counts(screen)[pair$gene_id, of_pair]),
    design = stats::model.matrix(formula, cells),
    offset = log(cells$Size_Factor),
    has = as.numeric(cells$perturbation == pair$perturbation)
  )
}

best_likelihood <- function(pair, theta) {
  design <- cbind(pair$design, pair$has)
  fitted_likelihood(pair$y, design, pair$offset, theta)
}

profile_likelihood <- function(pair, estimate, theta) {
  fitted_likelihood(pair$y, pair$design, pair$offset + estimate * pair$has, theta)
}

fitted_likelihood <- function(y, design, offset, theta) {
  # Poisson, as far as a double can tell.
  theta <- min(theta, 1e7)
  fit <- suppressWarnings(stats::glm.fit(
    design, y, offset = offset, family = MASS::negative.binomial(theta),
    start = c(log(mean(y) / mean(exp(offset))), rep(0, ncol(design) - 1)),
    control = list(epsilon = 1e-13, maxit = 100)
  ))
  sum(stats::dnbinom(y, size = theta, mu = fit$fitted.values, log = TRUE))
}

main()
