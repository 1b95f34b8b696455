#' Dispersions against mean expression
#'
#' @description
#' `plot_dispersions()` draws the dispersion of every gene against its mean: of
#' [estimate_dispersions()], the gene's own estimate, the trend, and what became of
#' the estimate when shrunken towards it; of a fitted screen, what it used.
#'
#' @param x What [estimate_dispersions()] or [fit_screen()] returned.
#' @param ... Not used; an unknown argument is an error.
#'
#' @details
#' Both axes are logarithmic. A gene whose dispersion is zero, that is, whose counts
#' are no more variable than Poisson counts, is a triangle at the lower edge.
#'
#' Of a screen with `family = "quasipoisson"` the dispersion is that of the variance,
#' \eqn{\phi\mu}{phi mu}; else it is \eqn{\alpha = 1/\theta}{alpha = 1/theta}. With
#' `dispersion = "pair"` every pair has its own, and the gene's, of the model without
#' perturbation, is drawn.
#'
#' @return A ggplot.
#' @section Errors:
#' `scoria_error_nothing`: no gene has a dispersion; of a Poisson screen there are
#' none; `scoria_error_argument`.
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE) &&
#'       requireNamespace("ggplot2", quietly = TRUE)) {
#'   screen <- simulate_screen(n_cells = 500, n_genes = 100)
#'   plot_dispersions(estimate_dispersions(screen))
#' }
#' @export
plot_dispersions <- function(x, ...) {
  check_no_dots(..., of = "plot_dispersions")
  check_ggplot2("to draw dispersions.")
  call <- rlang::current_env()
  value <- if (inherits(x, "ScreenFit")) {
    dispersions_of_fit(x, call)
  } else {
    dispersions_of_table(x, call)
  }
  value <- place_dispersions(value)
  if (nrow(value$rows) == 0) abort_nothing("No gene has a dispersion.", call)
  rows <- value$rows
  ggplot2::ggplot(rows, ggplot2::aes(.data$mean, .data$y, colour = .data$kind)) +
    points_and_edge(rows) +
    trend_line(value$trend) +
    ggplot2::scale_x_log10(labels = plain_numbers) +
    ggplot2::scale_y_log10(labels = plain_numbers) +
    scale_kinds(levels(rows$kind)) +
    ggplot2::labs(
      x = value$mean_title, y = value$title,
      title = "Dispersion by expression",
      subtitle = value$subtitle, caption = value$caption
    ) +
    theme_quiet()
}

# What is drawn ------------------------------------------------------------------
#
# A list of `rows`, a tibble of mean, dispersion and kind (a factor, of the legend),
# `trend`, NULL or mean and dispersion along the trend, and titles.

dispersions_of_table <- function(table, call) {
  needed <- c("mean", "dispersion_gene", "dispersion_trend", "dispersion", "outlier")
  if (!is.data.frame(table) || !all(needed %in% names(table))) {
    scoria_abort(
      "{.arg x} must be what {.fn estimate_dispersions} or {.fn fit_screen} returned,
       not {.obj_type_friendly {table}}.",
      "argument", call
    )
  }
  kinds <- c("gene's own", "shrunken", "outlier, kept")
  outlier <- table$outlier %in% TRUE
  n <- nrow(table)
  trend <- table[which(table$mean > 0 & table$dispersion_trend > 0), ]
  trend <- trend[order(trend$mean), ]
  list(
    rows = tibble::tibble(
      mean = rep(table$mean, 2),
      dispersion = c(table$dispersion_gene, table$dispersion),
      kind = factor(
        kinds[c(rep(1, n), ifelse(outlier, 3, 2))], kinds
      )
    ),
    trend = tibble::tibble(mean = trend$mean, dispersion = trend$dispersion_trend),
    n_genes = n, mean_title = "mean of counts over size factors",
    title = "dispersion (1 / theta)", subtitle = trend_words(table)
  )
}

trend_words <- function(table) {
  trend <- attr(table, "trend")
  n <- count_words(nrow(table), "gene")
  if (is.null(trend)) {
    return(paste0(n, "; line: trend"))
  }
  at <- format(signif(trend$coefficients, 2))
  paste0(n, "; line: trend, ", switch(trend$type,
    parametric = paste(trimws(at[1]), "+", trimws(at[2]), "/ mean"),
    local = "a local regression",
    mean = "the mean"
  ))
}

dispersions_of_fit <- function(fit, call) {
  genes <- fit$genes
  options <- fit$options
  if (options$family == "poisson") {
    abort_nothing("A Poisson screen has no dispersions.", call)
  }
  quasi <- options$family == "quasipoisson"
  kind <- if (options$dispersion == "trend" && !quasi) "shrunken" else "gene's own"
  list(
    rows = tibble::tibble(
      mean = genes$mean,
      dispersion = if (quasi) genes$dispersion else 1 / genes$theta,
      kind = factor(kind)
    ),
    n_genes = nrow(genes), mean_title = "mean count in reference cells",
    title = if (quasi) {
      "dispersion (variance / mean)"
    } else {
      "dispersion (1 / theta)"
    },
    subtitle = count_words(nrow(genes), "gene")
  )
}

# What is below a thousandth of the median, such as zero, has no place on an axis of
# logarithms that shows the others.
place_dispersions <- function(value) {
  rows <- value$rows
  rows <- rows[which(rows$mean > 0 & !is.na(rows$dispersion)), ]
  rows <- rows[is.finite(rows$dispersion), ]
  positive <- rows$dispersion[rows$dispersion > 0]
  lowest <- if (length(positive) > 0) {
    max(min(positive), stats::median(positive) / 1000)
  } else {
    1
  }
  rows$edge <- rows$dispersion < lowest
  rows$y <- ifelse(rows$edge, 0.7 * lowest, rows$dispersion)
  series <- nlevels(value$rows$kind) > 1
  own <- rows[rows$kind == levels(rows$kind)[1], ]
  below <- sum(own$edge)
  absent <- value$n_genes - nrow(own)
  value$caption <- caption_of(
    if (below > 0) {
      paste0(
        "At the edge: ", count_words(below, "gene"),
        if (series) " whose own dispersion is" else " with a dispersion",
        " below ", format(signif(lowest, 2)), "."
      )
    },
    if (absent > 0) {
      paste0("Not drawn: ", count_words(absent, "gene"), " without an estimate.")
    }
  )
  value$rows <- rows
  value
}

trend_line <- function(trend) {
  if (is.null(trend)) {
    return(NULL)
  }
  ggplot2::geom_line(
    ggplot2::aes(.data$mean, .data$dispersion), trend,
    colour = "black", linewidth = 0.6, inherit.aes = FALSE
  )
}

scale_kinds <- function(kinds) {
  colours <- c(
    "gene's own" = change_colours()[["none"]],
    "shrunken" = change_colours()[["down"]],
    "outlier, kept" = change_colours()[["up"]]
  )
  if (length(kinds) == 1) colours[] <- change_colours()[["down"]]
  ggplot2::scale_colour_manual(
    values = colours, breaks = kinds, name = NULL,
    guide = if (length(kinds) > 1) {
      ggplot2::guide_legend(override.aes = list(size = 3, alpha = 1, shape = 16), order = 1)
    } else {
      "none"
    }
  )
}
