#' Write results as an .h5ad
#'
#' @description
#' `write_h5ad_result()` writes results of groups of cells x genes to a file that
#' anndata reads: perturbations as observations, genes as variables, and a layer
#' for each statistic. The same file has `rank_genes_groups` as scanpy writes it.
#'
#' @param x A [ScreenFit], in memory or in a file, or a part of one; or a data
#'   frame with one row a group of cells and gene.
#' @param path Path of the file. It appears once it is whole.
#' @param ... Not used; an unknown argument is an error. The arguments below need
#'   their names.
#' @param adjust Of a ScreenFit: how `pvalue_adj` is adjusted, over the genes of
#'   each perturbation: a method of [stats::p.adjust()]. Default `"BH"`.
#' @param method,reference Of a data frame: the name of the test, and of what
#'   groups were compared with, for `uns`. Defaults `"test_groups"` and `"rest"`.
#' @param rank_genes_groups Also rank each group's genes in
#'   `uns["rank_genes_groups"]`? Default `NULL`: if the format can hold it, and
#'   with a message if not. That is some 2,000 groups (names and types of all
#'   together must go into 64 kB), and genes with names in ASCII. `TRUE`: an
#'   error if not.
#' @param overwrite Replace the file at `path`? Default `FALSE`.
#'
#' @return `path`, invisibly. The file has, of a ScreenFit,
#' \describe{
#'   \item{X}{logarithm to base 2 of the ratio of means; infinite where separated}
#'   \item{z_score}{the statistic, on the scale of z}
#'   \item{pvalue, pvalue_adj}{two-sided, and adjusted}
#'   \item{standard_error}{of `X`}
#'   \item{logfoldchange_raw_ln, standard_error_ln}{natural logarithm of the
#'     ratio, and its standard error}
#'   \item{dispersion}{1 / theta, where each pair has its own}
#'   \item{converged}{whether there is a finite estimate}
#'   \item{iterations}{passes over the perturbed cells}
#'   \item{status}{a number from zero, the place in `uns["status_levels"]`; of
#'     pairs that were not asked for, the last}
#'   \item{obs}{`perturbation`, `n_cells`, `n_genes_tested`}
#'   \item{var}{the genes' metadata, and `status`, `mean`, `dispersion` (1 /
#'     theta), `quasi_dispersion`}
#'   \item{uns}{`method` (`"nb_glm"`), `control_label`, `perturbation_column`,
#'     `pvalue_correction`, `lfc_base`, and what was fitted}
#' }
#' all but `X`, `obs`, `var` and `uns` as layers; `nan` where there is no number.
#'
#' A data frame needs the columns `group` and `gene_id`. Of its numeric columns,
#' `effect` becomes `X` (or else `log2_fold_change`), `statistic` the layer
#' `z_score`, `p_value` and `q_value` the layers `pvalue` and `pvalue_adj`,
#' `log2_fold_change` the layer `logfoldchanges`, `pct_expressed` the layer `pts`,
#' and `n`, the number of cells, a column of `obs`; others are layers of their
#' own names. Pairs without a row are `nan`.
#'
#' Genes are ranked by `z_score`, greatest first, as scanpy does:
#' `scanpy.get.rank_genes_groups_df(adata, group)` makes a table of them.
#'
#' @section Errors:
#' `scoria_error_output_exists`, `scoria_error_output_access`,
#' `scoria_error_output_full`; `scoria_error_rank_genes_groups`, where ranks were
#' asked for and cannot be; `scoria_error_argument`.
#'
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(
#'     n_cells = 500, n_genes = 40, n_perturbations = 5
#'   )
#'   fit <- fit_screen(screen, "perturbation", control = "control")
#'   write_h5ad_result(fit, tempfile(fileext = ".h5ad"))
#' }
#' @export
write_h5ad_result <- function(x, path, ...) UseMethod("write_h5ad_result")

#' @export
write_h5ad_result.default <- function(x, path, ...) {
  scoria_abort(
    "{.arg x} must be a ScreenFit or a data frame of results, not
     {.obj_type_friendly {x}}.",
    "argument"
  )
}

#' @rdname write_h5ad_result
#' @export
write_h5ad_result.ScreenFit <- function(x, path, ..., adjust = "BH",
                                        rank_genes_groups = NULL,
                                        overwrite = FALSE) {
  check_no_dots(..., of = "write_h5ad_result.ScreenFit")
  adjust <- first_choice(adjust, stats::p.adjust.methods)
  layers <- screen_layers(x)
  layout <- list(
    groups = h5ad_frame(colnames(x), list(
      perturbation = colnames(x),
      n_cells = x$perturbations$n_cells,
      n_genes_tested = as.integer(tally_pairs(x)$tested)
    )),
    genes = h5ad_frame(rownames(x), screen_genes_written(x$genes)),
    layers = lapply(layers, `[[`, "kind"),
    settings = screen_settings(x, adjust)
  )
  if (!isFALSE(rank_genes_groups)) {
    layout$ranking <- h5ad_ranking(
      names(layers), "X", layout$settings, "perturbation"
    )
  }
  write_h5ad(path, layout, overwrite, rank_genes_groups, function(write) {
    write_screen_pairs(x, layers, write)
    write_adjusted(x, match("pvalue_adj", names(layers)), adjust, write)
  }, source = x$store$path)
}

#' @rdname write_h5ad_result
#' @export
write_h5ad_result.data.frame <- function(x, path, ..., method = "test_groups",
                                         reference = "rest",
                                         rank_genes_groups = NULL,
                                         overwrite = FALSE) {
  check_no_dots(..., of = "write_h5ad_result.data.frame")
  call <- rlang::current_env()
  check_result_table(x, call)
  groups <- unique(as.character(x$group))
  genes <- unique(as.character(x$gene_id))
  at <- cbind(
    match(as.character(x$gene_id), genes), match(as.character(x$group), groups)
  )
  if (anyDuplicated(at) > 0) {
    first <- at[anyDuplicated(at), ]
    scoria_abort(
      "{.arg x} has two rows of gene {.val {genes[first[1]]}} and group
       {.val {groups[first[2]]}}.",
      "argument", call
    )
  }
  layers <- table_layers(x)
  layout <- list(
    groups = h5ad_frame(groups, c(
      list(group = groups),
      if ("n" %in% names(x)) list(n_cells = x$n[match(groups, x$group)])
    )),
    genes = h5ad_frame(genes, list()),
    layers = lapply(layers, `[[`, "kind"),
    settings = list(
      method = method, control_label = reference, perturbation_column = "group",
      pvalue_correction = "benjamini-hochberg", scoria_version = own_version()
    )
  )
  ranked <- c("z_score", "pvalue", "pvalue_adj", "logfoldchanges")
  if (!isFALSE(rank_genes_groups) && all(ranked %in% names(layers))) {
    layout$ranking <- h5ad_ranking(
      names(layers), "logfoldchanges", layout$settings, "group"
    )
  }
  write_h5ad(path, layout, overwrite, rank_genes_groups, function(write) {
    for (k in seq_along(layers)) {
      values <- matrix(NaN, length(genes), length(groups))
      values[at] <- as.double(x[[layers[[k]]$column]])
      write(k, c(1L, length(groups)), c(1L, length(genes)), values)
    }
  })
}

# Writes a file with this layout: `fill` is given a function that writes a part
# of a layer, from a matrix with the genes in rows. `source` is a file that is
# read meanwhile.
write_h5ad <- function(path, layout, overwrite, rank_genes_groups, fill,
                       source = NULL, call = caller_env()) {
  if (!rlang::is_string(path)) {
    scoria_abort(
      "{.arg path} must be the path of a file, not {.obj_type_friendly {path}}.",
      c("output", "argument"), call
    )
  }
  check_flag(overwrite, "overwrite", call)
  if (file.exists(path) && !overwrite) {
    scoria_abort(c(
      "{.path {path}} exists already.",
      i = "Use {.code overwrite = TRUE} to replace it."
    ), c("output_exists", "output"), call)
  }
  if (!is.null(rank_genes_groups)) {
    check_flag(rank_genes_groups, "rank_genes_groups", call)
  }
  path <- normalizePath(path, mustWork = FALSE)
  if (identical(path, source)) {
    scoria_abort(
      "The results of {.arg x} are in {.path {path}}: they can't be written
       over themselves.",
      c("output", "argument"), call
    )
  }
  created <- rust_value(rust_create_h5ad(path, layout, overwrite), call)
  on.exit(rust_discard_h5ad(created$writer))
  why <- created$unranked %||%
    if (is.null(layout$ranking)) "a column that it needs is missing"
  if (isTRUE(rank_genes_groups) && !is.null(why)) {
    scoria_abort(
      "Genes can't be ranked: {why}.", c("rank_genes_groups", "argument"), call
    )
  }
  if (is.null(rank_genes_groups) && !is.null(why)) {
    cli::cli_inform("Written without {.field rank_genes_groups}: {why}.")
  }
  if (min(lengths(list(layout$groups$index, layout$genes$index))) > 0) {
    fill(function(layer, groups, genes, values) {
      rust_value(
        rust_write_h5ad(created$writer, layer, groups, genes, values), call
      )
    })
  }
  rust_value(rust_finish_h5ad(created$writer), call)
  invisible(path)
}

h5ad_frame <- function(index, columns) {
  utf8 <- function(x) {
    if (is.character(x)) enc2utf8(x) else x
  }
  list(index = enc2utf8(as.character(index)), columns = lapply(columns, utf8))
}

# Which layers are ranked, and what scanpy wants to know of the test.
h5ad_ranking <- function(layers, lfc, settings, groupby) {
  list(
    scores = match("z_score", layers), pvals = match("pvalue", layers),
    pvals_adj = match("pvalue_adj", layers), logfoldchanges = match(lfc, layers),
    params = list(
      groupby = groupby, reference = settings$control_label,
      method = settings$method, use_raw = FALSE,
      corr_method = settings$pvalue_correction
    )
  )
}

own_version <- function() as.character(utils::packageVersion("scoria"))

# Of a ScreenFit ---------------------------------------------------------------

# For each layer how it is stored, and its values: `of`, a function of what
# `columns` of the store hold, and what it has where there is no pair. The
# adjusted p-values are no column.
screen_layers <- function(fit) {
  layer <- function(column, of = identity, kind = "f8", none = NaN) {
    list(column = column, of = of, kind = kind, none = none)
  }
  base_2 <- function(x) x / log(2)
  c(
    list(
      X = layer("estimate", base_2), z_score = layer("statistic"),
      pvalue = layer("p_value"), pvalue_adj = layer(NULL),
      standard_error = layer("std_err", base_2),
      logfoldchange_raw_ln = layer("estimate"),
      standard_error_ln = layer("std_err")
    ),
    if (fit$options$dispersion == "pair") {
      list(dispersion = layer("theta", function(theta) 1 / theta))
    },
    list(
      converged = layer("status", function(status) status == 0, "bool", 0),
      iterations = layer("passes", kind = "u1", none = 0),
      status = layer("status", kind = "u1", none = length(pair_status()))
    )
  )
}

# The genes' metadata, as far as they are vectors, and what was fitted to each.
screen_genes_written <- function(genes) {
  fitted <- c("status", "mean", "theta", "dispersion")
  other <- c(fitted, "gene_id", "log_likelihood", "iterations")
  about <- as.list(genes)[setdiff(names(genes), other)]
  plain <- vapply(about, function(column) {
    is.factor(column) || (is.atomic(column) && is.null(attributes(column)) &&
      !is.complex(column) && !is.raw(column))
  }, NA)
  c(about[plain], list(
    status = genes$status, mean = genes$mean, dispersion = 1 / genes$theta,
    quasi_dispersion = genes$dispersion
  ))
}

screen_settings <- function(fit, adjust) {
  controls <- fit$reference$controls
  label <- if (fit$reference$kind == "control") {
    paste(controls, collapse = ", ")
  } else {
    "rest"
  }
  list(
    method = "nb_glm", control_label = enc2utf8(label),
    perturbation_column = "perturbation",
    pvalue_correction = if (adjust == "BH") "benjamini-hochberg" else adjust,
    lfc_base = "log2", reference = fit$reference$kind,
    formula = enc2utf8(fit$formula), family = fit$options$family,
    dispersion_source = fit$options$dispersion, test = fit$options$test,
    se = fit$options$se, status_levels = c(pair_status(), "not asked for"),
    scoria_version = own_version()
  )
}

# All layers but the adjusted p-values, for so many genes at a time that their
# pairs are no more than some.
write_screen_pairs <- function(fit, layers, write) {
  store <- fit$store
  at_once <- max(1, pairs_at_a_time() %/% max(1, ncol(fit)))
  for (rows in split(seq_len(nrow(fit)), (seq_len(nrow(fit)) - 1) %/% at_once)) {
    genes <- fit$shown$genes[rows]
    ids <- pair_ids(store, genes, fit$shown$perturbations)
    at <- cbind(
      match(gene_of_pair(store, ids), genes),
      match(perturbation_of_pair(store, ids), fit$shown$perturbations)
    )
    for (k in seq_along(layers)) {
      layer <- layers[[k]]
      if (is.null(layer$column)) next
      values <- matrix(layer$none, length(genes), ncol(fit))
      values[at] <- as.double(layer$of(read_pairs_of(store, layer$column, ids)))
      write(k, c(1L, ncol(fit)), range(rows), values)
    }
  }
}

# Over the genes of each perturbation, shown or not. A file, which has pairs gene by
# gene, is read through for each block of perturbations: there are few.
write_adjusted <- function(fit, layer, adjust, write) {
  store <- fit$store
  at_once <- max(1, 4 * pairs_at_a_time() %/% max(1, store$n_genes))
  for (k in split(seq_len(ncol(fit)), (seq_len(ncol(fit)) - 1) %/% at_once)) {
    perturbations <- fit$shown$perturbations[k]
    ids <- pair_ids(store, fit$shown$genes, perturbations)
    at <- cbind(
      match(gene_of_pair(store, ids), fit$shown$genes),
      match(perturbation_of_pair(store, ids), perturbations)
    )
    values <- matrix(NaN, nrow(fit), length(k))
    values[at] <- adjusted_p(store, ids, adjust, "perturbation")
    write(layer, range(k), c(1L, nrow(fit)), values)
  }
}

# Of a table -------------------------------------------------------------------

check_result_table <- function(x, call) {
  for (column in c("group", "gene_id")) {
    if (!column %in% names(x) || anyNA(x[[column]])) {
      scoria_abort(
        "{.arg x} must have the column {.field {column}}, without {.val {NA}}.",
        "argument", call
      )
    }
  }
  if (!any(c("effect", "log2_fold_change") %in% names(x))) {
    scoria_abort(
      "{.arg x} must have the column {.field effect} or
       {.field log2_fold_change}.",
      "argument", call
    )
  }
}

# The numeric columns under the names that they have in other programs; the
# first is X.
table_layers <- function(x) {
  renamed <- c(
    statistic = "z_score", p_value = "pvalue", q_value = "pvalue_adj",
    log2_fold_change = "logfoldchanges", pct_expressed = "pts"
  )
  numeric <- names(x)[vapply(x, is.numeric, NA)]
  first <- if ("effect" %in% numeric) "effect" else "log2_fold_change"
  columns <- c(first, setdiff(numeric, c("effect", "n", "group", "gene_id")))
  known <- renamed[columns]
  names <- ifelse(is.na(known), columns, known)
  names[1] <- "X"
  layers <- lapply(columns, function(column) list(column = column, kind = "f8"))
  rlang::set_names(layers, names)
}
