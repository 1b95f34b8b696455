# Files for other programs are read back with those programs: a Python with anndata
# and scanpy, which tools/setup.sh makes.

# Its path, or NULL. The tests find it where that script puts it, or wherever
# SCORIA_PYTHON says.
python_path <- function() {
  given <- Sys.getenv("SCORIA_PYTHON")
  if (nzchar(given)) {
    return(given)
  }
  made <- path.expand("~/.cache/scoria/python/bin/python")
  if (file.exists(made)) made
}

skip_without_python <- function() {
  skip_on_cran()
  if (is.null(python_path())) {
    skip(paste(
      "no Python with anndata and scanpy: set SCORIA_PYTHON, or run",
      "`tools/setup.sh test`"
    ))
  }
}

# Runs a script with arguments, and gives the lines that it prints.
run_python <- function(script, ...) {
  skip_without_python()
  file <- withr::local_tempfile(fileext = ".py", lines = script)
  errors <- withr::local_tempfile()
  lines <- suppressWarnings(system2(
    python_path(), shQuote(c(file, ...)),
    stdout = TRUE, stderr = errors
  ))
  if (!is.null(attr(lines, "status"))) {
    stop(paste(readLines(errors), collapse = "\n"), call. = FALSE)
  }
  lines
}

# What scanpy makes of the ranks of all groups, as a data frame.
scanpy_ranks <- function(path) {
  table <- withr::local_tempfile(fileext = ".csv")
  run_python(c(
    "import sys, anndata, scanpy",
    "read = anndata.read_h5ad(sys.argv[1])",
    "table = scanpy.get.rank_genes_groups_df(read, group=None)",
    "table.to_csv(sys.argv[2], index=False, float_format='%.17g')"
  ), path, table)
  utils::read.csv(table, na.strings = "")
}

# Matrices that anndata reads, X or layers, with their names.
anndata_layers <- function(path, layers) {
  folder <- withr::local_tempdir()
  run_python(c(
    "import sys, anndata, pandas",
    "read = anndata.read_h5ad(sys.argv[1])",
    "for name in sys.argv[3:]:",
    "    values = read.X if name == 'X' else read.layers[name]",
    "    table = pandas.DataFrame(values, read.obs_names, read.var_names)",
    "    file = f'{sys.argv[2]}/{name}.csv'",
    "    table.astype(float).to_csv(file, float_format='%.17g')"
  ), path, folder, layers)
  lapply(rlang::set_names(layers), function(layer) {
    as.matrix(utils::read.csv(
      file.path(folder, paste0(layer, ".csv")),
      row.names = 1, check.names = FALSE, na.strings = ""
    ))
  })
}
