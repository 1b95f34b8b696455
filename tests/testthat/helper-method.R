# An S3 method that exists while a test runs: for classes of models that it makes up.
local_method <- function(name, method, envir = parent.frame()) {
  force(name)
  assign(name, method, globalenv())
  withr::defer(rm(list = name, envir = globalenv()), envir = envir)
}
