# What every call into Rust goes through ---------------------------------------

# The value of a call into Rust, or the condition that it reported.
rust_value <- function(value, call = caller_env()) {
  if (!inherits(value, "scoria_failure")) {
    return(value)
  }
  if (value$kind == "interrupted") {
    rlang::interrupt()
  }
  # As `{value$message}`: a brace in the message itself must not be evaluated.
  message <- c("The computation failed.", x = "{value$message}")
  if (value$kind == "panic") {
    message <- c(message, i = "This is a bug: please report it.")
  }
  scoria_abort(message, value$kind, call = call)
}

# An error of class scoria_error, and of scoria_error_<kind> for each kind.
scoria_abort <- function(message, kind, call = caller_env(),
                         .envir = parent.frame()) {
  cli::cli_abort(
    message,
    class = c(paste0("scoria_error_", kind), "scoria_error"),
    call = call,
    .envir = .envir
  )
}

# How many threads to use: the argument, or the option, or one; never more than
# two while R CMD check is watching.
resolve_threads <- function(threads = NULL, call = caller_env(),
                            arg = "threads") {
  threads <- threads %||% getOption("scoria.threads", 1L)
  check_whole(threads, arg, call)
  checking <- Sys.getenv("_R_CHECK_LIMIT_CORES_", "false")
  limit <- if (tolower(checking) %in% c("", "false")) Inf else 2
  as.integer(min(threads, limit))
}

check_whole <- function(value, arg, call = caller_env()) {
  if (!rlang::is_scalar_integerish(value, finite = TRUE) || value < 1) {
    scoria_abort(
      "{.arg {arg}} must be a positive whole number, not {.val {value}}.",
      "argument", call
    )
  }
}

# A function of the number of genes done that moves a progress bar: what is done, of how
# many, how fast, and what remains. It shows after two seconds and is gone when `frame`
# returns. A total that is not known is `NA`.
progress_bar <- function(message, total, show = rlang::is_interactive(),
                         frame = parent.frame()) {
  if (!show) {
    return(function(done) NULL)
  }
  format <- if (is.na(total)) {
    "{cli::pb_spin} {cli::pb_name}{cli::pb_current} done | {cli::pb_elapsed}"
  } else {
    paste(
      "{cli::pb_name}{cli::pb_bar} {cli::pb_current} of {cli::pb_total} |",
      "{cli::pb_rate} | remaining: {cli::pb_eta}"
    )
  }
  id <- cli::cli_progress_bar(message, total = total, format = format, .envir = frame)
  function(done) cli::cli_progress_update(set = done, id = id, .envir = frame)
}

# Names among `choices` that may have been meant by `name`, nearest first.
near_names <- function(name, choices, most = 3) {
  distance <- utils::adist(name, choices, ignore.case = TRUE)[1, ]
  contained <- nchar(name) > 2 & grepl(name, choices, fixed = TRUE)
  near <- distance <= max(2, nchar(name) / 3) | contained
  utils::head(choices[near][order(distance[near])], most)
}
