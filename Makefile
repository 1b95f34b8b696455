# `make help` lists the targets. Missing Debian packages are installed by
# tools/setup.sh; all else is written here or into these three directories. Set the
# first two in the environment to move them.
SCORIA_LIBRARY ?= $(HOME)/.cache/scoria/library
CARGO_TARGET_DIR ?= $(HOME)/.cache/scoria/target
CHECK_DIR = $(HOME)/.cache/scoria/check

export CARGO_TARGET_DIR
export PATH := $(PATH):$(HOME)/.cargo/bin
# R draws and prints more than ASCII: a bare machine has no locale set.
export LANG := $(or $(LANG),C.UTF-8)
export R_LIBS := $(SCORIA_LIBRARY)$(if $(R_LIBS),:$(R_LIBS))

# R's own lock outlives an install that is killed, and stops every later one. This one
# ends with its process; under it, what is left of R's is nobody's.
ALONE = flock "$(SCORIA_LIBRARY)"

# What `make bench-screen` times, in this order.
PART ?= pairs groups all-pairs memory crispyx fit-models power

# What `make demo` hands to tools/demo.R.
export DATA FORMULA FAMILY CORES GENES

.PHONY: help setup setup-demo install demo test check lint document dist bench bench-growth bench-screen bench-groups bench-mash real-screen bench-core clean
.NOTPARALLEL:

help: ## Say what each target does.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

setup-demo:
	@tools/setup.sh demo

setup: ## Install what is missing to test and check the package.
	@tools/setup.sh test

install: setup-demo ## Build the package and install it into its own library.
	@mkdir -p "$(SCORIA_LIBRARY)"
	@$(ALONE) rm -rf "$(SCORIA_LIBRARY)/00LOCK-$(notdir $(CURDIR))"
	$(ALONE) R CMD INSTALL --library="$(SCORIA_LIBRARY)" .

demo: install ## Take a screen from counts to discoveries and a page of plots; or fit DATA= with FORMULA= FAMILY= CORES= GENES=
	@Rscript tools/demo$(if $(DATA),,-screen).R

test: setup install ## Run every test: the core's, the package's, the documentation's examples.
	cargo nextest run --locked
	cargo test --doc --locked --quiet
	NOT_CRAN=true Rscript -e 'testthat::test_dir("tests/testthat", reporter = "check", package = "scoria", load_package = "installed")'
	Rscript tools/run-examples.R

check: setup ## Build the source package and pass R CMD check without a note.
	rm -rf "$(CHECK_DIR)" && mkdir -p "$(CHECK_DIR)"
	cd "$(CHECK_DIR)" && R CMD build "$(CURDIR)"
	cd "$(CHECK_DIR)" && _R_CHECK_CRAN_INCOMING_=FALSE _R_CHECK_SYSTEM_CLOCK_=FALSE \
	  _R_CHECK_PKG_SIZES_THRESHOLD_=10 R CMD check --as-cran --no-manual scoria_*.tar.gz
	grep '^Status: OK$$' "$(CHECK_DIR)/scoria.Rcheck/00check.log"

lint: setup install ## Hold the sources to rustfmt, clippy and lintr.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	Rscript -e 'lints <- lintr::lint_dir("."); print(lints); quit(status = length(lints) > 0)'

document: setup ## Write the wrappers, NAMESPACE and man/ from the sources.
	Rscript tools/document.R

dist: setup ## Make a source package that installs without a network.
	tools/dist.sh

bench: install ## Time fit_models() beside MASS, stats, glmGamPoi and statsmodels, at the size of a large screen.
	Rscript bench/fit-models.R

bench-growth: install ## Time fit_models() against cells, covariates and threads.
	Rscript bench/fit-models-growth.R

bench-screen: install ## Time fit_screen() at the sizes of large screens: PART= of bench/screen-PART.R
	@for part in $(PART); do \
	  echo "== bench/screen-$$part.R"; Rscript bench/screen-$$part.R || exit; \
	done

bench-groups: install ## Time test_groups() beside illico, crispyx and pdex.
	Rscript bench/groups.R

bench-mash: install ## Time mash() with many conditions.
	Rscript bench/mash.R

real-screen: install ## Fit a real screen beside what sceptre found in it: SCORIA_SHARED_DATA=
	Rscript bench/real-screen.R

bench-core: ## Time the core's fits and passes.
	cargo bench --locked

clean: ## Remove what was built, here and in the cache.
	./cleanup
	rm -rf "$(SCORIA_LIBRARY)" "$(CARGO_TARGET_DIR)" "$(CHECK_DIR)"
	rm -rf src/*.o src/*.so src/*.a src/rust/vendor scoria_*.tar.gz demo-*
