# Rscript bench/mash.R: mash() by size, two threads, with canonical covariances. mashr is
# not timed: it is not to be had from Debian or crates.io. Run from the root of the
# repository.
suppressPackageStartupMessages(library(scoria))
source("bench/common.R")

simulate_effects <- function(genes, conditions) {
  set.seed(1)
  shape <- c(genes, conditions)
  shared <- rnorm(genes) * (seq_len(genes) %% 4 == 0)
  own <- matrix(rnorm(prod(shape)) * (runif(prod(shape)) < 0.02), genes)
  shat <- matrix(exp(rnorm(prod(shape), log(0.3), 0.3)), genes)
  bhat <- shared + own + shat * rnorm(prod(shape))
  names <- list(paste0("gene", seq_len(genes)), paste0("p", seq_len(conditions)))
  dimnames(bhat) <- dimnames(shat) <- names
  list(Bhat = bhat, Shat = shat)
}

main <- function() {
  describe_machine()
  time <- function(genes, conditions, correlation = FALSE, alpha = 0) {
    data <- simulate_effects(scaled(genes, 50), scaled(conditions, 2))
    if (correlation) {
      data$V <- diag(0.7, ncol(data$Bhat)) + 0.3
    }
    reset_highest()
    taken <- seconds(
      fit <- mash(data, alpha = alpha, threads = 2, verbose = FALSE, progress = FALSE)
    )
    say(
      nrow(data$Bhat), " genes x ", ncol(data$Bhat), " conditions, ",
      if (correlation) "correlated" else "independent", " errors, alpha ", alpha, ", ",
      length(fit$fitted_g$pi), " components: ", round(taken, 2), " s, ",
      round(resident("VmHWM")), " MB at most; ", sum(fit$fitted_g$pi > 1e-10), " used"
    )
  }
  time(1000, 8)
  time(5000, 50)
  time(5000, 200)
  time(5000, 500)
  time(5000, 8, correlation = TRUE)
  time(5000, 50, correlation = TRUE)
  time(5000, 200, correlation = TRUE, alpha = 1)
  for (shape in c("uniform", "halfuniform", "normal")) {
    x <- simulate_effects(scaled(20000, 100), 1)
    taken <- seconds(ash(x$Bhat[, 1], x$Shat[, 1], shape, threads = 2, progress = FALSE))
    say("ash, ", nrow(x$Bhat), " effects, ", shape, ": ", round(taken, 2), " s")
  }
}

main()
