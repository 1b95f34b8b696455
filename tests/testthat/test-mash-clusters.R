# 24 conditions in 6 programs; most genes have no effect, some those of two programs.
programs <- withr::with_seed(4, {
  of <- rep(1:6, each = 4)
  effects <- matrix(0, 800, 24)
  for (program in 1:6) {
    hit <- stats::runif(800) < 0.06
    effects[hit, of == program] <- stats::rnorm(sum(hit), 0, 0.6) *
      stats::runif(sum(hit) * 4, 0.6, 1.2)
  }
  # The last works against the others of its program.
  effects[, 24] <- -effects[, 24]
  errors <- exp(stats::rnorm(800, log(0.12), 0.5))
  estimates <- effects + errors * stats::rnorm(length(effects))
  dimnames(estimates) <- list(paste0("g", 1:800), paste0("p", 1:24))
  list(
    of = of, effects = effects,
    data = list(
      Bhat = estimates,
      Shat = array(errors, dim(estimates), dimnames(estimates)),
      strong = which(apply(abs(estimates / errors), 1, max) > 4)
    )
  )
})

test_that("conditions of a program are put together, and their signs are right", {
  found <- cov_clusters(programs$data)
  single <- found[grepl("^cluster_", names(found))]
  members <- lapply(single, function(u) which(diag(u) > 0))
  for (program in 1:6) {
    expect_true(any(vapply(members, identical, NA, which(programs$of == program))))
  }
  # None has conditions of two.
  expect_true(all(vapply(members, function(m) length(unique(programs$of[m])), 1L) == 1))
  last <- single[[which(vapply(members, identical, NA, 21:24))]]
  expect_identical(unname(last[21:23, 24]), rep(-0.8, 3))
  expect_identical(unname(last[21, 22]), 0.8)
  expect_identical(sum(grepl("+", names(found), fixed = TRUE)), as.integer(choose(6, 2)))
  smallest <- vapply(found, function(u) min(eigen(u, only.values = TRUE)$values), 0)
  expect_true(all(smallest > -1e-12))
})

test_that("what is called with them is real, where other covariances make false calls", {
  called <- function(covariances) {
    fit <- mash(programs$data, covariances, verbose = FALSE)
    hits <- get_lfsr(fit) <= 0.05
    right <- sign(get_pm(fit)) == sign(programs$effects)
    c(false = mean(!right[hits]), right = sum(right[hits]), loglik = get_loglik(fit))
  }
  clusters <- called(c("canonical", "clusters"))
  canonical <- called("canonical")
  expect_lt(clusters[["false"]], 0.05)
  expect_gt(canonical[["false"]], 0.1)
  expect_gt(clusters[["right"]], canonical[["right"]])
  expect_gt(clusters[["loglik"]], canonical[["loglik"]] + 100)
})

test_that("conditions that have nothing in common are clusters of one", {
  data <- programs$data
  columns <- seq(1, 24, 4)
  alone <- lapply(data[1:2], function(matrix) matrix[, columns])
  found <- cov_clusters(c(alone, data["strong"]))
  expect_length(found, choose(6, 2))
  expect_identical(names(found)[1], "clusters_c1+c2")
  expect_length(cov_clusters(c(alone, data["strong"]), most_pairs = 10), 0)
  one <- lapply(data[1:2], function(matrix) matrix[, 1, drop = FALSE])
  expect_identical(cov_clusters(c(one, data["strong"])), list())
  expect_error(cov_clusters(alone), "strong", class = "scoria_error_covariances")
  expect_error(cov_clusters(data, similarity = 2), class = "scoria_error_argument")
})
