# What mashr made of 284 genes x 8 perturbations. With its own weights all numbers are the
# same to 1e-9. Its optimiser stops a little short of the optimum: with our weights, which
# are never worse, posteriors are the same to 1e-4, and log-likelihoods too.

mash_table <- function(...) {
  as.matrix(utils::read.csv(
    shared_data("oracle", "mash", ...), row.names = 1, check.names = FALSE
  ))
}

oracle_covariances <- function(name) {
  names <- readLines(shared_data("oracle", "mash", paste0("U_", name, "_names.txt")))
  read <- function(u) unname(mash_table(paste0("U_", name, "_", u, ".csv")))
  stats::setNames(lapply(names, read), names)
}

effects_of <- function(suffix = "", ...) {
  list(
    Bhat = mash_table(paste0("Bhat", suffix, ".csv")),
    Shat = mash_table(paste0("Shat", suffix, ".csv")), ...
  )
}

expect_near <- function(ours, theirs, tolerance) {
  expect_lt(max(abs(ours - theirs), na.rm = TRUE), tolerance)
}

expect_same_posterior <- function(fit, folder, tolerance) {
  expect_near(get_pm(fit), mash_table(folder, "pm.csv"), tolerance)
  expect_near(get_psd(fit), mash_table(folder, "psd.csv"), tolerance)
  expect_near(get_lfsr(fit), mash_table(folder, "lfsr.csv"), tolerance)
  expect_near(get_lfdr(fit), mash_table(folder, "lfdr.csv"), tolerance)
  expect_near(get_np(fit), mash_table(folder, "NegativeProb.csv"), tolerance)
  loglik <- readLines(shared_data("oracle", "mash", folder, "loglik.txt"))
  expect_lt(abs(fit$loglik - as.numeric(sub("loglik ", "", loglik))), tolerance)
}

expect_same_mash <- function(folder, data, covariances, ..., prior = "nullbiased",
                             usepointmass = TRUE) {
  fit <- mash(
    data, covariances, prior = prior, usepointmass = usepointmass, ..., verbose = FALSE
  )
  pi <- utils::read.csv(shared_data("oracle", "mash", folder, "pi.csv"))
  grid <- utils::read.csv(shared_data("oracle", "mash", folder, "grid.csv"))$grid
  expect_equal(fit$fitted_g$grid, grid, tolerance = 1e-12)
  expect_identical(names(get_estimated_pi(fit, "all")), pi$component)
  by_cov <- utils::read.csv(shared_data("oracle", "mash", folder, "pi_by_cov.csv"))
  expect_identical(names(get_estimated_pi(fit)), by_cov$component)
  expect_near(get_estimated_pi(fit), by_cov$pi, 1e-4)
  expect_same_posterior(fit, folder, 1e-4)
  expect_equal(
    unname(get_n_significant_conditions(fit)),
    as.vector(mash_table(folder, "n_significant.csv"))
  )
  expect_near(get_pairwise_sharing(fit), mash_table(folder, "pairwise_sharing.csv"), 1e-12)

  given <- modifyList(fit$fitted_g, list(pi = pi$pi / sum(pi$pi)))
  same <- mash(data, ..., g = given, verbose = FALSE)
  expect_same_posterior(same, folder, 1e-9)
  by_gene <- mash_table(folder, "loglik_by_gene.csv")
  expect_near(same$vloglik, by_gene[, "vloglik"], 1e-9)
  if (usepointmass) {
    expect_near(same$null_loglik, by_gene[, "null_loglik"], 1e-9)
    expect_near(same$alt_loglik, by_gene[, "alt_loglik"], 1e-9)
  }
  theirs <- mash_table(folder, "posterior_weights.csv")
  shared <- intersect(colnames(theirs), colnames(same$posterior_weights))
  expect_near(same$posterior_weights[, shared], theirs[, shared], 1e-8)

  # The first component's prior is 10, or that of all is 1.
  count <- if (prior == "uniform") 0 else 9
  penalised <- function(fit) fit$loglik + count * log(max(fit$fitted_g$pi[1], 1e-300))
  expect_gt(penalised(fit) - penalised(same), -1e-9)
}

test_that("mashr finds the same", {
  canonical <- oracle_covariances("canonical")
  full <- c(canonical, oracle_covariances("ed"))
  v <- mash_table("V_simple.csv")
  expect_same_mash("fit_canon_I", effects_of(), canonical)
  expect_same_mash("fit_canon_I_nopoint", effects_of(), canonical, usepointmass = FALSE)
  expect_same_mash("fit_canon_I_uniformprior", effects_of(), canonical, prior = "uniform")
  expect_same_mash("fit_canon_I_NA", effects_of("_NA"), canonical)
  expect_same_mash("fit_canon_I_df", effects_of(df = 50), canonical)
  expect_same_mash("fit_canon_V_alpha1", effects_of(V = v), canonical, alpha = 1)
  expect_same_mash("fit_full_I", effects_of(), full)
  expect_same_mash("fit_full_V", effects_of(V = v), full)
})

test_that("contrasts with errors of their own correlation are those of mashr", {
  contrast <- mash_table("contrast_L.csv")
  data <- effects_of()
  covariance <- lapply(seq_len(nrow(data$Shat)), function(gene) {
    contrast %*% diag(data$Shat[gene, ]^2) %*% t(contrast)
  })
  own <- list(
    Bhat = data$Bhat %*% t(contrast),
    Shat = t(vapply(covariance, function(u) sqrt(diag(u)), numeric(7))),
    V = array(unlist(lapply(covariance, stats::cov2cor)), c(7, 7, nrow(data$Shat)))
  )
  dimnames(own$Shat) <- dimnames(own$Bhat)
  expect_same_mash("fit_contrast", own, cov_canonical(own))
})

test_that("covariances and correlations are those of mashr", {
  data <- effects_of()
  canonical <- cov_canonical(data)
  expect_identical(names(canonical), names(oracle_covariances("canonical")))
  expect_equal(unname(canonical), unname(oracle_covariances("canonical")))
  strong <- utils::read.csv(shared_data("oracle", "mash", "strong_subset.csv"))$row
  pca <- cov_pca(data, 3, strong)
  for (name in names(pca)) {
    expect_near(pca[[name]], mash_table(paste0("U_pca_", name, ".csv")), 1e-12)
  }
  # Extreme deconvolution stops by a rule: at the same step.
  ed <- cov_ed(data, pca, strong)
  for (name in names(ed)) {
    expect_near(ed[[name]], mash_table(paste0("U_ed_", name, ".csv")), 1e-9)
  }
  expect_near(estimate_null_correlation_simple(data), mash_table("V_simple.csv"), 1e-12)
  expect_near(
    estimate_null_correlation_simple(data, est_cor = FALSE), mash_table("V_simple_cov.csv"),
    1e-12
  )
  shat <- mash_table("Shat_after_df50.csv")
  expect_near(with_freedom(data$Bhat, data$Shat, 50, NULL) / shat, 1, 1e-9)
})

test_that("one condition is what ash() makes of it, as in mashr's mash_1by1()", {
  data <- effects_of()
  for (target in colnames(data$Bhat)) {
    result <- ash(data$Bhat[, target], data$Shat[, target], "normal")$result
    expect_near(result$PosteriorMean, mash_table("mash1by1_pm.csv")[, target], 1e-4)
    expect_near(result$PosteriorSD, mash_table("mash1by1_psd.csv")[, target], 1e-4)
    expect_near(result$lfsr, mash_table("mash1by1_lfsr.csv")[, target], 1e-4)
    one <- lapply(data, function(x) x[, target, drop = FALSE])
    fit <- mash(one, list(one = matrix(1)), verbose = FALSE)
    expect_near(get_pm(fit), result$PosteriorMean, 1e-8)
    expect_near(get_lfsr(fit), result$lfsr, 1e-8)
  }
})

effects <- local({
  shared <- rep(c(0, 1), c(60, 20)) * qnorm(ppoints(80))
  noise <- matrix(qnorm(((seq_len(240) * 37) %% 241) / 241), 80)
  bhat <- shared + 0.4 * noise
  dimnames(bhat) <- list(paste0("gene", 1:80), c("A", "B", "C"))
  list(Bhat = bhat, Shat = array(0.4, dim(bhat), dimnames(bhat)))
})

quiet <- function(...) mash(..., verbose = FALSE)

test_that("weights are fitted on random rows, covariances on strong ones", {
  rows <- c(1:20, 61:80)
  fit <- quiet(c(effects, list(random = rows, strong = 61:80)), c("canonical", "ed"))
  some <- quiet(list(Bhat = effects$Bhat[rows, ], Shat = effects$Shat[rows, ]),
    fit$fitted_g$Ulist, normalizeU = FALSE
  )
  expect_equal(fit$fitted_g$pi, some$fitted_g$pi, tolerance = 1e-9)
  expect_equal(get_pm(fit)[rows, ], get_pm(some), tolerance = 1e-9)
  ed <- cov_ed(effects, cov_pca(effects, 3, 61:80), 61:80)
  expect_equal(fit$fitted_g$Ulist$ED_tPCA, normalised(ed$ED_tPCA))
  expect_message(mash(c(effects, list(random = rows))), "40 genes")
})

test_that("the result does not depend on threads, and has the names that it was given", {
  one <- quiet(effects, c("canonical", "pca"), threads = 1)
  expect_identical(one, quiet(effects, c("canonical", "pca"), threads = 2))
  expect_identical(dimnames(get_pm(one)), dimnames(effects$Bhat))
  expect_s3_class(one, "mash")
  expect_equal(sum(get_estimated_pi(one)), 1, tolerance = 1e-12)
  expect_equal(sum(get_estimated_pi(one, "grid")), 1, tolerance = 1e-12)
  bare <- quiet(lapply(effects, function(x) matrix(x, 80)))
  expect_null(rownames(get_pm(bare)))
  expect_identical(names(bare$fitted_g$Ulist)[2:4], paste0("singletons_", 1:3))
})

test_that("the accessors count and order", {
  fit <- quiet(effects)
  significant <- get_significant_results(fit)
  least <- apply(get_lfsr(fit), 1, min)
  expect_false(is.unsorted(least[significant]))
  expect_identical(names(significant), rownames(effects$Bhat)[significant])
  expect_setequal(unname(significant), unname(which(least < 0.05)))
  expect_equal(sum(get_n_significant_conditions(fit, conditions = "A")),
    length(get_significant_results(fit, conditions = "A"))
  )
  expect_equal(diag(get_pairwise_sharing(fit)), c(A = 1, B = 1, C = 1))
  table <- tibble::as_tibble(fit)
  expect_identical(dim(table), c(240L, 5L))
  expect_identical(table$lfsr[81:160], unname(get_lfsr(fit)[, "B"]))
  expect_identical(names(summary(fit))[1:2], c("condition", "n_significant"))
  expect_match(capture.output(print(fit))[1], "<mash> 80 genes x 3 conditions, 8 covariances")
})

test_that("data in the shape of mash_set_data() mean the same", {
  holes <- lapply(effects, function(x) replace(x, c(1, 81, 85), NA))
  filled <- list(
    Bhat = replace(holes$Bhat, c(1, 81, 85), 0), Shat = replace(holes$Shat, c(1, 81, 85), 1e6),
    Shat_alpha = replace(effects$Shat, TRUE, 1), V = diag(3), commonV = TRUE, alpha = 0
  )
  expect_equal(quiet(filled), quiet(holes), tolerance = 1e-12)
  scaled <- list(
    Bhat = effects$Bhat / effects$Shat, Shat = replace(effects$Shat, TRUE, 1),
    Shat_alpha = effects$Shat, V = diag(3), commonV = TRUE, alpha = 1
  )
  expect_equal(quiet(scaled), quiet(effects, alpha = 1), tolerance = 1e-12)
})

test_that("methods are found from everywhere", {
  for (class in c("scoria_ash", "scoria_mash")) {
    for (generic in c("print", "summary")) {
      expect_true(is.function(utils::getS3method(generic, class, envir = baseenv())))
    }
  }
})

test_that("with many conditions singletons are sparse, and mean the same", {
  many <- list(Bhat = matrix(qnorm(ppoints(4 * 120)), 4), Shat = matrix(0.5, 4, 120))
  many$Bhat[1, ] <- many$Bhat[1, ] + 2
  canonical <- cov_canonical(many)
  expect_s4_class(canonical$singletons_3, "sparseMatrix")
  dense <- lapply(canonical, as.matrix)
  expect_equal(get_pm(quiet(many)), get_pm(quiet(many, dense)), tolerance = 1e-9)
})

test_that("missing estimates get a posterior, of a size only where it is known", {
  holes <- lapply(effects, function(x) replace(x, c(1, 81, 161, 85), NA))
  fit <- quiet(holes)
  expect_true(all(is.finite(get_pm(fit))))
  expect_equal(unname(get_pm(fit)[1, ]), c(0, 0, 0))
  z <- quiet(holes, alpha = 1)
  expect_identical(is.na(get_pm(z)), is.na(holes$Bhat))
  expect_true(all(is.finite(get_lfsr(z))))
})

test_that("data that do not fit together are refused, by name", {
  refused <- function(..., class) {
    data <- modifyList(effects, list(...))
    expect_error(quiet(data), class = paste0("scoria_error_", class))
  }
  b <- effects$Bhat
  s <- effects$Shat
  refused(Bhat = replace(b, 3, Inf), class = "not_finite")
  refused(Bhat = replace(b, 3, NaN), class = "not_finite")
  refused(Bhat = replace(b, 3, NA), class = "missing")
  refused(Shat = s[80:1, ], class = "names")
  refused(Shat = s[, 3:1], class = "names")
  refused(Shat = s[-1, ], class = "data")
  refused(Shat = replace(s, 5, 0), class = "sebetahat")
  refused(Shat = replace(s, 5, -1), class = "sebetahat")
  refused(Bhat = as.data.frame(b), class = "data")
  refused(V = matrix(1, 3, 3), class = "V")
  refused(V = diag(2), class = "V")
  refused(df = -1, class = "data")
  refused(random = 81, class = "data")
  expect_error(quiet(1), class = "scoria_error_data")
  expect_error(quiet(effects, "canonicle"), class = "scoria_error_covariances")
  expect_error(quiet(effects, list(diag(3))), class = "scoria_error_covariances")
  expect_error(quiet(effects, list(a = -diag(3))), class = "scoria_error_covariances")
  expect_error(quiet(effects, alpha = 2), class = "scoria_error_argument")
  expect_error(quiet(effects, grid = -1), class = "scoria_error_argument")
  expect_error(quiet(effects, gridmult = 0.5), class = "scoria_error_argument")
  expect_error(cov_pca(effects, 1), class = "scoria_error_argument")
  expect_error(
    estimate_null_correlation_simple(effects, 1e-6), class = "scoria_error_V"
  )
})
