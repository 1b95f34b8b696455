#!/bin/sh
# Installs what is missing on this machine, and touches nothing when all is there.
#   tools/setup.sh demo    what `make install` and `make demo` need
#   tools/setup.sh test    that, and what the tests and checks need
set -eu
PATH="$PATH:$HOME/.cargo/bin"
# With anndata and scanpy, to read back what is written for them; the program of
# scanpy's comes last.
python="$HOME/.cache/scoria/python"

programs="R:r-base-dev cc:r-base-dev pkg-config:pkg-config"
cran="cli generics rlang Matrix tibble ggplot2 SeuratObject"
bioc="S4Vectors SummarizedExperiment SingleCellExperiment"
if [ "${1:-}" = test ]; then
  programs="$programs pandoc:pandoc qpdf:qpdf tidy:tidy checkbashisms:devscripts"
  bioc="$bioc DelayedArray DESeq2 glmGamPoi HDF5Array rhdf5"
  cran="$cran testthat withr knitr rmarkdown roxygen2 pkgbuild lintr MASS lme4 pscl dplyr vdiffr"
elif [ "${1:-}" != demo ]; then
  echo "usage: tools/setup.sh demo|test" >&2
  exit 2
fi

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# The Debian packages of those programs (written program:package) not found here.
packages_of_missing_programs() {
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
  done
}

# libhdf5-dev brings no program of its own.
package_of_missing_hdf5() {
  pkg-config --exists hdf5 2>/dev/null || echo libhdf5-dev
}

# The Debian packages, named with a prefix, of those R packages not found here.
packages_of_missing_libraries() {
  prefix=$1
  shift
  if command -v Rscript >/dev/null; then
    Rscript -e 'wanted <- commandArgs(TRUE)' \
      -e 'found <- nzchar(vapply(wanted, function(name) system.file(package = name), ""))' \
      -e 'writeLines(wanted[!found])' "$@"
  else
    printf '%s\n' "$@"
  fi | tr '[:upper:]' '[:lower:]' | sed "s/^/$prefix/"
}

# Python's own way of making an environment comes in a package of its own.
package_of_missing_venv() {
  [ -x "$python/bin/scanpy" ] || python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

command -v cargo >/dev/null ||
  fail "scoria is written in Rust: install cargo first (https://rustup.rs)."

# The lists are meant to be split into words.
# shellcheck disable=SC2086
missing=$(
  packages_of_missing_programs $programs
  package_of_missing_hdf5
  [ "$1" = demo ] || package_of_missing_venv
  packages_of_missing_libraries r-cran- $cran
  packages_of_missing_libraries r-bioc- $bioc
)
missing=$(echo "$missing" | sort -u | tr '\n' ' ')

if [ -n "${missing# }" ]; then
  command -v apt-get >/dev/null || fail \
    "scoria's Makefile installs packages on Debian and Ubuntu only. Install by your own means" \
    "what these Debian packages hold (r-cran-NAME and r-bioc-NAME are the R packages called" \
    "NAME, from CRAN and Bioconductor), then run make again:" \
    "  $missing"
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail \
      "Some packages are missing and there is no sudo. As root, run:" \
      "  apt-get install -y --no-install-recommends $missing"
    as_root="sudo"
  fi
  echo "Installing $missing"
  $as_root apt-get -q update
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-install-recommends $missing
fi

if [ "$1" = test ] && ! cargo nextest --version >/dev/null 2>&1; then
  cargo install --locked cargo-nextest
fi

# Unless the tests are told of another.
if [ "$1" = test ] && [ -z "${SCORIA_PYTHON:-}" ] && [ ! -x "$python/bin/scanpy" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check 'anndata>=0.11' 'scanpy>=1.10'
fi
