//! Cox and Reid's adjustment of the profile likelihood of a dispersion (1987,
//! Journal of the Royal Statistical Society B 49:1; for negative binomial counts,
//! McCarthy, Chen and Smyth 2012, Nucleic Acids Research 40:4288).
//!
//! A = -0.5 log det I, where I = Q'WQ is the expected information about the
//! coefficients in the design's orthogonal basis and W = mu / (1 + alpha mu). With
//! the named columns it differs by a constant. As log(alpha) moves, coefficients
//! move with it, and with h = q' I⁻¹ q of each cell,
//!
//! dA/dlog(alpha) = -0.5 sum h dw,   dw = -s w + (1 - s) w q'd,
//!
//! s = alpha mu / (1 + alpha mu), d the derivative of the coefficients' optimum.

use super::ascent::Summit;
use super::family::{Cells, NegativeBinomial, Share};
use super::job::Job;
use super::pass::Desk;
use super::solve::{eigen, inner, inverse, solve};
use crate::design::products::{gram, products};
use crate::design::{BLOCK, Blocks};
use crate::simd::{Kernel, LANES, Vector, run};
use crate::source::GeneCounts;

/// How the adjusted profile changes with log(alpha) at a summit of the
/// likelihood at a given alpha.
pub struct CoxReid {
    /// Derivative of the adjustment along the profile.
    pub slope: f64,
    /// Derivative of the coefficients' optimum.
    pub direction: Vec<f64>,
    /// What the moving coefficients add to the second derivative of the
    /// log-likelihood.
    pub bend: f64,
}

/// -0.5 log det I of an information matrix's lower triangle; none where a
/// direction carries no information.
pub fn adjustment(information: &[f64], rank: usize) -> Option<f64> {
    let (values, _) = eigen(information, rank)?;
    let positive = values.iter().all(|v| *v > 0.0);
    positive.then(|| -0.5 * values.iter().map(|v| v.ln()).sum::<f64>())
}

impl CoxReid {
    /// By one pass over the cells. None where a direction carries no information.
    pub fn at(job: &Job<'_>, alpha: f64, summit: &Summit) -> Option<Self> {
        let rank = job.design.rank();
        let information = &summit.view.sums.information;
        let inverse = inverse(information, rank)?;
        let coefficients = &summit.point.coefficients;
        let (blocks, counts) = (job.design.blocks(), job.counts);
        let cells = NegativeBinomial { alpha };
        let sums = run(Turn { blocks, counts, cells, coefficients, inverse });
        let direction = solve(&sums.observed, &sums.cross)?.step;
        let slope = -0.5 * (sums.still + inner(&sums.moving, &direction));
        let bend = inner(&sums.cross, &direction);
        Some(Self { slope, direction, bend })
    }
}

/// A pass for the derivative of the information with respect to log(alpha).
struct Turn<'a> {
    blocks: &'a Blocks,
    counts: GeneCounts<'a>,
    cells: NegativeBinomial,
    coefficients: &'a [f64],
    /// I⁻¹, p x p.
    inverse: Vec<f64>,
}

struct TurnSums {
    /// Observed information, lower triangle.
    observed: Vec<f64>,
    /// Derivative of the score with respect to log(alpha).
    cross: Vec<f64>,
    /// Sum of -h s w.
    still: f64,
    /// Sum of h (1 - s) w q.
    moving: Vec<f64>,
}

impl Kernel for Turn<'_> {
    type Output = TurnSums;

    #[inline(always)]
    fn run<V: Vector>(self) -> TurnSums {
        let p = self.blocks.columns();
        let zeros = || vec![0.0; p];
        let mut sums = TurnSums {
            observed: vec![0.0; p * (p + 1) / 2],
            cross: zeros(),
            still: 0.0,
            moving: zeros(),
        };
        let mut desk = Desk::new();
        let mut room = Room { moving: [0.0; BLOCK], cross: [0.0; BLOCK], observed: [0.0; BLOCK] };
        let mut next = 0;
        for block in 0..self.blocks.count() {
            let (_, columns) = self.blocks.block(block);
            let from = desk.lay(self.counts, block, &mut next);
            desk.predict::<V>(self.blocks, block, self.coefficients);
            let leverage = leverages(columns, &self.inverse);
            sums.still += turn::<V>(self.cells, &desk, &leverage, &mut room);
            desk.clear(&self.counts.cells[from..next]);
            products::<V>(columns, &room.moving, &mut sums.moving);
            products::<V>(columns, &room.cross, &mut sums.cross);
            gram::<V>(columns, &room.observed, &mut sums.observed);
        }
        sums
    }
}

/// Of a block: h (1 - s) w, - r s, and observed weights w + r s.
struct Room {
    moving: [f64; BLOCK],
    cross: [f64; BLOCK],
    observed: [f64; BLOCK],
}

/// Fills the room, and adds up -h s w.
#[inline(always)]
fn turn<V: Vector>(
    cells: NegativeBinomial,
    desk: &Desk,
    leverage: &[f64; BLOCK],
    room: &mut Room,
) -> f64 {
    let mut still = V::zero();
    for group in 0..BLOCK / LANES {
        let (y, eta) = desk.cell::<V>(group);
        let Share { residual, slope, weight, saturation, .. } = cells.share(eta);
        let turn = y.times_plus(slope, residual).times(saturation);
        let share = V::load(leverage, group).times(weight);
        still = still.minus(share.times(saturation));
        share.times(slope).store(&mut room.moving, group);
        V::zero().minus(turn).store(&mut room.cross, group);
        weight.plus(turn).store(&mut room.observed, group);
    }
    still.total()
}

/// q' I⁻¹ q of each cell of a block.
#[inline(always)]
fn leverages(columns: &[f64], inverse: &[f64]) -> [f64; BLOCK] {
    let p = columns.len() / BLOCK;
    let mut leverage = [0.0; BLOCK];
    for (j, x) in columns.chunks_exact(BLOCK).enumerate() {
        let mut row = [0.0; BLOCK];
        for (k, z) in columns.chunks_exact(BLOCK).enumerate().take(j + 1) {
            // Both halves of the symmetric matrix at once.
            let factor = if k < j { 2.0 } else { 1.0 } * inverse[j * p + k];
            row.iter_mut().zip(z).for_each(|(r, z)| *r += factor * z);
        }
        for i in 0..BLOCK {
            leverage[i] += row[i] * x[i];
        }
    }
    leverage
}
