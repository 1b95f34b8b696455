# A screen without an engine: what is made up in its place is exact where a test
# looks at it, and nonsense else.

# Results of genes x perturbations, as the engine returns them.
made_up_columns <- function(n_genes, n_pairs, theta = FALSE) {
  i <- seq_len(n_pairs)
  estimate <- sin(i) * 2
  std_err <- 0.2 + (i %% 7) / 10
  statistic <- estimate / std_err
  status <- integer(n_pairs)
  status[i %% 11 == 3] <- 1L
  status[i %% 13 == 5] <- 2L
  separated <- status == 1L
  none <- status == 2L
  estimate[separated] <- -Inf
  std_err[separated | none] <- NaN
  estimate[none] <- statistic[none] <- NaN
  genes <- seq_len(n_genes)
  list(
    genes = list(
      status = rep_len(c(0L, 0L, 2L), n_genes), mean = genes / 10,
      theta = c(Inf, genes[-1]), dispersion = rep(1, n_genes),
      log_likelihood = -100 * genes, iterations = rep(5L, n_genes)
    ),
    pairs = list(
      estimate = estimate, std_err = std_err, statistic = statistic,
      p_value = 2 * pnorm(-abs(statistic)), theta = if (theta) i / 2 else double(),
      error_bound = rep(1e-9, n_pairs), status = status,
      passes = rep(4L, n_pairs), refreshes = rep(0L, n_pairs)
    ),
    seconds = 1.5, peak_bytes = 12.3e6
  )
}

made_up_about <- function(n_genes, n_perturbations, pairs = NULL, ...) {
  names <- sprintf("perturb_%d", seq_len(n_perturbations))
  genes <- tibble::tibble(
    gene_id = sprintf("gene_%02d", seq_len(n_genes)),
    gene_short_name = toupper(gene_id)
  )
  options <- list(
    family = "negbinomial", dispersion = "null", test = "wald",
    se = "expected", resampling = "permutation"
  )
  list(
    genes = genes,
    perturbations = tibble::tibble(
      perturbation = names, n_cells = 10L * seq_along(names)
    ),
    pairs = read_pairs(pairs, genes$gene_id, names), n_cells = 1234L,
    reference = list(kind = "control", controls = "control", n_cells = 200L),
    formula = "~batch", terms = c("(Intercept)", "batchb"),
    size_factors = "offset", size_factor_origin = "column `Size_Factor`",
    options = utils::modifyList(options, list(...)), version = "0.1.0"
  )
}

made_up_fit <- function(n_genes = 12, n_perturbations = 5, pairs = NULL, ...) {
  about <- made_up_about(n_genes, n_perturbations, pairs, ...)
  n_pairs <- if (is.null(pairs)) n_genes * n_perturbations else nrow(pairs)
  theta <- about$options$dispersion == "pair"
  new_screen_fit(about, made_up_columns(n_genes, n_pairs, theta))
}

# The same results, read from what stands for a file.
on_file <- function(fit) {
  columns <- fit$store$columns
  fit$store <- rlang::env_clone(fit$store)
  fit$store$columns <- NULL
  fit$store$path <- "results.scoria"
  fit$store$cache <- list()
  fit$store$read <- function(column, from, to) {
    fit$store$reads <- c(fit$store$reads, to - from + 1)
    columns[[column]][from:to]
  }
  fit
}

# Small blocks of pairs until the test ends.
local_chunks <- function(size, frame = parent.frame()) {
  withr::local_options(scoria.pairs_at_a_time = size, .local_envir = frame)
}

# A small screen for what comes before the engine.
tiny_counts <- function(n_genes = 3, n_cells = 12) {
  matrix(
    as.double(seq_len(n_genes * n_cells) %% 5), n_genes, n_cells,
    dimnames = list(
      c("GATA1", "TAL1", "MYB", "SPI1")[seq_len(n_genes)],
      paste0("cell", seq_len(n_cells))
    )
  )
}

tiny_cells <- function(labels = rep(c("control", "A", "B"), each = 4)) {
  data.frame(
    guide = labels, batch = rep(c("x", "y"), length.out = length(labels)),
    Size_Factor = 1, row.names = paste0("cell", seq_along(labels))
  )
}

# What fit_screen() would hand to the engine.
request <- function(perturbation = "guide", formula = ~1, ..., cells = tiny_cells(),
                    counts = tiny_counts(), threshold = NULL,
                    guide_targets = NULL, x = counts, given = list(),
                    call = rlang::caller_env()) {
  source <- if (is.matrix(x)) {
    as_source(x, cell_metadata = cells)
  } else {
    as_source(x)
  }
  given <- utils::modifyList(screen_choices(), given)
  options <- screen_options(given, call = call)
  assigned <- read_perturbation(
    perturbation, x, source, threshold, guide_targets, call
  )
  screen_request(source, assigned, formula, options, ..., call = call)
}

# Cells of each perturbation, counted from one.
cells_of <- function(request) {
  screen <- request$screen
  k <- seq_len(length(screen$perturbation_p) - 1)
  cells <- lapply(k, function(k) {
    from <- screen$perturbation_p[k]
    request$cells[
      screen$perturbation_i[from + seq_len(screen$perturbation_p[k + 1] - from)] + 1L
    ]
  })
  stats::setNames(cells, request$about$perturbations$perturbation)
}

reference_of <- function(request) {
  request$cells[request$screen$reference_cells + 1L]
}

# What is compared for pair k: the reference and the perturbed cells.
compared <- function(request, k) {
  screen <- request$screen
  n <- length(request$cells)
  from <- screen$perturbation_p[k]
  has <- logical(n)
  has[screen$perturbation_i[from + seq_len(screen$perturbation_p[k + 1] - from)] + 1L] <- TRUE
  reference <- logical(n)
  reference[(screen$reference_cells %||% (seq_len(n) - 1L)) + 1L] <- TRUE
  list(has = has, used = has | reference, null = reference)
}

# Pair (g, k) written out at a given theta, with and without the perturbation:
# everything that fit_screen() may report of it. By Newton's method with halved
# steps, for stats::glm() diverges where counts are extreme.
pair_by_hand <- function(made, g, k, theta = Inf) {
  sets <- compared(made, k)
  used <- sets$used
  x <- made$screen$design[used, , drop = FALSE]
  x <- x[, qr(x)$pivot[seq_len(qr(x)$rank)], drop = FALSE]
  has <- as.double(sets$has[used])
  full <- cbind(x, has)
  y <- as.double(made$counts[g, used])
  offset <- made$screen$offset[used]

  log_likelihood <- function(mu) {
    if (is.infinite(theta)) {
      return(sum(stats::dpois(y, mu, log = TRUE)))
    }
    sum(stats::dnbinom(y, size = theta, mu = mu, log = TRUE))
  }
  residual <- function(mu) (y - mu) / (1 + mu / theta)
  expected <- function(mu) crossprod(full * sqrt(mu / (1 + mu / theta)))
  observed <- function(mu, x = full) {
    crossprod(x * sqrt(mu * (1 + y / theta)) / (1 + mu / theta))
  }
  fit <- function(x, b) {
    mean <- function(b) exp(offset + as.double(x %*% b))
    for (step in 1:40) {
      mu <- mean(b)
      by <- as.double(solve(observed(mu, x), crossprod(x, residual(mu))))
      while (max(abs(by)) > 1e-13 && !(log_likelihood(mean(b + by)) >= log_likelihood(mu))) {
        by <- by / 2
      }
      b <- b + by
      if (max(abs(by)) < 1e-13) break
    }
    list(b = b, mu = mean(b))
  }
  rate <- function(cells) log(sum(y[cells]) / sum(exp(offset[cells])))
  p <- ncol(full)
  null <- fit(x, c(rate(TRUE), double(p - 2)))$mu
  with <- fit(
    full, c(rate(has == 0), double(p - 2), rate(has == 1) - rate(has == 0))
  )
  mu <- with$mu
  inverse <- solve(expected(mu))
  sandwich <- inverse %*% crossprod(full * residual(mu)) %*% inverse
  estimate <- with$b[p]
  se <- sqrt(c(
    expected = inverse[p, p], observed = solve(observed(mu))[p, p],
    sandwich = sandwich[p, p]
  ))
  gain <- max(log_likelihood(mu) - log_likelihood(null), 0)
  list(
    estimate = estimate, se = se, cells = used,
    statistic = c(
      wald = estimate / se[["expected"]], lrt = sign(estimate) * sqrt(2 * gain),
      score = sum(has * residual(null)) * sqrt(solve(expected(null))[p, p])
    )
  )
}

# Twelve cells x four guides: without any, and with up to two a cell.
membership <- function() {
  matrix(
    FALSE, 12, 4,
    dimnames = list(paste0("cell", 1:12), c("NT1", "NT2", "A", "B"))
  )
}

several <- function() {
  has <- membership()
  has[c(1, 2, 5), "NT1"] <- TRUE
  has[3, "NT2"] <- TRUE
  has[5:8, "A"] <- TRUE
  has[8:10, "B"] <- TRUE
  has
}
