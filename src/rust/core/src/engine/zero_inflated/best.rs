//! The best of many searches.

use super::likelihood::Distribution;
use super::search::{Outcome, SMALL, Search, Solution};
use crate::Result;

/// As good as zero, for the derivative with respect to alpha at zero.
const VANISHING: f64 = 1e-7;
/// By how much one log-likelihood must be above another to count as such, rounding
/// apart.
pub const MARGIN: f64 = 1e-8;

/// The best of many searches.
#[derive(Default)]
pub struct Best<'a> {
    pub solution: Option<Solution<'a>>,
    /// The highest log-likelihood from where no search went on.
    pub lost: Option<f64>,
}

impl<'a> Best<'a> {
    pub fn add(&mut self, outcome: Outcome<'a>) {
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
    pub fn or_poisson(
        mut self,
        poisson: Option<Solution<'a>>,
        mean: f64,
        search: &mut Search<'_>,
    ) -> Result<Self> {
        let Some(poisson) = poisson else { return Ok(self) };
        let lower = |other: &Solution<'_>| above(other.view.log_likelihood, &poisson);
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
