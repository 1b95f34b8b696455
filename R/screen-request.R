# A screen as the engine wants it ----------------------------------------------

# List of
#   counts    dgCMatrix of genes x the cells that are used
#   screen    design, offset, memberships, reference, pairs, strata; indices count
#             from zero
#   options   how to fit and test, checked
#   about     what a ScreenFit knows of the screen before it is fitted
#   cells     indices of the cells that are used, for messages
screen_request <- function(source, assigned, formula, options, control = NULL,
                           reference = reference_kinds(), pairs = NULL,
                           strata = NULL, size_factors = "offset",
                           na_action = "fail", call = caller_env()) {
  check_confounded(formula, assigned$column, call)
  check_labels(assigned, na_action, call)
  reference <- find_reference(
    assigned$membership, control, reference, call
  )
  compared <- compared_cells(assigned, reference)
  model <- prepare_model(
    keep_cells(source, compared), formula, options$family, size_factors,
    na_action, "x", call
  )
  cells <- compared[model$design$cells]
  membership <- assigned$membership[cells, reference$tested, drop = FALSE]
  reference$cells <- reference$cells[cells]
  check_reference_left(reference, ncol(model$design$matrix), call)
  check_comparable(membership, reference, call)
  report_aliases(membership)
  pairs <- read_pairs(
    pairs, source$genes$gene_id, reference$tested, reference$controls, call
  )
  strata <- read_strata(strata, source, cells, options, call)
  about <- list(
    genes = screen_genes(source$genes),
    perturbations = tibble::tibble(
      perturbation = reference$tested, n_cells = diff(membership@p)
    ),
    pairs = pairs,
    n_cells = length(cells),
    reference = list(
      kind = reference$kind, controls = reference$controls,
      n_cells = if (is.null(reference$cells)) {
        length(cells)
      } else {
        sum(reference$cells)
      }
    ),
    formula = deparse1(formula),
    terms = colnames(model$design$matrix),
    shared_error = shared_error(
      model$design$matrix, as.double(model$offset), membership, reference$cells
    ),
    size_factors = size_factors,
    size_factor_origin = model$origin,
    options = options[c("family", "dispersion", "test", "se", "resampling")],
    version = as.character(utils::packageVersion("scoria"))
  )
  list(
    counts = model$counts,
    screen = list(
      design = model$design$matrix, offset = as.double(model$offset),
      perturbation_p = membership@p, perturbation_i = membership@i,
      reference_cells = if (!is.null(reference$cells)) {
        which(reference$cells) - 1L
      },
      pair_p = pairs$p, pair_i = pairs$i,
      strata = strata$stratum, n_strata = strata$n,
      n_genes = nrow(model$counts)
    ),
    options = c(options, list(description = serialize(about, NULL))),
    about = about,
    cells = cells
  )
}

# The formula holds the covariates: the perturbation is not one of them.
check_confounded <- function(formula, column, call) {
  if (!is.null(column) && column %in% all.vars(formula)) {
    scoria_abort(c(
      "{.arg formula} has the column {.field {column}}, which says what
       perturbation a cell has.",
      i = "{.arg formula} is for covariates; the perturbations are added to it,
           one at a time."
    ), c("confounded", "formula"), call)
  }
}

# Cells that are perturbed or in the reference; others play no part.
compared_cells <- function(assigned, reference) {
  used <- !assigned$missing
  if (!is.null(reference$cells)) {
    tested <- assigned$membership[, reference$tested, drop = FALSE]
    concerned <- reference$cells | perturbations_per_cell(tested) > 0
    idle <- sum(used & !concerned)
    if (idle > 0) {
      why <- switch(reference$kind,
        control = "they are neither perturbed nor control cells",
        perturbed = "they are not perturbed"
      )
      cli::cli_inform(
        "{idle} of {length(used)} cells are left out: {why}."
      )
    }
    used <- used & concerned
  }
  which(used)
}

# The same source with some of its cells.
keep_cells <- function(source, cells) {
  if (length(cells) == ncol(source$counts)) {
    return(source)
  }
  source$counts <- select_counts(source$counts, cells = cells)
  source$totals <- source$totals[cells]
  source$cells <- lapply(source$cells, function(column) {
    if (length(dim(column)) == 2) {
      column[cells, , drop = FALSE]
    } else {
      column[cells]
    }
  })
  source
}

check_reference_left <- function(reference, terms, call) {
  if (!is.null(reference$cells) && !any(reference$cells)) {
    scoria_abort(c(
      "No cell is left to compare with: all cells of the reference have an
       {.code NA} in a variable of the formula."
    ), c("control", "missing", "argument"), call)
  }
  if (!is.null(reference$cells) && sum(reference$cells) <= terms) {
    scoria_abort(c(
      "The reference has {sum(reference$cells)} cell{?s}; a model with {terms}
       coefficient{?s} beside the perturbation's needs more than that.",
      i = "Use fewer covariates, or another {.arg reference}."
    ), c("control", "shape", "argument"), call)
  }
}

# One stratum a cell, counted from zero.
read_strata <- function(strata, source, cells, options, call) {
  if (is.null(strata)) {
    return(list(stratum = NULL, n = 0L))
  }
  if (options$test != "calibrated" || options$resampling != "permutation") {
    scoria_abort(
      "{.arg strata} is for {.code test = \"calibrated\"} with
       {.code resampling = \"permutation\"}.",
      c("strata", "argument"), call
    )
  }
  if (rlang::is_string(strata)) {
    if (!strata %in% names(source$cells)) {
      near <- near_names(strata, names(source$cells))
      scoria_abort(c(
        "{.arg x} has no column of cells {.val {strata}}, as {.arg strata}
         says.",
        i = if (length(near) > 0) "Did you mean {.val {near}}?"
      ), c("strata", "argument"), call)
    }
    strata <- source$cells[[strata]]
  }
  n_cells <- ncol(source$counts)
  if (!is.atomic(strata) || length(strata) != n_cells) {
    scoria_abort(
      "{.arg strata} must be the name of a column of cells, or have one value a
       cell ({n_cells}); not {.obj_type_friendly {strata}} of length
       {length(strata)}.",
      c("strata", "argument"), call
    )
  }
  strata <- strata[cells]
  if (anyNA(strata)) {
    scoria_abort(
      "{sum(is.na(strata))} of {length(strata)} cells have no stratum: their
       {.arg strata} is NA.",
      c("strata", "missing", "argument"), call
    )
  }
  values <- unique(strata)
  list(stratum = match(strata, values) - 1L, n = length(values))
}

# The genes' metadata; what the engine adds keeps its name.
screen_genes <- function(genes) {
  kept <- rename_clashes(genes, setdiff(gene_columns_fitted(), "gene_id"))
  ids <- kept$gene_id
  kept[gene_columns_fitted()] <- NULL
  tibble::as_tibble(c(list(gene_id = ids), kept))
}

# What is known of a gene after the fit of its null model.
gene_columns_fitted <- function() {
  c(
    "gene_id", "status", "mean", "theta", "dispersion", "log_likelihood",
    "iterations"
  )
}

# Options ----------------------------------------------------------------------

screen_choices <- function() {
  list(
    family = c("negbinomial", "poisson", "quasipoisson"),
    dispersion = c("null", "pair", "trend"),
    test = c("wald", "lrt", "score", "calibrated"),
    se = c("expected", "observed", "sandwich"),
    resampling = c("permutation", "conditional")
  )
}

# The arguments that say how to fit and to test, checked one by one and
# together. `given` has one entry for each of screen_choices().
screen_options <- function(given, threads = NULL, memory_limit = NULL,
                           output = NULL, resume = FALSE,
                           call = caller_env()) {
  choices <- screen_choices()
  options <- lapply(rlang::set_names(names(choices)), function(arg) {
    first_choice(given[[arg]], choices[[arg]], arg, call)
  })
  chosen <- function(arg) !identical(given[[arg]], choices[[arg]])
  if (options$family != "negbinomial" && options$dispersion != "null") {
    scoria_abort(
      "{.code dispersion = \"{options$dispersion}\"} is for the family
       {.val negbinomial}, not {.val {options$family}}.",
      c("dispersion", "argument"), call
    )
  }
  if (chosen("resampling") && options$test != "calibrated") {
    scoria_abort(
      "{.arg resampling} is for {.code test = \"calibrated\"}, not
       {.val {options$test}}.",
      c("resampling", "argument"), call
    )
  }
  c(options, list(
    tolerance = 5e-6, max_iterations = 100L,
    threads = resolve_threads(threads, call),
    memory_limit = parse_memory(memory_limit, call),
    output = check_output(output, resume, call), resume = resume
  ))
}

# Bytes, of a number or of a text such as "4GB".
parse_memory <- function(limit, call = caller_env()) {
  if (is.null(limit)) {
    return(NULL)
  }
  units <- c(
    b = 1, kb = 1e3, mb = 1e6, gb = 1e9, tb = 1e12,
    kib = 2^10, mib = 2^20, gib = 2^30, tib = 2^40
  )
  bytes <- NA_real_
  if (rlang::is_string(limit)) {
    pattern <- "^\\s*([0-9]+\\.?[0-9]*)\\s*([a-z]+)\\s*$"
    parts <- regmatches(tolower(limit), regexec(pattern, tolower(limit)))[[1]]
    if (length(parts) == 3) bytes <- as.double(parts[2]) * units[parts[3]]
  } else if (is.numeric(limit) && length(limit) == 1) {
    bytes <- as.double(limit)
  }
  if (!is.finite(bytes) || bytes <= 0) {
    scoria_abort(
      "{.arg memory_limit} must be a number of bytes, or a text such as
       {.val 4GB} or {.val 500 MiB}; not {.val {limit}}.",
      c("memory_limit", "argument"), call
    )
  }
  unname(bytes)
}

check_output <- function(output, resume, call) {
  check_flag(resume, "resume", call)
  if (is.null(output)) {
    if (resume) {
      scoria_abort(c(
        "{.code resume = TRUE} needs {.arg output}: only a screen whose results
         go to a file can be resumed."
      ), c("output", "argument"), call)
    }
    return(NULL)
  }
  if (!rlang::is_string(output) || !nzchar(output)) {
    scoria_abort(
      "{.arg output} must be the path of a file, not
       {.obj_type_friendly {output}}.",
      c("output", "argument"), call
    )
  }
  output <- path.expand(output)
  folder <- dirname(output)
  if (!dir.exists(folder)) {
    scoria_abort(
      "Can't write {.arg output}: there is no folder {.file {folder}}.",
      c("output", "argument"), call
    )
  }
  if (dir.exists(output)) {
    scoria_abort(
      "{.arg output} must be the path of a file; {.file {output}} is a folder.",
      c("output", "argument"), call
    )
  }
  if (file.exists(output) && !resume) {
    scoria_abort(c(
      "{.arg output} {.file {output}} is there already.",
      i = "Go on with it ({.code resume = TRUE}), remove it, or name another."
    ), c("output", "argument"), call)
  }
  file.path(normalizePath(folder), basename(output))
}

check_flag <- function(value, arg, call) {
  if (!rlang::is_bool(value)) {
    scoria_abort(
      "{.arg {arg}} must be {.code TRUE} or {.code FALSE}, not {.val {value}}.",
      "argument", call
    )
  }
}
