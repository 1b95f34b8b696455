# What simulate_screen() draws in R: everything but the counts.

# Genes, cells, perturbations and effects. The indices in `effects` count from
# one; `membership` is cells x perturbations, as the core wants it.
draw_simulation_design <- function(settings) {
  local_fixed_seed(settings$seed)
  genes <- draw_genes(settings)
  perturbations <- draw_targets(genes, settings)
  cells <- draw_cells(settings)
  membership <- draw_membership(cells$guide_count, settings)
  dimnames(membership) <- list(cells$cell, perturbations$perturbation)
  if (settings$moi == "low") {
    cells$perturbation <- perturbation_factor(membership)
  }
  covariates <- cbind(
    guide_count = cells$guide_count,
    percent.mito = cells$percent.mito,
    prep_batchprep_batch_2 = as.integer(cells$prep_batch) - 1L
  )
  list(
    genes = genes,
    perturbations = perturbations[c("perturbation", "gene_id")],
    cells = cells,
    covariates = covariates,
    coefficients = draw_coefficients(covariates, settings),
    membership = membership,
    effects = draw_effects(perturbations$gene, settings)
  )
}

# Until the caller returns, R draws from a generator of a fixed kind; then the
# user's generator is back in its old state, be it that it had none.
local_fixed_seed <- function(seed, frame = parent.frame()) {
  global <- globalenv()
  before <- get0(".Random.seed", global, inherits = FALSE)
  kinds <- RNGkind()
  restore <- function() {
    # The old rounding sampler, if the user chose it, warns when it is set.
    suppressWarnings(RNGkind(kinds[1], kinds[2], kinds[3]))
    if (is.null(before)) {
      rm(".Random.seed", envir = global)
    } else {
      assign(".Random.seed", before, envir = global)
    }
  }
  do.call(on.exit, list(as.call(list(restore)), add = TRUE), envir = frame)
  set.seed(
    seed,
    kind = "Mersenne-Twister", normal.kind = "Inversion",
    sample.kind = "Rejection"
  )
}

draw_genes <- function(settings) {
  n <- settings$n_genes
  range <- log(settings$mean_range)
  true_mean <- exp(stats::runif(n, range[1], range[2]))
  trend <- settings$dispersion[1] + settings$dispersion[2] / true_mean
  scatter <- exp(stats::rnorm(n, sd = settings$dispersion_sd))
  data.frame(
    gene_id = numbered("gene", n),
    gene_short_name = toupper(sub("_", "", numbered("sim", n))),
    true_mean = true_mean,
    true_theta = 1 / (trend * scatter)
  )
}

# Screens perturb genes that are expressed.
draw_targets <- function(genes, settings) {
  n <- settings$n_perturbations
  half <- ceiling(nrow(genes) / 2)
  expressed <- order(genes$true_mean, decreasing = TRUE)[seq_len(half)]
  gene <- expressed[sample.int(half, n, replace = n > half)]
  data.frame(
    perturbation = numbered("perturb", n),
    gene_id = genes$gene_id[gene],
    gene = gene
  )
}

draw_cells <- function(settings) {
  n <- settings$n_cells
  log_size <- stats::rnorm(n, sd = settings$size_factor_sd)
  guides <- if (settings$moi == "low") {
    stats::rpois(n, 0.3)
  } else {
    stats::rnbinom(n, size = 2, mu = settings$guides_per_cell - 1)
  }
  batch <- sample(rep_len(1:2, n))
  data.frame(
    cell = numbered("cell", n),
    Size_Factor = exp(log_size - mean(log_size)),
    guide_count = 1L + guides,
    percent.mito = stats::rbeta(n, 2, 38),
    prep_batch = factor(batch, 1:2, c("prep_batch_1", "prep_batch_2"))
  )
}

# A sparse 0/1 matrix of cells x perturbations.
draw_membership <- function(guide_count, settings) {
  n_cells <- settings$n_cells
  n <- settings$n_perturbations
  if (settings$moi == "low") {
    perturbed <- n_cells - round(n_cells * settings$control_fraction)
    cell <- sample.int(n_cells, perturbed)
    perturbation <- rep_len(seq_len(n), perturbed)
  } else {
    targeting <- stats::rbinom(
      n_cells, guide_count, 1 - settings$control_fraction
    )
    cell <- rep.int(seq_len(n_cells), targeting)
    perturbation <- sample.int(n, length(cell), replace = TRUE)
  }
  # One number a pair, as double: there may be more pairs than integers.
  pairs <- sort(unique((perturbation - 1) * n_cells + cell - 1))
  Matrix::sparseMatrix(
    i = as.integer(pairs %% n_cells) + 1L,
    j = as.integer(pairs %/% n_cells) + 1L,
    x = rep.int(1, length(pairs)), dims = c(n_cells, n)
  )
}

# At low MOI a row of the membership has at most one entry.
perturbation_factor <- function(membership) {
  code <- rep.int(1L, nrow(membership))
  code[membership@i + 1L] <- rep.int(
    seq_len(ncol(membership)) + 1L, diff(membership@p)
  )
  levels <- c("control", colnames(membership))
  factor(levels[code], levels)
}

# Covariates x genes, for a change of one unit.
draw_coefficients <- function(covariates, settings) {
  n <- settings$n_genes
  spread <- apply(covariates, 2, stats::sd)
  slopes <- stats::rnorm(length(spread) * n, sd = settings$covariate_sd)
  # A covariate that does not vary is given no effect.
  constant <- is.na(spread) | spread == 0
  slopes <- matrix(slopes, length(spread)) / ifelse(constant, Inf, spread)
  rownames(slopes) <- colnames(covariates)
  slopes
}

# The pairs with an effect, by perturbation, then gene.
draw_effects <- function(targets, settings) {
  n_genes <- settings$n_genes
  # As double: there may be more pairs than integers.
  n_pairs <- as.double(n_genes) * settings$n_perturbations
  on_target <- (seq_along(targets) - 1) * n_genes + targets
  n_affected <- 0
  if (settings$effect_sd > 0) {
    n_affected <- round(n_pairs * settings$effect_fraction)
  }
  if (settings$n_programs < settings$n_perturbations) {
    drawn <- draw_program_effects(settings)
    drawn <- drawn[!drawn$pair %in% on_target, ]
    affected <- drawn$pair
    estimate <- drawn$estimate
  } else {
    affected <- sort(setdiff(sample.int(n_pairs, n_affected), on_target))
    estimate <- stats::rnorm(length(affected), sd = settings$effect_sd)
  }
  if (settings$knockdown > 0) {
    affected <- c(affected, on_target)
    loss <- log1p(-settings$knockdown)
    estimate <- c(estimate, rep_len(loss, length(on_target)))
  }
  sorted <- order(affected)
  affected <- affected[sorted] - 1
  data.frame(
    gene = as.integer(affected %% n_genes) + 1L,
    perturbation = as.integer(affected %/% n_genes) + 1L,
    estimate = estimate[sorted]
  )
}

# Pairs of genes and perturbations, of which a program's affect the same genes.
draw_program_effects <- function(settings) {
  n_genes <- settings$n_genes
  n_programs <- settings$n_programs
  n_affected <- round(as.double(n_genes) * n_programs * settings$effect_fraction)
  if (settings$effect_sd == 0) n_affected <- 0
  hit <- sort(sample.int(n_genes * n_programs, n_affected))
  effect <- stats::rnorm(n_affected, sd = settings$effect_sd)
  program <- (hit - 1) %/% n_genes + 1
  last <- round(seq_len(n_programs) * settings$n_perturbations / n_programs)
  members <- diff(c(0, last))
  size <- members[program]
  perturbation <- sequence(size, last[program] - size + 1)
  gene <- rep.int((hit - 1) %% n_genes, size)
  data.frame(
    pair = (perturbation - 1) * n_genes + gene + 1,
    estimate = rep.int(effect, size) * stats::runif(sum(size), 0.6, 1.2)
  )
}

# "cell_001" and so on, with as many digits as the last one needs.
numbered <- function(stem, n) {
  digits <- max(3L, nchar(sprintf("%d", n)))
  sprintf("%s_%0*d", stem, digits, seq_len(n))
}
