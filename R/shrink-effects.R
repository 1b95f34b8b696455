#' Shrink effects to what the other effects make likely
#'
#' @description
#' Where counts are few, estimates of effects are large by chance.
#' `shrink_effects()` weighs each against a prior whose width is learnt from all
#' of them, as apeglm does: small effects that may be noise move to zero, large
#' ones that are sure stay where they are. The posterior also says how probable
#' it is that an effect has the other sign.
#'
#' @param fit A [ScreenFit], or a table of [coefficient_table()].
#' @param prior The prior: `"apeglm"` (default), a Cauchy distribution, whose heavy
#'   tails leave large effects alone; or `"normal"`.
#' @param method What of the data the posterior is made of:
#'   * `"stats"` (default): estimate and standard error, as if the likelihood were
#'     normal. Costs next to nothing, and needs no counts;
#'   * `"full"`: the likelihood of the counts. It has a posterior for pairs without
#'     finite estimate as well. For a ScreenFit, and needs `x`.
#' @param estimate Report the posterior's `"mode"` (default), with the standard
#'   deviation that its curvature there gives; or its `"mean"` with its standard
#'   deviation.
#' @param prior_scale The prior's scale on the scale of `estimate` (natural
#'   logarithm): of the Cauchy distribution half its interquartile range, of the
#'   normal its standard deviation. One number, or one a perturbation, named.
#'   Default `NULL`: from the data.
#' @param scale_over Learn the scale from `"all"` pairs (default), or from those of
#'   each `"perturbation"` its own.
#' @param x,... For `method = "full"`, the data that `fit` was fitted to, and the
#'   arguments of [fit_screen()] that say how to read them: `perturbation`,
#'   `guide_targets`, `threshold`, `assay`, `cell_metadata`, `gene_metadata`,
#'   `na_action`. Those that are not given are as in the call that made `fit`,
#'   where they are a text or a number there.
#' @param adjust_over `s_value`, and of a ScreenFit `q_value`, is over the genes of
#'   each `"perturbation"` (default), or over `"all"` rows together.
#' @param threads Number of threads; `NULL`, the default, for the option
#'   `scoria.threads`, or else one. The result does not depend on it.
#' @param memory_limit As in [fit_screen()].
#' @param progress Show a progress bar after two seconds? Default: in
#'   interactive sessions.
#'
#' @details
#' Logarithms are natural, also where apeglm or others report them to base 2.
#'
#' **Scale.** From estimates \eqn{b_i}{b_i} with standard errors \eqn{s_i}{s_i} comes
#' the variance \eqn{A} that solves
#' \deqn{A = \frac{\sum_i w_i (b_i^2 - s_i^2)}{\sum_i w_i}, \quad
#'   w_i = \frac{1}{2 (A + s_i^2)^2}}{A = sum w (b^2 - s^2) / sum w,
#'   w = 1 / (2 (A + s^2)^2)}
#' between 1e-6 and 400: the variance of a normal distribution of effects that makes
#' the estimates most likely. The Cauchy prior's scale is its root, but at most 1;
#' the normal's is its root. All pairs with a finite estimate and a standard error
#' count, of a ScreenFit those of the whole screen, also where `fit` is a part of
#' it. A perturbation without such a pair has the scale of all.
#'
#' **Mode.** With a Cauchy prior a posterior may have two modes, one close to zero
#' and one close to the estimate. The higher one is reported. Searches that start at
#' zero, as crispyx's, may end at the lower.
#'
#' **Counts.** With `method = "full"`, the likelihood is that of the pair's own cells and
#' the reference's, at the theta of the fit, and is maximised over the covariates'
#' coefficients together with the effect. So that this has an optimum always, the
#' linear predictor (without offset) has a prior too: its root mean square over the
#' reference cells is normal with standard deviation 15; of an intercept alone that
#' is apeglm's. For means and signs the coefficients are integrated out in Laplace's
#' approximation. Where a pair is separated its likelihood is flat at infinity, and
#' the posterior has no mean: `estimate = "mean"` gives `NA`. Perturbed cells that
#' tell covariates apart which reference cells do not have no posterior either.
#'
#' **Signs.** `lfsr`, the local false sign rate, is the posterior probability that
#' the effect has not the sign of `estimate`, by numerical integration of the
#' posterior itself to ten digits or so. `s_value` is the mean `lfsr` of all rows
#' that have no larger one: the expected share of wrong signs among these (Stephens
#' 2017). They are about signs, and not about whether there is an effect: neither
#' prior holds that an effect may be exactly zero. Where most are, most of what has a
#' small `s_value` may be too: in simulated screens with effects in one pair of
#' eighteen, three quarters of the pairs with an `s_value` up to 0.05, while less than 1 %
#' had the opposite sign. For lists of discoveries take `q_value`, and `estimate` to
#' rank and to compare them.
#'
#' @return The table of coefficients, with these columns changed or added:
#' \describe{
#'   \item{estimate, log2_fold_change}{the posterior's mode or mean}
#'   \item{std_err}{its standard deviation}
#'   \item{estimate_mle, std_err_mle}{what `estimate` and `std_err` were}
#'   \item{lfsr, s_value}{as above}
#'   \item{prior_scale}{the prior's scale}
#' }
#' `statistic` (or `test_val`), `p_value`, `q_value` and `status` are of the fit. Rows
#' without a finite estimate, or without a standard error, have `NA` with
#' `method = "stats"`; with `"full"` those whose `status` is neither `"ok"` nor
#' `"separated"`. Of what [fit_models()] fitted, rows of the intercept are left out,
#' and the scale is by default that of each term.
#'
#' @section Errors:
#' `scoria_error_model_table`, where `fit` is neither; `scoria_error_prior_scale`;
#' `scoria_error_other_data`, where `x` is not what `fit` was fitted to;
#' `scoria_error_family`, where that has no likelihood; `scoria_error_argument`;
#' and of reading `x` those of [fit_screen()].
#'
#' @references
#' Zhu, Ibrahim and Love (2019) *Bioinformatics* 35:2084. Stephens (2017)
#' *Biostatistics* 18:275.
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   shrunken <- shrink_effects(fit)
#'   shrunken[order(shrunken$s_value), ]
#'   shrink_effects(fit["gene_007", ], method = "full", x = screen)
#'   shrink_effects(coefficient_table(fit), prior = "normal", prior_scale = 0.2)
#' }
#' @export
shrink_effects <- function(fit, ...) UseMethod("shrink_effects")

#' @rdname shrink_effects
#' @export
shrink_effects.ScreenFit <- function(
    fit, prior = c("apeglm", "normal"), method = c("stats", "full"),
    estimate = c("mode", "mean"), prior_scale = NULL,
    scale_over = c("all", "perturbation"), x = NULL, threads = NULL, ...,
    adjust_over = c("perturbation", "all"), memory_limit = NULL,
    progress = rlang::is_interactive()) {
  method <- first_choice(method, c("stats", "full"))
  scale_over <- first_choice(scale_over, c("all", "perturbation"))
  adjust_over <- first_choice(adjust_over, c("perturbation", "all"))
  check_flag(progress, "progress", rlang::current_env())
  options <- shrink_options(prior, estimate, threads)
  options$memory_limit <- parse_memory(memory_limit)
  data <- if (method == "full") {
    shrink_data(fit, x, ..., threads = options$threads)
  } else {
    check_no_dots(..., of = "shrink_effects.ScreenFit")
  }
  store <- fit$store
  scales <- if (is.null(prior_scale)) {
    screen_scales(store, scale_over, options)
  } else {
    given <- given_scales(prior_scale, colnames(fit), "perturbation")
    replace(rep(NA_real_, store$n_perturbations), fit$shown$perturbations, given)
  }
  ids <- pair_ids(store, fit$shown$genes, fit$shown$perturbations)
  table <- pair_table(fit, ids, adjusted_p(store, ids, "BH", adjust_over))
  group <- perturbation_of_pair(store, ids)
  shrunken <- if (method == "full") {
    refit_rows(
      table, gene_of_pair(store, ids), group, scales, data, options, progress
    )
  } else {
    shrink_rows(table, group, scales, options, progress)
  }
  shrunken_table(table, shrunken, group, scales, adjust_over)
}

#' @rdname shrink_effects
#' @export
shrink_effects.data.frame <- function(
    fit, prior = c("apeglm", "normal"), method = "stats",
    estimate = c("mode", "mean"), prior_scale = NULL, scale_over = NULL,
    threads = NULL, ..., adjust_over = c("perturbation", "all"),
    progress = rlang::is_interactive()) {
  first_choice(method, "stats")
  adjust_over <- first_choice(adjust_over, c("perturbation", "all"))
  check_flag(progress, "progress", rlang::current_env())
  options <- shrink_options(prior, estimate, threads)
  check_no_dots(..., of = "shrink_effects.data.frame")
  what <- check_coefficients(fit)
  scale_over <- first_choice(
    scale_over %||% if (what == "term") what else "all", c("all", what)
  )
  if (what == "term") {
    fit <- fit[is.na(fit$term) | fit$term != "(Intercept)", ]
  }
  # Genes that were not fitted have no term.
  names <- unique(as.character(fit[[what]]))
  group <- match(as.character(fit[[what]]), names)
  scales <- if (!is.null(prior_scale)) {
    given_scales(prior_scale, names, what)
  } else {
    prior_scales(
      fit$estimate, fit$std_err, group, length(names), scale_over, options
    )
  }
  shrunken <- shrink_rows(fit, group, scales, options, progress)
  shrunken_table(fit, shrunken, group, scales, adjust_over)
}

#' @rdname shrink_effects
#' @export
shrink_effects.default <- function(fit, ...) {
  abort_coefficients(fit, rlang::current_env())
}

shrink_options <- function(prior, estimate, threads, call = caller_env()) {
  list(
    prior = first_choice(prior, c("apeglm", "normal"), "prior", call),
    estimate = first_choice(estimate, c("mode", "mean"), "estimate", call),
    threads = resolve_threads(threads, call)
  )
}

# What the rows of a table are the effects of: its column "perturbation" or "term".
check_coefficients <- function(table, call = caller_env()) {
  of <- intersect(c("perturbation", "term"), names(table))
  numbers <- vapply(
    c("estimate", "std_err"), function(name) is.numeric(table[[name]]), NA
  )
  if (length(of) == 0 || !all(numbers)) {
    abort_coefficients(table, call)
  }
  of[1]
}

abort_coefficients <- function(fit, call) {
  scoria_abort(c(
    "{.arg fit} must be a ScreenFit, or a table of {.fn coefficient_table}, not
     {.obj_type_friendly {fit}}.",
    i = if (is.data.frame(fit)) {
      "Of its columns {.field estimate}, {.field std_err} and {.field
       perturbation} (or {.field term}) some are lacking."
    }
  ), c("model_table", "argument"), call)
}

# One scale a perturbation of the whole screen.
screen_scales <- function(store, over, options) {
  ids <- pair_ids(store)
  prior_scales(
    read_pairs_of(store, "estimate", ids), read_pairs_of(store, "std_err", ids),
    perturbation_of_pair(store, ids), store$n_perturbations, over, options
  )
}

# One scale a group, from the estimates: the root of the variance that they have
# beside their errors.
prior_scales <- function(estimate, std_err, group, n_groups, over, options) {
  variances <- function(group, n) {
    rust_value(rust_prior_variances(
      as.double(estimate), as.double(std_err), group, n, options$threads
    ))
  }
  all <- variances(integer(length(estimate)), 1L)
  found <- rep(all, n_groups)
  if (over != "all") {
    own <- variances(as.integer(group) - 1L, as.integer(n_groups))
    found[!is.nan(own)] <- own[!is.nan(own)]
  }
  scale <- sqrt(found)
  if (options$prior == "apeglm") pmin(scale, 1) else scale
}

given_scales <- function(scale, names, what, call = caller_env()) {
  valid <- is.numeric(scale) && length(scale) > 0 &&
    all(is.finite(scale) & scale > 0)
  if (!valid) {
    scoria_abort(
      "{.arg prior_scale} must be a positive number, or one a {what}; not
       {.val {scale}}.",
      c("prior_scale", "argument"), call
    )
  }
  if (length(scale) == 1 && is.null(names(scale))) {
    return(rep(as.double(scale), length(names)))
  }
  lacking <- setdiff(names[!is.na(names)], names(scale))
  if (length(lacking) > 0) {
    scoria_abort(
      "{.arg prior_scale} has no entry named {.val {utils::head(lacking, 5)}}.",
      c("prior_scale", "argument"), call
    )
  }
  unname(as.double(scale[match(names, names(scale))]))
}

shrink_rows <- function(table, group, scales, options, progress) {
  at_once <- 1024
  value <- rust_shrink_estimates(
    as.double(table$estimate), as.double(table$std_err), group - 1L,
    c(options, list(scale = scales)),
    progress_bar("Shrinking effects", ceiling(nrow(table) / at_once), progress)
  )
  lapply(rust_value(value), nan_to_na)
}

# The table of coefficients with what became of them.
shrunken_table <- function(table, shrunken, group, scales, adjust_over) {
  columns <- as.list(table)
  columns$error_bound <- NULL
  s_value <- s_values(
    shrunken$lfsr, if (adjust_over == "all") rep(1L, length(group)) else group
  )
  added <- list(
    estimate_mle = columns$estimate, std_err_mle = columns$std_err,
    lfsr = shrunken$lfsr, s_value = s_value, prior_scale = scales[group]
  )
  columns$estimate <- shrunken$estimate
  columns$std_err <- shrunken$std_err
  if (is_log_ratio(table)) {
    columns$log2_fold_change <- shrunken$estimate / log(2)
  }
  front <- match("std_err", names(columns))
  tibble::as_tibble(append(columns, added, front))
}

# Of models with another link than the logarithm, estimates are none.
is_log_ratio <- function(table) {
  families <- vapply(table[["model"]], function(model) model$shared$family, "")
  !any(families %in% c("binomial", "gaussian"))
}

# Within each group the mean of those lfsr that are no larger.
s_values <- function(lfsr, group) {
  stats::ave(lfsr, group, FUN = function(lfsr) {
    mean <- cumsum(sort(lfsr)) / seq_len(sum(!is.na(lfsr)))
    mean[rank(lfsr, na.last = "keep", ties.method = "max")]
  })
}
