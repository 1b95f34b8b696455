#' Fit a generalised linear model to the counts of every gene
#'
#' @description
#' `fit_models()` takes the place of monocle3's function of the same name: the
#' same call, the same table, by maximum likelihood in a fraction of the time.
#' Each gene's counts are the response of one model, whose right-hand side is
#' `model_formula_str`. [coefficient_table()] turns the result into a table of
#' estimates.
#'
#' @param cds Counts: a SingleCellExperiment, a monocle3 `cell_data_set`
#'   (monocle3 need not be installed), a SummarizedExperiment, a Seurat object,
#'   a matrix (dense, sparse, delayed) of genes x cells together with
#'   `cell_metadata`, or the path of a file: see [open_h5ad()].
#' @param model_formula_str The model's right-hand side, as a string,
#'   `"~ perturbation + percent.mito"`, or as a formula. Variables are columns of
#'   the cells' metadata; functions are found where `fit_models()` is called.
#'   Everything that [stats::model.matrix()] takes is allowed: interactions,
#'   `0 +`, `offset()`, `splines::ns(x, df = 3)`. Of a `cell_data_set`,
#'   `cluster`, `partition` and `pseudotime` can be used as in monocle3 (they go
#'   before columns of that name); of any object, `num_genes_expressed`.
#' @param expression_family The distribution of the counts:
#'   * `"quasipoisson"` (default): log link; the variance is proportional to the
#'     mean. Estimates are those of the Poisson family; the dispersion is
#'     Pearson's \eqn{X^2} over its degrees of freedom; t tests.
#'   * `"negbinomial"`: log link, variance \eqn{\mu + \mu^2 / \theta}{mu + mu^2 /
#'     theta}; coefficients and theta by maximum likelihood together. Standard
#'     errors from the expected information, as [MASS::glm.nb()]; z tests.
#'   * `"poisson"`: log link, variance equal to the mean; z tests.
#'   * `"binomial"`: logit link; genes with counts other than 0 and 1 fail; z
#'     tests.
#'   * `"gaussian"`: identity link, least squares; t tests.
#'   * `"zipoisson"`, `"zinegbinomial"`: a count is zero with a probability of its
#'     own (logit link), and else Poisson or negative binomial; see the section on
#'     zero inflation.
#'   * `"mixed-negbinomial"`: the negative binomial with random effects, in lme4's
#'     language: `(1 | donor)`, `(dose | donor)`, `(dose || donor)`,
#'     `(1 | donor/batch)`, and sums of them. Variances and theta maximise the
#'     Laplace approximation of the likelihood together; see the section on mixed
#'     models. z tests.
#' @param reduction_method Of a `cell_data_set`: the reduced dimension whose
#'   clusters, partitions and pseudotime are offered to the formula. Default
#'   `"UMAP"`.
#' @param cores Number of threads. Default 1. The result does not depend on it.
#' @param clean_model Accepted for compatibility; models are always light.
#' @param verbose Report what is done? Default `FALSE`.
#' @param ... Not used; an unknown argument is an error.
#' @param size_factors How size factors enter a model:
#'   * `"offset"` (default): `log(Size_Factor)` is an offset, in every family.
#'     Estimates are log ratios at equal sequencing depth.
#'   * `"covariate"`: `log(Size_Factor)` is a covariate with a coefficient of its
#'     own, in the row `stats::offset(log(Size_Factor))`. This is what monocle3
#'     1.3 and 1.4 do in the family `"negbinomial"`.
#'   * `"divide"`: `round(count / Size_Factor)` is the response, and there is no
#'     offset; not in the families `"binomial"` and `"gaussian"`. This is what
#'     older releases of monocle did.
#'   * `"none"`: size factors are not used.
#' @param cell_metadata,gene_metadata Where `cds` is a matrix: data frames with
#'   one row a cell, and one row a gene. Row names, where both have them, must
#'   be those of the matrix, in the same order.
#' @param assay Name of the assay that holds the counts. Default: `"counts"`; of
#'   a Seurat object its default assay.
#' @param na_action What to do with cells in which a variable of the formula is
#'   `NA` or `NaN`: `"fail"` (default) with an error that counts them, or
#'   `"omit"` them with a message. Infinite values are always an error.
#' @param maxit The most passes over the cells that a gene may take. Default
#'   100; most need 4 to 8. In a mixed model, the most that one mode may take; one
#'   search may take five times as many modes.
#' @param memory_limit The most memory that the fit may take beside its input: a
#'   number of bytes, or a text such as `"4GB"` (\eqn{10^9} bytes each) or `"4GiB"`
#'   (\eqn{2^{30}}). An error where it cannot be kept. Default `NULL`: some 300 MB,
#'   the model matrix and the results.
#' @param progress Show a progress bar after two seconds? Default: in
#'   interactive sessions.
#'
#' @section Size factors:
#' They are taken from the column `Size_Factor` of the cells' metadata, as
#' monocle3 keeps them; else from `sizeFactor`, as scran and scuttle do; else
#' they are estimated as each cell's total count over the geometric mean of all
#' totals, as monocle3 does, with a warning, for totals over a few
#' genes make poor size factors. Size factors that are `NA`, zero or negative
#' are an error.
#'
#' @section What is fitted:
#' Every estimate is on the scale of the link, in natural logarithms (or
#' logits). Fits end at the optimum, to 1e-8 standard errors, or fail. Columns
#' of the model matrix that are linear combinations of those before them have
#' `NA` for an estimate, as in [stats::glm()]. Where the likelihood keeps growing
#' as a coefficient goes to plus or minus infinity (a group of cells without a
#' single count), the estimate is `Inf` or `-Inf`, without a standard error or a
#' p-value, and all else is what the remaining cells say; where even its sign is
#' unknown (one empty group against another), the estimate is `NA`. Where the
#' data are not more variable than Poisson counts, `theta` is `Inf`.
#' `status_detail` says so in each case.
#'
#' @section Zero inflation:
#' In the families `"zipoisson"` and `"zinegbinomial"` a formula has two parts,
#' `"~ dose | batch"`: the mean of the counts that are not structural zeros depends
#' on the first (logarithms), the probability of a structural zero on the second
#' (logits). Without a bar, both have the same terms. Size factors are an offset, or a
#' covariate, of the first part only. The models are those of `pscl::zeroinfl()`,
#' with standard errors from the observed information; the highest of several
#' optima is reported, which `zeroinfl()` does not always find. Counts must be whole
#' numbers.
#'
#' Most genes have no more zeros than their counts explain. Then the probability goes
#' to zero: estimates of the zero part are `-Inf` or `NA`, all else is that of the
#' model without it, and `status_detail` says `no zero inflation`. Where cells of
#' some kind have no count at all, either their mean or the probability of anything
#' else may be zero, and estimates of both are `NA`. `maxit` is for each start of the
#' search. Models have [methods of their own][scoria_zero_inflated].
#'
#' @return A tibble with one row a gene, in the order of `cds`:
#' \describe{
#'   \item{...}{the columns of the genes' metadata (`rowData`)}
#'   \item{num_cells_expressed}{number of cells with a count above zero, unless
#'     the metadata have it already, which is believed, as in monocle3}
#'   \item{gene_id}{the gene's row name; may occur more than once}
#'   \item{model}{list of models, with methods for [coef()], [vcov()],
#'     [confint()], [logLik()], [AIC()], [BIC()], [deviance()], [nobs()],
#'     [df.residual()], [family()], [predict()], [summary()], `tidy()` and
#'     `glance()`}
#'   \item{model_summary}{list of their summaries}
#'   \item{status}{`"OK"` or `"FAIL"`}
#'   \item{status_detail}{why a gene failed, or what is to be known of its fit;
#'     else `NA`}
#' }
#'
#' @section Mixed models:
#' The model is that of `lme4::glmer.nb(formula, nAGQ = 0, offset =
#' log(Size_Factor))`: given the random effects' covariances and theta, fixed and
#' random effects are at their joint mode, and covariances and theta maximise the
#' Laplace approximation there. lme4 searches theta and the covariances in turn, and
#' stops where little changes; here they end at the optimum together. Standard
#' errors take covariances and theta as known, as in lme4. Where a variance is zero
#' at the optimum, or a correlation one, `status_detail` says that the fit is
#' singular. Models have methods of their own: see [variances()].
#'
#' @section Errors:
#' All have the class `scoria_error`. Among them: `scoria_error_formula` (and
#' `_terms`, `_missing` for NA, NaN and infinite values, `_levels`, which name the
#' variables),
#' `scoria_error_counts` (negative or missing counts, or counts that are not
#' whole numbers in a family of counts), `scoria_error_size_factors`,
#' `scoria_error_family`, `scoria_error_source`, `scoria_error_shape`,
#' `scoria_error_memory_limit`.
#'
#' @references
#' The negative binomial's likelihood and standard errors are those of Venables
#' and Ripley (2002), *Modern Applied Statistics with S*, section 7.4; the
#' interface is that of monocle3, Cao et al. (2019) *Nature* 566:496.
#'
#' @seealso [coefficient_table()] for the estimates, [evaluate_fits()] for likelihoods and
#'   deviances, [compare_models()] for tests of one model against another,
#'   [model_predictions()] for predictions.
#' @examples
#' counts <- matrix(rpois(200, 3), 4, dimnames = list(paste0("gene", 1:4), NULL))
#' cells <- data.frame(treated = rep(0:1, 25), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated",
#'   expression_family = "negbinomial", cell_metadata = cells
#' )
#' fits
#' coefficient_table(fits)
#' fits$model[[1]]
#' @export
fit_models <- function(cds, model_formula_str,
                       expression_family = "quasipoisson",
                       reduction_method = "UMAP", cores = 1,
                       clean_model = TRUE, verbose = FALSE, ...,
                       size_factors = c("offset", "covariate", "divide", "none"),
                       cell_metadata = NULL, gene_metadata = NULL,
                       assay = NULL, na_action = c("fail", "omit"),
                       maxit = 100, memory_limit = NULL,
                       progress = rlang::is_interactive()) {
  check_no_dots(..., of = "fit_models")
  family <- check_choice(expression_family, families(), "family")
  size_factors <- first_choice(size_factors, size_factor_modes())
  na_action <- first_choice(na_action, c("fail", "omit"))
  check_whole(maxit, "maxit")
  threads <- resolve_threads(cores, arg = "cores")
  memory_limit <- parse_memory(memory_limit)
  zero_inflated <- family %in% zero_inflated_families()
  mixed <- family == "mixed-negbinomial"
  formula <- parse_formula(
    model_formula_str,
    env = caller_env(), bars = if (zero_inflated) "parts" else if (mixed) "random" else "none"
  )
  cds <- open_if_path(cds, assay, verbose, memory_limit)
  source <- as_source(
    cds, assay, cell_metadata, gene_metadata, reduction_method, threads
  )

  parts <- if (zero_inflated) split_formula(formula)
  model <- prepare_model(
    source, parts$count %||% formula, family, size_factors, na_action,
    zero = parts$zero
  )
  report_model(model, verbose)
  counts <- by_gene(model$counts, threads, memory_limit, progress)
  options <- list(
    family = family, max_iterations = as.integer(maxit), threads = threads,
    divide = model$divide, memory_limit = memory_limit
  )
  bar <- progress_bar("Fitting genes", nrow(model$counts), progress)
  columns <- if (zero_inflated) {
    fit_zero_inflated(counts, model, options, bar)
  } else if (mixed) {
    fit_mixed(counts, model, options, bar)
  } else {
    options$intercept <- attr(model$design$terms, "intercept") == 1L
    rust_fit_models(
      counts, model$design$matrix, as.double(model$offset), options, bar
    )
  }
  check_counted(columns, source$counts, model$design$cells)
  columns <- rust_value(columns)
  fits <- assemble_fits(source$genes, model, columns)
  report_fits(fits, verbose)
  fits
}

# Counts, design and offset as the engine wants them; and what models remember.
# `zero`: the formula of a second part.
prepare_model <- function(source, formula, family, mode, na_action,
                          arg = "cds", call = caller_env(), zero = NULL) {
  cells <- source$cells
  found <- list(origin = "not used")
  if (mode != "none") {
    found <- find_size_factors(source, call)
    cells$Size_Factor <- found$values
  }
  if (mode == "divide" && family %in% c("binomial", "gaussian")) {
    scoria_abort(
      "{.code size_factors = \"divide\"} is for counts; it makes no sense for
       the family {.val {family}}.",
      c("size_factors", "argument"), call
    )
  }
  if (mode == "covariate") formula <- with_size_factor_covariate(formula)
  design <- build_design(
    formula, cells, ncol(source$counts), na_action, arg, call, zero
  )
  second <- if (!is.null(zero)) {
    build_design(zero, cells, ncol(source$counts), na_action, arg, call, formula)
  }
  coefficients <- ncol(design$matrix) + max(0, ncol(second$matrix))
  if (nrow(design$matrix) <= coefficients) {
    scoria_abort(
      "The model has {coefficients} coefficient{?s}, and
       {nrow(design$matrix)} cell{?s}: more cells than coefficients are needed.",
      c("shape", "formula"), call
    )
  }
  counts <- source$counts
  random <- if (family == "mixed-negbinomial") {
    random_effects(formula, cells, design$cells, ncol(counts), arg, call)
  }
  omitted <- ncol(counts) - length(design$cells)
  if (omitted > 0) {
    counts <- select_counts(counts, cells = design$cells)
    cli::cli_inform(
      "{omitted} of {ncol(source$counts)} cells are left out: a variable of the
       formula is NA."
    )
  }
  used <- cells$Size_Factor[design$cells]
  offset <- design$offset
  if (mode == "offset") offset <- offset + log(used)
  list(
    counts = counts, design = design, zero = second, offset = offset,
    family = family,
    divide = if (mode == "divide") as.double(used), size_factors = mode,
    origin = found$origin, formula = formula, random = random
  )
}

# The engine tells genes and cells by number; users by name.
check_counted <- function(value, counts, cells, call = caller_env()) {
  if (!inherits(value, "scoria_failure") || value$kind != "counts") {
    return(invisible())
  }
  pattern <- "count: (.*) in gene ([0-9]+), cell ([0-9]+) .*; (.*) are expected"
  found <- regmatches(value$message, regexec(pattern, value$message))[[1]]
  if (length(found) != 5) {
    return(invisible())
  }
  gene <- as.integer(found[3])
  cell <- cells[as.integer(found[4])]
  # Only R tells NA from NaN.
  in_file <- inherits(counts, "scoria_counts")
  value <- if (in_file) as.double(found[2]) else counts[gene, cell]
  scoria_abort(c(
    "Counts must be {found[5]}.",
    x = "Gene {.val {gene_names(counts)[gene]}} (row {gene}) has
         {value} in cell {.val {colnames(counts)[cell]}} (column
         {cell})."
  ), "counts", call)
}

# The tibble, from the engine's columns.
assemble_fits <- function(genes, model, columns) {
  zero_inflated <- model$family %in% zero_inflated_families()
  models <- if (zero_inflated) {
    new_zero_inflated_models(genes$gene_id, model, columns)
  } else {
    new_models(genes$gene_id, model, columns)
  }
  details <- if (zero_inflated) {
    zero_inflated_details(model, columns)
  } else {
    status_details(model, columns)
  }
  if (!is.null(model$random)) {
    models <- with_random_effects(models, model$random, columns)
    details <- with_singular(details, model$random, columns)
  }
  failed <- columns$status != 0L
  own <- list(
    gene_id = genes$gene_id,
    model = models,
    model_summary = lapply(models, summary),
    status = ifelse(failed, "FAIL", "OK"),
    status_detail = details
  )
  kept <- rename_clashes(genes)
  kept[names(own)] <- own
  tibble::as_tibble(kept)
}

# monocle3 overwrites rowData columns called gene_id, status and q_value in
# place; others it cannot stand. They are kept under another name.
rename_clashes <- function(genes, reserved = fits_columns()) {
  overwritten <- c("gene_id", "status", "q_value")
  clashing <- names(genes) %in% setdiff(reserved, overwritten)
  if (any(clashing)) {
    renamed <- paste0("rowData.", names(genes)[clashing])
    cli::cli_warn(
      "Columns of the genes' metadata are renamed, for the table has columns of
       these names: {.field {renamed}}.",
      class = "scoria_warning_renamed"
    )
    names(genes)[clashing] <- renamed
  }
  as.list(genes)
}

fits_columns <- function() {
  c("model", "model_summary", "status_detail", "terms", table_columns())
}

families <- function() {
  c(glm_families(), zero_inflated_families(), "mixed-negbinomial")
}

glm_families <- function() {
  c("quasipoisson", "negbinomial", "poisson", "binomial", "gaussian")
}

size_factor_modes <- function() c("offset", "covariate", "divide", "none")

report_model <- function(model, verbose) {
  if (!verbose) {
    return(invisible())
  }
  cli::cli_inform(c(
    "{nrow(model$counts)} gene{?s}, {ncol(model$counts)} cell{?s},
     {ncol(model$design$matrix)} term{?s}, family {.val {model$family}}.",
    i = "Size factors: {model$size_factors}; {model$origin}."
  ))
}

# One warning of all genes without a fit, with the reasons; none where they have no counts
# to be fitted.
report_fits <- function(fits, verbose) {
  failed <- fits$status == "FAIL"
  if (verbose) cli::cli_inform("{sum(!failed)} gene{?s} fitted, {sum(failed)} failed.")
  expected <- "all counts are zero"
  if (all(fits$status_detail[failed] == expected) && !verbose) {
    return(invisible())
  }
  why <- sort(table(fits$status_detail[failed]), decreasing = TRUE)
  reasons <- escape_braces(sprintf("%d: %s", as.integer(why), names(why)))
  if (all(names(why) == expected)) {
    return(cli::cli_inform(stats::setNames(reasons, rep("x", length(reasons)))))
  }
  cli::cli_warn(
    c(
      "{sum(failed)} of {nrow(fits)} gene{?s} could not be fitted.",
      stats::setNames(reasons, rep("x", length(reasons)))
    ),
    class = "scoria_warning_failed"
  )
}

check_no_dots <- function(..., of, call = caller_env()) {
  dots <- rlang::enquos(...)
  if (length(dots) == 0) {
    return(invisible())
  }
  given <- rlang::names2(dots)[1]
  near <- near_names(given, setdiff(names(formals(of)), "..."))
  of <- sub("[.].*", "", of)
  scoria_abort(c(
    if (nzchar(given)) {
      "{.fn {of}} has no argument {.arg {given}}."
    } else {
      "{.fn {of}} takes no further argument without a name."
    },
    i = if (nzchar(given) && length(near) > 0) "Did you mean {.arg {near}}?"
  ), "argument", call)
}

check_choice <- function(value, choices, kind, arg = rlang::caller_arg(value),
                         call = caller_env()) {
  if (rlang::is_string(value) && value %in% choices) {
    return(value)
  }
  if (!rlang::is_string(value)) {
    scoria_abort(
      "{.arg {arg}} must be one of {.val {choices}}, not
       {.obj_type_friendly {value}}.",
      c(kind, "argument"), call
    )
  }
  near <- near_names(value, choices, most = 1)
  scoria_abort(c(
    "{.arg {arg}} must be one of {.val {choices}}, not {.val {value}}.",
    i = if (length(near) > 0) "Did you mean {.val {near}}?"
  ), c(kind, "argument"), call)
}

# As match.arg(), with an error of ours.
first_choice <- function(value, choices, arg = rlang::caller_arg(value),
                         call = caller_env()) {
  if (identical(value, choices)) {
    return(choices[1])
  }
  if (!rlang::is_string(value) || !value %in% choices) {
    scoria_abort(
      "{.arg {arg}} must be one of {.val {choices}}, not {.val {value}}.",
      "argument", call
    )
  }
  value
}
