# The pairs that a volcano or an MA plot shows -----------------------------------
#
# Of a fit or a table, as a list of
#   rows      tibble: gene, perturbation, effect, mean, p_value, change ("down",
#             "none" or "up"), and `stands_for`: of many pairs that would lie on
#             one spot it has one, which stands for so many
#   counts    tibble with one row a perturbation: perturbation, tested, down, up
#   dropped   number of pairs without a p-value
#   effect    what `effect` is, for the axis
#   level     what "significant" means, in words
# `y`, "p_value" or "mean", is what is drawn against the effect.

read_pairs_to_plot <- function(x, perturbation, q_value, adjust_over, y, call) {
  check_probability(q_value, "q_value", call)
  adjust_over <- first_choice(
    adjust_over, c("perturbation", "all"), "adjust_over", call
  )
  value <- if (inherits(x, "ScreenFit")) {
    pairs_of_fit(x, perturbation, q_value, adjust_over, y, call)
  } else {
    pairs_of_table(x, perturbation, q_value, y, call)
  }
  if (sum(value$counts$tested) == 0) abort_nothing("No pair has a p-value.", call)
  value
}

# A block of genes at a time: of the many pairs of a screen few are kept.
pairs_of_fit <- function(fit, perturbation, q_value, adjust_over, y, call) {
  if (nrow(fit) == 0) abort_nothing("The fit has no gene.", call)
  store <- fit$store
  shown <- shown_of(fit, perturbation, "perturbation", call)
  found <- significant_shown(fit, q_value, "BH", adjust_over)$id
  apart <- length(shown) <= most_panels()
  blocks <- over_gene_blocks(fit, shown, function(ids) {
    rows <- list(
      gene = gene_of_pair(store, ids),
      perturbation = perturbation_of_pair(store, ids),
      effect = read_pairs_of(store, "estimate", ids) / log(2),
      p_value = read_pairs_of(store, "p_value", ids)
    )
    rows$mean <- fit$genes$mean[match(rows$gene, fit$shown$genes)]
    rows$change <- direction(rows$effect, ids %in% found)
    count_and_thin(tibble::as_tibble(rows), shown, y, apart)
  })
  value <- gather_blocks(blocks, shown, y, apart)
  g <- match(value$rows$gene, fit$shown$genes)
  k <- match(value$rows$perturbation, fit$shown$perturbations)
  names <- fit$genes[["gene_short_name"]] %||% fit$genes$gene_id
  value$rows$gene <- as.character(names)[g]
  value$rows$perturbation <- fit$perturbations$perturbation[k]
  value$counts$perturbation <- fit$perturbations$perturbation[
    match(shown, fit$shown$perturbations)
  ]
  value$effect <- "log2 fold change"
  value$level <- adjustment_words(q_value, "BH", adjust_over)
  value
}

pairs_of_table <- function(table, perturbation, q_value, y, call) {
  read <- read_table_to_plot(table, perturbation, y, call)
  rows <- read$rows
  rows$change <- direction(rows$effect, rows$q_value <= q_value)
  shown <- unique(rows$perturbation)
  apart <- length(shown) <= most_panels()
  value <- gather_blocks(
    list(count_and_thin(rows, shown, y, apart)), shown, y, apart
  )
  value$effect <- read$effect
  value$level <- paste("q-value at most", q_value)
  value
}

# "down" or "up" where significant.
direction <- function(effect, significant) {
  change <- rep("none", length(effect))
  change[which(significant & effect < 0)] <- "down"
  change[which(significant & effect > 0)] <- "up"
  change
}

# Calls `look(ids)` for the pairs of a fit's genes with these perturbations, some
# genes at a time, and gives the list of what it returned.
over_gene_blocks <- function(fit, perturbations, look) {
  genes <- fit$shown$genes
  at_once <- max(1, pairs_at_a_time() %/% max(1, length(perturbations)))
  blocks <- split(genes, (seq_along(genes) - 1) %/% at_once)
  lapply(unname(blocks), function(genes) {
    look(pair_ids(fit$store, genes, perturbations))
  })
}

count_and_thin <- function(rows, perturbations, y, apart) {
  tested <- !is.na(rows$p_value) & !is.na(rows$effect)
  dropped <- sum(!tested)
  rows <- rows[tested, ]
  of <- match(rows$perturbation, perturbations)
  tally <- function(which) tabulate(of[which], length(perturbations))
  counts <- cbind(
    tested = tally(TRUE), down = tally(rows$change == "down"),
    up = tally(rows$change == "up")
  )
  rows$stands_for <- rep(1, nrow(rows))
  list(rows = thin_pairs(rows, y, apart), counts = counts, dropped = dropped)
}

# Of each spot the row with the smallest p-value is kept, for it may get a label.
thin_pairs <- function(rows, y, apart, from = 20000) {
  if (nrow(rows) <= from) {
    return(rows)
  }
  rows <- rows[order(rows$p_value, -abs(rows$effect)), ]
  height <- if (y == "mean") log10(rows$mean) else -log10(rows$p_value)
  class <- if (apart) paste(rows$change, rows$perturbation) else rows$change
  first <- first_on_spot(rows$effect, height, class)
  kept <- unique(first)
  pairs <- rowsum(rows$stands_for, first, reorder = FALSE)[, 1]
  rows <- rows[kept, ]
  rows$stands_for <- unname(pairs)
  rows
}

gather_blocks <- function(blocks, perturbations, y, apart) {
  empty <- matrix(
    0, length(perturbations), 3,
    dimnames = list(NULL, c("tested", "down", "up"))
  )
  counts <- Reduce(`+`, lapply(blocks, `[[`, "counts"), empty)
  rows <- do.call(rbind, lapply(blocks, `[[`, "rows"))
  list(
    rows = if (length(blocks) > 1) thin_pairs(rows, y, apart) else rows,
    counts = tibble::tibble(
      perturbation = perturbations, tibble::as_tibble(counts)
    ),
    dropped = sum(vapply(blocks, `[[`, 0, "dropped"))
  )
}

# Panels and edges ---------------------------------------------------------------

# With more perturbations all pairs share one panel.
most_panels <- function() 12

# The column `panel` of the rows, a factor: the perturbation and what was found.
add_panels <- function(value) {
  counts <- value$counts
  if (nrow(counts) > 1 && nrow(counts) <= most_panels()) {
    labels <- paste0(
      shorten(counts$perturbation), "\n", big_each(counts$down), " down, ",
      big_each(counts$up), " up"
    )
    of <- match(value$rows$perturbation, counts$perturbation)
    value$rows$panel <- factor(of, seq_along(labels), labels)
  } else {
    value$rows$panel <- factor(1)
  }
  value
}

big_each <- function(counts) vapply(counts, big, "")

# Facets only where there are panels.
facet_panels <- function(rows, scales = "fixed") {
  if (nlevels(rows$panel) > 1) ggplot2::facet_wrap("panel", scales = scales)
}

# How far the axis of effects goes: to the last significant effect, and nearly to
# the last of all, for effects of genes with few counts have no bound.
effect_limit <- function(rows) {
  rows <- rows[is.finite(rows$effect), ]
  rows <- rows[order(abs(rows$effect)), ]
  size <- abs(rows$effect)
  share <- cumsum(rows$stands_for) / sum(rows$stands_for)
  1.02 * max(0.5, size[which(share >= 0.995)[1]], size[rows$change != "none"])
}

# Values beyond the limit are drawn a little outside of it.
at_edge <- function(values, limit) {
  beyond <- 1.06 * limit
  ifelse(abs(values) > limit, sign(values) * beyond, values)
}

# What a plot of pairs says below its title.
found_words <- function(value) {
  found <- sum(value$counts$down, value$counts$up)
  paste0(
    big(found), " of ", count_words(sum(value$counts$tested), "pair"),
    " significant (", value$level, ")"
  )
}

# One title, whether of one perturbation or of many.
pairs_title <- function(value) {
  names <- value$counts$perturbation
  if (length(names) == 1) names else count_words(length(names), "perturbation")
}

caption_of <- function(...) {
  lines <- c(...)
  if (length(lines) > 0) paste(lines, collapse = "\n")
}

# How many pairs are at the edge, and why: `...` are reasons besides the effect.
edge_words <- function(rows, ..., limit) {
  why <- list(
    "without a finite estimate" = is.infinite(rows$effect),
    "with a larger estimate" =
      is.finite(rows$effect) & abs(rows$effect) > limit,
    ...
  )
  counts <- vapply(why, function(which) sum(rows$stands_for[which]), 0)
  counts <- counts[counts > 0]
  if (length(counts) > 0) {
    paste0(
      "At the edge: ", paste(big_each(counts), names(counts), collapse = "; "), "."
    )
  }
}

dropped_words <- function(value) {
  if (value$dropped > 0) {
    paste(count_words(value$dropped, "pair"), "without a p-value not drawn.")
  }
}
