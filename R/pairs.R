#' Pairs of genes and perturbations that lie close to each other
#'
#' Pairs every gene with the perturbations whose target lies within a distance
#' of it on the same chromosome, for the argument `pairs` of [fit_screen()].
#'
#' @param genes A data frame with one row a gene and columns `gene` (or
#'   `gene_id`, `response_id`), `chromosome` and `position` (in base pairs; the
#'   transcription start site, say).
#' @param targets A data frame with one row a site and columns `perturbation`
#'   (or `grna_target`, `target`), `chromosome` and `position`. A perturbation
#'   with several sites has the distance of the nearest.
#' @param distance The largest distance, in base pairs. Default one million.
#' @return A tibble with one row a pair and columns `gene`, `perturbation` and
#'   `distance` (base pairs, never negative); genes in the order of `genes`,
#'   and within a gene perturbations in that of `targets`. Rows without a
#'   chromosome or position have no pair.
#' @section Errors:
#' `scoria_error_pairs`: a column is lacking, or positions are not numbers.
#' @examples
#' genes <- data.frame(
#'   gene = c("HBG1", "HBE1", "GATA1"), chromosome = c("chr11", "chr11", "chrX"),
#'   position = c(5249857, 5269945, 48786554)
#' )
#' targets <- data.frame(
#'   perturbation = "HS2", chromosome = "chr11", position = 5280670
#' )
#' pairs_within(genes, targets, distance = 20000)
#' @export
pairs_within <- function(genes, targets, distance = 1e6) {
  valid <- is.numeric(distance) && length(distance) == 1 &&
    !is.na(distance) && distance >= 0
  if (!valid) {
    abort_pairs(
      "{.arg distance} must be a number of base pairs, not
       {.val {distance}}."
    )
  }
  genes <- read_places(genes, "genes", gene_columns())
  targets <- read_places(targets, "targets", perturbation_columns())
  found <- lapply(unique(genes$chromosome), function(chromosome) {
    near <- targets[targets$chromosome == chromosome, ]
    near <- near[order(near$position), ]
    here <- genes[genes$chromosome == chromosome, ]
    before <- findInterval(
      here$position - distance, near$position, left.open = TRUE
    )
    count <- findInterval(here$position + distance, near$position) - before
    gene <- rep.int(seq_along(count), count)
    target <- sequence(count, before + 1L)
    data.frame(
      gene = here$row[gene], target = near$row[target],
      distance = abs(here$position[gene] - near$position[target])
    )
  })
  found <- do.call(rbind, c(list(data.frame(
    gene = integer(), target = integer(), distance = double()
  )), found))
  name <- function(table, row) table$name[match(row, table$row)]
  pairs <- tibble::tibble(
    gene = name(genes, found$gene), perturbation = name(targets, found$target),
    distance = found$distance
  )
  # The nearest site of each perturbation, then the order of the tables.
  nearest <- order(pairs$distance)
  keys <- unclass(pairs[nearest, c("gene", "perturbation")])
  nearest <- nearest[!duplicated(do.call(paste, c(keys, sep = "\r")))]
  order_of <- order(
    match(pairs$gene, genes$name)[nearest],
    match(pairs$perturbation, targets$name)[nearest]
  )
  pairs[nearest[order_of], ]
}

# Rows that have a place: their number, name, chromosome and position.
read_places <- function(table, arg, names, call = caller_env()) {
  check_pair_table(table, arg, call)
  places <- data.frame(
    row = seq_len(nrow(table)),
    name = pair_column(table, arg, names, call),
    chromosome = pair_column(table, arg, "chromosome", call)
  )
  if (!is.numeric(table[["position"]])) {
    abort_pairs(
      "{.arg {arg}} must have a column {.field position} of numbers, not
       {.obj_type_friendly {table[['position']]}}.",
      call
    )
  }
  places$position <- as.double(table[["position"]])
  places[stats::complete.cases(places), ]
}

# The pairs that a user wants of a screen, as the engine has them: for each gene
# where its pairs begin and end, and the perturbations, counted from zero. NULL
# is all pairs.
read_pairs <- function(pairs, genes, perturbations, controls = character(),
                       call = caller_env()) {
  if (is.null(pairs)) {
    return(list(p = NULL, i = NULL))
  }
  check_pair_table(pairs, "pairs", call)
  gene <- pair_column(pairs, "pairs", gene_columns(), call)
  perturbation <- pair_column(pairs, "pairs", perturbation_columns(), call)
  if (length(gene) == 0) {
    abort_pairs("{.arg pairs} has no rows: there is nothing to test.", call)
  }
  check_known(gene, genes, "gene", call)
  ambiguous <- intersect(gene, genes[duplicated(genes)])
  if (length(ambiguous) > 0) {
    abort_pairs(
      "{length(ambiguous)} gene{?s} of {.arg pairs} stand{?s/} for several rows
       of the counts: {.val {utils::head(ambiguous, 5)}}.",
      call
    )
  }
  untested <- intersect(perturbation, controls)
  if (length(untested) > 0) {
    abort_pairs(
      "{.arg pairs} has {.val {untested}}, which {?is a control/are controls}:
       controls are not tested.",
      call
    )
  }
  check_known(perturbation, perturbations, "perturbation", call)
  g <- match(gene, genes)
  k <- match(perturbation, perturbations)
  twice <- sum(duplicated(as.double(g) * length(perturbations) + k))
  if (twice > 0) {
    first <- which(duplicated(data.frame(g, k)))[1]
    abort_pairs(c(
      "{twice} of the {length(g)} pairs {cli::qty(twice)}{?is a
       duplicate/are duplicates}.",
      x = "The first: gene {.val {gene[first]}}, perturbation
           {.val {perturbation[first]}} (row {first})."
    ), call)
  }
  ordered <- order(g, k)
  list(
    p = c(0, cumsum(as.double(tabulate(g, length(genes))))),
    i = k[ordered] - 1L
  )
}

gene_columns <- function() c("gene", "gene_id", "response_id")

perturbation_columns <- function() c("perturbation", "grna_target", "target")

check_pair_table <- function(table, arg, call) {
  if (!is.data.frame(table) && !is(table, "DataFrame")) {
    abort_pairs(
      "{.arg {arg}} must be a data frame, not {.obj_type_friendly {table}}.",
      call
    )
  }
}

# The column of one of these names, the first that there is, as text.
pair_column <- function(table, arg, names, call) {
  found <- intersect(names, colnames(table))
  if (length(found) == 0) {
    alias <- if (length(names) > 1) paste0(" (or ", toString(names[-1]), ")")
    abort_pairs(c(
      "{.arg {arg}} must have a column {.field {names[1]}}{alias}.",
      x = "It has {.field {colnames(table)}}."
    ), call)
  }
  as.character(table[[found[1]]])
}

check_known <- function(names, known, what, call) {
  unknown <- setdiff(names, known)
  if (length(unknown) == 0) {
    return(invisible())
  }
  near <- if (is.na(unknown[1])) character() else near_names(unknown[1], known)
  abort_pairs(c(
    "{length(unknown)} {what}{cli::qty(length(unknown))}{?s} of {.arg pairs}
     {?is/are} not in the data: {.val {utils::head(unknown, 5)}}.",
    i = if (length(near) > 0) {
      "Near {.val {unknown[1]}}: {.val {near}}."
    }
  ), call)
}

abort_pairs <- function(message, call = caller_env(),
                        .envir = parent.frame()) {
  scoria_abort(message, c("pairs", "argument"), call, .envir)
}
