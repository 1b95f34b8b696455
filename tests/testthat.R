library(testthat)
library(scoria)

test_check("scoria")
