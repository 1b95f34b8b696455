#' Plot a fitted screen
#'
#' @description
#' The `autoplot()` method of a [ScreenFit]: `library(ggplot2)`, then
#' `autoplot(fit)`.
#'
#' @param object A [ScreenFit], or a part of one.
#' @param type Which plot: `"volcano"` (default), [plot_volcano()]; `"ma"`,
#'   [plot_ma()]; `"qq"`, [plot_qq()]; `"hits"`, [plot_hits()]; `"effects"`,
#'   [plot_effects()]; `"knockdown"`, [plot_knockdown()]; `"dispersion"`,
#'   [plot_dispersions()].
#' @param ... Arguments of that function.
#' @return A ggplot.
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE) &&
#'       requireNamespace("ggplot2", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 3
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   ggplot2::autoplot(fit, "qq", by = "perturbation")
#' }
#' @exportS3Method ggplot2::autoplot
autoplot.ScreenFit <- function( # nolint: object_name_linter.
    object,
    type = c(
      "volcano", "ma", "qq", "hits", "effects", "knockdown", "dispersion"
    ), ...) {
  plots <- list(
    volcano = plot_volcano, ma = plot_ma, qq = plot_qq, hits = plot_hits,
    effects = plot_effects, knockdown = plot_knockdown,
    dispersion = plot_dispersions
  )
  type <- first_choice(type, names(plots))
  plots[[type]](object, ...)
}

#' @rdname check_calibration
#' @param object What `check_calibration()` returned.
#' @param by Panels: `"stratum"` of the genes' means, or `NULL` (default) for one.
#' @exportS3Method ggplot2::autoplot
autoplot.scoria_calibration <- function(object, by = NULL, ...) { # nolint: object_name_linter.
  table <- object$table
  most <- signif(object$strata$mean, 2)
  table$stratum <- factor(table$stratum, object$strata$stratum, paste("mean up to", most))
  plot_qq(table, by = by, ...) + ggplot2::labs(title = "P-values of what does nothing")
}
