genes <- c("GATA1", "TAL1", "MYB", "MYB")
perturbations <- c("A", "B", "C")
wanted <- function(...) data.frame(...)
read <- function(pairs) read_pairs(pairs, genes, perturbations, "control")

test_that("pairs are put in the engine's order", {
  pairs <- read(wanted(
    gene = c("TAL1", "GATA1", "TAL1"), perturbation = c("C", "B", "A")
  ))
  expect_identical(pairs$p, c(0, 1, 3, 3, 3))
  expect_identical(pairs$i, c(1L, 0L, 2L))
  expect_null(read(NULL)$p)
  sceptre <- read(wanted(
    response_id = c("TAL1", "GATA1", "TAL1"), grna_target = c("C", "B", "A")
  ))
  expect_identical(sceptre, pairs)
  made <- request(
    control = "control",
    pairs = wanted(gene = c("MYB", "GATA1"), perturbation = c("A", "B"))
  )
  expect_identical(made$screen$pair_p, c(0, 1, 1, 2))
  expect_identical(made$screen$pair_i, c(1L, 0L))
})

test_that("pairs that are not in the data, or come twice, are refused", {
  expect_snapshot(error = TRUE, {
    read(wanted(gene = c("GATA2", "TAL1", "x"), perturbation = "A"))
    read(wanted(gene = "TAL1", perturbation = c("A", "a")))
    read(wanted(gene = "TAL1", perturbation = c("A", NA)))
    read(wanted(gene = "TAL1", perturbation = c("A", "control")))
    read(wanted(gene = "MYB", perturbation = "A"))
    read(wanted(gene = c("TAL1", "TAL1", "TAL1"), perturbation = c("A", "B", "A")))
    read(wanted(gene = character(), perturbation = character()))
    read(wanted(genes = "TAL1", perturbation = "A"))
    read("TAL1")
  })
  expect_error(read("TAL1"), class = "scoria_error_pairs")
})

test_that("pairs within a distance are those of an exhaustive search", {
  withr::local_seed(1)
  places <- function(n, stem) {
    data.frame(
      name = paste0(stem, sample(n)),
      chromosome = sample(c("chr1", "chr2", "chrX"), n, TRUE),
      position = sample(1000, n)
    )
  }
  all_genes <- stats::setNames(places(60, "g"), c("gene", "chromosome", "position"))
  targets <- stats::setNames(
    places(40, "p"), c("grna_target", "chromosome", "position")
  )
  # Two sites of one perturbation, and rows without a place.
  targets$grna_target[2] <- targets$grna_target[1]
  targets$chromosome[1:2] <- all_genes$chromosome[1]
  all_genes$position[5] <- NA
  targets$chromosome[9] <- NA
  found <- pairs_within(all_genes, targets, 100)
  slow <- merge(all_genes, targets, by = "chromosome")
  slow$distance <- abs(slow$position.x - slow$position.y)
  slow <- slow[!is.na(slow$distance) & slow$distance <= 100, ]
  slow <- stats::aggregate(distance ~ gene + grna_target, slow, min)
  slow <- slow[order(
    match(slow$gene, all_genes$gene), match(slow$grna_target, targets$grna_target)
  ), ]
  expect_identical(found$gene, slow$gene)
  expect_identical(found$perturbation, slow$grna_target)
  expect_equal(found$distance, slow$distance)
})

test_that("the distance itself is within, and there may be no pair", {
  gene <- data.frame(gene = "g", chromosome = "chr1", position = 100)
  target <- function(position, chromosome = "chr1") {
    data.frame(perturbation = "p", chromosome = chromosome, position = position)
  }
  expect_identical(pairs_within(gene, target(110), 10)$distance, 10)
  expect_identical(pairs_within(gene, target(90), 10)$distance, 10)
  expect_identical(nrow(pairs_within(gene, target(89), 10)), 0L)
  none <- pairs_within(gene, target(100, "chr2"))
  expect_identical(dim(none), c(0L, 3L))
  expect_snapshot(error = TRUE, {
    pairs_within(gene, target("here"))
    pairs_within(gene["gene"], target(1))
    pairs_within(gene, target(1), -1)
  })
})
