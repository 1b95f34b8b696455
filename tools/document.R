# Writes R/extendr-wrappers.R from the Rust sources, then NAMESPACE and man/.
# Run from the package's root: Rscript tools/document.R
pkgbuild::compile_dll(".", quiet = TRUE, debug = FALSE)
dyn.load("src/scoria.so")
wrappers <- .Call("wrap__make_scoria_wrappers", TRUE, "scoria")
dyn.unload("src/scoria.so")
writeLines(
  c(
    "# Written by tools/document.R from the Rust sources: do not edit.",
    "# nolint start",
    "#' @useDynLib scoria, .registration = TRUE",
    "NULL",
    "",
    sub("\n+$", "", wrappers),
    "# nolint end"
  ),
  "R/extendr-wrappers.R"
)
roxygen2::roxygenise(load_code = "source")
