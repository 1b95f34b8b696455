skip_if_not_installed("SingleCellExperiment")

# Counts without effects of the perturbations, in cells of which some have a covariate more
# often than others.
null_screen <- function(membership, covariate, genes = 1500, size = 10) {
  n <- nrow(membership)
  size_factor <- exp(stats::rnorm(n, 0, 0.4))
  mean <- outer(stats::rexp(genes) * 0.8 + 0.3, size_factor)
  counts <- matrix(
    stats::rnbinom(genes * n, mu = mean, size = size), genes,
    dimnames = list(sprintf("g%04d", seq_len(genes)), sprintf("c%03d", seq_len(n)))
  )
  SingleCellExperiment::SingleCellExperiment(
    list(counts = Matrix::Matrix(counts, sparse = TRUE)),
    colData = data.frame(covariate = covariate, Size_Factor = size_factor)
  )
}

z_correlation <- function(data) {
  z <- data$Bhat / data$Shat
  stats::cor(z[stats::complete.cases(z), ])
}

# What mashr::mash_set_data() and its likelihood refuse.
expect_mashr_takes <- function(data) {
  expect_true(is.matrix(data$Bhat) && is.double(data$Bhat))
  expect_identical(dimnames(data$Shat), dimnames(data$Bhat))
  expect_identical(is.na(data$Shat), is.na(data$Bhat))
  expect_false(any(is.nan(data$Bhat)) || any(is.infinite(data$Bhat)))
  shat <- data$Shat[!is.na(data$Shat)]
  expect_true(all(shat > .Machine$double.eps & shat < Inf))
  expect_identical(dim(data$V), rep(ncol(data$Bhat), 2))
  expect_true(isSymmetric(data$V))
  eigenvalues <- eigen(data$V, symmetric = TRUE, only.values = TRUE)$values
  expect_gt(min(eigenvalues), 0.9e-4)
  expect_equal(unname(diag(data$V)), rep(1, ncol(data$V)))
}

small <- function(...) {
  screen <- simulate_screen(n_cells = 500, n_genes = 40, n_perturbations = 5, ...)
  suppressMessages(fit_screen(screen, "perturbation", control = "control"))
}

test_that("errors of perturbations with the same controls go together as is seen", {
  withr::local_seed(1)
  label <- rep(c("control", "p1", "p2", "p3"), c(80, 150, 60, 30))
  membership <- 1 * outer(label, unique(label), `==`)
  colnames(membership) <- unique(label)
  often <- c(control = 0.5, p1 = 0.9, p2 = 0.9, p3 = 0.1)[label]
  screen <- null_screen(membership, stats::rbinom(length(label), 1, often))
  for (reference in c("control", "complement", "perturbed")) {
    fit <- suppressMessages(fit_screen(
      screen, membership, ~covariate, control = "control", reference = reference
    ))
    data <- mash_data(fit)
    # Three standard errors of a correlation of 1,500, and what weights differ by.
    expect_lt(max(abs(data$V - z_correlation(data))), 0.1)
    expect_mashr_takes(data)
    expect_gt(max(abs(data$V[upper.tri(data$V)])), 0.3)
    error <- fit$shared_error
    expect_null(error$overlap)
    # Without covariates it is known.
    plain <- suppressMessages(fit_screen(
      screen[1:10, ], membership, control = "control", size_factors = "none"
    ))
    n <- plain$perturbations$n_cells
    share <- sqrt(n / (n + 80))
    known <- outer(share, share)
    diag(known) <- 1
    expect_equal(unname(mash_data(plain)$V), known, tolerance = 1e-12)
  }
})

test_that("so do those of perturbations in the same cells", {
  withr::local_seed(2)
  n <- 500
  membership <- matrix(stats::rbinom(n * 3, 1, rep(c(0.3, 0.2, 0.4), each = n)), n)
  same <- stats::runif(n) < 0.5
  membership[same, 2] <- membership[same, 1]
  membership[1:100, ] <- 0
  membership <- cbind(membership, rowSums(membership) == 0)
  colnames(membership) <- c("p1", "p2", "p3", "control")
  screen <- null_screen(membership, stats::rnorm(n) + membership[, 3])
  for (reference in c("control", "complement", "perturbed")) {
    fit <- suppressMessages(fit_screen(
      screen, membership, ~covariate, control = "control", reference = reference
    ))
    data <- mash_data(fit)
    expect_lt(max(abs(data$V - z_correlation(data))), 0.1)
    expect_mashr_takes(data)
    # A part of a fit has its own part of it, in its own order.
    part <- mash_data(fit[1:100, c("p3", "p1")])
    expect_identical(part$V, data$V[c("p3", "p1"), c("p3", "p1")])
  }
  file <- withr::local_tempfile(fileext = ".h5")
  saved <- suppressMessages(fit_screen(
    screen[1:20, ], membership, ~covariate, control = "control", output = file
  ))
  expect_identical(mash_data(read_screen(file))$V, mash_data(saved)$V)
})

test_that("matrices hold the estimates, and NA where there is none", {
  fit <- small()
  data <- mash_data(fit)
  table <- coefficient_table(fit)
  at <- cbind(table$gene_id, table$perturbation)
  at <- at[table$gene_id %in% rownames(data$Bhat), ]
  table <- table[table$gene_id %in% rownames(data$Bhat), ]
  ok <- table$status == "ok"
  expect_gt(sum(!ok), 0)
  expect_identical(data$Bhat[at], ifelse(ok, table$estimate, NA))
  expect_identical(data$Shat[at], ifelse(ok, table$std_err, NA))
  expect_identical(dimnames(data$Bhat), dimnames(data$Shat))
  expect_true(all(is.finite(data$Bhat[at][ok])))
  all_pairs <- coefficient_table(fit)
  counted <- table(all_pairs$status[all_pairs$status != "ok"])
  expect_identical(data$missing$entries, as.vector(counted[data$missing$status]))
  expect_setequal(data$missing$status, names(counted))
  without <- tapply(all_pairs$status == "ok", all_pairs$gene_id, sum)
  expect_setequal(data$dropped, names(without)[without == 0])

  expect_mashr_takes(data)
  strict <- mash_data(fit, missing = "drop")
  expect_false(anyNA(strict$Bhat))
  expect_setequal(rownames(strict$Bhat), names(without)[without == ncol(fit)])

  turned <- mash_data(fit, rows = "perturbations", V = "identity")
  expect_identical(turned$Bhat[, rownames(data$Bhat)], t(data$Bhat))
  expect_identical(unname(turned$V), diag(ncol(turned$Bhat)))
  expect_error(
    mash_data(fit, rows = "perturbations", V = "shared"), "conditions",
    class = "scoria_error_V"
  )
  # Of a part of its table, too.
  part <- mash_data(coefficient_table(fit, status = "ok"), V = "identity")
  expect_equal(part$Bhat, data$Bhat[rownames(part$Bhat), colnames(part$Bhat)])
  expect_identical(unique(part$missing$status), "not asked for")
  some <- mash_data(fit, genes = c("gene_007", "gene_003"), perturbations = "perturb_002")
  expect_identical(rownames(some$Bhat), c("gene_007", "gene_003"))
  expect_identical(colnames(some$Bhat), "perturb_002")
})

test_that("pairs that were not asked for are missing", {
  screen <- simulate_screen(n_cells = 500, n_genes = 40, n_perturbations = 5)
  pairs <- data.frame(
    gene_id = rep(sprintf("gene_%03d", 1:20), 2),
    perturbation = rep(c("perturb_004", "perturb_001"), each = 20)
  )[-3, ]
  fit <- suppressMessages(
    fit_screen(screen, "perturbation", control = "control", pairs = pairs)
  )
  data <- mash_data(fit)
  table <- coefficient_table(fit, status = "ok")
  expect_identical(data$Bhat[cbind(table$gene_id, table$perturbation)], table$estimate)
  expect_identical(sum(!is.na(data$Bhat)), nrow(table))
  entries <- data$missing$entries[data$missing$status == "not asked for"]
  expect_equal(entries, prod(dim(fit)) - nrow(pairs))
})

test_that("strong rows have small p-values, and the random ones depend on the seed", {
  fit <- small(effect_fraction = 0.3)
  data <- mash_data(fit)
  p <- 2 * stats::pnorm(-abs(data$Bhat / data$Shat))
  adjusted <- apply(p, 2, stats::p.adjust, "BH")
  expect_identical(data$strong, unname(which(apply(adjusted, 1, min, na.rm = TRUE) <= 0.05)))
  expect_gt(length(data$strong), 0)
  expect_identical(data$random, seq_len(nrow(data$Bhat)))
  set.seed(5)
  before <- .Random.seed
  one <- mash_data(fit, n_random = 10)
  expect_identical(.Random.seed, before)
  expect_identical(one$random, mash_data(fit, n_random = 10)$random)
  expect_false(identical(one$random, mash_data(fit, n_random = 10, seed = 2)$random))
})

test_that("tables of fit_models() have terms as conditions, and degrees of freedom", {
  counts <- matrix(stats::rpois(400, 3), 4, dimnames = list(paste0("g", 1:4), NULL))
  counts[4, ] <- 0
  cells <- data.frame(
    dose = rep(c("none", "low", "high"), c(40, 30, 30)), depth = stats::rnorm(100),
    Size_Factor = 1
  )
  fits <- fit_models(counts, "~ dose + depth", cell_metadata = cells)
  table <- coefficient_table(fits)
  data <- mash_data(fits, V = "identity")
  expect_identical(mash_data(table, V = "identity"), data)
  expect_identical(colnames(data$Bhat), setdiff(unique(table$term), c("(Intercept)", NA)))
  expect_identical(data$dropped, "g4")
  expect_identical(data$missing, tibble::tibble(status = "FAIL", entries = 3L))
  row <- table[table$gene_id == "g2" & table$term == "depth", ]
  expect_identical(data$Bhat["g2", "depth"], row$estimate)
  expect_identical(data$Shat["g2", "depth"], row$std_err)
  expect_identical(data$df, 96)
  normal <- fit_models(
    counts, "~ dose + depth", cell_metadata = cells, expression_family = "negbinomial"
  )
  expect_identical(mash_data(normal, V = "identity")$df, Inf)
  expect_identical(colnames(mash_data(fits, terms = "depth")$Bhat), "depth")
  expect_error(mash_data(fits, terms = "day"), "day", class = "scoria_error_terms")
  expect_error(
    mash_data(list(a = fits, b = normal)), "t-statistics", class = "scoria_error_mash_data"
  )
})

test_that("fits are joined as conditions by the names of genes and perturbations", {
  days <- list(day1 = small(seed = 1)[40:1, ], day2 = small(seed = 2)[, 5:1])
  pairs <- mash_data(days, V = "identity")
  expect_mashr_takes(pairs)
  expect_identical(colnames(pairs$Bhat), c("day1", "day2"))
  for (day in names(days)) {
    table <- coefficient_table(days[[day]])
    table <- table[table$status == "ok", ]
    found <- pairs$Bhat[paste(table$gene_id, table$perturbation, sep = "|"), day]
    expect_identical(unname(found), table$estimate)
    expect_identical(sum(!is.na(pairs$Bhat[, day])), nrow(table))
  }
  one <- lapply(days, function(fit) fit[, "perturb_003"])
  expect_true(all(rownames(mash_data(one, V = "identity")$Bhat) %in% rownames(days$day1)))
  wide <- mash_data(days, rows = "genes")
  expect_identical(
    colnames(wide$Bhat),
    c(paste0("day1.", colnames(days$day1)), paste0("day2.", colnames(days$day2)))
  )
  expect_identical(
    unname(wide$V[1:5, 1:5]), unname(mash_data(days$day1)$V)
  )
  expect_true(all(wide$V[1:5, 6:10] == 0))
  expect_error(mash_data(unname(days)), "name", class = "scoria_error_argument")
  expect_error(mash_data(1), "numeric|double|number", class = "scoria_error_argument")
})

test_that("the null correlation of the data is that of z without effect", {
  fit <- small()
  data <- mash_data(fit, V = "simple", missing = "drop")
  z <- data$Bhat / data$Shat
  expect_equal(data$V, stats::cor(z[apply(abs(z) < 2, 1, all), ]), tolerance = 1e-12)
  refused <- function(V, pattern) {
    expect_error(mash_data(fit, V = V), pattern, class = "scoria_error_V")
  }
  refused("sample", "V")
  refused(diag(3), "3 x 3")
  wrong <- diag(5)
  wrong[1, 2] <- wrong[2, 1] <- 1
  refused(wrong, "positive definite")
  refused(matrix(diag(5), 5, dimnames = rep(list(rev(colnames(fit))), 2)), "names")
  given <- diag(5) + 0.1
  expect_identical(mash_data(fit, V = given)$V, given)
  expect_error(
    mash_data(fit[1:3, ], V = "simple"), "genes",
    class = "scoria_error_V"
  )
})

test_that("files are written and read back, and those of fate_programDE are read", {
  path <- withr::local_tempfile(fileext = ".csv")
  data <- mash_data(small())
  expect_identical(write_mash_data(data, path), data)
  expect_identical(
    names(utils::read.csv(path, nrows = 1, check.names = FALSE)),
    c("gene", paste0("betahat_", colnames(data$Bhat)), paste0("se_", colnames(data$Bhat)))
  )
  again <- read_mash_data(path, V = data$V)
  expect_equal(again[c("Bhat", "Shat", "V", "strong")], data[c("Bhat", "Shat", "V", "strong")],
    tolerance = 1e-12
  )
  refused <- function(text, pattern) {
    writeLines(text, path)
    expect_error(read_mash_data(path), pattern, class = "scoria_error_input_file")
  }
  refused("gene,a\nx,1", "betahat_")
  refused("betahat_a,se_a\n1,1", "betahat_")
  refused("gene,betahat_a,se_b\nx,1,1", "se_")
  refused("gene,betahat_a,se_a\nx,b,1", "numbers")

  fate <- shared_data("oracle", "fate", "sim400", "guide_daywise_for_mash.csv")
  table <- utils::read.csv(fate)
  read <- read_mash_data(fate, V = "identity")
  expect_identical(colnames(read$Bhat), c("d0", "d1", "d2", "d3"))
  expect_identical(rownames(read$Bhat), paste(table$guide, table$gene, sep = "|"))
  expect_identical(unname(read$Shat[, "d2"]), table$se_d2)
})

test_that("printing says what there is", {
  expect_snapshot(mash_data(small()))
})
