# Controls, and what perturbed cells are compared with -------------------------

# List of
#   kind       "control", "complement" or "perturbed"
#   controls   names of the perturbations that are controls, not tested
#   tested     names of the others
#   cells      one logical a cell: it is in the reference; NULL for "complement"
find_reference <- function(membership, control, reference,
                           call = caller_env()) {
  kind <- reference_kind(membership, control, reference, call)
  names <- colnames(membership)
  controls <- if (!is.null(control)) {
    check_controls(control, names, call)
  } else if (kind == "complement") {
    character()
  } else {
    infer_controls(names, kind, call)
  }
  tested <- setdiff(names, controls)
  if (length(tested) == 0) {
    scoria_abort(
      "All {length(names)} perturbation{?s} {?is a control/are controls}: there
       is nothing to test.",
      c("control", "argument"), call
    )
  }
  perturbed <- perturbations_per_cell(membership[, tested, drop = FALSE]) > 0
  list(
    kind = kind, controls = controls, tested = tested,
    cells = switch(kind,
      control = control_cells(membership, controls, perturbed, call),
      perturbed = perturbed
    )
  )
}

reference_kinds <- function() c("control", "complement", "perturbed")

reference_kind <- function(membership, control, reference, call) {
  if (!identical(reference, reference_kinds())) {
    return(first_choice(reference, reference_kinds(), call = call))
  }
  several <- sum(perturbations_per_cell(membership) > 1)
  if (several == 0 || !is.null(control)) {
    return("control")
  }
  cli::cli_inform(c(
    "Each perturbation is compared with all other cells
     ({.code reference = \"complement\"}).",
    i = "{several} of {nrow(membership)} cells have several perturbations, and
         no {.arg control} is named."
  ))
  "complement"
}

# Cells that have a control perturbation and no other.
control_cells <- function(membership, controls, perturbed, call) {
  has_control <- perturbations_per_cell(
    membership[, controls, drop = FALSE]
  ) > 0
  cells <- has_control & !perturbed
  if (!any(cells)) {
    scoria_abort(c(
      "There are no control cells: cells with {.val {controls}} and no other
       perturbation.",
      x = "{sum(has_control)} cell{?s} {?has/have}
           {cli::qty(length(controls))}{?it/one of them}, all with other
           perturbations too.",
      i = "Use {.code reference = \"complement\"} to compare with all other
           cells."
    ), c("control", "argument"), call)
  }
  cells
}

check_controls <- function(control, names, call) {
  if (!is.character(control) || length(control) == 0 || anyNA(control)) {
    scoria_abort(
      "{.arg control} must be the label of one or more perturbations, not
       {.obj_type_friendly {control}}.",
      c("control", "argument"), call
    )
  }
  unknown <- setdiff(control, names)
  if (length(unknown) > 0) {
    near <- near_names(unknown[1], names)
    scoria_abort(c(
      "No perturbation is called {.val {unknown}}, as {.arg control} says.",
      i = if (length(near) > 0) "Did you mean {.val {near}}?",
      i = "There are {length(names)}: {.val {names}}."
    ), c("control", "argument"), call)
  }
  unique(control)
}

# Labels that say that they are controls. Labels of one kind, which differ in
# their numbers alone, are controls together.
infer_controls <- function(names, kind, call) {
  found <- names[is_control_label(names)]
  kinds <- unique(gsub("[^a-z]", "", tolower(found)))
  if (length(kinds) == 1) {
    cli::cli_inform(
      "Control{cli::qty(length(found))}{?/s}: {.val {found}}
       (name {cli::qty(length(found))}{?it/them} with {.arg control} to be
       sure)."
    )
    return(found)
  }
  if (length(kinds) == 0 && kind == "perturbed") {
    return(character())
  }
  if (length(kinds) == 0) {
    scoria_abort(c(
      "Can't tell which perturbation is the control: name it with
       {.arg control}.",
      x = "{cli::qty(length(names))}The label{?s} {?is/are} {.val {names}}.",
      i = "Without controls, {.code reference = \"complement\"} compares with
           all other cells."
    ), c("control", "argument"), call)
  }
  scoria_abort(c(
    "Several perturbations look like controls: {.val {found}}.",
    i = "Name those that are with {.arg control}."
  ), c("control", "argument"), call)
}

is_control_label <- function(names) {
  lower <- tolower(names)
  word <- "control|ctrl|non[-_ .]?target|safe[-_ .]?(target|harbou?r)|scrambl"
  listed <- grepl(word, lower) | grepl("^ntc?[-_ .]?[0-9]*$", lower)
  listed & !grepl("positive", lower)
}

# A perturbation that all cells of the reference have cannot be compared.
check_comparable <- function(membership, reference, call) {
  if (reference$kind == "control") {
    return(invisible())
  }
  inside <- if (is.null(reference$cells)) {
    membership
  } else {
    membership[reference$cells, , drop = FALSE]
  }
  everywhere <- colnames(inside)[diff(inside@p) == nrow(inside)]
  if (length(everywhere) > 0) {
    others <- if (reference$kind == "complement") "cells" else "perturbed cells"
    scoria_abort(c(
      "All {nrow(inside)} {others} have
       {cli::qty(length(everywhere))}the perturbation{?s}
       {.val {everywhere}}: there is nothing to compare
       {cli::qty(length(everywhere))}{?it/them} with.",
      i = if (reference$kind == "perturbed") {
        "Compare with all other cells: {.code reference = \"complement\"}."
      }
    ), c("perturbation", "argument"), call)
  }
}

# Perturbations of the very same cells cannot be told apart.
report_aliases <- function(membership) {
  cells <- split(
    membership@i,
    rep.int(factor(seq_len(ncol(membership))), diff(membership@p))
  )
  names <- colnames(membership)[lengths(cells) > 0]
  cells <- unname(cells[lengths(cells) > 0])
  twin <- match(cells, cells)
  for (first in unique(twin[duplicated(twin)])) {
    same <- names[twin == first]
    cli::cli_inform(c(
      "!" = "Perturbations {.val {same}} are in the very same cells: their
             results are the same, and cannot be told apart."
    ), class = "scoria_message_aliases")
  }
}
