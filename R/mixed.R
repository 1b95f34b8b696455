# Random effects of a formula, as lme4 reads them -------------------------------

# A formula without its random-effects terms.
fixed_part <- function(formula, call = caller_env()) {
  formula[[2]] <- split_bars(formula[[2]], call)$fixed %||% 1
  formula
}

# The summands of a formula's right-hand side: those with a bar, and the rest
# (NULL where there is none).
split_bars <- function(expr, call = caller_env()) {
  if (!has_bar(expr)) {
    return(list(fixed = expr, bars = list()))
  }
  if (rlang::is_call(expr, "(")) {
    inner <- expr[[2]]
    if (rlang::is_call(inner, c("|", "||"))) {
      return(list(fixed = NULL, bars = list(inner)))
    }
    return(split_bars(inner, call))
  }
  if (rlang::is_call(expr, "+", n = 2)) {
    return(joined_bars(split_bars(expr[[2]], call), split_bars(expr[[3]], call)))
  }
  if (rlang::is_call(expr, "-", n = 2) && !has_bar(expr[[3]])) {
    left <- split_bars(expr[[2]], call)
    left$fixed <- rlang::call2("-", left$fixed %||% 1, expr[[3]])
    return(left)
  }
  abort_formula(
    c("Can't read the random effects in {.code {deparse1(expr)}}.",
      i = "They are summands of the formula in parentheses, such as
           {.code (1 | donor)} or {.code (1 + dose | donor)}."
    ),
    call = call
  )
}

joined_bars <- function(left, right) {
  fixed <- left$fixed %||% right$fixed
  if (!is.null(left$fixed) && !is.null(right$fixed)) {
    fixed <- rlang::call2("+", left$fixed, right$fixed)
  }
  list(fixed = fixed, bars = c(left$bars, right$bars))
}

has_bar <- function(expr) any(c("|", "||") %in% all.names(expr))

# Random effects of the cells that are used: a list with one entry a term,
#   group      name of the grouping factor
#   level      level of each cell, a whole number
#   levels     how many there are
#   columns    what the effects are multiplied with, cells x columns
# Terms with more levels come first, as in lme4.
random_effects <- function(formula, cells, used, n_cells, arg = "cds",
                           call = caller_env()) {
  bars <- split_bars(formula[[2]], call)$bars
  if (length(bars) == 0) {
    abort_formula(
      c("The family {.val mixed-negbinomial} needs random effects, and the
         formula has none.",
        i = "Add a term such as {.code (1 | donor)}, or use the family
             {.val negbinomial}."
      ),
      call = call
    )
  }
  data <- formula_data(all.vars(formula), cells, n_cells, arg, call)[used, , drop = FALSE]
  data <- droplevels(data)
  env <- environment(formula)
  bars <- unlist(lapply(bars, expand_double), recursive = FALSE)
  bars <- unlist(lapply(bars, expand_nested, call = call), recursive = FALSE)
  terms <- lapply(bars, random_term, data = data, env = env, call = call)
  levels <- vapply(terms, `[[`, 1L, "levels")
  if (any(diff(levels) > 0)) terms <- terms[rev(order(levels))]
  terms
}

# (1 + x || g) is (1 | g) + (0 + x | g).
expand_double <- function(bar) {
  if (!rlang::is_call(bar, "||")) {
    return(list(bar))
  }
  parts <- stats::terms(rlang::new_formula(NULL, bar[[2]]))
  columns <- lapply(attr(parts, "term.labels"), function(label) {
    rlang::call2("+", 0, str2lang(label))
  })
  if (attr(parts, "intercept") == 1) columns <- c(list(1), columns)
  lapply(columns, function(column) rlang::call2("|", column, bar[[3]]))
}

# (x | a/b) is (x | b:a) + (x | a).
expand_nested <- function(bar, call) {
  groups <- nested_groups(bar[[3]], call)
  lapply(groups, function(group) rlang::call2("|", bar[[2]], group))
}

nested_groups <- function(group, call) {
  if (!"/" %in% all.names(group)) {
    return(list(group))
  }
  if (!rlang::is_call(group, "/")) {
    abort_formula(
      "Can't read the grouping factor {.code {deparse1(group)}}.",
      call = call
    )
  }
  outer <- nested_groups(group[[2]], call)
  inner <- lapply(nested_groups(group[[3]], call), function(inner) {
    rlang::call2(":", inner, outer[[1]])
  })
  c(inner, outer)
}

random_term <- function(bar, data, env, call) {
  group <- deparse1(bar[[3]])
  factor <- grouping_factor(bar[[3]], data, env, call)
  check_grouping(factor, group, call)
  columns <- random_columns(bar, data, env, call)
  if (nlevels(factor) * ncol(columns) > nrow(data)) {
    abort_formula(
      "{.code ({deparse1(bar)})} has {nlevels(factor) * ncol(columns)} random
       effects, and there are {nrow(data)} cells.",
      "levels", call
    )
  }
  list(
    group = group, level = as.integer(factor), levels = nlevels(factor),
    columns = columns
  )
}

# Of an interaction only the levels that occur.
grouping_factor <- function(group, data, env, call) {
  if (rlang::is_call(group, ":")) {
    left <- grouping_factor(group[[2]], data, env, call)
    right <- grouping_factor(group[[3]], data, env, call)
    return(interaction(left, right, drop = TRUE, sep = ":", lex.order = TRUE))
  }
  values <- evaluate_term(group, data, env, call)
  if (is.matrix(values) || is.list(values) || length(values) != nrow(data)) {
    abort_formula(
      "The grouping factor {.code {deparse1(group)}} must have one value a cell.",
      call = call
    )
  }
  factor(values)
}

check_grouping <- function(factor, group, call) {
  cells <- length(factor)
  if (anyNA(factor)) {
    abort_formula(
      "The grouping factor {.code {group}} is NA in {sum(is.na(factor))} of
       {cells} cells.",
      "missing", call
    )
  }
  if (nlevels(factor) < 2) {
    abort_formula(
      c("The grouping factor {.code {group}} has a single level,
         {.val {levels(factor)}}, in the cells that are fitted.",
        i = "Random effects need two or more; better six."
      ),
      "levels", call
    )
  }
  if (nlevels(factor) >= cells) {
    abort_formula(
      "The grouping factor {.code {group}} has as many levels as there are
       cells, {cells}: there must be fewer.",
      "levels", call
    )
  }
}

random_columns <- function(bar, data, env, call) {
  formula <- rlang::new_formula(NULL, bar[[2]], env = env)
  columns <- rlang::try_fetch(
    {
      frame <- stats::model.frame(formula, data, na.action = stats::na.pass)
      if (length(frame) == 0) {
        intercept <- attr(stats::terms(frame), "intercept")
        matrix(1, nrow(data), intercept, dimnames = list(
          NULL, rep("(Intercept)", intercept)
        ))
      } else {
        stats::model.matrix(formula, frame)
      }
    },
    error = function(cnd) {
      abort_formula("bad model formula: {conditionMessage(cnd)}", call = call)
    }
  )
  if (ncol(columns) == 0) {
    abort_formula(
      "The random effects {.code ({deparse1(bar)})} have no terms to fit.",
      call = call
    )
  }
  check_finite(columns, call)
  if (qr(columns)$rank < ncol(columns)) {
    abort_formula(
      c("The columns of {.code ({deparse1(bar)})} are linearly dependent:
         {.field {colnames(columns)}}.",
        i = "Their random effects can't be told apart."
      ),
      call = call
    )
  }
  columns
}

evaluate_term <- function(expr, data, env, call) {
  rlang::try_fetch(
    eval(expr, data, env),
    error = function(cnd) {
      abort_formula("bad model formula: {conditionMessage(cnd)}", call = call)
    }
  )
}

# The engine's columns, those of the fixed effects as of every family.
fit_mixed <- function(counts, model, options, progress) {
  terms <- lapply(model$random, function(term) {
    term$columns <- as.double(term$columns)
    term[c("level", "levels", "columns")]
  })
  columns <- rust_fit_mixed(
    counts, model$design$matrix, as.double(model$offset), terms, options,
    progress
  )
  if (inherits(columns, "scoria_failure")) {
    return(columns)
  }
  c(columns$fixed, columns[c("covariances", "singular")])
}
