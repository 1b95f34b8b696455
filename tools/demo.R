# `make demo DATA=...`: from counts to a table of effects and a volcano plot.
#
# DATA names an .rds file with a SingleCellExperiment, SummarizedExperiment, cell_data_set
# or Seurat object, or a directory with matrix.mtx, features.tsv and barcodes.tsv as 10x
# Genomics writes them (gzipped or not) and, if you like, cells.csv with one row a barcode.
# FORMULA, FAMILY, CORES and GENES (the most genes to fit) may be set too.
suppressPackageStartupMessages({
  library(SummarizedExperiment)
  library(SingleCellExperiment)
  library(ggplot2)
  library(scoria)
})

# The main flow -----------------------------------------------------------------

main <- function() {
  cells <- prepare_cells(read_cells(setting("DATA")))
  formula <- setting("FORMULA", choose_formula(cells))
  family <- setting("FAMILY", choose_family(cells))
  cores <- as.integer(setting("CORES", "2"))

  say("Fitting ", nrow(cells), " genes in ", ncol(cells), " cells: ", formula, ", ", family)
  seconds <- system.time({
    fits <- fit_models(cells, formula, expression_family = family, cores = cores)
    table <- coefficient_table(fits)
  })[["elapsed"]]

  effects <- effects_of_interest(table, formula)
  print_effects(effects)
  say(
    sum(fits$status == "OK"), " of ", nrow(fits), " genes fitted in ",
    format(round(seconds, 1), nsmall = 1), " s on ", cores, " cores; ",
    sum(effects$hit), " of ", nrow(effects), " effects have a q-value below ", max_q, "."
  )
  ggsave("demo-volcano.png", draw_volcano(effects, family), width = 9, height = 6.5, dpi = 150)
  say("The volcano plot is in demo-volcano.png.")
}

max_q <- 0.05
log_link <- c("quasipoisson", "poisson", "negbinomial", "zipoisson", "zinegbinomial")

setting <- function(name, default = "") {
  value <- Sys.getenv(name)
  if (nzchar(value)) value else default
}

say <- function(...) cat(..., "\n", sep = "")

give_up <- function(...) {
  message("make demo: ", ...)
  quit(status = 1)
}

# Reading -----------------------------------------------------------------------

# A SingleCellExperiment of the user's counts.
read_cells <- function(path) {
  if (dir.exists(path)) {
    read_market_directory(path)
  } else if (file.exists(path)) {
    suppressPackageStartupMessages(read_object(path))
  } else {
    give_up("there is no file or directory '", path, "'.")
  }
}

read_object <- function(path) {
  object <- tryCatch(readRDS(path), error = function(e) {
    give_up("'", path, "' is not an .rds file: ", conditionMessage(e))
  })
  if ("cell_data_set" %in% class(object)) {
    # Seen as the class that its own extends: monocle3 need not be installed.
    attr(object, "class") <- attr(SingleCellExperiment(), "class")
  }
  if (is(object, "SingleCellExperiment")) {
    object
  } else if (is(object, "SummarizedExperiment")) {
    as(object, "SingleCellExperiment")
  } else if (inherits(object, "Seurat")) {
    from_seurat(object)
  } else {
    give_up(
      "'", path, "' holds an object of class ", class(object)[1], "; it should hold a ",
      "SingleCellExperiment, SummarizedExperiment, cell_data_set or Seurat object."
    )
  }
}

from_seurat <- function(object) {
  counts <- if (utils::packageVersion("SeuratObject") >= "5.0.0") {
    SeuratObject::LayerData(object, layer = "counts")
  } else {
    SeuratObject::GetAssayData(object, slot = "counts")
  }
  SingleCellExperiment(list(counts = counts), colData = object[[]])
}

read_market_directory <- function(path) {
  counts <- Matrix::readMM(gzfile(find_file(path, "matrix.mtx")))
  genes <- read_lines_of(find_file(path, c("features.tsv", "genes.tsv")))
  barcodes <- read_lines_of(find_file(path, "barcodes.tsv"))[[1]]
  if (nrow(counts) != nrow(genes) || ncol(counts) != length(barcodes)) {
    give_up(
      "the matrix in '", path, "' is ", nrow(counts), " x ", ncol(counts), ", but there are ",
      nrow(genes), " features and ", length(barcodes), " barcodes."
    )
  }
  counts <- as(counts, "CsparseMatrix")
  dimnames(counts) <- list(make.unique(genes[[1]]), barcodes)
  cells <- SingleCellExperiment(list(counts = counts))
  rowData(cells)$gene_short_name <- genes[[min(2, ncol(genes))]]
  metadata <- find_file(path, c("cells.csv", "metadata.csv"), needed = FALSE)
  if (is.null(metadata)) cells else add_metadata(cells, metadata)
}

# The first of those files, gzipped or not, that the directory holds.
find_file <- function(path, names, needed = TRUE) {
  candidates <- file.path(path, c(rbind(names, paste0(names, ".gz"))))
  found <- candidates[file.exists(candidates)]
  if (length(found) > 0) {
    found[1]
  } else if (needed) {
    give_up("'", path, "' holds no ", paste(names, collapse = " or "), " (or .gz).")
  }
}

read_lines_of <- function(file) {
  utils::read.delim(file, header = FALSE, quote = "", comment.char = "", colClasses = "character")
}

# Adds the columns of a table whose first column, or the one called so, is the barcode.
add_metadata <- function(cells, file) {
  table <- utils::read.csv(file, check.names = FALSE)
  key <- c(intersect(c("barcode", "cell"), names(table)), names(table)[1])[1]
  rows <- match(colnames(cells), table[[key]])
  if (anyNA(rows)) {
    say(sum(is.na(rows)), " cells are not in ", basename(file), " and are left out.")
  }
  cells <- cells[, !is.na(rows)]
  columns <- setdiff(names(table), key)
  colData(cells)[columns] <- table[rows[!is.na(rows)], columns, drop = FALSE]
  cells
}

# Preparing ---------------------------------------------------------------------

prepare_cells <- function(cells) {
  if (!"counts" %in% assayNames(cells)) {
    say("There is no assay called counts: taking the first, ", assayNames(cells)[1], ".")
    assayNames(cells)[1] <- "counts"
  }
  total <- Matrix::colSums(counts(cells))
  if (any(total == 0)) {
    say(sum(total == 0), " cells without a count are left out.")
    cells <- cells[, total > 0]
    total <- total[total > 0]
  }
  if (!"Size_Factor" %in% names(colData(cells))) {
    say("There are no size factors: using total counts over their geometric mean.")
    cells$Size_Factor <- total / exp(mean(log(total)))
  }
  if (!"num_genes_expressed" %in% names(colData(cells))) {
    cells$num_genes_expressed <- Matrix::colSums(counts(cells) > 0)
  }
  cap_genes(put_controls_first(cells), as.numeric(setting("GENES", "Inf")))
}

# The genes seen in the most cells, in their own order.
cap_genes <- function(cells, most) {
  expressing <- Matrix::rowSums(counts(cells) > 0)
  kept <- sort(utils::head(order(expressing, decreasing = TRUE), most))
  if (length(kept) < nrow(cells)) {
    say("Keeping the ", length(kept), " genes seen in the most cells.")
  }
  cells[kept, ]
}

# A treatment is compared with its controls, not with the first in the alphabet.
put_controls_first <- function(cells) {
  for (name in names(colData(cells))) {
    values <- cells[[name]]
    if (!inherits(values, c("character", "factor")) || is.ordered(values)) next
    control <- grep(control_names, unique(as.character(values)), ignore.case = TRUE, value = TRUE)
    if (length(control) == 1) cells[[name]] <- stats::relevel(factor(values), control)
  }
  cells
}

control_names <- "^(non[-_. ]?targeting|nt|ntc|neg|control|ctrl|vehicle|dmso|wt|wild[-_. ]?type)$"

# Choosing ----------------------------------------------------------------------

# The covariate that looks most like a treatment, or like a kind of cell.
choose_formula <- function(cells) {
  usable <- Filter(function(name) is_grouping(cells[[name]]), names(colData(cells)))
  if (length(usable) == 0) {
    say("No column has 2 to 30 groups and no missing value: fitting num_genes_expressed.")
    return("~log10(num_genes_expressed)")
  }
  ranked <- unlist(lapply(telling_names, grep, usable, ignore.case = TRUE, value = TRUE))
  column <- c(ranked, usable)[1]
  groups <- levels(factor(cells[[column]]))
  say(
    "Set FORMULA to choose a model; taking the column ", column, ": ", length(groups),
    " groups, each compared with '", groups[1], "'."
  )
  paste0("~", if (make.names(column) == column) column else paste0("`", column, "`"))
}

telling_names <- c(
  "perturb", "target", "grna|guide", "treat", "condition", "genotype",
  "cell_?type", "cluster", "tissue"
)

is_grouping <- function(values) {
  inherits(values, c("character", "factor", "logical")) && !anyNA(values) &&
    length(unique(values)) %in% 2:30
}

choose_family <- function(cells) {
  values <- as(counts(cells), "CsparseMatrix")@x
  if (all(values == round(values))) return("negbinomial")
  say("The counts are not whole numbers: fitting quasipoisson.")
  "quasipoisson"
}

# Showing -----------------------------------------------------------------------

# The rows of the table that belong to the formula's first term, fitted ones only.
effects_of_interest <- function(table, formula) {
  labels <- attr(terms(as.formula(formula)), "term.labels")
  longer <- labels[startsWith(labels, labels[1]) & labels != labels[1]]
  of_longer <- Reduce(`|`, lapply(longer, startsWith, x = table$term), FALSE)
  effects <- table[which(startsWith(table$term, labels[1]) & !of_longer), ]
  usable <- effects$status == "OK" & !is.na(effects$p_value)
  if (!all(usable)) say(sum(!usable), " effects have no p-value and are left out.")
  effects <- effects[usable, ]
  effects$group <- sub(labels[1], "", effects$term, fixed = TRUE)
  effects$group[effects$group == ""] <- labels[1]
  effects$gene <- effects[[intersect(c("gene_short_name", "gene_id"), names(effects))[1]]]
  effects$hit <- effects$q_value < max_q
  effects[order(effects$p_value, -abs(effects$test_val)), ]
}

print_effects <- function(effects) {
  columns <- c(
    "gene_id", "status", "term", "estimate", "std_err", "test_val", "p_value",
    "normalized_effect", "q_value"
  )
  options(width = 130)
  print(as.data.frame(utils::head(effects[columns], 15)), digits = 3, row.names = FALSE)
}

# How many of the effects that were put into the simulation came out of it.
draw_volcano <- function(effects, family) {
  most_panels <- 12
  hits <- sort(tapply(effects$hit, effects$group, sum), decreasing = TRUE)
  title <- paste(sum(hits), "effects with q <", max_q, "among", nrow(effects))
  shown <- names(utils::head(hits, most_panels))
  effects <- effects[effects$group %in% shown, ]
  effects$group <- factor(effects$group, shown)

  in_log2 <- family %in% log_link
  effects$x <- effects$estimate / if (in_log2) log(2) else 1
  # A gene without a count in one group has an estimate near minus infinity.
  edge <- max(1, stats::quantile(abs(effects$x[effects$hit]), 0.95, na.rm = TRUE), na.rm = TRUE)
  effects$x <- pmin(pmax(effects$x, -edge), edge)
  effects$y <- -log10(pmax(effects$p_value, 1e-300))
  effects$change <- ifelse(effects$hit, ifelse(effects$x > 0, "up", "down"), "none")
  rank_in_group <- stats::ave(effects$p_value, effects$group, FUN = rank)
  labelled <- effects[effects$hit & rank_in_group <= max(6, 24 %/% length(shown)), ]

  ggplot(effects, aes(.data$x, .data$y, colour = .data$change)) +
    geom_vline(xintercept = 0, colour = "grey80", linewidth = 0.3) +
    geom_point(size = 1.3, alpha = 0.65, stroke = 0) +
    geom_text(
      aes(label = .data$gene), labelled, size = 2.7, vjust = -0.7, check_overlap = TRUE,
      show.legend = FALSE
    ) +
    facet_wrap("group", scales = "free_y", labeller = label_wrap_gen(24)) +
    coord_cartesian(clip = "off") +
    scale_x_continuous(limits = c(-edge, edge), expand = expansion(mult = 0.1)) +
    scale_y_continuous(limits = c(0, NA), expand = expansion(mult = c(0.02, 0.18))) +
    scale_colour_manual(
      values = c(down = "#2b6cb0", none = "grey70", up = "#c05621"), breaks = c("down", "up"),
      guide = guide_legend(override.aes = list(size = 3, alpha = 1))
    ) +
    labs(
      x = if (in_log2) "effect (log2 fold change)" else "effect (coefficient)",
      y = expression(-log[10] ~ p), colour = NULL, title = title,
      subtitle = if (length(hits) > most_panels) {
        paste("the", most_panels, "of", length(hits), "groups with the most such effects")
      },
      caption = if (any(abs(effects$x) == edge)) {
        paste0("Effects beyond \u00b1", signif(edge, 2), " are drawn at the edge.")
      }
    ) +
    theme_minimal(base_size = 11) +
    theme(
      legend.position = "top", legend.justification = "left", legend.margin = margin(0, 0, -6, 0),
      panel.grid.minor = element_blank(), panel.spacing.x = unit(14, "pt"),
      strip.text = element_text(face = "bold"), plot.title.position = "plot",
      plot.background = element_rect(fill = "white", colour = NA)
    )
}

main()
