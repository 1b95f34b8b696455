# Genes, perturbations and covariates at which a pair can go wrong.

skip_if_not_installed("MASS")

n <- 300
labels <- rep(c("ctl", "A", "B", "C", "one"), c(120, 60, 60, 59, 1))
cells <- withr::with_seed(3, data.frame(
  label = labels, batch = factor(sample(c("x", "y"), n, TRUE)),
  Size_Factor = exp(rnorm(n, 0, 0.3)), m = runif(n)
))
in_a <- labels == "A"

# Counts of genes that are hard to fit, one a row.
hard_counts <- function() {
  size <- cells$Size_Factor
  draw <- function(mean, theta = 2) rnbinom(n, size = theta, mu = mean * size)
  withr::with_seed(5, rbind(
    zero = 0, single = replace(double(n), 130, 1),
    single_control = replace(double(n), 5, 1),
    only_in_a = ifelse(in_a, draw(2), 0), none_in_a = ifelse(in_a, 0, draw(2)),
    rare = ifelse(in_a, 0, draw(0.05)), none_in_control = ifelse(labels == "ctl", 0, draw(2)),
    usual = draw(3), huge = round(1e6 * size * rgamma(n, 5, 5) * ifelse(in_a, 2, 1)),
    outlier = replace(draw(1), 130, 1e6), poisson = rpois(n, 2 * size),
    underdispersed = rep(c(2, 3), n / 2), constant = 1, bursts = rnbinom(n, size = 0.04, mu = 2)
  ))
}

counts <- hard_counts()

# One column a perturbation: each label's, twins, no cell.
memberships <- function() {
  own <- c("ctl", "A", "B", "C", "one")
  has <- vapply(own, function(label) labels == label, logical(n))
  cbind(has, twin_of_a = in_a, none = FALSE)
}

fit_hard <- function(formula = ~batch, ..., perturbation = memberships(),
                     data = cells, genes = rownames(counts)) {
  suppressMessages(fit_screen(
    counts[genes, , drop = FALSE], perturbation, formula,
    cell_metadata = data, ...
  ))
}

statuses <- function(fit) {
  table <- coefficient_table(fit)
  matrix(
    table$status, ncol(fit),
    dimnames = list(colnames(fit), rownames(fit))
  )
}

test_that("every pair has the status that says what is wrong with it", {
  has <- cbind(memberships(), batch_y = cells$batch == "y")
  status <- statuses(fit_hard(reference = "complement", perturbation = has))
  expect_true(all(status["none", ] == "no cells"))
  expect_true(all(status["batch_y", ] == "aliased"))
  fitted <- c("ctl", "A", "B", "C", "one", "twin_of_a")
  expect_true(all(status[fitted, "zero"] == "all zero"))
  usual <- c("usual", "huge", "poisson", "underdispersed", "constant")
  expect_true(all(status[fitted, usual] == "ok"))
  expect_true(all(status[fitted, "single"] == "separated"))
  gone <- c("only_in_a", "none_in_a", "rare")
  expect_true(all(status[c("A", "twin_of_a"), gone] == "separated"))
  expect_identical(status[["ctl", "none_in_control"]], "separated")
  expect_identical(status["A", ], status["twin_of_a", ])

  fit <- fit_hard(~1, control = "ctl")
  status <- statuses(fit)
  expect_identical(status[["A", "only_in_a"]], "separated")
  expect_identical(status[["B", "only_in_a"]], "all zero")
  expect_identical(status[["one", "single"]], "all zero")
  empty <- fit$genes$gene_id[fit$genes$status == "all zero"]
  expect_identical(empty, c("zero", "single", "only_in_a", "none_in_control"))
})

test_that("what was fitted of hard genes is the maximum of their likelihood", {
  fits <- list(
    list(formula = ~batch, reference = "complement"),
    list(formula = ~ batch + m, control = "ctl")
  )
  for (given in fits) {
    fit <- do.call(fit_hard, given)
    made <- suppressMessages(do.call(
      request, c(list(memberships(), cells = cells, counts = counts), given)
    ))
    table <- coefficient_table(fit, status = "ok")
    for (row in seq_len(nrow(table))) {
      slow <- pair_by_hand(
        made, table$gene_id[row],
        match(table$perturbation[row], colnames(fit)), table$theta[row]
      )
      label <- paste(table$gene_id[row], table$perturbation[row])
      off <- (table$estimate[row] - slow$estimate) / slow$se[["expected"]]
      expect_lt(abs(off), 1e-5, label = label)
      expect_equal(
        table$std_err[row], slow$se[["expected"]],
        tolerance = 1e-5, label = label
      )
    }
    expect_gt(nrow(table), 35)
    twins <- lapply(c("A", "twin_of_a"), function(name) {
      table <- coefficient_table(fit, perturbation = name)
      table$perturbation <- NULL
      table
    })
    expect_identical(twins[[1]], twins[[2]])
  }
})

test_that("theta is the maximum-likelihood estimate in the reference cells", {
  used <- labels == "ctl"
  fit <- fit_hard(~batch, control = "ctl")
  fits <- suppressMessages(fit_models(
    counts[, used], ~batch, "negbinomial", cell_metadata = cells[used, ]
  ))
  theta <- vapply(fits$model, `[[`, 0, "theta")
  expect_equal(fit$genes$theta, unname(theta), tolerance = 1e-8)
  poisson <- c("underdispersed", "constant")
  expect_true(all(is.infinite(theta[poisson])))
  model <- MASS::glm.nb(
    counts["usual", used] ~ batch + offset(log(Size_Factor)), cells[used, ],
    control = stats::glm.control(epsilon = 1e-12, maxit = 100)
  )
  expect_equal(theta[["usual"]], model$theta, tolerance = 1e-5)
})

# Log-likelihoods of a Poisson model of some cells' counts.
poisson_peak <- function(gene, used) {
  y <- counts[gene, used]
  if (all(y == 0)) {
    return(0)
  }
  model <- stats::glm(
    y ~ offset(log(Size_Factor)), stats::poisson(), cells[used, ],
    control = stats::glm.control(epsilon = 1e-15, maxit = 100)
  )
  as.numeric(stats::logLik(model))
}

test_that("separated pairs are tested by what the likelihood gains at infinity", {
  # At infinity, either group's cells are a model of their own.
  expect_limit <- function(fit, gene, sign, reference) {
    table <- coefficient_table(fit, gene = gene, perturbation = "A")
    expect_identical(table$status, "separated")
    expect_identical(table$estimate, sign * Inf)
    expect_identical(table$std_err, NA_real_)
    gain <- poisson_peak(gene, in_a) + poisson_peak(gene, reference & !in_a) -
      poisson_peak(gene, reference | in_a)
    expect_equal(table$statistic, sign * sqrt(2 * gain), tolerance = 1e-6)
    expect_equal(
      table$p_value, 2 * stats::pnorm(-sqrt(2 * gain)),
      tolerance = 1e-4
    )
  }
  for (test in c("wald", "lrt")) {
    fit <- fit_hard(~1, family = "poisson", reference = "complement", test = test)
    expect_limit(fit, "rare", -1, TRUE)
    expect_limit(fit, "none_in_a", -1, TRUE)
    expect_limit(fit, "single", 1, TRUE)
    expect_limit(fit, "only_in_a", 1, TRUE)
    fit <- fit_hard(~1, family = "poisson", control = "ctl", test = test)
    expect_limit(fit, "rare", -1, labels == "ctl")
    expect_limit(fit, "none_in_a", -1, labels == "ctl")
    expect_limit(fit, "single", 1, labels == "ctl")
    expect_limit(fit, "only_in_a", 1, labels == "ctl")
  }
  # Without perturbed cells, the negative binomial's null has the theta of the gene.
  fit <- fit_hard(~1, control = "ctl")
  theta <- fit$genes$theta[fit$genes$gene_id == "none_in_a"]
  family <- MASS::negative.binomial(theta)
  peak <- function(used) {
    model <- stats::glm(
      counts["none_in_a", used] ~ offset(log(Size_Factor)), family, cells[used, ],
      control = stats::glm.control(epsilon = 1e-15, maxit = 100)
    )
    sum(stats::dnbinom(model$y, size = theta, mu = fitted(model), log = TRUE))
  }
  gain <- peak(labels == "ctl") - peak(labels %in% c("ctl", "A"))
  table <- coefficient_table(fit, gene = "none_in_a", perturbation = "A")
  expect_equal(table$statistic, -sqrt(2 * gain), tolerance = 1e-6)
})

test_that("no test at all loses the p-value of a separated pair", {
  for (family in c("negbinomial", "poisson", "quasipoisson")) {
    for (test in c("wald", "lrt", "score")) {
      for (given in list(list(reference = "complement"), list(control = "ctl"))) {
        fit <- do.call(fit_hard, c(
          list(~1, family = family, test = test), given
        ))
        table <- coefficient_table(fit, status = "separated")
        expect_gt(nrow(table), 10)
        label <- paste(family, test, fit$reference$kind)
        expect_false(anyNA(table$p_value), label = label)
        expect_identical(sign(table$statistic), sign(table$estimate), label = label)
      }
    }
  }
})

test_that("batches that control cells lack are fitted where perturbed cells have them", {
  partly <- withr::with_seed(1, ifelse(in_a & runif(n) < 0.5, "z", as.character(cells$batch)))
  wholly <- ifelse(in_a, "z", as.character(cells$batch))
  fit <- function(of_cells) {
    fit_hard(
      ~batch, control = "ctl", perturbation = labels, genes = "usual",
      data = transform(cells, batch = of_cells)
    )
  }
  table <- coefficient_table(fit(partly))
  expect_identical(unique(table$status), "ok")
  made <- request(
    labels, ~batch, control = "ctl", counts = counts,
    cells = transform(cells, batch = partly)
  )
  slow <- pair_by_hand(made, "usual", 1, table$theta[1])
  expect_equal(table$estimate[1], slow$estimate, tolerance = 1e-5)
  expect_equal(table$std_err[1], slow$se[["expected"]], tolerance = 1e-5)
  # The others do not have it, and are as they were.
  before <- coefficient_table(fit(as.character(cells$batch)))
  expect_equal(table$estimate[-1], before$estimate[-1], tolerance = 1e-8)
  # All of A in a batch of its own: the two cannot be told apart.
  table <- coefficient_table(fit(wholly))
  expect_identical(table$status, c("aliased", "ok", "ok", "ok"))
  expect_equal(table$estimate[-1], before$estimate[-1], tolerance = 1e-8)
})

test_that("levels without a cell, and aliased covariates, change nothing", {
  usual <- function(formula, data = cells, ...) {
    fit <- fit_hard(formula, data = data, genes = c("usual", "none_in_a"), ...)
    coefficient_table(fit)
  }
  wanted <- usual(~batch, control = "ctl")
  levels <- transform(cells, batch = factor(batch, c("w", "x", "y", "z")))
  expect_equal(usual(~batch, levels, control = "ctl"), wanted, tolerance = 1e-10)
  twice <- transform(cells, again = 2 * (batch == "y"))
  expect_equal(
    usual(~ batch + again, twice, control = "ctl"), wanted,
    tolerance = 1e-6
  )
})

test_that("covariates that are missing or infinite are refused, or left out", {
  holes <- cells
  holes$m[c(1, 150)] <- NA
  expect_error(
    fit_hard(~m, data = holes, control = "ctl"),
    "2 of 300 values are NA",
    class = "scoria_error_missing"
  )
  left <- fit_hard(
    ~m, data = holes, perturbation = labels, control = "ctl", na_action = "omit"
  )
  kept <- -c(1, 150)
  by_hand <- suppressMessages(fit_screen(
    counts[, kept], labels[kept], ~m, cell_metadata = cells[kept, ],
    control = "ctl"
  ))
  expect_identical(coefficient_table(left), coefficient_table(by_hand))
  holes$m[] <- replace(cells$m, 7, Inf)
  expect_error(
    fit_hard(~m, data = holes, control = "ctl", na_action = "omit"),
    "1 of 300 values are Inf",
    class = "scoria_error_missing"
  )
})
