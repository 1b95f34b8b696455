# Every bad input has an error of a class of its own, which names the argument,
# what was found and what is expected.

cells <- data.frame(
  group = rep(c("a", "b"), 10), percent.mito = seq(0, 1, length.out = 20),
  Size_Factor = 1, row.names = paste0("cell", 1:20)
)
counts <- matrix(
  rep(c(1, 3, 0, 2), 10), 2,
  dimnames = list(c("GATA1", "TAL1"), rownames(cells))
)

fit <- function(formula = "~ group", family = "quasipoisson", ..., y = counts,
                data = cells) {
  fit_models(y, formula, family, cell_metadata = data, ...)
}

expect_refused <- function(call, class) {
  error <- expect_error(call, class = paste0("scoria_error_", class))
  expect_s3_class(error, "scoria_error")
}

with_count <- function(value) replace(counts, cbind(2, 5), value)

test_that("counts that no family takes are named by gene and cell", {
  missing <- replace(cells, cbind(1:2, 1), NA)
  expect_snapshot(error = TRUE, {
    fit(y = with_count(-1))
    fit(y = with_count(NA))
    fit(y = with_count(NaN))
    fit(y = with_count(Inf))
    fit(y = with_count(1.5), family = "negbinomial")
    fit(y = with_count(1.5), family = "poisson")
    fit(y = unname(with_count(-1)), data = data.frame(cells, row.names = NULL))
    fit(y = with_count(-1), data = missing, na_action = "omit")
    fit(y = matrix("1", 2, 20))
  })
  expect_refused(fit(y = with_count(-1)), "counts")
  expect_refused(fit(y = with_count(NaN)), "counts")
  expect_refused(fit(y = with_count(1.5), family = "negbinomial"), "counts")
  expect_refused(fit(y = matrix("1", 2, 20)), "counts")
  # Even where rounding would hide it.
  large <- transform(cells, Size_Factor = 5)
  expect_refused(
    fit(y = with_count(-1), data = large, size_factors = "divide"), "counts"
  )
})

test_that("quasi-Poisson and gaussian models take counts that are not whole", {
  expect_identical(fit(y = with_count(1.5))$status, c("OK", "OK"))
  expect_identical(
    fit(y = with_count(1.5), family = "gaussian")$status, c("OK", "OK")
  )
})

test_that("terms that are not in the metadata are listed, with near names", {
  expect_snapshot(error = TRUE, {
    fit("~ gruop + percent_mito + nothing.like.it")
    fit("~ log(grou)")
    fit("~ .")
  })
  expect_refused(fit("~ gruop"), "terms")
  expect_refused(fit("~ gruop"), "formula")
})

test_that("missing and infinite values are counted, by column", {
  data <- cells
  data$percent.mito[c(2, 3, 7)] <- NA
  data$percent.mito[9] <- NaN
  data$percent.mito[11] <- -Inf
  data$group[1] <- NA
  expect_snapshot(error = TRUE, {
    fit("~ group + percent.mito", data = data)
    fit("~ percent.mito", data = data, na_action = "omit")
    fit("~ log(percent.mito)")
    fit("~ splines::ns(log(percent.mito), 3)")
  })
  expect_refused(fit("~ percent.mito", data = data), "missing")
})

test_that("a factor needs two levels", {
  data <- transform(cells, same = "one {level}")
  expect_snapshot(error = TRUE, fit("~ same", data = data))
  expect_refused(fit("~ same", data = data), "levels")
})

test_that("more columns than cells is an error", {
  data <- transform(cells, each = rownames(cells))
  expect_snapshot(error = TRUE, fit("~ each", data = data))
  expect_refused(fit("~ each", data = data), "shape")
})

test_that("no cells and no genes are errors", {
  expect_snapshot(error = TRUE, {
    fit(y = counts[0, ])
    fit(y = counts[, 0], data = cells[0, ])
    fit_models(1:10, "~ group")
    fit_models(NULL, "~ group")
    fit_models("cells.rds", "~ group")
  })
  expect_refused(fit(y = counts[0, ]), "source")
  expect_refused(fit_models(list(), "~ group"), "source")
})

test_that("size factors must be positive", {
  sized <- function(values) transform(cells, Size_Factor = values)
  expect_snapshot(error = TRUE, {
    fit(data = sized(c(1, 0, rep(1, 18))))
    fit(data = sized(c(1, 1, NA, -1, rep(1, 16))))
    fit(data = sized("1"))
    fit(data = sized(Inf))
    fit(family = "binomial", size_factors = "divide")
  })
  expect_refused(fit(data = sized(0)), "size_factors")
  expect_identical(fit(data = sized(0), size_factors = "none")$status, c("OK", "OK"))
})

test_that("size factors are estimated as monocle3 does, with a warning", {
  data <- cells["group"]
  expect_snapshot(fits <- fit(data = data))
  expect_warning(fit(data = data), class = "scoria_warning_size_factors")
  totals <- colSums(counts)
  sizes <- totals / exp(mean(log(totals)))
  given <- fit(data = transform(data, Size_Factor = sizes))
  expect_identical(
    coefficient_table(fits)$estimate, coefficient_table(given)$estimate
  )
  scran <- fit(data = transform(data, sizeFactor = sizes))
  expect_identical(
    coefficient_table(scran)$estimate, coefficient_table(given)$estimate
  )
  empty <- replace(counts, cbind(1:2, 4), 0)
  expect_snapshot(error = TRUE, fit(y = empty, data = data))
  expect_refused(fit(y = empty, data = data), "size_factors")
})

test_that("a misspelt family is corrected", {
  expect_snapshot(error = TRUE, {
    fit(family = "negbinom")
    fit(family = "Poisson")
    fit(family = "mixed-negbinomial")
    fit(family = c("poisson", "binomial"))
    fit(family = poisson())
  })
  expect_refused(fit(family = "negbinom"), "family")
})

test_that("what is no formula, or has two sides or a bar, is refused", {
  expect_snapshot(error = TRUE, {
    fit("group")
    fit(3)
    fit(c("~ group", "~ 1"))
    fit("~ group +")
    fit("y ~ group")
    fit(counts ~ group)
    fit("~ group + (1 | batch)")
    fit("~ group | percent.mito")
    fit("~ nofun(percent.mito)")
    fit("~ 0")
  })
  expect_refused(fit("y ~ group"), "formula")
  expect_refused(fit("~ nofun(percent.mito)"), "formula")
  expect_error(fit_models(counts), "model_formula_str")
})

test_that("arguments that do not exist, or have no such value, are refused", {
  expect_snapshot(error = TRUE, {
    fit(weights = 1)
    fit(cores = 0)
    fit(cores = "two")
    fit(maxit = 0)
    fit(size_factors = "ofset")
    fit(na_action = "drop")
    coefficient_table(cells)
    coefficient_table(fit(), adjust = "BHH")
  })
  expect_refused(fit(weights = 1), "argument")
  expect_refused(fit(cores = -1), "argument")
  expect_refused(coefficient_table(cells), "model_table")
})

test_that("braces and percent signs in names break no message", {
  odd <- "a {b} %s %d {.val c}"
  data <- stats::setNames(cells, c(odd, "percent.mito", "Size_Factor"))
  expect_snapshot(error = TRUE, {
    fit("~ `{x} %n`", data = data)
    fit(paste0("~ `", odd, "`"), data = replace(data, odd, NA_real_))
    fit(paste0("~ `", odd, "`"), data = replace(data, odd, "{one} %s"))
    fit(family = "{poisson} %s")
    fit("{group} %s")
    fit("~ group", data = transform(cells, Size_Factor = "{1}"))
  })
  y <- with_count(-1)
  rownames(y) <- c("{gene} %s", "%d {1 + 1}")
  expect_snapshot(error = TRUE, fit(y = y))
  found <- fit(paste0("~ `", odd, "`"), data = data)
  expect_match(coefficient_table(found)$term[2], odd, fixed = TRUE)
})
