#' Heat map of effects
#'
#' @description
#' `plot_effects()` draws effects of perturbations (columns) on genes (rows) as
#' colours, those that are alike side by side.
#'
#' @inheritParams plot_volcano
#' @param genes,perturbations Names of what to show. Default `NULL`: the
#'   perturbations with most significant genes, and of them the genes that are
#'   significant most often; of a table of [fit_models()], terms.
#' @param value What colours are: `"log2_fold_change"` (default), or `"z"`, the
#'   statistic of the test, which makes less of effects that are uncertain.
#' @param most So many genes and so many perturbations at most, where they are not
#'   named. Default 40.
#'
#' @details
#' Rows and columns are ordered by hierarchical clustering (Ward's method, Euclidean
#' distances), for which pairs that were not tested count as no effect; they are
#' grey. More than 5,000 are ordered by the sums of their effects.
#'
#' Colours end at the 98th percentile of the absolute values: what is beyond, such as
#' a separated pair, has the last colour. Points mark significant pairs, where there
#' is room. Of more than 60 rows or columns the names are left out.
#'
#' @return A ggplot.
#' @inheritSection plot_volcano Errors
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE) &&
#'       requireNamespace("ggplot2", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 1000, n_genes = 40, n_perturbations = 10
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   plot_effects(fit)
#'   plot_effects(fit, genes = c("gene_003", "gene_007"), value = "z")
#' }
#' @export
plot_effects <- function(x, genes = NULL, perturbations = NULL, ...,
                         value = c("log2_fold_change", "z"), q_value = 0.05,
                         most = 40, adjust_over = c("perturbation", "all")) {
  check_no_dots(..., of = "plot_effects")
  check_ggplot2("to draw a heat map.")
  call <- rlang::current_env()
  value <- first_choice(value, c("log2_fold_change", "z"))
  adjust_over <- first_choice(adjust_over, c("perturbation", "all"))
  check_probability(q_value, "q_value")
  most <- check_number(most, "most", least = 1, call = call)
  map <- if (inherits(x, "ScreenFit")) {
    map_of_fit(x, genes, perturbations, value, q_value, most, adjust_over, call)
  } else {
    map_of_table(x, genes, perturbations, value, q_value, most, call)
  }
  if (all(is.na(map$rows$effect))) {
    abort_nothing("None of these pairs was tested.", call)
  }
  draw_map(map)
}

# What is drawn ------------------------------------------------------------------
#
# A list of `rows`, a tibble of gene, perturbation, effect and significant, with
# one row a pair that was fitted; `effect`, what the effect is; and `level`.

map_of_fit <- function(fit, genes, perturbations, value, q_value, most,
                       adjust_over, call) {
  store <- fit$store
  g <- shown_of(fit, genes, "gene", call)
  k <- shown_of(fit, perturbations, "perturbation", call)
  found <- significant_shown(fit, q_value, "BH", adjust_over)$id
  if (is.null(genes) || is.null(perturbations)) {
    ids <- found[gene_of_pair(store, found) %in% g &
      perturbation_of_pair(store, found) %in% k]
    if (length(ids) == 0) ids <- smallest_pairs(fit, g, k, most)
    telling <- list(
      gene = gene_of_pair(store, ids),
      perturbation = perturbation_of_pair(store, ids)
    )
    if (is.null(perturbations)) k <- most_often(telling$perturbation, most)
    if (is.null(genes)) {
      g <- most_often(telling$gene[telling$perturbation %in% k], most)
    }
  }
  ids <- pair_ids(store, sort(g), sort(k))
  of <- match(gene_of_pair(store, ids), fit$shown$genes)
  effect <- if (value == "z") {
    read_pairs_of(store, "statistic", ids)
  } else {
    read_pairs_of(store, "estimate", ids) / log(2)
  }
  list(
    rows = tibble::tibble(
      gene = unique_names(fit$genes)[of],
      perturbation = fit$perturbations$perturbation[
        match(perturbation_of_pair(store, ids), fit$shown$perturbations)
      ],
      effect = effect, significant = ids %in% found
    ),
    effect = if (value == "z") "z" else "log2 fold change",
    level = adjustment_words(q_value, "BH", adjust_over)
  )
}

map_of_table <- function(table, genes, perturbations, value, q_value, most, call) {
  read <- read_table_to_plot(table, perturbations, call = call)
  rows <- read$rows
  if (!is.null(genes)) {
    check_shown(genes, rows$gene_id, "gene", call)
    rows <- rows[rows$gene_id %in% genes, ]
  }
  rows$significant <- !is.na(rows$q_value) & rows$q_value <= q_value
  telling <- rows[rows$significant, ]
  if (nrow(telling) == 0) telling <- utils::head(rows[order(rows$p_value), ], most)
  if (is.null(perturbations)) {
    k <- most_often(telling$perturbation, most)
    rows <- rows[rows$perturbation %in% k, ]
    telling <- telling[telling$perturbation %in% k, ]
  }
  if (is.null(genes)) {
    rows <- rows[rows$gene_id %in% most_often(telling$gene_id, most), ]
  }
  # U, t and other statistics have scales of their own.
  if (value == "z") rows$effect <- signed_z(rows$effect, rows$p_value)
  list(
    rows = tibble::tibble(
      gene = unique_names(list(gene_id = rows$gene_id, gene_short_name = rows$gene)),
      perturbation = rows$perturbation, effect = rows$effect,
      significant = rows$significant
    ),
    effect = if (value == "z") "z" else read$effect,
    level = paste("q-value at most", q_value)
  )
}

# The pairs with the smallest p-values among these genes and perturbations.
smallest_pairs <- function(fit, genes, perturbations, most) {
  fit$shown$genes <- genes
  blocks <- over_gene_blocks(fit, perturbations, function(ids) {
    p <- read_pairs_of(fit$store, "p_value", ids)
    first <- utils::head(order(p), most)
    data.frame(id = ids[first], p = p[first])
  })
  all <- do.call(rbind, blocks)
  all$id[utils::head(order(all$p), most)]
}

# Those that occur most often.
most_often <- function(values, most) {
  distinct <- unique(values)
  count <- tabulate(match(values, distinct))
  distinct[utils::head(order(-count), most)]
}

# Short names where they say which gene it is.
unique_names <- function(genes) {
  short <- as.character(genes[["gene_short_name"]] %||% genes$gene_id)
  ids <- tapply(genes$gene_id, short, function(ids) length(unique(ids)))
  ifelse(is.na(short) | ids[short] > 1, genes$gene_id, short)
}

# Drawing ------------------------------------------------------------------------

draw_map <- function(map) {
  limit <- colour_limit(map$rows$effect)
  cells <- map_cells(map$rows, limit)
  n <- c(genes = nlevels(cells$gene), perturbations = nlevels(cells$perturbation))
  marked <- cells[cells$significant & all(n <= 60), ]
  beyond <- sum(abs(map$rows$effect) > limit, na.rm = TRUE)
  # Tiles stay sharp in any file; rasters are small.
  geom <- if (prod(n) > 1e4) ggplot2::geom_raster else ggplot2::geom_tile
  ggplot2::ggplot(cells, ggplot2::aes(.data$perturbation, .data$gene)) +
    geom(ggplot2::aes(fill = .data$effect)) +
    ggplot2::geom_point(data = marked, size = 0.8, shape = 16, colour = "grey15") +
    ggplot2::scale_fill_gradient2(
      low = change_colours()[["down"]], mid = "white",
      high = change_colours()[["up"]], limits = c(-limit, limit),
      na.value = "grey80", name = map$effect
    ) +
    ggplot2::scale_x_discrete(labels = shorten, expand = c(0, 0)) +
    ggplot2::scale_y_discrete(labels = shorten, expand = c(0, 0)) +
    ggplot2::labs(
      x = NULL, y = NULL, title = "Effects of perturbations on genes",
      subtitle = paste(
        count_words(n[["genes"]], "gene"), "(rows) x",
        count_words(n[["perturbations"]], "perturbation"), "(columns)"
      ),
      caption = caption_of(
        if (nrow(marked) > 0) paste0("Points: significant (", map$level, ")."),
        if (beyond > 0) {
          paste0(count_words(beyond, "pair"), " beyond the last colours.")
        },
        if (anyNA(cells$effect)) "Grey: not tested."
      )
    ) +
    theme_quiet() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      axis.text.x = names_of_axis(n[["perturbations"]], upright = TRUE),
      axis.text.y = names_of_axis(n[["genes"]]),
      legend.key.width = ggplot2::unit(22, "pt"),
      legend.key.height = ggplot2::unit(9, "pt")
    )
}

# Where colours end.
colour_limit <- function(effect) {
  size <- abs(effect[is.finite(effect)])
  if (length(size) == 0) 1 else max(stats::quantile(size, 0.98, names = FALSE), 1e-6)
}

# One row a gene and perturbation, fitted or not: factors in the order of the map,
# and the effect as far as colours go.
map_cells <- function(rows, limit) {
  genes <- unique(rows$gene)
  perturbations <- unique(rows$perturbation)
  at <- cbind(match(rows$gene, genes), match(rows$perturbation, perturbations))
  effects <- matrix(NA_real_, length(genes), length(perturbations))
  effects[at] <- pmin(pmax(rows$effect, -limit), limit)
  significant <- matrix(FALSE, length(genes), length(perturbations))
  significant[at] <- rows$significant
  tibble::tibble(
    gene = factor(rep(genes, length(perturbations)), genes[alike(effects)]),
    perturbation = factor(
      rep(perturbations, each = length(genes)),
      perturbations[alike(t(effects))]
    ),
    effect = as.vector(effects), significant = as.vector(significant)
  )
}

# An order of the rows in which those that are alike are side by side. The distances
# of more than 5,000 take too long: these are ordered by their sums.
alike <- function(effects) {
  effects[is.na(effects)] <- 0
  if (nrow(effects) < 3) {
    return(seq_len(nrow(effects)))
  }
  if (nrow(effects) > 5000) {
    return(order(rowSums(effects)))
  }
  stats::hclust(stats::dist(effects), "ward.D2")$order
}
