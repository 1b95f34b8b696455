//! Pearson's X²: the sum of (y - mu)² / mu, mu with a log link.

use super::job::Job;
use super::pass::Desk;
use crate::design::{BLOCK, Blocks, Collapsed, Condensed};
use crate::simd::{Kernel, LANES, Vector, exp_of, run};
use crate::source::GeneCounts;

/// By one pass over the cells, or over the nodes of a collapsed design, at coefficients of
/// the design's basis.
pub fn squared_residuals(job: &Job<'_>, coefficients: &[f64]) -> f64 {
    let Job { design, counts, total, .. } = *job;
    match (design.collapsed(), &job.condensed) {
        (Some(collapsed), Some(Condensed { squares: Some(squares), .. })) => {
            run(OfNodes { collapsed, squares, coefficients }) - 2.0 * total
        }
        _ => run(OfCells { blocks: design.blocks(), counts, coefficients }),
    }
}

/// The sum over all cells.
struct OfCells<'a> {
    blocks: &'a Blocks,
    counts: GeneCounts<'a>,
    coefficients: &'a [f64],
}

impl Kernel for OfCells<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut desk = Desk::new();
        let (mut sum, mut next) = (0.0, 0);
        for block in 0..self.blocks.count() {
            let from = desk.lay(self.counts, block, &mut next);
            desk.predict::<V>(self.blocks, block, self.coefficients);
            let mut part = V::zero();
            for group in 0..BLOCK / LANES {
                let (y, eta) = desk.cell::<V>(group);
                let mean = exp_of(eta);
                let residual = y.minus(mean);
                part = part.plus(residual.times(residual).over(mean));
            }
            sum += part.total();
            desk.clear(&self.counts.cells[from..next]);
        }
        sum
    }
}

/// The sum over all cells of mu + y² / mu.
struct OfNodes<'a> {
    collapsed: &'a Collapsed,
    squares: &'a [f64],
    coefficients: &'a [f64],
}

impl Kernel for OfNodes<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let blocks = self.collapsed.blocks();
        let mut desk = Desk::new();
        let mut sum = 0.0;
        let nodes = self.collapsed.weights().chunks_exact(BLOCK).zip(self.squares.chunks(BLOCK));
        for (block, (weights, squares)) in nodes.enumerate() {
            desk.predict::<V>(blocks, block, self.coefficients);
            let mut part = V::zero();
            for group in 0..BLOCK / LANES {
                let (_, eta) = desk.cell::<V>(group);
                let mean = exp_of(eta);
                part = mean.times_plus(V::load(weights, group), part);
                part = part.plus(V::load(squares, group).over(mean));
            }
            sum += part.total();
        }
        sum
    }
}
