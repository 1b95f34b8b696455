#' A fitted screen
#'
#' @description
#' What [fit_screen()] returns: results for genes x perturbations, in memory or
#' in a file. [coefficient_table()] makes a table of them.
#'
#' @param x,object A ScreenFit.
#' @param i,j Genes and perturbations: names, numbers or logicals. A part keeps
#'   the order asked for; its adjusted p-values remain those of the whole screen.
#' @param drop Ignored: a part of a ScreenFit is a ScreenFit.
#' @param q Adjusted p-value up to which a pair is called significant. Default
#'   0.05.
#' @param adjust,adjust_over As in
#'   [`coefficient_table()`][coefficient_table.ScreenFit].
#' @param row.names,optional Ignored.
#' @param ... `as.data.frame()`, `as_tibble()`: arguments of
#'   [`coefficient_table()`][coefficient_table.ScreenFit]. Else not used.
#'
#' @details
#' A ScreenFit is a list. Of interest are its elements
#' \describe{
#'   \item{genes}{a tibble with one row a gene: `gene_id`, the genes' metadata,
#'     and of the model without perturbation `status` (`"ok"`, `"all zero"` or
#'     `"not converged"`), `mean` (of the counts), `theta`, `dispersion`,
#'     `log_likelihood` and `iterations`}
#'   \item{perturbations}{a tibble with one row a perturbation: `perturbation`
#'     and `n_cells`}
#'   \item{reference}{what perturbed cells are compared with: a list of `kind`,
#'     `controls` and `n_cells`}
#'   \item{formula, terms, options, call}{what was fitted}
#'   \item{seconds, peak_bytes}{time and memory that it took}
#' }
#' `as(fit, "SummarizedExperiment")`, once that package is loaded, gives genes x
#' perturbations with the assays `estimate`, `std_err`, `statistic`, `p_value`,
#' `q_value` and `status`, `NA` for pairs that were not fitted.
#'
#' @return
#' * `summary()`: a tibble with one row a perturbation, and columns
#'   `perturbation`, `n_cells`, `pairs`, `tested` (pairs with a p-value),
#'   `separated`, `significant`.
#' * `dim()`, `dimnames()`: of genes x perturbations.
#' * `[`: a ScreenFit of some genes and perturbations.
#' * `as.data.frame()`, `as_tibble()`: the table of coefficients.
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   fit
#'   summary(fit)
#'   dim(fit[1:10, "perturb_001"])
#' }
#' @name ScreenFit
NULL

# From what was known before the fit, and what the engine returned: its pairs, or
# the path of the file that has them.
new_screen_fit <- function(about, value, call = NULL) {
  n_genes <- length(value$genes$status)
  fitted <- value$genes
  fitted$status <- gene_status()[fitted$status + 1L]
  numeric <- vapply(fitted, is.double, NA)
  fitted[numeric] <- lapply(fitted[numeric], nan_to_na)
  genes <- as.list(about$genes[seq_len(n_genes), ])
  genes <- c(genes, fitted[setdiff(gene_columns_fitted(), "gene_id")])
  store <- new_store(
    value$pairs, value$path, n_genes, nrow(about$perturbations), about$pairs
  )
  kept <- setdiff(names(about), c("genes", "perturbations", "pairs"))
  structure(
    c(
      list(genes = tibble::as_tibble(genes)), about["perturbations"],
      about[kept],
      list(
        call = call, seconds = value$seconds, peak_bytes = value$peak_bytes,
        shown = list(
          genes = seq_len(n_genes),
          perturbations = seq_len(nrow(about$perturbations))
        ),
        store = store
      )
    ),
    class = "ScreenFit"
  )
}

# In the order of the engine's numbers, from zero.
gene_status <- function() c("ok", "all zero", "not converged")

#' @rdname ScreenFit
#' @export
dim.ScreenFit <- function(x) lengths(x$shown, use.names = FALSE)

#' @rdname ScreenFit
#' @export
dimnames.ScreenFit <- function(x) {
  list(x$genes$gene_id, x$perturbations$perturbation)
}

#' @rdname ScreenFit
#' @export
`[.ScreenFit` <- function(x, i, j, ..., drop = FALSE) {
  call <- rlang::current_env()
  if (nargs() - (!missing(drop)) != 3) {
    scoria_abort(
      "A ScreenFit has two dimensions: {.code fit[genes, perturbations]}.",
      "argument", call
    )
  }
  if (!missing(i)) {
    rows <- positions(i, rownames(x), "gene", call)
    x$genes <- x$genes[rows, ]
    x$shown$genes <- x$shown$genes[rows]
  }
  if (!missing(j)) {
    columns <- positions(j, colnames(x), "perturbation", call)
    x$perturbations <- x$perturbations[columns, ]
    x$shown$perturbations <- x$shown$perturbations[columns]
  }
  x
}

# Each once: a pair has one row in every table.
positions <- function(index, names, what, call) {
  if (is.factor(index)) index <- as.character(index)
  if (is.character(index)) {
    check_present(index, names, what, call)
    at <- which(names %in% index)
    at <- at[order(match(names[at], index))]
  } else {
    at <- seq_along(names)[index]
  }
  if (anyNA(at)) {
    scoria_abort(
      "The fit has {length(names)} {what}{cli::qty(length(names))}{?s}:
       {sum(is.na(at))} of the indices {?is/are} beyond, or NA.",
      c(what, "argument"), call
    )
  }
  unique(at)
}

# Counts of what a fit shows, by perturbation: `statuses`, a matrix with one
# column a status, and `tested`.
tally_pairs <- function(fit) {
  store <- fit$store
  whole <- length(fit$shown$genes) == store$n_genes
  if (whole && !is.null(store$cache$tally)) {
    tally <- store$cache$tally
  } else {
    tally <- count_pairs(store, fit$shown$genes)
    if (whole) store$cache$tally <- tally
  }
  shown <- fit$shown$perturbations
  list(
    statuses = tally$statuses[shown, , drop = FALSE],
    tested = tally$tested[shown]
  )
}

count_pairs <- function(store, genes) {
  words <- pair_status()
  k <- store$n_perturbations
  chunks <- over_chunks(store, function(ids) {
    ids <- ids[gene_of_pair(store, ids) %in% genes]
    of <- perturbation_of_pair(store, ids)
    cell <- of + k * read_pairs_of(store, "status", ids)
    p <- read_pairs_of(store, "p_value", ids)
    cbind(
      matrix(tabulate(cell, k * length(words)), k),
      tabulate(of[!is.na(p)], k)
    )
  })
  counts <- Reduce(`+`, chunks, matrix(0, k, length(words) + 1))
  statuses <- counts[, seq_along(words), drop = FALSE]
  colnames(statuses) <- words
  list(statuses = statuses, tested = counts[, length(words) + 1])
}

# Significant pairs among those that a fit shows; by default of BH within each
# perturbation.
significant_shown <- function(fit, q, adjust = "BH", over = "perturbation") {
  store <- fit$store
  key <- paste(q, adjust, over)
  if (!identical(store$cache$significant$key, key)) {
    found <- significant_pairs(store, adjust, over, q)
    store$cache$significant <- c(list(key = key), found)
  }
  found <- store$cache$significant
  kept <- gene_of_pair(store, found$id) %in% fit$shown$genes &
    perturbation_of_pair(store, found$id) %in% fit$shown$perturbations
  list(id = found$id[kept], q = found$q[kept])
}

# For each perturbation that a fit shows, how many of these pairs it has.
pairs_by_perturbation <- function(fit, ids) {
  of <- perturbation_of_pair(fit$store, ids)
  tabulate(of, fit$store$n_perturbations)[fit$shown$perturbations]
}

#' @rdname ScreenFit
#' @method summary ScreenFit
#' @export
summary.ScreenFit <- function(object, q = 0.05, adjust = "BH",
                              adjust_over = c("perturbation", "all"), ...) {
  check_probability(q, "q")
  adjust <- first_choice(adjust, stats::p.adjust.methods)
  adjust_over <- first_choice(adjust_over, c("perturbation", "all"))
  tally <- tally_pairs(object)
  found <- significant_shown(object, q, adjust, adjust_over)
  table <- tibble::tibble(
    perturbation = object$perturbations$perturbation,
    n_cells = object$perturbations$n_cells,
    pairs = rowSums(tally$statuses),
    tested = tally$tested,
    separated = unname(tally$statuses[, "separated"]),
    significant = as.double(pairs_by_perturbation(object, found$id))
  )
  tibble::new_tibble(
    table,
    class = "ScreenFitSummary", nrow = nrow(table), head = screen_head(object),
    level = adjustment_words(q, adjust, adjust_over)
  )
}

adjustment_words <- function(q, adjust, over) {
  where <- if (over == "all") "all pairs" else "each perturbation"
  paste0(
    if (over == "all") "over " else "within ", where, ", ", adjust, " at ",
    100 * q, " %"
  )
}
