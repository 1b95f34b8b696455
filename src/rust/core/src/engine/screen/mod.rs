//! Every gene against every perturbation: joint maximum-likelihood fits of
//!
//! log mu_i = offset_i + x_i' b + a_i c,    a_i = 1 in perturbed cells, else 0,
//!
//! at a cost per pair that grows with the perturbed cells only. The likelihood of
//! the reference cells is a function of b, the same for all perturbations: it is
//! looked at once a gene and expanded about its optimum (`expansion`), and of a
//! pair only the perturbed cells are looked at (`members`). Newton's method on
//! both together (`ascent`) ends at the joint optimum, to a certified distance;
//! what has no such optimum is fitted with its model written out (`joint`).

mod options;
mod rows;
mod comparison;
mod cholesky;
mod expansion;
mod members;
mod calibrate;
mod resampling;
mod ascent;
mod p_value;
mod pair;
mod two_groups;
mod joint;
mod gene;
pub(super) mod profile;

pub use calibrate::{BinnedResiduals, Population, Scratch, Tails, fit_membership};
pub use comparison::{Comparison, Strata};
pub use options::{Dispersion, Family, Options, Reference, Resampling, StdErr, Test};

use crate::engine::dispersion::estimate_dispersions;
use crate::result::{GeneColumns, PairColumns, ScreenBlock, ScreenSink};
use crate::source::{CountKind, Selected, Source, Watched, capacity, check_counts, gene_blocks};
use crate::{Error, Monitor, Result};
use gene::{GeneFitter, GeneRow, Room, fit_row};
use pair::PairFit;
use rayon::prelude::*;
use resampling::Resampler;

/// Results that are handed on at a time, at most; and genes, for each thread. What
/// is not handed on is lost where a fit is ended.
const PAIRS: usize = 1 << 20;
const GENES: usize = 16;

/// Which pairs are fitted.
#[derive(Clone, Copy, Debug)]
pub enum Pairs<'a> {
    All,
    /// Of gene g the perturbations `perturbations[offsets[g]..offsets[g + 1]]`.
    Some {
        offsets: &'a [usize],
        perturbations: &'a [u32],
    },
}

impl Pairs<'_> {
    fn of(self, gene: usize, all: usize) -> impl Iterator<Item = usize> {
        let (some, all) = match self {
            Pairs::All => (&[][..], 0..all),
            Pairs::Some { offsets, perturbations } => {
                (&perturbations[offsets[gene]..offsets[gene + 1]], 0..0)
            }
        };
        all.chain(some.iter().map(|&k| k as usize))
    }
}

/// Fits every pair, with the threads of the current pool ([`crate::pool`]), and
/// hands the results on in the order of the genes. They depend neither on the
/// number of threads nor on where a sink goes on. The monitor counts each gene
/// once, and with [`Dispersion::Trend`] three times.
///
/// Beside what the caller holds, memory is that of the rows of the perturbed
/// cells (8 bytes times 1 + rank of the design, a perturbed cell and
/// perturbation), of a block of counts (192 MB, or what the memory limit leaves), of 24 bytes a cell and thread, and of the results in memory.
///
/// # Errors
/// Where the memory limit is too low, the matrix does not have the comparison's cells, a count is not what the
/// family can be given, the pairs do not fit the genes, the sink fails, or the
/// monitor is cancelled.
pub fn fit_screen(
    counts: &dyn Source,
    comparison: &Comparison<'_>,
    pairs: Pairs<'_>,
    options: &Options,
    monitor: &Monitor,
    sink: &mut dyn ScreenSink,
) -> Result<()> {
    let (cells, all) = (comparison.cells(), comparison.perturbations().len());
    if counts.cells() != cells {
        return Err(Error::Shape { what: "cells", found: counts.cells(), expected: cells });
    }
    check_pairs(pairs, counts.genes(), all)?;
    let kind = match options.family {
        Family::QuasiPoisson => CountKind::NonNegative,
        _ => CountKind::Whole,
    };
    let counts = &Watched::new(counts, monitor);
    check_counts(counts, kind)?;
    let fitted = match pairs {
        Pairs::All => counts.genes() * all,
        Pairs::Some { perturbations, .. } => perturbations.len(),
    };
    let fixed = fixed_bytes(comparison, sink.bytes(fitted));
    let capacity = capacity(fixed, options.memory_limit)?;
    let alphas = match (options.family, options.dispersion) {
        (Family::NegativeBinomial, Dispersion::Trend) => {
            trend(counts, comparison, options.memory_limit, monitor)?
        }
        _ => vec![f64::NAN; counts.genes()],
    };
    let resampler = match options.test {
        Test::Calibrated => Some(Resampler::new(comparison, options, monitor)?),
        _ => None,
    };
    let fitter = GeneFitter { comparison, options, resampler, monitor };
    let done = sink.genes_done();
    for block in gene_blocks(counts, capacity)? {
        let block = block?;
        let genes: Vec<usize> = block.genes().filter(|&gene| gene >= done).collect();
        let per_gene = |gene: &usize| pairs.of(*gene, all).count().max(1);
        let most = PAIRS / genes.iter().map(per_gene).max().unwrap_or(1);
        let share = most.clamp(1, GENES * rayon::current_num_threads());
        for genes in genes.chunks(share) {
            let fit = |room: &mut Room, &gene: &usize| {
                let (counts, pairs) = (block.gene(gene), pairs.of(gene, all));
                let alpha = Some(alphas[gene]).filter(|alpha| alpha.is_finite());
                let row = fit_row(&fitter, counts, pairs, alpha, room)?;
                monitor.tick()?;
                Ok(row)
            };
            let parallel = genes.into_par_iter().with_max_len(1);
            let rows: Result<Vec<GeneRow>> = parallel.map_init(|| Room::new(cells), fit).collect();
            sink.append(as_block(&rows?, options))?;
        }
    }
    Ok(())
}

/// Each gene's dispersion in the reference cells, shrunken to a trend; not a number
/// where there is none.
fn trend(
    counts: &dyn Source,
    comparison: &Comparison<'_>,
    memory_limit: Option<usize>,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let base = comparison.base();
    let table = match comparison.reference_cells() {
        None => estimate_dispersions(counts, base, memory_limit, monitor)?,
        Some(cells) => {
            let selected = Selected::new(counts, None, Some(cells))?;
            estimate_dispersions(&selected, base, memory_limit, monitor)?
        }
    };
    Ok(table.dispersion)
}

/// What is held whatever the size of a block of counts: the perturbed cells' rows
/// of the design, each thread's counts of a gene in all cells, the results of a
/// block, and what the sink holds.
fn fixed_bytes(comparison: &Comparison<'_>, held_by_sink: usize) -> usize {
    /// Of a pair: as it is fitted, and in columns.
    const PAIR_BYTES: usize = 128;
    let a_thread = 24 * comparison.cells();
    comparison.bytes() + rayon::current_num_threads() * a_thread + PAIRS * PAIR_BYTES + held_by_sink
}

fn check_pairs(pairs: Pairs<'_>, genes: usize, all: usize) -> Result<()> {
    let Pairs::Some { offsets, perturbations } = pairs else { return Ok(()) };
    if offsets.len() != genes + 1 {
        let found = offsets.len().saturating_sub(1);
        return Err(Error::Shape { what: "genes of the pairs", found, expected: genes });
    }
    let covered = offsets[0] == 0 && offsets[genes] == perturbations.len();
    if !covered || offsets.windows(2).any(|w| w[0] > w[1]) {
        return Err(Error::Sparse("the offsets do not divide the pairs"));
    }
    match perturbations.iter().any(|&k| k as usize >= all) {
        true => Err(Error::Sparse("a pair's perturbation is out of range")),
        false => Ok(()),
    }
}

fn as_block(rows: &[GeneRow], options: &Options) -> ScreenBlock {
    let narrow = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
    let genes = GeneColumns {
        status: rows.iter().map(|row| row.status as u8).collect(),
        mean: rows.iter().map(|row| row.mean).collect(),
        theta: rows.iter().map(|row| row.theta).collect(),
        dispersion: rows.iter().map(|row| row.dispersion).collect(),
        log_likelihood: rows.iter().map(|row| row.log_likelihood).collect(),
        iterations: rows.iter().map(|row| narrow(row.iterations)).collect(),
    };
    let column = |of: fn(&PairFit) -> f64| -> Vec<f64> {
        rows.iter().flat_map(|row| row.pairs.iter().map(of)).collect()
    };
    let fits = || rows.iter().flat_map(|row| &row.pairs);
    let pairs = PairColumns {
        estimate: column(|fit| fit.estimate),
        std_err: column(|fit| fit.std_err),
        statistic: column(|fit| fit.statistic),
        p_value: column(|fit| fit.p_value),
        theta: match options.dispersion {
            Dispersion::Pair => column(|fit| fit.theta),
            _ => vec![],
        },
        error_bound: fits().map(|fit| fit.error_bound as f32).collect(),
        status: fits().map(|fit| fit.status as u8).collect(),
        passes: fits().map(|fit| narrow(fit.passes)).collect(),
        refreshes: fits().map(|fit| narrow(fit.refreshes)).collect(),
    };
    ScreenBlock { genes, pairs }
}
