# What plots show, as ggplot2 builds it; how they look is in the snapshots.

skip_if_not_installed("ggplot2")

drawn <- function(plot, layer = 1) ggplot2::layer_data(plot, layer)

# All points, those in their place and those at the edge.
all_points <- function(plot) {
  built <- ggplot2::ggplot_build(plot)
  is_point <- vapply(plot$layers, function(layer) {
    inherits(layer$geom, "GeomPoint")
  }, NA)
  columns <- c("x", "y", "colour", "shape", "PANEL")
  do.call(rbind, lapply(built$data[is_point], `[`, columns))
}

# The titles by name; NULL where there is none.
words_of <- function(plot) plot$labels

# Prints without a warning or a message.
expect_quiet <- function(plot) {
  file <- withr::local_tempfile(fileext = ".pdf")
  grDevices::pdf(file)
  withr::defer(grDevices::dev.off())
  expect_no_warning(expect_no_message(print(plot)))
}

colour <- function(change) change_colours()[[change]]

test_that("a volcano plot shows every tested pair, infinite ones at the edge", {
  fit <- made_up_fit(40, 3)
  table <- coefficient_table(fit)
  tested <- table[!is.na(table$p_value), ]
  plot <- plot_volcano(fit)
  points <- all_points(plot)
  expect_equal(nrow(points), nrow(tested))
  expect_equal(
    sort(points$y), sort(-log10(tested$p_value)), ignore_attr = TRUE
  )
  # Each panel has its perturbation's.
  expect_equal(
    as.vector(table(points$PANEL)),
    as.vector(table(tested$perturbation))
  )
  separated <- sum(is.infinite(tested$estimate))
  expect_gt(separated, 0)
  edge <- points[points$shape == 17, ]
  expect_equal(nrow(edge), separated)
  expect_true(all(is.finite(edge$x)))
  expect_true(all(edge$x < min(points$x[points$shape == 16])))
  expect_match(words_of(plot)$caption, paste(separated, "without a finite estimate"))
  expect_match(
    words_of(plot)$caption, paste(sum(is.na(table$p_value)), "pairs without a p-value")
  )
  significant <- which(tested$q_value <= 0.05)
  expect_equal(sum(points$colour == colour("down")), sum(tested$estimate[significant] < 0))
  expect_equal(sum(points$colour == colour("up")), sum(tested$estimate[significant] > 0))
  expect_match(
    words_of(plot)$subtitle,
    paste0("^", length(significant), " of ", nrow(tested), " pairs")
  )
  expect_quiet(plot)
})

test_that("p-values of zero are at the upper edge of their panel", {
  fit <- made_up_fit(40, 3)
  tiny <- which(fit$store$columns$status == 0)[c(1, 5, 9)]
  fit$store$columns$p_value[tiny] <- 0
  plot <- plot_volcano(fit)
  points <- all_points(plot)
  zero <- plot$data[plot$data$p_value == 0, ]
  expect_equal(nrow(zero), 3)
  for (i in 1:3) {
    others <- plot$data[plot$data$panel == zero$panel[i] & plot$data$p_value > 0, ]
    expect_gt(zero$y[i], max(others$y))
    expect_true(zero$edge[i])
  }
  expect_true(all(is.finite(points$y)))
  expect_match(words_of(plot)$caption, "3 with p = 0")
  expect_quiet(plot)
})

test_that("few perturbations get panels, many share one", {
  panels <- function(plot) nrow(ggplot2::ggplot_build(plot)$layout$layout)
  fit <- made_up_fit(10, 14)
  for (draw in list(plot_volcano, plot_ma)) {
    expect_equal(panels(draw(fit)), 1)
    expect_equal(panels(draw(fit[, 1:12])), 12)
    expect_equal(panels(draw(fit, c("perturb_2", "perturb_13"))), 2)
    expect_equal(panels(draw(fit, "perturb_2")), 1)
  }
  expect_equal(
    nrow(all_points(plot_volcano(fit, "perturb_2"))),
    sum(!is.na(coefficient_table(fit, perturbation = "perturb_2")$p_value))
  )
})

test_that("the pairs with the smallest p-values get labels", {
  fit <- made_up_fit(40, 1)
  texts <- function(plot) {
    is_text <- vapply(plot$layers, function(layer) {
      !inherits(layer$geom, c("GeomPoint", "GeomVline", "GeomHline"))
    }, NA)
    drawn(plot, which(is_text))$label
  }
  table <- coefficient_table(fit, q_value = 0.05)
  best <- table$gene_short_name[order(table$p_value)]
  expect_identical(texts(plot_volcano(fit, label = 1)), best[1])
  expect_true(all(texts(plot_volcano(fit, label = 5)) %in% best))
  expect_length(texts(plot_volcano(fit, label = 0)), 0)
  # With several perturbations a panel, labels say which.
  several <- texts(plot_volcano(made_up_fit(10, 14), label = 1))
  expect_match(several, "^perturb_[0-9]+: GENE_")
  # No label is close to another.
  kept <- spread_out(c(0, 0.05, 0.5, 0.52), c(0, 0, 0, 0.5), c(0.1, 0.1), 10)
  expect_identical(kept, c(1L, 3L, 4L))
  expect_identical(spread_out(1:5, 1:5, c(0.1, 0.1), 2), 1:2)
})

test_that("an MA plot has means, and estimates that are not finite at the edge", {
  fit <- made_up_fit(40, 3)
  fit$genes$mean[7] <- 0
  table <- coefficient_table(fit)
  tested <- table[!is.na(table$p_value), ]
  plot <- plot_ma(fit)
  points <- all_points(plot)
  expect_equal(nrow(points), nrow(tested))
  inside <- points[points$shape == 16, ]
  shown <- tested[is.finite(tested$estimate) & tested$mean > 0, ]
  expect_equal(sort(inside$x), sort(log10(shown$mean)))
  expect_equal(sort(inside$y), sort(shown$log2_fold_change), tolerance = 1e-12)
  expect_equal(sum(points$shape == 17), nrow(tested) - nrow(shown))
  expect_match(words_of(plot)$caption, "with mean 0")
  expect_quiet(plot)
})

test_that("of many pairs each spot has one, which stands for the others", {
  set.seed(1)
  n <- 1e5
  rows <- tibble::tibble(
    effect = c(rnorm(n), Inf, -Inf, -Inf), p_value = runif(n + 3), mean = 1,
    change = rep(c("none", "up"), c(n - 7, 10)), stands_for = 1,
    perturbation = "a"
  )
  rows$p_value[5] <- 0
  thin <- thin_pairs(rows, "p_value", apart = FALSE)
  expect_lt(nrow(thin), nrow(rows))
  expect_equal(sum(thin$stands_for), nrow(rows))
  # The pair with the smallest p-value, and all that lie alone, are still there.
  expect_equal(sort(thin$p_value)[1:5], sort(rows$p_value)[1:5])
  expect_true(all(c(-Inf, Inf, range(rows$effect[1:n])) %in% thin$effect))
  expect_equal(sum(thin$stands_for[thin$change == "up"]), 10)
  # None is further from its place than the width of a spot.
  first <- first_on_spot(rows$effect, -log10(rows$p_value), rows$change)
  inside <- is.finite(rows$effect) & rows$p_value > 0
  expect_lte(
    max(abs(rows$effect - rows$effect[first])[inside]),
    diff(range(rows$effect[inside])) / 500 * (1 + 1e-9)
  )
})

test_that("a plot of a screen in a file, read in blocks, is the same", {
  fit <- made_up_fit(30, 13)
  local_chunks(50)
  for (draw in list(plot_volcano, plot_ma, plot_qq, plot_hits, plot_effects)) {
    a <- draw(fit)
    b <- draw(on_file(fit))
    expect_equal(a$data, b$data)
    expect_equal(a$labels, b$labels)
  }
  targets <- c(perturb_1 = "gene_03", perturb_4 = "GENE_01")
  expect_equal(
    suppressMessages(plot_knockdown(fit, targets))$data,
    suppressMessages(plot_knockdown(on_file(fit), targets))$data
  )
})

test_that("a Q-Q plot has expected quantiles, and the band of order statistics", {
  set.seed(2)
  p <- runif(100)
  plot <- plot_qq(p)
  points <- plot$data[order(plot$data$expected), ]
  expect_equal(points$expected, sort(-log10(1:100 / 101)))
  expect_equal(points$observed, sort(-log10(p)))
  # Beta(1, n) in closed form: the smallest is above u with probability (1 - u)^n.
  smallest <- points[100, ]
  expect_equal(smallest$lower, -log10(1 - 0.025^(1 / 100)))
  expect_equal(smallest$upper, -log10(1 - 0.975^(1 / 100)))
  chi <- qchisq(median(p), 1, lower.tail = FALSE) / qchisq(0.5, 1)
  expect_match(words_of(plot)$subtitle, sprintf("lambda = %.2f", chi), fixed = TRUE)
  expect_equal(inflation(c(0.5, 0.5)), 1)
  expect_quiet(plot)
})

test_that("of many p-values the tail is whole, and the rest is thin", {
  set.seed(3)
  p <- runif(1e5)
  rows <- plot_qq(p)$data
  expect_lt(nrow(rows), 2000)
  expect_equal(rows$observed[1:500], -log10(sort(p)[1:500]))
  expect_equal(min(rows$observed), -log10(max(p)))
  # No step on either axis of more than what is seen.
  expect_lt(max(-diff(rows$expected[-(1:500)])), 0.01)
})

test_that("p-values beyond the axis are at its edge", {
  p <- c(0, 1e-300, 1e-20, (1:97) / 97)
  plot <- plot_qq(p)
  expect_equal(sum(plot$data$edge), 3)
  expect_true(all(is.finite(plot$data$observed)))
  expect_match(words_of(plot)$caption, "3 p-values below")
  expect_equal(sum(plot_qq(p, top = 25)$data$edge), 2)
  expect_quiet(plot)
})

test_that("p-values are taken in strata", {
  fit <- made_up_fit(20, 3)
  table <- coefficient_table(fit)
  of_fit <- plot_qq(fit, by = "perturbation")
  of_table <- plot_qq(table, by = "perturbation")
  expect_equal(of_fit$data, of_table$data)
  counts <- tapply(!is.na(table$p_value), table$perturbation, sum)
  expect_equal(as.vector(table(of_fit$data$panel)), as.vector(counts))
  # Numbers in four parts.
  by_mean <- plot_qq(fit, by = "mean")$data$panel
  expect_length(levels(by_mean), 4)
  expect_match(levels(by_mean)[1], "^mean 0.1 to 0.57")
  expect_equal(length(by_mean), sum(counts))
  of_p <- plot_qq(table$p_value, by = table$perturbation)
  expect_equal(of_p$data, of_table$data)
  expect_match(words_of(plot_qq(fit))$caption, paste(sum(is.na(table$p_value)), "NA"))
  expect_quiet(of_fit)
})

test_that("hits are counted by perturbation, up and down", {
  fit <- made_up_fit(30, 5)
  table <- coefficient_table(fit, q_value = 0.01)
  plot <- plot_hits(fit, q_value = 0.01)
  rows <- plot$data
  expect_equal(nrow(rows), 10)
  names <- rev(ggplot2::ggplot_build(plot)$layout$panel_params[[1]]$y$get_labels())
  down <- up <- integer(5)
  names(down) <- names(up) <- fit$perturbations$perturbation
  of <- factor(table$perturbation, names(down))
  down[] <- tapply(table$estimate < 0, of, sum, default = 0)
  up[] <- tapply(table$estimate > 0, of, sum, default = 0)
  at <- order(-(down + up))
  expect_equal(rows$genes, unname(c(-down[at], up[at])))
  expect_setequal(names, names(down)[at])
  expect_equal(sum(abs(rows$genes)), nrow(table))
  expect_equal(plot_hits(coefficient_table(fit), q_value = 0.01)$data, rows)
  expect_quiet(plot)
})

test_that("of many perturbations 40 have bars, and all have ranks", {
  fit <- made_up_fit(12, 100)
  plot <- plot_hits(fit)
  rows <- plot$data
  expect_equal(as.vector(table(rows$panel)), c(80, 200))
  per_rank <- function(rows) tapply(abs(rows$genes), rows$place, sum)
  curve <- rows[rows$place > 0, ]
  totals <- as.vector(rev(per_rank(curve)))
  expect_equal(totals, sort(summary(fit)$significant, decreasing = TRUE))
  built <- ggplot2::ggplot_build(plot)$layout$panel_params
  expect_length(stats::na.omit(built[[1]]$y$get_labels()), 40)
  expect_setequal(stats::na.omit(built[[2]]$y$get_labels()), c("1", "10", "100"))
  expect_quiet(plot)
})

test_that("a heat map shows the asked pairs, or those with most hits", {
  fit <- made_up_fit(30, 8)
  table <- coefficient_table(fit)
  genes <- c("gene_02", "gene_09", "gene_21")
  plot <- plot_effects(fit, genes, c("perturb_7", "perturb_2"))
  cells <- plot$data
  expect_equal(nrow(cells), 6)
  expect_setequal(as.character(cells$gene), toupper(genes))
  at <- match(
    paste(tolower(cells$gene), cells$perturbation),
    paste(table$gene_id, table$perturbation)
  )
  limit <- colour_limit(table$log2_fold_change[at])
  expect_equal(
    cells$effect, pmin(pmax(table$log2_fold_change[at], -limit), limit)
  )
  expect_equal(cells$significant, at %in% which(table$q_value <= 0.05))
  some <- plot_effects(fit, most = 4)$data
  expect_equal(c(nlevels(some$gene), nlevels(some$perturbation)), c(4, 4))
  counts <- summary(fit)
  best <- counts$perturbation[order(-counts$significant)][1:4]
  expect_setequal(levels(some$perturbation), best)
  z <- plot_effects(fit, genes, "perturb_2", value = "z")$data
  raw <- coefficient_table(fit, gene = genes, perturbation = "perturb_2")
  expect_equal(
    z$effect[match(raw$gene_short_name, z$gene)],
    pmin(pmax(raw$statistic, -colour_limit(raw$statistic)), colour_limit(raw$statistic))
  )
  expect_quiet(plot)
})

test_that("heat maps cope with NA, infinite effects, no hits, and many columns", {
  fit <- made_up_fit(30, 8)
  map <- plot_effects(fit, rownames(fit), colnames(fit))
  expect_equal(nrow(map$data), 240)
  expect_true(anyNA(map$data$effect))
  expect_false(any(is.infinite(map$data$effect)))
  expect_match(words_of(map)$caption, "Grey: not tested")
  expect_quiet(map)
  expect_quiet(plot_effects(fit, q_value = 1e-300))
  expect_quiet(plot_effects(fit, "gene_01", "perturb_1"))
  wide <- plot_effects(made_up_fit(5, 70), perturbations = sprintf("perturb_%d", 1:70))
  expect_s3_class(wide$theme$axis.text.x, "element_blank")
  expect_s3_class(map$theme$axis.text.x, "element_text")
  # Pairs that were not asked for are cells too.
  pairs <- data.frame(
    gene = c("gene_01", "gene_02"), perturbation = c("perturb_1", "perturb_2")
  )
  few <- plot_effects(made_up_fit(3, 3, pairs))$data
  expect_equal(dim(few), c(4, 4))
  expect_equal(sum(is.na(few$effect)), 2)
})

test_that("those that are alike are side by side", {
  effects <- rbind(c(3, 3, 0), c(0, NA, -3), c(3, 2.9, 0), c(0, 0, -3))
  order <- alike(effects)
  expect_equal(abs(diff(match(c(1, 3), order))), 1)
  expect_equal(abs(diff(match(c(2, 4), order))), 1)
  expect_identical(alike(effects[1:2, ]), 1:2)
})

# A screen whose perturbations have names of genes.
guide_fit <- function() {
  fit <- made_up_fit(6, 6)
  fit$perturbations$perturbation <- c(
    "gene_01", "GENE_02_1", "gene_03g2", "GENE_04_sgRNA12", "unknown", "gene_06-g1"
  )
  fit
}

test_that("targets are found by name, with or without the number of a guide", {
  fit <- guide_fit()
  table <- coefficient_table(fit)
  expect_message(plot <- plot_knockdown(fit), "1 of 6 perturbations is not found")
  own <- table[match(
    paste(fit$perturbations$perturbation[-5], sprintf("gene_%02d", c(1:4, 6))),
    paste(table$perturbation, table$gene_id)
  ), ]
  own <- own[!is.na(own$estimate), ]
  rows <- plot$data[order(plot$data$perturbation), ]
  expect_equal(rows$perturbation, sort(own$perturbation))
  own <- own[match(rows$perturbation, own$perturbation), ]
  expect_equal(rows$effect, own$log2_fold_change)
  finite <- is.finite(own$estimate)
  expect_equal(rows$edge, !finite)
  half <- qnorm(0.975) * own$std_err / log(2)
  inside <- finite & rows$to < max(rows$to, na.rm = TRUE) &
    rows$from > min(rows$from, na.rm = TRUE)
  expect_equal(rows$to[inside], (own$log2_fold_change + half)[inside])
  expect_equal(rows$from[inside], (own$log2_fold_change - half)[inside])
  # The strongest on top.
  expect_equal(order(-plot$data$y), order(plot$data$effect))
  expect_match(words_of(plot)$caption, "1 perturbation whose target is not found")
  expect_quiet(plot)
})

test_that("names lose the number of a guide alone", {
  expect_identical(
    without_guide(c("KRAS_1", "KRASg1", "KRAS_sgRNA1", "KRAS-g12", "sgKRAS.2", "STAT2g2")),
    c("KRAS", "KRAS", "KRAS", "KRAS", "sgKRAS", "STAT2")
  )
  whole <- c("CUL3", "ARG1", "HLA-DRA", "KRAS", "MYL12")
  expect_identical(without_guide(whole), whole)
})

test_that("targets may be named, and a part of a fit knows its pairs", {
  fit <- made_up_fit(12, 5)
  targets <- c(perturb_2 = "gene_05", perturb_4 = "GENE_09", perturb_5 = "absent")
  expect_message(plot <- plot_knockdown(fit, targets), "3 of 5")
  table <- coefficient_table(fit)
  expected <- c(
    table$log2_fold_change[table$gene_id == "gene_05" & table$perturbation == "perturb_2"],
    table$log2_fold_change[table$gene_id == "gene_09" & table$perturbation == "perturb_4"]
  )
  expect_equal(sort(plot$data$effect), sort(expected))
  part <- fit[c("gene_09", "gene_05"), c("perturb_4", "perturb_2")]
  expect_equal(plot_knockdown(part, targets[1:2])$data, plot$data)
  from_table <- suppressMessages(plot_knockdown(table, targets))
  expect_equal(from_table$data[names(plot$data)], plot$data)
  # Pairs that were not fitted are said to be.
  pairs <- data.frame(
    gene = c("gene_05", "gene_01"), perturbation = c("perturb_2", "perturb_4")
  )
  sparse <- suppressMessages(plot_knockdown(made_up_fit(12, 5, pairs), targets))
  expect_equal(sparse$data$gene, "GENE_05")
  expect_match(words_of(sparse)$caption, "1 pair not tested")
})

test_that("dispersions are drawn with their trend, zeros at the edge", {
  table <- tibble::tibble(
    gene_id = letters[1:6], mean = c(0.1, 1, 2, 5, 10, 0),
    dispersion_gene = c(0, 2, 0.3, 0.2, 0.1, NA),
    dispersion_trend = c(1, 0.8, 0.5, 0.3, 0.2, NA),
    dispersion = c(0.7, 2, 0.4, 0.25, 0.15, NA),
    outlier = c(FALSE, TRUE, FALSE, FALSE, FALSE, NA),
    status = c(rep("ok", 5), "all zero")
  )
  plot <- plot_dispersions(table)
  rows <- plot$data
  expect_equal(as.vector(table(rows$kind)), c(5, 4, 1))
  expect_equal(sum(rows$edge), 1)
  expect_equal(rows$mean[rows$edge], 0.1)
  expect_true(all(rows$y > 0))
  expect_lt(rows$y[rows$edge], min(rows$y[!rows$edge]))
  line <- vapply(plot$layers, function(layer) inherits(layer$geom, "GeomLine"), NA)
  expect_equal(drawn(plot, which(line))$y, log10(table$dispersion_trend[1:5]))
  expect_match(words_of(plot)$caption, "1 gene whose own dispersion")
  expect_match(words_of(plot)$caption, "1 gene without an estimate")
  expect_quiet(plot)
})

test_that("a screen's dispersions are 1 / theta, or those of the quasi-family", {
  fit <- made_up_fit(12, 2)
  rows <- plot_dispersions(fit)$data
  expect_equal(rows$dispersion, c(0, 1 / (2:12)))
  expect_equal(rows$edge, c(TRUE, rep(FALSE, 11)))
  quasi <- plot_dispersions(made_up_fit(12, 2, family = "quasipoisson"))$data
  expect_equal(quasi$dispersion, rep(1, 12))
  expect_error(
    plot_dispersions(made_up_fit(family = "poisson")),
    class = "scoria_error_nothing"
  )
  expect_quiet(plot_dispersions(fit))
})

test_that("tables of fit_models() and test_groups() are drawn", {
  set.seed(4)
  counts <- matrix(rpois(40 * 60, 2), 40, dimnames = list(sprintf("g%02d", 1:40), NULL))
  group <- rep(c("control", "a", "b"), each = 20)
  counts[1:5, group == "a"] <- rpois(100, 12)
  counts[6, group == "b"] <- 0
  cells <- data.frame(
    group = factor(group, c("control", "a", "b")), Size_Factor = 1
  )
  models <- fit_models(counts, "~ group", cell_metadata = cells, expression_family = "poisson")
  table <- coefficient_table(models, adjust = "BH")
  plot <- plot_volcano(table)
  expect_setequal(
    sub("\n.*", "", levels(plot$data$panel)), c("groupa", "groupb")
  )
  a <- table[table$term == "groupa", ]
  expect_equal(
    sort(plot_volcano(table, "groupa")$data$effect), sort(a$estimate / log(2))
  )
  expect_error(plot_ma(table), class = "scoria_error_column")
  expect_equal(
    sum(abs(plot_hits(table)$data$genes)),
    sum(table$q_value[table$term != "(Intercept)"] <= 0.05, na.rm = TRUE)
  )
  found <- test_groups(counts, cells$group, reference = "control", cell_metadata = cells)
  for (draw in list(plot_volcano, plot_ma)) {
    plot <- draw(found)
    # The gene without a count in its group has no finite fold change.
    expect_equal(sum(plot$data$effect == -Inf), 1)
    expect_setequal(plot$data$mean, found$mean_reference)
    expect_quiet(plot)
  }
  expect_quiet(plot_effects(found, value = "z"))
  expect_quiet(plot_knockdown(found, c(a = "g01", b = "g06")))
})

test_that("autoplot() finds each plot", {
  fit <- guide_fit()
  expect_equal(ggplot2::autoplot(fit)$labels, plot_volcano(fit)$labels)
  titles <- vapply(
    c("volcano", "ma", "qq", "hits", "effects", "knockdown", "dispersion"),
    function(type) {
      suppressMessages(ggplot2::autoplot(fit, type))$labels$title
    }, ""
  )
  expect_length(unique(titles), 7)
  expect_match(titles[["qq"]], "p-values")
  expect_equal(ggplot2::autoplot(fit, "qq", top = 5)$data, plot_qq(fit, top = 5)$data)
  expect_error(ggplot2::autoplot(fit, "pie"), class = "scoria_error_argument")
})

test_that("bad arguments are errors of a class", {
  fit <- made_up_fit()
  expect_error(plot_volcano(fit, "perturb_9"), class = "scoria_error_perturbation")
  expect_error(plot_volcano(fit, q_value = 5), class = "scoria_error_argument")
  expect_error(plot_volcano(fit, labels = 5), class = "scoria_error_argument")
  expect_error(plot_volcano(fit, label = -1), class = "scoria_error_argument")
  expect_error(plot_volcano(1:3), class = "scoria_error_argument")
  expect_error(plot_volcano(mtcars), class = "scoria_error_column")
  expect_error(
    plot_volcano(coefficient_table(fit), "perturb_9"),
    class = "scoria_error_perturbation"
  )
  expect_error(plot_volcano(fit[, 0]), class = "scoria_error_nothing")
  expect_error(plot_ma(fit[0, ]), class = "scoria_error_nothing")
  expect_error(plot_qq(c(0.1, 1.2)), class = "scoria_error_p_value")
  expect_error(plot_qq("a"), class = "scoria_error_p_value")
  expect_error(plot_qq(c(NA_real_, NaN)), class = "scoria_error_nothing")
  expect_error(plot_qq(0.5, by = 1:2), class = "scoria_error_argument")
  expect_error(plot_qq(fit, by = "colour"), class = "scoria_error_column")
  expect_error(plot_qq(runif(20), by = letters[1:20]), class = "scoria_error_argument")
  expect_error(plot_qq(0.5, top = 0), class = "scoria_error_argument")
  expect_error(plot_hits(fit[, 0]), class = "scoria_error_nothing")
  expect_error(plot_effects(fit, "gene_99"), class = "scoria_error_gene")
  expect_error(plot_effects(fit, most = 0), class = "scoria_error_argument")
  expect_error(plot_effects(fit, value = "p"), class = "scoria_error_argument")
  expect_error(plot_effects(fit[, 0]), class = "scoria_error_nothing")
  expect_error(
    plot_effects(coefficient_table(fit), "gene_99"), class = "scoria_error_gene"
  )
  expect_error(plot_knockdown(fit), class = "scoria_error_targets")
  expect_error(plot_knockdown(fit, "gene_01"), class = "scoria_error_targets")
  expect_error(plot_knockdown(fit, c(b = "gene_01")), class = "scoria_error_perturbation")
  expect_error(plot_dispersions(mtcars), class = "scoria_error_argument")
})

test_that("plots look as they did", {
  skip_if_not_installed("vdiffr")
  # Other versions draw the same with other numbers; and labels move with ggrepel.
  skip_if_not(utils::packageVersion("ggplot2")[1, 1:2] == "3.4")
  skip_if_not(!rlang::is_installed("ggrepel"))
  fit <- made_up_fit(24, 2)
  vdiffr::expect_doppelganger("volcano", plot_volcano(fit, label = 3))
  vdiffr::expect_doppelganger("ma", plot_ma(fit, "perturb_2", label = 3))
  vdiffr::expect_doppelganger("qq", plot_qq(fit))
  hits <- hits_of_fit(made_up_fit(6, 20), 0.05, "perturbation")
  vdiffr::expect_doppelganger("hits", draw_hits(hits, named = 5))
  vdiffr::expect_doppelganger("effects", plot_effects(fit, most = 8))
  knockdown <- suppressMessages(plot_knockdown(guide_fit()))
  vdiffr::expect_doppelganger("knockdown", knockdown)
  vdiffr::expect_doppelganger("dispersion", plot_dispersions(fit))
})
