# Which cells have which perturbation ------------------------------------------
#
# A membership is a sparse matrix (ngCMatrix) of cells x perturbations, TRUE
# where the cell has the perturbation: whatever the user holds becomes one.

# List of
#   membership   as above, controls included
#   missing      one logical a cell: its label is missing
#   column       name of the cells' column it was read from, or NULL
read_perturbation <- function(perturbation, x, source, threshold = NULL,
                              guide_targets = NULL, call = caller_env()) {
  check_threshold(threshold, call)
  n_cells <- ncol(source$counts)
  column <- guides <- NULL
  if (rlang::is_string(perturbation)) {
    if (perturbation %in% names(source$cells)) {
      column <- perturbation
      perturbation <- source$cells[[column]]
    } else {
      guides <- find_guides(x, perturbation)
      if (is.null(guides)) abort_unknown(perturbation, x, source, call)
    }
  }
  missing <- logical(n_cells)
  if (!is.null(guides)) {
    membership <- guide_membership(guides, n_cells, threshold, call)
  } else if (is_matrix(perturbation)) {
    perturbation <- align_cells(perturbation, source$counts, call)
    membership <- matrix_membership(
      perturbation, "perturbation", n_cells, threshold, call
    )
  } else {
    labels <- read_labels(perturbation, column, n_cells, call)
    if (!is.null(threshold)) {
      scoria_abort(
        "{.arg threshold} is for guide counts; {.arg perturbation} gives one
         label a cell.",
        c("perturbation", "argument"), call
      )
    }
    missing <- is.na(labels)
    membership <- new_membership(
      which(!missing), as.integer(labels)[!missing], n_cells, levels(labels)
    )
  }
  if (!is.null(guide_targets)) {
    targets <- read_guide_targets(
      guide_targets, colnames(membership), guides$about, call
    )
    membership <- unite_guides(membership, targets)
  }
  list(membership = membership, missing = missing, column = column)
}

new_membership <- function(cell, perturbation, n_cells, names) {
  Matrix::sparseMatrix(
    i = cell, j = perturbation, dims = c(n_cells, length(names)),
    dimnames = list(NULL, names)
  )
}

# Number of perturbations of each cell.
perturbations_per_cell <- function(membership) {
  tabulate(membership@i + 1L, nrow(membership))
}

# One label a cell -------------------------------------------------------------

# As a factor of the labels that occur; a label of no characters is missing.
read_labels <- function(values, column, n_cells, call) {
  if (!is.factor(values) && !is.character(values)) {
    what <- if (is.null(column)) "" else paste0(" (column ", column, ")")
    hint <- if (!is.null(column) && is.atomic(values)) {
      paste0("x$", column, " <- factor(x$", column, ")")
    }
    scoria_abort(c(
      "{.arg perturbation}{what} must be labels, a factor or character vector;
       or a matrix of cells x perturbations; not {.obj_type_friendly {values}}.",
      i = if (!is.null(hint)) "Are its values labels? Use {.code {hint}}."
    ), c("perturbation", "argument"), call)
  }
  if (length(values) != n_cells) {
    scoria_abort(
      "{.arg perturbation} has {length(values)} label{?s}, but there are
       {n_cells} cells.",
      c("perturbation", "argument"), call
    )
  }
  present <- if (is.factor(values)) {
    levels(droplevels(values))
  } else {
    sort(unique(values), method = "radix")
  }
  factor(values, setdiff(present, ""))
}

# Cells without a label are an error, or are left out.
check_labels <- function(assigned, na_action, call) {
  missing <- sum(assigned$missing)
  if (missing == 0) {
    return(invisible())
  }
  n_cells <- length(assigned$missing)
  if (na_action == "fail") {
    column <- assigned$column
    where <- if (!is.null(column)) paste0(" (column `", column, "`)")
    scoria_abort(c(
      "{missing} of {n_cells} cells have no label in {.arg perturbation}{where}.",
      i = "Use {.code na_action = \"omit\"} to leave them out."
    ), c("missing", "perturbation"), call)
  }
  cli::cli_inform(
    "{missing} of {n_cells} cells are left out: they have no label."
  )
}

# Matrices ---------------------------------------------------------------------

is_matrix <- function(x) {
  is.matrix(x) || is(x, "Matrix") || is(x, "DelayedMatrix")
}

matrix_membership <- function(values, what, n_cells, threshold, call) {
  names <- colnames(values) %||%
    if (ncol(values) > 0) paste0("perturbation_", seq_len(ncol(values)))
  check_perturbation_names(names, what, call)
  entries <- nonzero_entries(values, what, call)
  kept <- has_perturbation(entries$value, what, threshold, call)
  new_membership(entries$row[kept], entries$column[kept], n_cells, names)
}

# The entries that are not zero, as row, column and value.
nonzero_entries <- function(values, what, call) {
  if (is.matrix(values)) {
    if (!is.numeric(values) && !is.logical(values)) {
      scoria_abort(
        "{.arg {what}} must be logical or numeric, not
         {.obj_type_friendly {values}}.",
        c("perturbation", "argument"), call
      )
    }
    at <- which(is.na(values) | values != 0)
    n <- nrow(values)
    return(list(
      row = as.integer((at - 1) %% n) + 1L,
      column = as.integer((at - 1) %/% n) + 1L, value = as.double(values[at])
    ))
  }
  sparse <- as(values, "CsparseMatrix")
  sparse <- as(sparse, "generalMatrix")
  value <- if (is(sparse, "nMatrix")) {
    rep.int(1, length(sparse@i))
  } else {
    as.double(sparse@x)
  }
  kept <- is.na(value) | value != 0
  column <- rep.int(seq_len(ncol(sparse)), diff(sparse@p))
  list(
    row = sparse@i[kept] + 1L, column = column[kept], value = value[kept]
  )
}

has_perturbation <- function(value, what, threshold, call) {
  bad <- is.na(value) | value < 0
  if (any(bad)) {
    scoria_abort(c(
      "{.arg {what}} must have no missing and no negative values.",
      x = "{sum(is.na(value))} {cli::qty(sum(is.na(value)))}value{?s}
           {?is/are} NA, {sum(value < 0, na.rm = TRUE)} negative."
    ), c("perturbation", "argument"), call)
  }
  if (is.null(threshold)) {
    other <- value != 1
    if (any(other)) {
      scoria_abort(c(
        "{.arg {what}} must be logical, or of zeros and ones, where no
         {.arg threshold} is given.",
        x = "{sum(other)} value{?s} {?is/are} neither; the largest is
             {max(value)}.",
        i = "Are they guide counts? With {.code threshold = 5} a cell has the
             guides of which it has 5 counts or more."
      ), c("threshold", "perturbation", "argument"), call)
    }
    return(rep.int(TRUE, length(value)))
  }
  kept <- value >= threshold
  if (!any(kept)) {
    scoria_abort(c(
      "No value of {.arg {what}} reaches the {.arg threshold} of {threshold}.",
      x = if (length(value) > 0) "The largest is {max(value)}."
    ), c("threshold", "perturbation", "argument"), call)
  }
  kept
}

# The matrix with its cells in the order of the counts.
align_cells <- function(values, counts, call) {
  n_cells <- ncol(counts)
  cells <- colnames(counts)
  own <- rownames(values)
  named <- !is.null(own) && !is.null(cells)
  if (if (named) identical(own, cells) else nrow(values) == n_cells) {
    return(values)
  }
  if (named && identical(sort(own), sort(cells))) {
    cli::cli_inform(
      "The rows of {.arg perturbation} are put in the order of the cells."
    )
    return(values[match(cells, own), , drop = FALSE])
  }
  if (if (named) setequal(colnames(values), cells) else ncol(values) == n_cells) {
    scoria_abort(c(
      "{.arg perturbation} must be a matrix of cells x perturbations; it has
       the cells in its columns.",
      i = "Use {.code t(perturbation)}."
    ), c("cells", "perturbation", "argument"), call)
  }
  if (!named) {
    scoria_abort(
      "{.arg perturbation} has {nrow(values)} row{?s}, but there are {n_cells}
       cells.",
      c("cells", "perturbation", "argument"), call
    )
  }
  abort_other_cells(own, cells, call)
}

abort_other_cells <- function(own, cells, call) {
  extra <- setdiff(own, cells)
  first <- if (length(extra) > 0) paste0(" (the first: \"", extra[1], "\")")
  scoria_abort(c(
    "The rows of {.arg perturbation} are not the cells of the counts.",
    x = "{length(setdiff(cells, own))} of {length(cells)} cells have no row;
         {length(extra)} of {length(own)} rows are of other
         cells{first}.",
    i = "Give the cells that both have: {.code perturbation[colnames(x), ]}."
  ), c("cells", "perturbation", "argument"), call)
}

check_threshold <- function(threshold, call) {
  if (is.null(threshold)) {
    return(invisible())
  }
  valid <- is.numeric(threshold) && length(threshold) == 1 &&
    is.finite(threshold) && threshold > 0
  if (!valid) {
    scoria_abort(
      "{.arg threshold} must be a positive number, not {.val {threshold}}.",
      c("threshold", "argument"), call
    )
  }
}

check_perturbation_names <- function(names, what, call) {
  if (length(names) == 0) {
    scoria_abort(
      "{.arg {what}} has no perturbation.", c("perturbation", "argument"), call
    )
  }
  if (anyNA(names) || any(names == "")) {
    scoria_abort(
      "{sum(is.na(names) | names == '')} of {length(names)} perturbations of
       {.arg {what}} have no name.",
      c("perturbation", "argument"), call
    )
  }
  twice <- unique(names[duplicated(names)])
  if (length(twice) > 0) {
    scoria_abort(
      "{length(twice)} name{?s} of {.arg {what}} occur{?s/} more than once:
       {.val {utils::head(twice, 5)}}.",
      c("perturbation", "argument"), call
    )
  }
}

abort_unknown <- function(perturbation, x, source, call) {
  columns <- names(source$cells)
  guides <- guide_sources(x)
  near <- near_names(perturbation, c(columns, guides))
  scoria_abort(c(
    "Can't find the perturbation {.val {perturbation}}: {.arg x} has no such
     column of cells, and no guides of this name.",
    i = if (length(near) > 0) "Did you mean {.val {near}}?",
    i = "Columns: {.val {as.character(columns)}}.",
    i = if (length(guides) > 0) "Guides: {.val {guides}}."
  ), c("perturbation", "argument"), call)
}
