//! The perturbed cells' rows of the design, gathered once and read for every
//! gene.

use crate::design::{BLOCK, PADDING};
use crate::simd::LANES;

/// Offsets and design of some cells, structure of arrays: chunks of up to
/// [`BLOCK`] cells, each with its offsets, then its values of the first column,
/// of the second, and so on. The last chunk is padded to a multiple of [`LANES`]
/// with cells whose mean is zero.
#[derive(Debug, Default)]
pub struct Rows {
    columns: usize,
    cells: Vec<u32>,
    data: Vec<f64>,
    sizes: Vec<f64>,
}

impl Rows {
    /// `row` writes a cell's values of the columns and returns its offset.
    pub fn gather(
        cells: Vec<u32>,
        columns: usize,
        mut row: impl FnMut(u32, &mut [f64]) -> f64,
    ) -> Self {
        let padded = cells.len().next_multiple_of(LANES);
        let mut data = Vec::with_capacity(padded * (1 + columns));
        let mut values = vec![0.0; columns];
        for chunk in cells.chunks(BLOCK) {
            let length = chunk.len().next_multiple_of(LANES);
            let start = data.len();
            data.resize(start + length * (1 + columns), 0.0);
            let space = &mut data[start..];
            space[..length].fill(PADDING);
            for (at, &cell) in chunk.iter().enumerate() {
                space[at] = row(cell, &mut values);
                for (k, value) in values.iter().enumerate() {
                    space[(1 + k) * length + at] = *value;
                }
            }
        }
        Self { columns, cells, data, sizes: vec![] }
    }

    pub fn cells(&self) -> &[u32] {
        &self.cells
    }

    /// Offsets and columns (one after the other) of each chunk.
    pub fn chunks(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        let width = 1 + self.columns;
        self.data.chunks(width * BLOCK).map(move |chunk| chunk.split_at(chunk.len() / width))
    }

    /// Computes [`Rows::sizes`].
    pub fn with_sizes(mut self) -> Self {
        let offsets = self.chunks().flat_map(|(offset, _)| offset);
        self.sizes = offsets.map(|&o| if o == PADDING { 0.0 } else { o.exp() }).collect();
        self
    }

    /// exp(offset) of each cell, and zero in the padding; empty unless computed.
    pub fn sizes(&self) -> &[f64] {
        &self.sizes
    }

    /// These cells' values of something that every cell has; zero in the padding.
    pub fn pick(&self, all: &[f64], picked: &mut Vec<f64>) {
        picked.clear();
        picked.extend(self.cells.iter().map(|&cell| all[cell as usize]));
        picked.resize(self.cells.len().next_multiple_of(LANES), 0.0);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        8 * (self.data.len() + self.sizes.len()) + 4 * self.cells.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_row_and_padding_has_no_mean() {
        for count in [0, 1, 8, BLOCK, BLOCK + 1, 2 * BLOCK + 13] {
            let cells: Vec<u32> = (0..count as u32).map(|i| 3 * i).collect();
            let rows = Rows::gather(cells, 2, |cell, values| {
                values.copy_from_slice(&[f64::from(cell) + 0.25, f64::from(cell) + 0.5]);
                f64::from(cell)
            });
            let (mut offsets, mut columns) = (vec![], [vec![], vec![]]);
            for (offset, rest) in rows.chunks() {
                assert!(offset.len().is_multiple_of(LANES));
                offsets.extend_from_slice(offset);
                for (all, column) in columns.iter_mut().zip(rest.chunks_exact(offset.len())) {
                    all.extend_from_slice(column);
                }
            }
            assert_eq!(offsets.len(), count.next_multiple_of(LANES));
            for (at, &cell) in rows.cells().iter().enumerate() {
                assert_eq!(offsets[at], f64::from(cell));
                assert_eq!(columns[0][at], f64::from(cell) + 0.25);
                assert_eq!(columns[1][at], f64::from(cell) + 0.5);
            }
            assert!(offsets[count..].iter().all(|&o| o == PADDING));
        }
    }
}
