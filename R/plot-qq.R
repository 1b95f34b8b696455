#' Quantile-quantile plot of p-values
#'
#' @description
#' `plot_qq()` draws sorted p-values against those expected if no pair had an
#' effect, both as -log10, with the band in which each would then lie with
#' probability `level`.
#'
#' @param x What [fit_screen()] returned, or a part of it; p-values; or a data frame
#'   with a column `p_value`. `NA` is left out.
#' @param by Draw strata in panels of their own? A name of a column of the data
#'   frame, or of a fit: `"perturbation"`, `"n_cells"`, `"mean"`, or another column
#'   of its `genes` or `perturbations`; or, with p-values, one value for each. Numbers
#'   with more than 12 values are cut at their quartiles. Default `NULL`: one panel.
#' @param ... Not used; an unknown argument is an error.
#' @param level Of the band. Default 0.95.
#' @param top The largest -log10 p-value that has a place on the axis: smaller
#'   p-values are triangles at its edge, which the caption counts. Default `NULL`:
#'   three times the largest expected one, so that the bulk can be seen.
#'
#' @details
#' The i-th smallest of n p-values is expected at i / (n + 1). The band is that of
#' its distribution, Beta(i, n + 1 - i), at each point by itself, for independent
#' p-values; those of one screen share cells, and may leave it together.
#'
#' The 500 smallest p-values of a panel are all drawn; of the others no more than
#' can be told apart.
#'
#' `lambda` is the chi-squared statistic, with one degree of freedom, of the median
#' p-value over that of 0.5: 1 if p-values are uniform, and larger where they are too
#' small, or where effects are many.
#'
#' @return A ggplot.
#' @section Errors:
#' `scoria_error_p_value`: p-values are not from 0 to 1; `scoria_error_column`;
#' `scoria_error_nothing`; `scoria_error_argument`.
#' @examples
#' if (requireNamespace("ggplot2", quietly = TRUE)) {
#'   plot_qq(runif(1000))
#'   plot_qq(rbeta(2000, 0.9, 1), by = rep(c("a", "b"), 1000))
#' }
#' @export
plot_qq <- function(x, by = NULL, ..., level = 0.95, top = NULL) {
  check_no_dots(..., of = "plot_qq")
  check_ggplot2("to draw a quantile-quantile plot.")
  call <- rlang::current_env()
  check_probability(level, "level")
  if (!is.null(top)) check_number(top, "top", above = 0, call = call)
  read <- read_p_values(x, by, call)
  if (length(read$p) == 0) abort_nothing("There is no p-value.", call)
  strata <- split(read$p, read$stratum, drop = TRUE)
  rows <- qq_rows(strata, level)
  top <- top %||% max(3, 3 * rows$expected)
  rows$edge <- rows$observed > top
  rows$observed[rows$edge] <- 1.03 * top
  rows$upper <- pmin(rows$upper, top)
  ggplot2::ggplot(rows, ggplot2::aes(.data$expected, .data$observed)) +
    ggplot2::geom_ribbon(
      ggplot2::aes(ymin = .data$lower, ymax = .data$upper), fill = "grey85"
    ) +
    ggplot2::geom_abline(colour = "grey50", linewidth = 0.3) +
    points_and_edge(rows, colour = change_colours()[["down"]]) +
    facet_panels(rows) +
    ggplot2::labs(
      x = expression("expected" ~ -log[10] ~ "p-value"),
      y = expression("observed" ~ -log[10] ~ "p-value"),
      title = "Observed and expected p-values",
      subtitle = qq_subtitle(strata),
      caption = qq_caption(read, level, top)
    ) +
    theme_quiet()
}

# Of each stratum the points and the band, in panels that say lambda.
qq_rows <- function(strata, level) {
  panels <- vapply(names(strata), function(name) {
    paste0(
      shorten(name, 32), "\nlambda = ", lambda_words(strata[[name]]), ", n = ",
      big(length(strata[[name]]))
    )
  }, "")
  points <- lapply(seq_along(strata), function(i) {
    points <- qq_points(strata[[i]], level)
    points$panel <- factor(panels[i], panels)
    points
  })
  do.call(rbind, points)
}

# The smallest 500, and of the rest ranks that are as far from each other as can
# be seen on an axis of logarithms, and the last.
qq_points <- function(p, level) {
  n <- length(p)
  ranks <- unique(c(
    seq_len(min(n, 500)),
    if (n > 500) round(exp(seq(log(501), log(n), length.out = 1000)))
  ))
  tail <- (1 - level) / 2
  tibble::tibble(
    expected = -log10(ranks / (n + 1)), observed = -log10(sort(p)[ranks]),
    lower = -log10(stats::qbeta(1 - tail, ranks, n + 1 - ranks)),
    upper = -log10(stats::qbeta(tail, ranks, n + 1 - ranks))
  )
}

qq_subtitle <- function(strata) {
  all <- unlist(strata, use.names = FALSE)
  paste0(
    count_words(length(all), "p-value"),
    if (length(strata) == 1) paste(", lambda =", lambda_words(all))
  )
}

qq_caption <- function(read, level, top) {
  beyond <- sum(-log10(read$p) > top)
  caption_of(
    paste0("Grey: pointwise ", 100 * level, " % band of uniform p-values."),
    if (beyond > 0) {
      paste0(
        "At the edge: ", count_words(beyond, "p-value"), " below ",
        format(signif(10^-top, 2)), "."
      )
    },
    if (read$dropped > 0) paste0("Not drawn: ", big(read$dropped), " NA.")
  )
}

lambda_words <- function(p) formatC(inflation(p), format = "f", digits = 2)

# Reading ------------------------------------------------------------------------

# P-values without NA, the stratum of each, a factor, and how many were NA.
read_p_values <- function(x, by, call) {
  if (inherits(x, "ScreenFit")) {
    read <- p_values_of_fit(x, by, call)
  } else if (is.data.frame(x)) {
    check_columns(x, "p_value", call)
    if (!is.null(by)) check_by(by, names(x), call)
    read <- list(p = x$p_value, by = if (!is.null(by)) x[[by]])
  } else {
    read <- list(p = x, by = by)
  }
  p <- check_p_values(read$p, call)
  if (!is.null(read$by) && length(read$by) != length(p)) {
    scoria_abort(
      "{.arg by} must have one value for each of {length(p)} p-value{?s}, not
       {length(read$by)}.",
      "argument", call
    )
  }
  stratum <- cut_strata(read$by %||% rep(1, length(p)), by, call)
  known <- which(!is.na(p) & !is.na(stratum))
  list(
    p = p[known], stratum = stratum[known], dropped = length(p) - length(known)
  )
}

check_p_values <- function(p, call) {
  if (!is.numeric(p)) {
    scoria_abort(
      "{.arg x} must be what {.fn fit_screen} returned, p-values, or a data frame
       with a column {.field p_value}, not {.obj_type_friendly {p}}.",
      c("p_value", "argument"), call
    )
  }
  wrong <- which(p < 0 | p > 1)
  if (length(wrong) > 0) {
    scoria_abort(
      "P-values must be from 0 to 1, not {.val {p[wrong[1]]}}.",
      c("p_value", "argument"), call
    )
  }
  as.double(p)
}

check_by <- function(by, choices, call) {
  check_choice(by, choices, "column", "by", call)
}

# The column `by` is of the genes, or of the perturbations.
p_values_of_fit <- function(fit, by, call) {
  if (!is.null(by)) {
    check_by(by, c(names(fit$perturbations), names(fit$genes)), call)
  }
  of_gene <- !is.null(by) && !by %in% names(fit$perturbations)
  blocks <- over_gene_blocks(fit, fit$shown$perturbations, function(ids) {
    list(
      p = read_pairs_of(fit$store, "p_value", ids),
      of = if (of_gene) {
        match(gene_of_pair(fit$store, ids), fit$shown$genes)
      } else if (!is.null(by)) {
        match(perturbation_of_pair(fit$store, ids), fit$shown$perturbations)
      }
    )
  })
  gather <- function(name) unlist(lapply(blocks, `[[`, name))
  of <- gather("of")
  values <- if (of_gene) fit$genes[[by]] else if (!is.null(by)) fit$perturbations[[by]]
  list(p = gather("p") %||% double(), by = values[of])
}

# A factor of few levels.
cut_strata <- function(values, by, call) {
  few <- 12
  if (is.numeric(values) && length(unique(values)) > few) {
    breaks <- unique(stats::quantile(values, 0:4 / 4, na.rm = TRUE, names = FALSE))
    ends <- plain_numbers(breaks)
    labels <- paste(ends[-length(ends)], "to", ends[-1])
    if (rlang::is_string(by)) labels <- paste(by, labels)
    return(cut(values, breaks, make.unique(labels), include.lowest = TRUE))
  }
  values <- droplevels(as.factor(values))
  if (nlevels(values) > few) {
    scoria_abort(c(
      "{.arg by} makes {nlevels(values)} panels; {few} are the most.",
      i = "Take a part of {.arg x}, or a coarser variable."
    ), "argument", call)
  }
  values
}
