//! One pass over the perturbed cells of a pair: exactly what they contribute.

use super::rows::Rows;
use crate::design::BLOCK;
use crate::design::products::{gram, predictors, products, sum};
use crate::simd::{Kernel, Vector, exp, fma, log1p_and_inverse, run};

/// Where a pair's likelihood is looked at.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// Of the design's basis.
    pub coefficients: &'a [f64],
    /// exp(c): what the perturbation multiplies means with. Zero where it goes to
    /// minus infinity.
    pub factor: f64,
    /// log of the factor; not used where that is zero.
    pub log_factor: f64,
    /// 1 / theta; zero for Poisson counts.
    pub alpha: f64,
}

/// What a pass adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// The effect's score and expected information alone.
    Effect,
    /// Score and observed information.
    Newton,
    /// Expected information; and as asked, log-likelihoods and squared residuals.
    Final { log_likelihood: bool, meat: bool },
    /// Observed information, and as asked, log-likelihoods.
    Observed { log_likelihood: bool },
}

/// Sums over perturbed cells. Of a cell among the reference cells the pass takes
/// off what it contributes there, without the perturbation.
#[derive(Clone, Debug, Default)]
pub struct MemberSums {
    /// Derivative of the log-likelihood with respect to c, r its terms.
    pub effect_score: f64,
    /// Information about c, w its terms; and with the coefficients, w x.
    pub effect_information: f64,
    pub cross: Vec<f64>,
    /// Differences to what the cells contribute without the perturbation.
    pub score: Vec<f64>,
    pub information: Vec<f64>,
    pub log_likelihood: f64,
    /// r², r² x, and r² x x' (this a difference).
    pub effect_meat: f64,
    pub cross_meat: Vec<f64>,
    pub meat: Vec<f64>,
}

impl MemberSums {
    /// All zero, for a design of p columns.
    pub fn clear(&mut self, p: usize, with_meat: bool) {
        let triangle = p * (p + 1) / 2;
        let empty = |values: &mut Vec<f64>, length: usize| {
            values.clear();
            values.resize(length, 0.0);
        };
        empty(&mut self.cross, p);
        empty(&mut self.score, p);
        empty(&mut self.information, triangle);
        empty(&mut self.cross_meat, if with_meat { p } else { 0 });
        empty(&mut self.meat, if with_meat { triangle } else { 0 });
        self.effect_score = 0.0;
        self.effect_information = 0.0;
        self.log_likelihood = 0.0;
        self.effect_meat = 0.0;
    }
}

/// Adds what cells contribute. `inside`: they are among the reference cells.
pub fn add_members(
    rows: &Rows,
    counts: &[f64],
    inside: bool,
    at: At<'_>,
    wanted: Wanted,
    sums: &mut MemberSums,
) {
    if counts.is_empty() {
        return;
    }
    match inside {
        true => run(Look::<true> { rows, counts, at, wanted, sums }),
        false => run(Look::<false> { rows, counts, at, wanted, sums }),
    }
}

struct Look<'a, const INSIDE: bool> {
    rows: &'a Rows,
    counts: &'a [f64],
    at: At<'a>,
    wanted: Wanted,
    sums: &'a mut MemberSums,
}

impl<const INSIDE: bool> Kernel for Look<'_, INSIDE> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { rows, counts, at, wanted, sums } = self;
        let empty = [0.0; BLOCK];
        let mut space = Space {
            mean: empty,
            residual: empty,
            without: empty,
            difference: empty,
            weight: empty,
            bend: empty,
        };
        for ((offset, columns), y) in rows.chunks().zip(counts.chunks(BLOCK)) {
            let length = y.len();
            predictors::<V>(offset, columns, at.coefficients, &mut space.mean[..length]);
            let expected = matches!(wanted, Wanted::Final { .. } | Wanted::Effect);
            match expected {
                true => shares::<INSIDE, true, V>(y, at, &mut space),
                false => shares::<INSIDE, false, V>(y, at, &mut space),
            }
            sums.effect_score += sum::<V>(&space.residual[..length]);
            sums.effect_information += sum::<V>(&space.weight[..length]);
            if wanted == Wanted::Effect {
                continue;
            }
            products::<V>(columns, &space.weight[..length], &mut sums.cross);
            products::<V>(columns, &space.difference[..length], &mut sums.score);
            gram::<V>(columns, &space.bend[..length], &mut sums.information);
            let with_meat = matches!(wanted, Wanted::Final { meat: true, .. });
            if with_meat {
                squares::<INSIDE>(length, &mut space);
                sums.effect_meat += sum::<V>(&space.weight[..length]);
                products::<V>(columns, &space.weight[..length], &mut sums.cross_meat);
                gram::<V>(columns, &space.bend[..length], &mut sums.meat);
            }
            if let Wanted::Final { log_likelihood: true, .. }
            | Wanted::Observed { log_likelihood: true } = wanted
            {
                predictors::<V>(offset, columns, at.coefficients, &mut space.weight[..length]);
                log_likelihoods::<INSIDE, V>(y, at, &mut space);
                sums.log_likelihood += sum::<V>(&space.bend[..length]);
            }
        }
    }
}

/// What a chunk of cells leaves behind.
struct Space {
    /// Linear predictor, then mean, without the perturbation.
    mean: [f64; BLOCK],
    residual: [f64; BLOCK],
    /// The residual without the perturbation.
    without: [f64; BLOCK],
    difference: [f64; BLOCK],
    weight: [f64; BLOCK],
    /// The weight, less that without the perturbation.
    bend: [f64; BLOCK],
}

/// Residuals and weights: expected, mu / (1 + alpha mu), or observed, which is
/// (1 + alpha y) / (1 + alpha mu) times that.
#[inline(always)]
fn shares<const INSIDE: bool, const EXPECTED: bool, V: Vector>(
    y: &[f64],
    at: At<'_>,
    space: &mut Space,
) {
    let length = y.len();
    let Space { mean, residual, without, difference, weight, bend } = space;
    let (mean, residual) = (&mut mean[..length], &mut residual[..length]);
    let (without, difference) = (&mut without[..length], &mut difference[..length]);
    let (weight, bend) = (&mut weight[..length], &mut bend[..length]);
    for i in 0..length {
        let m0 = exp::<V>(mean[i]);
        let m1 = at.factor * m0;
        let (d0, d1) = (fma::<V>(at.alpha, m0, 1.0), fma::<V>(at.alpha, m1, 1.0));
        let spread = fma::<V>(at.alpha, y[i], 1.0);
        mean[i] = m0;
        if INSIDE {
            // One division for both inverses.
            let both = 1.0 / (d0 * d1);
            let (i0, i1) = (both * d1, both * d0);
            let r0 = (y[i] - m0) * i0;
            let r1 = (y[i] - m1) * i1;
            let w1 = if EXPECTED { m1 * i1 } else { m1 * i1 * i1 * spread };
            let w0 = if EXPECTED { m0 * i0 } else { m0 * i0 * i0 * spread };
            residual[i] = r1;
            without[i] = r0;
            difference[i] = r1 - r0;
            weight[i] = w1;
            bend[i] = w1 - w0;
        } else {
            let i1 = 1.0 / d1;
            let r1 = (y[i] - m1) * i1;
            let w1 = if EXPECTED { m1 * i1 } else { m1 * i1 * i1 * spread };
            residual[i] = r1;
            difference[i] = r1;
            weight[i] = w1;
            bend[i] = w1;
        }
    }
}

/// Squared residuals in the place of weights.
#[inline(always)]
fn squares<const INSIDE: bool>(length: usize, space: &mut Space) {
    for i in 0..length {
        let square = space.residual[i] * space.residual[i];
        space.weight[i] = square;
        space.bend[i] = if INSIDE { square - space.without[i] * space.without[i] } else { square };
    }
}

/// Each cell's y eta - (y + theta) log(1 + alpha mu), in `bend`; less that without
/// the perturbation. `weight` holds the predictors without it.
#[inline(always)]
fn log_likelihoods<const INSIDE: bool, V: Vector>(y: &[f64], at: At<'_>, space: &mut Space) {
    let length = y.len();
    let (mean, eta, out) =
        (&space.mean[..length], &space.weight[..length], &mut space.bend[..length]);
    // With a factor of zero no cell has a count.
    let log_factor = if at.factor > 0.0 { at.log_factor } else { 0.0 };
    if at.alpha == 0.0 {
        for i in 0..length {
            let with = at.factor * mean[i];
            let (linear, cost) = match INSIDE {
                true => (log_factor, with - mean[i]),
                false => (eta[i] + log_factor, with),
            };
            out[i] = y[i] * linear - cost;
        }
        return;
    }
    let theta = 1.0 / at.alpha;
    for i in 0..length {
        let (log1, _) = log1p_and_inverse::<V>(at.alpha * at.factor * mean[i]);
        let (linear, log) = if INSIDE {
            let (log0, _) = log1p_and_inverse::<V>(at.alpha * mean[i]);
            (log_factor, log1 - log0)
        } else {
            (eta[i] + log_factor, log1)
        };
        out[i] = y[i] * linear - (y[i] + theta) * log;
    }
}
