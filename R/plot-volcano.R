#' Volcano plot
#'
#' @description
#' `plot_volcano()` draws every pair's log2 fold change against its p-value: one
#' panel a perturbation where there are up to 12, else all pairs together.
#'
#' @param x What [fit_screen()] returned, or a part of it; or a table of
#'   [coefficient_table()] or [test_groups()], whose column `q_value` says what is
#'   significant.
#' @param perturbation Perturbations to show, by name (of a table of
#'   [fit_models()], terms). Default `NULL`: all.
#' @param q_value Adjusted p-value up to which a pair is called significant.
#'   Default 0.05.
#' @param label How many pairs get a label in each panel: of the significant ones
#'   those with the smallest p-values. Default 10. A pair too close to one with a
#'   label goes without, unless the package ggrepel, which moves labels, is
#'   installed.
#' @param ... Not used; an unknown argument is an error.
#' @param adjust_over As in [`coefficient_table()`][coefficient_table.ScreenFit];
#'   for a fitted screen alone.
#'
#' @details
#' With p-values below 1e-30 the vertical axis has a square root scale.
#'
#' Nothing is left out in silence. Pairs beyond an axis are triangles at its edge,
#' and the caption counts them: those without a finite estimate, such as separated
#' ones; those whose p-value is too small for a number, and 0; and the few, none of
#' them significant, whose estimate is larger than all others'. Of many pairs that
#' would be drawn on the same spot, one is.
#'
#' @return A ggplot.
#' @section Errors:
#' `scoria_error_perturbation`: not in the fit; `scoria_error_column`: not in the
#' table; `scoria_error_nothing`: no pair has a p-value; `scoria_error_argument`.
#' @seealso [plot_ma()], [plot_hits()], [plot_effects()], [plot_qq()],
#'   [plot_knockdown()], [plot_dispersions()]; and `autoplot()` for all of them:
#'   [autoplot.ScreenFit()].
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE) &&
#'       requireNamespace("ggplot2", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 3
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   plot_volcano(fit)
#'   plot_volcano(fit, "perturb_001", q_value = 0.01, label = 3)
#' }
#' @export
plot_volcano <- function(x, perturbation = NULL, q_value = 0.05, label = 10, ...,
                         adjust_over = c("perturbation", "all")) {
  check_no_dots(..., of = "plot_volcano")
  check_ggplot2("to draw a volcano plot.")
  label <- check_number(label, "label", least = 0, call = rlang::current_env())
  value <- add_panels(read_pairs_to_plot(
    x, perturbation, q_value, adjust_over, "p_value", rlang::current_env()
  ))
  value <- place_volcano(value)
  rows <- value$rows
  alone <- nrow(value$counts) == 1 || nlevels(rows$panel) > 1
  limit <- 1.06 * value$limit
  ggplot2::ggplot(rows, ggplot2::aes(.data$x, .data$y, colour = .data$change)) +
    ggplot2::geom_vline(xintercept = 0, colour = "grey80", linewidth = 0.3) +
    points_and_edge(rows) +
    label_pairs(best_pairs(rows, label, up = as_drawn(rows$y)), alone) +
    facet_panels(rows, scales = "free_y") +
    scale_change() +
    ggplot2::scale_x_continuous(
      limits = c(-limit, limit), expand = ggplot2::expansion(mult = 0.06)
    ) +
    scale_height(rows$y) +
    ggplot2::labs(
      x = value$effect, y = height_title(rows$y),
      title = paste0("Volcano plot: ", pairs_title(value)),
      subtitle = found_words(value), caption = value$caption
    ) +
    theme_quiet()
}

# Where each pair is drawn; the smallest p-values last, on top.
place_volcano <- function(value) {
  rows <- value$rows
  limit <- effect_limit(rows)
  height <- -log10(rows$p_value)
  top <- stats::ave(height, rows$panel, FUN = function(y) {
    max(y[is.finite(y)], 1)
  })
  rows$edge <- abs(rows$effect) > limit | is.infinite(height)
  rows$x <- at_edge(rows$effect, limit)
  rows$y <- ifelse(is.infinite(height), 1.06 * top, height)
  value$caption <- caption_of(
    edge_words(
      rows, "with p = 0, too small for a number" = is.infinite(height),
      limit = limit
    ),
    dropped_words(value)
  )
  value$rows <- rows[order(rows$change != "none", -rows$p_value), ]
  value$limit <- limit
  value
}

# A perturbation's own target often has a p-value of 1e-100 or less: on a square
# root scale the others are seen beside it.
scale_height <- function(y) {
  scale <- if (steep(y)) ggplot2::scale_y_sqrt else ggplot2::scale_y_continuous
  scale(limits = c(0, NA), expand = ggplot2::expansion(mult = c(0.02, 0.1)))
}

height_title <- function(y) {
  if (steep(y)) {
    expression(-log[10] ~ "p-value (square root scale)")
  } else {
    expression(-log[10] ~ "p-value")
  }
}

as_drawn <- function(y) if (steep(y)) sqrt(y) else y

steep <- function(y) max(y) > 30
