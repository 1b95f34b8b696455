# Tables to plots: one set of columns, whoever made the table --------------------

# A list of `rows`, a tibble of gene, perturbation, effect, mean, std_err,
# statistic, p_value, q_value, and `effect`, what the effect is. Columns that the
# table does not have are NA.
read_table_to_plot <- function(table, perturbation = NULL, y = "p_value",
                               call = caller_env()) {
  if (!is.data.frame(table)) {
    scoria_abort(
      "{.arg x} must be what {.fn fit_screen} returned, or a table of
       {.fn coefficient_table} or {.fn test_groups}, not
       {.obj_type_friendly {table}}.",
      "argument", call
    )
  }
  check_columns(table, c("gene_id", "p_value", "q_value", y), call)
  read <- effect_of_table(table, call)
  rows <- tibble::tibble(
    gene_id = as.character(table$gene_id),
    gene = as.character(table[["gene_short_name"]] %||% table$gene_id),
    perturbation = perturbation_of_table(table, call), effect = read$values,
    # Of test_groups() `mean` is that of the group.
    mean = table[["mean_reference"]] %||% table[["mean"]] %||% NA_real_,
    std_err = read$std_err, statistic = statistic_of_table(table),
    p_value = table$p_value, q_value = table$q_value
  )
  rows <- rows[!rows$perturbation %in% c("(Intercept)", NA), ]
  if (!is.null(perturbation)) {
    check_shown(perturbation, rows$perturbation, "perturbation", call)
    rows <- rows[rows$perturbation %in% perturbation, ]
  }
  list(rows = rows, effect = read$title)
}

check_shown <- function(names, present, what, call) {
  unknown <- setdiff(names, present)
  if (length(unknown) > 0) {
    scoria_abort(
      "The table has no {what} {.val {utils::head(unknown, 5)}}.",
      c(what, "argument"), call
    )
  }
}

# Of a screen, of fit_models(), of test_groups().
perturbation_of_table <- function(table, call) {
  column <- intersect(c("perturbation", "term", "group"), names(table))
  if (length(column) == 0) check_columns(table, "perturbation", call)
  as.character(table[[column[1]]])
}

statistic_of_table <- function(table) {
  column <- intersect(c("statistic", "test_val"), names(table))
  if (length(column) == 0) NA_real_ else as.double(table[[column[1]]])
}

# Where a group or its reference has no count, test_groups() gives what its
# epsilon makes of the ratio: it is infinite.
effect_of_table <- function(table, call) {
  title <- "log2 fold change"
  std_err <- (table[["std_err"]] %||% NA_real_) / log(2)
  if ("log2_fold_change" %in% names(table)) {
    values <- table$log2_fold_change
    if (all(c("pct", "pct_reference") %in% names(table))) {
      none <- which((table$pct == 0) != (table$pct_reference == 0))
      values[none] <- Inf * sign(values[none])
    }
    return(list(values = values, std_err = std_err, title = title))
  }
  check_columns(table, "estimate", call)
  families <- unique(lapply(table[["model"]], function(model) model$shared$family))
  if (any(unlist(families) %in% c("binomial", "gaussian"))) {
    return(list(
      values = table$estimate, std_err = std_err * log(2), title = "coefficient"
    ))
  }
  list(values = table$estimate / log(2), std_err = std_err, title = title)
}
