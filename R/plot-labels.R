# Labels of the best pairs of a volcano or an MA plot ----------------------------

# In each panel the significant pairs with the smallest p-values, without those
# that lie close to a better one, for want of room. `across` and `up` say where
# they are, in units of the axes as drawn.
best_pairs <- function(rows, label, across = rows$x, up = rows$y) {
  moves <- rlang::is_installed("ggrepel")
  apart <- if (moves) c(0, 0) else room_of_label(nlevels(rows$panel))
  across <- across / diff(range(across, across + 1e-9))
  up <- up / stats::ave(up, rows$panel, FUN = function(y) diff(range(y, y + 1e-9)))
  found <- which(rows$change != "none")
  found <- found[order(rows$p_value[found], -abs(rows$effect[found]))]
  kept <- lapply(split(found, rows$panel[found]), function(best) {
    best <- utils::head(best, 50 * label)
    best[spread_out(across[best], up[best], apart, label)]
  })
  rows[unlist(kept), ]
}

# What a label of 12 letters takes of a panel's width and height.
room_of_label <- function(panels) {
  columns <- ceiling(sqrt(panels))
  c(0.1, 0.04) * c(columns, ceiling(panels / columns))
}

# The first points, at most so many, none of which is close to one before it.
spread_out <- function(x, y, apart, most) {
  kept <- integer()
  for (i in seq_along(x)) {
    if (length(kept) == most) break
    close <- abs(x[kept] - x[i]) < apart[1] & abs(y[kept] - y[i]) < apart[2]
    if (!any(close)) kept <- c(kept, i)
  }
  kept
}

# Names of genes, and of perturbations where a panel has several.
label_pairs <- function(rows, alone) {
  rows$label <- if (alone) {
    rows$gene
  } else {
    paste0(shorten(rows$perturbation), ": ", rows$gene)
  }
  if (rlang::is_installed("ggrepel")) {
    geom <- getExportedValue("ggrepel", "geom_text_repel")
    return(geom(
      ggplot2::aes(label = .data$label), rows,
      size = 2.8, show.legend = FALSE, min.segment.length = 0.2,
      segment.size = 0.2, max.overlaps = Inf, seed = 1
    ))
  }
  ggplot2::geom_text(
    ggplot2::aes(label = .data$label), rows,
    size = 2.8, vjust = -0.8, hjust = "inward", check_overlap = TRUE,
    show.legend = FALSE
  )
}
