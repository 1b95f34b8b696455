# What a fit was made of, read again: `source`, `assigned` (perturbations), `guides` (the
# same, one a guide), `targets` (of the guides), `strata` (one a cell), `env`. `given` are
# arguments that stand for those of the fit's call, which is evaluated in `env`.
screened_data <- function(fit, env, given, call = caller_env()) {
  argument <- function(name) {
    if (!is.null(given[[name]])) {
      return(given[[name]])
    }
    tryCatch(eval(fit$call[[name]], env), error = function(error) {
      scoria_abort(c(
        "{.arg {name}} of the fit cannot be found again: give it.",
        x = conditionMessage(error)
      ), c("calibration", "argument"), call)
    })
  }
  x <- argument("x")
  perturbation <- argument("perturbation")
  if (is.null(x) || is.null(perturbation)) {
    scoria_abort(c(
      "The fit does not say what it was made of: give {.arg x} and {.arg perturbation}.",
      i = "They are the arguments of {.fn fit_screen}."
    ), c("calibration", "argument"), call)
  }
  x <- open_if_path(x, argument("assay"), FALSE, NULL)
  source <- as_source(
    x, argument("assay"), argument("cell_metadata"), argument("gene_metadata")
  )
  threshold <- argument("threshold")
  targets <- argument("guide_targets")
  read <- function(targets) {
    read_perturbation(perturbation, x, source, threshold, targets, call)
  }
  assigned <- read(targets)
  guides <- if (is.null(targets)) assigned else read(NULL)
  names <- colnames(guides$membership)
  if (!is.null(targets)) {
    about <- if (rlang::is_string(perturbation)) find_guides(x, perturbation)$about
    names <- read_guide_targets(targets, names, about, call)
  }
  unknown <- setdiff(fit$genes$gene_id, source$genes$gene_id)
  lost <- setdiff(
    c(fit$perturbations$perturbation, fit$reference$controls), colnames(assigned$membership)
  )
  if (length(unknown) + length(lost) > 0) {
    scoria_abort(c(
      "{.arg x} and {.arg perturbation} are not those that were fitted.",
      x = "{length(unknown)} gene{?s} and {length(lost)} perturbation{?s} of the fit are not
           there: {.val {utils::head(c(unknown, lost), 5)}}."
    ), c("calibration", "argument"), call)
  }
  strata <- argument("strata")
  if (rlang::is_string(strata)) strata <- source$cells[[strata]]
  list(
    source = source, assigned = assigned, guides = guides$membership, targets = names,
    strata = strata, env = env
  )
}
