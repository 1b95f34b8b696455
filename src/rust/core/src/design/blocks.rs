use crate::simd::{LANES, Scalar, prefetch};
use rayon::prelude::*;

/// Cells in a block: its columns fit the processor's first cache.
pub const BLOCK: usize = 256;

/// Bytes that come from memory at once.
const LINE: usize = 64;

/// Added cells that fill the last block have this offset, and covariates of
/// zero: their mean is e^-707, which changes no sum.
pub const PADDING: f64 = -800.0;

/// Offset and design, structure of arrays: for each block of cells its offsets,
/// then its values of the first column, of the second, and so on; in double precision,
/// or in single.
pub struct Blocks<T = f64> {
    columns: usize,
    cells: usize,
    data: Vec<T>,
}

impl<T: Scalar> Blocks<T> {
    pub fn bytes(&self) -> usize {
        size_of_val(self.data.as_slice())
    }

    pub fn new(columns: &[Vec<f64>], offset: &[f64]) -> Self {
        const { assert!(BLOCK.is_multiple_of(4 * LANES)) };
        let count = offset.len().div_ceil(BLOCK);
        let stride = (1 + columns.len()) * BLOCK;
        let mut data = vec![T::of(0.0); count * stride];
        let copy = |room: &mut [T], values: &[f64]| {
            room.iter_mut().zip(values).for_each(|(room, &value)| *room = T::of(value));
        };
        let fill = |(block, space): (usize, &mut [T])| {
            let span = block * BLOCK..offset.len().min((block + 1) * BLOCK);
            let (offsets, rest) = space.split_at_mut(BLOCK);
            copy(offsets, &offset[span.clone()]);
            offsets[span.len()..].fill(T::of(PADDING));
            for (column, room) in columns.iter().zip(rest.chunks_exact_mut(BLOCK)) {
                copy(room, &column[span.clone()]);
            }
        };
        data.par_chunks_exact_mut(stride).with_min_len(64).enumerate().for_each(fill);
        Self { columns: columns.len(), cells: offset.len(), data }
    }

    /// The same columns with an offset of zero.
    pub fn without_offset(&self) -> Self {
        let mut data = self.data.clone();
        let stride = (1 + self.columns) * BLOCK;
        for (block, space) in data.chunks_exact_mut(stride).enumerate() {
            space[..BLOCK.min(self.cells - block * BLOCK)].fill(T::of(0.0));
        }
        Self { columns: self.columns, cells: self.cells, data }
    }

    /// Offsets and columns (one after the other) of each block.
    pub fn iter(&self) -> impl Iterator<Item = (&[T], &[T])> {
        let stride = (1 + self.columns) * BLOCK;
        self.data.chunks_exact(stride).map(|block| block.split_at(BLOCK))
    }

    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.cells.div_ceil(BLOCK)
    }

    /// Offsets and columns (one after the other) of a block.
    pub fn block(&self, block: usize) -> (&[T], &[T]) {
        let stride = (1 + self.columns) * BLOCK;
        self.data[block * stride..][..stride].split_at(BLOCK)
    }

    /// Asks for a part, one of so many, of the memory of the block after this one.
    #[inline(always)]
    pub fn fetch_next(&self, block: usize, part: usize, parts: usize) {
        let stride = (1 + self.columns) * BLOCK;
        let line = LINE / size_of::<T>();
        let lines = (stride / line).div_ceil(parts);
        for k in part * lines..(part + 1) * lines {
            prefetch(&self.data, (block + 1) * stride + k * line);
        }
    }

    /// All values, cell after cell.
    pub fn rows(&self) -> Vec<T> {
        let p = self.columns;
        let mut rows = vec![T::of(0.0); self.cells * p];
        for ((_, columns), space) in self.iter().zip(rows.chunks_mut(BLOCK * p)) {
            for (k, column) in columns.chunks_exact(BLOCK).enumerate() {
                for (row, &x) in space.chunks_exact_mut(p).zip(column) {
                    row[k] = x;
                }
            }
        }
        rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Value of a column at a cell.
    pub fn value(&self, cell: usize, column: usize) -> T {
        self.at(cell, 1 + column)
    }

    pub fn offset(&self, cell: usize) -> T {
        self.at(cell, 0)
    }

    fn at(&self, cell: usize, row: usize) -> T {
        let (block, within) = (cell / BLOCK, cell % BLOCK);
        self.data[(block * (1 + self.columns) + row) * BLOCK + within]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_again() {
        let n = BLOCK + 3;
        let offset: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let columns: Vec<Vec<f64>> =
            (1..3).map(|j| offset.iter().map(|o| o * 10.0 + j as f64).collect()).collect();
        let blocks: Blocks = Blocks::new(&columns, &offset);
        for cell in [0, 1, BLOCK - 1, BLOCK, n - 1] {
            assert_eq!(blocks.offset(cell), offset[cell]);
            assert_eq!(blocks.value(cell, 1), columns[1][cell]);
            assert_eq!(blocks.rows()[2 * cell + 1], columns[1][cell]);
        }
        let last = blocks.iter().last().unwrap();
        assert_eq!(last.0[3..], [PADDING; BLOCK - 3]);
        assert_eq!(last.1[BLOCK - 1], 0.0);
    }
}
