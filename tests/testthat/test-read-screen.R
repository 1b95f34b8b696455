test_that("files that are no screen are refused, each for what it is", {
  folder <- withr::local_tempdir()
  expect_refused <- function(path, reason) {
    expect_error(read_screen(path), reason, class = "scoria_error_output_file")
  }
  expect_refused(folder, "is not a file")
  text <- file.path(folder, "notes.txt")
  writeLines("not HDF5", text)
  expect_refused(text, "is not an HDF5 file")
  foreign <- file.path(folder, "result.h5ad")
  write_h5ad_result(made_up_fit(), foreign)
  expect_refused(foreign, "is not a screen that scoria wrote")
  expect_error(
    read_screen(file.path(folder, "nothing")),
    class = "scoria_error_output"
  )
})
