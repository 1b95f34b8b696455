# Written by tools/document.R from the Rust sources: do not edit.
# nolint start
#' @useDynLib scoria, .registration = TRUE
NULL

#' @noRd
rust_fit_models <- function(counts, design, offset, options, progress) .Call(wrap__rust_fit_models, counts, design, offset, options, progress)

#' @noRd
rust_sketch <- function(design) .Call(wrap__rust_sketch, design)

#' @noRd
rust_summarise <- function(counts, threads) .Call(wrap__rust_summarise, counts, threads)

#' @noRd
rust_fit_zero_inflated <- function(counts, count, zero, options, progress) .Call(wrap__rust_fit_zero_inflated, counts, count, zero, options, progress)

#' `terms`: a list with the cells' `level` (counted from one), the number of `levels` and
#' the `columns` of each random-effects term.
#' @noRd
rust_fit_mixed <- function(counts, design, offset, terms, options, progress) .Call(wrap__rust_fit_mixed, counts, design, offset, terms, options, progress)

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
rust_estimate_dispersions <- function(counts, design, offset, options, progress) .Call(wrap__rust_estimate_dispersions, counts, design, offset, options, progress)

#' "h5ad", "10x" or neither.
#' @noRd
rust_kind_of_file <- function(path) .Call(wrap__rust_kind_of_file, path)

#' @noRd
rust_open_matrix <- function(file) .Call(wrap__rust_open_matrix, file)

#' Makes a scratch file of all genes and cells of a file.
#' @noRd
rust_transpose <- function(file, scratch, options, progress) .Call(wrap__rust_transpose, file, scratch, options, progress)

#' What the files of a folder, or beside a matrix, name.
#' @noRd
rust_find_mtx <- function(path) .Call(wrap__rust_find_mtx, path)

#' Makes a scratch file of a matrix in a text file.
#' @noRd
rust_read_mtx <- function(path, scratch, key, options, progress) .Call(wrap__rust_read_mtx, path, scratch, key, options, progress)

#' Is there a scratch file of this key?
#' @noRd
rust_has_scratch <- function(scratch, key) .Call(wrap__rust_has_scratch, scratch, key)

#' Adds the cells of a dgCMatrix to a file, which is made with the first of them.
#' @noRd
rust_stage <- function(path, block, first) .Call(wrap__rust_stage, path, block, first)

#' @noRd
rust_list_h5ad <- function(path) .Call(wrap__rust_list_h5ad, path)

#' @noRd
rust_read_frame <- function(path, name) .Call(wrap__rust_read_frame, path, name)

#' @noRd
rust_read_10x <- function(path, genome) .Call(wrap__rust_read_10x, path, genome)

#' @noRd
rust_read_cell_columns <- function(path, name) .Call(wrap__rust_read_cell_columns, path, name)

#' @noRd
rust_read_names <- function(path, name) .Call(wrap__rust_read_names, path, name)

#' Counts of few genes, as a matrix of cells x genes.
#' @noRd
rust_collect_genes <- function(counts) .Call(wrap__rust_collect_genes, counts)

#' Groups are counted from zero; negative for cells that are in none.
#' @noRd
rust_test_groups <- function(counts, group, options, progress) .Call(wrap__rust_test_groups, counts, group, options, progress)

#' Groups are counted from zero.
#' @noRd
rust_prior_variances <- function(estimate, std_err, group, n_groups, threads) .Call(wrap__rust_prior_variances, estimate, std_err, group, n_groups, threads)

#' Each group has its scale in `options`.
#' @noRd
rust_shrink_estimates <- function(estimate, std_err, group, options, progress) .Call(wrap__rust_shrink_estimates, estimate, std_err, group, options, progress)

#' `screen`: as for `rust_fit_screen()`, with the pairs' estimates and thetas.
#' @noRd
rust_shrink_counts <- function(counts, screen, options, progress) .Call(wrap__rust_shrink_counts, counts, screen, options, progress)

#' @noRd
rust_scale_grid <- function(effects, errors, multiplier) .Call(wrap__rust_scale_grid, effects, errors, multiplier)

#' Columns of two numbers: lower and upper ends, or means and standard deviations.
#' @noRd
rust_ash_components <- function(shape, scales, point_mass) .Call(wrap__rust_ash_components, shape, scales, point_mass)

#' @noRd
rust_ash <- function(options, progress) .Call(wrap__rust_ash, options, progress)

#' Matrices are genes x conditions. `rows`, of the genes to fit weights on, are counted
#' from one.
#' @noRd
rust_mash <- function(options, progress) .Call(wrap__rust_mash, options, progress)

#' @noRd
rust_deconvolve <- function(options, progress) .Call(wrap__rust_deconvolve, options, progress)

#' @noRd
rust_simulate_counts <- function(options, threads, progress) .Call(wrap__rust_simulate_counts, options, threads, progress)
# nolint end
