# The screen that is timed: cells, guides and covariates as in the at-scale screen
# of Gasperini et al. (2019), 100 genes of all abundances. About 0.4 % of the cells
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
