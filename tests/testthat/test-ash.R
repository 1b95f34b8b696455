# What ashr made of three perturbations' effects. It stops short of the optimum by what its
# optimiser takes for nothing: ours is never worse, and posteriors are the same to 1e-4.

oracle_effects <- function(target) {
  table <- function(name) utils::read.csv(shared_data("oracle", "mash", name), row.names = 1)
  list(betahat = table("Bhat.csv")[[target]], sebetahat = table("Shat.csv")[[target]])
}

targets <- c("BRD4", "CUL3", "IFNGR1")
shapes <- c("uniform", "halfuniform", "normal")

test_that("ashr finds the same", {
  summaries <- utils::read.csv(shared_data("oracle", "mash", "ash_summary.csv"))
  for (row in seq_len(nrow(summaries))) {
    target <- summaries$target[row]
    shape <- summaries$mixcompdist[row]
    effects <- oracle_effects(target)
    ours <- ash(effects$betahat, effects$sebetahat, shape)
    file <- paste0("ash_", target, "_", shape)
    theirs <- utils::read.csv(shared_data("oracle", "mash", paste0(file, ".csv")))
    g <- utils::read.csv(shared_data("oracle", "mash", paste0(file, "_g.csv")))

    expect_lt(abs(ours$loglik - summaries$loglik[row]), 1e-4)
    penalised <- function(loglik, pi0) loglik + 9 * log(pi0)
    advantage <- penalised(ours$loglik, ours$fitted_g$pi[1]) -
      penalised(summaries$loglik[row], g$pi[1])
    expect_gt(advantage, -1e-9)
    expect_identical(names(ours$fitted_g), names(g)[-1])
    expect_equal(ours$fitted_g[[3]], g[[4]], tolerance = 1e-12)
    # s-values of effects whose rates are the same to 1e-6 may change places.
    columns <- setdiff(names(ours$result), "svalue")
    for (column in columns) {
      expect_lt(max(abs(ours$result[[column]] - theirs[[column]])), 1e-4)
    }
    expect_lt(max(abs(sort(ours$result$svalue) - sort(theirs$svalue))), 1e-4)

    # With their weights, to rounding.
    given <- modifyList(ours$fitted_g, list(pi = g$pi / sum(g$pi)))
    same <- ash(effects$betahat, effects$sebetahat, g = given)
    expect_lt(abs(same$loglik - summaries$loglik[row]), 1e-9)
    for (column in columns) {
      expect_lt(max(abs(same$result[[column]] - theirs[[column]])), 1e-9)
    }
  }
})

effect <- qnorm(ppoints(120)) * rep(c(0.1, 2), c(90, 30))

test_that("errors with few degrees of freedom have longer tails", {
  few <- ash(effect, 0.5, df = 3)
  many <- ash(effect, 0.5, df = 1e7)
  normal <- ash(effect, 0.5)
  columns <- c("PosteriorMean", "PosteriorSD", "lfsr", "lfdr")
  expect_equal(many$result[columns], normal$result[columns], tolerance = 1e-4)
  expect_lt(max(abs(few$result$PosteriorMean)), max(abs(normal$result$PosteriorMean)))
})

test_that("effects without an estimate have the distribution of the others", {
  missing <- ash(c(effect, NA, 1), c(rep(0.5, 120), 0.5, NA))
  plain <- ash(effect, 0.5)
  expect_equal(missing$loglik, plain$loglik, tolerance = 1e-12)
  expect_equal(missing$fitted_g$pi, plain$fitted_g$pi, tolerance = 1e-8)
  zero <- plain$fitted_g$pi[1]
  expect_equal(missing$result$lfdr[121:122], rep(zero, 2), tolerance = 1e-8)
  expect_equal(missing$result$PosteriorMean[121:122], c(0, 0))
})

test_that("one effect, huge and tiny errors are no trouble", {
  expect_s3_class(ash(3, 1), "ash")
  wide <- ash(c(1e6, 1e-6, 0, -3), c(1e3, 1e-9, 1, 1e-3))
  expect_true(all(is.finite(as.matrix(wide$result))))
  expect_identical(ash(effect, 0.5, threads = 1), ash(effect, 0.5, threads = 2))
})

test_that("what makes no sense is refused", {
  refused <- function(call, class) {
    expect_error(call, class = paste0("scoria_error_", class))
  }
  refused(ash(c(1, Inf), 1), "betahat")
  refused(ash("a", 1), "betahat")
  refused(ash(1:3, c(1, 0, 1)), "sebetahat")
  refused(ash(1:3, 1:2), "sebetahat")
  refused(ash(1:3, 1, "normal", df = 4), "argument")
  refused(ash(1:3, 1, df = -1), "argument")
  refused(ash(1:3, 1, prior = c(1, 2)), "argument")
  refused(ash(1:3, 1, nullweight = 0), "argument")
  refused(ash(1:3, 1, g = list(pi = 1)), "argument")
  refused(ash(1:3, 1, gridmult = 1), "argument")
  refused(ash(1:3, 1, gridmul = 2), "argument")
})

test_that("a result is printed in a few lines", {
  fit <- ash(effect, 0.5)
  expect_match(capture.output(print(fit))[1], "<ash> 120 effects, [0-9]+ components")
  expect_equal(sum(summary(fit)$pi), 1, tolerance = 1e-6)
})
