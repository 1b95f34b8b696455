# One gene's mixed model: a model with random effects' covariances ---------------

#' Mixed models and their methods
#'
#' @description
#' The elements of the column `model` where [fit_models()] fitted the family
#' `"mixed-negbinomial"`. They have the methods of [every model][scoria_model],
#' for their fixed effects, and `variances()` for their random effects. The
#' random effects' conditional modes are not kept.
#'
#' @param model,object,x A model.
#' @inheritParams tidy.scoria_model
#' @param ... Not used.
#'
#' @return
#' * `variances()`: a tibble with one row for each variance, and one for each two
#'   effects of a level that may be correlated: `group` (the grouping factor),
#'   `term`, `other` (`NA` for a variance), `covariance` (or variance), `std_dev`,
#'   `correlation`. Of a gene that failed, `NA`.
#' * `logLik()`: the Laplace approximation, as [lme4::glmer()] has it for
#'   `nAGQ = 0`; `df` counts the fixed effects, the random effects' variances and
#'   covariances, and theta.
#' * `deviance()`: minus twice that, which is what monocle3 reports.
#' * `df.residual()`: cells less `df`, as in lme4.
#' * `predict()`, of [every model][scoria_model]: of the population, that is with
#'   random effects of zero.
#' * `tidy()`: the fixed effects, with `effect` (`"fixed"`) and `component`
#'   (`"count"`) before broom's columns.
#'
#' @examples
#' donor <- rep(letters[1:6], each = 20)
#' mean <- exp(1 + rnorm(6, sd = 0.5)[factor(donor)])
#' counts <- matrix(rnbinom(120, size = 3, mu = mean), 1)
#' rownames(counts) <- "gene1"
#' cells <- data.frame(donor, treated = rep(0:1, 60), Size_Factor = 1)
#' fits <- fit_models(counts, "~ treated + (1 | donor)",
#'   expression_family = "mixed-negbinomial", cell_metadata = cells
#' )
#' model <- fits$model[["gene1"]]
#' model
#' variances(model)
#' @name scoria_mixed
NULL

#' @rdname scoria_mixed
#' @export
variances <- function(model, ...) UseMethod("variances")

#' @rdname scoria_mixed
#' @export
variances.scoria_mixed <- function(model, ...) {
  random <- model$shared$random
  widths <- lengths(lapply(random, `[[`, "terms"))
  ends <- cumsum(widths * (widths + 1) / 2)
  rows <- lapply(seq_along(random), function(t) {
    width <- widths[t]
    packed <- model$covariances[seq(to = ends[t], length.out = width * (width + 1) / 2)]
    full <- matrix(0, width, width)
    full[upper.tri(full, diag = TRUE)] <- packed
    pairs <- which(upper.tri(full), arr.ind = TRUE)
    deviation <- sqrt(diag(full))
    between <- full[pairs]
    own <- deviation[pairs[, 1]] * deviation[pairs[, 2]]
    term <- random[[t]]$terms
    tibble::tibble(
      group = random[[t]]$group,
      term = c(term, term[pairs[, 1]]),
      other = c(rep(NA_character_, width), term[pairs[, 2]]),
      covariance = c(diag(full), between),
      std_dev = c(deviation, rep(NA_real_, length(between))),
      correlation = c(
        rep(NA_real_, width), ifelse(own > 0, between / own, NA_real_)
      )
    )
  })
  do.call(rbind, rows)
}

# Models of the fixed effects, made into mixed ones.
with_random_effects <- function(models, random, columns) {
  if (length(models) == 0) {
    return(models)
  }
  models[[1]]$shared$random <- lapply(random, function(term) {
    list(group = term$group, terms = colnames(term$columns))
  })
  # Of one group there may be several terms; within one, effects are correlated.
  groups <- vapply(random, `[[`, "", "group")
  terms <- lapply(random, function(term) {
    own <- sort(colnames(term$columns))
    c(own, if (length(own) > 1) utils::combn(own, 2, paste, collapse = ", "))
  })
  models[[1]]$shared$marks$random <- lapply(split(terms, groups), unlist)
  covariances <- matrix(nan_to_na(columns$covariances), ncol = length(models))
  for (g in seq_along(models)) {
    models[[g]]$covariances <- covariances[, g]
    class(models[[g]]) <- c("scoria_mixed", class(models[[g]]))
  }
  models
}

# What is to be known of each gene's fit, singular covariances among it.
with_singular <- function(details, random, columns) {
  groups <- unique(vapply(random, `[[`, "", "group"))
  note <- paste(
    "singular: a variance of random effects is zero, or a correlation one",
    if (length(groups) == 1) paste0("(", groups, ")")
  )
  singular <- columns$status == 0L & columns$singular
  details[singular] <- ifelse(
    is.na(details[singular]), trimws(note),
    paste0(details[singular], "; ", trimws(note))
  )
  details
}

#' @rdname scoria_mixed
#' @export
logLik.scoria_mixed <- function(object, ...) {
  shared <- object$shared
  structure(
    object$log_likelihood,
    df = length(shared$kept) + length(object$covariances) + 1L,
    nobs = shared$nobs, nall = shared$nobs, class = "logLik"
  )
}

#' @rdname scoria_mixed
#' @export
df.residual.scoria_mixed <- function(object, ...) {
  object$shared$nobs - attr(logLik.scoria_mixed(object), "df")
}

#' @rdname scoria_mixed
#' @export
family.scoria_mixed <- function(object, ...) {
  negative_binomial_family(object$theta)
}

#' @rdname scoria_mixed
#' @export
tidy.scoria_mixed <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  tidied <- NextMethod()
  tibble::add_column(
    tidied, effect = "fixed", component = "count", .before = 1
  )
}

#' @rdname scoria_mixed
#' @method summary scoria_mixed
#' @export
summary.scoria_mixed <- function(object, ...) {
  summary <- NextMethod()
  class(summary) <- c("scoria_mixed_summary", class(summary))
  summary
}

#' @rdname scoria_mixed
#' @method print scoria_mixed
#' @export
print.scoria_mixed <- function(x, ...) {
  cat_model_head(x)
  cat_variances(x)
  cat("Fixed effects:\n")
  print(signif(x$coefficients, 4))
  invisible(x)
}

#' @rdname scoria_mixed
#' @method print scoria_mixed_summary
#' @export
print.scoria_mixed_summary <- function(x, ...) {
  model <- x$model
  cat_model_head(model)
  cat_variances(model)
  cat("Fixed effects:\n")
  stats::printCoefmat(x$coefficients, na.print = "NA")
  cat(
    "\nLog-likelihood (Laplace) ",
    format(as.numeric(logLik.scoria_mixed(model)), digits = 7), " on ",
    attr(logLik.scoria_mixed(model), "df"), " parameters\n",
    sep = ""
  )
  invisible(x)
}

cat_variances <- function(model, most = 12) {
  rows <- variances(model)
  label <- ifelse(
    is.na(rows$other), rows$term, paste(rows$term, rows$other, sep = " x ")
  )
  table <- data.frame(
    Group = rows$group, Effect = label,
    `Std. Dev.` = format(signif(rows$std_dev, 4)),
    Correlation = format(signif(rows$correlation, 3)), check.names = FALSE
  )
  table[is.na(rows$other), "Correlation"] <- ""
  table[!is.na(rows$other), "Std. Dev."] <- ""
  cat("Random effects:\n")
  print(utils::head(table, most), row.names = FALSE, right = FALSE)
  if (nrow(table) > most) {
    cat("  and", nrow(table) - most, "more: see variances()\n")
  }
}
