# Where each perturbation is drawn, the strongest knock-down on top, and as far as
# the axis goes.
place_knockdown <- function(rows, level) {
  half <- stats::qnorm((1 + level) / 2) * rows$std_err
  finite <- is.finite(rows$effect)
  # Wide intervals of genes with few counts do not set the axis.
  limit <- max(
    1, abs(rows$effect[finite]),
    stats::quantile((abs(rows$effect) + half)[finite], 0.9, na.rm = TRUE),
    na.rm = TRUE
  )
  rows <- rows[c("perturbation", "gene", "effect", "change")]
  rows$from <- pmax(rows$effect - half, -1.06 * limit)
  rows$to <- pmin(rows$effect + half, 1.06 * limit)
  rows$edge <- !finite
  rows$x <- at_edge(rows$effect, limit)
  rows <- rows[order(rows$effect, rows$perturbation), ]
  rows$y <- rev(seq_len(nrow(rows)))
  rows
}

draw_knockdown <- function(value, level) {
  rows <- value$rows
  n <- nrow(rows)
  ggplot2::ggplot(rows, ggplot2::aes(.data$x, .data$y, colour = .data$change)) +
    ggplot2::geom_vline(xintercept = 0, colour = "grey60", linewidth = 0.3) +
    interval_lines(rows[!is.na(rows$from) & !rows$edge, ], n) +
    points_and_edge(rows) +
    scale_change() +
    scale_of_change(value$effect) +
    ggplot2::scale_y_continuous(
      breaks = rows$y, labels = target_names(rows), minor_breaks = NULL,
      expand = ggplot2::expansion(add = 0.8)
    ) +
    ggplot2::labs(
      x = value$effect, y = NULL, title = "Effects of perturbations on their targets",
      subtitle = knockdown_subtitle(value),
      caption = knockdown_caption(value, level)
    ) +
    theme_quiet() +
    ggplot2::theme(
      panel.grid.major.y = ggplot2::element_blank(),
      axis.text.y = names_of_axis(n)
    )
}

# Of many only the points have colours, to be seen among the lines.
interval_lines <- function(rows, n) {
  if (n > 60) {
    ggplot2::geom_linerange(
      ggplot2::aes(xmin = .data$from, xmax = .data$to), rows,
      linewidth = 0.3, colour = "grey85"
    )
  } else {
    ggplot2::geom_linerange(
      ggplot2::aes(xmin = .data$from, xmax = .data$to), rows,
      linewidth = 0.6, show.legend = FALSE
    )
  }
}

# Above the axis of log2 fold changes, what is left of the expression.
scale_of_change <- function(effect) {
  left <- c(1, 3, 6, 12.5, 25, 50, 100, 200, 400, 800, 1600)
  ggplot2::scale_x_continuous(
    sec.axis = if (effect == "log2 fold change") {
      ggplot2::sec_axis(
        ~ 100 * 2^.x, name = "expression left (%)", breaks = left,
        labels = plain_numbers
      )
    } else {
      ggplot2::waiver()
    }
  )
}

# The target, where the perturbation's name does not say it.
target_names <- function(rows) {
  told <- startsWith(rows$perturbation, rows$gene)
  ifelse(
    told, shorten(rows$perturbation),
    paste0(shorten(rows$perturbation), ": ", rows$gene)
  )
}

knockdown_subtitle <- function(value) {
  down <- sum(value$rows$change == "down")
  paste0(
    big(down), " of ", count_words(nrow(value$rows), "target"),
    " significantly down (", value$level, ")"
  )
}

knockdown_caption <- function(value, level) {
  rows <- value$rows
  shown <- sum(!is.na(rows$from) & !rows$edge)
  caption_of(
    if (shown > 0) paste0("Lines: ", 100 * level, " % confidence intervals."),
    if (any(rows$edge)) {
      paste0("At the edge: ", big(sum(rows$edge)), " without a finite estimate.")
    },
    if (value$absent > 0) {
      paste0(
        "Not drawn: ", count_words(value$absent, "perturbation"),
        " whose target is not found."
      )
    },
    if (value$untested > 0) {
      paste0("Not drawn: ", count_words(value$untested, "pair"), " not tested.")
    }
  )
}
