#' Test each gene's model against a smaller one
#'
#' @description
#' `compare_models()` asks of every gene whether a model fits better than a model with
#' fewer terms that is nested in it, by more than chance: by a likelihood-ratio test, with
#' monocle3's columns in monocle3's order, or by an F test.
#'
#' @param model_tbl_full,model_tbl_reduced What [fit_models()] returned for the larger and
#'   for the smaller model: of the same counts, in the same family. Genes are matched by
#'   position where both have the same, else by `gene_id`.
#' @param ... Not used; an unknown argument is an error.
#' @param test The test:
#'   * `"LRT"` (default): twice the difference of the log-likelihoods, as chi-square on as
#'     many degrees of freedom as the full model has more parameters. Not in the family
#'     quasipoisson, which has no likelihood.
#'   * `"F"`: for the families with a dispersion, quasipoisson and gaussian. The difference
#'     of the deviances per degree of freedom, over the dispersion of the full model, as F:
#'     the test of [stats::anova()] with `test = "F"`.
#' @param adjust How `q_value` is adjusted for multiple testing: a method of
#'   [stats::p.adjust()]. Default `"holm"`, as in monocle3.
#'
#' @return A tibble with one row a gene, in the order of `model_tbl_full`:
#' \describe{
#'   \item{gene_short_name, num_cells_expressed, gene_id}{of `model_tbl_full`, those that it
#'     has, in its order}
#'   \item{p_value}{of the hypothesis that the full model's additional coefficients are
#'     zero}
#'   \item{q_value}{`p_value`, adjusted over the genes of the table}
#'   \item{statistic}{chi-square, or F}
#'   \item{df}{its (first) degrees of freedom: parameters that the full model has more}
#'   \item{status_detail}{why there is no p-value; else `NA`}
#' }
#'
#' @section What is compared:
#' The call fails, and says why, unless the models are of the same family, cells, counts
#' and offset, and every column of the reduced model's matrix is a linear combination of
#' the full model's; so the same model in another coding is recognised, and a spline is only
#' compared with a line that it contains. Collinear columns do not count as degrees of
#' freedom. A gene that failed in either model has `NA`, and so has one whose full model
#' has a lower likelihood than the reduced one, which no optimum has.
#'
#' A coefficient without a finite estimate is no obstacle to the test: the likelihood is
#' that of the limit. Chi-square and F are approximations for many counts; with a few cells
#' that have any, p-values are rough.
#'
#' @section Where monocle3 differs:
#' It takes the absolute value of the difference of the log-likelihoods, whichever model is
#' larger, and joins tables on `num_cells_expressed` as well as `gene_id`. In the family
#' quasipoisson it returns `NA`: use `test = "F"`.
#'
#' @section Errors:
#' All have the classes `scoria_error` and `scoria_error_argument`;
#' `scoria_error_compare` where the models cannot be compared.
#'
#' @seealso [evaluate_fits()] for likelihoods, AIC and BIC of models that are not nested.
#' @examples
#' counts <- matrix(rpois(200, 3), 4, dimnames = list(paste0("gene", 1:4), NULL))
#' cells <- data.frame(treated = rep(0:1, 25), dose = runif(50), Size_Factor = 1)
#' fit <- function(formula, family) {
#'   fit_models(counts, formula, family, cell_metadata = cells)
#' }
#' compare_models(
#'   fit("~ treated + dose", "negbinomial"), fit("~ treated", "negbinomial")
#' )
#' compare_models(
#'   fit("~ treated + dose", "quasipoisson"), fit("~ treated", "quasipoisson"),
#'   test = "F"
#' )
#' @export
compare_models <- function(model_tbl_full, model_tbl_reduced, ...,
                           test = c("LRT", "F"), adjust = "holm") {
  check_no_dots(..., of = "compare_models")
  check_model_table(model_tbl_full)
  check_model_table(model_tbl_reduced)
  test <- first_choice(test, c("LRT", "F"))
  adjust <- first_choice(adjust, stats::p.adjust.methods)
  model_tbl_reduced <- model_tbl_reduced[match_genes(model_tbl_full, model_tbl_reduced), ]
  full <- unname(model_tbl_full$model)
  reduced <- unname(model_tbl_reduced$model)
  check_comparable_models(full, reduced, test)

  tested <- if (test == "LRT") likelihood_ratio(full, reduced) else f_test(full, reduced)
  reason <- untested(model_tbl_full, model_tbl_reduced)
  reason[is.na(reason)] <- tested$reason[is.na(reason)]
  only <- function(values) replace(values, !is.na(reason), NA)
  about <- intersect(
    names(model_tbl_full), c("gene_short_name", "num_cells_expressed", "gene_id")
  )
  tibble::as_tibble(c(as.list(model_tbl_full[about]), list(
    p_value = only(tested$p_value),
    q_value = stats::p.adjust(only(tested$p_value), adjust),
    statistic = only(tested$statistic),
    df = only(tested$df),
    status_detail = reason
  )))
}

# The tests -------------------------------------------------------------------------

# Statistics, p-values, and reasons why there is none, of models that were fitted;
# whatever of others.
likelihood_ratio <- function(full, reduced) {
  larger <- lapply(full, stats::logLik)
  smaller <- lapply(reduced, stats::logLik)
  value <- function(likelihood) vapply(likelihood, as.numeric, 0)
  parameters <- function(likelihood) {
    vapply(likelihood, function(one) as.integer(attr(one, "df")), 1L)
  }
  df <- parameters(larger) - parameters(smaller)
  statistic <- 2 * (value(larger) - value(smaller))
  # Sums over many cells are rounded.
  reason <- no_statistic(
    statistic, df, 1e-8 + 1e-10 * abs(value(larger)),
    "the likelihood of the full model is below that of the reduced one"
  )
  statistic <- pmax(statistic, 0)
  list(
    statistic = statistic, df = df, reason = reason,
    p_value = stats::pchisq(statistic, df, lower.tail = FALSE)
  )
}

f_test <- function(full, reduced) {
  number <- function(models, of) vapply(models, function(model) as.double(of(model)), 0)
  larger <- number(full, stats::deviance)
  smaller <- number(reduced, stats::deviance)
  rest <- number(full, stats::df.residual)
  df <- as.integer(number(reduced, stats::df.residual) - rest)
  gain <- smaller - larger
  reason <- no_statistic(
    gain, df, 1e-9 * smaller, "the deviance of the full model is above that of the reduced one"
  )
  dispersion <- number(full, function(model) model$dispersion)
  # A model that fits every cell exactly, but for rounding, estimates no dispersion.
  exact <- pmin(larger, dispersion * rest) <= 1e-10 * smaller
  reason[exact & is.na(reason)] <- "the full model leaves no variation to estimate a dispersion"
  statistic <- pmax(gain, 0) / df / dispersion
  list(
    statistic = statistic, df = df, reason = reason,
    p_value = stats::pf(statistic, df, rest, lower.tail = FALSE)
  )
}

no_statistic <- function(gain, df, rounding, worse) {
  reason <- rep(NA_character_, length(gain))
  reason[gain < -rounding] <- worse
  reason[df <= 0] <- "the full model has no more coefficients than the reduced one"
  reason
}

# Why genes that failed are not tested.
untested <- function(full, reduced) {
  why <- function(table) {
    failed <- vapply(table$model, function(model) model$status == "FAIL", NA)
    ifelse(failed, table$status_detail, NA_character_)
  }
  of_full <- unname(why(full))
  of_reduced <- unname(why(reduced))
  both <- !is.na(of_full) & !is.na(of_reduced) & of_full == of_reduced
  reason <- ifelse(
    is.na(of_full), paste0("reduced model: ", of_reduced), paste0("full model: ", of_full)
  )
  reason[both] <- of_full[both]
  reason[is.na(of_full) & is.na(of_reduced)] <- NA_character_
  reason
}

# What can be compared --------------------------------------------------------------

# For each gene of the full table, its row of the reduced one.
match_genes <- function(full, reduced, call = caller_env()) {
  if (identical(as.character(full$gene_id), as.character(reduced$gene_id))) {
    return(seq_len(nrow(full)))
  }
  for (table in list(full, reduced)) {
    twice <- unique(table$gene_id[duplicated(table$gene_id)])
    if (length(twice) > 0) {
      abort_compare(c(
        "The tables do not have the same genes in the same order, and can't be matched by
         {.field gene_id}.",
        x = "{length(twice)} id{?s} {?occurs/occur} more than once, among them
             {.val {twice[1]}}."
      ), call)
    }
  }
  lacking <- list(
    model_tbl_reduced = setdiff(full$gene_id, reduced$gene_id),
    model_tbl_full = setdiff(reduced$gene_id, full$gene_id)
  )
  count <- lengths(lacking)
  if (any(count > 0)) {
    first <- vapply(lacking, function(genes) as.character(genes[1]), "")
    lines <- paste0("'", names(lacking), "' lacks ", count, ", among them \"", first, "\"")
    abort_compare(c(
      "The tables must have the same genes.",
      rlang::set_names(escape_braces(lines[count > 0]), "x")
    ), call)
  }
  match(full$gene_id, reduced$gene_id)
}

check_comparable_models <- function(full, reduced, test, call = caller_env()) {
  shared <- function(models) lapply(models, `[[`, "shared")
  address <- function(models) vapply(shared(models), rlang::obj_address, "")
  # One pair, unless rows of several calls were put together.
  pairs <- which(!duplicated(paste(address(full), address(reduced))))
  for (pair in pairs) {
    check_test(full[[pair]]$shared$family, test, call)
    check_nested(full[[pair]]$shared, reduced[[pair]]$shared, call)
  }
  check_same_counts(full, reduced, call)
}

check_test <- function(family, test, call) {
  if (test == "LRT" && family == "quasipoisson") {
    abort_compare(c(
      "Models of the family {.val quasipoisson} have no likelihood to compare.",
      i = "Use {.code test = \"F\"}."
    ), call)
  }
  if (test == "F" && !family %in% c("quasipoisson", "gaussian")) {
    abort_compare(c(
      "{.code test = \"F\"} is for families with a dispersion, not for {.val {family}}.",
      i = "Use {.code test = \"LRT\"}."
    ), call)
  }
}

# Classes of models without a mark are believed.
check_same_counts <- function(full, reduced, call) {
  mark <- function(models) {
    vapply(models, function(model) model$mark %||% NA_real_, 0)
  }
  one <- mark(full)
  other <- mark(reduced)
  # Another processor may round otherwise.
  differs <- which(abs(one - other) > 1e-9 * abs(one))
  if (length(differs) > 0) {
    gene <- full[[differs[1]]]$gene_id
    abort_compare(c(
      "The models are not of the same counts.",
      x = "{length(differs)} of {length(full)} genes differ, among them {.val {gene}}."
    ), call)
  }
}
