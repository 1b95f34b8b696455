# fit_screen() against stats::glm(), one model a pair.

# Estimate, standard error and z of one pair.
slow_pair <- function(request, g, k, family) {
  sets <- compared(request, k)
  screen <- request$screen
  y <- as.double(request$counts[g, ])
  null <- sets$null
  glm_family <- stats::poisson()
  if (family == "negbinomial") {
    model <- MASS::glm.nb(
      y[null] ~ 0 + screen$design[null, ] + offset(screen$offset[null]),
      control = stats::glm.control(epsilon = 1e-12, maxit = 200)
    )
    glm_family <- MASS::negative.binomial(model$theta)
  }
  used <- sets$used
  fit <- stats::glm(
    y[used] ~ 0 + cbind(screen$design, sets$has)[used, ] + offset(screen$offset[used]),
    family = glm_family,
    control = stats::glm.control(epsilon = 1e-12, maxit = 200)
  )
  summary <- stats::coef(summary(fit, dispersion = 1))
  summary[nrow(summary), 1:3]
}

expect_as_glm <- function(screen, perturbation, family, ...) {
  fit <- suppressMessages(fit_screen(
    screen, perturbation, ~ prep_batch + percent.mito, family = family, ...
  ))
  table <- coefficient_table(fit, status = "ok")
  made <- suppressMessages(request(
    perturbation, ~ prep_batch + percent.mito, x = screen, given = list(family = family), ...
  ))
  rows <- seq(1, nrow(table), length.out = 12)
  for (row in rows) {
    g <- match(table$gene_id[row], fit$genes$gene_id)
    k <- match(table$perturbation[row], fit$perturbations$perturbation)
    slow <- slow_pair(made, g, k, family)
    # In units of the standard error: theta alone is known to 1e-6 or so.
    expect_lt(abs(table$estimate[row] - slow[1]) / slow[2], 1e-4)
    expect_equal(table$std_err[row], slow[[2]], tolerance = 1e-4)
    expect_equal(table$statistic[row], slow[[3]], tolerance = 1e-3)
    expect_equal(table$p_value[row], 2 * pnorm(-abs(table$statistic[row])))
  }
}

test_that("pairs of a screen are fitted as glm() fits each", {
  skip_if_not_installed("SingleCellExperiment")
  skip_if_not_installed("MASS")
  low <- simulate_screen(
    n_cells = 600, n_genes = 12, n_perturbations = 4, mean_range = c(0.3, 10)
  )
  high <- simulate_screen(
    n_cells = 600, n_genes = 12, n_perturbations = 8, moi = "high",
    mean_range = c(0.3, 10)
  )
  for (family in c("poisson", "negbinomial")) {
    for (reference in reference_kinds()) {
      expect_as_glm(low, "perturbation", family, control = "control", reference = reference)
    }
    expect_as_glm(high, "perturbations", family)
  }
})
