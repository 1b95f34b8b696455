//! One pass over the cells: everything that Newton's method wants to know of a
//! gene's log-likelihood at given coefficients.

use super::family::Cells;
use crate::design::products::{dots, gram, predictors, products, sum};
use crate::design::{BLOCK, Blocks};
use crate::simd::{EXP_RANGE, Kernel, Vector, run};
use crate::source::GeneCounts;

/// Which second derivatives a pass adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curvature {
    /// Expected information: what standard errors are made of.
    Expected,
    /// Observed information, and its cross term with the shape.
    Observed,
}

/// Sums over all cells; p columns.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Q'r, r the derivative of each cell's log-likelihood.
    pub score: Vec<f64>,
    /// Q'WQ, lower triangle, row after row.
    pub information: Vec<f64>,
    /// Derivative of the score with respect to log(alpha) ([`Curvature::Observed`]).
    pub cross: Vec<f64>,
    pub cumulant: f64,
    pub mean: f64,
    /// Sum of (log(1 + alpha mu) - s) / alpha, s = alpha mu / (1 + alpha mu).
    pub log_excess: f64,
    /// Sum of s².
    pub saturation2: f64,
    /// Sums over the cells with counts: y eta, y times the cumulant, y s,
    /// y s (1 - s), and y² / mean.
    pub count_predictor: f64,
    pub count_cumulant: f64,
    pub count_saturation: f64,
    pub count_saturation_slope: f64,
    pub count2_over_mean: f64,
}

/// A pass of a gene over a design at coefficients of the design's basis.
pub struct Pass<'a, C> {
    pub blocks: &'a Blocks,
    pub cells: C,
    pub counts: GeneCounts<'a>,
    pub coefficients: &'a [f64],
    pub curvature: Curvature,
}

impl<C: Cells> Pass<'_, C> {
    pub fn sums(self, workspace: &mut Workspace) -> Sums {
        run(Compiled { pass: self, workspace })
    }
}

/// What one block leaves for its counts and its cross products. One a thread.
pub struct Workspace {
    pub(crate) predictor: [f64; BLOCK],
    pub(crate) residual: [f64; BLOCK],
    pub(crate) slope: [f64; BLOCK],
    pub(crate) weight: [f64; BLOCK],
    pub(crate) saturation: [f64; BLOCK],
    pub(crate) cumulant: [f64; BLOCK],
    pub(crate) mean: [f64; BLOCK],
    pub(crate) cross: [f64; BLOCK],
}

impl Workspace {
    pub fn new() -> Self {
        let empty = [0.0; BLOCK];
        Self {
            predictor: empty,
            residual: empty,
            slope: empty,
            weight: empty,
            saturation: empty,
            cumulant: empty,
            mean: empty,
            cross: empty,
        }
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

struct Compiled<'a, C> {
    pass: Pass<'a, C>,
    workspace: &'a mut Workspace,
}

impl<C: Cells> Kernel for Compiled<'_, C> {
    type Output = Sums;

    #[inline(always)]
    fn run<V: Vector>(self) -> Sums {
        let Self { pass, workspace } = self;
        let p = pass.blocks.columns();
        let mut sums = Sums {
            score: vec![0.0; p],
            information: vec![0.0; p * (p + 1) / 2],
            cross: vec![0.0; p],
            ..Sums::default()
        };
        let mut next = 0;
        for (block, (offset, columns)) in pass.blocks.iter().enumerate() {
            shares::<C, V>(pass.cells, offset, columns, pass.coefficients, workspace, &mut sums);
            let end = block * BLOCK + BLOCK;
            while next < pass.counts.cells.len() && (pass.counts.cells[next] as usize) < end {
                let at = pass.counts.cells[next] as usize % BLOCK;
                add_count::<C>(pass.counts.counts[next], at, workspace, &mut sums);
                next += 1;
            }
            if pass.curvature == Curvature::Observed {
                observe(workspace);
                products::<V>(columns, &workspace.cross, &mut sums.cross);
            }
            products::<V>(columns, &workspace.residual, &mut sums.score);
            gram::<V>(columns, &workspace.weight, &mut sums.information);
        }
        sums
    }
}

/// The largest change of a linear predictor that a step of the coefficients
/// makes.
pub fn largest_change(blocks: &Blocks, step: &[f64]) -> f64 {
    let mut largest = 0.0f64;
    for (_, columns) in blocks.iter() {
        let mut change = [0.0; BLOCK];
        for (column, s) in columns.chunks_exact(BLOCK).zip(step) {
            change.iter_mut().zip(column).for_each(|(c, x)| *c += s * x);
        }
        largest = change.iter().fold(largest, |m, c| m.max(c.abs()));
    }
    largest
}

/// The cells' shares at counts of zero, and their sums.
///
/// Loops run over whole blocks and do one thing each: so they compile to vector
/// code.
#[inline(always)]
pub fn shares<C: Cells, V: Vector>(
    cells: C,
    offset: &[f64],
    columns: &[f64],
    coefficients: &[f64],
    workspace: &mut Workspace,
    sums: &mut Sums,
) {
    let w = workspace;
    predictors::<V>(offset, columns, coefficients, &mut w.predictor);
    for i in 0..BLOCK {
        // As far as `exp` goes: else a count would gain what its mean does not cost.
        w.predictor[i] = w.predictor[i].min(EXP_RANGE.1);
        let share = cells.share::<V>(w.predictor[i]);
        w.mean[i] = share.mean;
        w.residual[i] = share.residual;
        w.slope[i] = share.slope;
        w.weight[i] = share.weight;
        w.cumulant[i] = share.cumulant;
        w.saturation[i] = share.saturation;
    }
    sums.cumulant += sum::<V>(&w.cumulant);
    sums.mean += sum::<V>(&w.mean);
    if C::SHAPE {
        for i in 0..BLOCK {
            // The weight is s / alpha.
            w.cross[i] = w.cumulant[i] - w.weight[i];
        }
        sums.log_excess += sum::<V>(&w.cross);
        let mut squares = [0.0];
        dots::<1, V>(&w.saturation, &w.saturation, &mut squares);
        sums.saturation2 += squares[0];
    }
}

/// What a count other than zero changes.
#[inline(always)]
pub fn add_count<C: Cells>(y: f64, at: usize, workspace: &mut Workspace, sums: &mut Sums) {
    let slope = workspace.slope[at];
    workspace.residual[at] += y * slope;
    sums.count_predictor += y * workspace.predictor[at];
    sums.count_cumulant += y * workspace.cumulant[at];
    if C::SHAPE {
        let saturation = y * workspace.saturation[at];
        sums.count_saturation += saturation;
        sums.count_saturation_slope += saturation * slope;
    } else {
        sums.count2_over_mean += y * y / workspace.mean[at];
    }
}

/// Turns expected weights into observed ones: - dr/deta = W + r s, and
/// dr/dlog(alpha) = - r s.
#[inline(always)]
pub fn observe(workspace: &mut Workspace) {
    for i in 0..BLOCK {
        let bend = workspace.residual[i] * workspace.saturation[i];
        workspace.weight[i] += bend;
        workspace.cross[i] = -bend;
    }
}
