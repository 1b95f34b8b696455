//! Some of the cells, evenly spread, in the basis of all of them: what a first
//! look at a gene is taken at.

use super::Blocks;
use crate::source::GeneCounts;

/// One cell in so many is kept.
const STRIDE: usize = 4;
/// Fewer cells than this are not worth a look.
const FEWEST: usize = 1024;

/// Every fourth cell of a design.
pub struct Thinned {
    blocks: Blocks,
    /// Largest square of each column of the basis.
    reach: Vec<f64>,
    /// The same of these cells.
    thinned: Option<Box<Thinned>>,
}

impl Thinned {
    /// None where too few cells would be left.
    pub fn of(q: &[Vec<f64>], offset: &[f64]) -> Option<Self> {
        if offset.len() < STRIDE * FEWEST {
            return None;
        }
        let some = |all: &[f64]| -> Vec<f64> { all.iter().copied().step_by(STRIDE).collect() };
        let columns: Vec<Vec<f64>> = q.iter().map(|column| some(column)).collect();
        let offset = some(offset);
        let square = |column: &Vec<f64>| column.iter().fold(0.0f64, |m, x| m.max(x * x));
        Some(Self {
            reach: q.iter().map(square).collect(),
            blocks: Blocks::new(&columns, &offset),
            thinned: Self::of(&columns, &offset).map(Box::new),
        })
    }

    pub fn without_offset(&self) -> Self {
        Self {
            blocks: self.blocks.without_offset(),
            reach: self.reach.clone(),
            thinned: self.thinned.as_ref().map(|thinned| Box::new(thinned.without_offset())),
        }
    }

    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    pub fn reach(&self) -> &[f64] {
        &self.reach
    }

    pub fn thinned(&self) -> Option<&Thinned> {
        self.thinned.as_deref()
    }

    pub fn bytes(&self) -> usize {
        self.blocks.bytes() + self.thinned().map_or(0, Self::bytes)
    }

    /// A gene's counts in these cells, of those in the cells that they were taken of.
    pub fn counts(&self, counts: GeneCounts<'_>) -> (Vec<u32>, Vec<f64>) {
        let all = counts.cells.iter().zip(counts.counts);
        let kept = all.filter(|(cell, _)| (**cell as usize).is_multiple_of(STRIDE));
        kept.map(|(&cell, &count)| (cell / STRIDE as u32, count)).unzip()
    }
}
