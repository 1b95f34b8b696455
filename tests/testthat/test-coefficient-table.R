cells <- withr::with_seed(11, data.frame(
  group = rep(c("a", "b"), 60), share = runif(120), Size_Factor = exp(rnorm(120, 0, 0.2))
))
counts <- withr::with_seed(12, rbind(
  none = numeric(120), low = as.double(rpois(120, 0.5)),
  high = as.double(rnbinom(120, size = 2, mu = 20)), gone = numeric(120)
))
genes <- data.frame(symbol = c("N", "L", "H", "G"), length = 1:4)

fit <- function(family = "negbinomial", ..., formula = "~ group + share",
                y = counts, gene_metadata = genes) {
  fit_models(y, formula, family,
    cell_metadata = cells, gene_metadata = gene_metadata, ...
  )
}

added <- c(
  "term", "estimate", "std_err", "test_val", "p_value", "normalized_effect",
  "model_component", "q_value"
)

test_that("columns have monocle3's names, order and types", {
  table <- coefficient_table(fit())
  expect_s3_class(table, "tbl_df")
  expect_named(table, c(
    "symbol", "length", "num_cells_expressed", "gene_id", "model", "model_summary",
    "status", added, "status_detail"
  ))
  expect_identical(unname(vapply(table, typeof, "")), c(
    "character", "integer", "integer", "character", "list", "list", "character",
    "character", rep("double", 5), "character", "double", "character"
  ))
  expect_false(inherits(table, "grouped_df"))
})

test_that("the scpy notebook's line of code works", {
  fits <- fit()
  coef <- coefficient_table(fits)[c('gene_id','status','term','estimate','std_err','test_val','p_value','normalized_effect','q_value')] # nolint
  expect_identical(dim(coef), c(8L, 9L))
  expect_identical(coef$gene_id, c("none", rep(c("low", "high"), each = 3), "gone"))
  expect_identical(coef$status, c("FAIL", rep("OK", 6), "FAIL"))
  expect_identical(
    coef$term, c(NA, rep(c("(Intercept)", "groupb", "share"), 2), NA)
  )
  file <- withr::local_tempfile()
  write.csv(coef, file, row.names = FALSE)
  expect_equal(utils::read.csv(file)$q_value, coef$q_value)
})

test_that("genes that fail keep one row of NA, first, last or alone", {
  table <- coefficient_table(fit())
  failed <- table[table$status == "FAIL", ]
  expect_identical(failed$gene_id, c("none", "gone"))
  expect_true(all(is.na(failed[added])))
  expect_identical(failed$status_detail, rep("all counts are zero", 2))
  expect_identical(failed$symbol, c("N", "G"))

  alone <- coefficient_table(fit(y = counts[1, , drop = FALSE], gene_metadata = NULL))
  expect_identical(dim(alone), c(1L, 14L))
  expect_type(alone$term, "character")
  expect_type(alone$q_value, "double")
})

test_that("a constant model has one row a gene", {
  table <- coefficient_table(fit(formula = "~ 1"))
  expect_identical(nrow(table), 4L)
  expect_identical(table$term, c(NA, "(Intercept)", "(Intercept)", NA))
})

test_that("an empty table of models gives an empty table of coefficients", {
  fits <- fit()
  full <- coefficient_table(fits)
  empty <- coefficient_table(fits[0, ])
  expect_identical(nrow(empty), 0L)
  expect_named(empty, names(full))
  expect_identical(
    vapply(empty[added], typeof, ""), vapply(full[added], typeof, "")
  )
})

test_that("rows of the models can be chosen, sorted and bound", {
  skip_if_not_installed("dplyr")
  fits <- fit()
  filtered <- coefficient_table(dplyr::filter(fits, symbol %in% c("H", "N")))
  expect_identical(filtered$gene_id, c("none", rep("high", 3)))
  by_base <- coefficient_table(fits[c(1, 3), ])
  expect_identical(as.list(filtered[added]), as.list(by_base[added]))

  turned <- coefficient_table(dplyr::arrange(fits, dplyr::desc(length)))
  expect_identical(turned$gene_id, c("gone", rep(c("high", "low"), each = 3), "none"))
  bound <- dplyr::bind_rows(fits[2, ], fit("quasipoisson")[3, ])
  expect_identical(coefficient_table(bound)$gene_id, rep(c("low", "high"), each = 3))
  chosen <- dplyr::select(fits, "gene_id", "model", "status", "status_detail")
  expect_named(coefficient_table(chosen), c(
    "gene_id", "model", "status", added, "status_detail"
  ))
})

test_that("q-values are adjusted within a term over the genes of the table", {
  y <- withr::with_seed(13, matrix(as.double(rpois(2400, 3)), 20))
  y[7, ] <- 0
  fits <- fit(y = y, gene_metadata = NULL)
  table <- coefficient_table(fits)
  for (term in c("(Intercept)", "groupb", "share")) {
    rows <- which(table$term == term)
    p <- table$p_value[rows]
    expect_identical(table$q_value[rows], p.adjust(p, "holm"))
    for (adjust in c("BH", "bonferroni", "none")) {
      other <- coefficient_table(fits, adjust = adjust)
      expect_identical(other$q_value[rows], p.adjust(p, adjust))
    }
  }
  some <- coefficient_table(fits[1:3, ])
  rows <- some$term == "groupb"
  expect_identical(some$q_value[rows], p.adjust(some$p_value[rows], "holm"))
})

test_that("normalized_effect is monocle3's at size factor 1", {
  links <- list(
    negbinomial = exp, quasipoisson = exp, binomial = plogis, gaussian = identity
  )
  for (family in names(links)) {
    y <- if (family == "binomial") 1 * (counts > 1) else counts
    for (formula in c("~ group + share", "~ 0 + group")) {
      table <- coefficient_table(fit(family, y = y, formula = formula))
      for (gene in unique(table$gene_id[table$status == "OK"])) {
        rows <- table[table$gene_id == gene, ]
        inverse <- links[[family]]
        base <- rows$estimate[1]
        expected <- suppressWarnings(log2(
          (inverse(rows$estimate + base) + 0.01) / (inverse(base) + 0.01)
        ))
        expected[1] <- 0
        if (all(is.finite(rows$estimate))) {
          expect_equal(rows$normalized_effect, expected)
        }
      }
    }
  }
})

test_that("tests are t or z, as in monocle3", {
  for (family in c("quasipoisson", "gaussian")) {
    table <- coefficient_table(fit(family))
    expect_equal(table$p_value, 2 * pt(-abs(table$test_val), 117))
  }
  for (family in c("negbinomial", "poisson")) {
    table <- coefficient_table(fit(family))
    expect_equal(table$test_val, table$estimate / table$std_err)
    expect_equal(table$p_value, 2 * pnorm(-abs(table$test_val)))
  }
})

test_that("the genes' metadata may have columns of our names", {
  clash <- data.frame(
    term = letters[1:4], gene_id = "mine", status = "good", model = 1:4,
    q_value = 0, estimate = 4:1, terms = "x", p_value = 1, symbol = LETTERS[1:4]
  )
  expect_warning(
    fits <- fit(gene_metadata = clash), "rowData.term",
    class = "scoria_warning_renamed"
  )
  # As in monocle3: these are overwritten where they stand.
  expect_named(fits, c(
    "rowData.term", "gene_id", "status", "rowData.model", "q_value",
    "rowData.estimate", "rowData.terms", "rowData.p_value", "symbol",
    "num_cells_expressed", "model", "model_summary", "status_detail"
  ))
  expect_identical(fits$gene_id, rownames(counts))
  expect_identical(fits$status, c("FAIL", "OK", "OK", "FAIL"))
  expect_identical(fits$rowData.estimate, 4:1)
  table <- coefficient_table(fits)
  expect_false(anyDuplicated(names(table)) > 0)
  plain <- coefficient_table(fit())
  expect_identical(table$q_value, plain$q_value)
  expect_identical(table$estimate, plain$estimate)
})

test_that("what is no table of models is refused", {
  refused <- function(x) {
    expect_error(coefficient_table(x), class = "scoria_error_model_table")
  }
  refused(cells)
  refused(NULL)
  refused(fit()$model)
  refused(fit()[c("gene_id", "status")])
  expect_error(coefficient_table(fit(), "bh"), class = "scoria_error_argument")
})
