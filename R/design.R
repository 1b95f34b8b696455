# The model matrix of a formula --------------------------------------------------

# The formula of a string or of a formula; functions are looked up in `env`,
# where the user called. `bars`: whether it may have two parts, a | b ("parts"), or random
# effects ("random").
parse_formula <- function(formula, env, arg = rlang::caller_arg(formula),
                          call = caller_env(), bars = "none") {
  if (is.character(formula) && length(formula) == 1 && grepl("~", formula)) {
    parsed <- rlang::try_fetch(
      stats::as.formula(formula, env = env),
      error = function(cnd) {
        abort_formula("Can't read {.val {formula}}: {conditionMessage(cnd)}",
          call = call
        )
      }
    )
  } else if (inherits(formula, "formula")) {
    parsed <- formula
  } else {
    abort_formula(
      c("{.arg {arg}} must be a string such as
         {.val ~ batch}, or a formula, not
         {.obj_type_friendly {formula}}.",
        x = if (rlang::is_string(formula)) "It has no {.code ~}."
      ),
      call = call
    )
  }
  if (length(parsed) == 3) {
    abort_formula(
      c("{.arg {arg}} must have nothing before the {.code ~}.",
        x = "Found {.code {deparse(parsed[[2]])}}; each gene is the response in
             turn."
      ),
      call = call
    )
  }
  if (bars == "none" && has_bar(parsed)) {
    abort_formula(
      c("{.arg {arg}} has a {.code |}.",
        i = "Random effects are fitted by the family {.val mixed-negbinomial} of
             {.fn fit_models}, and formulas have two parts in its zero-inflated families."
      ),
      call = call
    )
  }
  parsed
}

# A design: list of
#   matrix    the model matrix, cells x terms
#   offset    one value a cell, on the scale of the link
#   cells     indices of the cells that are used
#   terms, xlevels, contrasts    what prediction needs
# `other` is the formula of another part of the same model, to the same cells.
build_design <- function(formula, cells, n_cells, na_action = "fail",
                         arg = "cds", call = caller_env(), other = NULL) {
  names <- unique(c(all.vars(formula), all.vars(other)))
  data <- formula_data(names, cells, n_cells, arg, call)
  used <- usable_cells(data, n_cells, na_action, call)
  if (length(used) < n_cells) data <- data[used, , drop = FALSE]
  # Random effects are none of the model matrix, but of the cells that are used.
  fixed <- fixed_part(formula, call)
  frame <- rlang::try_fetch(
    stats::model.frame(
      fixed, data,
      na.action = stats::na.pass, drop.unused.levels = TRUE
    ),
    error = function(cnd) {
      abort_formula("bad model formula: {conditionMessage(cnd)}", call = call)
    }
  )
  check_levels(frame, call)
  terms <- stats::terms(frame)
  if (nrow(frame) != length(used)) {
    # A formula without variables, ~ 1, makes a frame without rows.
    matrix <- matrix(1, length(used), 1, dimnames = list(NULL, "(Intercept)"))
  } else {
    matrix <- stats::model.matrix(terms, frame)
  }
  if (ncol(matrix) == 0) {
    abort_formula("The formula has no terms to fit.", call = call)
  }
  check_finite(matrix, call)
  list(
    matrix = matrix,
    offset = stats::model.offset(frame) %||% numeric(length(used)),
    cells = used,
    terms = terms,
    xlevels = stats::.getXlevels(terms, frame),
    contrasts = attr(matrix, "contrasts")
  )
}

# The same formula with log(Size_Factor) as one more covariate, under the name
# that monocle3 gives it.
with_size_factor_covariate <- function(formula) {
  formula[[2]] <- call(
    "+", formula[[2]], quote(stats::offset(log(Size_Factor)))
  )
  formula
}

# The covariates of these names, as a data frame of the cells.
formula_data <- function(names, cells, n_cells, arg, call) {
  unknown <- setdiff(names, names(cells))
  if (length(unknown) > 0) {
    bullets <- vapply(unknown, function(name) {
      near <- near_names(name, names(cells))
      hint <- if (length(near) > 0) {
        paste0("; did you mean ", paste0("'", near, "'", collapse = " or "), "?")
      }
      escape_braces(paste0("'", name, "': not in ", arg, hint))
    }, "")
    abort_formula(
      c("bad model formula: unknown terms", rlang::set_names(bullets, "x")),
      "terms", call
    )
  }
  structure(cells[names], class = "data.frame", row.names = seq_len(n_cells))
}

# Cells whose covariates can be used: all, or the call fails.
usable_cells <- function(data, n_cells, na_action, call) {
  clean <- function(column) {
    if (is.numeric(column)) all(is.finite(column)) else !anyNA(column)
  }
  data <- data[!vapply(data, clean, NA)]
  if (length(data) == 0) {
    return(seq_len(n_cells))
  }
  is_missing <- function(column) {
    missing <- is.na(column)
    if (is.matrix(missing)) rowSums(missing) > 0 else missing
  }
  infinite <- lapply(data, function(column) {
    column <- if (is.numeric(column)) is.infinite(column) else FALSE
    if (is.matrix(column)) rowSums(column) > 0 else column
  })
  nan <- lapply(data, function(column) {
    column <- if (is.numeric(column)) is.nan(column) else FALSE
    if (is.matrix(column)) rowSums(column) > 0 else column
  })
  missing <- lapply(data, is_missing)
  count <- function(name) {
    c(
      Inf_ = sum(infinite[[name]]), NaN_ = sum(nan[[name]]),
      NA_ = sum(missing[[name]] & !nan[[name]])
    )
  }
  counts <- vapply(names(data), count, numeric(3))
  if (na_action == "omit") counts[2:3, ] <- 0
  if (any(counts > 0)) {
    at <- which(counts > 0, arr.ind = TRUE)
    lines <- paste0(
      "'", colnames(counts)[at[, 2]], "': ", counts[at], " of ", n_cells,
      " values are ", c("Inf", "NaN", "NA")[at[, 1]]
    )
    hint <- if (any(counts[2:3, ] > 0)) {
      c(i = "Use {.code na_action = \"omit\"} to leave out cells with NA.")
    }
    abort_formula(
      c("bad model formula: NA/NaN/Inf in a term",
        rlang::set_names(escape_braces(lines), "x"), hint
      ),
      "missing", call
    )
  }
  which(!Reduce(`|`, missing, logical(n_cells)))
}

check_levels <- function(frame, call) {
  for (name in names(frame)) {
    column <- frame[[name]]
    if (!is.character(column) && !is.factor(column)) next
    levels <- if (is.factor(column)) levels(column) else unique(column)
    if (length(levels) < 2) {
      abort_formula(
        c("{.field {name}} has a single level, {.val {levels}}, in the cells
           that are fitted.",
          i = "A factor in a formula needs two or more."
        ),
        "levels", call
      )
    }
  }
}

check_finite <- function(matrix, call) {
  # One that is not finite leaves no sum that is.
  if (is.finite(sum(matrix))) {
    return(invisible())
  }
  bad <- colSums(!is.finite(matrix))
  if (any(bad > 0)) {
    lines <- paste0(
      "'", colnames(matrix)[bad > 0], "': ", bad[bad > 0], " of ",
      nrow(matrix), " values are not finite"
    )
    abort_formula(
      c("bad model formula: NA/NaN/Inf in a column of the model matrix",
        rlang::set_names(escape_braces(lines), "x")
      ),
      "missing", call
    )
  }
}

abort_formula <- function(message, kind = NULL, call, .envir = parent.frame()) {
  scoria_abort(message, c(kind, "formula"), call, .envir)
}

# Text from the user is not to be evaluated by cli.
escape_braces <- function(text) gsub("([{}])", "\\1\\1", text)
