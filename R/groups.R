# Which cell is in which group -------------------------------------------------

# One label a cell, a factor; NA where the cell is in no group.
read_groups <- function(group, source, call = caller_env()) {
  n_cells <- ncol(source$counts)
  column <- ""
  if (rlang::is_string(group) && n_cells > 1) {
    column <- paste0(" (column ", group, ")")
    if (!group %in% names(source$cells)) {
      near <- near_names(group, names(source$cells))
      scoria_abort(c(
        "{.arg x} has no column of cells {.val {group}}, as {.arg group} says.",
        i = if (length(near) > 0) "Did you mean {.val {near}}?",
        i = "Columns: {.val {names(source$cells)}}."
      ), c("group", "argument"), call)
    }
    group <- source$cells[[group]]
  }
  if (!is.factor(group) && !is.character(group)) {
    scoria_abort(
      "{.arg group}{column} must be labels, a factor or character vector; not
       {.obj_type_friendly {group}}.",
      c("group", "argument"), call
    )
  }
  if (length(group) != n_cells) {
    scoria_abort(
      "{.arg group} has {length(group)} label{?s}, but there are {n_cells} cells.",
      c("group", "argument"), call
    )
  }
  present <- if (is.factor(group)) levels(group) else sort(unique(group), method = "radix")
  labels <- factor(group, setdiff(present, ""))
  missing <- sum(is.na(labels))
  if (missing > 0) {
    cli::cli_inform(
      "{missing} of {n_cells} cells are in no group, and left out: their label in
       {.arg group} is NA or empty."
    )
  }
  labels
}

# List of
#   of            one number a cell, from zero: its group's place among the tested;
#                 their number, for other cells that they are compared with; -1
#   tested        labels
#   n_cells, n_reference   of each
assign_classes <- function(labels, reference, against, groups = NULL,
                           call = caller_env()) {
  if (all(is.na(labels))) {
    scoria_abort("No cell is in a group.", c("group", "cells", "argument"), call)
  }
  check_labels_known(reference, levels(labels), "reference", call)
  if (length(reference) == 0 && against != "rest") {
    scoria_abort(c(
      "Which cells are the control? Name their label with {.arg reference}.",
      x = "The labels are {.val {levels(labels)}}.",
      i = "Without controls, {.code against = \"rest\"} compares with all other cells."
    ), c("reference", "argument"), call)
  }
  if (against == "rest") reference <- NULL
  check_labels_known(groups, levels(labels), "groups", call)
  both <- intersect(groups, reference)
  if (length(both) > 0) {
    scoria_abort(
      "{.val {both}} can't be tested: {?it is/they are} the {.arg reference}.",
      c("group", "argument"), call
    )
  }
  sizes <- table(labels)
  tested <- unique(groups) %||% setdiff(levels(labels), reference)
  check_sizes(sizes[c(tested, reference)], call)
  if (length(tested) == 0) {
    scoria_abort(
      "All labels are of the {.arg reference}: there is no group to test.",
      c("group", "argument"), call
    )
  }
  n_cells <- as.integer(sizes[tested])
  compared <- switch(against,
    reference = reference,
    rest = levels(labels), perturbed = setdiff(levels(labels), reference)
  )
  n_reference <- sum(sizes[compared]) - if (against == "reference") 0L else n_cells
  n_reference <- rep_len(as.integer(n_reference), length(tested))
  if (any(n_reference == 0)) {
    scoria_abort(
      "There is only one group, {.val {tested}}: no other cells to compare it with.",
      c("group", "cells", "argument"), call
    )
  }
  class <- match(levels(labels), tested) - 1L
  class[is.na(class) & levels(labels) %in% compared] <- length(tested)
  of <- class[as.integer(labels)]
  list(
    of = replace(of, is.na(of), -1L), tested = tested,
    n_cells = n_cells, n_reference = n_reference
  )
}

check_labels_known <- function(given, labels, arg, call) {
  if (is.null(given)) {
    return(invisible())
  }
  kind <- c(if (arg == "reference") "reference" else "group", "argument")
  if (!is.character(given) || length(given) == 0 || anyNA(given)) {
    scoria_abort(
      "{.arg {arg}} must be one or more labels of {.arg group}, not
       {.obj_type_friendly {given}}.",
      kind, call
    )
  }
  unknown <- setdiff(given, labels)
  if (length(unknown) > 0) {
    near <- near_names(unknown[1], labels)
    scoria_abort(c(
      "No cell has the label {.val {unknown}}, as {.arg {arg}} says.",
      i = if (length(near) > 0) "Did you mean {.val {near}}?",
      i = "There are {length(labels)}: {.val {labels}}."
    ), kind, call)
  }
}

# Levels of a factor may be without a cell.
check_sizes <- function(sizes, call) {
  empty <- names(sizes)[sizes == 0]
  if (length(empty) > 0) {
    scoria_abort(c(
      "{length(empty)} group{?s} {?has/have} no cell: {.val {empty}}.",
      i = "Drop unused levels with {.fn droplevels}, or name {.arg groups}."
    ), c("group", "cells", "argument"), call)
  }
}

# What values are divided by ---------------------------------------------------

# The engine's `target_sum` or `factors`; neither, for nothing.
read_normalization <- function(normalize, target_sum, scale, source,
                               call = caller_env()) {
  check_number(target_sum, "target_sum", above = 0, call = call)
  if (normalize == "none") {
    return(list())
  }
  if (scale == "log1p") {
    scoria_abort(
      "Logarithms can't be normalized: {.code normalize = \"{normalize}\"} is for
       {.arg scale} {.val counts} or {.val linear}.",
      c("scale", "argument"), call
    )
  }
  switch(normalize,
    library = list(target_sum = as.double(target_sum)),
    size_factors = list(factors = find_size_factors(source, call)$values)
  )
}

# Whether values are logarithms is not guessed, but whole numbers are none.
check_logarithms <- function(value, call = caller_env()) {
  if (inherits(value, "scoria_failure") && value$kind == "scale") {
    scoria_abort(c(
      "{.arg x} does not hold logarithms, as {.code scale = \"log1p\"} says: all its
       values are whole numbers.",
      i = "Are they counts? Use {.code scale = \"counts\"}."
    ), "scale", call)
  }
}

# Filters ----------------------------------------------------------------------

crispyx_filter <- function() {
  c(
    min_pct_pert = 0.002, min_mean_pert = 0.005, min_pct_ctrl = 0.01,
    min_mean_ctrl = 0.05
  )
}

# Four numbers, in that order.
read_filter <- function(filter, call = caller_env()) {
  numbers <- crispyx_filter()
  if (identical(filter, "crispyx")) {
    return(unname(numbers))
  }
  numbers[] <- 0
  if (!identical(filter, "none")) {
    check_filter(filter, names(numbers), call)
    numbers[names(filter)] <- as.double(filter)
  }
  unname(numbers)
}

check_filter <- function(filter, names, call) {
  valid <- is.numeric(filter) && rlang::is_named(filter) && !anyNA(filter) &&
    all(names(filter) %in% names) && !anyDuplicated(names(filter))
  if (!valid) {
    scoria_abort(
      "{.arg filter} must be {.val none}, {.val crispyx}, or numbers with names among
       {.val {names}}.",
      c("filter", "argument"), call
    )
  }
}

check_number <- function(value, arg, least = -Inf, above = -Inf, call = caller_env()) {
  valid <- is.numeric(value) && length(value) == 1 && is.finite(value) &&
    value >= least && value > above
  if (!valid) {
    bound <- if (is.finite(above)) paste("above", above) else paste("of at least", least)
    scoria_abort(
      "{.arg {arg}} must be a number {bound}, not {.val {value}}.", "argument", call
    )
  }
  as.double(value)
}
