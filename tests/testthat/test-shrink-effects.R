# Against crispyx 0.2.2 and PyDESeq2 0.5.4, each given its own estimates, scale,
# dispersions and size factors. Where a mode of theirs is not ours, theirs must be
# lower.

log_posterior <- function(b, estimate, std_err, scale) {
  -(b - estimate)^2 / (2 * std_err^2) - log1p((b / scale)^2)
}

# crispyx's estimates without shrinkage, as a table of coefficients, and its shrunken
# ones on the natural scale.
crispyx_shrunken <- function(name) {
  folder <- c("oracle", "crispyx", "crispyx_tiny")
  read <- function(name) {
    utils::read.csv(do.call(shared_data, as.list(c(folder, name))))
  }
  theirs <- read(paste0(name, ".csv"))
  list(
    table = tibble::tibble(
      gene_id = theirs$gene, perturbation = theirs$perturbation,
      estimate = theirs$logfoldchange_raw_ln,
      std_err = theirs$standard_error_ln, p_value = theirs$pvalue
    ),
    estimate = theirs$X * log(2), std_err = theirs$standard_error * log(2),
    alpha = read(paste0(name, ".var.csv"))
  )
}

# Of its uns["apeglm_prior_scale"].
crispyx_scale <- 0.08154359143602158

test_that("estimates are shrunken as crispyx does, but to the higher mode", {
  # Pairs of which it reports the lower mode, as it starts at zero.
  lower <- list(
    shrink_stats = "G00125 P0002",
    shrink_stats_percomp = c(
      "G00113 P0001", "G00032 P0000", "G00048 P0000", "G00069 P0000",
      "G00107 P0000", "G00119 P0009"
    )
  )
  for (name in names(lower)) {
    theirs <- crispyx_shrunken(name)
    over <- if (name == "shrink_stats") "all" else "perturbation"
    ours <- shrink_effects(theirs$table, scale_over = over)
    if (over == "all") {
      expect_equal(unique(ours$prior_scale), crispyx_scale, tolerance = 1e-6)
      ours <- shrink_effects(theirs$table, prior_scale = crispyx_scale)
    }
    expect_identical(is.na(ours$estimate), is.na(theirs$estimate))
    off <- abs(ours$estimate - theirs$estimate) / ours$std_err
    pair <- paste(ours$gene_id, ours$perturbation)
    differs <- pair %in% lower[[name]]
    # It knows the square of a scale of its own to 1e-6, and some are small.
    near <- if (over == "all") 1e-7 else 1e-3
    expect_lt(max(off[!differs], na.rm = TRUE), near)
    same <- !differs & !is.na(off)
    expect_lt(max(abs(ours$std_err / theirs$std_err - 1)[same]), near)
    height <- function(b) {
      with(theirs$table, log_posterior(b, estimate, std_err, ours$prior_scale))
    }
    gain <- height(ours$estimate) - height(theirs$estimate)
    expect_gt(min(gain[differs]), 0.1)
    expect_gt(min(gain, na.rm = TRUE), -1e-12)
  }
})

test_that("the scale solves its equation, by perturbation too", {
  table <- crispyx_shrunken("shrink_stats")$table
  scale_of <- function(table) {
    ok <- !is.na(table$estimate)
    s <- table$estimate[ok]^2
    d <- table$std_err[ok]^2
    excess <- function(a) {
      w <- 1 / (2 * (a + d)^2)
      sum(w * (s - d)) / sum(w) - a
    }
    if (excess(1e-6) < 0) {
      return(1e-3)
    }
    sqrt(stats::uniroot(excess, c(1e-6, 400), tol = 1e-12)$root)
  }
  all <- shrink_effects(table)
  expect_equal(unique(all$prior_scale), scale_of(table), tolerance = 1e-6)
  own <- shrink_effects(table, scale_over = "perturbation")
  slow <- vapply(split(table, table$perturbation), scale_of, 0)
  expect_equal(own$prior_scale, unname(slow[table$perturbation]), tolerance = 1e-5)
  normal <- shrink_effects(table, prior = "normal")
  keep <- with(normal, prior_scale^2 / (prior_scale^2 + table$std_err^2))
  expect_equal(normal$estimate, keep * table$estimate)
  expect_equal(normal$std_err, sqrt(keep) * table$std_err)
  expect_equal(
    normal$lfsr, stats::pnorm(-abs(normal$estimate) / normal$std_err)
  )
})

test_that("means and signs are integrals", {
  table <- data.frame(
    gene_id = letters[1:5], perturbation = "p",
    estimate = c(0.3, -2, 0, 1.2, 4), std_err = c(0.2, 0.5, 1, 0.4, 0.9)
  )
  ours <- shrink_effects(table, prior_scale = 0.1, estimate = "mean")
  for (row in 1:5) {
    density <- function(b) {
      exp(log_posterior(b, table$estimate[row], table$std_err[row], 0.1))
    }
    # Pieces, for integrate() steps over what is narrow.
    ends <- c(-12, -1, -0.2, 0, 0.2, 1, 3, 12)
    integral <- function(f) {
      mapply(function(from, to) {
        stats::integrate(f, from, to, rel.tol = 1e-10)$value
      }, ends[-8], ends[-1])
    }
    mass <- integral(density)
    mean <- sum(integral(function(b) b * density(b))) / sum(mass)
    square <- sum(integral(function(b) b^2 * density(b))) / sum(mass)
    expect_equal(ours$estimate[row], mean, tolerance = 1e-7)
    expect_equal(ours$std_err[row], sqrt(square - mean^2), tolerance = 1e-7)
    negative <- sum(mass[1:3]) / sum(mass)
    expect_equal(ours$lfsr[row], min(negative, 1 - negative), tolerance = 1e-7)
  }
})

test_that("s-values are means of the lfsr that are no larger", {
  table <- data.frame(
    gene_id = letters[1:6], perturbation = rep(c("p", "q"), each = 3),
    estimate = c(1, 1, 0.1, -2, NA, -Inf), std_err = c(0.3, 0.3, 0.3, 0.2, NA, NA)
  )
  ours <- shrink_effects(table, prior_scale = 0.5)
  l <- ours$lfsr
  expect_identical(is.na(l), rep(c(FALSE, TRUE), c(4, 2)))
  expect_identical(is.na(ours$s_value), is.na(l))
  expect_equal(ours$s_value[1:4], c(l[1], l[1], mean(l[1:3]), l[4]))
  all <- shrink_effects(table, prior_scale = 0.5, adjust_over = "all")
  expect_equal(all$s_value[1:3], c(mean(l[c(1, 2, 4)]), mean(l[c(1, 2, 4)]), mean(l[1:4])))
})

test_that("a screen and its table are shrunken alike, in memory and on file", {
  fit <- made_up_fit()
  ours <- shrink_effects(fit)
  table <- coefficient_table(fit)
  expect_identical(ours, shrink_effects(table))
  expect_identical(ours, shrink_effects(on_file(fit)))
  expect_identical(ours$estimate_mle, table$estimate)
  expect_identical(ours$std_err_mle, table$std_err)
  expect_identical(ours$status, table$status)
  expect_identical(ours$q_value, table$q_value)
  expect_identical(is.na(ours$estimate), table$status != "ok")
  expect_equal(ours$log2_fold_change, ours$estimate / log(2))
  # A part has the scale of the whole.
  part <- shrink_effects(fit[5:6, c("perturb_3", "perturb_2")])
  rows <- match(
    paste(part$gene_id, part$perturbation), paste(ours$gene_id, ours$perturbation)
  )
  expect_identical(part$estimate, ours$estimate[rows])
  expect_identical(shrink_effects(fit, threads = 2), ours)
  scales <- c(perturb_1 = 0.1, perturb_2 = 0.2, perturb_3 = 0.3, perturb_4 = 1, perturb_5 = 2)
  given <- shrink_effects(fit, prior_scale = scales)
  expect_identical(given$prior_scale, unname(scales[given$perturbation]))
})

test_that("terms of fit_models() are shrunken, and intercepts are not", {
  withr::local_seed(1)
  counts <- matrix(
    stats::rpois(2000, 3), 20,
    dimnames = list(paste0("gene", 1:20), NULL)
  )
  counts[3, ] <- 0
  cells <- data.frame(treated = rep(0:1, 50), x = stats::rnorm(100), Size_Factor = 1)
  fits <- fit_models(counts, "~ treated + x", cell_metadata = cells)
  table <- coefficient_table(fits)
  ours <- shrink_effects(table)
  expect_false("(Intercept)" %in% ours$term)
  expect_identical(
    ours$estimate_mle, table$estimate[!table$term %in% "(Intercept)"]
  )
  expect_length(unique(ours$prior_scale[!is.na(ours$term)]), 2)
  finite <- is.finite(ours$estimate_mle)
  expect_true(all(abs(ours$estimate[finite]) <= abs(ours$estimate_mle[finite])))
  expect_length(unique(shrink_effects(table, scale_over = "all")$prior_scale), 1)
})

test_that("what cannot be shrunken is said", {
  fit <- made_up_fit()
  expect_error(shrink_effects(1), class = "scoria_error_model_table")
  expect_error(
    shrink_effects(data.frame(term = "a", estimate = 1)),
    class = "scoria_error_model_table"
  )
  for (scale in list(0, -1, NA_real_, "a", c(perturb_1 = 1), numeric())) {
    expect_error(
      shrink_effects(fit, prior_scale = scale),
      class = "scoria_error_prior_scale"
    )
  }
  expect_error(shrink_effects(fit, prior = "t"), class = "scoria_error_argument")
  expect_error(shrink_effects(fit, scale = 1), class = "scoria_error_argument")
  expect_error(
    shrink_effects(fit, method = "full"), "needs `x`",
    class = "scoria_error_source"
  )
  expect_error(
    shrink_effects(coefficient_table(fit), method = "full"),
    class = "scoria_error_argument"
  )
  none <- shrink_effects(coefficient_table(fit)[0, ])
  expect_identical(nrow(none), 0L)
})

# By the counts ----------------------------------------------------------------

small_screen <- function() {
  skip_if_not_installed("SingleCellExperiment")
  screen <- simulate_screen(
    n_cells = 400, n_genes = 15, n_perturbations = 4, mean_range = c(0.05, 5)
  )
  # Some pairs are separated.
  counts <- SummarizedExperiment::assay(screen, "counts")
  counts[c(2, 9), screen$perturbation == "perturb_002"] <- 0
  SummarizedExperiment::assay(screen, "counts") <- counts
  screen
}

test_that("likelihoods of counts shrink all fitted pairs, separated ones too", {
  screen <- small_screen()
  fit <- fit_screen(screen, "perturbation", ~ prep_batch, control = "control")
  ours <- shrink_effects(fit, method = "full", x = screen)
  expect_identical(is.na(ours$estimate), !ours$status %in% c("ok", "separated"))
  separated <- ours$status == "separated"
  expect_gt(sum(separated), 0)
  expect_true(all(sign(ours$estimate[separated]) == sign(ours$estimate_mle[separated])))
  expect_true(all(ours$lfsr[!is.na(ours$lfsr)] < 0.6))
  # Where there are many counts, a normal likelihood is as good.
  stats <- shrink_effects(fit)
  many <- which(ours$mean > 2 & ours$n_cells > 50 & ours$status == "ok")
  expect_gt(length(many), 5)
  off <- abs(ours$estimate - stats$estimate)[many] / stats$std_err[many]
  expect_lt(max(off), 0.15)
  mean <- shrink_effects(fit, method = "full", x = screen, estimate = "mean")
  expect_identical(is.na(mean$estimate), ours$status != "ok")
  # A part, out of order.
  part <- shrink_effects(fit[c(7, 2), 3:1], method = "full", x = screen)
  rows <- match(
    paste(part$gene_id, part$perturbation), paste(ours$gene_id, ours$perturbation)
  )
  expect_identical(part$estimate, ours$estimate[rows])
  expect_identical(part$lfsr, ours$lfsr[rows])
  # The likelihood of the pair, maximised by optim().
  prior <- ours$prior_scale[1]
  made <- suppressMessages(request("perturbation", ~ prep_batch, x = screen, control = "control"))
  for (row in c(which(separated)[1], many[1:3])) {
    g <- match(ours$gene_id[row], fit$genes$gene_id)
    k <- match(ours$perturbation[row], fit$perturbations$perturbation)
    sets <- compared(made, k)
    y <- as.double(made$counts[g, ])
    design <- made$screen$design
    objective <- function(at) {
      line <- as.double(design %*% at[-1])
      mu <- exp(made$screen$offset + line + sets$has * at[1])
      -sum(stats::dnbinom(y, size = ours$theta[row], mu = mu, log = TRUE)[sets$used]) +
        mean(line[sets$null]^2) / (2 * 15^2) + log1p((at[1] / prior)^2)
    }
    found <- stats::optim(
      c(ours$estimate[row], log(mean(y) + 0.01), double(ncol(design) - 1)), objective,
      method = "BFGS", control = list(maxit = 1000, reltol = 1e-14)
    )
    expect_lt(abs(found$par[1] - ours$estimate[row]) / ours$std_err[row], 1e-3)
  }
})

test_that("shrunken effects are nearer to the truth, and their signs as right as said", {
  skip_if_not_installed("SingleCellExperiment")
  screen <- simulate_screen(
    n_cells = 3000, n_genes = 150, n_perturbations = 15, control_fraction = 0.4,
    mean_range = c(0.1, 20)
  )
  fit <- fit_screen(screen, "perturbation", control = "control", dispersion = "trend")
  truth <- S4Vectors::metadata(screen)$truth
  for (method in c("stats", "full")) {
    ours <- shrink_effects(fit, method = method, x = screen)
    pair <- function(x) paste(x$gene_id, x$perturbation)
    effect <- truth$estimate[match(pair(ours), pair(truth))]
    effect[is.na(effect)] <- 0
    error <- function(estimate) sqrt(mean((estimate - effect)[ours$status == "ok"]^2))
    expect_lt(error(ours$estimate), 0.7 * error(ours$estimate_mle))
    found <- which(ours$s_value <= 0.05)
    expect_gt(length(found), 50)
    expect_lt(mean(ours$estimate[found] * effect[found] < 0), 0.05)
  }
})

test_that("every kind of model is shrunken by its counts", {
  screen <- small_screen()
  x <- SummarizedExperiment::assay(screen, "counts")
  cells <- as.data.frame(SummarizedExperiment::colData(screen))
  guides <- screen$perturbation
  for (family in c("poisson", "negbinomial")) {
    for (reference in reference_kinds()) {
      fit <- suppressMessages(fit_screen(
        x, guides, cell_metadata = cells, control = "control",
        reference = reference, family = family,
        dispersion = if (family == "poisson") "null" else "pair"
      ))
      ours <- shrink_effects(
        fit, method = "full", x = x, perturbation = guides, cell_metadata = cells,
        prior_scale = 5
      )
      ok <- which(ours$status == "ok" & ours$std_err_mle < 0.3)
      # A wide prior leaves what is well known as it is.
      off <- abs(ours$estimate - ours$estimate_mle)[ok] / ours$std_err_mle[ok]
      expect_gt(length(ok), 10)
      expect_lt(max(off), 0.1)
    }
  }
})

test_that("other data than the fit's are told", {
  screen <- small_screen()
  fit <- fit_screen(screen, "perturbation", control = "control")
  refit <- function(x, ...) shrink_effects(fit, method = "full", x = x, ...)
  other <- function(x, ...) {
    expect_error(refit(x, ...), class = "scoria_error_other_data")
  }
  other(screen[15:1, ])
  other(screen[-1, ])
  other(screen[, -1])
  other(screen, perturbation = rev(screen$perturbation))
  changed <- screen
  SummarizedExperiment::assay(changed, "counts")[3, ] <-
    2 * SummarizedExperiment::assay(screen, "counts")[3, ]
  other(changed)
  expect_error(refit(screen, labels = 1), class = "scoria_error_argument")
  column <- "perturbation"
  by_name <- fit_screen(screen, column, control = "control")
  expect_error(
    shrink_effects(by_name, method = "full", x = screen), "perturbation",
    class = "scoria_error_other_data"
  )
  again <- shrink_effects(by_name, method = "full", x = screen, perturbation = column)
  expect_identical(again, refit(screen))
  quasi <- fit_screen(screen, "perturbation", control = "control", family = "quasipoisson")
  expect_error(
    shrink_effects(quasi, method = "full", x = screen),
    class = "scoria_error_family"
  )
})

# Genes x cells.
tiny_matrix <- function() {
  skip_if_not_installed("rhdf5")
  read <- function(name) rhdf5::h5read(shared_data("tiny.h5ad"), name)
  counts <- Matrix::sparseMatrix(
    i = as.integer(read("X/indices")), p = as.integer(read("X/indptr")),
    x = as.double(read("X/data")), dims = c(200, 2000), index1 = FALSE
  )
  genes <- utils::read.csv(shared_data("tiny", "genes.csv"))
  cells <- utils::read.csv(shared_data("tiny", "cells.csv"))
  dimnames(counts) <- list(genes$gene, cells$cell)
  counts
}

# Modes of the posterior of all pairs, at given dispersions (named by gene), size
# factors and scale; and how much higher than another place they are.
modes_at <- function(counts, cells, alpha, size_factors, scale) {
  cells$Size_Factor <- size_factors
  rownames(cells) <- cells$cell
  fit <- fit_screen(counts, cells$perturbation, cell_metadata = cells, control = "control")
  # The engine takes theta from the fit.
  fit$genes$theta <- 1 / unname(alpha[fit$genes$gene_id])
  ours <- shrink_effects(
    fit, method = "full", x = counts, prior_scale = scale,
    perturbation = cells$perturbation, cell_metadata = cells
  )
  list(table = ours, gain = function(row, effect) {
    used <- cells$perturbation %in% c("control", ours$perturbation[row])
    has <- cells$perturbation[used] != "control"
    y <- counts[ours$gene_id[row], used]
    loss <- function(effect) {
      stats::optimize(function(b) {
        mu <- size_factors[used] * exp(b + has * effect)
        -sum(stats::dnbinom(y, size = ours$theta[row], mu = mu, log = TRUE)) +
          b^2 / (2 * 15^2) + log1p((effect / scale)^2)
      }, c(-20, 10), tol = 1e-10)$objective
    }
    loss(effect) - loss(ours$estimate[row])
  })
}

test_that("crispyx has the same modes by the counts", {
  theirs <- crispyx_shrunken("shrink_full")
  counts <- tiny_matrix()
  cells <- utils::read.csv(shared_data("tiny", "cells.csv"))
  path <- shared_data("oracle", "crispyx", "crispyx_tiny", "nb_default.uns_size_factors.txt")
  alpha <- stats::setNames(theirs$alpha$dispersion, theirs$alpha$gene)
  at <- modes_at(counts, cells, alpha, as.double(readLines(path)), crispyx_scale)
  row <- match(
    paste(at$table$gene_id, at$table$perturbation),
    paste(theirs$table$gene_id, theirs$table$perturbation)
  )
  # Some it does not shrink: those whose dispersion is below 0.01 and whose estimate
  # is below 1, the latter as it was with its floor of means.
  idle <- alpha[at$table$gene_id] < 0.01
  compared <- which(!idle & !is.na(at$table$estimate) & !is.na(theirs$estimate[row]))
  expect_gt(length(compared), 1700)
  off <- abs(at$table$estimate - theirs$estimate[row]) / at$table$std_err
  expect_lt(stats::median(off[compared]), 1e-5)
  same <- compared[off[compared] < 5e-3]
  expect_length(setdiff(compared, same), 4)
  expect_lt(stats::median(abs(at$table$std_err / theirs$std_err[row] - 1)[same]), 1e-3)
  # Where it stops elsewhere, that is lower.
  for (row_at in compared[off[compared] > 1e-3]) {
    expect_gt(at$gain(row_at, theirs$estimate[row][row_at]), 0)
  }
  for (row_at in setdiff(compared, same)) {
    expect_gt(at$gain(row_at, theirs$estimate[row][row_at]), 0.1)
  }
})

test_that("PyDESeq2 has the same modes by the counts", {
  path <- function(name) shared_data("oracle", "pydeseq2", "pydeseq2_tiny", name)
  theirs <- utils::read.csv(path("poscounts.csv"))
  counts <- tiny_matrix()
  cells <- utils::read.csv(shared_data("tiny", "cells.csv"))
  used <- cells$perturbation %in% c("control", "P0000")
  scale <- shrink_effects(data.frame(
    gene_id = theirs$gene, perturbation = "P0000",
    estimate = theirs$log2FoldChange * log(2), std_err = theirs$lfcSE * log(2)
  ))$prior_scale[1]
  at <- modes_at(
    counts[, used], cells[used, ], stats::setNames(theirs$dispersions, theirs$gene),
    as.double(readLines(path("poscounts.size_factors.txt"))), scale
  )
  row <- match(at$table$gene_id, theirs$gene)
  estimate <- theirs$lfc_shrunk[row] * log(2)
  compared <- which(!is.na(at$table$estimate) & !is.na(estimate))
  expect_gt(length(compared), 190)
  off <- abs(at$table$estimate - estimate) / at$table$std_err
  # It stops at the lower of two modes once.
  lower <- "G00072"
  differs <- at$table$gene_id[compared] %in% lower
  expect_lt(max(off[compared][!differs]), 1e-3)
  expect_gt(at$gain(compared[differs], estimate[compared][differs]), 0.3)
})
