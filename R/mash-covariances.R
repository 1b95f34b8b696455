#' Covariances of effects, for mash()
#'
#' @description
#' What effects in several conditions may look like: each gene's are drawn with one of these
#' covariances, times the square of a scale.
#'
#' * `cov_canonical()` lists simple ones;
#' * `cov_pca()` makes some of the data's principal components;
#' * `cov_ed()` refines these, or others, to what is left of them without the errors, by
#'   extreme deconvolution.
#'
#' @param data As in [mash()].
#' @param cov_methods Any of `"identity"` (effects in different conditions are independent),
#'   `"singletons"` (one for each condition: effects there alone), `"equal_effects"`,
#'   `"simple_het"` (effects are correlated: 0.25, 0.5 and 0.75) and `"null"` (no effects;
#'   not a default).
#' @param npc Number of principal components, from 2 to the number of conditions.
#' @param subset Row numbers of genes with strong effects, which these are to be like.
#'   Default `NULL`: all.
#' @param Ulist_init Covariances to start from.
#' @param algorithm `"bovy"`, extreme deconvolution.
#' @param ... Not used.
#' @param tol,maxiter It ends once the mean log-likelihood of a gene rises by less than
#'   `tol` (default 1e-6), or after `maxiter` steps.
#' @param threads,progress As in [ash()].
#'
#' @details
#' `cov_pca()` gives `PCA_1`, ..., one component each, and `tPCA`, all of them: of the
#' singular value decomposition U D V' of the estimates, not centred, V D^2 V' / n. Missing
#' estimates are taken for zero.
#'
#' The steps of `cov_ed()` are those of Bovy, Hogg and Roweis (2011), with means of zero. A
#' covariance of rank r stays one: the cost of a step does not grow with the number of
#' conditions. To the result 1 / sqrt(n) is added on the diagonal, n the number of genes, as
#' mashr does, so that no combination of conditions is without effects.
#'
#' @return A named list of matrices; with more than 100 conditions singletons are sparse,
#'   of the package Matrix.
#' @references Bovy, Hogg and Roweis (2011) *Annals of Applied Statistics* 5:1657.
#' @seealso [mash()]
#' @examples
#' Bhat <- matrix(rnorm(300), 100, dimnames = list(NULL, c("A", "B", "C")))
#' data <- list(Bhat = Bhat, Shat = array(0.5, dim(Bhat)))
#' names(cov_canonical(data))
#' cov_ed(data, cov_pca(data, 2))$ED_PCA_1
#' @export
cov_canonical <- function(data, cov_methods = c(
                            "identity", "singletons", "equal_effects", "simple_het"
                          )) {
  effects <- prepare_effects(data)
  r <- ncol(effects$Bhat)
  known <- c("identity", "singletons", "equal_effects", "simple_het", "null")
  unknown <- setdiff(cov_methods, known)
  if (length(unknown) > 0) {
    scoria_abort(
      "{.arg cov_methods} must be among {.val {known}}, not {.val {unknown}}.", "argument"
    )
  }
  het <- function(share) matrix(share, r, r) + diag(1 - share, r)
  make <- list(
    identity = function() list(identity = diag(r)),
    singletons = function() {
      names <- effects$conditions %||% paste0("singletons_", seq_len(r))
      stats::setNames(lapply(seq_len(r), function(i) {
        one <- sparseMatrix(i, i, x = 1, dims = c(r, r))
        if (r > many_conditions) one else as.matrix(one)
      }), names)
    },
    equal_effects = function() list(equal_effects = matrix(1, r, r)),
    simple_het = function() {
      stats::setNames(lapply(c(0.25, 0.5, 0.75), het), paste0("simple_het_", 1:3))
    },
    null = function() list(null = matrix(0, r, r))
  )
  do.call(c, unname(lapply(cov_methods, function(method) make[[method]]())))
}

#' @rdname cov_canonical
#' @export
cov_pca <- function(data, npc, subset = NULL) {
  effects <- prepare_effects(data)
  r <- ncol(effects$Bhat)
  subset <- check_rows(subset, "subset", nrow(effects$Bhat), caller_env()) %||%
    seq_len(nrow(effects$Bhat))
  most <- min(r, length(subset))
  if (!rlang::is_scalar_integerish(npc, finite = TRUE) || npc < 2 || npc > most) {
    scoria_abort(
      "{.arg npc} must be a whole number from 2 to {most}, the number of conditions or of
       genes, not {.val {npc}}.", "argument"
    )
  }
  found <- svd(effects$Bhat[subset, , drop = FALSE], nu = 0, nv = npc)
  named <- function(u) {
    dimnames(u) <- list(effects$conditions, effects$conditions)
    u
  }
  directions <- lapply(seq_len(npc), function(k) named(tcrossprod(found$v[, k])))
  scaled <- found$v %*% diag(found$d[seq_len(npc)], npc)
  c(
    stats::setNames(directions, paste0("PCA_", seq_len(npc))),
    list(tPCA = named(tcrossprod(scaled) / length(subset)))
  )
}

#' @rdname cov_canonical
#' @export
cov_ed <- function(data, Ulist_init, subset = NULL, algorithm = "bovy", ..., # nolint
                   tol = 1e-6, maxiter = 1e5, threads = NULL,
                   progress = rlang::is_interactive()) {
  check_no_dots(..., of = "cov_ed")
  first_choice(algorithm, "bovy")
  effects <- prepare_effects(data)
  n <- nrow(effects$Bhat)
  r <- ncol(effects$Bhat)
  subset <- check_rows(subset, "subset", n, caller_env()) %||% seq_len(n)
  ulist <- check_covariances(Ulist_init, r, "Ulist_init")
  found <- rust_value(rust_deconvolve(c(rust_effects(effects), list(
    Ulist = unname(lapply(ulist, rust_covariance)), rows = subset, tolerance = as.double(tol),
    iterations = as.double(maxiter), threads = resolve_threads(threads)
  )), progress_bar("Deconvolving", NA, progress)))
  names <- list(effects$conditions, effects$conditions)
  refined <- lapply(found$covariances, function(u) {
    matrix(u, r, dimnames = names) + diag(1 / sqrt(length(subset)), r)
  })
  stats::setNames(refined, paste0("ED_", names(ulist)))
}

# With more, singletons are sparse: dense ones would be as large as all effects of as many
# genes as there are conditions, each.
many_conditions <- 100

#' Estimate how errors are correlated
#'
#' @description
#' Perturbations that are compared with the same controls share their errors. The
#' correlation of z-scores of genes without any effect to speak of tells how much.
#'
#' @param data As in [mash()].
#' @param z_thresh Genes are used whose z-scores are all below this, without regard to sign.
#'   Default 2. Those with a missing estimate are not.
#' @param est_cor `TRUE`, the default, for a correlation matrix, or `FALSE` for a
#'   covariance matrix.
#' @return A matrix of conditions x conditions, for `V` of [mash()]'s `data`.
#' @section Errors:
#' `scoria_error_V` where fewer genes than conditions are left.
#' @seealso [mash()]
#' @examples
#' shared <- rnorm(200)
#' Bhat <- cbind(A = rnorm(200), B = rnorm(200), C = rnorm(200)) + shared
#' estimate_null_correlation_simple(list(Bhat = Bhat, Shat = array(sqrt(2), dim(Bhat))))
#' @export
estimate_null_correlation_simple <- function(data, z_thresh = 2, # nolint: object_length.
                                             est_cor = TRUE) {
  effects <- prepare_effects(data)
  z <- effects$Bhat / effects$Shat
  nullish <- rowSums(!(abs(z) < z_thresh) | is.infinite(effects$Shat)) == 0
  if (sum(nullish) < max(ncol(z), 2)) {
    scoria_abort(c(
      "There are not enough genes without effects to see how errors are correlated.",
      x = "{sum(nullish)} gene{?s} ha{?s/ve} all z-scores below {z_thresh}; {ncol(z)} are
           needed at least.",
      i = "Raise {.arg z_thresh}, or leave out conditions."
    ), c("V", "argument"))
  }
  covariance <- stats::cov(z[nullish, , drop = FALSE])
  if (est_cor) stats::cov2cor(covariance) else covariance
}

# What `covariances` of mash() asks for, as a named list of matrices.
make_covariances <- function(covariances, effects, threads, verbose, call = caller_env()) {
  asked <- as.list(covariances)
  is_word <- vapply(asked, is.character, NA)
  words <- unlist(asked[is_word])
  known <- c("canonical", "clusters", "pca", "ed", "data-driven")
  unknown <- setdiff(words, known)
  if (length(unknown) > 0) {
    scoria_abort(
      "{.arg covariances} must be among {.val {known}}, or a named list of matrices; not
       {.val {unknown}}.", c("covariances", "argument"), call
    )
  }
  given <- check_covariances(asked[!is_word], ncol(effects$Bhat), "covariances", call)
  driven <- intersect(words, c("pca", "ed", "data-driven"))
  if (is.null(effects$strong) && (length(driven) > 0 || "clusters" %in% words)) {
    effects$strong <- strong_rows(effects, threads, verbose)
  }
  c(
    if ("canonical" %in% words) cov_canonical(effects),
    if ("clusters" %in% words) cov_clusters(effects),
    if (length(driven) > 0) driven_covariances(driven, effects, threads, call),
    given
  )
}

driven_covariances <- function(words, effects, threads, call) {
  strong <- effects$strong
  npc <- min(5, ncol(effects$Bhat), length(strong))
  if (npc < 2) {
    scoria_abort(c(
      "Covariances can't be made of these data.",
      x = "{length(strong)} gene{?s} with strong effects, {ncol(effects$Bhat)}
           condition{?s}; two of each are needed.",
      i = "Use {.code covariances = \"canonical\"}."
    ), c("covariances", "argument"), call)
  }
  pca <- cov_pca(effects, npc, strong)
  c(
    if ("pca" %in% words) pca,
    if (any(c("ed", "data-driven") %in% words)) {
      cov_ed(effects, pca, strong, threads = threads, progress = FALSE)
    }
  )
}

# Genes with an effect that is significant by itself.
strong_rows <- function(effects, threads, verbose) {
  lfsr <- vapply(seq_len(ncol(effects$Bhat)), function(i) {
    b <- effects$Bhat[, i]
    s <- effects$Shat[, i]
    b[is.infinite(s)] <- NA
    ash(b, s, "normal", threads = threads, progress = FALSE)$result$lfsr
  }, numeric(nrow(effects$Bhat)))
  strong <- which(apply(matrix(lfsr, nrow(effects$Bhat)), 1, min) < 0.05)
  if (verbose) {
    cli::cli_inform(
      "Covariances are made of {length(strong)} gene{?s} with an effect that is significant
       by itself (lfsr < 0.05)."
    )
  }
  strong
}

check_covariances <- function(ulist, r, arg, call = caller_env()) {
  if (length(ulist) == 0) {
    return(list())
  }
  if (!is.list(ulist) || is.null(names(ulist)) || any(names(ulist) == "")) {
    scoria_abort(
      "{.arg {arg}} must be a named list of matrices.", c("covariances", "argument"), call
    )
  }
  for (name in names(ulist)) {
    if (!inherits(ulist[[name]], "sparseMatrix")) {
      check_covariance(ulist[[name]], name, r, arg, call)
    }
  }
  ulist
}

check_covariance <- function(u, name, r, arg, call) {
  if (!is.numeric(u) || !identical(dim(u), c(r, r)) || !all(is.finite(u))) {
    scoria_abort(
      "{.val {name}} of {.arg {arg}} must be a matrix of {r} x {r} finite numbers.",
      c("covariances", "argument"), call
    )
  }
  values <- eigen((u + t(u)) / 2, symmetric = TRUE, only.values = TRUE)$values
  if (!isSymmetric(unname(u)) || min(values) < -1e-7 * max(abs(values))) {
    scoria_abort(
      "{.val {name}} of {.arg {arg}} must be symmetric, without negative eigenvalues.",
      c("covariances", "argument"), call
    )
  }
}
