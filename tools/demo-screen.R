# `make demo`: from the counts of a screen to its discoveries.
#
# A screen is simulated, in which perturbations of one program affect the same genes, so that
# what is found can be held to what is there. CORES may be set.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(ggplot2)
  library(grid)
  library(scoria)
})

# The main flow -----------------------------------------------------------------

main <- function() {
  cores <- as.integer(Sys.getenv("CORES"))
  if (is.na(cores)) cores <- 2L
  screen <- simulate_screen(
    n_cells = 20000, n_genes = 1000, n_perturbations = 40, moi = "low",
    n_programs = 8, mean_range = c(0.02, 20), effect_fraction = 0.05, seed = 1
  )
  say(nrow(screen), " genes in ", ncol(screen), " cells with one of 40 perturbations or none")

  fit <- timed("Fitting all pairs", fit_screen(
    screen, "perturbation", ~ percent.mito + prep_batch,
    control = "control", test = "lrt", dispersion = "trend", threads = cores
  ))
  print(fit)

  calibration <- timed("Fitting what does nothing", check_calibration(fit, threads = cores))
  print(calibration$summary)

  data <- mash_data(fit)
  print(data)
  shrunk <- timed("Shrinking effects together", mash(
    data, covariances = c("canonical", "clusters"), threads = cores, verbose = FALSE
  ))
  hits <- find_hits(fit, shrunk)
  show_hits(hits)
  compare_with_truth(hits, S4Vectors::metadata(screen)$truth)

  draw_page(fit, calibration, "demo-discoveries.png")
  say("The plots are in demo-discoveries.png.")
}

max_lfsr <- 0.05

say <- function(...) cat(..., "\n", sep = "")

timed <- function(what, expression) {
  seconds <- system.time(value <- expression)[["elapsed"]]
  say(what, ": ", format(round(seconds, 1), nsmall = 1), " s")
  value
}

# Hits --------------------------------------------------------------------------

# One row a pair: what was estimated, and what mash makes of it.
find_hits <- function(fit, shrunk) {
  table <- coefficient_table(fit)
  at <- cbind(table$gene_id, table$perturbation)
  known <- table$gene_id %in% rownames(get_lfsr(shrunk))
  table$lfsr <- table$posterior_mean <- NA_real_
  table$posterior_mean[known] <- get_pm(shrunk)[at[known, ]]
  table$lfsr[known] <- get_lfsr(shrunk)[at[known, ]]
  table$hit <- known & table$lfsr <= max_lfsr
  table[order(table$lfsr, table$p_value), ]
}

show_hits <- function(hits) {
  columns <- c(
    "gene_id", "perturbation", "estimate", "std_err", "p_value", "q_value", "posterior_mean",
    "lfsr"
  )
  options(width = 130)
  print(as.data.frame(utils::head(hits[columns], 15)), digits = 3, row.names = FALSE)
  say(
    sum(hits$hit), " pairs have a local false sign rate of at most ", max_lfsr, "; ",
    sum(hits$q_value <= 0.05, na.rm = TRUE), " have a q-value of at most 0.05."
  )
}

compare_with_truth <- function(hits, truth) {
  real <- paste(hits$gene_id, hits$perturbation) %in% paste(truth$gene_id, truth$perturbation)
  wrong <- sum(hits$hit & !real)
  say(
    "Of ", nrow(truth), " simulated effects mash finds ", sum(hits$hit & real), " and the test ",
    sum(hits$q_value <= 0.05 & real, na.rm = TRUE), "; ", wrong, " (",
    signif(100 * wrong / max(1, sum(hits$hit)), 2), " %) of mash's and ",
    sum(hits$q_value <= 0.05 & !real, na.rm = TRUE), " of the test's were not simulated."
  )
}

# One page ----------------------------------------------------------------------

draw_page <- function(fit, calibration, path) {
  plots <- list(
    plot_volcano(fit), plot_ma(fit), autoplot(calibration), plot_hits(fit), plot_effects(fit),
    plot_dispersions(fit)
  )
  grDevices::png(path, width = 2700, height = 1700, res = 130, type = "cairo")
  on.exit(grDevices::dev.off())
  grid.newpage()
  pushViewport(viewport(layout = grid.layout(2, 3)))
  for (k in seq_along(plots)) {
    place <- viewport(layout.pos.row = (k - 1) %/% 3 + 1, layout.pos.col = (k - 1) %% 3 + 1)
    print(plots[[k]], vp = place)
  }
}

main()
