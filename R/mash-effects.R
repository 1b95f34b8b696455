# The effects that mash() and covariances are of --------------------------------

# List of
#   Bhat, Shat    matrices of doubles; 0 and Inf where there is no estimate
#   V             a matrix, an array of one a gene, or NULL
#   Shat_alpha    what posteriors are to be multiplied with; NULL for 1
#   alpha         as asked for
#   constant      one a gene, added to its log-likelihoods
#   genes, genes_given, conditions   row numbers or names; names or NULL; names or NULL
#   strong, random   row numbers, or NULL
prepare_effects <- function(data, alpha = NULL, call = caller_env()) {
  if (inherits(data, "prepared_effects")) {
    return(data)
  }
  if (!is.list(data) || !all(c("Bhat", "Shat") %in% names(data))) {
    scoria_abort(
      "{.arg data} must be a list with {.field Bhat} and {.field Shat}, not
       {.obj_type_friendly {data}}.", c("data", "argument"), call
    )
  }
  check_matrices(data$Bhat, data$Shat, call)
  if (is.null(data$Shat_alpha)) {
    prepare_plain(data, check_alpha(alpha %||% data$alpha %||% 0, call), call)
  } else if (is.null(data$L)) {
    prepare_from_mashr(data, call)
  } else {
    prepare_contrasts(data, call)
  }
}

prepare_plain <- function(data, alpha, call) {
  bhat <- data$Bhat
  shat <- data$Shat
  if (length(shat) == 1) {
    shat <- array(shat, dim(bhat), dimnames(bhat))
  }
  missing <- is.na(bhat)
  shat[missing] <- Inf
  bhat[missing] <- 0
  check_errors(shat, call)
  shat <- with_freedom(bhat, shat, data$df, call)
  if (alpha == 0) {
    return(effects_list(bhat, shat, NULL, 0, missing, data, call))
  }
  scale <- shat^alpha
  bhat <- replace(bhat / scale, missing, 0)
  shat <- replace(shat^(1 - alpha), missing, Inf)
  effects_list(bhat, shat, scale, alpha, missing, data, call)
}

# mashr's own data are scaled, and say what is missing by numbers.
prepare_from_mashr <- function(data, call) {
  missing <- data$Bhat == 0 & data$Shat == 1e6
  shat <- replace(data$Shat, missing, Inf)
  check_errors(shat, call)
  alpha <- check_alpha(data$alpha, call)
  scale <- if (alpha > 0) data$Shat_alpha
  effects_list(data$Bhat, shat, scale, alpha, missing, data, call)
}

effects_list <- function(bhat, shat, scale, alpha, missing, data, call) {
  storage.mode(bhat) <- storage.mode(shat) <- "double"
  constant <- if (is.null(scale)) {
    rowSums(missing) * (-log(1e6) - 0.5 * log(2 * pi))
  } else {
    -rowSums(log(replace(scale, missing, 1)))
  }
  structure(list(
    Bhat = bhat, Shat = shat, V = check_correlation(data$V, dim(bhat), call),
    Shat_alpha = if (!is.null(scale)) replace(scale, missing, NA), alpha = alpha,
    constant = as.vector(constant),
    genes = rownames(bhat) %||% seq_len(nrow(bhat)), genes_given = rownames(bhat),
    conditions = colnames(bhat),
    strong = check_rows(data$strong, "strong", nrow(bhat), call),
    random = check_rows(data$random, "random", nrow(bhat), call)
  ), class = "prepared_effects")
}

# Contrasts L of conditions, as mashr has them: each gene's errors are correlated in
# their own way.
prepare_contrasts <- function(data, call) {
  contrast <- data$L
  original <- data$Shat_orig
  if (is.null(original) || !is.matrix(data$V)) {
    scoria_abort(c(
      "{.arg data} has contrasts, but not the standard errors and the one correlation
       matrix that they are made of.",
      i = "Give the contrasts' own {.field Bhat}, {.field Shat} and {.field V}, an array
           of one matrix for each gene."
    ), c("data", "argument"), call)
  }
  r <- nrow(contrast)
  shat <- matrix(0, nrow(original), r)
  v <- array(0, c(r, r, nrow(original)))
  for (gene in seq_len(nrow(original))) {
    s <- original[gene, ]
    covariance <- contrast %*% (s * t(s * data$V)) %*% t(contrast)
    shat[gene, ] <- sqrt(diag(covariance))
    v[, , gene] <- stats::cov2cor(covariance)
  }
  dimnames(shat) <- dimnames(data$Bhat)
  data$V <- v
  effects_list(data$Bhat, shat, NULL, 0, shat < 0, data, call)
}

check_matrices <- function(bhat, shat, call) {
  check_matrix(bhat, "Bhat", call)
  one <- is.numeric(shat) && length(shat) == 1
  check_matrix(if (one) matrix(shat) else shat, "Shat", call)
  if (length(bhat) == 0) {
    scoria_abort(
      "{.field Bhat} of {.arg data} is empty: {nrow(bhat)} gene{?s} x {ncol(bhat)}
       condition{?s}.", c("data", "argument"), call
    )
  }
  if (!one) {
    check_in_step(bhat, shat, call)
  }
}

check_matrix <- function(value, name, call) {
  if (!is.matrix(value) || !is.numeric(value)) {
    scoria_abort(
      "{.field {name}} of {.arg data} must be a numeric matrix of genes x conditions, not
       {.obj_type_friendly {value}}.", c("data", "argument"), call
    )
  }
  odd <- which(is.infinite(value) | is.nan(value))
  if (length(odd) > 0) {
    at <- arrayInd(odd[1], dim(value))
    scoria_abort(c(
      "{.field {name}} of {.arg data} must be finite, or {.val {NA}} where there is no
       estimate.",
      x = "{length(odd)} value{?s} {?is/are} not; the first is {value[odd[1]]}, in row
           {at[1]}, column {at[2]}."
    ), c("data", "not_finite", "argument"), call)
  }
}

check_in_step <- function(bhat, shat, call) {
  if (!identical(dim(bhat), dim(shat))) {
    scoria_abort(
      "{.field Bhat} and {.field Shat} of {.arg data} must have the same size.
       {.field Bhat} is {nrow(bhat)} x {ncol(bhat)}, {.field Shat} {nrow(shat)} x
       {ncol(shat)}.", c("data", "argument"), call
    )
  }
  for (side in 1:2) {
    names <- list(dimnames(bhat)[[side]], dimnames(shat)[[side]])
    what <- c("row", "column")[side]
    if (!any(vapply(names, is.null, NA)) && !identical(names[[1]], names[[2]])) {
      at <- which(names[[1]] != names[[2]])[1]
      scoria_abort(c(
        "{.field Bhat} and {.field Shat} of {.arg data} must have the same {what} names,
         in the same order.",
        x = "{what} {at} is {.val {names[[1]][at]}} in {.field Bhat}, and
             {.val {names[[2]][at]}} in {.field Shat}."
      ), c("data", "names", "argument"), call)
    }
  }
  apart <- which(is.na(bhat) != is.na(shat))
  if (length(apart) > 0) {
    at <- arrayInd(apart[1], dim(bhat))
    scoria_abort(c(
      "{.field Bhat} and {.field Shat} of {.arg data} must be {.val {NA}} in the same
       places.",
      x = "In {length(apart)} place{?s} only one of the two is; the first is row {at[1]},
           column {at[2]}."
    ), c("data", "missing", "argument"), call)
  }
}

check_errors <- function(shat, call) {
  bad <- which(shat <= .Machine$double.eps)
  if (length(bad) > 0) {
    at <- arrayInd(bad[1], dim(shat))
    scoria_abort(c(
      "{.field Shat} of {.arg data} must be above zero.",
      x = "{length(bad)} standard error{?s} {?is/are} not; the first is
           {shat[bad[1]]}, in row {at[1]}, column {at[2]}.",
      i = "Make both {.val {NA}} where a model was not fitted."
    ), c("data", "sebetahat", "argument"), call)
  }
}

check_alpha <- function(alpha, call) {
  is_share <- rlang::is_bare_numeric(alpha, 1) && isTRUE(alpha >= 0 & alpha <= 1)
  if (!is_share) {
    scoria_abort(
      "{.arg alpha} must be one number from 0 to 1, not {.val {alpha}}.", "argument", call
    )
  }
  alpha
}

# The standard errors with which normal errors have the p-values of Student's.
with_freedom <- function(bhat, shat, df, call) {
  if (is.null(df) || all(is.infinite(df))) {
    return(shat)
  }
  if (!is.numeric(df) || !length(df) %in% c(1, length(bhat)) || anyNA(df) || any(df <= 0)) {
    scoria_abort(
      "{.field df} of {.arg data} must be one number above zero, or one for each effect.",
      c("data", "argument"), call
    )
  }
  t <- abs(bhat / shat)
  z <- -stats::qnorm(stats::pt(-t, df, log.p = TRUE), log.p = TRUE)
  # Next to zero both are in proportion to their densities there.
  flat <- shat * stats::dnorm(0) / stats::dt(0, df)
  ifelse(t < 1e-4, flat, abs(bhat) / z)
}

check_correlation <- function(v, size, call) {
  r <- size[2]
  if (is.null(v)) {
    return(NULL)
  }
  fits <- is.numeric(v) &&
    (identical(dim(v), c(r, r)) || identical(dim(v), c(r, r, size[1])))
  if (!fits) {
    found <- if (is.null(dim(v))) length(v) else dim(v)
    scoria_abort(c(
      "{.field V} of {.arg data} must be a matrix of {r} x {r}, or an array of {r} x {r} x
       {size[1]}.",
      x = "It is {paste(found, collapse = ' x ')}."
    ), c("V", "data", "argument"), call)
  }
  slices <- if (length(dim(v)) == 2) list(v) else lapply(seq_len(size[1]), function(j) {
    matrix(v[, , j], r)
  })
  for (slice in slices) {
    definite <- all(is.finite(slice)) && isSymmetric(unname(slice)) &&
      !inherits(try(chol(slice), silent = TRUE), "try-error")
    if (!definite) {
      scoria_abort(c(
        "{.field V} of {.arg data} must be symmetric and positive definite.",
        i = "{.code V + diag(0.01, {r})} may be."
      ), c("V", "data", "argument"), call)
    }
  }
  storage.mode(v) <- "double"
  v
}

check_rows <- function(rows, name, n, call) {
  if (is.null(rows)) {
    return(NULL)
  }
  whole <- is.numeric(rows) && length(rows) > 0 && !anyNA(rows) &&
    all(rows == round(rows) & rows >= 1 & rows <= n)
  if (!whole) {
    scoria_abort(
      "{.field {name}} of {.arg data} must be row numbers from 1 to {n}.",
      c("data", "argument"), call
    )
  }
  as.integer(rows)
}

report_effects <- function(effects) {
  missing <- sum(is.infinite(effects$Shat))
  if (missing > 0) {
    cli::cli_inform("{missing} of {length(effects$Shat)} effect{?s} {?has/have} no estimate.")
  }
  if (!is.null(effects$random)) {
    cli::cli_inform("Weights are fitted on {length(effects$random)} gene{?s}.")
  }
}

# What the core takes of them.
rust_effects <- function(effects) {
  list(
    bhat = as.double(effects$Bhat), shat = as.double(effects$Shat),
    conditions = ncol(effects$Bhat), V = if (!is.null(effects$V)) as.double(effects$V),
    each = length(dim(effects$V)) == 3
  )
}

# A matrix of doubles, or, if it is sparse, the conditions that it is of and their block.
rust_covariance <- function(u) {
  if (is.matrix(u)) {
    storage.mode(u) <- "double"
    return(u)
  }
  at <- which(Matrix::diag(u) > 0)
  list(at = at, block = as.double(as.matrix(u[at, at, drop = FALSE])))
}
