# `make bench`: fit_models() beside the R functions that it stands in for, in one
# run, at the size of the screen of Gasperini et al. (2019). Run from the root of
# the repository. bench/README.md says what the rows mean and keeps a result.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})
source("bench/common.R")
source("bench/screen.R")

rounds <- 5
n_compared <- 6

main <- function() {
  screen <- gasperini_screen()
  genes <- compared_genes(screen)
  say(
    "# ", nrow(screen), " genes, ", ncol(screen), " cells, ", screen_formula,
    "; load ", readLines("/proc/loadavg")
  )
  print(data.frame(
    gene = genes, mean_count = signif(Matrix::rowMeans(counts(screen)[genes, ]), 3)
  ), row.names = FALSE)

  covariate <- time_fits(screen, "negbinomial", "covariate")
  negbinomial <- time_fits(screen, "negbinomial", "offset")
  divided <- time_fits(screen, "negbinomial", "divide")
  quasipoisson <- time_fits(screen, "quasipoisson", "offset")
  mass <- time_peer(screen, genes, fit_mass)
  glm <- time_peer(screen, genes, fit_glm)
  gampoi <- time_gampoi(screen, genes)

  floor <- measure_floor()[["all"]]
  say("")
  report("negbinomial, size factors as covariate", covariate, mass, "MASS::glm.nb", floor)
  report("negbinomial, size factors as offset", negbinomial, NULL, NULL, floor)
  report("negbinomial, counts divided by size factors", divided, NULL, NULL, floor)
  report("quasipoisson, size factors as offset", quasipoisson, glm, "stats::glm", floor)
  compare_mass(covariate$fits, mass)
  compare_glm(quasipoisson$fits, glm)
  report_gampoi(negbinomial, gampoi)
  report_statsmodels(screen, genes, divided)
  report_bar("times MASS::glm.nb(), one thread", peer_ratio(covariate, mass), ">", 150)
  report_memory(screen)
}

# Genes spread evenly over the range of abundances.
compared_genes <- function(screen) {
  ranked <- rownames(screen)[order(Matrix::rowMeans(counts(screen)))]
  ranked[round((seq_len(n_compared) - 0.5) / n_compared * nrow(screen))]
}

# Timing ------------------------------------------------------------------------

# The fastest of some rounds: what else the machine does only adds to a time.
fastest <- function(run) min(replicate(rounds, seconds(run())))

time_fits <- function(screen, family, size_factors) {
  fit <- function(cores) {
    fit_models(
      screen, screen_formula,
      expression_family = family, size_factors = size_factors, cores = cores,
      progress = FALSE
    )
  }
  fits <- fit(1)
  stopifnot(fits$status == "OK")
  # In turns, so that a busy minute hits both.
  taken <- replicate(rounds, c(one = seconds(fit(1)), two = seconds(fit(2))))
  list(
    fits = fits, one = min(taken["one", ]), two = min(taken["two", ]),
    in_r = seconds_in_r(screen, family, size_factors)
  )
}

# What of a call is not the engine: reading the object and building the design.
seconds_in_r <- function(screen, family, size_factors) {
  formula <- scoria:::parse_formula(screen_formula, globalenv())
  fastest(function() {
    source <- scoria:::as_source(screen)
    scoria:::prepare_model(source, formula, family, size_factors, "fail")
  })
}

# Seconds and fit of each gene.
time_peer <- function(screen, genes, fit) {
  cells <- as.data.frame(colData(screen))
  lapply(stats::setNames(genes, genes), function(gene) {
    cells$f_expression <- as.numeric(counts(screen)[gene, ])
    list(fit = fit(cells), seconds = fastest(function() fit(cells)))
  })
}

# As monocle3 1.3 and 1.4 call it.
fit_mass <- function(cells) {
  formula <- stats::as.formula(paste0(
    "f_expression", screen_formula, " + stats::offset(log(Size_Factor))"
  ))
  suppressWarnings(
    MASS::glm.nb(formula, data = cells, epsilon = 1e-3, model = FALSE, y = FALSE)
  )
}

fit_glm <- function(cells) {
  stats::glm(
    stats::as.formula(paste0("f_expression", screen_formula)),
    data = cells, family = stats::quasipoisson(), offset = log(Size_Factor),
    model = FALSE, y = FALSE
  )
}

# Coefficients and dispersions of all compared genes at once, with the offset; and the test
# of one coefficient, for there are no standard errors.
time_gampoi <- function(screen, genes) {
  rlang::check_installed("glmGamPoi")
  y <- as.matrix(counts(screen)[genes, ])
  design <- stats::model.matrix(stats::as.formula(screen_formula), as.data.frame(colData(screen)))
  fit <- function(shrinkage = FALSE) {
    glmGamPoi::glm_gp(
      y, design, size_factors = screen$Size_Factor, overdispersion_shrinkage = shrinkage,
      on_disk = FALSE
    )
  }
  taken <- c(fit = Inf, test = Inf)
  for (round in 1:2) {
    taken["fit"] <- min(taken["fit"], seconds(fitted <- fit()))
  }
  # The test needs shrunken dispersions.
  shrunken <- fit(TRUE)
  group <- match("gRNA_group", colnames(design))
  taken["test"] <- seconds(
    glmGamPoi::test_de(shrunken, reduced_design = design[, -group], verbose = FALSE)
  )
  list(
    fit = taken[["fit"]] / length(genes), test = taken[["test"]] / length(genes),
    log_likelihood = vapply(seq_along(genes), function(gene) {
      alpha <- fitted$overdispersions[gene]
      mean <- fitted$Mu[gene, ]
      sum(if (alpha > 0) {
        stats::dnbinom(y[gene, ], size = 1 / alpha, mu = mean, log = TRUE)
      } else {
        stats::dpois(y[gene, ], mean, log = TRUE)
      })
    }, 0),
    genes = genes
  )
}

# With rounded ratios of counts and size factors, and no offset.
time_statsmodels <- function(python, screen, genes, method) {
  folder <- tempfile("statsmodels")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  x <- stats::model.matrix(stats::as.formula(screen_formula), as.data.frame(colData(screen)))
  y <- t(as.matrix(counts(screen)[genes, ]))
  writeBin(as.double(x), file.path(folder, "x"))
  writeBin(as.double(round(y / screen$Size_Factor)), file.path(folder, "y"))
  writeLines(
    sprintf('{"cells": %d, "columns": %d, "genes": %d}', nrow(x), ncol(x), ncol(y)),
    file.path(folder, "shape.json")
  )
  system2(python, c("bench/nb_statsmodels.py", folder, method, 2))
  result <- readLines(file.path(folder, paste0(method, ".json")), warn = FALSE)
  each <- regmatches(result, gregexpr("[{][^}]*[}]", result))[[1]]
  value <- function(name) as.numeric(sub(paste0('.*"', name, '": ([^,}]*).*'), "\\1", each))
  list(seconds = value("seconds"), log_likelihood = value("log_likelihood"))
}

# Reporting ---------------------------------------------------------------------

peer_ratio <- function(ours, peer) {
  mean(vapply(peer, `[[`, 0, "seconds")) / (ours$one / nrow(ours$fits))
}

log_likelihoods <- function(fits, genes) {
  vapply(fits$model[genes], function(model) as.numeric(stats::logLik(model)), 0)
}

report_gampoi <- function(ours, peer) {
  a_gene <- ours$one / nrow(ours$fits)
  gain <- log_likelihoods(ours$fits, peer$genes) - peer$log_likelihood
  say("glmGamPoi::glm_gp(): ", signif(1000 * peer$fit, 3), " ms a gene, its test of a coefficient ",
      signif(1000 * peer$test, 3), " ms; our log-likelihood less theirs: ",
      paste(signif(gain, 2), collapse = ", "))
  report_bar("times glmGamPoi::glm_gp(), one thread", peer$fit / a_gene, ">", 5)
  report_bar("least gain of log-likelihood", min(gain), ">", -1e-6)
}

report_statsmodels <- function(screen, genes, ours) {
  python <- Sys.getenv("SCORIA_BENCH_PYTHON")
  if (!nzchar(python)) {
    say("statsmodels is not timed: SCORIA_BENCH_PYTHON names no python that has it.")
    return(invisible())
  }
  for (method in c("nb2", "geometric")) {
    peer <- time_statsmodels(python, screen, genes, method)
    gain <- log_likelihoods(ours$fits, genes) - peer$log_likelihood
    say("statsmodels, ", method, ": ", signif(1000 * mean(peer$seconds), 3),
        " ms a gene; our log-likelihood less theirs: ", paste(signif(gain, 2), collapse = ", "))
    ratio <- mean(peer$seconds) / (ours$one / nrow(ours$fits))
    report_bar(
      paste0("times statsmodels' ", method, ", one thread"), ratio, ">",
      c(nb2 = 50, geometric = 12)[[method]]
    )
  }
}

report <- function(title, ours, peer, peer_name, floor) {
  genes <- nrow(ours$fits)
  passes <- vapply(ours$fits$model, function(model) model$iterations, 1)
  cells <- stats::nobs(ours$fits$model[[1]])
  engine <- 1e9 * (ours$one - ours$in_r) / genes / cells
  milliseconds <- function(seconds) paste(signif(1000 * seconds, 3), "ms a gene")
  say(title)
  say("  one thread           ", milliseconds(ours$one / genes), " (", round(ours$one, 2), " s)")
  say("  of it in R           ", milliseconds(ours$in_r / genes), " (", round(ours$in_r, 2), " s)")
  say("  two threads          ", milliseconds(ours$two / genes), " (", round(ours$two, 2), " s)")
  say("  two threads : one    ", round(ours$one / ours$two, 2), " times as fast")
  say(
    "  without the part in R ",
    round((ours$one - ours$in_r) / (ours$two - ours$in_r), 2), " times as fast"
  )
  say(
    "  in double precision  ", min(passes), " to ", max(passes), " passes a gene, mean ",
    mean(passes)
  )
  say(
    "  not in R             ", signif(engine, 3), " ns a cell and gene, as ",
    round(engine / floor, 1), " passes at the floor"
  )
  if (!is.null(peer)) {
    seconds <- vapply(peer, `[[`, 0, "seconds")
    say(
      "  ", format(peer_name, width = 21), milliseconds(mean(seconds)), ", of ",
      length(seconds), " genes: ", paste(round(seconds, 2), collapse = ", "), " s"
    )
    say("  speed-up             ", round(mean(seconds) / (ours$one / genes)), " times, one thread")
    say("  speed-up             ", round(mean(seconds) / (ours$two / genes)), " times, two threads")
  }
  say("")
}

# Largest differences of estimates, in standard errors, and of standard errors.
differences <- function(fits, peer) {
  each <- lapply(names(peer), function(gene) {
    ours <- fits$model[[gene]]
    theirs <- stats::coef(summary(peer[[gene]]$fit))
    errors <- sqrt(diag(stats::vcov(ours)))
    c(
      max(abs(stats::coef(ours) - theirs[, 1]) / theirs[, 2]),
      max(abs(errors / theirs[, 2] - 1))
    )
  })
  do.call(pmax, each)
}

compare_mass <- function(fits, peer) {
  largest <- differences(fits, peer)
  gain <- vapply(names(peer), function(gene) {
    as.numeric(stats::logLik(fits$model[[gene]])) - as.numeric(stats::logLik(peer[[gene]]$fit))
  }, 0)
  say("Against MASS::glm.nb(epsilon = 1e-3): estimates differ by up to ", signif(largest[1], 2),
      " standard errors, standard errors by ", signif(largest[2], 2), ";")
  say("  our log-likelihood less theirs: ", paste(signif(gain, 2), collapse = ", "))
}

compare_glm <- function(fits, peer) {
  largest <- differences(fits, peer)
  gain <- vapply(names(peer), function(gene) {
    stats::deviance(peer[[gene]]$fit) - stats::deviance(fits$model[[gene]])
  }, 0)
  say("Against stats::glm: estimates differ by up to ", signif(largest[1], 2),
      " standard errors, standard errors by ", signif(largest[2], 2), ";")
  say("  their deviance less ours: ", paste(signif(gain, 2), collapse = ", "))
}

report_memory <- function(screen) {
  file <- tempfile(fileext = ".rds")
  saveRDS(screen, file, compress = FALSE)
  on.exit(unlink(file))
  for (family in c("negbinomial", "quasipoisson")) {
    say(paste(
      system2("Rscript", c("bench/peak-memory.R", file, family), stdout = TRUE),
      collapse = "\n"
    ))
  }
}

main()
