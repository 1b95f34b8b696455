# A real screen, from counts to discoveries, beside what sceptre found in it.
#
#   SCORIA_SHARED_DATA=... Rscript bench/real-screen.R
#
# Papalexi et al. (2021): THP-1 cells with 101 guides against 25 regulators of PD-L1 and 9
# guides against nothing, stimulated with interferon gamma; 299 of the genes. The cells are
# those that passed sceptre's quality control, so that both see the same.
suppressPackageStartupMessages({
  library(SingleCellExperiment)
  library(scoria)
})

main <- function() {
  data <- Sys.getenv("SCORIA_SHARED_DATA", "../shared/data")
  screen <- read_screened_cells(data)
  seconds <- system.time(
    fit <- fit_screen(
      screen, screen$guide, ~ log(n_umis) + log(n_nonzero) + bio_rep,
      control = "non-targeting", guide_targets = guide_targets(screen),
      # Depth is a covariate, as in sceptre's model.
      size_factors = "none", test = "lrt", dispersion = "trend", threads = 2
    )
  )[["elapsed"]]
  print(fit)
  cat(sprintf("\n%d pairs in %.1f s\n", prod(dim(fit)), seconds))
  compare_discoveries(fit, read_sceptre(data, "discovery_result"))
  calibration <- check_calibration(
    fit, screen, screen$guide, guide_targets = guide_targets(screen), n_sets = 25
  )
  compare_calibration(calibration$summary, read_sceptre(data, "calibration_result"))
  show_own_targets(fit)
  show_interferon(fit)
}

# Data --------------------------------------------------------------------------

read_screened_cells <- function(data) {
  screen <- readRDS(file.path(data, "papalexi_lowmoi.rds"))
  cells <- read_sceptre(data, "cells")
  stopifnot(identical(cells$cell_id, colnames(screen)))
  screen$guide <- cells$grna
  screen$n_umis <- cells$response_n_umis
  screen$n_nonzero <- cells$response_n_nonzero
  screen$bio_rep <- factor(screen$bio_rep)
  screen[, cells$in_use]
}

read_sceptre <- function(data, table) {
  read.csv(file.path(data, "oracle", "sceptre", paste0(table, ".csv")))
}

guide_targets <- function(screen) {
  guides <- altExp(screen, "grna")
  setNames(rowData(guides)$grna_target, rownames(guides))
}

# Tables ------------------------------------------------------------------------

# On the pairs that sceptre tested, at a false discovery rate of 0.1.
compare_discoveries <- function(fit, theirs) {
  theirs <- theirs[theirs$pass_qc, ]
  table <- coefficient_table(fit)
  at <- match(
    paste(theirs$response_id, theirs$grna_target), paste(table$gene_id, table$perturbation)
  )
  ours <- p.adjust(table$p_value[at], "BH") <= 0.1
  both <- sum(ours & theirs$significant)
  show("Discoveries at FDR 0.1", data.frame(
    pairs = nrow(theirs), scoria = sum(ours), sceptre = sum(theirs$significant), both = both,
    scoria_found_by_sceptre = both / sum(ours),
    sceptre_found_by_scoria = both / sum(theirs$significant)
  ))
}

compare_calibration <- function(ours, theirs) {
  show("Non-targeting guides against the other such guides", data.frame(
    by = c("scoria", "sceptre"), pairs = c(ours$pairs, sum(!is.na(theirs$p_value))),
    false_discoveries = c(ours$false_discoveries, sum(theirs$significant, na.rm = TRUE)),
    p_below_0.05 = c(ours$p_below_0.05, mean(theirs$p_value < 0.05, na.rm = TRUE)),
    mean_log2_fold_change = c(
      ours$mean_log2_fold_change, mean(theirs$log_2_fold_change, na.rm = TRUE)
    )
  ))
}

show_own_targets <- function(fit) {
  measured <- intersect(colnames(fit), rownames(fit))
  table <- coefficient_table(fit, gene = measured, perturbation = measured)
  table <- table[table$gene_id == table$perturbation, ]
  columns <- c("perturbation", "n_cells", "log2_fold_change", "std_err", "p_value", "q_value")
  show("Each target's own transcript, where measured", as.data.frame(table[columns]))
}

# Genes that interferon gamma induces (of the hallmark set, as far as they are among the
# 299), in cells without a part of its pathway.
show_interferon <- function(fit) {
  pathway <- c("IFNGR1", "IFNGR2", "JAK2", "STAT1")
  induced <- intersect(
    c(
      "CD274", "STAT1", "STAT2", "STAT3", "JAK2", "IRF1", "PSMB9", "UBE2L6", "TAP1", "GBP4",
      "B2M", "RNF31", "APOL6", "LAP3", "WARS", "IDO1", "SOCS1"
    ),
    rownames(fit)
  )
  table <- coefficient_table(fit, gene = induced, perturbation = pathway)
  # A knock-out changes its own transcript by other ways.
  table <- table[table$gene_id != table$perturbation, ]
  wide <- with(table, tapply(log2_fold_change, list(gene_id, perturbation), sum))
  found <- with(table, tapply(q_value <= 0.1, list(gene_id, perturbation), any))
  marked <- ifelse(is.na(wide), "", sprintf("%.2f%s", wide, ifelse(found, " *", "")))
  dimnames(marked) <- dimnames(wide)
  show("Genes of interferon gamma, log2 fold change (* q <= 0.1)", noquote(marked[, pathway]))
  down <- table$q_value <= 0.1 & table$estimate < 0
  cat(sum(down), "of", nrow(table), "lowered,", sum(table$q_value <= 0.1 & table$estimate > 0),
    "raised\n"
  )
}

show <- function(title, table) {
  cat("\n", title, "\n", sep = "")
  if (is.data.frame(table)) print(table, digits = 3, row.names = FALSE) else print(table)
}

main()
