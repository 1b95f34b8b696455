//! Generalised linear mixed models of every gene: negative binomial counts, whose
//! logarithm of the mean has random effects.
//!
//! The Laplace approximation of the log-likelihood (`criterion`) is lme4's for
//! `nAGQ = 0`: fixed and random effects are at their joint mode (`mode`), variances and
//! shape at its optimum (`search`). A look at it is a few passes over the cells
//! (`pass`), each with a sparse factorisation (`cholesky`) in the blocks of Z'WZ
//! (`blocks`) whose pattern all genes share; its derivatives are exact, at the price of
//! one lighter pass more (`leverage`).

mod effects;
mod blocks;
mod cholesky;
mod lambda;
mod pass;
mod system;
mod mode;
mod leverage;
mod criterion;
mod search;
mod gene;

pub use effects::{Effects, Term};
pub use gene::{MixedFit, fit_mixed_gene};

use crate::design::Design;
use crate::engine::glm::Workspace;
use crate::result::MixedTable;
use crate::source::{CountKind, Source, Watched, capacity, check_counts, gene_blocks};
use crate::{Error, Monitor, Result};
use rayon::prelude::*;

/// How many passes over the cells a mode may take; a search, five times as many modes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub max_iterations: usize,
}

/// Fits every gene of a genes x cells matrix, with the threads of the current pool
/// ([`crate::pool`]). The result does not depend on their number.
///
/// # Errors
/// Where the matrix or the random effects do not have the design's cells, a count is no
/// whole number, there are no more cells than coefficients, the memory limit (bytes, of
/// the design, the effects, the results and a block of counts) is too low, or the
/// monitor is cancelled.
pub fn fit_mixed_genes(
    counts: &dyn Source,
    design: &Design,
    effects: &Effects,
    options: &Options,
    memory_limit: Option<usize>,
    monitor: &Monitor,
) -> Result<MixedTable> {
    let (cells, rank) = (design.cells(), design.rank());
    for (what, found) in [("cells", counts.cells()), ("cells of random effects", effects.cells())] {
        if found != cells {
            return Err(Error::Shape { what, found, expected: cells });
        }
    }
    if cells <= rank {
        let what = "cells (more than columns of the design are needed)";
        return Err(Error::Shape { what, found: cells, expected: rank + 1 });
    }
    let parameters = effects.parameters();
    let mut table = MixedTable::with_capacity(rank, parameters, counts.genes());
    let fixed = design.bytes() + effects.bytes(rank);
    let results = MixedTable::bytes(rank, parameters, counts.genes());
    let capacity = capacity(fixed + results, memory_limit)?;
    let counts = &Watched::new(counts, monitor);
    check_counts(counts, CountKind::Whole)?;
    for block in gene_blocks(counts, capacity)? {
        let block = block?;
        let fit = |workspace: &mut Workspace, gene: usize| {
            let counts = block.gene(gene);
            let most = options.max_iterations;
            let fit = fit_mixed_gene(counts, design, effects, most, workspace, monitor)?;
            monitor.tick()?;
            Ok(fit)
        };
        let genes = block.genes().into_par_iter().with_max_len(1);
        let fits: Result<Vec<MixedFit>> = genes.map_init(Workspace::new, fit).collect();
        fits?.iter().for_each(|fit| table.push(fit));
    }
    Ok(table)
}
