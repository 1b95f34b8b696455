//! What a first look at a gene is taken at: the cells in single precision, all of
//! them, a quarter of them, evenly spread, a quarter of these, and so on, in the basis of
//! all of them.

use super::Blocks;

/// Of a thinned design, one cell in so many is kept.
const STRIDE: usize = 4;
/// Fewer cells than this are not worth a look.
const FEWEST: usize = 1024;

/// All cells of a design, or every fourth of a larger one.
pub struct Rough {
    /// Of the cells of the larger one, one in so many.
    stride: usize,
    blocks: Blocks<f32>,
    thinned: Option<Box<Rough>>,
}

impl Rough {
    /// All cells; none where they are too few.
    pub fn of(q: &[Vec<f64>], offset: &[f64]) -> Option<Self> {
        (offset.len() >= FEWEST).then(|| Self {
            stride: 1,
            blocks: Blocks::new(q, offset),
            thinned: Self::thin(q, offset).map(Box::new),
        })
    }

    fn thin(q: &[Vec<f64>], offset: &[f64]) -> Option<Self> {
        let some = |all: &[f64]| -> Vec<f64> { all.iter().copied().step_by(STRIDE).collect() };
        (offset.len() >= STRIDE * FEWEST).then(|| {
            let columns: Vec<Vec<f64>> = q.iter().map(|column| some(column)).collect();
            let offset = some(offset);
            Self {
                stride: STRIDE,
                blocks: Blocks::new(&columns, &offset),
                thinned: Self::thin(&columns, &offset).map(Box::new),
            }
        })
    }

    pub fn without_offset(&self) -> Self {
        Self {
            stride: self.stride,
            blocks: self.blocks.without_offset(),
            thinned: self.thinned.as_ref().map(|thinned| Box::new(thinned.without_offset())),
        }
    }

    pub fn blocks(&self) -> &Blocks<f32> {
        &self.blocks
    }

    /// Of the cells of the larger design one in so many is here: in that of all cells, one.
    pub fn stride(&self) -> usize {
        self.stride
    }

    pub fn thinned(&self) -> Option<&Rough> {
        self.thinned.as_deref()
    }

    pub fn bytes(&self) -> usize {
        self.blocks.bytes() + self.thinned().map_or(0, Self::bytes)
    }
}
