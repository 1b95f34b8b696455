# Which gene each perturbation targets -------------------------------------------

# As numbers of genes, NA where it is not among them: those that `targets` names, or else
# those of the perturbation's name.
find_targets <- function(perturbations, gene_id, short_name, targets, call) {
  find <- function(names) {
    at <- match(names, gene_id)
    ifelse(is.na(at), match(names, short_name), at)
  }
  if (!is.null(targets)) {
    check_targets(targets, perturbations, call)
    return(find(unname(targets[perturbations])))
  }
  gene <- find(perturbations)
  unknown <- which(is.na(gene))
  gene[unknown] <- find(without_guide(perturbations[unknown]))
  gene
}

# "KRAS" of "KRAS_1", "KRAS-g1", "KRASg1", "KRAS_sgRNA1", "KRAS.gRNA-2".
without_guide <- function(names) {
  sub("([-_. ](sg|g)?|sg|g)(RNA)?[-_. ]?[0-9]+$", "", names)
}

check_targets <- function(targets, perturbations, call) {
  named <- is.character(targets) && length(targets) > 0 && rlang::is_named(targets)
  if (!named) {
    scoria_abort(
      "{.arg targets} must be a character vector of genes, named by perturbation,
       not {.obj_type_friendly {targets}}.",
      c("targets", "argument"), call
    )
  }
  unknown <- setdiff(names(targets), perturbations)
  if (length(unknown) > 0) {
    near <- near_names(unknown[1], perturbations)
    scoria_abort(c(
      "{.arg targets} names {.val {utils::head(unknown, 5)}}, which {.arg x} does not
       have.",
      i = if (length(near) > 0) "Did you mean {.val {near}}?"
    ), c("targets", "perturbation", "argument"), call)
  }
}
