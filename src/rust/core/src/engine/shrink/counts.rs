//! Posteriors from the likelihood of the counts: every pair's model is the screen's,
//! with the perturbation's effect under the prior.

use super::profile_posterior::profile_posterior;
use super::{Centre, Prior, Shrunken};
use crate::engine::glm::{self, Status, Workspace, fit_gene};
use crate::engine::screen::Comparison;
use crate::engine::screen::profile::{AscentRoom, GeneProfile};
use crate::source::{CountKind, GeneCounts, Source, Watched, capacity, check_counts, gene_blocks};
use crate::{Error, Monitor, Result};
use rayon::prelude::*;

/// Pairs to shrink, gene by gene.
#[derive(Clone, Copy, Debug)]
pub struct CountPairs<'a> {
    /// Of gene g the pairs `offsets[g]..offsets[g + 1]`.
    pub offsets: &'a [usize],
    pub perturbations: &'a [u32],
    /// Each pair's estimate without a prior: where its likelihood is highest.
    pub estimates: &'a [f64],
    /// variance = mu + mu² / theta, infinite for Poisson counts. Where it is not a
    /// number, as of reference cells without a count, it is the pair's own, by
    /// maximum likelihood.
    pub thetas: &'a [f64],
    /// Each gene's mean count in the reference cells when the estimates were made, to
    /// tell other data; not a number for genes without pairs.
    pub means: &'a [f64],
}

#[derive(Clone, Copy, Debug)]
pub struct CountOptions<'a> {
    /// One a perturbation.
    pub priors: &'a [Prior],
    pub centre: Centre,
    /// Bytes that may be held beside the caller's own.
    pub memory_limit: Option<usize>,
}

/// Shrinks each pair, with the threads of the current pool. The result does not
/// depend on their number. The monitor counts each gene once. Pairs without an
/// effect that can be told from the covariates', or whose perturbed cells tell
/// covariates apart that reference cells do not, have none.
///
/// # Errors
/// Where the matrix does not have the comparison's cells, a count is not a whole
/// number, a gene's mean is another, lengths disagree, the memory limit is too low, or the monitor is
/// cancelled.
pub fn shrink_counts(
    counts: &dyn Source,
    comparison: &Comparison<'_>,
    pairs: CountPairs<'_>,
    options: &CountOptions<'_>,
    monitor: &Monitor,
) -> Result<Shrunken> {
    let cells = comparison.cells();
    if counts.cells() != cells {
        return Err(Error::Shape { what: "cells", found: counts.cells(), expected: cells });
    }
    check_pairs(&pairs, counts.genes(), comparison, options)?;
    let counts = &Watched::new(counts, monitor);
    check_counts(counts, CountKind::Whole)?;
    let threads = rayon::current_num_threads();
    let fixed = comparison.bytes() + threads * 24 * cells + 24 * pairs.perturbations.len();
    let refit = Refit { comparison, pairs, options, monitor };
    let mut shrunken = Shrunken::default();
    for block in gene_blocks(counts, capacity(fixed, options.memory_limit)?)? {
        let block = block?;
        let one = |room: &mut Room, gene: usize| {
            let rows = refit.gene(gene, block.gene(gene), room)?;
            monitor.tick()?;
            Ok(rows)
        };
        let genes = block.genes().into_par_iter().with_max_len(1);
        let rows: Result<Vec<Vec<[f64; 3]>>> = genes.map_init(|| Room::new(cells), one).collect();
        shrunken.extend(rows?.into_iter().flatten());
    }
    Ok(shrunken)
}

fn check_pairs(
    pairs: &CountPairs<'_>,
    genes: usize,
    comparison: &Comparison<'_>,
    options: &CountOptions<'_>,
) -> Result<()> {
    let CountPairs { offsets, perturbations, estimates, thetas, means } = *pairs;
    let n = perturbations.len();
    let all = comparison.perturbations().len();
    for (what, found, expected) in [
        ("genes of the pairs", offsets.len().saturating_sub(1), genes),
        ("estimates", estimates.len(), n),
        ("thetas", thetas.len(), n),
        ("means", means.len(), genes),
        ("priors", options.priors.len(), all),
    ] {
        if found != expected {
            return Err(Error::Shape { what, found, expected });
        }
    }
    let covered = offsets.first() == Some(&0) && offsets.last() == Some(&n);
    if !covered || offsets.windows(2).any(|w| w[0] > w[1]) {
        return Err(Error::Sparse("the offsets do not divide the pairs"));
    }
    match perturbations.iter().any(|&k| k as usize >= all) {
        true => Err(Error::Sparse("a pair's perturbation is out of range")),
        false => Ok(()),
    }
}

/// By so much, relatively, sums of the same counts may differ.
const ROUNDING: f64 = 1e-9;

/// What a thread writes on.
struct Room {
    ascent: AscentRoom,
    glm: Workspace,
    reference: (Vec<u32>, Vec<f64>),
    dense: Vec<f64>,
    inside: Vec<f64>,
    outside: Vec<f64>,
}

impl Room {
    fn new(cells: usize) -> Self {
        Self {
            ascent: AscentRoom::default(),
            glm: Workspace::new(),
            reference: Default::default(),
            dense: vec![0.0; cells],
            inside: vec![],
            outside: vec![],
        }
    }
}

struct Refit<'a> {
    comparison: &'a Comparison<'a>,
    pairs: CountPairs<'a>,
    options: &'a CountOptions<'a>,
    monitor: &'a Monitor,
}

impl Refit<'_> {
    fn gene(&self, gene: usize, counts: GeneCounts<'_>, room: &mut Room) -> Result<Vec<[f64; 3]>> {
        const NONE: [f64; 3] = [f64::NAN; 3];
        let Room { ascent, glm, reference, dense, inside, outside } = room;
        let range = self.pairs.offsets[gene]..self.pairs.offsets[gene + 1];
        let reference = self.comparison.reference_counts(counts, reference);
        self.check_mean(gene, reference.total())?;
        counts.cells.iter().zip(counts.counts).for_each(|(&cell, &y)| dense[cell as usize] = y);
        let mut profile: Option<GeneProfile<'_>> = None;
        let mut rows = vec![];
        for pair in range {
            self.monitor.check()?;
            let k = self.pairs.perturbations[pair] as usize;
            let prior = self.options.priors[k];
            let alpha = self.alpha(pair, counts, glm)?;
            if !(alpha >= 0.0 && alpha.is_finite() && prior.scale() > 0.0) {
                rows.push(NONE);
                continue;
            }
            if profile.as_ref().is_none_or(|profile| profile.alpha() != alpha) {
                profile = GeneProfile::new(self.comparison, reference, alpha);
            }
            let members = &self.comparison.perturbations()[k];
            members.inside.pick(dense, inside);
            members.outside.pick(dense, outside);
            let own = profile.as_ref().and_then(|gene| gene.pair(k, inside, outside, ascent));
            let estimate = self.pairs.estimates[pair];
            let start = if estimate.is_finite() { estimate } else { 0.0 };
            let found = own.and_then(|mut own| profile_posterior(|c| own.at(c), start, prior));
            rows.push(found.map_or(NONE, |posterior| posterior.summary(self.options.centre)));
        }
        counts.cells.iter().for_each(|&cell| dense[cell as usize] = 0.0);
        Ok(rows)
    }

    fn check_mean(&self, gene: usize, total: f64) -> Result<()> {
        let mean = total / self.comparison.base().cells() as f64;
        let expected = self.pairs.means[gene];
        match (mean - expected).abs() > ROUNDING * expected {
            true => Err(Error::OtherData { gene: gene + 1, mean, expected }),
            false => Ok(()),
        }
    }

    fn alpha(&self, pair: usize, counts: GeneCounts<'_>, glm: &mut Workspace) -> Result<f64> {
        let theta = self.pairs.thetas[pair];
        if !theta.is_nan() {
            return Ok(1.0 / theta);
        }
        let k = self.pairs.perturbations[pair] as usize;
        let joint = self.comparison.joint(k, counts, true)?;
        let options = glm::Options { family: glm::Family::NegativeBinomial, max_iterations: 100 };
        let fit = fit_gene(joint.counts(), &joint.design, &options, glm, self.monitor)?;
        Ok(if fit.status == Status::Ok { 1.0 / fit.theta } else { f64::NAN })
    }
}
