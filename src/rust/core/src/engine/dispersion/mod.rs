//! Dispersions alpha = 1 / theta of the negative binomial, gene by gene and
//! shrunken to a trend over the mean, as DESeq2 estimates them (Love, Huber and
//! Anders 2014, Genome Biology 15:550):
//!
//! 1. `profile`: each gene's own estimate, the maximum of the Cox-Reid adjusted
//!    profile likelihood ([`gene_wise`]);
//! 2. `trend`: alpha(mean) = a0 + a1 / mean, fitted to them ([`fit_trend`]);
//! 3. `spread`: how far genes scatter about it ([`Spread`]);
//! 4. `profile` again, with a normal prior on log(alpha) about the trend
//!    ([`map`]).
//!
//! Unlike DESeq2, which fits means once, coefficients are those of each alpha
//! (as in glmGamPoi: Ahlmann-Eltze and Huber 2020, Bioinformatics 36:5701), no
//! mean is raised to 0.5, and searches end at the optimum. A gene keeps its own
//! dispersion only if its likelihood, too, tells it from the trend: that of a few
//! counts in thousands of cells may be largest at any dispersion, and says nothing.

mod profile;
mod trend;
mod local;
mod spread;

use profile::MOST_PASSES;
pub use profile::{Prior, gene_wise, map};
pub use spread::Spread;
pub use trend::{Trend, fit_trend};

use crate::design::Design;
use crate::engine::glm::{self, GeneFit, Workspace, fit_gene_at};
use crate::result::DispersionTable;
use crate::source::{CountKind, GeneCounts, Source, Watched, capacity, check_counts, gene_blocks};
use crate::{Error, Monitor, Result};

/// Gene-wise dispersions below this tell nothing of the trend, nor of the spread
/// about it: the gene is as good as Poisson.
pub const NEGLIGIBLE: f64 = 1e-6;

/// The dispersions of every gene of a genes x cells matrix, with the threads of
/// the current pool. The result does not depend on their number. The monitor
/// counts each gene twice.
///
/// # Errors
/// Where the matrix does not have the design's cells, a count is not a whole
/// number, no degree of freedom is left, no gene has a dispersion to fit a trend
/// to, the memory limit (bytes, of the design and a block of counts) is too low, or the
/// monitor is cancelled.
pub fn estimate_dispersions(
    counts: &dyn Source,
    design: &Design,
    memory_limit: Option<usize>,
    monitor: &Monitor,
) -> Result<DispersionTable> {
    let (cells, rank) = (design.cells(), design.rank());
    if counts.cells() != cells {
        return Err(Error::Shape { what: "cells", found: counts.cells(), expected: cells });
    }
    if cells <= rank {
        let what = "cells (more than columns of the design are needed)";
        return Err(Error::Shape { what, found: cells, expected: rank + 1 });
    }
    let capacity = capacity(design.bytes(), memory_limit)?;
    let counts = &Watched::new(counts, monitor);
    check_counts(counts, CountKind::Whole)?;
    let own = each_gene(counts, capacity, monitor, |_, gene, workspace| {
        let fit = gene_wise(gene, design, workspace, monitor)?;
        Ok((base_mean(gene, design), fit))
    })?;
    let (means, own): (Vec<f64>, Vec<GeneFit>) = own.into_iter().unzip();
    let alphas: Vec<f64> = own.iter().map(|fit| 1.0 / fit.theta).collect();
    let trend = fit_trend(&means, &alphas)?;
    let spread = Spread::about(&trend, &means, &alphas, cells - rank);

    let fits = each_gene(counts, capacity, monitor, |gene, counts, workspace| {
        let prior = Prior { alpha: trend.at(means[gene]), variance: spread.prior_variance };
        let own = &own[gene];
        let outlier = spread.is_far(alphas[gene], prior.alpha)
            && loss_at(prior.alpha, counts, design, own, workspace, monitor)?
                > spread::OUTLYING_LOSS;
        let fit = match outlier {
            true => own.clone(),
            false => map(counts, design, &prior, own, workspace, monitor)?,
        };
        Ok((fit, outlier))
    })?;
    let (fits, outliers): (Vec<GeneFit>, Vec<bool>) = fits.into_iter().unzip();
    let at_trend = |&mean: &f64| if mean > 0.0 { trend.at(mean) } else { f64::NAN };
    let trends: Vec<f64> = means.iter().map(at_trend).collect();
    Ok(DispersionTable {
        outlier: outliers,
        status: fits.iter().map(|fit| fit.status).collect(),
        dispersion: fits.iter().map(|fit| 1.0 / fit.theta).collect(),
        mean: means,
        gene_wise: alphas,
        trend: trends,
        fitted_trend: trend,
        spread,
    })
}

/// By how much a gene's log-likelihood is lower at `alpha` than at its own
/// dispersion. Without the adjustment: that grows with alpha, and where there are
/// hardly more counts than coefficients, faster than the likelihood falls.
fn loss_at(
    alpha: f64,
    counts: GeneCounts<'_>,
    design: &Design,
    own: &GeneFit,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<f64> {
    let there = fit_gene_at(counts, design, alpha, MOST_PASSES, workspace, monitor)?;
    Ok(own.log_likelihood - there.log_likelihood)
}

/// Mean over cells of the counts divided by exp(offset), as a rule the size
/// factors: what the trend is over.
pub fn base_mean(counts: GeneCounts<'_>, design: &Design) -> f64 {
    let cells = counts.cells.iter().zip(counts.counts);
    let scaled = cells.map(|(&cell, y)| y / design.blocks().offset(cell as usize).exp());
    scaled.sum::<f64>() / design.cells() as f64
}

fn each_gene<T: Send>(
    counts: &dyn Source,
    capacity: usize,
    monitor: &Monitor,
    estimate: impl Fn(usize, GeneCounts<'_>, &mut Workspace) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut all = Vec::with_capacity(counts.genes());
    for block in gene_blocks(counts, capacity)? {
        let block = block?;
        let one = |workspace: &mut Workspace, gene: usize| {
            let estimated = estimate(gene, block.gene(gene), workspace)?;
            monitor.tick()?;
            Ok(estimated)
        };
        all.extend(glm::each_gene(block.genes(), counts.cells(), one)?);
    }
    Ok(all)
}
