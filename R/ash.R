#' Shrink effects that have standard errors
#'
#' @description
#' `ash()` shrinks estimated effects towards zero, each as far as its standard error and
#' all the others say, and gives local false sign rates: the adaptive shrinkage of Stephens
#' (2017). Effects are taken to come from a distribution with its mode at zero, which is
#' estimated from all of them. It needs no other package, and finds what ashr's function of
#' the same name finds.
#'
#' @param betahat Estimated effects, a numeric vector. `NA` where there is none: its
#'   posterior is the distribution that effects come from.
#' @param sebetahat Their standard errors, above zero: as many, or one for all.
#' @param mixcompdist Of what the distribution of effects is mixed, besides zero:
#'   * `"uniform"` (default): uniform distributions from -a to a;
#'   * `"halfuniform"`: from -a to 0, and from 0 to a, so that it need not be symmetric;
#'   * `"normal"`: normal distributions about zero.
#' @param ... Must be empty: the arguments below need their names.
#' @param df Degrees of freedom of the standard errors, one number for all: the errors are
#'   then Student's t. `NULL`, the default, for normal errors. Not for
#'   `mixcompdist = "normal"`.
#' @param prior What is believed of the components' weights: `"nullbiased"` (default), that
#'   `nullweight - 1` more effects are zero; `"uniform"`, nothing; or a number >= 1 for each
#'   component.
#' @param nullweight See `prior`. Default 10.
#' @param pointmass Can effects be exactly zero? Default `TRUE`.
#' @param gridmult Each scale of the components is the one before times this, above 1. Default
#'   `sqrt(2)`.
#' @param mixsd The scales themselves. Default `NULL`: from a tenth of the smallest standard
#'   error to twice the largest effect that is not error.
#' @param g A distribution of effects to use: `fitted_g` of a result. Its weights are not
#'   fitted again.
#' @param threads Number of threads; `NULL`, the default, for the option `scoria.threads`,
#'   or else one. The result does not depend on it.
#' @param progress Show a progress bar after two seconds? Default: in interactive sessions.
#'
#' @details
#' The weights maximise the likelihood times the prior. They are found to the last digits:
#' no others have a log-likelihood higher by more than 1e-9 an effect.
#'
#' Means, standard deviations and tail probabilities keep their digits for effects that are
#' thousands of standard errors from zero.
#'
#' @return A list of class `ash` with ashr's names:
#' \describe{
#'   \item{result}{a data frame with a row for each effect: `betahat`, `sebetahat`,
#'     `NegativeProb` and `PositiveProb` (that the effect is below or above zero), `lfsr`
#'     (local false sign rate: that the likelier sign is wrong), `svalue` (mean lfsr of this
#'     and all more certain effects), `lfdr` (that the effect is zero), `qvalue` (mean lfdr,
#'     likewise), `PosteriorMean`, `PosteriorSD`}
#'   \item{fitted_g}{the distribution of effects: weights `pi` of components with `mean` and
#'     `sd`, or ends `a` and `b`}
#'   \item{loglik, logLR}{the log-likelihood, and how much higher it is than if all effects
#'     were zero}
#' }
#'
#' @section Errors:
#' All have the class `scoria_error`: `scoria_error_betahat`, `scoria_error_sebetahat`,
#' `scoria_error_argument`.
#'
#' @references Stephens (2017) *Biostatistics* 18:275. Kim, Carbonetto, Stephens and
#' Anitescu (2020) *Journal of Computational and Graphical Statistics* 29:261.
#' @seealso [mash()] for effects in several conditions.
#' @examples
#' effect <- c(rep(0, 150), rnorm(50))
#' fit <- ash(effect + rnorm(200, sd = 0.3), 0.3)
#' fit
#' head(fit$result)
#' @export
ash <- function(betahat, sebetahat,
                mixcompdist = c("uniform", "halfuniform", "normal"), ...,
                df = NULL, prior = c("nullbiased", "uniform"), nullweight = 10,
                pointmass = TRUE, gridmult = sqrt(2), mixsd = NULL, g = NULL,
                threads = NULL, progress = rlang::is_interactive()) {
  check_no_dots(..., of = "ash")
  shapes <- c("uniform", "halfuniform", "normal")
  mixcompdist <- first_choice(mixcompdist, shapes)
  threads <- resolve_threads(threads)
  sebetahat <- check_effects(betahat, sebetahat)
  df <- check_freedom(df, mixcompdist)
  betahat <- as.double(betahat)
  known <- !is.na(betahat) & is.finite(sebetahat)
  if (!is.null(g)) {
    mixcompdist <- check_mixture(g)
  }
  components <- if (is.null(g)) {
    scales <- mixsd %||% scale_grid(betahat[known], sebetahat[known], gridmult)
    rust_ash_components(mixcompdist, as.double(sort(scales)), pointmass)
  } else if (mixcompdist == "normal") {
    list(first = g$mean, second = g$sd)
  } else {
    list(first = g$a, second = g$b)
  }
  n <- length(components$first)
  if (n == 0) {
    scoria_abort("{.arg pointmass} is {.val {FALSE}} and there is no scale: nothing is
      left for effects to come from.", "argument")
  }
  fit <- rust_value(rust_ash(list(
    betahat = replace(betahat, !known, NA), sebetahat = replace(sebetahat, !known, Inf),
    normal = mixcompdist == "normal", first = components$first,
    second = components$second, df = df,
    prior = prior_counts(prior, nullweight, n, narrowest(components)),
    weights = g$pi, threads = threads
  ), progress_bar("Shrinking effects", length(betahat), progress)))
  assemble_ash(fit, components, mixcompdist, betahat, sebetahat)
}

#' @method print scoria_ash
#' @export
print.scoria_ash <- function(x, ...) {
  result <- x$result
  g <- x$fitted_g
  zero <- if (inherits(g, "normalmix")) g$sd == 0 else g$a == g$b
  cat(
    "<ash> ", big(nrow(result)), " effects, ", length(g$pi), " components\n",
    "Log-likelihood: ", format(x$loglik, digits = 8), " (", format(x$logLR, digits = 4),
    " above no effects)\n",
    "Share of effects that are zero: ", format(sum(g$pi[zero]), digits = 3), "\n",
    "Significant (lfsr < 0.05): ", big(sum(result$lfsr < 0.05)), "\n",
    sep = ""
  )
  invisible(x)
}

#' @method summary scoria_ash
#' @export
summary.scoria_ash <- function(object, ...) {
  g <- object$fitted_g
  used <- g$pi > 1e-10
  tibble::as_tibble(lapply(unclass(g), function(column) column[used]))
}

assemble_ash <- function(fit, components, mixcompdist, betahat, sebetahat) {
  result <- data.frame(
    betahat = betahat, sebetahat = sebetahat,
    NegativeProb = fit$negative, PositiveProb = fit$positive,
    lfsr = fit$lfsr, svalue = fit$svalue, lfdr = fit$lfdr, qvalue = fit$qvalue,
    PosteriorMean = fit$mean, PosteriorSD = fit$sd
  )
  g <- if (mixcompdist == "normal") {
    structure(
      list(pi = fit$pi, mean = components$first, sd = components$second),
      class = "normalmix"
    )
  } else {
    structure(
      list(pi = fit$pi, a = components$first, b = components$second),
      class = "unimix"
    )
  }
  structure(
    list(
      fitted_g = g, loglik = fit$log_likelihood,
      logLR = fit$log_likelihood - fit$null_log_likelihood, result = result
    ),
    class = c("ash", "scoria_ash")
  )
}

# Standard errors, one for each effect.
check_effects <- function(betahat, sebetahat, call = caller_env()) {
  if (!is.numeric(betahat) || any(is.infinite(betahat)) || any(is.nan(betahat))) {
    found <- if (is.numeric(betahat)) {
      unique(betahat[is.infinite(betahat) | is.nan(betahat)])
    }
    scoria_abort(c(
      "{.arg betahat} must be finite numbers, or {.val {NA}} where there is no estimate.",
      x = if (is.null(found)) "It is {.obj_type_friendly {betahat}}." else
        "It has {.val {found}}."
    ), c("betahat", "argument"), call)
  }
  expected <- length(betahat)
  if (!is.numeric(sebetahat) || !length(sebetahat) %in% c(1, expected)) {
    scoria_abort(c(
      "{.arg sebetahat} must be {expected} number{?s}, one for each effect, or one for all.",
      x = "It is {.obj_type_friendly {sebetahat}} of length {length(sebetahat)}."
    ), c("sebetahat", "argument"), call)
  }
  bad <- which(sebetahat <= 0)
  if (length(bad) > 0) {
    scoria_abort(c(
      "{.arg sebetahat} must be above zero.",
      x = "{length(bad)} {?is/are} not; the first is {sebetahat[bad[1]]}, of effect
           {bad[1]}."
    ), c("sebetahat", "argument"), call)
  }
  sebetahat <- rep_len(as.double(sebetahat), expected)
  replace(sebetahat, is.na(sebetahat), Inf)
}

check_freedom <- function(df, mixcompdist, call = caller_env()) {
  if (is.null(df) || identical(as.double(df), Inf)) {
    return(NULL)
  }
  df <- check_number(df, "df", above = 0, call = call)
  if (mixcompdist == "normal") {
    scoria_abort(c(
      "{.arg df} does not go with {.code mixcompdist = \"normal\"}.",
      i = "Use {.val uniform} or {.val halfuniform}."
    ), "argument", call)
  }
  df
}

# Scales from a tenth of the smallest error to twice the largest effect.
scale_grid <- function(effects, errors, gridmult, call = caller_env()) {
  gridmult <- check_number(gridmult, "gridmult", above = 1, call = call)
  rust_scale_grid(as.double(effects), as.double(errors), gridmult)
}

# Which components a given distribution has.
check_mixture <- function(g, call = caller_env()) {
  normal <- all(c("pi", "mean", "sd") %in% names(g))
  if (!normal && !all(c("pi", "a", "b") %in% names(g)) || abs(sum(g$pi) - 1) > 1e-6) {
    scoria_abort(
      "{.arg g} must be {.field fitted_g} of a result of {.fn ash}, with weights
       {.field pi} that sum up to one.", "argument", call
    )
  }
  if (normal) "normal" else "uniform"
}

# The component that is nearest to zero.
narrowest <- function(components) {
  which.min(abs(components$first) + abs(components$second))
}

# One pseudo-count for each of `n` components.
prior_counts <- function(prior, nullweight, n, null, call = caller_env()) {
  if (is.numeric(prior)) {
    if (length(prior) != n || anyNA(prior) || any(prior < 1)) {
      scoria_abort(
        "{.arg prior} must have a number >= 1 for each of the {n} component{?s}.",
        "argument", call
      )
    }
    return(as.double(prior))
  }
  prior <- first_choice(prior, c("nullbiased", "uniform"), call = call)
  nullweight <- check_number(nullweight, "nullweight", least = 1, call = call)
  counts <- rep(1, n)
  if (prior == "nullbiased") {
    counts[null] <- nullweight
  }
  counts
}
