# Size factors: where they come from, and what counts and design make of them ---

# The size factors of a source's cells: monocle3's `Size_Factor`, or scran's and
# scuttle's `sizeFactor`, or estimated as monocle3 does.
find_size_factors <- function(source, call = caller_env()) {
  column <- intersect(c("Size_Factor", "sizeFactor"), names(source$cells))[1]
  if (is.na(column)) {
    return(list(
      values = estimate_size_factors(source, call),
      origin = "estimated from each cell's total count"
    ))
  }
  values <- source$cells[[column]]
  check_size_factors(values, column, ncol(source$counts), call)
  list(values = as.double(values), origin = paste0("column `", column, "`"))
}

check_size_factors <- function(values, column, cells, call) {
  if (!is.numeric(values)) {
    scoria_abort(
      "Size factors (column {.field {column}}) must be numeric, not
       {.obj_type_friendly {values}}.",
      "size_factors", call
    )
  }
  bad <- is.na(values) | values <= 0 | is.infinite(values)
  if (any(bad)) {
    first <- which(bad)[1]
    scoria_abort(c(
      "Size factors must be positive and finite.",
      x = "{sum(bad)} of {cells} in column {.field {column}}
           {cli::qty(sum(bad))}{?is/are} not; the first is
           {.val {values[first]}} (cell {first}).",
      i = "Drop these cells, compute size factors anew, or use
           {.code size_factors = \"none\"}."
    ), "size_factors", call)
  }
}

# monocle3's estimate_size_factors(): totals over their geometric mean.
estimate_size_factors <- function(source, call) {
  counts <- source$counts
  totals <- source$totals %||%
    rust_value(rust_summarise(counts, source$threads))$totals
  empty <- sum(is.na(totals) | totals <= 0)
  if (empty > 0) {
    scoria_abort(c(
      "Can't estimate size factors: {empty} of {length(totals)} cells
       {cli::qty(empty)}{?has/have} no counts.",
      i = "Drop these cells, give {.field Size_Factor} in the cells' metadata,
           or use {.code size_factors = \"none\"}."
    ), "size_factors", call)
  }
  cli::cli_warn(
    c(
      "Size factors are estimated from the totals of {nrow(counts)} gene{?s}.",
      i = "Give {.field Size_Factor} in the cells' metadata if these are not
           all genes."
    ),
    class = "scoria_warning_size_factors"
  )
  unname(totals / exp(mean(log(totals))))
}
