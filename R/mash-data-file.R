#' @rdname mash_data
#' @export
write_mash_data <- function(data, path) {
  check_mash_data(data)
  table <- list(gene = rownames(data$Bhat))
  for (part in c("Bhat", "Shat")) {
    prefix <- mash_prefixes()[[part]]
    columns <- as.data.frame(data[[part]], optional = TRUE)
    table[paste0(prefix, colnames(data[[part]]))] <- as.list(columns)
  }
  written <- tryCatch(
    suppressWarnings(utils::write.csv(
      structure(table, class = "data.frame", row.names = seq_along(table$gene)),
      path, row.names = FALSE, na = ""
    )),
    error = function(error) error
  )
  if (inherits(written, "error")) {
    scoria_abort(
      c("Can't write {.file {path}}.", x = conditionMessage(written)),
      c("output", "argument")
    )
  }
  invisible(data)
}

#' @rdname mash_data
#' @export
read_mash_data <- function(path, V = NULL, missing = c("keep", "drop"),
                           strong_q = 0.05, n_random = 20000, seed = 1) {
  path <- check_path(path)
  table <- tryCatch(
    utils::read.csv(path, check.names = FALSE, na.strings = c("", "NA", "nan", "NaN")),
    error = function(error) refuse_mash_file(path, conditionMessage(error))
  )
  call <- rlang::current_env()
  columns <- lapply(mash_prefixes(), function(prefix) {
    at <- grep(paste0("^", prefix), names(table))
    rlang::set_names(at, substring(names(table)[at], nchar(prefix) + 1))
  })
  conditions <- names(columns$Bhat)
  if (length(conditions) == 0 || columns$Bhat[1] == 1) {
    refuse_mash_file(path, "It has no column that begins with {.field betahat_}, after the
                      names of the rows.", call)
  }
  if (!setequal(conditions, names(columns$Shat))) {
    refuse_mash_file(path, "The columns {.field betahat_} are of {.val {conditions}}, those
                      of {.field se_} of {.val {names(columns$Shat)}}.", call)
  }
  names <- table[seq_len(columns$Bhat[1] - 1)]
  rows <- do.call(paste, c(unname(as.list(names)), sep = "|"))
  matrix_of <- function(at) {
    values <- table[at[conditions]]
    wrong <- !vapply(values, function(v) is.numeric(v) || all(is.na(v)), NA)
    if (any(wrong)) {
      refuse_mash_file(path, "Its columns {.field {names(values)[wrong]}} do not hold
                        numbers.", call)
    }
    matrix(as.double(unlist(values)), nrow(table), dimnames = list(rows, conditions))
  }
  effects <- list(estimate = matrix_of(columns$Bhat), std_err = matrix_of(columns$Shat))
  empty <- is.na(effects$estimate) | is.na(effects$std_err)
  effects$status <- ifelse(empty, entry_code("not in the file"), entry_code("ok"))
  new_mash_data(effects, NULL, V, missing, strong_q, n_random, seed)
}

mash_prefixes <- function() c(Bhat = "betahat_", Shat = "se_")

refuse_mash_file <- function(path, reason, call = caller_env(), .envir = parent.frame()) {
  scoria_abort(
    c("{.file {path}} is not a table of effects and standard errors.", x = reason),
    "input_file", call, .envir
  )
}

check_mash_data <- function(data, call = caller_env()) {
  if (!inherits(data, "scoria_mash_data")) {
    scoria_abort(
      "{.arg data} must be what {.fn mash_data} returned, not
       {.obj_type_friendly {data}}.",
      "argument", call
    )
  }
}

#' @rdname mash_data
#' @method print scoria_mash_data
#' @export
print.scoria_mash_data <- function(x, ...) {
  rows <- nrow(x$Bhat)
  off <- x$V[upper.tri(x$V)]
  cli::cli_text("{.cls scoria_mash_data}: {rows} row{?s} x {ncol(x$Bhat)} condition{?s}")
  cli::cli_bullets(c(
    " " = "conditions: {.val {utils::head(colnames(x$Bhat), 5)}}{
           if (ncol(x$Bhat) > 5) ', ...'}",
    " " = "{length(x$strong)} strong row{?s}, {length(x$random)} in the random subset",
    " " = "null correlation: {if (length(off) == 0) 'of one condition' else
           paste(signif(range(off), 2), collapse = ' to ')}",
    " " = "degrees of freedom: {if (is.matrix(x$df)) 'by condition' else x$df}"
  ))
  if (sum(x$missing$entries) > 0) {
    what <- paste0(x$missing$status, ": ", x$missing$entries)
    cli::cli_bullets(c("!" = "entries without an estimate: {what}"))
  }
  if (length(x$dropped) > 0) {
    cli::cli_bullets(c("!" = "{length(x$dropped)} row{?s} dropped for that"))
  }
  invisible(x)
}
