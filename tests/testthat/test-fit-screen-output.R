# Results on disk: the same as in memory, however often a fit is ended ----------

columns_of <- function(fit) as.data.frame(coefficient_table(fit))

# Runs a script in a process of its own; returns its number.
start_script <- function(script) {
  number <- tempfile()
  system(sprintf(
    "%s --vanilla %s > /dev/null 2>&1 & echo $! > %s",
    shQuote(file.path(R.home("bin"), "Rscript")), shQuote(script), number
  ))
  as.integer(readLines(number))
}

test_that("results in a file are those in memory, and stay when it is opened", {
  screen <- simulate_screen(n_genes = 60, n_perturbations = 5, n_cells = 800)
  path <- withr::local_tempfile(fileext = ".h5")
  fit <- function(...) {
    fit_screen(screen, "perturbation", ~prep_batch, control = "control", ...)
  }
  memory <- fit()
  disk <- fit(output = path)
  expect_equal(columns_of(disk), columns_of(memory))
  expect_identical(columns_of(read_screen(path)), columns_of(disk))
  again <- fit(output = path, resume = TRUE)
  expect_identical(columns_of(again), columns_of(disk))
  pair <- fit(output = withr::local_tempfile(), dispersion = "pair")
  expect_equal(columns_of(pair), columns_of(fit(dispersion = "pair")))
})

test_that("a file of other data or arguments is refused by what differs", {
  screen <- simulate_screen(n_genes = 30, n_perturbations = 5, n_cells = 500)
  path <- withr::local_tempfile(fileext = ".h5")
  fit <- function(screen, formula = ~prep_batch, ..., resume = TRUE) {
    fit_screen(screen, "perturbation", formula,
      control = "control", output = path, resume = resume, ...
    )
  }
  fit(screen)
  expect_error(fit(screen, resume = FALSE), class = "scoria_error_output")
  differs <- function(what, ...) {
    expect_error(fit(...), what, class = "scoria_error_output_mismatch")
  }
  differs("model matrix", screen, ~percent.mito)
  differs("test", screen, test = "lrt")
  differs("size factors", screen, size_factors = "none")
  other <- screen
  SummarizedExperiment::assay(other, "counts")@x[7] <- 99
  differs("counts", other)
  relabelled <- screen
  relabelled$perturbation[which(screen$perturbation == "perturb_001")[1]] <-
    "perturb_002"
  differs("perturbation", relabelled)
  writeLines("not a screen", path)
  expect_error(fit(screen), class = "scoria_error_output_file")
})

test_that("fits killed at any moment go on to the same bits", {
  skip_on_cran()
  skip_on_os("windows")
  path <- withr::local_tempfile(fileext = ".h5")
  saved <- withr::local_tempfile(fileext = ".rds")
  running <- withr::local_tempfile()
  # Fitted pair by pair, to take some time.
  screen <- simulate_screen(
    n_genes = 2000, n_perturbations = 10, n_cells = 2000
  )
  screen <- list(
    counts = SummarizedExperiment::assay(screen, "counts"),
    cells = as.data.frame(SummarizedExperiment::colData(screen))
  )
  saveRDS(screen, saved)
  fit <- function(screen, ...) {
    fit_screen(screen$counts, "perturbation", ~ percent.mito + guide_count,
      control = "control", dispersion = "pair",
      cell_metadata = screen$cells, ...
    )
  }
  script <- withr::local_tempfile(fileext = ".R")
  writeLines(c(
    sprintf(".libPaths(%s)", deparse1(.libPaths())),
    "library(scoria)",
    paste("fit <-", deparse1(fit, "\n")),
    sprintf("screen <- readRDS(%s)", deparse1(saved)),
    sprintf("file.create(%s)", deparse1(running)),
    sprintf("repeat fit(screen, output = %s, resume = TRUE)", deparse1(path))
  ), script)
  seconds <- system.time(never_killed <- fit(screen))[["elapsed"]]

  set.seed(11)
  done <- numeric()
  for (kill in seq_len(20)) {
    pid <- start_script(script)
    until <- Sys.time() + 60
    while (!file.exists(running) && Sys.time() < until) Sys.sleep(0.01)
    Sys.sleep(stats::runif(1, 0, seconds / 4))
    tools::pskill(pid, tools::SIGKILL)
    unlink(running)
    if (file.exists(path)) {
      done <- c(done, rust_value(rust_open_screen(path))$genes_done)
    }
  }
  expect_false(is.unsorted(done))
  expect_gt(length(unique(done)), 3)
  resumed <- fit(screen, output = path, resume = TRUE)
  expect_identical(columns_of(resumed), columns_of(never_killed))
})
