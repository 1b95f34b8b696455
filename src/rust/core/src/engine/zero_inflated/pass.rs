//! One pass over the cells: a gene's log-likelihood at given coefficients of both
//! parts, its gradient and its curvature.
//!
//! With eta and zeta the predictors of the count and the zero part, c(eta) minus the
//! logarithm of the count part's probability of a zero, and y a count,
//!
//! l = log(e^zeta + e^-c) - log(1 + e^zeta)              where y = 0,
//! l = log f(y; eta) - log(1 + e^zeta)                   where y > 0.
//!
//! Every cell is first treated as if it had no count, by vector code; the few that
//! have one are corrected. All derivatives are functions of r = 1 / (1 + e^-(zeta + c)),
//! the probability that a zero is structural (Lambert 1992, Technometrics 34:1).

use crate::design::products::{gram, predictors, products, sum};
use crate::design::{BLOCK, Blocks};
use crate::engine::glm::Cells;
use crate::simd::{EXP_RANGE, Kernel, LANES, Vector, exp, log1p_and_inverse, run};
use crate::source::GeneCounts;

/// Which second derivatives a pass adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curvature {
    /// Minus the second derivatives of the log-likelihood.
    Observed,
    /// What the information would be if one knew which zeros are structural: never
    /// indefinite, and without products of the two parts.
    Complete,
}

/// Sums over all cells. What depends on the counts and the shape alone (factorials
/// and rising factorials) is left out.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub log_likelihood: f64,
    pub count: PartSums,
    pub zero: PartSums,
    /// For each column of the zero part, its products with those of the count part.
    pub mixed: Vec<f64>,
    /// First and second derivative with respect to log(alpha).
    pub slope: f64,
    pub bend: f64,
}

/// Of one part's coefficients.
#[derive(Clone, Debug, Default)]
pub struct PartSums {
    pub score: Vec<f64>,
    /// Lower triangle, row after row.
    pub information: Vec<f64>,
    /// Minus the derivative of the score with respect to log(alpha).
    pub cross: Vec<f64>,
}

/// A pass of a gene over the columns of both parts.
pub struct Pass<'a, C> {
    pub count: &'a Blocks,
    pub zero: &'a Blocks,
    pub cells: C,
    /// Zero of the Poisson distribution.
    pub alpha: f64,
    pub counts: GeneCounts<'a>,
    pub count_coefficients: &'a [f64],
    pub zero_coefficients: &'a [f64],
    pub curvature: Curvature,
}

impl<C: Cells> Pass<'_, C> {
    pub fn sums(self, room: &mut Room) -> Sums {
        run(Compiled { pass: self, room })
    }
}

type Values = [f64; BLOCK];

/// What one block of cells leaves for its counts and its cross products.
pub struct Room {
    eta: Values,
    zeta: Values,
    /// c, its derivative by eta, and c less that derivative.
    cumulant: Values,
    weight: Values,
    excess: Values,
    slope: Values,
    saturation: Values,
    /// log(1 + e^zeta), the share of structural zeros and its variance.
    normaliser: Values,
    inflation: Values,
    spread: Values,
    /// 1 - r and r (1 - r).
    sampled: Values,
    doubt: Values,
    log_likelihood: Values,
    eta_score: Values,
    zeta_score: Values,
    eta_weight: Values,
    zeta_weight: Values,
    mixed_weight: Values,
    eta_cross: Values,
    zeta_cross: Values,
    shape_slope: Values,
    shape_bend: Values,
}

impl Default for Room {
    fn default() -> Self {
        let empty = [0.0; BLOCK];
        Self {
            eta: empty,
            zeta: empty,
            cumulant: empty,
            weight: empty,
            excess: empty,
            slope: empty,
            saturation: empty,
            normaliser: empty,
            inflation: empty,
            spread: empty,
            sampled: empty,
            doubt: empty,
            log_likelihood: empty,
            eta_score: empty,
            zeta_score: empty,
            eta_weight: empty,
            zeta_weight: empty,
            mixed_weight: empty,
            eta_cross: empty,
            zeta_cross: empty,
            shape_slope: empty,
            shape_bend: empty,
        }
    }
}

struct Compiled<'a, C> {
    pass: Pass<'a, C>,
    room: &'a mut Room,
}

impl<C: Cells> Kernel for Compiled<'_, C> {
    type Output = Sums;

    #[inline(always)]
    fn run<V: Vector>(self) -> Sums {
        let Self { pass, room } = self;
        let (p, q) = (pass.count.columns(), pass.zero.columns());
        let mut sums = Sums {
            count: PartSums::of(p),
            zero: PartSums::of(q),
            mixed: vec![0.0; p * q],
            ..Sums::default()
        };
        let observed = pass.curvature == Curvature::Observed;
        let mut next = 0;
        for (block, (count, zero)) in pass.count.iter().zip(pass.zero.iter()).enumerate() {
            predictors::<V>(count.0, count.1, pass.count_coefficients, &mut room.eta);
            predictors::<V>(zero.0, zero.1, pass.zero_coefficients, &mut room.zeta);
            parts::<C, V>(pass.cells, room);
            zeros(room, observed);
            if C::SHAPE {
                shape_of_zeros(room, observed);
            }
            let end = block * BLOCK + BLOCK;
            while next < pass.counts.cells.len() && (pass.counts.cells[next] as usize) < end {
                let at = pass.counts.cells[next] as usize % BLOCK;
                put_count(pass.counts.counts[next], pass.alpha, at, room, observed);
                next += 1;
            }
            sums.log_likelihood += sum::<V>(&room.log_likelihood);
            products::<V>(count.1, &room.eta_score, &mut sums.count.score);
            products::<V>(zero.1, &room.zeta_score, &mut sums.zero.score);
            gram::<V>(count.1, &room.eta_weight, &mut sums.count.information);
            gram::<V>(zero.1, &room.zeta_weight, &mut sums.zero.information);
            if observed {
                mixed_gram::<V>(count.1, zero.1, &room.mixed_weight, &mut sums.mixed);
            }
            if C::SHAPE {
                sums.slope += sum::<V>(&room.shape_slope);
                sums.bend += sum::<V>(&room.shape_bend);
                if observed {
                    products::<V>(count.1, &room.eta_cross, &mut sums.count.cross);
                    products::<V>(zero.1, &room.zeta_cross, &mut sums.zero.cross);
                }
            }
        }
        sums
    }
}

impl PartSums {
    fn of(columns: usize) -> Self {
        Self {
            score: vec![0.0; columns],
            information: vec![0.0; columns * (columns + 1) / 2],
            cross: vec![0.0; columns],
        }
    }
}

/// What the two parts make of each cell, by themselves and of a zero together.
#[inline(always)]
fn parts<C: Cells, V: Vector>(cells: C, room: &mut Room) {
    for group in 0..BLOCK / LANES {
        // As far as `exp` goes: else a count would gain what its mean does not cost.
        let eta = V::load(&room.eta, group).at_most(EXP_RANGE.1);
        eta.store(&mut room.eta, group);
        let share = cells.share(eta);
        share.cumulant.store(&mut room.cumulant, group);
        share.weight.store(&mut room.weight, group);
        share.cumulant.minus(share.weight).store(&mut room.excess, group);
        share.slope.store(&mut room.slope, group);
        share.saturation.store(&mut room.saturation, group);
    }
    for i in 0..BLOCK {
        // With e = exp(-|x|), nothing overflows and no digit is lost.
        let zeta = room.zeta[i];
        let e = exp::<V>(-zeta.abs());
        let (log1p, inverse) = log1p_and_inverse::<V>(e);
        let tail = e * inverse;
        room.normaliser[i] = zeta.max(0.0) + log1p;
        room.inflation[i] = if zeta >= 0.0 { inverse } else { tail };
        room.spread[i] = tail * inverse;
        // What log(1 + e^zeta) has in common with log(e^zeta + e^-c) is never added.
        room.log_likelihood[i] = zeta.max(-room.cumulant[i]) - zeta.max(0.0) - log1p;
    }
    for i in 0..BLOCK {
        let logit = room.zeta[i] + room.cumulant[i];
        let e = exp::<V>(-logit.abs());
        let (log1p, inverse) = log1p_and_inverse::<V>(e);
        let tail = e * inverse;
        room.sampled[i] = if logit >= 0.0 { tail } else { inverse };
        room.doubt[i] = tail * inverse;
        room.log_likelihood[i] += log1p;
    }
}

/// Scores and weights of cells without a count.
#[inline(always)]
fn zeros(room: &mut Room, observed: bool) {
    for i in 0..BLOCK {
        room.eta_score[i] = -room.sampled[i] * room.weight[i];
        room.zeta_score[i] = 1.0 - room.sampled[i] - room.inflation[i];
    }
    if !observed {
        for i in 0..BLOCK {
            room.eta_weight[i] = room.sampled[i] * room.weight[i];
            room.zeta_weight[i] = room.spread[i];
        }
        return;
    }
    for i in 0..BLOCK {
        let (weight, doubt) = (room.weight[i], room.doubt[i]);
        let mixed = -doubt * weight;
        room.mixed_weight[i] = mixed;
        room.eta_weight[i] = room.sampled[i] * weight * room.slope[i] + mixed * weight;
        room.zeta_weight[i] = room.spread[i] - doubt;
    }
}

/// Their derivatives with respect to log(alpha).
#[inline(always)]
fn shape_of_zeros(room: &mut Room, observed: bool) {
    for i in 0..BLOCK {
        let (sampled, excess) = (room.sampled[i], room.excess[i]);
        room.shape_slope[i] = sampled * excess;
        room.shape_bend[i] = sampled * (room.weight[i] * room.saturation[i] - excess);
    }
    if !observed {
        return;
    }
    for i in 0..BLOCK {
        let (weight, excess) = (room.weight[i], room.excess[i]);
        let doubtful = room.doubt[i] * excess;
        room.shape_bend[i] += doubtful * excess;
        room.zeta_cross[i] = doubtful;
        room.eta_cross[i] = doubtful * weight - room.sampled[i] * weight * room.saturation[i];
    }
}

/// Puts a count other than zero in the place of a zero.
#[inline(always)]
fn put_count(y: f64, alpha: f64, at: usize, room: &mut Room, observed: bool) {
    let (weight, slope, saturation) = (room.weight[at], room.slope[at], room.saturation[at]);
    let (cumulant, excess) = (room.cumulant[at], room.excess[at]);
    let residual = y * slope - weight;
    room.log_likelihood[at] =
        y * room.eta[at] - cumulant - alpha * y * cumulant - room.normaliser[at];
    room.eta_score[at] = residual;
    room.zeta_score[at] = -room.inflation[at];
    room.zeta_weight[at] = room.spread[at];
    room.shape_slope[at] = excess - y * saturation;
    room.shape_bend[at] = weight * saturation - excess - y * saturation * slope;
    if observed {
        let bend = residual * saturation;
        room.eta_weight[at] = weight + bend;
        room.mixed_weight[at] = 0.0;
        room.eta_cross[at] = bend;
        room.zeta_cross[at] = 0.0;
    } else {
        room.eta_weight[at] = weight;
    }
}

/// Adds Z'WX, row after row of Z'.
#[inline(always)]
fn mixed_gram<V: Vector>(count: &[f64], zero: &[f64], weight: &[f64], sums: &mut [f64]) {
    let p = count.len() / BLOCK;
    let mut weighted = [0.0; BLOCK];
    for (column, row) in zero.chunks_exact(BLOCK).zip(sums.chunks_exact_mut(p.max(1))) {
        for i in 0..BLOCK {
            weighted[i] = column[i] * weight[i];
        }
        products::<V>(count, &weighted, row);
    }
}
