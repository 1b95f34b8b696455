#' Effects and standard errors for mash
#'
#' @description
#' `mash_data()` arranges what was estimated as [mash()], and mashr's
#' `mash_set_data()`, want it: a matrix of effects (`Bhat`) and one of their standard
#' errors (`Shat`), with one column a condition, in the same order; the correlation `V`
#' of their errors; and which rows are strong, and which a random subset.
#'
#' @param x What was fitted: a [ScreenFit]; what [fit_models()] or its
#'   [coefficient_table()] returned; or a named list of several such, one a condition
#'   (days, doses, replicates).
#' @param rows What has a row. Of a screen: its `"genes"` (default; perturbations are
#'   conditions), or its `"perturbations"` (genes are). Of a list: each of the
#'   `"pairs"` of a gene with a perturbation or term (default; what is in the list are
#'   conditions), or the `"genes"` (each perturbation of each is a condition).
#' @param V The correlation of the errors of two conditions where there is no effect: a
#'   matrix, or how to find one.
#'   * `"shared"`: from what the fits share. Perturbations that are compared with the
#'     same control cells have the error of these in common, and so have those of one
#'     cell. Default for the genes of a screen, which alone has it.
#'   * `"simple"`: from the data, the correlation of z over rows whose z are all below
#'     2 in size, as [estimate_null_correlation_simple()]. Default for all else.
#'   * `"identity"`: none. Right for fits that have no cells in common.
#'
#'   Where perturbations are each compared with all others, `V` would have no inverse, and
#'   is mixed with as much of the identity as makes its eigenvalues 1e-4 at least.
#' @param missing What becomes of entries without an estimate: pairs that were not
#'   fitted, failed, or separated. `"keep"` (default): `NA` in both matrices, of which
#'   mash takes the other conditions' word; rows of `NA` alone are dropped. `"drop"`:
#'   rows with any are dropped.
#' @param terms Of tables of [fit_models()]: which terms are conditions (of a list: are
#'   paired with genes). Default `NULL`: all but the intercept.
#' @param genes,perturbations Of a screen: which of them. Default `NULL`: all.
#' @param strong_q,n_random Rows are strong where the smallest p-value of a condition,
#'   adjusted over the rows (Benjamini and Hochberg), is at most this: default 0.05. How
#'   many rows the random subset has: default 20,000, or all where there are fewer.
#' @param seed Of the random subset. Default 1. The session's own random numbers are
#'   left as they are.
#' @param data What `mash_data()` returned.
#' @param path Path of a `.csv` file.
#' @param ... Not used; an unknown argument is an error.
#'
#' @details
#' Effects are natural logarithms of ratios of means (of [fit_models()] on the scale of
#' the link). With `mashr`:
#'
#' ```r
#' m <- mash_data(fit)
#' data <- mashr::mash_set_data(m$Bhat, m$Shat, V = m$V)
#' ```
#'
#' The families quasipoisson and gaussian of [fit_models()] have t-statistics: `df` then
#' holds the degrees of freedom, for `mash_set_data(df = )`. Otherwise it is `Inf`.
#'
#' `write_mash_data()` writes a table with one row a row of `Bhat`, and columns `gene`,
#' `betahat_` and `se_` followed by each condition, as fate_programDE has them;
#' `read_mash_data()` reads one, from whichever program: all columns before the first
#' `betahat_` name the rows.
#'
#' @return A list of class `scoria_mash_data`:
#' \describe{
#'   \item{Bhat, Shat}{matrices of rows x conditions, with names; `NA` in both where
#'     there is no estimate}
#'   \item{V}{matrix of conditions x conditions}
#'   \item{df}{degrees of freedom: `Inf`, a number, or a matrix as `Bhat`}
#'   \item{strong, random}{numbers of rows}
#'   \item{missing}{a tibble: how many entries were `NA`, by `status`}
#'   \item{dropped}{names of the rows that were dropped}
#' }
#'
#' @section Errors:
#' All have the class `scoria_error`: `scoria_error_argument`;
#' `scoria_error_perturbation` and `scoria_error_gene` for names that are not there;
#' `scoria_error_terms`; `scoria_error_V` where `V` cannot be found;
#' `scoria_error_mash_data` where nothing is left, or names are not unique;
#' `scoria_error_input_file` where a file is not such a table.
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   data <- mash_data(fit)
#'   data
#'   data$V
#' }
#' @export
mash_data <- function(x, ...) UseMethod("mash_data")

#' @rdname mash_data
#' @export
mash_data.ScreenFit <- function(x, ..., rows = c("genes", "perturbations"),
                                V = NULL, missing = c("keep", "drop"),
                                genes = NULL, perturbations = NULL,
                                strong_q = 0.05, n_random = 20000, seed = 1) {
  check_no_dots(..., of = "mash_data.ScreenFit")
  rows <- first_choice(rows, c("genes", "perturbations"))
  x <- shown_part(x, genes, perturbations)
  effects <- screen_effects(x)
  if (rows == "perturbations") effects <- lapply(effects, t)
  shared <- if (rows == "genes") function() screen_correlation(x)
  new_mash_data(effects, shared, V, missing, strong_q, n_random, seed)
}

#' @rdname mash_data
#' @export
mash_data.data.frame <- function(x, ..., terms = NULL, V = NULL,
                                 missing = c("keep", "drop"), strong_q = 0.05,
                                 n_random = 20000, seed = 1) {
  check_no_dots(..., of = "mash_data.data.frame")
  effects <- table_effects(x, terms)
  new_mash_data(effects, NULL, V, missing, strong_q, n_random, seed)
}

#' @rdname mash_data
#' @export
mash_data.list <- function(x, ..., rows = c("pairs", "genes"), terms = NULL,
                           V = NULL, missing = c("keep", "drop"),
                           strong_q = 0.05, n_random = 20000, seed = 1) {
  check_no_dots(..., of = "mash_data.list")
  rows <- first_choice(rows, c("pairs", "genes"))
  check_fits(x)
  each <- lapply(x, function(fit) {
    if (inherits(fit, "ScreenFit")) screen_effects(fit) else table_effects(fit, terms)
  })
  if (rows == "pairs") {
    effects <- join_pairs(each)
    shared <- NULL
  } else {
    effects <- join_conditions(each)
    screens <- all(vapply(x, inherits, NA, "ScreenFit"))
    shared <- if (screens) function() block_diagonal(lapply(x, screen_correlation))
  }
  new_mash_data(effects, shared, V, missing, strong_q, n_random, seed)
}

#' @rdname mash_data
#' @export
mash_data.default <- function(x, ...) {
  scoria_abort(
    "{.arg x} must be what {.fn fit_screen}, {.fn fit_models} or
     {.fn coefficient_table} returned, or a named list of such; not
     {.obj_type_friendly {x}}.",
    "argument"
  )
}

# From effects as they are described in condition-effects.R.
new_mash_data <- function(effects, shared, V, missing, strong_q, n_random, seed,
                          call = caller_env()) {
  missing <- first_choice(missing, c("keep", "drop"), "missing", call)
  check_probability(strong_q, "strong_q", call)
  check_whole(n_random, "n_random", call)
  check_seed(seed, call)
  check_distinct(effects$estimate, call)
  ok <- effects$status == entry_code("ok")
  usable <- ok & is.finite(effects$estimate) & is.finite(effects$std_err) & effects$std_err > 0
  usable[is.na(usable)] <- FALSE
  effects$status[ok & !usable] <- entry_code("no standard error")
  why <- tabulate(effects$status[!usable], length(entry_status()))
  names(why) <- entry_status()
  why <- why[why > 0]
  enough <- if (missing == "drop") ncol(usable) else 1
  kept <- rowSums(usable) >= enough
  if (!any(kept)) {
    wanted <- if (missing == "drop") "all its estimates" else "an estimate"
    scoria_abort(c(
      "No row has {wanted}: there is nothing for mash.",
      i = "Entries are without one because of their status: {.val {names(why)}}."
    ), "mash_data", call)
  }
  part <- function(matrix) {
    matrix[!usable] <- NA
    matrix[kept, , drop = FALSE]
  }
  data <- list(
    Bhat = part(effects$estimate), Shat = part(effects$std_err), V = NULL,
    df = spread_df(effects$df, c(sum(kept), ncol(usable)))
  )
  data$V <- null_correlation(V, data, shared, call)
  data$strong <- significant_rows(data, strong_q)
  data$random <- random_rows(nrow(data$Bhat), n_random, seed)
  data$missing <- tibble::tibble(status = names(why), entries = unname(why))
  data$dropped <- rownames(usable)[!kept]
  structure(data, class = "scoria_mash_data")
}

check_seed <- function(seed, call) {
  if (!rlang::is_scalar_integerish(seed, finite = TRUE)) {
    scoria_abort(
      "{.arg seed} must be a whole number, not {.val {seed}}.", "argument", call
    )
  }
}

check_distinct <- function(matrix, call) {
  for (names in dimnames(matrix)) {
    twice <- unique(names[duplicated(names)])
    if (length(twice) > 0) {
      scoria_abort(
        "{.val {utils::head(twice, 5)}} {?names/name} more than one gene or condition.",
        "mash_data", call
      )
    }
  }
}

# One number where all conditions have the same.
spread_df <- function(df, dim) {
  found <- unique(df %||% Inf)
  if (length(found) == 1) found else matrix(df, dim[1], dim[2], byrow = TRUE)
}

# Subsets ----------------------------------------------------------------------

significant_rows <- function(data, q) {
  p <- 2 * stats::pnorm(-abs(data$Bhat / data$Shat))
  adjusted <- apply(p, 2, stats::p.adjust, method = "BH")
  dim(adjusted) <- dim(p)
  which(rowSums(adjusted <= q, na.rm = TRUE) > 0, useNames = FALSE)
}

random_rows <- function(n, size, seed) {
  if (n <= size) {
    return(seq_len(n))
  }
  local_fixed_seed(seed)
  sort(sample.int(n, size))
}
