# Runs the examples of every help page against the installed package.
library(scoria)

ran <- 0
for (page in list.files("man", "[.]Rd$", full.names = TRUE)) {
  code <- tempfile(fileext = ".R")
  tools::Rd2ex(page, code)
  if (!file.exists(code)) next
  cat(page, "\n")
  source(code, local = new.env())
  ran <- ran + 1
}
cat("The examples of", ran, "help pages ran.\n")
