//! Pearson's X²: the sum of (y - mu)² / mu, mu with a log link.

use super::pass::Desk;
use crate::design::{BLOCK, Blocks};
use crate::simd::{Kernel, LANES, Vector, exp_of, run};
use crate::source::GeneCounts;

/// By one pass over the cells, at coefficients of the design's basis.
pub fn squared_residuals(blocks: &Blocks, counts: GeneCounts<'_>, coefficients: &[f64]) -> f64 {
    run(Residuals { blocks, counts, coefficients })
}

struct Residuals<'a> {
    blocks: &'a Blocks,
    counts: GeneCounts<'a>,
    coefficients: &'a [f64],
}

impl Kernel for Residuals<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut desk = Desk::new();
        let (mut sum, mut next) = (0.0, 0);
        for block in 0..self.blocks.len() {
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
