# The screens that are timed.

# One group -----------------------------------------------------------------------

# For fit_models(): cells, guides and covariates as in the at-scale screen of
# Gasperini et al. (2019), 100 genes of all abundances. About 0.4 % of the cells
# have the guides in question; a cell has 28 guides.
screen_formula <- "~ gRNA_group + guide_count + percent.mito + prep_batch"

gasperini_screen <- function(n_cells = 207324, n_genes = 100, carriers = 0.004) {
  guides_per_cell <- 28
  screen <- scoria::simulate_screen(
    n_cells = n_cells, n_genes = n_genes, n_perturbations = 1, moi = "high",
    guides_per_cell = guides_per_cell, control_fraction = 1 - carriers / guides_per_cell,
    mean_range = c(0.005, 30), threads = 2
  )
  membership <- SingleCellExperiment::altExp(screen, "perturbations")
  screen$gRNA_group <- as.integer(SummarizedExperiment::assay(membership)[1, ])
  SingleCellExperiment::altExps(screen) <- list()
  screen
}

# All groups ----------------------------------------------------------------------

# For fit_screen(): the same cells with some or all of the groups, of about 890
# cells each, and with a second batch, so that the design has five columns. There
# are as many cells at any scale: in fewer, a group would be a larger part of them,
# and a pair cost more.
groups_formula <- ~ guide_count + percent.mito + prep_batch + lane
n_gasperini <- list(cells = 207324, genes = 13135, groups = 6542)

gasperini_groups_file <- function(n_genes, n_groups, mean_range = c(0.005, 30)) {
  n_cells <- n_gasperini$cells
  guides_per_cell <- 28.1
  # Of a cell's guides, those of the groups that are there; the others count as
  # guides without a target.
  of_groups <- min(1, n_groups * 890 / n_cells / guides_per_cell)
  screen_file(
    paste0("gasperini-", n_genes, "x", n_groups),
    n_cells = n_cells, n_genes = n_genes, n_perturbations = n_groups, moi = "high",
    guides_per_cell = guides_per_cell, control_fraction = 1 - of_groups,
    mean_range = mean_range, change = add_lane
  )
}

add_lane <- function(screen) {
  screen$lane <- factor(rep_len(c("lane_1", "lane_2", "lane_2", "lane_1", "lane_1"), ncol(screen)))
  screen
}

# One perturbation a cell -----------------------------------------------------------

# 10,000 cells, of which a fifth are controls, 2,000 genes and 50 perturbations, in
# which some 5,100 of the 100,000 pairs have an effect.
low_moi_formula <- ~ guide_count + percent.mito + prep_batch

low_moi_file <- function(seed = 1) {
  screen_file(
    paste0("low-moi-", seed),
    n_cells = scaled(10000, 500), n_genes = scaled(2000, 50),
    n_perturbations = scaled(50, 4), effect_fraction = 0.0505, seed = as.numeric(seed)
  )
}

# Means as of the genes that are kept in such a screen: 6,500 counts a cell.
sparse_low_moi_file <- function() {
  screen_file(
    "low-moi-85",
    n_cells = scaled(80000, 2000), n_genes = scaled(8857, 100),
    n_perturbations = scaled(85, 4), mean_range = c(0.005, 5)
  )
}

n_nonzero <- function(screen) length(SummarizedExperiment::assay(screen, "counts")@x)
