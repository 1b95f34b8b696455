# The results of a screen's pairs, by column, in memory or in a file -----------
#
# Pairs are numbered from one (as doubles: there may be more than integers), gene
# by gene, and within a gene in the order of the perturbations. A store is an
# environment of
#   columns       list of vectors, one entry a pair; NULL where they are in a file
#   path, read    that file, and the function that reads a column from one pair to
#                 another
#   n_genes, n_perturbations
#   pair_p, pair_i    NULL, or where each gene's pairs begin and end, and each
#                 pair's perturbation, both counted from zero
#   cache         what print() need not count twice

new_store <- function(columns, path, n_genes, n_perturbations, pairs) {
  # What the engine does not know is NaN, and NA in R.
  numeric <- vapply(columns, is.double, NA)
  columns[numeric] <- lapply(columns[numeric], nan_to_na)
  rlang::env(
    rlang::empty_env(),
    columns = columns, path = path,
    read = if (!is.null(path)) {
      function(column, from, to) {
        rust_value(rust_read_screen(path, column, from, to))
      }
    },
    n_genes = n_genes,
    n_perturbations = n_perturbations,
    pair_p = pairs$p, pair_i = pairs$i, cache = list()
  )
}

nan_to_na <- function(x) {
  if (anyNA(x)) x[is.nan(x)] <- NA_real_
  x
}

n_pairs <- function(store) {
  if (is.null(store$pair_p)) {
    as.double(store$n_genes) * store$n_perturbations
  } else {
    store$pair_p[store$n_genes + 1]
  }
}

# Numbers of the pairs of these genes with these perturbations, gene by gene.
pair_ids <- function(store, genes = seq_len(store$n_genes),
                     perturbations = seq_len(store$n_perturbations)) {
  if (is.null(store$pair_p)) {
    before <- (genes - 1) * as.double(store$n_perturbations)
    return(as.vector(outer(perturbations, before, `+`)))
  }
  from <- store$pair_p[genes]
  counts <- store$pair_p[genes + 1] - from
  ids <- rep.int(from, counts) + sequence(counts)
  if (length(perturbations) < store$n_perturbations) {
    ids <- ids[(store$pair_i[ids] + 1L) %in% perturbations]
  }
  ids
}

gene_of_pair <- function(store, ids) {
  if (is.null(store$pair_p)) {
    as.integer((ids - 1) %/% store$n_perturbations) + 1L
  } else {
    findInterval(ids - 1, store$pair_p)
  }
}

perturbation_of_pair <- function(store, ids) {
  if (is.null(store$pair_p)) {
    as.integer((ids - 1) %% store$n_perturbations) + 1L
  } else {
    store$pair_i[ids] + 1L
  }
}

# How many pairs are read from a file, or looked at, at a time.
pairs_at_a_time <- function() getOption("scoria.pairs_at_a_time", 2^20)

# A column's entries for these pairs, in any order.
read_pairs_of <- function(store, column, ids) {
  if (is.null(store$read)) {
    return(store$columns[[column]][ids])
  }
  if (length(ids) == 0) {
    return(if (column == "status") integer() else double())
  }
  if (is.unsorted(ids)) {
    ordered <- order(ids)
    values <- read_pairs_of(store, column, ids[ordered])
    values[ordered] <- values
    return(values)
  }
  chunk <- (ids - 1) %/% pairs_at_a_time()
  values <- lapply(split(ids, chunk), function(ids) {
    from <- ids[1]
    nan_to_na(store$read(column, from, ids[length(ids)])[ids - from + 1])
  })
  unlist(values, use.names = FALSE)
}

# Calls `look(ids)` for all pairs in turn, a chunk at a time, and gives the list
# of what it returned.
over_chunks <- function(store, look) {
  total <- n_pairs(store)
  if (total == 0) {
    return(list())
  }
  starts <- seq(0, total - 1, by = pairs_at_a_time())
  lapply(starts, function(start) {
    look(start + seq_len(min(pairs_at_a_time(), total - start)))
  })
}

# Adjusted p-values ------------------------------------------------------------

# Pairs whose adjusted p-value is at most `limit`: list of `id` and `q`. One look
# at the p-values is enough, for an adjusted p-value is never below its p-value,
# and (Hommel's method apart) those that are small depend on smaller ones alone,
# and on how many there are.
significant_pairs <- function(store, adjust, over, limit) {
  if (adjust == "hommel") {
    ids <- pair_ids(store)
    q <- adjusted_p(store, ids, adjust, over)
    kept <- which(q <= limit)
    return(list(id = ids[kept], q = q[kept]))
  }
  chunks <- over_chunks(store, function(ids) {
    p <- read_pairs_of(store, "p_value", ids)
    group <- adjusted_together(store, ids, over)
    small <- which(p <= limit)
    list(
      id = ids[small], p = p[small], group = group[small],
      tested = tabulate(group[!is.na(p)], store$n_perturbations)
    )
  })
  gather <- function(name) {
    as.double(unlist(lapply(chunks, `[[`, name), use.names = FALSE))
  }
  id <- gather("id")
  p <- gather("p")
  group <- gather("group")
  tested <- Reduce(
    `+`, lapply(chunks, `[[`, "tested"), double(store$n_perturbations)
  )
  q <- p
  for (rows in split(seq_along(p), group)) {
    q[rows] <- stats::p.adjust(p[rows], adjust, n = tested[group[rows[1]]])
  }
  kept <- which(q <= limit)
  list(id = id[kept], q = q[kept])
}

# The adjusted p-values of these pairs, among all pairs of the screen.
adjusted_p <- function(store, ids, adjust, over) {
  if (adjust == "none") {
    return(read_pairs_of(store, "p_value", ids))
  }
  if (over == "all") {
    every <- pair_ids(store)
    p <- read_pairs_of(store, "p_value", every)
    return(stats::p.adjust(p, adjust)[ids])
  }
  of <- perturbation_of_pair(store, ids)
  wanted <- sort(unique(of))
  # So many perturbations at a time that their pairs are no more than some.
  at_once <- max(1, 16 * pairs_at_a_time() %/% max(1, store$n_genes))
  q <- double(length(ids))
  for (block in split(wanted, (seq_along(wanted) - 1) %/% at_once)) {
    every <- pair_ids(store, perturbations = block)
    p <- read_pairs_of(store, "p_value", every)
    adjusted <- stats::ave(
      p, perturbation_of_pair(store, every),
      FUN = function(p) stats::p.adjust(p, adjust)
    )
    rows <- which(of %in% block)
    q[rows] <- adjusted[findInterval(ids[rows], every)]
  }
  q
}

# The family of hypotheses that each pair is adjusted in, as a number.
adjusted_together <- function(store, ids, over) {
  if (over == "all") {
    rep.int(1L, length(ids))
  } else {
    perturbation_of_pair(store, ids)
  }
}
