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
