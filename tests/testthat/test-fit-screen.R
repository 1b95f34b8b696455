# What fit_screen() makes of its arguments, up to what the engine is handed.

test_that("one label a cell makes perturbations, and controls the reference", {
  expect_message(made <- request(), "Control: \"control\"")
  expect_identical(cells_of(made), list(A = 5:8, B = 9:12))
  expect_identical(reference_of(made), 1:4)
  expect_identical(made$about$perturbations$n_cells, c(4L, 4L))
  expect_identical(made$about$reference$controls, "control")
  expect_identical(dim(made$screen$design), c(12L, 1L))
  expect_null(made$screen$pair_p)
  silent <- expect_message(request(control = "control"), NA)
  expect_identical(made$screen, silent$screen)
  labels <- request(tiny_cells()$guide, control = "control")
  expect_identical(labels$screen, silent$screen)
  factor <- tiny_cells()
  factor$guide <- factor(factor$guide, c("B", "gone", "control", "A"))
  made <- request(cells = factor, control = "control")
  expect_identical(cells_of(made), list(B = 9:12, A = 5:8))
})

test_that("the formula, size factors and offsets are those of fit_models()", {
  cells <- tiny_cells()
  cells$Size_Factor <- seq(0.5, 2, length.out = 12)
  cells$depth <- 1:12 / 10
  made <- request(
    formula = ~ batch + offset(depth), cells = cells, control = "control"
  )
  expect_identical(made$screen$offset, cells$depth + log(cells$Size_Factor))
  expect_identical(
    unname(made$screen$design[, "batchy"]), rep(c(0, 1), 6)
  )
  none <- request(cells = cells, control = "control", size_factors = "none")
  expect_identical(none$screen$offset, double(12))
  covariate <- request(
    cells = cells, control = "control", size_factors = "covariate"
  )
  expect_identical(ncol(covariate$screen$design), 2L)
  expect_identical(covariate$screen$offset, double(12))
})

test_that("cells without a label, or a covariate, are refused or left out", {
  cells <- tiny_cells()
  cells$guide[c(2, 6)] <- NA
  cells$guide[9] <- ""
  cells$batch[12] <- NA
  expect_snapshot(error = TRUE, {
    request(cells = cells)
    request(cells = cells, formula = ~batch, na_action = "fail")
  })
  expect_error(request(cells = cells), class = "scoria_error_missing")
  expect_snapshot(
    made <- request(
      cells = cells, formula = ~batch, control = "control", na_action = "omit"
    )
  )
  expect_identical(made$cells, c(1L, 3:5, 7:8, 10:11))
  expect_identical(cells_of(made), list(A = c(5L, 7:8), B = 10:11))
  expect_identical(reference_of(made), c(1L, 3:4))
  expect_identical(
    as.matrix(made$counts), tiny_counts()[, made$cells]
  )
})

test_that("references are the complement, or all perturbed cells", {
  made <- request(control = "control", reference = "complement")
  expect_null(made$screen$reference_cells)
  expect_identical(cells_of(made), list(A = 5:8, B = 9:12))
  expect_identical(made$cells, 1:12)
  made <- expect_message(request(reference = "complement"), NA)
  expect_identical(names(cells_of(made)), c("A", "B", "control"))
  expect_message(
    made <- request(control = "control", reference = "perturbed"),
    "4 of 12 cells are left out: they are not perturbed"
  )
  expect_identical(reference_of(made), 5:12)
  expect_identical(made$counts@Dim, c(3L, 8L))
})

test_that("a matrix may hold several perturbations a cell", {
  expect_message(made <- request(several()), "complement")
  expect_identical(
    cells_of(made),
    list(NT1 = c(1L, 2L, 5L), NT2 = 3L, A = 5:8, B = 8:10)
  )
  expect_null(made$screen$reference_cells)
  # Cell 5 has a perturbation too; 4, 11 and 12 have none.
  suppressMessages(expect_message(
    made <- request(several(), reference = "control"),
    "3 of 12 cells are left out"
  ))
  expect_identical(cells_of(made), list(A = 5:8, B = 8:10))
  expect_identical(reference_of(made), 1:3)
  made <- suppressMessages(request(several(), control = "NT1"))
  expect_identical(reference_of(made), 1:2)
  expect_identical(names(cells_of(made)), c("NT2", "A", "B"))
  made <- suppressMessages(request(several(), reference = "perturbed"))
  expect_identical(reference_of(made), 5:10)
})

test_that("a matrix may be of any class, and its cells in any order", {
  wanted <- suppressMessages(request(several()))$screen
  has <- several()
  sparse <- methods::as(has, "lMatrix")
  forms <- list(
    has + 0, has + 0L, sparse, methods::as(sparse, "CsparseMatrix"),
    methods::as(methods::as(sparse, "CsparseMatrix"), "nMatrix"),
    methods::as(has + 0, "RsparseMatrix"),
    methods::as(has + 0, "TsparseMatrix"), unname(has)
  )
  for (form in forms) {
    made <- suppressMessages(request(form))
    expect_identical(made$screen, wanted)
  }
  expect_message(
    made <- request(has[c(4:12, 1:3), ], reference = "complement"),
    "in the order of"
  )
  expect_identical(made$screen, wanted)
  zeros <- methods::as(has + 0, "CsparseMatrix")
  zeros@x[1] <- 0
  made <- suppressMessages(request(zeros))
  expect_identical(cells_of(made)$NT1, c(2L, 5L))
  skip_if_not_installed("DelayedArray")
  made <- suppressMessages(request(DelayedArray::DelayedArray(has + 0)))
  expect_identical(made$screen, wanted)
})

test_that("matrices that are not memberships of the cells are refused", {
  has <- several()
  other <- has
  rownames(other)[3:4] <- c("cellX", "cellY")
  expect_snapshot(error = TRUE, {
    request(t(has))
    request(unname(t(has)))
    request(has[1:7, ])
    request(unname(has[1:7, ]))
    request(other)
    request(has + 1.5)
    request(replace(has, 3, NA))
    request(replace(has + 0, 3, -1))
    request(replace(has + 0, 3, 7), threshold = 20)
    request(replace(has + 0, 3, 7), threshold = "5")
    request(has[, c(1, 1, 2)])
    request(has[, 0])
    request(`colnames<-`(has, c("a", "", "b", "c")))
    request(matrix("a", 12, 2))
  })
  for (bad in list(t(has), has[1:7, ], other)) {
    expect_error(request(bad), class = "scoria_error_cells")
  }
  expect_error(request(has * 2), class = "scoria_error_threshold")
})

test_that("what no perturbation can be read from is refused", {
  cells <- transform(tiny_cells(), code = 1:12)
  expect_snapshot(error = TRUE, {
    request("giude", cells = cells)
    request("code", cells = cells)
    request(1:12)
    request(c("A", "B"))
    request("guide", threshold = 3)
    request("guide", formula = ~guide)
  })
  expect_error(request("giude"), class = "scoria_error_perturbation")
  expect_error(request(formula = ~guide), class = "scoria_error_confounded")
})

test_that("controls that are missing or unclear are refused", {
  unclear <- tiny_cells(rep(c("control", "safe-targeting", "B"), each = 4))
  unknown <- tiny_cells(rep(c("C", "A", "B"), each = 4))
  alone <- several()
  alone[, "NT1"] <- alone[, "A"]
  expect_snapshot(error = TRUE, {
    request(cells = unclear)
    request(cells = unknown)
    request(control = "contrl")
    request(control = 1)
    request(control = c("control", "A", "B"))
    request(alone, control = "NT1")
    request(reference = "all")
  })
  for (cells in list(unclear, unknown)) {
    expect_error(request(cells = cells), class = "scoria_error_control")
  }
})

test_that("control labels are recognised", {
  yes <- c(
    "control", "Ctrl-A", "non-targeting", "NonTargeting", "non_target_3",
    "non targeting", "safe-targeting", "scramble", "NT", "ntc", "NT_12", "nt3",
    "negative_control"
  )
  no <- c("positive_control", "NTRK1", "CNTN1", "TARGET", "NTC1A", "ANTC")
  expect_identical(is_control_label(c(yes, no)), rep(c(TRUE, FALSE), c(13, 6)))
  numbered <- tiny_cells(rep(c("NT-1", "NT-2", "A"), each = 4))
  expect_message(
    made <- request(cells = numbered), "Controls: \"NT-1\" and \"NT-2\""
  )
  expect_identical(reference_of(made), 1:8)
  # With "perturbed" there may be no control at all.
  unknown <- tiny_cells(rep(c("C", "A", "B"), each = 4))
  made <- request(cells = unknown, reference = "perturbed")
  expect_identical(reference_of(made), 1:12)
})

test_that("what cannot be compared, or told apart, is said", {
  has <- several()
  all <- has
  all[, "A"] <- TRUE
  only <- has[, "A", drop = FALSE]
  expect_snapshot(error = TRUE, {
    request(all, reference = "complement")
    request(only, reference = "perturbed")
  })
  twins <- has
  twins[, "NT2"] <- twins[, "B"]
  expect_message(
    made <- request(twins, reference = "complement"),
    class = "scoria_message_aliases"
  )
  expect_identical(cells_of(made)$NT2, cells_of(made)$B)
  # None with a cell: nothing to say, and a status for each of their pairs.
  empty <- has
  empty[, c("A", "B")] <- FALSE
  made <- expect_message(request(empty, reference = "complement"), NA)
  expect_identical(made$about$perturbations$n_cells, c(3L, 1L, 0L, 0L))
  missing <- tiny_cells()
  missing$batch[1:4] <- NA
  expect_error(
    suppressMessages(request(
      formula = ~batch, cells = missing, control = "control",
      na_action = "omit"
    )),
    "No cell is left to compare with",
    class = "scoria_error_control"
  )
})

test_that("options are checked one by one, and together", {
  given <- function(...) utils::modifyList(screen_choices(), list(...))
  expect_identical(screen_options(given())$family, "negbinomial")
  expect_identical(screen_options(given(test = "lrt"))$test, "lrt")
  refused <- function(..., args = list()) {
    do.call(screen_options, c(list(given(...)), args))
  }
  fit <- function(...) fit_screen(tiny_counts(), "guide", ...)
  expect_snapshot(error = TRUE, {
    fit(family = "binomial")
    fit(test = "t")
    fit(dispersion = "trend", family = "poisson")
    fit(resampling = "conditional")
    fit(weights = 1)
    fit(thread = 1)
    fit(output = 3)
    fit(output = file.path(tempdir(), "no", "file"))
    fit(resume = TRUE)
    fit(resume = NA)
    fit(memory_limit = "4 parsecs")
    fit(verbose = 2)
    fit("group")
    fit(formula = ~ a + (1 | b))
  }, transform = function(lines) gsub(tempdir(), "<tempdir>", lines, fixed = TRUE))
  expect_error(fit(resume = TRUE), class = "scoria_error_output")
  expect_error(fit(memory_limit = -1), class = "scoria_error_memory_limit")
})

test_that("memory limits are read", {
  expect_null(parse_memory(NULL))
  expect_identical(parse_memory("4GB"), 4e9)
  expect_identical(parse_memory(" 1.5 gib"), 1.5 * 2^30)
  expect_identical(parse_memory("500 MB"), 5e8)
  expect_identical(parse_memory(1e9), 1e9)
  for (bad in list("4", "GB", "4G", "-1GB", 0, NA, Inf, TRUE, c(1, 2))) {
    expect_error(parse_memory(bad), class = "scoria_error_memory_limit")
  }
})

test_that("results go to a file that is not there yet", {
  folder <- withr::local_tempdir()
  path <- file.path(folder, "results")
  option <- function(...) screen_options(screen_choices(), ...)$output
  expect_identical(option(output = path), file.path(normalizePath(folder), "results"))
  file.create(path)
  expect_error(option(output = path), "there already", class = "scoria_error_output")
  expect_identical(basename(option(output = path, resume = TRUE)), "results")
  expect_error(option(output = folder), "is a folder", class = "scoria_error_output")
})

test_that("strata are for permutations", {
  calibrated <- list(test = "calibrated")
  made <- request(control = "control", strata = "batch", given = calibrated)
  expect_identical(made$screen$strata, rep(0:1, 6))
  expect_identical(made$screen$n_strata, 2L)
  own <- request(control = "control", strata = 12:1 > 6, given = calibrated)
  expect_identical(own$screen$strata, rep(0:1, each = 6))
  strata <- function(strata, ...) {
    request(control = "control", strata = strata, given = list(...))
  }
  expect_snapshot(error = TRUE, {
    strata("batch")
    strata("batch", test = "calibrated", resampling = "conditional")
    strata("bacth", test = "calibrated")
    strata(1:3, test = "calibrated")
    strata(c(NA, 1:11), test = "calibrated")
  })
})

test_that("the description that goes into a file rebuilds what is known", {
  made <- request(formula = ~batch, control = "control")
  about <- unserialize(made$options$description)
  expect_identical(about, made$about)
  expect_identical(about$formula, "~batch")
  expect_identical(about$genes$gene_id, c("GATA1", "TAL1", "MYB"))
  again <- request(formula = ~batch, control = "control")
  expect_identical(again$options$description, made$options$description)
})
