#' MA plot: fold change against mean expression
#'
#' @description
#' `plot_ma()` draws every pair's log2 fold change against the gene's mean count in
#' the reference cells: one panel a perturbation where there are up to 12, else all
#' pairs together.
#'
#' @inheritParams plot_volcano
#' @param x What [fit_screen()] returned, or a part of it; or a table of it or of
#'   [test_groups()]. Tables of [fit_models()] have no means.
#'
#' @details
#' As in [plot_volcano()], pairs beyond an axis are triangles at its edge, and the
#' caption counts them: those without a finite estimate, and genes whose mean in
#' the reference is zero.
#'
#' @return A ggplot.
#' @inheritSection plot_volcano Errors
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE) &&
#'       requireNamespace("ggplot2", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 3
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   plot_ma(fit)
#' }
#' @export
plot_ma <- function(x, perturbation = NULL, q_value = 0.05, label = 10, ...,
                    adjust_over = c("perturbation", "all")) {
  check_no_dots(..., of = "plot_ma")
  check_ggplot2("to draw an MA plot.")
  label <- check_number(label, "label", least = 0, call = rlang::current_env())
  value <- add_panels(read_pairs_to_plot(
    x, perturbation, q_value, adjust_over, "mean", rlang::current_env()
  ))
  value <- place_ma(value)
  rows <- value$rows
  alone <- nrow(value$counts) == 1 || nlevels(rows$panel) > 1
  limit <- 1.06 * value$limit
  ggplot2::ggplot(rows, ggplot2::aes(.data$x, .data$y, colour = .data$change)) +
    ggplot2::geom_hline(yintercept = 0, colour = "grey80", linewidth = 0.3) +
    points_and_edge(rows) +
    label_pairs(best_pairs(rows, label, across = log10(rows$x)), alone) +
    facet_panels(rows) +
    scale_change() +
    ggplot2::scale_x_log10(labels = plain_numbers) +
    ggplot2::scale_y_continuous(
      limits = c(-limit, limit), expand = ggplot2::expansion(mult = 0.06)
    ) +
    ggplot2::labs(
      x = "mean count in reference cells", y = value$effect,
      title = paste0("Fold change by expression: ", pairs_title(value)),
      subtitle = found_words(value), caption = value$caption
    ) +
    theme_quiet()
}

place_ma <- function(value) {
  rows <- value$rows
  limit <- effect_limit(rows)
  unseen <- rows$mean == 0
  rows$edge <- abs(rows$effect) > limit | unseen
  rows$x <- ifelse(unseen, 0.5 * min(rows$mean[!unseen], 1), rows$mean)
  rows$y <- at_edge(rows$effect, limit)
  value$caption <- caption_of(
    edge_words(rows, "with mean 0" = unseen, limit = limit),
    dropped_words(value)
  )
  value$rows <- rows[order(rows$change != "none", -rows$p_value), ]
  value$limit <- limit
  value
}

# 0.001, 10, 10,000.
plain_numbers <- function(values) {
  vapply(values, function(value) {
    if (is.na(value)) {
      return(NA_character_)
    }
    format(signif(value, 3), big.mark = ",", scientific = FALSE, drop0trailing = TRUE)
  }, "")
}
