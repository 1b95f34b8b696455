//! Where to look for the optimum. The likelihood may have several, and the highest
//! counts.

use super::best::Best;
use super::likelihood::Distribution;
use super::parts::Parts;
use super::search::{Outcome, SMALL, Search};
use crate::Result;
use crate::engine::glm::{
    Climbed, Detour, Job, Model, Point, Workspace, all_down, of_unsupported_columns,
};
use crate::source::GeneCounts;
use std::rc::Rc;

/// Shares of structural zeros that models without any are offered.
const SHARES: [f64; 4] = [0.3, 0.1, 0.03, 0.003];
/// Alphas to begin with, times the mean of the counts above zero.
const ALPHAS: [f64; 4] = [0.03, 0.3, 3.0, 30.0];

/// What one can know without the model: what is left of it for certain, and the fits
/// of its two parts by themselves.
pub struct Beginning<'a> {
    pub parts: Rc<Parts<'a>>,
    /// A Poisson model of the counts.
    pub(super) count: Vec<f64>,
    /// A logistic model of their being zero.
    zero: Vec<f64>,
}

/// Where the counts of a group are all zero, or a Poisson model of the counts or a
/// logistic model of their being zero are separated, so is the whole model.
pub fn begin<'a>(
    whole: Parts<'a>,
    search: &mut Search<'_>,
    workspace: &mut Workspace,
) -> Result<Beginning<'a>> {
    let mut parts = whole;
    loop {
        let count = match poisson(&parts, search, workspace) {
            Ok(count) => count,
            Err(Detour::Separated { limit, .. }) => {
                parts = parts.without_means(&limit)?;
                continue;
            }
            Err(Detour::Failed(error)) => return Err(error),
        };
        let zeros = parts.doubtful_zeros();
        let zero = match logistic(&parts, &zeros, search, workspace) {
            Ok(zero) => zero,
            Err(Detour::Separated { limit, .. }) => {
                parts = parts
                    .without_shares(&limit, |cell| zeros.binary_search(&(cell as u32)).is_ok())?;
                continue;
            }
            Err(Detour::Failed(error)) => return Err(error),
        };
        return Ok(Beginning { parts: Rc::new(parts), count, zero });
    }
}

fn poisson(
    parts: &Parts<'_>,
    search: &mut Search<'_>,
    workspace: &mut Workspace,
) -> Climbed<Vec<f64>> {
    let Some(design) = parts.count.design() else { return Ok(vec![]) };
    if let Some(limit) = of_unsupported_columns(design, parts.counts()) {
        return Err(Detour::Separated { limit, iterations: 0 });
    }
    let job = Job::new(parts.counts(), design, search.patience, search.monitor);
    let coefficients = job.start((job.mean() / design.offset_moments().0).ln());
    let start = Point { coefficients, shape: 0.0 };
    let summit = job.climb(Model::Poisson, start, workspace, |_, _| false)?;
    search.passes += summit.iterations;
    Ok(summit.point.coefficients)
}

fn logistic(
    parts: &Parts<'_>,
    zeros: &[u32],
    search: &mut Search<'_>,
    workspace: &mut Workspace,
) -> Climbed<Vec<f64>> {
    let Some(design) = parts.zero.design() else { return Ok(vec![]) };
    let ones = vec![1.0; zeros.len()];
    let counts = GeneCounts { cells: zeros, counts: &ones };
    let job = Job::new(counts, design, search.patience, search.monitor);
    let cells = parts.mixed.iter().filter(|mixed| **mixed).count() as f64;
    let share = (zeros.len() as f64 / cells).clamp(0.5 / cells, 1.0 - 0.5 / cells);
    let start = Point { coefficients: job.start((share / (1.0 - share)).ln()), shape: 0.0 };
    let summit = job.climb(Model::Bernoulli, start, workspace, |_, _| false)?;
    search.passes += summit.iterations;
    Ok(summit.point.coefficients)
}

impl<'a> Beginning<'a> {
    /// The model without a zero part, if the zero part can vanish.
    fn plain(&self) -> Result<Option<Rc<Parts<'a>>>> {
        let Some(design) = self.parts.zero.design() else {
            return Ok(Some(self.parts.clone()));
        };
        let Some(limit) = all_down(design) else { return Ok(None) };
        self.parts.without_zero_part(&limit).map(|parts| Some(Rc::new(parts)))
    }

    pub(super) fn joint(&self, count: &[f64], zero: &[f64], shape: Option<f64>) -> Vec<f64> {
        count.iter().chain(zero).copied().chain(shape).collect()
    }

    /// The zero part's coefficients of a constant share of structural zeros.
    pub(super) fn constant_share(&self, share: f64) -> Vec<f64> {
        let logit = (share / (1.0 - share)).ln();
        self.parts.zero.nearest(|_| logit, self.parts.cells.len())
    }

    /// The start with the highest likelihood.
    fn highest(
        &self,
        parts: &Parts<'_>,
        what: Distribution,
        starts: impl Iterator<Item = Vec<f64>>,
        search: &mut Search<'_>,
    ) -> Result<Vec<f64>> {
        let mut best: Option<(f64, Vec<f64>)> = None;
        for start in starts {
            let seen = search.look(parts, what, &start)?.log_likelihood;
            if best.as_ref().is_none_or(|(highest, _)| seen > *highest) {
                best = Some((seen, start));
            }
        }
        Ok(best.expect("there is a start").1)
    }

    /// The highest optimum where counts are Poisson.
    pub fn poisson(&self, search: &mut Search<'_>) -> Result<Best<'a>> {
        const WHAT: Distribution = Distribution::Poisson;
        let mut best = Best::default();
        let parts = &self.parts;
        if let Some(plain) = self.plain()? {
            best.add(search.climb(plain, WHAT, self.count.clone(), 0.0)?);
        }
        if parts.zero.rank() == 0 {
            return Ok(best);
        }
        let separate = self.joint(&self.count, &self.zero, None);
        best.add(search.climb(parts.clone(), WHAT, separate, 0.0)?);
        let shares =
            SHARES.iter().map(|&share| self.joint(&self.count, &self.constant_share(share), None));
        let rare = self.highest(parts, WHAT, shares, search)?;
        best.add(search.climb(parts.clone(), WHAT, rare, 0.0)?);
        // As if most zeros were structural.
        let raise = (parts.mean_above_zero() / parts.mean()).ln();
        let up = parts.count.nearest(|_| raise, parts.cells.len());
        let raised: Vec<f64> = self.count.iter().zip(&up).map(|(c, up)| c + up).collect();
        let common = self.joint(&raised, &self.zero, None);
        best.add(search.climb(parts.clone(), WHAT, common, 0.0)?);
        for start in self.tilted(WHAT, None, search)?.into_iter().chain(self.beyond_planes(None)) {
            best.add(search.climb(parts.clone(), WHAT, start, 0.0)?);
        }
        self.once_more(best, search)
    }

    /// The highest optimum over alpha as well; `poisson` is that at alpha = 0.
    pub fn negative_binomial(
        &self,
        poisson: Best<'a>,
        search: &mut Search<'_>,
    ) -> Result<Best<'a>> {
        const WHAT: Distribution = Distribution::NegativeBinomial;
        let mut best = Best { lost: poisson.lost, ..Best::default() };
        let parts = &self.parts;
        let mean = parts.mean_above_zero();
        let alphas = || ALPHAS.iter().map(move |alpha| Some((alpha / mean).ln()));
        let mut plain_fit = None;
        if let Some(plain) = self.plain()? {
            let starts = alphas().map(|shape| self.joint(&self.count, &[], shape));
            let start = self.highest(&plain, WHAT, starts, search)?;
            let highest = std::mem::replace(&mut search.highest, f64::NEG_INFINITY);
            let outcome = search.climb(plain, WHAT, start, SMALL)?;
            search.highest = search.highest.max(highest);
            if let Outcome::Found(solution) = &outcome {
                // Unless it had no optimum either.
                let same = solution.parts.count.rank() == parts.count.rank();
                plain_fit = same.then(|| solution.point.clone());
            }
            best.add(outcome);
        }
        if parts.zero.rank() > 0 {
            let separate = self.joint(&self.count, &self.zero, Some(0.0));
            best.add(search.climb(parts.clone(), WHAT, separate, SMALL)?);
            if let Some(plain) = plain_fit {
                let (count, shape) = plain.split_at(parts.count.rank());
                let shares = SHARES
                    .iter()
                    .map(|&share| self.joint(count, &self.constant_share(share), Some(shape[0])));
                let rare = self.highest(parts, WHAT, shares, search)?;
                best.add(search.climb(parts.clone(), WHAT, rare, SMALL)?);
            }
        }
        let tilted = self.tilted(WHAT, Some(0.0), search)?;
        for start in tilted.into_iter().chain(self.beyond_planes(Some(0.0))) {
            best.add(search.climb(parts.clone(), WHAT, start, SMALL)?);
        }
        if let Some(solution) = poisson.solution.as_ref().filter(|s| s.parts.zero.rank() > 0) {
            let starts = alphas().map(|shape| self.joint(&solution.point, &[], shape));
            let start = self.highest(&solution.parts, WHAT, starts, search)?;
            best.add(search.climb(solution.parts.clone(), WHAT, start, SMALL)?);
        }
        let best = self.once_more(best, search)?;
        best.or_poisson(poisson.solution, mean, search)
    }
}
