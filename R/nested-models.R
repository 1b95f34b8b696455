# Whether one model is nested in another --------------------------------------------
#
# A model does not keep its cells, nor its model matrix. What all genes of a call share
# has `marks` instead: hashes of the cells and of their offset, and for each part of the
# model (the counts; the zeros, where these have a model) a sketch of its columns, from
# which spans can be compared. Let S be a matrix with 2048 rows that sends every cell to
# two of them, with weights that look random and depend on the cell's position alone
# (src/rust/core/src/design/sketch.rs). A column x is in the span of the matrix X if and
# only if S x is in that of S X: "only if" because S is linear, and "if" because S is random
# and has many more rows than X has columns. Where there are no more cells than rows, the
# sketch is the matrix itself.

# `parts`: the model matrices, without columns that have no coefficient. `random`: for
# each random effect, named by what groups the cells, the names of the columns whose
# coefficients vary.
new_marks <- function(model, parts, random = list()) {
  list(
    cells = rlang::hash(colnames(model$counts) %||% model$design$cells),
    size_factors = model$size_factors,
    offset = rlang::hash(list(as.double(model$offset), model$divide)),
    parts = lapply(parts, design_sketch),
    random = random
  )
}

sketch_rows <- function() 2048L

# A column of the sketch each; `dimnames` keeps the terms.
design_sketch <- function(matrix) {
  term <- list(NULL, colnames(matrix))
  if (nrow(matrix) > sketch_rows()) {
    storage.mode(matrix) <- "double"
    matrix <- rust_value(rust_sketch(matrix))
  }
  matrix(matrix, ncol = length(term[[2]]), dimnames = term)
}

# An error unless models that share `reduced` are nested in models that share `full`.
check_nested <- function(full, reduced, call) {
  check_same_data(full, reduced, call)
  beyond <- beyond_span(reduced, full, call)
  missing <- beyond_span(full, reduced, call)
  if (length(beyond) > 0 && length(missing) == 0) {
    abort_compare(c(
      "{.arg model_tbl_full} and {.arg model_tbl_reduced} are swapped: the model
       {.code {deparse1(full$formula)}} is nested in {.code {deparse1(reduced$formula)}}.",
      i = "The model with more terms comes first."
    ), call)
  }
  if (length(beyond) > 0) {
    abort_compare(c(
      "The model {.code {deparse1(reduced$formula)}} is not nested in
       {.code {deparse1(full$formula)}}.",
      x = "Not in what the full model can fit: {.field {beyond}}."
    ), call)
  }
  if (length(missing) == 0) {
    abort_compare(
      "The models {.code {deparse1(full$formula)}} and
       {.code {deparse1(reduced$formula)}} are the same: their columns span the same.",
      call
    )
  }
}

check_same_data <- function(full, reduced, call) {
  same <- function(what, text_full, text_reduced, hint = NULL) {
    abort_compare(c(
      "The models differ in {what}: they can't be compared.",
      x = "{.arg model_tbl_full}: {text_full}; {.arg model_tbl_reduced}: {text_reduced}.",
      i = hint
    ), call)
  }
  if (full$family != reduced$family) {
    same("their family", full$family, reduced$family)
  }
  one <- full$marks
  other <- reduced$marks
  if (is.null(one) || is.null(other)) {
    abort_compare(
      "One of the models does not say what it was fitted to: fit both with this version of
       scoria.",
      call
    )
  }
  if (full$nobs != reduced$nobs || one$cells != other$cells) {
    cells <- function(nobs) paste(nobs, "cells")
    same(
      "their cells", cells(full$nobs), cells(reduced$nobs),
      if (full$nobs == reduced$nobs) "As many cells, but others, or in another order."
    )
  }
  if (one$size_factors != other$size_factors) {
    quoted <- function(mode) paste0("size_factors = \"", mode, "\"")
    same(
      "how size factors enter", quoted(one$size_factors), quoted(other$size_factors)
    )
  }
  if (one$offset != other$offset) {
    abort_compare(c(
      "The models differ in their offset: they can't be compared.",
      i = "Size factors, or an {.fn offset} in the formula, are not the same."
    ), call)
  }
}

# Names of what one model has and the span of another lacks: terms, and random effects.
beyond_span <- function(model, of, call) {
  parts <- model$marks$parts
  terms <- lapply(names(parts), function(part) {
    span <- of$marks$parts[[part]]
    if (is.null(span)) {
      return(colnames(parts[[part]]))
    }
    check_sketch(span, of$nobs, call)
    colnames(parts[[part]])[outside(parts[[part]], span)]
  })
  random <- model$marks$random
  effects <- lapply(seq_along(random), function(effect) {
    group <- names(random)[effect]
    held <- unlist(of$marks$random[names(of$marks$random) == group])
    lacking <- setdiff(random[[effect]], held)
    if (length(lacking) > 0) paste0("(", lacking, " | ", group, ")")
  })
  unlist(c(terms, effects))
}

# Which columns are not in a span: by least squares, of columns of length one.
outside <- function(columns, span) {
  unit <- function(matrix) sweep(matrix, 2, sqrt(colSums(matrix^2)), "/")
  basis <- qr.Q(qr(unit(span), LAPACK = TRUE))
  rest <- unit(columns)
  # The second time takes out the rounding of the first.
  for (time in 1:2) {
    rest <- rest - basis %*% crossprod(basis, rest)
  }
  sqrt(colSums(rest^2)) > 1e-7
}

# A sketch without many more rows than columns would have everything in its span.
check_sketch <- function(span, nobs, call) {
  most <- sketch_rows() %/% 2L
  if (nobs > sketch_rows() && ncol(span) > most) {
    abort_compare(
      "Models of {nobs} cells can only be compared if they have no more than {most}
       coefficients, not {ncol(span)}.",
      call
    )
  }
}

abort_compare <- function(message, call, .envir = parent.frame()) {
  scoria_abort(message, c("compare", "argument"), call, .envir)
}
