//! Where to look for the optimum. The likelihood may have several, and the highest
//! counts.

use super::likelihood::Distribution;
use super::parts::{Parts, along};
use super::pass::Room;
use super::report::in_whole;
use super::search::{Outcome, SMALL, Search, Solution};
use crate::Result;
use crate::engine::glm::{
    Climbed, Detour, Job, Model, Point, Workspace, all_down, of_unsupported_columns,
};
use crate::source::GeneCounts;
use std::rc::Rc;

/// Shares of structural zeros that models without any are offered.
const SHARES: [f64; 4] = [0.3, 0.1, 0.03, 0.003];
/// How steep shares are that rise or fall along a column, from which levels, and how
/// often this is tried.
const TILT: f64 = 3.0;
const LEVELS: [f64; 2] = [0.3, 0.03];
const MOST_TILTED: usize = 64;
/// Logits of shares, and logarithms of means, beyond which they are extreme; how often
/// less extreme ones are tried.
const EXTREME_SHARES: [f64; 3] = [0.5, 2.0, 6.0];
const EXTREME_MEAN: f64 = 12.0;
const ROUNDS: usize = 5;
/// Alphas to begin with, times the mean of the counts above zero.
const ALPHAS: [f64; 4] = [0.03, 0.3, 3.0, 30.0];
/// As good as zero, for the derivative with respect to alpha at zero.
const VANISHING: f64 = 1e-7;
/// By how much one log-likelihood must be above another to count as such, rounding
/// apart.
const MARGIN: f64 = 1e-8;

/// What one can know without the model: what is left of it for certain, and the fits
/// of its two parts by themselves.
pub struct Beginning<'a> {
    pub parts: Rc<Parts<'a>>,
    /// A Poisson model of the counts.
    count: Vec<f64>,
    /// A logistic model of their being zero.
    zero: Vec<f64>,
}

/// The best of many searches.
#[derive(Default)]
pub struct Best<'a> {
    pub solution: Option<Solution<'a>>,
    /// The highest log-likelihood from where no search went on.
    lost: Option<f64>,
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

    fn joint(&self, count: &[f64], zero: &[f64], shape: Option<f64>) -> Vec<f64> {
        count.iter().chain(zero).copied().chain(shape).collect()
    }

    /// The zero part's coefficients of a constant share of structural zeros.
    fn constant_share(&self, share: f64) -> Vec<f64> {
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
        let shares = SHARES.iter().map(|&share| {
            self.joint(&self.count, &self.constant_share(share), None)
        });
        let rare = self.highest(parts, WHAT, shares, search)?;
        best.add(search.climb(parts.clone(), WHAT, rare, 0.0)?);
        // As if most zeros were structural.
        let raise = (parts.mean_above_zero() / parts.mean()).ln();
        let up = parts.count.nearest(|_| raise, parts.cells.len());
        let raised: Vec<f64> = self.count.iter().zip(&up).map(|(c, up)| c + up).collect();
        let common = self.joint(&raised, &self.zero, None);
        best.add(search.climb(parts.clone(), WHAT, common, 0.0)?);
        for tilted in self.tilted() {
            let start = self.joint(&self.count, &tilted, None);
            best.add(search.climb(parts.clone(), WHAT, start, 0.0)?);
        }
        self.once_more(best, search)
    }

    /// Where the best optimum has shares near zero and one, from less extreme ones
    /// again, as long as that leads higher.
    fn once_more(&self, mut best: Best<'a>, search: &mut Search<'_>) -> Result<Best<'a>> {
        if self.parts.whole.saturated {
            return Ok(best);
        }
        let mut outcomes = vec![];
        for _ in 0..ROUNDS {
            let Some(solution) = &best.solution else { break };
            let reached = solution.view.log_likelihood;
            let what = solution.distribution;
            for start in EXTREME_SHARES.map(|most| self.less_extreme(solution, most)) {
                outcomes.push(search.climb(self.parts.clone(), what, start, SMALL)?);
            }
            outcomes.drain(..).for_each(|outcome| best.add(outcome));
            if best.solution.as_ref().is_none_or(|s| s.view.log_likelihood <= reached) {
                break;
            }
        }
        Ok(best)
    }

    fn less_extreme(&self, solution: &Solution<'_>, most: f64) -> Vec<f64> {
        let (count, zero) = (self.parts.whole.count, self.parts.whole.zero);
        let (count_whole, zero_whole) = in_whole(&solution.parts, &solution.point);
        let cells = &self.parts.cells;
        let eta = |cell: usize| along(count, cells[cell], &count_whole).max(-EXTREME_MEAN);
        let zeta = |cell: usize| along(zero, cells[cell], &zero_whole).clamp(-most, most);
        let shape = match solution.distribution {
            Distribution::NegativeBinomial => solution.point.last().copied(),
            Distribution::Poisson => None,
        };
        let count = self.parts.count.nearest(eta, cells.len());
        self.joint(&count, &self.parts.zero.nearest(zeta, cells.len()), shape)
    }

    /// The zero part's coefficients of shares that rise or fall steeply, along each of
    /// its columns and along two at once: with few counts, shares that are zero on one
    /// side of the cells and one on the other can be the best. Where each kind of
    /// cells has a share of its own, there are no sides.
    fn tilted(&self) -> Vec<Vec<f64>> {
        let q = self.parts.zero.rank();
        if self.parts.whole.saturated || q == 0 {
            return vec![];
        }
        const SIGNS: [f64; 2] = [1.0, -1.0];
        let one = (0..q).flat_map(|k| SIGNS.map(|sign| vec![(k, sign)]));
        let pairs = (1..q).flat_map(|k| (0..k).map(move |l| (k, l)));
        let signs = || SIGNS.iter().flat_map(|&a| SIGNS.map(|b| (a, b)));
        let two = pairs.flat_map(|(k, l)| signs().map(move |(a, b)| vec![(k, a), (l, b)]));
        let steps: Vec<_> = one.chain(two).collect();
        let tilt = |(level, steps): (f64, &Vec<(usize, f64)>)| {
            let mut tilted = self.constant_share(level);
            steps.iter().for_each(|&(k, sign)| tilted[k] += sign * TILT);
            tilted
        };
        let all = LEVELS.iter().flat_map(|&level| steps.iter().map(move |steps| (level, steps)));
        all.take(MOST_TILTED).map(tilt).collect()
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
                plain_fit = Some(solution.point.clone());
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
        for tilted in self.tilted() {
            let start = self.joint(&self.count, &tilted, Some(0.0));
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

impl<'a> Best<'a> {
    fn add(&mut self, outcome: Outcome<'a>) {
        match outcome {
            Outcome::Found(solution) => {
                let reached = solution.view.log_likelihood;
                let higher = |other: &Solution<'_>| above(reached, other);
                if self.solution.as_ref().is_none_or(higher) {
                    self.solution = Some(solution);
                }
            }
            Outcome::Poisson | Outcome::Lower => {}
            Outcome::Lost(at) => self.lost = Some(self.lost.map_or(at, |lost| lost.max(at))),
        }
    }

    /// Of these optima with alpha above zero, and that at zero, the higher one; from
    /// where the likelihood grows with alpha, once more upwards.
    fn or_poisson(
        mut self,
        poisson: Option<Solution<'a>>,
        mean: f64,
        search: &mut Search<'_>,
    ) -> Result<Self> {
        let Some(poisson) = poisson else { return Ok(self) };
        let lower = |other: &Solution<'_>| {
            above(other.view.log_likelihood, &poisson)
        };
        if self.solution.as_ref().is_some_and(lower) {
            return Ok(self);
        }
        let what = Distribution::NegativeBinomial;
        let with = |alpha: f64| {
            let mut point = poisson.point.clone();
            point.push((alpha / mean).ln());
            point
        };
        let seen = search.look(&poisson.parts, what, &with(VANISHING))?;
        if seen.gradient[seen.gradient.len() - 1] > 0.0 {
            let parts = poisson.parts.clone();
            let outcome = search.climb(parts, what, with(SMALL), VANISHING)?;
            self.add(outcome);
            if self.solution.as_ref().is_some_and(lower) {
                return Ok(self);
            }
        }
        self.solution = Some(poisson);
        Ok(self)
    }

    /// The optimum, unless a search was lost above it.
    pub fn settled(self) -> Option<Solution<'a>> {
        let solution = self.solution?;
        let lost = self.lost.is_some_and(|lost| above(lost, &solution));
        (!lost).then_some(solution)
    }
}

fn above(log_likelihood: f64, other: &Solution<'_>) -> bool {
    log_likelihood > other.view.log_likelihood + MARGIN + other.view.rounding
}

/// What one thread works with.
pub struct Rooms {
    pub workspace: Workspace,
    pub room: Room,
}

impl Rooms {
    pub fn new() -> Self {
        Self { workspace: Workspace::new(), room: Room::new() }
    }
}
