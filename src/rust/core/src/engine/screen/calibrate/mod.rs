//! Calibrated score tests: where the sum of a gene's null residuals over the
//! perturbed cells lies in its distribution over resampled memberships, without
//! resampling.
//!
//! The distribution's generating function is a sum over cells, and cells are
//! few values with many cells each (`bins`, `atoms`). Numbers of cells drawn
//! that are fixed, as in permutations, are conditioned on by a saddlepoint
//! (Skovgaard 1987; Booth and Butler 1990) at every point of the complex plane
//! (`saddle`, `march`, `factor`), or exactly in strata of few cells (`tiny`). Tail
//! probabilities are then integrals along a line through the statistic's own
//! saddlepoint (`contour`). That takes a dozen nodes where the distribution is
//! smooth; for genes with few counts, where it has steps, as many as its local
//! spread asks for (`ripple`). The few cells whose residuals dwarf all others are
//! conditioned on (`outliers`): no line resolves their steps and the others' at
//! once.

mod bins;
mod atoms;
mod outliers;
mod saddle;
mod tiny;
mod factor;
mod march;
mod ripple;
mod contour;
mod permutation;
mod conditional;
mod membership;

pub use conditional::BinnedResiduals;
pub use membership::fit_membership;
pub use permutation::Population;

/// Probabilities of a statistic as low or as high. What is as likely as the
/// statistic itself counts half in both (mid-p), so that they add up to one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tails {
    pub lower: f64,
    pub upper: f64,
}

impl Tails {
    /// Of a statistic that resampling does not change, this far above it.
    fn of_constant(above: f64, rounding: f64) -> Self {
        let upper = match above {
            above if above > rounding => 0.0,
            above if above < -rounding => 1.0,
            _ => 0.5,
        };
        Self { lower: 1.0 - upper, upper }
    }
}

/// The probability of a deviation from the mean that is at least as large, from
/// tails at some statistic: a tail below the negligible need not be told from 0.
fn deviation(mean: f64, statistic: f64, mut tails: impl FnMut(f64, f64) -> Tails) -> f64 {
    let mirror = 2.0 * mean - statistic;
    let near = tails(statistic, 0.0);
    let two_sided = if statistic > mean {
        near.upper + tails(mirror, NEGLIGIBLE * near.upper).lower
    } else {
        near.lower + tails(mirror, NEGLIGIBLE * near.lower).upper
    };
    // Not a number where a tail is not one.
    if two_sided > 1.0 { 1.0 } else { two_sided }
}

/// Of the tail at the statistic, what the tail at its mirror point need not be
/// told from zero at.
const NEGLIGIBLE: f64 = 1e-6;

/// What a thread needs to compute tails, kept from one pair to the next.
#[derive(Default)]
pub struct Scratch {
    saddle: saddle::Saddle,
    line: march::Line,
    groups: Vec<saddle::Group>,
    atoms: atoms::Atoms,
}

impl Scratch {
    pub fn new() -> Self {
        Self::default()
    }
}
