# Zero-inflated models for fit_models(): two parts, each with a design of its own --

zero_inflated_families <- function() c("zipoisson", "zinegbinomial")

# ~ a | b as list(count = ~ a, zero = ~ b); without a bar, both are the same.
split_formula <- function(formula, call = caller_env()) {
  side <- formula[[2]]
  part <- function(term) {
    stats::as.formula(base::call("~", term), env = environment(formula))
  }
  parts <- if (is.call(side) && identical(side[[1]], quote(`|`))) {
    list(count = part(side[[2]]), zero = part(side[[3]]))
  } else {
    list(count = formula, zero = formula)
  }
  if ("|" %in% unlist(lapply(parts, all.names))) {
    abort_formula(
      c("The formula {.code {deparse1(formula)}} has a {.code |} too many.",
        i = "In a zero-inflated family it is {.code ~ a | b}: terms of the mean,
             and terms of the probability of a structural zero."
      ),
      call = call
    )
  }
  parts
}

# The engine's columns.
fit_zero_inflated <- function(counts, model, options, bar) {
  options$count_offset <- as.double(model$offset)
  options$zero_offset <- as.double(model$zero$offset)
  rust_fit_zero_inflated(
    counts, model$design$matrix, model$zero$matrix, options, bar
  )
}

new_zero_inflated_models <- function(gene_ids, model, columns) {
  count <- zero_inflated_part(model$design, columns$count_kept)
  zero <- zero_inflated_part(model$zero, columns$zero_kept)
  terms <- length(count$term) + length(zero$term)
  kept <- c(count$kept, length(count$term) + zero$kept)
  shared <- rlang::env(
    rlang::empty_env(),
    count = count, zero = zero, kept = kept, family = model$family,
    formula = zero_inflated_formula(model), size_factors = model$size_factors,
    nobs = nrow(model$design$matrix),
    marks = new_marks(model, list(
      count = model$design$matrix[, count$kept, drop = FALSE],
      zero = model$zero$matrix[, zero$kept, drop = FALSE]
    ))
  )
  genes <- length(gene_ids)
  rank <- length(kept)
  # What the engine does not know is NaN, and NA in R.
  numeric <- vapply(columns, is.double, NA)
  columns[numeric] <- lapply(columns[numeric], nan_to_na)
  failed <- columns$status != 0L
  working <- estimates <- matrix(NA_real_, terms, genes)
  working[kept, ] <- columns$coefficients
  reported <- matrix(columns$coefficients, rank, genes)
  separated <- matrix(columns$separated, rank, genes)
  infinite <- separated == -1L | separated == 1L
  reported[infinite] <- separated[infinite] * Inf
  reported[separated == 2L] <- NA_real_
  estimates[kept, ] <- reported
  covariance <- matrix(columns$covariance, ncol = genes)
  models <- lapply(seq_len(genes), function(g) {
    structure(
      list(
        gene_id = gene_ids[g],
        coefficients = estimates[, g],
        working = working[, g],
        covariance = covariance[, g],
        theta = columns$theta[g],
        log_theta_se = columns$log_theta_se[g],
        log_likelihood = columns$log_likelihood[g],
        decrement = columns$decrement[g],
        iterations = columns$iterations[g],
        certain_cells = columns$structural_cells[g] + columns$empty_cells[g],
        status = if (failed[g]) "FAIL" else "OK",
        shared = shared
      ),
      class = c("scoria_zero_inflated", "scoria_model")
    )
  })
  rlang::set_names(models, gene_ids)
}

zero_inflated_part <- function(design, kept) {
  list(
    term = colnames(design$matrix), kept = kept, terms = design$terms,
    xlevels = design$xlevels, contrasts = design$contrasts
  )
}

zero_inflated_formula <- function(model) {
  count <- model$formula
  zero <- stats::formula(model$zero$terms)
  if (identical(count[[2]], zero[[2]])) {
    return(count)
  }
  both <- base::call("~", base::call("|", count[[2]], zero[[2]]))
  stats::as.formula(both, env = environment(count))
}

# What is to be known of each gene's fit.
zero_inflated_details <- function(model, columns) {
  failures <- c("all counts are zero", "not converged")
  count <- colnames(model$design$matrix)
  zero <- colnames(model$zero$matrix)
  term <- c(paste0("count_", count), paste0("zero_", zero))
  kept <- c(columns$count_kept, length(count) + columns$zero_kept)
  separated <- matrix(columns$separated, length(kept))
  aliased <- term[setdiff(seq_along(term), kept)]
  cells <- nrow(model$design$matrix)
  vapply(seq_along(columns$status), function(g) {
    if (columns$status[g] != 0L) {
      return(failures[columns$status[g]])
    }
    plain <- columns$plain_cells[g]
    structural <- columns$structural_cells[g]
    empty <- columns$empty_cells[g]
    apart <- term[kept[separated[, g] != 0L]]
    notes <- c(
      if (plain > 0 && plain + empty == cells) {
        "no zero inflation"
      } else if (plain > 0) {
        paste("no zero inflation in", plain, "of", cells, "cells")
      },
      if (structural > 0) {
        paste("all zeros structural in", structural, "of", cells, "cells")
      },
      if (empty > 0) paste("no counts in", empty, "of", cells, "cells"),
      if (length(apart) > 0) {
        paste0("no finite estimate: ", paste(apart, collapse = ", "))
      },
      if (is.infinite(columns$theta[g])) {
        "Poisson limit: no overdispersion (theta = Inf)"
      },
      if (length(aliased) > 0) {
        paste0("collinear, no estimate: ", paste(aliased, collapse = ", "))
      }
    )
    if (length(notes) > 0) paste(notes, collapse = "; ") else NA_character_
  }, "")
}

# Rows of coefficient_table(): the count part, log(theta), the zero part.
zero_inflated_rows <- function(model) {
  rows <- model_coefficients(model)
  parts <- zero_inflated_positions(model)
  pseudocount <- 0.01
  working <- model$working[parts$count]
  base <- exp(working[1])
  raised <- exp(working + working[1])
  effect <- log2((raised + pseudocount) / (base + pseudocount))
  estimate <- model$coefficients[parts$count]
  effect[is.na(estimate) | is.na(estimate[1])] <- NA_real_
  effect[1] <- 0
  none <- function(part) rep(NA_real_, length(part))
  rows$normalized_effect <- c(effect, none(parts$zero))
  rows$model_component <- rep(c("count", "zero"), lengths(parts[c("count", "zero")]))
  if (model$shared$family == "zipoisson") {
    return(rows)
  }
  theta <- log_theta_row(model)
  theta$normalized_effect <- NA_real_
  theta$model_component <- "count"
  Map(function(row, more) append(row, more, length(parts$count)), rows, theta[names(rows)])
}

log_theta_row <- function(model) {
  estimate <- log(model$theta)
  statistic <- if (is.finite(estimate)) estimate / model$log_theta_se else NA_real_
  list(
    term = "Log(theta)", estimate = estimate, std_err = model$log_theta_se,
    test_val = statistic, p_value = 2 * stats::pnorm(-abs(statistic))
  )
}

# Where the parts' terms are among all.
zero_inflated_positions <- function(model) {
  shared <- model$shared
  count <- seq_along(shared$count$term)
  list(count = count, zero = length(count) + seq_along(shared$zero$term))
}
