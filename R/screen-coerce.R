# A fitted screen as other objects, and from its file --------------------------

#' Open the results of a screen
#'
#' Opens a file that [fit_screen()] wrote to `output`. Results stay in the file,
#' and are read as they are asked for.
#'
#' @param path Path of the file.
#' @return A [ScreenFit]. Of a file that is not complete, because the call that
#'   wrote it was cut off or still runs, it has the genes that are done, with a
#'   message; adjusted p-values then are over these.
#' @section Errors:
#' `scoria_error_output`: there is no such file; `scoria_error_output_file`: it is
#' not one that [fit_screen()] wrote, or is damaged; `scoria_error_output_access`:
#' it cannot be read.
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   path <- tempfile(fileext = ".scoria")
#'   fit_screen(screen, "perturbation", control = "control", output = path)
#'   read_screen(path)
#' }
#' @export
read_screen <- function(path) {
  if (!rlang::is_string(path) || !file.exists(path)) {
    scoria_abort(
      "{.arg path} must be the path of a screen's results; there is no file
       {.val {path}}.",
      c("output", "argument")
    )
  }
  path <- normalizePath(path)
  opened_screen(rust_value(rust_open_screen(path)), path)
}

# A ScreenFit from what the file says of itself.
opened_screen <- function(value, path) {
  about <- unserialize(value$description)
  fit <- new_screen_fit(about, list(
    genes = value$genes, path = path,
    seconds = value$seconds %||% NA_real_,
    peak_bytes = value$peak_bytes %||% NA_real_
  ))
  if (!value$complete) {
    cli::cli_inform(
      "The screen is not complete: {value$genes_done} of {nrow(about$genes)}
       genes are done."
    )
  }
  fit
}

#' @rdname ScreenFit
#' @export
as.data.frame.ScreenFit <- function(x, row.names = NULL, optional = FALSE,
                                    ...) {
  as.data.frame(coefficient_table(x, ...))
}

#' @importFrom tibble as_tibble
#' @rdname ScreenFit
#' @export
as_tibble.ScreenFit <- function(x, ...) coefficient_table(x, ...)

# Genes x perturbations of one column of the table; NA where there is no pair.
pair_matrix <- function(fit, table, column) {
  values <- table[[column]]
  matrix <- matrix(
    values[NA_integer_], nrow(fit), ncol(fit),
    dimnames = dimnames(fit)
  )
  matrix[cbind(table$g, table$k)] <- values
  matrix
}

as_summarized_experiment <- function(from) {
  rlang::check_installed("SummarizedExperiment")
  store <- from$store
  shown <- from$shown
  ids <- pair_ids(store, shown$genes, shown$perturbations)
  table <- as.list(pair_table(
    from, ids, adjusted_p(store, ids, "BH", "perturbation")
  ))
  table$g <- match(gene_of_pair(store, ids), shown$genes)
  table$k <- match(perturbation_of_pair(store, ids), shown$perturbations)
  assays <- c(
    "estimate", "std_err", "statistic", "p_value", "q_value", "status"
  )
  assays <- rlang::set_names(assays)
  described <- function(table) {
    S4Vectors::DataFrame(as.data.frame(table), check.names = FALSE)
  }
  SummarizedExperiment::SummarizedExperiment(
    lapply(assays, function(column) pair_matrix(from, table, column)),
    rowData = described(from$genes), colData = described(from$perturbations),
    metadata = unclass(from)[c(
      "formula", "reference", "options", "n_cells", "version"
    )]
  )
}

# S4's view of a ScreenFit. The coercion is to a class of a package that need not
# be installed: it is defined when that is loaded.
s4_definitions <- new.env()

define_coercion <- function(...) {
  methods::setAs(
    "ScreenFit", "SummarizedExperiment", as_summarized_experiment,
    where = s4_definitions
  )
}

.onLoad <- function(libname, pkgname) {
  methods::setOldClass("ScreenFit", where = s4_definitions)
  if (isNamespaceLoaded("SummarizedExperiment")) {
    define_coercion()
  } else {
    setHook(packageEvent("SummarizedExperiment", "onLoad"), define_coercion)
  }
}
