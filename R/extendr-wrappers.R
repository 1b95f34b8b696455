# Written by tools/document.R from the Rust sources: do not edit.
# nolint start
#' @useDynLib scoria, .registration = TRUE
NULL

#' @noRd
rust_fit_models <- function(counts, design, offset, options, progress) .Call(wrap__rust_fit_models, counts, design, offset, options, progress)

#' @noRd
rust_summarise <- function(counts, threads) .Call(wrap__rust_summarise, counts, threads)

#' @noRd
rust_fit_screen <- function(counts, screen, options, progress) .Call(wrap__rust_fit_screen, counts, screen, options, progress)

#' @noRd
rust_open_screen <- function(path) .Call(wrap__rust_open_screen, path)

#' Pairs are counted from one; `to` is among them.
#' @noRd
rust_read_screen <- function(path, column, from, to) .Call(wrap__rust_read_screen, path, column, from, to)

#' @noRd
rust_create_h5ad <- function(path, layout, overwrite) .Call(wrap__rust_create_h5ad, path, layout, overwrite)

#' Layers, groups and genes are counted from one; the last of a part is in it.
#' @noRd
rust_write_h5ad <- function(writer, layer, groups, genes, values) .Call(wrap__rust_write_h5ad, writer, layer, groups, genes, values)

#' @noRd
rust_finish_h5ad <- function(writer) .Call(wrap__rust_finish_h5ad, writer)

#' Does nothing once it is finished.
#' @noRd
rust_discard_h5ad <- function(writer) .Call(wrap__rust_discard_h5ad, writer)

#' @noRd
rust_estimate_dispersions <- function(counts, design, offset, threads, progress) .Call(wrap__rust_estimate_dispersions, counts, design, offset, threads, progress)

#' @noRd
rust_simulate_counts <- function(options, threads, progress) .Call(wrap__rust_simulate_counts, options, threads, progress)
# nolint end
