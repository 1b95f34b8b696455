# Perturbations that do nothing ------------------------------------------------

# List of `negative`, `cells` (numbers of those that are compared), `membership` (of these
# cells in sets) and `members` (a text a set).
null_sets <- function(data, fit, negative, n_sets, guides_per_set, call = caller_env()) {
  membership <- data$assigned$membership
  controls <- fit$reference$controls
  tested <- membership[, setdiff(colnames(membership), controls), drop = FALSE]
  perturbed <- perturbations_per_cell(tested) > 0
  with_control <- perturbations_per_cell(membership[, controls, drop = FALSE]) > 0
  kind <- fit$reference$kind
  control_guides <- which(data$targets %in% controls)
  negative <- negative %||% if (kind != "control") {
    "permuted"
  } else if (length(control_guides) > 1) {
    "guides"
  } else {
    "cells"
  }
  check_choice(negative, c("guides", "cells", "permuted"), "calibration", "negative", call)
  if (!is.null(n_sets)) check_whole(n_sets, "n_sets", call)
  n_sets <- n_sets %||% min(ncol(fit), 100)
  compared <- if (negative == "permuted") {
    switch(kind, control = with_control | perturbed, complement = TRUE, perturbed = perturbed)
  } else {
    with_control & !perturbed
  }
  cells <- which(compared & !data$assigned$missing)
  sets <- switch(negative,
    guides = guide_sets(
      data$guides[cells, control_guides, drop = FALSE], n_sets,
      guides_per_set %||% usual_guides(data$targets, controls), call
    ),
    cells = cell_sets(length(cells), fit$perturbations, n_sets, call),
    permuted = permuted_sets(
      tested[cells, fit$perturbations$perturbation, drop = FALSE], n_sets,
      data$strata[cells]
    )
  )
  c(list(negative = negative, cells = cells), sets)
}

# Guides of a perturbation, as a rule.
usual_guides <- function(targets, controls) {
  max(1, round(stats::median(table(targets[!targets %in% controls]))))
}

guide_sets <- function(guides, n_sets, size, call) {
  guides <- guides[, diff(guides@p) > 0, drop = FALSE]
  n <- ncol(guides)
  if (n < 2) {
    scoria_abort(c(
      "{.code negative = \"guides\"} needs two non-targeting guides or more in control
       cells; there {?is/are} {n}.",
      i = "Use {.code negative = \"cells\"}."
    ), c("calibration", "argument"), call)
  }
  check_whole(size, "guides_per_set", call)
  size <- min(size, n %/% 2)
  chosen <- distinct_sets(n, size, n_sets)
  cells <- lapply(chosen, function(set) {
    which(perturbations_per_cell(guides[, set, drop = FALSE]) > 0)
  })
  list(
    membership = sets_of(cells, nrow(guides)),
    members = vapply(chosen, function(set) paste(colnames(guides)[set], collapse = "&"), "")
  )
}

# Sets of so many of n, each once: all there are, or so many of them drawn.
distinct_sets <- function(n, size, n_sets) {
  if (choose(n, size) <= max(n_sets, 1000)) {
    every <- utils::combn(n, size, simplify = FALSE)
    return(every[sample.int(length(every), min(n_sets, length(every)))])
  }
  drawn <- list()
  while (length(drawn) < n_sets) {
    drawn <- unique(c(drawn, list(sort(sample.int(n, size)))))
  }
  drawn
}

cell_sets <- function(n_cells, perturbations, n_sets, call) {
  sizes <- pmin(perturbations$n_cells[perturbations$n_cells > 0], n_cells %/% 2)
  if (n_cells < 4 || length(sizes) == 0) {
    scoria_abort(
      "There are {n_cells} control cell{?s}: too few to compare sets of them.",
      "calibration", call
    )
  }
  sizes <- sizes[sample.int(length(sizes), n_sets, replace = n_sets > length(sizes))]
  cells <- lapply(sizes, function(size) sample.int(n_cells, size))
  list(
    membership = sets_of(cells, n_cells), members = rep("control cells", n_sets)
  )
}

permuted_sets <- function(membership, n_sets, strata) {
  n <- nrow(membership)
  k <- ncol(membership)
  chosen <- sample.int(k, n_sets, replace = n_sets > k)
  strata <- strata %||% rep(1L, n)
  cells <- lapply(chosen, function(column) {
    of <- membership@i[seq_len(diff(membership@p)[column]) + membership@p[column]] + 1L
    redrawn <- lapply(split(seq_len(n), strata), function(within) {
      within[sample.int(length(within), sum(within %in% of))]
    })
    unlist(redrawn, use.names = FALSE)
  })
  list(membership = sets_of(cells, n), members = colnames(membership)[chosen])
}

sets_of <- function(cells, n_cells) {
  names <- sprintf("set_%0*d", nchar(length(cells)), seq_along(cells))
  new_membership(
    unlist(cells), rep.int(seq_along(cells), lengths(cells)), n_cells, names
  )
}
