#' Counts in a file, without reading them into memory
#'
#' @description
#' `open_h5ad()`, `open_10x_h5()` and `open_mtx()` look into a file and return what
#' [fit_models()], [fit_screen()], [test_groups()] and all other functions here take
#' in the place of an object in memory. Counts stay in the file and are read as
#' they are needed, a block at a time; names and metadata of cells and genes are
#' read at once.
#'
#' A path (`"screen.h5ad"`) can be given to those functions as it is: it is opened
#' with these functions' defaults, and `assay` names the matrix.
#'
#' @param path Path of the file: an `.h5ad` file of AnnData (any release), an
#'   `.h5` file of 10x Genomics' Cell Ranger (2 and later); for `open_mtx()` a
#'   folder with `matrix.mtx`, `barcodes.tsv` and `features.tsv` or `genes.tsv`
#'   (each may have a prefix, and be packed with gzip), or the path of the `.mtx`
#'   file among them.
#' @param matrix Which matrix: `"X"` (default), `"raw/X"`, or the name of a layer.
#' @param group Of a file of Cell Ranger 2 with several genomes: which one.
#' @param feature_type Which features are genes: by default those of the type
#'   `"Gene Expression"`, where the file has types. Others, as `"CRISPR Guide
#'   Capture"`, can be named as `perturbation` of [fit_screen()].
#' @param memory_limit The most memory that buffers may take while a text file is
#'   read: see [fit_screen()]. Default `NULL`: 256 MB.
#' @param threads Number of threads; `NULL` (default) for the option
#'   `scoria.threads`, or else one.
#' @param verbose Say what is done? Default `TRUE`.
#'
#' @section What is read:
#' Of `.h5ad`: sparse matrices by row and by column, dense ones, with integers of
#' 8 to 64 bits or floating point of 32 or 64, not packed, or packed with gzip or
#' LZF; columns of `obs` and `var` with numbers, logicals, text and categories;
#' matrices in `obsm` (and data frames there) can be named as `perturbation`.
#' Columns that are stored in another way are left out with a message.
#'
#' @section Files that are stored by cell:
#' Models are fitted gene by gene. A file that is stored by cell (most are) is
#' turned round once, before the first model, into a file of its own: with
#' bounded memory, in the folder that the option `scoria.scratch` names, or else
#' in the session's temporary one. It is used again until the original changes,
#' and, where `scoria.scratch` is set, by later sessions. Rank and t tests do
#' without where the counts allow it.
#'
#' @return A `scoria_source`: a list of `counts` (where they are), `cells` (a list
#'   of columns of the cells' metadata), `genes` (a data frame) and `guides`
#'   (names of what can be named as `perturbation` besides columns of cells). It
#'   has `dim()` (genes x cells) and `dimnames()`.
#'
#' @section Errors:
#' All have the class `scoria_error`: `scoria_error_input_file` where a file is not
#' what it should be, `scoria_error_input_data` where a part of it is damaged,
#' contradicts another, or is in an encoding that is newer than this release.
#' Both name the file, the latter also the dataset.
#'
#' HDF5's library crashes on some damaged files, or never ends. On Linux a child
#' process therefore tries first whatever is read with it, once for each file and
#' state of it; what ends the child is an error. The environment variable
#' `SCORIA_TRUST_FILES`, where it is set, spares the child.
#'
#' @examples
#' folder <- tempfile()
#' dir.create(folder)
#' writeLines(c(
#'   "%%MatrixMarket matrix coordinate integer general",
#'   "2 3 4", "1 1 5", "2 1 1", "1 2 3", "2 3 7"
#' ), file.path(folder, "matrix.mtx"))
#' writeLines(c("AAAC-1", "AAAG-1", "AAAT-1"), file.path(folder, "barcodes.tsv"))
#' writeLines(c("g1\tGATA1", "g2\tSPI1"), file.path(folder, "genes.tsv"))
#' open_mtx(folder)
#' @name open_h5ad
NULL

#' @rdname open_h5ad
#' @export
open_h5ad <- function(path, matrix = "X", verbose = TRUE) {
  path <- check_path(path)
  check_flag(verbose, "verbose", rlang::current_env())
  contents <- rust_value(rust_list_h5ad(path))$name
  matrix <- find_matrix(matrix, contents, path, rlang::current_env())
  of_raw <- matrix == "raw/X"
  obs <- read_frame(path, "obs", verbose)
  var <- read_frame(path, if (of_raw) "raw/var" else "var", verbose)
  counts <- file_counts(path, "h5ad", matrix, list(var$names, obs$names))
  obsm <- grep("^obsm/", contents, value = TRUE)
  new_source(
    counts, obs$columns, var$columns,
    guides = rlang::set_names(obsm, sub("^obsm/", "", obsm))
  )
}

#' @rdname open_h5ad
#' @export
open_10x_h5 <- function(path, group = NULL, feature_type = "Gene Expression",
                        verbose = TRUE) {
  path <- check_path(path)
  check_flag(verbose, "verbose", rlang::current_env())
  found <- rust_value(rust_read_10x(path, group %||% ""))
  barcodes <- found$cells$index
  features <- as_columns(found$genes)
  counts <- file_counts(path, "10x", found$group, list(found$genes$index, barcodes))
  with_features(counts, features, feature_type, verbose)
}

#' @rdname open_h5ad
#' @export
open_mtx <- function(path, feature_type = "Gene Expression", memory_limit = NULL,
                     threads = NULL, verbose = TRUE) {
  path <- check_path(path)
  check_flag(verbose, "verbose", rlang::current_env())
  found <- rust_value(rust_find_mtx(path))
  key <- file_key(found$matrix, "mtx", "mtx")
  scratch <- file.path(scratch_folder(), paste0(key, ".scratch"))
  if (!rust_value(rust_has_scratch(scratch, key))) {
    if (verbose) {
      cli::cli_inform(c(
        "{.file {found$matrix}} is text: it is read once, into a file that can be
         read by gene.",
        i = "{.file {scratch}} is used again until the original changes."
      ))
    }
    rust_value(rust_read_mtx(
      path, scratch, key,
      list(
        memory = scratch_memory(parse_memory(memory_limit)),
        threads = resolve_threads(threads)
      ),
      progress_bar("Reading text", NA, verbose && rlang::is_interactive())
    ))
  }
  counts <- file_counts(
    found$matrix, "mtx", "mtx", list(found$ids, found$barcodes), scratch = scratch
  )
  features <- list(name = found$names)
  if (any(nzchar(found$types))) features$feature_type <- found$types
  with_features(counts, features, feature_type, verbose)
}

# Of all features, those of one type are genes; the others are guides.
with_features <- function(counts, features, feature_type, verbose,
                          call = caller_env()) {
  names(features)[names(features) == "name"] <- "gene_short_name"
  types <- features$feature_type
  genes <- seq_len(nrow(counts))
  guides <- list()
  if (!is.null(types)) {
    genes <- which(types %in% feature_type)
    if (length(genes) == 0) {
      scoria_abort(
        "{.file {counts$original}} has no feature of the type {.val {feature_type}},
         but {.val {unique(types)}}.",
        c("feature_type", "argument"), call
      )
    }
    others <- setdiff(unique(types), feature_type)
    guides <- lapply(rlang::set_names(others), function(type) {
      which(types == type)
    })
    if (length(others) > 0 && verbose) {
      cli::cli_inform(c(
        i = "Besides {length(genes)} gene{?s} there are features of the type{?s}
             {.val {others}}, which can be named as {.arg perturbation}."
      ))
    }
  }
  new_source(
    select_counts(counts, genes = genes), list(),
    lapply(features, `[`, genes),
    guides = guides, all = counts, features = features
  )
}

new_source <- function(counts, cells, genes, guides, ...) {
  genes <- structure(
    as.list(genes), row.names = seq_len(nrow(counts)), class = "data.frame"
  )
  structure(
    list(counts = counts, cells = cells, genes = genes, guides = guides, ...),
    class = "scoria_source"
  )
}

# A path as the user gave it, to one of a file that exists.
check_path <- function(path, call = caller_env()) {
  if (!rlang::is_string(path) || !nzchar(path)) {
    scoria_abort(
      "{.arg path} must be the path of a file, not {.obj_type_friendly {path}}.",
      c("input_file", "argument"), call
    )
  }
  if (!file.exists(path)) {
    scoria_abort(
      "There is no file {.file {path}}.", c("input_file", "argument"), call
    )
  }
  normalizePath(path)
}

# Opens whatever a path leads to.
open_path <- function(path, matrix = NULL, verbose = TRUE, memory_limit = NULL,
                      call = caller_env()) {
  path <- check_path(path, call)
  if (dir.exists(path) || grepl("\\.mtx(\\.gz)?$", path)) {
    return(open_mtx(path, memory_limit = memory_limit, verbose = verbose))
  }
  kind <- rust_value(rust_kind_of_file(path), call)
  switch(kind,
    h5ad = open_h5ad(path, matrix %||% "X", verbose),
    `10x` = open_10x_h5(path, matrix, verbose = verbose),
    scoria_abort(c(
      "{.file {path}} is neither an {.file .h5ad} file nor one of Cell Ranger.",
      i = "It is HDF5, but has no {.field obs} and {.field var}, and no barcodes
           and features."
    ), "input_file", call)
  )
}

# "X" and "raw/X" are called so; layers by their own names.
find_matrix <- function(matrix, contents, path, call) {
  if (!rlang::is_string(matrix)) {
    scoria_abort(
      "{.arg matrix} must be the name of a matrix, not
       {.obj_type_friendly {matrix}}.",
      c("assay", "argument"), call
    )
  }
  candidates <- c(matrix, paste0("layers/", matrix))
  present <- intersect(candidates, contents)
  if (length(present) == 0) {
    layers <- sub("^layers/", "", grep("^layers/", contents, value = TRUE))
    offered <- c(intersect(c("X", "raw/X"), contents), layers)
    scoria_abort(c(
      "{.file {path}} has no matrix {.val {matrix}}.",
      i = "It has {.val {offered}}."
    ), c("assay", "source"), call)
  }
  present[1]
}

read_frame <- function(path, name, verbose, call = caller_env()) {
  frame <- rust_value(rust_read_frame(path, name), call)
  if (length(frame$skipped) > 0 && verbose) {
    cli::cli_inform(c(
      "{length(frame$skipped)} column{?s} of {.field {name}} in
       {.file {basename(path)}} {?is/are} left out: {.field {frame$skipped}}.",
      i = "{frame$skipped[1]}: {frame$reasons[1]}"
    ))
  }
  list(names = frame$index, columns = as_columns(frame))
}

as_columns <- function(frame) {
  rlang::set_names(frame$columns, frame$names)
}

# Counts in a file --------------------------------------------------------------
#
# Where they are, and which of them: what Rust opens. A list of
#   path, kind, matrix   as Rust's Place takes them
#   original             the file that they come from: path, or what a scratch file
#                        was made of
#   key                  tells the file as it is now from others
#   by_cell              is it stored by cell?
#   shape                numbers of genes and cells
#   names                of all genes, and of all cells; may be NULL
#   genes, cells         which of them are used, counted from zero; NULL for all

# `shape` is that of the names, or of who else knows.
file_counts <- function(path, kind, matrix, names, shape = lengths(names),
                        scratch = NULL, call = caller_env()) {
  place <- list(path = path, kind = kind, matrix = matrix, shape = shape)
  key <- file_key(path, kind, matrix)
  if (!is.null(scratch)) place <- scratch_place(scratch, key, shape)
  found <- rust_value(rust_open_matrix(place), call)
  if (!identical(found$shape, shape)) {
    scoria_abort(c(
      "{.file {path}} contradicts itself.",
      x = "{.field {matrix}} has {found$shape[1]} gene{?s} and {found$shape[2]}
           cell{?s}; it should have {shape[1]} and {shape[2]}."
    ), "input_data", call)
  }
  structure(
    c(place, list(
      key = key, original = path, by_cell = found$by_cell, names = names
    )),
    class = "scoria_counts"
  )
}

file_key <- function(path, ...) {
  about <- file.info(path)[c("size", "mtime")]
  rlang::hash(list(normalizePath(path), about$size, as.double(about$mtime), ...))
}

# The same counts, of some genes and cells: of a matrix, or in a file.
select_counts <- function(counts, genes = NULL, cells = NULL) {
  if (!inherits(counts, "scoria_counts")) {
    if (!is.null(genes)) counts <- counts[genes, , drop = FALSE]
    if (!is.null(cells)) counts <- counts[, cells, drop = FALSE]
    return(counts)
  }
  select <- function(before, which, all) {
    kept <- which %||% seq_len(length(before %||% seq_len(all)))
    kept <- if (is.null(before)) kept - 1L else before[kept]
    if (length(kept) < all) as.integer(kept)
  }
  counts["genes"] <- list(select(counts$genes, genes, counts$shape[1]))
  counts["cells"] <- list(select(counts$cells, cells, counts$shape[2]))
  counts
}

#' @export
dim.scoria_counts <- function(x) {
  used <- list(x$genes, x$cells)
  ifelse(vapply(used, is.null, NA), x$shape, lengths(used))
}

#' @export
dimnames.scoria_counts <- function(x) {
  used <- function(selected, names) {
    if (is.null(selected)) names else names[selected + 1L]
  }
  list(used(x$genes, x$names[[1]]), used(x$cells, x$names[[2]]))
}

#' @method print scoria_counts
#' @export
print.scoria_counts <- function(x, ...) {
  cli::cli_text(
    "{.cls scoria_counts} {nrow(x)} gene{?s} x {ncol(x)} cell{?s}, stored by
     {if (x$by_cell) 'cell' else 'gene'} in {.file {x$original}}"
  )
  invisible(x)
}

#' @export
dim.scoria_source <- function(x) dim(x$counts)

#' @export
dimnames.scoria_source <- function(x) dimnames(x$counts)

#' @method print scoria_source
#' @export
print.scoria_source <- function(x, ...) {
  columns <- function(names) {
    if (length(names) == 0) "none" else cli::format_inline("{.field {names}}")
  }
  # In a scratch file its name is a key.
  matrix <- if (x$counts$kind == "scratch") "in a scratch file" else x$counts$matrix
  cli::cli_text(
    "{.cls scoria_source} {nrow(x)} gene{?s} x {ncol(x)} cell{?s} in
     {.file {basename(x$counts$original)}}"
  )
  cli::cli_bullets(c(
    "*" = "counts: {.field {matrix}}, stored by
           {if (x$counts$by_cell) 'cell' else 'gene'}",
    "*" = "columns of cells: {columns(names(x$cells))}",
    "*" = "columns of genes: {columns(names(x$genes))}",
    "*" = "matrices of cells: {columns(names(x$guides))}"
  ))
  invisible(x)
}
