# Guides: where an object keeps them, and which target each one has ------------

# Where guides may be found in `x`, by name.
guide_sources <- function(x) {
  if (is(x, "SingleCellExperiment") || "cell_data_set" %in% class(x)) {
    SingleCellExperiment::altExpNames(as_experiment(x))
  } else if (inherits(x, "Seurat")) {
    seurat_assays(x)
  } else if (inherits(x, "scoria_source")) {
    names(x$guides)
  }
}

# List of the guides x cells matrix, its name, and what is known of the guides
# (a list of columns); NULL where there is none of this name.
find_guides <- function(x, name) {
  if (!name %in% guide_sources(x)) {
    return(NULL)
  }
  if (inherits(x, "Seurat")) {
    return(list(
      values = seurat_counts(x, name), name = name,
      about = as.list(x[[name]][[]])
    ))
  }
  if (inherits(x, "scoria_source")) {
    return(guides_in_file(x, name))
  }
  guides <- SingleCellExperiment::altExp(as_experiment(x), name)
  present <- SummarizedExperiment::assayNames(guides)
  assay <- if ("membership" %in% present) "membership" else 1L
  list(
    values = SummarizedExperiment::assay(guides, assay), name = name,
    about = as.list(SummarizedExperiment::rowData(guides))
  )
}

# A matrix in `obsm`, or features of another type than the genes.
guides_in_file <- function(x, name) {
  guides <- x$guides[[name]]
  if (is.null(x$features)) {
    path <- x$counts$original
    columns <- rust_value(rust_read_cell_columns(path, guides))
    names <- columns$names %||% names_in_uns(path, name, length(columns$p) - 1)
    about <- list()
  } else {
    counts <- select_counts(x$all, genes = guides)
    columns <- rust_value(rust_collect_genes(counts))
    names <- rownames(counts)
    about <- lapply(x$features, `[`, guides)
  }
  by_cell <- Matrix::sparseMatrix(
    i = columns$i, p = columns$p, x = columns$x, index1 = FALSE,
    dims = c(ncol(x), length(columns$p) - 1), dimnames = list(NULL, names)
  )
  list(values = Matrix::t(by_cell), name = name, about = about)
}

# AnnData has no place for the names of the columns of `obsm/<name>`: by custom they
# are in `uns/<name>_names`, or in the singular.
names_in_uns <- function(path, name, n) {
  singular <- sub("s$", "", name)
  candidates <- paste0("uns/", unique(c(name, singular)), "_names")
  present <- intersect(candidates, rust_value(rust_list_h5ad(path))$name)
  for (candidate in present) {
    names <- rust_value(rust_read_names(path, candidate))
    if (length(names) == n) {
      return(names)
    }
  }
}

guide_membership <- function(guides, n_cells, threshold, call) {
  if (is(guides$values, "DelayedMatrix")) {
    guides$values <- as(guides$values, "dgCMatrix")
  }
  by_cell <- if (is.matrix(guides$values)) {
    t(guides$values)
  } else {
    Matrix::t(guides$values)
  }
  matrix_membership(by_cell, guides$name, n_cells, threshold, call)
}

# Guides of one target become one perturbation, in the order of the guides.
unite_guides <- function(membership, targets) {
  names <- unique(targets)
  guide <- rep.int(seq_len(ncol(membership)), diff(membership@p))
  new_membership(
    membership@i + 1L, match(targets, names)[guide], nrow(membership), names
  )
}

# The target of each guide.
read_guide_targets <- function(guide_targets, guides, about, call) {
  if (rlang::is_string(guide_targets) && is.null(names(guide_targets))) {
    return(targets_of_column(guide_targets, guides, about, call))
  }
  table <- guide_table(guide_targets, call)
  if (anyNA(table$target) || any(table$target == "")) {
    n <- sum(is.na(table$target) | table$target == "")
    abort_targets("{n} guide{?s} in {.arg guide_targets} {?has/have} no
                   target.", call)
  }
  table <- unique(table)
  twice <- unique(table$guide[duplicated(table$guide)])
  if (length(twice) > 0) {
    abort_targets(c(
      "{length(twice)} guide{?s} in {.arg guide_targets} {?has/have} several
       targets: {.val {utils::head(twice, 5)}}.",
      i = "A guide has one target."
    ), call)
  }
  lacking <- setdiff(guides, table$guide)
  if (length(lacking) > 0) {
    near <- near_names(lacking[1], table$guide)
    abort_targets(c(
      "{length(lacking)} of {length(guides)} guide{?s} {?is/are} not in
       {.arg guide_targets}: {.val {utils::head(lacking, 5)}}.",
      i = if (length(near) > 0) {
        "Near the first of them in {.arg guide_targets}: {.val {near}}."
      }
    ), call)
  }
  table$target[match(guides, table$guide)]
}

# Of a column of what the object says about its guides.
targets_of_column <- function(column, guides, about, call) {
  if (!column %in% names(about)) {
    present <- as.character(names(about))
    abort_targets(c(
      "{.arg guide_targets} names the column {.val {column}}, which the guides
       do not have.",
      i = if (length(present) > 0) "They have {.val {present}}.",
      i = "A data frame with columns {.field guide} and {.field target} will
           do."
    ), call)
  }
  targets <- as.character(about[[column]])
  if (anyNA(targets) || any(targets == "")) {
    n <- sum(is.na(targets) | targets == "")
    abort_targets(
      "{n} of {length(guides)} guides have no target in the column
       {.val {column}}.",
      call
    )
  }
  targets
}

# A data frame of guide and target, both character.
guide_table <- function(guide_targets, call) {
  if (is.character(guide_targets) && !is.null(names(guide_targets))) {
    return(data.frame(
      guide = names(guide_targets), target = unname(guide_targets)
    ))
  }
  if (!is.data.frame(guide_targets) && !is(guide_targets, "DataFrame")) {
    abort_targets(
      "{.arg guide_targets} must be a data frame with columns {.field guide}
       and {.field target}, a character vector of targets named by guide, or
       the name of a column of the guides' metadata; not
       {.obj_type_friendly {guide_targets}}.",
      call
    )
  }
  find <- function(names) {
    found <- intersect(names, colnames(guide_targets))
    if (length(found) == 0) {
      abort_targets(c(
        "{.arg guide_targets} has no column {.field {names[1]}}
         (nor {.field {names[-1]}}).",
        x = "It has {.field {colnames(guide_targets)}}."
      ), call)
    }
    as.character(guide_targets[[found[1]]])
  }
  data.frame(
    guide = find(c("guide", "grna_id", "guide_id")),
    target = find(c("target", "grna_target", "perturbation"))
  )
}

abort_targets <- function(message, call, .envir = parent.frame()) {
  scoria_abort(message, c("guide_targets", "argument"), call, .envir)
}
