# What is printed of a screen --------------------------------------------------

#' @rdname ScreenFit
#' @method print ScreenFit
#' @export
print.ScreenFit <- function(x, ...) {
  cat(screen_head(x), sep = "\n")
  tally <- tally_pairs(x)
  found <- significant_shown(x, 0.05)
  cat(
    status_line(tally),
    significant_line(x, found),
    cost_line(x),
    sep = "\n"
  )
  if (length(found$id) > 0) {
    cat("Smallest p-values:\n")
    print(top_pairs(x, found), n = 10)
  }
  invisible(x)
}

#' @rdname ScreenFit
#' @method print ScreenFitSummary
#' @export
print.ScreenFitSummary <- function(x, ...) {
  cat(attr(x, "head"), sep = "\n")
  cat("Significant: ", attr(x, "level"), "\n", sep = "")
  table <- x
  class(table) <- setdiff(class(x), "ScreenFitSummary")
  attr(table, "head") <- attr(table, "level") <- NULL
  print(table, ...)
  invisible(x)
}

# What was fitted, in three lines.
screen_head <- function(fit) {
  options <- fit$options
  reference <- fit$reference
  controls <- utils::head(reference$controls, 3)
  more <- if (length(reference$controls) > 3) ", ..."
  against <- switch(reference$kind,
    control = paste0(
      big(reference$n_cells), " control cells (", toString(controls), more, ")"
    ),
    complement = "all other cells",
    perturbed = paste0(
      "the other ", if (length(controls) > 0) "non-control ",
      "perturbed cells, of ", big(reference$n_cells)
    )
  )
  model <- c(
    fit$formula, options$family,
    if (options$family == "negbinomial") {
      paste("dispersion", options$dispersion)
    },
    paste(options$test, "test"), paste(options$se, "standard errors")
  )
  c(
    paste0(
      "<ScreenFit> ", big(nrow(fit)), " genes x ", big(ncol(fit)),
      " perturbations, ", big(fit$n_cells), " cells"
    ),
    paste0("Reference: ", against),
    paste0("Model: ", paste(model, collapse = ", "))
  )
}

status_line <- function(tally) {
  counts <- colSums(tally$statuses)
  counts <- counts[counts > 0]
  paste0(
    "Pairs: ", big(sum(counts)),
    if (length(counts) > 0) {
      paste0(" (", paste(big(counts), names(counts), collapse = ", "), ")")
    }
  )
}

significant_line <- function(fit, found) {
  counts <- pairs_by_perturbation(fit, found$id)
  names <- fit$perturbations$perturbation
  most <- utils::head(order(-counts), 5)
  most <- most[counts[most] > 0]
  of_most <- paste(names[most], counts[most], collapse = ", ")
  paste0(
    "Significant (", adjustment_words(0.05, "BH", "perturbation"), "): ",
    big(length(found$id)),
    if (length(most) > 0) {
      paste0(
        " pairs of ", sum(counts > 0), " perturbations\n  (", of_most,
        if (sum(counts > 0) > length(most)) ", ...", ")"
      )
    }
  )
}

cost_line <- function(fit) {
  path <- fit$store$path
  paste0(
    "Took ", format(signif(fit$seconds, 3)), " s",
    if (!is.null(fit$peak_bytes) && is.finite(fit$peak_bytes)) {
      paste0(" (R had at most ", big(fit$peak_bytes / 1e6), " MB)")
    },
    "; results are in ",
    if (is.null(path)) "memory" else path
  )
}

# Where p-values are too small for a double, statistics still differ. These are read
# only of the pairs that may be among the first.
top_pairs <- function(fit, found) {
  p <- read_pairs_of(fit$store, "p_value", found$id)
  near <- which(rank(p, ties.method = "min") <= 10)
  ids <- found$id[near]
  statistic <- read_pairs_of(fit$store, "statistic", ids)
  first <- near[utils::head(order(p[near], -abs(statistic), ids), 10)]
  table <- pair_table(fit, found$id[first], found$q[first])
  table[c(
    "gene_id", "perturbation", "estimate", "std_err", "p_value",
    "q_value", "status"
  )]
}

big <- function(x) {
  trimws(format(round(x), big.mark = ",", scientific = FALSE, trim = TRUE))
}
