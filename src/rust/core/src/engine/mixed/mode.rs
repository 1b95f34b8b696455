//! The joint mode of random and fixed effects, at given variances and shape:
//! penalised iteratively reweighted least squares, with the observed weights, for
//! which it is Newton's method.

use super::lambda::Lambda;
use super::pass::{Data, Look};
use super::system::{Both, System};
use crate::engine::glm::{Cells, inner};
use crate::{Monitor, Result};

/// Squared distance to the mode, in standard errors, at which to stop.
const CONVERGED: f64 = 1e-14;
/// Where rounding stops an ascent, this is still near enough.
const NEAR_ENOUGH: f64 = 1e-9;
/// From here the next step is likely to be the last.
const NEARLY: f64 = 1e-6;
const HALVINGS: usize = 50;

/// What is known at the mode.
pub struct Mode<'a> {
    /// Random effects v, of variance one, and coefficients of the basis.
    pub at: Both,
    pub look: Look,
    /// Of the observed information.
    pub system: System<'a>,
    /// The step that is left, and the squared distance that it goes.
    pub step: Both,
    pub decrement: f64,
}

/// How to find a mode.
pub struct Ascent<'a> {
    pub data: Data<'a>,
    pub lambda: &'a Lambda<'a>,
    pub max_passes: usize,
    pub monitor: &'a Monitor,
}

impl<'a> Ascent<'a> {
    /// Climbs `log_likelihood - |v|² / 2` from `start`, which is concave; none where it
    /// does not converge. Counts passes over the cells.
    pub fn climb(
        &self,
        cells: impl Cells,
        log_likelihood: impl Fn(&Look) -> f64,
        start: &Both,
        passes: &mut usize,
    ) -> Result<Option<Mode<'a>>> {
        let Self { data, lambda, .. } = *self;
        let (mut at, mut from) = (start.clone(), start.clone());
        let mut step: Option<Both> = None;
        let (mut height, mut before) = (f64::NEG_INFINITY, f64::INFINITY);
        let (mut detailed, mut factor) = (false, 1.0);
        let mut halvings = 0;
        for _ in 0..self.max_passes {
            self.monitor.check()?;
            *passes += 1;
            let b = lambda.times(&at.random);
            let look = data.look(cells, &at.fixed, &b, detailed);
            let seen = log_likelihood(&look) - 0.5 * inner(&at.random, &at.random);
            // Sums over many cells are rounded.
            let slack = 1e-9 + 1e-11 * height.abs();
            let lower = seen < height - slack || seen.is_nan();
            if let Some(step) = &step
                && lower
            {
                factor *= 0.5;
                halvings += 1;
                if halvings > HALVINGS {
                    return Ok(None);
                }
                at = advance(&from, step, factor);
                continue;
            }
            let mut random = lambda.transpose_times(&look.random_score);
            random.iter_mut().zip(&at.random).for_each(|(score, v)| *score -= v);
            let score = Both { random, fixed: look.sums.score.clone() };
            let Some(system) = System::new(data.effects.symbolic(), lambda, &look.observed) else {
                return Ok(None);
            };
            let Some(next) = system.solve(std::slice::from_ref(&score)) else { return Ok(None) };
            let next = next.into_iter().next().expect("one right side has one solution");
            let decrement = inner(&next.random, &score.random) + inner(&next.fixed, &score.fixed);
            let rounding = decrement <= NEAR_ENOUGH && decrement > 0.25 * before;
            if detailed && (decrement <= CONVERGED || rounding) {
                return Ok(Some(Mode { at, look, system, step: next, decrement }));
            }
            detailed = decrement <= NEARLY;
            (before, height, factor, halvings) = (decrement, seen, 1.0, 0);
            from = at;
            at = advance(&from, &next, factor);
            step = Some(next);
        }
        Ok(None)
    }
}

/// From a point along a step.
pub fn advance(from: &Both, step: &Both, factor: f64) -> Both {
    let moved = |from: &[f64], step: &[f64]| {
        from.iter().zip(step).map(|(x, s)| x + factor * s).collect::<Vec<f64>>()
    };
    Both { random: moved(&from.random, &step.random), fixed: moved(&from.fixed, &step.fixed) }
}
