# Counts by gene: what is stored by cell in a file is turned round once ------------

# Bytes that this may take.
scratch_memory <- function(limit) {
  min(limit %||% Inf, 256e6)
}

# The same counts, from a scratch file where that is needed; told once.
by_gene <- function(counts, threads, memory_limit = NULL,
                    progress = rlang::is_interactive(), call = caller_env()) {
  if (!inherits(counts, "scoria_counts") || !counts$by_cell) {
    return(counts)
  }
  scratch <- file.path(scratch_folder(call), paste0(counts$key, ".scratch"))
  if (!rust_value(rust_has_scratch(scratch, counts$key), call)) {
    cli::cli_inform(c(
      "{.file {basename(counts$original)}} is stored by cell, and models need genes: it
       is turned round once.",
      i = "Into {.file {scratch}}, which is used again until the original changes."
    ))
    value <- rust_transpose(
      counts[c("path", "kind", "matrix", "shape", "key")], scratch,
      list(memory = scratch_memory(memory_limit), threads = threads),
      progress_bar("Turning counts round", NA, progress)
    )
    rust_value(value, call)
  }
  in_scratch(counts, scratch)
}

in_scratch <- function(counts, scratch) {
  place <- scratch_place(scratch, counts$key, counts$shape)
  counts[names(place)] <- place
  counts$by_cell <- FALSE
  counts
}

scratch_place <- function(scratch, key, shape) {
  list(path = scratch, kind = "scratch", matrix = key, shape = shape)
}

scratch_folder <- function(call = caller_env()) {
  folder <- getOption("scoria.scratch", file.path(tempdir(), "scoria-scratch"))
  if (!dir.exists(folder) &&
        !dir.create(folder, showWarnings = FALSE, recursive = TRUE)) {
    scoria_abort(
      "Can't make the folder {.file {folder}}, which the option
       {.code scoria.scratch} names.",
      "output_access", call
    )
  }
  normalizePath(folder)
}

# Delayed matrices ---------------------------------------------------------------

# Where a DelayedMatrix is one of HDF5 that nothing is yet to be done with, its file
# is read; else its blocks are put into a file of our own, which is then read.
delayed_counts <- function(x, call = caller_env()) {
  rlang::check_installed("DelayedArray", call = call)
  place <- if (DelayedArray::isPristine(x, ignore.dimnames = TRUE)) {
    seed_place(DelayedArray::seed(x))
  }
  if (is.null(place)) {
    place <- list(path = stage_blocks(x, call), kind = "by cell", matrix = "counts")
  }
  file_counts(
    normalizePath(place$path), place$kind, place$matrix, dimnames(x), dim(x),
    call = call
  )
}

# Where HDF5Array's seeds have their data; NULL of others. What they call columns is
# cells here.
seed_place <- function(seed) {
  while (is(seed, "DelayedSetDimnames")) seed <- seed@seed
  if (is(seed, "H5SparseMatrixSeed") && is.null(seed@subdata)) {
    kind <- if (is(seed, "CSC_H5SparseMatrixSeed")) "by cell" else "by gene"
    return(list(path = seed@filepath, kind = kind, matrix = seed@group))
  }
  plain <- is(seed, "HDF5ArraySeed") && !is(seed, "ReshapedHDF5ArraySeed")
  if (plain && is.character(seed@filepath)) {
    list(path = seed@filepath, kind = "dense", matrix = seed@name)
  }
}

stage_blocks <- function(x, call) {
  path <- tempfile("delayed-", scratch_folder(call), ".h5")
  width <- max(1, DelayedArray::getAutoBlockSize() %/% (8 * nrow(x)))
  starts <- seq(1, max(1, ncol(x)), by = width)
  cli::cli_progress_bar("Reading a delayed matrix", total = length(starts))
  for (start in starts) {
    cells <- seq(start, length.out = min(width, ncol(x) - start + 1))
    block <- as(x[, cells, drop = FALSE], "dgCMatrix")
    rust_value(rust_stage(path, block, start == 1), call)
    cli::cli_progress_update()
  }
  path
}
