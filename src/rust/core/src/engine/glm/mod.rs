//! Maximum likelihood for every gene: one model, many responses.
//!
//! The negative binomial's coefficients and shape are climbed together. Each
//! look at the likelihood is one pass over the cells, whose cost does not
//! depend on the counts but for a few operations on those that are not zero
//! (`pass`); Newton's equations are solved in an orthogonal basis of the design
//! (`solve`); `ascent` decides on steps, `gene` on what is fitted and reported.

mod family;
mod pass;
mod pearson;
mod gaussian;
mod solve;
mod ascent;
mod start;
mod separation;
mod laid;
mod likelihood;
mod negative_binomial;
mod limit;
mod cox_reid;
mod null;
mod mark;
mod saturated;
mod job;
mod gene;
mod each_gene;

pub use family::{Cells, Family, NegativeBinomial};
pub use gene::{GeneFit, Options, Status, fit_gene, fit_gene_at};
pub use pass::{Curvature, Pass, Response, Sums, Workspace};
pub use separation::Estimate;

// What estimates of dispersions are made of.
pub(crate) use ascent::{End, Objective, Point, Summit, View};
pub(crate) use cox_reid::{CoxReid, adjustment};
pub(crate) use each_gene::each_gene;
pub(crate) use family::Poisson;
pub(crate) use job::{Climbed, Detour, Job};
pub(crate) use likelihood::{Model, shape_derivatives};
pub(crate) use negative_binomial::{
    ALPHAS, LARGEST, SMALL, VANISHING, at_limit, moment_alpha, report,
};

// What models of two parts are made of.
pub(crate) use separation::{Limit, all_down, can_leave, estimable, estimates_towards};
pub(crate) use separation::{of_unsupported_columns, suggested, two_sided};
// What mixed models are made of.
pub(crate) use likelihood::derivatives;
pub(crate) use pass::Desk;
pub(crate) use solve::{eigen, inner, inverse, solve};

use crate::design::Design;
use crate::result::GlmTable;
use crate::source::{Source, Watched, capacity, check_counts, gene_blocks};
use crate::{Error, Monitor, Result};

/// Fits every gene of a genes x cells matrix, with the threads of the current
/// pool ([`crate::pool`]). The result does not depend on their number.
///
/// # Errors
/// Where the matrix does not have the design's cells, a count is not what the
/// family can be given, a shape leaves no degree of freedom, the memory limit (bytes, of
/// the design, the results and a block of counts) is too low, or the monitor is cancelled.
///
/// # Example
/// ```
/// use scoria_core::{Monitor, design::Design, source::Csc};
/// use scoria_core::engine::glm::{Family, Options, fit_genes};
///
/// // One gene in four cells, two of them treated: counts 1, 3 and 4, 8.
/// let counts = Csc::new(1, &[0, 1, 2, 3, 4], &[0; 4], &[1.0, 3.0, 4.0, 8.0])?;
/// let design = Design::new(&[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0], &[0.0; 4])?;
/// let options = Options { family: Family::Poisson, max_iterations: 100 };
/// let fit = fit_genes(&counts, &design, &options, None, &Monitor::new())?;
/// assert!((fit.coefficients[1] - (6.0f64 / 2.0).ln()).abs() < 1e-8);
/// # Ok::<(), scoria_core::Error>(())
/// ```
pub fn fit_genes(
    counts: &dyn Source,
    design: &Design,
    options: &Options,
    memory_limit: Option<usize>,
    monitor: &Monitor,
) -> Result<GlmTable> {
    let (cells, rank) = (design.cells(), design.rank());
    if counts.cells() != cells {
        return Err(Error::Shape { what: "cells", found: counts.cells(), expected: cells });
    }
    if cells <= rank {
        let what = "cells (more than columns of the design are needed)";
        return Err(Error::Shape { what, found: cells, expected: rank + 1 });
    }
    let mut table = GlmTable::with_capacity(rank, counts.genes());
    let capacity = capacity(design.bytes() + GlmTable::bytes(rank, counts.genes()), memory_limit)?;
    let counts = &Watched::new(counts, monitor);
    check_counts(counts, options.family.counts())?;
    for block in gene_blocks(counts, capacity)? {
        let block = block?;
        let fit = |workspace: &mut Workspace, gene: usize| {
            let fit = fit_gene(block.gene(gene), design, options, workspace, monitor)?;
            monitor.tick()?;
            Ok(fit)
        };
        each_gene(block.genes(), cells, fit)?.iter().for_each(|fit| table.push(fit));
    }
    Ok(table)
}
