#' Simulate a single-cell CRISPR screen
#'
#' Draws counts from the model that scoria fits, with every parameter known:
#' for tests, examples and power calculations.
#'
#' @section Generating model:
#' The count of gene \eqn{g} in cell \eqn{i} is negative binomial,
#' \deqn{y_{ig} \sim NB(\mu_{ig}, \theta_g), \qquad
#'   Var(y_{ig}) = \mu_{ig} + \mu_{ig}^2 / \theta_g,}
#' \deqn{\log \mu_{ig} = \log s_i + \log m_g + x_i^T b_g +
#'   \sum_{k \in P(i)} \beta_{gk},}
#' where \eqn{P(i)} are the perturbations of cell \eqn{i}. Logarithms are
#' natural, and:
#'
#' * size factors \eqn{s_i} are log-normal with standard deviation
#'   `size_factor_sd` on the log scale and a geometric mean of exactly 1;
#' * gene means \eqn{m_g} are log-uniform over `mean_range`. A gene has this
#'   mean in a cell with a size factor of 1, no perturbation and all covariates
#'   at zero;
#' * dispersions \eqn{1 / \theta_g = (a_0 + a_1 / m_g) \exp(z_g)} with
#'   \eqn{(a_0, a_1)} the two numbers of `dispersion` and \eqn{z_g} normal with
#'   standard deviation `dispersion_sd`;
#' * covariates \eqn{x_i} are `guide_count`, the number of guides detected,
#'   those without a target included (low MOI: 1 + Poisson(0.3), high MOI:
#'   1 + negative binomial of size 2, with mean `guides_per_cell`);
#'   `percent.mito`, Beta(2, 38); and `prep_batch`, two batches of equal size.
#'   None depends on which genes are perturbed. Each coefficient in \eqn{b_g}
#'   is normal with standard deviation `covariate_sd` for a change of one
#'   standard deviation in the covariate;
#' * in a screen of low multiplicity of infection (MOI), `control_fraction` of
#'   the cells are controls and the others have one perturbation each, all
#'   perturbations equally often. At high MOI each guide of a cell is one
#'   without a target with probability `control_fraction`, otherwise a guide of
#'   a perturbation taken at random; two guides of one perturbation count once;
#' * every perturbation has a target gene, one from the more highly expressed
#'   half and a different one for each as long as there are enough. Its effect
#'   on the target is \eqn{\log(1 -} `knockdown`\eqn{)}. Of all other pairs,
#'   `effect_fraction` have an effect \eqn{\beta_{gk}}, normal with standard
#'   deviation `effect_sd`.
#'
#' The result is a function of the arguments alone: neither `threads` nor the
#' state of R's random number generator changes it, and the latter is left as
#' it was.
#'
#' @param n_cells Number of cells; 2000 by default.
#' @param n_genes Number of genes; 200 by default.
#' @param n_perturbations Number of perturbations, controls not counted; 20 by
#'   default.
#' @param moi `"low"` (the default) for at most one perturbation a cell, or
#'   `"high"` for several.
#' @param ... Must be empty: the arguments below need their names.
#' @param control_fraction Fraction of guides without a target, from 0 up to,
#'   but not including, 1; 0.2 by default. At low MOI this is the fraction of
#'   control cells.
#' @param guides_per_cell Mean number of guides in a cell at high MOI, at least
#'   1; 5 by default. Not used at low MOI.
#' @param effect_fraction Fraction of (gene, perturbation) pairs with an effect,
#'   targets aside, from 0 to 1; 0.05 by default.
#' @param effect_sd Standard deviation of these effects, natural log scale; 0.5
#'   by default.
#' @param n_programs Number of programs. Perturbations of one program, which lie next to
#'   one another, affect the same genes: by 0.6 to 1.2 times the program's effect on
#'   each. Default `NULL`: every perturbation has effects of its own.
#' @param knockdown How much of a target's expression is lost, from 0 up to, but
#'   not including, 1; 0.8 by default.
#' @param mean_range The smallest and the largest gene mean, in counts per cell;
#'   `c(0.003, 30)` by default.
#' @param dispersion The dispersion trend: the dispersion of highly expressed
#'   genes, and what is added for a mean of 1; `c(0.1, 0.1)` by default. With
#'   `c(0, 0)` the counts are Poisson and theta is infinite.
#' @param dispersion_sd Standard deviation of the log dispersion around the
#'   trend; 0.3 by default.
#' @param size_factor_sd Standard deviation of the log size factors; 0.4 by
#'   default.
#' @param covariate_sd Standard deviation, over genes, of a covariate's effect
#'   for one standard deviation of the covariate, natural log scale; 0.1 by
#'   default.
#' @param seed A whole number that fixes every draw; 1 by default.
#' @param threads Number of threads; `NULL`, the default, for the option
#'   `scoria.threads`, or else one.
#' @param verbose Show a progress bar? `FALSE` by default.
#' @return A `SingleCellExperiment` of genes x cells with
#'
#' * the assay `counts`, a `dgCMatrix`;
#' * `colData` columns `Size_Factor`, `guide_count`, `percent.mito`,
#'   `prep_batch` (a factor of `prep_batch_1` and `prep_batch_2`) and, at low
#'   MOI, `perturbation`, a factor whose first level is `control`, followed by
#'   `perturb_001` and so on;
#' * at high MOI an alternative experiment `perturbations`, whose assay
#'   `membership` is the sparse matrix of perturbations x cells, 1 where the
#'   cell has the perturbation;
#' * `rowData` columns `gene_short_name`, `true_mean` (\eqn{m_g}) and
#'   `true_theta` (\eqn{\theta_g});
#' * in its `metadata`, four entries: `truth`, a tibble of all effects that are
#'   not zero with the columns `gene_id`, `perturbation` and `estimate` (natural
#'   log fold change); `targets`, a tibble with the columns `perturbation` and
#'   `gene_id`; `coefficients`, a tibble with the columns `gene_id`, `term` (as
#'   a formula would name it) and `estimate` (natural log scale), intercept
#'   included; and `simulation`, a list of the arguments.
#' @examples
#' if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
#'   screen <- simulate_screen(n_cells = 300, n_genes = 50)
#'   screen
#'   S4Vectors::metadata(screen)$truth
#'   table(screen$perturbation)
#' }
#' @export
simulate_screen <- function(n_cells = 2000, n_genes = 200,
                            n_perturbations = 20, moi = c("low", "high"), ...,
                            control_fraction = 0.2, guides_per_cell = 5,
                            effect_fraction = 0.05, effect_sd = 0.5,
                            n_programs = NULL, knockdown = 0.8, mean_range = c(0.003, 30),
                            dispersion = c(0.1, 0.1), dispersion_sd = 0.3,
                            size_factor_sd = 0.4, covariate_sd = 0.1,
                            seed = 1, threads = NULL, verbose = FALSE) {
  if (...length() > 0) {
    abort_simulation_argument("...", list(...), "empty")
  }
  settings <- check_simulation(list(
    n_cells = n_cells, n_genes = n_genes, n_perturbations = n_perturbations,
    moi = moi, control_fraction = control_fraction,
    guides_per_cell = guides_per_cell, effect_fraction = effect_fraction,
    effect_sd = effect_sd, n_programs = n_programs %||% n_perturbations,
    knockdown = knockdown, mean_range = mean_range,
    dispersion = dispersion, dispersion_sd = dispersion_sd,
    size_factor_sd = size_factor_sd, covariate_sd = covariate_sd, seed = seed
  ))
  if (!rlang::is_bool(verbose)) {
    abort_simulation_argument("verbose", verbose, "TRUE or FALSE")
  }
  threads <- resolve_threads(threads)
  rlang::check_installed("SingleCellExperiment", "to hold a simulated screen.")

  design <- draw_simulation_design(settings)
  counts <- draw_simulated_counts(design, settings$seed, threads, verbose)
  assemble_screen(counts, design, settings)
}

# Checks -----------------------------------------------------------------------

# The settings, checked, whole numbers as integers.
check_simulation <- function(settings, call = rlang::caller_env()) {
  if (identical(settings$moi, c("low", "high"))) {
    settings$moi <- "low"
  }
  if (!rlang::is_string(settings$moi, c("low", "high"))) {
    expected <- "\"low\" or \"high\""
    abort_simulation_argument("moi", settings$moi, expected, call)
  }
  rules <- simulation_rules()
  for (name in names(rules)) {
    value <- settings[[name]]
    usable <- is.numeric(value) && all(is.finite(value))
    if (!usable || !rules[[name]]$valid(value)) {
      abort_simulation_argument(name, value, rules[[name]]$expected, call)
    }
  }
  for (name in c("n_cells", "n_genes", "n_perturbations", "n_programs", "seed")) {
    settings[[name]] <- as.integer(settings[[name]])
  }
  settings
}

# What each numeric argument must be, in words and as a test of finite numbers.
simulation_rules <- function() {
  number <- whole_rule("a whole number, at least 1", lower = 1)
  spread <- number_rule("a number, at least 0", lower = 0)
  part <- number_rule(
    "a number from 0 up to, but not including, 1", lower = 0, limit = 1
  )
  list(
    n_cells = number,
    n_genes = number,
    n_perturbations = number,
    control_fraction = part,
    guides_per_cell = number_rule("a number, at least 1", lower = 1),
    effect_fraction = number_rule("a number from 0 to 1", 0, upper = 1),
    effect_sd = spread,
    n_programs = number,
    knockdown = part,
    mean_range = list(
      expected = "two numbers above 0, in increasing order",
      valid = function(x) length(x) == 2 && x[1] > 0 && x[1] <= x[2]
    ),
    dispersion = list(
      expected = "two numbers, at least 0",
      valid = function(x) length(x) == 2 && all(x >= 0)
    ),
    dispersion_sd = spread,
    size_factor_sd = spread,
    covariate_sd = spread,
    seed = whole_rule("a whole number", lower = -.Machine$integer.max)
  )
}

# One number from `lower` to `upper`, but below `limit`.
number_rule <- function(expected, lower, upper = Inf, limit = Inf) {
  valid <- function(x) {
    length(x) == 1 && x >= lower && x <= upper && x < limit
  }
  list(expected = expected, valid = valid)
}

# One whole number from `lower`, small enough to be an integer.
whole_rule <- function(expected, lower) {
  valid <- function(x) {
    length(x) == 1 && x == round(x) && x >= lower &&
      x <= .Machine$integer.max
  }
  list(expected = expected, valid = valid)
}

abort_simulation_argument <- function(name, value, expected,
                                      call = rlang::caller_env()) {
  found <- paste(deparse(value, width.cutoff = 60, nlines = 1), collapse = "")
  cli::cli_abort(
    c("{.arg {name}} must be {expected}.", x = "Found {found}."),
    class = c("scoria_error_argument", "scoria_error"),
    call = call
  )
}

# The counts, and the object that holds them -----------------------------------

# A dgCMatrix of genes x cells.
draw_simulated_counts <- function(design, seed, threads, verbose,
                                  call = rlang::caller_env()) {
  genes <- design$genes
  cells <- design$cells
  id <- NULL
  if (verbose) {
    id <- cli::cli_progress_bar("Simulating genes", total = nrow(genes))
  }
  tell <- function(done) {
    if (!is.null(id)) cli::cli_progress_update(set = done, id = id)
  }
  options <- list(
    size_factors = cells$Size_Factor,
    means = genes$true_mean,
    thetas = genes$true_theta,
    design = as.double(design$covariates),
    coefficients = as.double(design$coefficients),
    perturbation_offsets = design$membership@p,
    perturbed_cells = design$membership@i,
    effect_genes = design$effects$gene - 1L,
    effect_perturbations = design$effects$perturbation - 1L,
    effects = design$effects$estimate,
    seed = seed
  )
  slots <- rust_value(rust_simulate_counts(options, threads, tell), call = call)
  methods::new(
    "dgCMatrix",
    p = slots$p, i = slots$i, x = slots$x,
    Dim = c(nrow(genes), nrow(cells)),
    Dimnames = list(genes$gene_id, cells$cell)
  )
}

assemble_screen <- function(counts, design, settings) {
  cells <- design$cells
  genes <- design$genes
  perturbations <- design$perturbations
  altexps <- list()
  if (settings$moi == "high") {
    altexps$perturbations <- SingleCellExperiment::SingleCellExperiment(
      assays = list(membership = Matrix::t(design$membership)),
      rowData = data.frame(
        target = perturbations$gene_id,
        row.names = perturbations$perturbation
      )
    )
  }
  SingleCellExperiment::SingleCellExperiment(
    assays = list(counts = counts),
    rowData = data.frame(
      genes[c("gene_short_name", "true_mean", "true_theta")],
      row.names = genes$gene_id
    ),
    colData = data.frame(
      cells[setdiff(names(cells), "cell")],
      row.names = cells$cell
    ),
    altExps = altexps,
    metadata = list(
      truth = tibble::tibble(
        gene_id = genes$gene_id[design$effects$gene],
        perturbation =
          perturbations$perturbation[design$effects$perturbation],
        estimate = design$effects$estimate
      ),
      targets = tibble::as_tibble(perturbations),
      coefficients = tidy_coefficients(design),
      simulation = settings
    )
  )
}

# The coefficients of each gene by the names that model.matrix() gives them.
tidy_coefficients <- function(design) {
  genes <- design$genes
  slopes <- rbind("(Intercept)" = log(genes$true_mean), design$coefficients)
  tibble::tibble(
    gene_id = rep(genes$gene_id, each = nrow(slopes)),
    term = rep(rownames(slopes), times = ncol(slopes)),
    estimate = as.double(slopes)
  )
}
