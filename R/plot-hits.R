#' Number of significant genes of each perturbation
#'
#' @description
#' `plot_hits()` draws how many genes each perturbation changes significantly, up
#' and down, those with most first. Of more than 40 perturbations the first 40 get a
#' bar with a name, and all a place in a second panel, by their rank.
#'
#' @inheritParams plot_volcano
#' @return A ggplot.
#' @inheritSection plot_volcano Errors
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE) &&
#'       requireNamespace("ggplot2", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 1000, n_genes = 40, n_perturbations = 10
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   plot_hits(fit)
#' }
#' @export
plot_hits <- function(x, q_value = 0.05, ...,
                      adjust_over = c("perturbation", "all")) {
  check_no_dots(..., of = "plot_hits")
  check_ggplot2("to draw numbers of significant genes.")
  call <- rlang::current_env()
  check_probability(q_value, "q_value")
  adjust_over <- first_choice(adjust_over, c("perturbation", "all"))
  hits <- if (inherits(x, "ScreenFit")) {
    hits_of_fit(x, q_value, adjust_over)
  } else {
    hits_of_table(x, q_value, call)
  }
  if (nrow(hits$counts) == 0) abort_nothing("There is no perturbation.", call)
  draw_hits(hits, named = 40)
}

# Numbers of significant pairs by perturbation, and what "significant" means.
hits_of_fit <- function(fit, q_value, adjust_over) {
  ids <- significant_shown(fit, q_value, "BH", adjust_over)$id
  up <- read_pairs_of(fit$store, "estimate", ids) > 0
  list(
    counts = tibble::tibble(
      perturbation = fit$perturbations$perturbation,
      down = pairs_by_perturbation(fit, ids[!up]),
      up = pairs_by_perturbation(fit, ids[up])
    ),
    level = adjustment_words(q_value, "BH", adjust_over)
  )
}

hits_of_table <- function(table, q_value, call) {
  rows <- read_table_to_plot(table, call = call)$rows
  change <- direction(rows$effect, rows$q_value <= q_value)
  names <- unique(rows$perturbation)
  of <- match(rows$perturbation, names)
  list(
    counts = tibble::tibble(
      perturbation = names,
      down = tabulate(of[change == "down"], length(names)),
      up = tabulate(of[change == "up"], length(names))
    ),
    level = paste("q-value at most", q_value)
  )
}

draw_hits <- function(hits, named) {
  counts <- hits$counts[order(-(hits$counts$down + hits$counts$up)), ]
  n <- nrow(counts)
  first <- utils::head(counts, named)
  bars <- hit_bars(
    first, middle = bar_place(seq_len(nrow(first))), half = 0.4,
    panel = paste("the", named, "with most")
  )
  curve <- if (n > named) {
    middle <- curve_place(seq_len(n))
    hit_bars(counts, middle, half = 0, panel = paste("all", big(n), "by rank"))
  }
  rows <- rbind(bars, curve)
  rows$panel <- factor(rows$panel, unique(rows$panel))
  ggplot2::ggplot(rows, ggplot2::aes(fill = .data$change)) +
    ggplot2::geom_rect(ggplot2::aes(
      xmin = 0, xmax = .data$genes, ymin = .data$from, ymax = .data$to
    )) +
    ggplot2::geom_vline(xintercept = 0, colour = "grey60", linewidth = 0.3) +
    ggplot2::geom_text(
      ggplot2::aes(
        .data$genes, .data$place, label = big_each(abs(.data$genes)),
        hjust = ifelse(.data$genes < 0, 1.25, -0.25)
      ),
      rows[rows$genes != 0 & rows$place < 0, ],
      size = 2.5, colour = "grey30"
    ) +
    facet_panels(rows, scales = "free_y") +
    ggplot2::scale_fill_manual(
      values = change_colours(), breaks = c("down", "up"), name = NULL
    ) +
    scale_genes() +
    scale_places(first$perturbation, n) +
    ggplot2::labs(
      x = "number of significant genes", y = NULL,
      title = "Significant genes by perturbation",
      subtitle = hits_subtitle(counts, hits$level)
    ) +
    theme_quiet() +
    ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
}

hits_subtitle <- function(counts, level) {
  paste0(
    big(sum(counts$down + counts$up > 0)), " of ",
    count_words(nrow(counts), "perturbation"), " with any (", level, ")"
  )
}

# Rectangles, one for what goes down and one for what goes up.
hit_bars <- function(counts, middle, half, panel) {
  # Ranks are on a logarithmic scale: each goes on to the next.
  below <- if (half > 0) middle - half else c(middle[-1], curve_place(length(middle) + 1))
  tibble::tibble(
    genes = c(-counts$down, counts$up),
    change = rep(c("down", "up"), each = nrow(counts)),
    place = rep(middle, 2), from = rep(below, 2), to = rep(middle + half, 2),
    panel = panel
  )
}

# One vertical axis serves both panels: bars have their places below zero, and
# ranks, as logarithms, theirs above.
bar_place <- function(rank) -rank
curve_place <- function(rank) 20 - log10(rank)
rank_at <- function(place) 10^(20 - place)

scale_places <- function(names, n) {
  names <- shorten(names)
  ggplot2::scale_y_continuous(
    breaks = function(limits) {
      if (limits[1] < 0) bar_place(seq_along(names)) else curve_place(10^(0:floor(log10(n))))
    },
    labels = function(places) {
      ifelse(
        places < 0, names[pmax(-places, 1)],
        big_each(rank_at(pmax(places, 0)))
      )
    },
    expand = ggplot2::expansion(mult = 0.01)
  )
}

# Numbers of genes are whole, and have no sign.
scale_genes <- function() {
  ggplot2::scale_x_continuous(
    breaks = function(limits) {
      breaks <- pretty(limits, 5)
      breaks[breaks == round(breaks)]
    },
    labels = function(breaks) big_each(abs(breaks)),
    expand = ggplot2::expansion(mult = 0.08)
  )
}
