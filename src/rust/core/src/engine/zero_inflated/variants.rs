//! More starts, for zero parts whose likelihood has many optima: where counts are few,
//! shares of structural zeros that are zero on one side of the cells and one on the
//! other can be the best. Where each kind of cells has a share of its own there are no
//! sides, and none of this.

use super::best::{Best, MARGIN};
use super::likelihood::Distribution;
use super::parts::along;
use super::report::in_whole;
use super::search::{SMALL, Search, Solution};
use super::starts::Beginning;
use crate::Result;

/// How steep shares are that rise or fall along a column, from which levels, and how
/// often this is tried.
const TILT: f64 = 3.0;
const LEVELS: [f64; 2] = [0.3, 0.03];
const MOST_TILTED: usize = 64;
/// After how many passes how many of many starts are kept at least; and of how many
/// cells at most all are.
const SIEVES: [(usize, usize); 2] = [(4, 16), (8, 5)];
const FEW_CELLS: usize = 2000;
/// Logits of shares, and logarithms of means, beyond which they are extreme; how often
/// less extreme ones are tried.
const EXTREME_SHARES: [f64; 3] = [0.5, 2.0, 6.0];
const EXTREME_MEAN: f64 = 12.0;
const ROUNDS: usize = 5;

impl<'a> Beginning<'a> {
    /// Starts with shares that rise or fall steeply along each column of the zero part
    /// and along two at once; of many, the more promising ones.
    pub fn tilted(
        &self,
        what: Distribution,
        shape: Option<f64>,
        search: &mut Search<'_>,
    ) -> Result<Vec<Vec<f64>>> {
        if self.parts.whole.saturated {
            return Ok(vec![]);
        }
        const SIGNS: [f64; 2] = [1.0, -1.0];
        let q = self.parts.zero.rank();
        let one = (0..q).flat_map(|k| SIGNS.map(|sign| vec![(k, sign)]));
        let pairs = (1..q).flat_map(|k| (0..k).map(move |l| (k, l)));
        let signs = || SIGNS.iter().flat_map(|&a| SIGNS.map(|b| (a, b)));
        let two = pairs.flat_map(|(k, l)| signs().map(move |(a, b)| vec![(k, a), (l, b)]));
        let steps: Vec<_> = one.chain(two).collect();
        let tilt = |level: f64, steps: &Vec<(usize, f64)>| {
            let mut tilted = self.constant_share(level);
            steps.iter().for_each(|&(k, sign)| tilted[k] += sign * TILT);
            self.joint(&self.count, &tilted, shape)
        };
        let all = LEVELS.iter().flat_map(|&level| steps.iter().map(move |steps| (level, steps)));
        let starts = all.take(MOST_TILTED).map(|(level, steps)| tilt(level, steps));
        self.sifted(what, starts.collect(), search)
    }

    /// Of many starts those that are highest after a few passes, and again: the more
    /// cells, the fewer.
    fn sifted(
        &self,
        what: Distribution,
        starts: Vec<Vec<f64>>,
        search: &mut Search<'_>,
    ) -> Result<Vec<Vec<f64>>> {
        let mut starts = starts;
        let affordable = MOST_TILTED * FEW_CELLS / self.parts.cells.len().max(1);
        for (passes, least) in SIEVES {
            let most = least.max(affordable);
            if starts.len() <= most {
                continue;
            }
            let mut reached = vec![];
            for start in starts {
                reached.push(search.advance(&self.parts, what, start, passes)?);
            }
            reached.sort_by(|a, b| b.0.total_cmp(&a.0));
            reached.dedup_by(|a, b| (a.0 - b.0).abs() < MARGIN);
            starts = reached.into_iter().take(most).map(|(_, point)| point).collect();
        }
        Ok(starts)
    }

    /// Where the best optimum has shares near zero and one, from less extreme ones
    /// again, as long as that leads higher.
    pub fn once_more(&self, mut best: Best<'a>, search: &mut Search<'_>) -> Result<Best<'a>> {
        if self.parts.whole.saturated || self.parts.zero.rank() == 0 {
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
}
