//! Zero-inflated counts: a cell's count is zero with a probability of its own, a
//! structural zero, and else Poisson or negative binomial.
//!
//! P(y) = pi [y = 0] + (1 - pi) f(y; mu), log mu = X b + offset, logit pi = Z g
//! (Lambert 1992, Technometrics 34:1; the definitions of `zeroinfl()` in R's pscl,
//! Zeileis, Kleiber and Jackman 2008, Journal of Statistical Software 27(8)).
//!
//! The likelihood may have several optima, saddles between them, and its supremum at
//! infinity. `pass` looks at it; `ascent` climbs; `search` goes on in the limit where
//! there is no optimum (`parts`); `starts`, `variants` and `planes` search from several
//! places and take the highest (`best`); `report` turns that into estimates.

mod pass;
mod parts;
mod likelihood;
mod solve;
mod ascent;
mod search;
mod best;
mod starts;
mod variants;
mod planes;
mod report;
mod gene;

pub use gene::{Options, Rooms, Status, ZeroInflatedFit, fit_zero_inflated_gene};
pub use likelihood::Distribution;
pub use parts::Model;

use crate::design::Design;
use crate::result::ZeroInflatedTable;
use crate::source::{CountKind, Source, Watched, capacity, check_counts, gene_blocks};
use crate::{Error, Monitor, Result};
use rayon::prelude::*;

/// Fits every gene of a genes x cells matrix, with the threads of the current pool
/// ([`crate::pool`]). The result does not depend on their number.
///
/// # Errors
/// Where the matrix does not have the designs' cells, a count is not a whole number, a
/// shape leaves no degree of freedom, the memory limit (bytes, of the designs, the
/// results and a block of counts) is too low, or the monitor is cancelled.
///
/// # Example
/// ```
/// use scoria_core::{Monitor, design::Design, source::Csc};
/// use scoria_core::engine::zero_inflated::{Distribution, Options, fit_zero_inflated_genes};
///
/// // Half the zeros of this gene are more than a Poisson distribution explains.
/// let counts = Csc::new(1, &[0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6], &[0; 6], &[2.0; 6])?;
/// let design = Design::new(&[1.0; 10], &[0.0; 10])?;
/// let options = Options { distribution: Distribution::Poisson, max_iterations: 100 };
/// let fit = fit_zero_inflated_genes(&counts, &design, &design, &options, None, &Monitor::new())?;
/// // The mean of a Poisson distribution without its zeros is that of the counts.
/// let mean = fit.coefficients[0].exp();
/// assert!((mean / (1.0 - (-mean).exp()) - 2.0).abs() < 1e-8);
/// # Ok::<(), scoria_core::Error>(())
/// ```
pub fn fit_zero_inflated_genes(
    counts: &dyn Source,
    count: &Design,
    zero: &Design,
    options: &Options,
    memory_limit: Option<usize>,
    monitor: &Monitor,
) -> Result<ZeroInflatedTable> {
    let cells = count.cells();
    for found in [counts.cells(), zero.cells()] {
        if found != cells {
            return Err(Error::Shape { what: "cells", found, expected: cells });
        }
    }
    let parameters = count.rank() + zero.rank();
    if cells <= parameters {
        let what = "cells (more than coefficients of both parts are needed)";
        return Err(Error::Shape { what, found: cells, expected: parameters + 1 });
    }
    let genes = counts.genes();
    let mut table = ZeroInflatedTable::with_capacity(parameters, genes);
    // Limits are fitted with designs of their own.
    let designs = count.bytes() + zero.bytes();
    let fixed = designs * (1 + rayon::current_num_threads());
    let capacity = capacity(fixed + ZeroInflatedTable::bytes(parameters, genes), memory_limit)?;
    let counts = &Watched::new(counts, monitor);
    check_counts(counts, CountKind::Whole)?;
    let model = Model::new(count, zero);
    for block in gene_blocks(counts, capacity)? {
        let block = block?;
        let fit = |rooms: &mut Rooms, gene: usize| {
            let fit = fit_zero_inflated_gene(block.gene(gene), &model, options, rooms, monitor)?;
            monitor.tick()?;
            Ok(fit)
        };
        let genes = block.genes().into_par_iter().with_max_len(1);
        let fits: Result<Vec<ZeroInflatedFit>> = genes.map_init(Rooms::default, fit).collect();
        fits?.iter().for_each(|fit| table.push(fit));
    }
    Ok(table)
}
