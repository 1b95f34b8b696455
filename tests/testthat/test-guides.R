test_that("guides of one target are united", {
  targets <- c(NT1 = "ntc", A = "gene", NT2 = "ntc", B = "gene", more = "x")
  tables <- list(
    targets, data.frame(guide = names(targets), target = targets),
    data.frame(grna_id = names(targets), grna_target = targets),
    data.frame(guide = names(targets), perturbation = targets)[c(1:5, 2), ]
  )
  for (table in tables) {
    made <- suppressMessages(
      request(several(), reference = "control", guide_targets = table)
    )
    expect_identical(cells_of(made), list(gene = 5:10))
    expect_identical(reference_of(made), 1:3)
  }
  made <- request(
    reference = "complement",
    guide_targets = c(control = "rest", A = "rest", B = "B")
  )
  expect_identical(cells_of(made), list(rest = 1:8, B = 9:12))
  united <- function(targets) request(several(), guide_targets = targets)
  expect_snapshot(error = TRUE, {
    united(targets[-1])
    united(replace(targets, 2, NA))
    united(c(targets, A = "other"))
    united("target")
    united(data.frame(gRNA = "A", target = "a"))
    united(1:3)
  })
  expect_error(united(1), class = "scoria_error_guide_targets")
})

test_that("screens of high multiplicity are read from their alternative experiment", {
  skip_if_not_installed("SingleCellExperiment")
  screen <- simulate_screen(
    n_cells = 200, n_genes = 10, n_perturbations = 6, moi = "high"
  )
  expect_message(
    made <- request("perturbations", ~prep_batch, x = screen), "complement"
  )
  has <- SummarizedExperiment::assay(
    SingleCellExperiment::altExp(screen), "membership"
  )
  for (name in rownames(has)) {
    expect_identical(cells_of(made)[[name]], unname(which(has[name, ] == 1)))
  }
  expect_error(
    request("perturbatoins", x = screen), "perturbations",
    class = "scoria_error_perturbation"
  )
  by_matrix <- suppressMessages(request(Matrix::t(has), ~prep_batch, x = screen))
  expect_identical(by_matrix$screen, made$screen)
  united <- suppressMessages(request(
    "perturbations", x = screen, guide_targets = "target"
  ))
  targets <- SummarizedExperiment::rowData(
    SingleCellExperiment::altExp(screen)
  )$target
  expect_identical(names(cells_of(united)), unique(targets))
})

test_that("guides may be an assay of a Seurat object", {
  skip_if_not_installed("SeuratObject")
  guides <- methods::as(t(several() * 7), "CsparseMatrix")
  # Seurat says that it sets a key.
  x <- suppressWarnings(SeuratObject::CreateSeuratObject(
    methods::as(tiny_counts(), "CsparseMatrix"), meta.data = tiny_cells()
  ))
  x[["GDO"]] <- SeuratObject::CreateAssayObject(guides)
  made <- suppressMessages(request("GDO", x = x, threshold = 5))
  wanted <- suppressMessages(request(several()))
  expect_identical(cells_of(made), cells_of(wanted))
  expect_error(
    request("GDO", x = x), "GDO", class = "scoria_error_threshold"
  )
})

test_that("guide counts of a real screen are read with a threshold", {
  x <- read_cells(shared_data("papalexi_lowmoi.rds"))[1:3, ]
  expect_error(request("grna", x = x), class = "scoria_error_threshold")
  said <- character()
  made <- withCallingHandlers(
    request(
      "grna", ~bio_rep, x = x, threshold = 5, guide_targets = "grna_target",
      reference = "control"
    ),
    message = function(m) {
      said <<- c(said, conditionMessage(m))
      invokeRestart("muffleMessage")
    }
  )
  expect_match(said[1], "non-targeting")
  guides <- SingleCellExperiment::altExp(x, "grna")
  counts <- as.matrix(SummarizedExperiment::assay(guides))
  target <- SummarizedExperiment::rowData(guides)$grna_target
  has <- rowsum((counts >= 5) + 0, target) > 0
  controls <- has["non-targeting", ] & colSums(has) == 1
  expect_identical(reference_of(made), unname(which(controls)))
  for (name in setdiff(unique(target), "non-targeting")) {
    expect_identical(cells_of(made)[[name]], unname(which(has[name, ])))
  }
  expect_identical(made$about$n_cells, sum(
    controls | colSums(has[rownames(has) != "non-targeting", ]) > 0
  ))
  # One label a cell, as another table of targets has them.
  table <- unique(as.data.frame(
    SummarizedExperiment::colData(x)[c("grna_max", "grna_target")]
  ))
  names(table)[1] <- "guide"
  united <- request(
    "grna_max", x = x, guide_targets = table, control = "non-targeting"
  )
  labels <- request("grna_target", x = x, control = "non-targeting")
  expect_identical(
    cells_of(united)[names(cells_of(labels))], cells_of(labels)
  )
})
