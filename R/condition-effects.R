# Effects of rows x conditions, for mash ----------------------------------------
#
# A list of matrices `estimate`, `std_err` and `status` (numbers of entry_status()), and of
# `df`, one number a condition, where statistics are t.

# The part of a fit with these genes and perturbations, in the order asked for.
shown_part <- function(fit, genes, perturbations, call = caller_env()) {
  if (!is.null(genes)) {
    check_present(genes, rownames(fit), "gene", call)
    fit <- fit[genes, ]
  }
  if (!is.null(perturbations)) {
    check_present(perturbations, colnames(fit), "perturbation", call)
    fit <- fit[, perturbations]
  }
  fit
}

screen_effects <- function(fit) {
  store <- fit$store
  ids <- pair_ids(store, fit$shown$genes, fit$shown$perturbations)
  spread <- if (is.null(store$pair_p)) {
    function(values, none) {
      matrix(values, nrow(fit), ncol(fit), byrow = TRUE, dimnames = dimnames(fit))
    }
  } else {
    at <- cbind(
      match(gene_of_pair(store, ids), fit$shown$genes),
      match(perturbation_of_pair(store, ids), fit$shown$perturbations)
    )
    function(values, none) {
      matrix <- matrix(none, nrow(fit), ncol(fit), dimnames = dimnames(fit))
      matrix[at] <- values
      matrix
    }
  }
  # The engine's numbers are those of the first words.
  codes <- read_pairs_of(store, "status", ids) + 1L
  list(
    estimate = spread(read_pairs_of(store, "estimate", ids), NA_real_),
    std_err = spread(read_pairs_of(store, "std_err", ids), NA_real_),
    status = spread(codes, entry_code("not asked for"))
  )
}

# What there is to say of an entry, as numbers: a screen has many.
entry_status <- function() {
  c(
    pair_status(), "not asked for", "FAIL", "separated or aliased", "no standard error",
    "not in the file", "not fitted"
  )
}

entry_code <- function(status) match(status, entry_status())

table_effects <- function(table, terms, call = caller_env()) {
  if ("model" %in% names(table) && !"term" %in% names(table)) {
    table <- coefficient_table(table)
  }
  needed <- c("gene_id", "estimate", "std_err", "status")
  of <- intersect(c("term", "perturbation"), names(table))
  if (length(of) == 0 || !all(needed %in% names(table))) {
    scoria_abort(
      "{.arg x} must be what {.fn fit_models} or {.fn coefficient_table} returned: it has
       no column {.field {c(setdiff(needed, names(table)), if (length(of) == 0) 'term')}}.",
      "argument", call
    )
  }
  genes <- unique(table$gene_id)
  failed <- table$status[match(genes, table$gene_id)] == "FAIL"
  terms <- find_terms(terms, unique(table[[of[1]]]), call)
  table <- table[table[[of[1]]] %in% terms, ]
  at <- cbind(match(table$gene_id, genes), match(table[[of[1]]], terms))
  if (anyDuplicated(at)) {
    twice <- table[which(duplicated(at))[1], ]
    scoria_abort(
      "{.arg x} has two rows of gene {.val {twice$gene_id}} and
       {.val {twice[[of[1]]]}}.",
      "mash_data", call
    )
  }
  empty <- matrix(NA, length(genes), length(terms), dimnames = list(genes, terms))
  status <- ifelse(table$status == "OK", "ok", table$status)
  status[status == "ok" & !is.finite(table$std_err)] <- "separated or aliased"
  filled <- function(values, otherwise) {
    matrix <- empty
    matrix[] <- otherwise
    matrix[at] <- values
    matrix
  }
  list(
    estimate = filled(table$estimate, NA_real_),
    std_err = filled(table$std_err, NA_real_),
    status = filled(entry_code(status), entry_code(ifelse(failed, "FAIL", "not asked for"))),
    df = residual_df(table, terms)
  )
}

# All but the intercept, or those asked for.
find_terms <- function(terms, present, call) {
  present <- present[!is.na(present)]
  if (is.null(terms)) {
    return(setdiff(present, "(Intercept)"))
  }
  unknown <- setdiff(terms, present)
  if (!is.character(terms) || length(unknown) > 0) {
    scoria_abort(c(
      "{.arg terms} must be terms of {.arg x}; {.val {unknown}} {?is/are} not.",
      i = "It has {.val {present}}."
    ), c("terms", "argument"), call)
  }
  unique(terms)
}

# Degrees of freedom where statistics are t, once a condition; NULL where they are z.
residual_df <- function(table, terms) {
  if (!"model" %in% names(table) || nrow(table) == 0) {
    return(NULL)
  }
  model <- table$model[[1]]
  if (model$shared$family %in% c("quasipoisson", "gaussian")) {
    rep(as.double(stats::df.residual(model)), length(terms))
  }
}

# Several fits -----------------------------------------------------------------

check_fits <- function(fits, call = caller_env()) {
  ours <- vapply(fits, function(fit) inherits(fit, c("ScreenFit", "data.frame")), NA)
  named <- !is.null(names(fits)) && all(nzchar(names(fits))) && !anyDuplicated(names(fits))
  if (length(fits) == 0 || !all(ours) || !named) {
    scoria_abort(c(
      "{.arg x} must be a named list of fits or tables of coefficients, each with a
       name of its own: the conditions.",
      x = "It has {length(fits)} {cli::qty(length(fits))}element{?s}, named
           {.val {names(fits) %||% rep('', length(fits))}}."
    ), "argument", call)
  }
}

# One row for each pair of a gene and what it was compared in, in any of the fits; one
# column a fit.
join_pairs <- function(each) {
  of <- unique(unlist(lapply(each, function(one) colnames(one$estimate))))
  flat <- lapply(each, function(one) {
    rows <- rownames(one$estimate)
    if (length(of) > 1) rows <- as.vector(outer(rows, colnames(one$estimate), paste, sep = "|"))
    one[effect_parts()] <- lapply(one[effect_parts()], function(matrix) {
      matrix(matrix, dimnames = list(rows, NULL))
    })
    one$df <- one$df[1]
    one
  })
  joined <- join_conditions(flat)
  joined[effect_parts()] <- lapply(joined[effect_parts()], function(matrix) {
    colnames(matrix) <- names(each)
    matrix
  })
  joined
}

# One row for each row of any of the fits; one column for each column of each.
join_conditions <- function(each, call = caller_env(2)) {
  rows <- unique(unlist(lapply(each, function(one) rownames(one$estimate))))
  joined <- lapply(rlang::set_names(effect_parts()), function(part) {
    columns <- lapply(names(each), function(name) {
      matrix <- each[[name]][[part]]
      found <- matrix[match(rows, rownames(matrix)), , drop = FALSE]
      dimnames(found) <- list(rows, paste(name, colnames(matrix), sep = "."))
      found
    })
    do.call(cbind, columns)
  })
  joined$status[is.na(joined$status)] <- entry_code("not fitted")
  has_df <- !vapply(each, function(one) is.null(one$df), NA)
  if (any(has_df) && !all(has_df)) {
    scoria_abort(c(
      "{.arg x} has fits with t-statistics ({.val {names(each)[has_df]}}) and others with
       z: they cannot be joined."
    ), "mash_data", call)
  }
  joined$df <- unlist(lapply(each, `[[`, "df"), use.names = FALSE)
  joined
}

effect_parts <- function() c("estimate", "std_err", "status")
