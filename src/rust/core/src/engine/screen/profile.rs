//! The likelihood of a perturbation's effect alone: at each effect the highest that
//! the covariates' coefficients can make it, by the same ascents as a fit.
//!
//! The coefficients have a weak prior, so that there is an optimum also where some
//! of them have none: the linear predictor without offset, root mean square over
//! the reference cells, is normal with standard deviation 15, in the orthogonal
//! basis's coefficients b
//!
//! -|b|² / (2 · 15²).
//!
//! Of an intercept alone that is apeglm's prior of it.

pub use super::ascent::Room as AscentRoom;
use super::ascent::{Effect, GeneLikelihood, Peak, Perturbed, climb, climb_from};
use super::cholesky::{backward, factor, forward};
use super::comparison::{Comparison, Identified};
use super::expansion::{Expansion, Order};
use super::members::Wanted;
use crate::source::GeneCounts;

/// apeglm's `prior.no.shrink.scale`, as a precision.
const PRECISION: f64 = 1.0 / (15.0 * 15.0);
const TOLERANCE: f64 = 1e-7;
/// Of one ascent: there is no other way, and it may be long where the reference has
/// no counts.
const EXPANSIONS: usize = 100;
const STEPS: usize = 100;
const CONVERGED: f64 = 1e-7;

/// The profile at one effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Height {
    pub effect: f64,
    /// Logarithm of likelihood times the coefficients' prior, up to a constant of
    /// the pair.
    pub value: f64,
    pub slope: f64,
    /// The second derivative, with the other sign.
    pub information: f64,
    /// Half the logarithm of the determinant of the coefficients' information.
    pub half_log_det: f64,
}

/// A gene's likelihood over the reference cells, about its optimum.
pub struct GeneProfile<'a> {
    comparison: &'a Comparison<'a>,
    counts: GeneCounts<'a>,
    alpha: f64,
    expansion: Expansion,
}

impl<'a> GeneProfile<'a> {
    /// `counts`: in the reference cells, numbered as in the base design. None where
    /// there is no optimum in reach.
    pub fn new(comparison: &'a Comparison<'a>, counts: GeneCounts<'a>, alpha: f64) -> Option<Self> {
        let base = comparison.base();
        let at = |centre: Vec<f64>, order| {
            Expansion::at(centre, alpha, base.blocks(), counts, order, false).with_prior(PRECISION)
        };
        let (mean_size, _) = base.offset_moments();
        let level = ((counts.total() + 0.5) / (mean_size * base.cells() as f64)).ln();
        let mut centre: Vec<f64> = base.constant().iter().map(|c| c * level).collect();
        for _ in 0..STEPS {
            let mut seen = at(centre.clone(), Order::Second);
            if !factor(&mut seen.information, centre.len()) {
                return None;
            }
            let mut step = seen.score;
            forward(&seen.information, &mut step);
            let decrement = step.iter().map(|s| s * s).sum::<f64>().sqrt();
            backward(&seen.information, &mut step);
            // Shortened, it always climbs: see `ascent`.
            let change = comparison.largest_change(&step);
            let share = if change > 0.5 { change.ln_1p() / change } else { 1.0 };
            centre.iter_mut().zip(&step).for_each(|(b, s)| *b += share * s);
            if !decrement.is_finite() {
                return None;
            }
            if share == 1.0 && decrement * change <= CONVERGED {
                let expansion = at(centre, Order::Fourth);
                return Some(Self { comparison, counts, alpha, expansion });
            }
        }
        None
    }

    /// 1 / theta; zero for Poisson counts.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The profile of one perturbation, none where it has no effect that can be told
    /// from the covariates', which reference cells must tell apart. `inside`,
    /// `outside`: its cells' counts, as [`super::comparison::Members`] has them.
    pub fn pair<'b>(
        &'b self,
        perturbation: usize,
        inside: &'b [f64],
        outside: &'b [f64],
        room: &'b mut AscentRoom,
    ) -> Option<PairProfile<'b>> {
        let members = &self.comparison.perturbations()[perturbation];
        let gene = GeneLikelihood {
            comparison: self.comparison,
            counts: self.counts,
            alpha: self.alpha,
            expansion: &self.expansion,
            with_meat: false,
            with_likelihood: true,
            tolerance: TOLERANCE,
            expansions: EXPANSIONS,
            precision: PRECISION,
        };
        let perturbed = Perturbed { number: perturbation, members, inside, outside };
        let identified = members.identified == Identified::Yes;
        identified.then_some(PairProfile { gene, perturbed, peak: None, room })
    }
}

pub struct PairProfile<'a> {
    gene: GeneLikelihood<'a>,
    perturbed: Perturbed<'a>,
    /// Where the last ascent ended: the next starts there.
    peak: Option<Peak>,
    room: &'a mut AscentRoom,
}

impl PairProfile<'_> {
    /// None where there is no optimum in reach.
    pub fn at(&mut self, effect: f64) -> Option<Height> {
        let Self { gene, perturbed, peak, room } = self;
        let found = match peak.take() {
            Some(start) => climb_from(gene, perturbed, start, effect, room),
            None => climb(gene, perturbed, Effect::Fixed(effect), room),
        }?;
        room.look(gene, perturbed, &found, Wanted::Observed { log_likelihood: true });
        let expansion = found.expansion(gene);
        let value =
            expansion.log_likelihood + expansion.gain(&found.delta) + room.sums.log_likelihood;
        let slope = room.sums.effect_score;
        let p = found.delta.len();
        if !factor(&mut room.triangle, p) {
            return None;
        }
        // What is left of the information about the effect. Not by another pivot: with
        // no counts in perturbed cells it may be as good as nothing.
        let last = p * (p + 1) / 2;
        let half_log_det = (0..p).map(|j| room.triangle[j * (j + 3) / 2].ln()).sum();
        let mut cross = room.triangle[last..last + p].to_vec();
        forward(&room.triangle[..last], &mut cross);
        let shared: f64 = cross.iter().map(|x| x * x).sum();
        let information = (room.triangle[last + p] - shared).max(0.0);
        *peak = Some(found);
        Some(Height { effect, value, slope, information, half_log_det })
    }
}
