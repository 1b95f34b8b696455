//! Where counts come from: a [`Source`] hands out its entries as they are stored,
//! [`gene_blocks`] those of one gene after the other, whatever they are stored in.

mod blocks;
mod checks;
mod compressed;
mod csc;
mod dense;
mod divided;
pub mod frame;
mod h5ad;
mod hdf5;
mod mtx;
mod pieces;
mod rooms;
mod scratch;
mod selected;
mod simulate;
mod stage;
mod tenx;
mod watched;

pub use blocks::{GeneBlock, GeneCounts, capacity, gene_blocks};
pub(crate) use blocks::{count_stored, shares, span};
pub use checks::{CountKind, Summary, check_counts, summarise};
pub use compressed::{Compressed, open_compressed};
pub use csc::Csc;
pub use dense::{Dense, open_dense};
pub use divided::Divided;
pub use h5ad::open_h5ad;
pub use hdf5::{Container, Limits, rehearse, unheard};
pub use mtx::{Features, MtxFiles, find_mtx, read_mtx};
pub use pieces::{Piece, for_each_piece};
pub(crate) use rooms::Rooms;
pub use scratch::{Scratch, ScratchWriter, transpose};
pub use selected::Selected;
pub use simulate::{SimulatedCounts, Simulation, simulate_counts};
pub use stage::{GROUP, create_stage, stage_cells};
pub use tenx::open_10x;
pub use watched::Watched;

use crate::Result;
use std::ops::Range;

/// What the entries of a source lie together by, in increasing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Cells,
    Genes,
}

/// Counts of genes x cells that are stored along one of the two, in memory or in a
/// file. Reading takes `&self`, so that threads read side by side.
pub trait Source: Sync {
    fn genes(&self) -> usize;

    fn cells(&self) -> usize;

    fn axis(&self) -> Axis;

    /// The whole axis, cut into consecutive ranges that are good to read at once:
    /// of some [`RANGE_ENTRIES`] entries, where no single cell (or gene) has more.
    fn ranges(&self) -> Vec<Range<usize>>;

    /// The entries of one of those ranges, or of a part of it. Stored zeros may be
    /// among them.
    ///
    /// # Errors
    /// Where a file cannot be read, or holds what it must not.
    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>>;
}

/// What a range of a source holds, as a rule: at 12 bytes each, as much as stays in
/// a core's own cache.
pub const RANGE_ENTRIES: usize = 1 << 16;

/// A thread's memory to read into, used again for the next range.
#[derive(Debug, Default)]
pub struct Room {
    pub starts: Vec<usize>,
    pub indices: Vec<u32>,
    pub values: Vec<f64>,
    /// Values on their way from a file that holds them so.
    single: Vec<f32>,
    /// Of a source within another.
    inner: Option<Box<Room>>,
    /// Of files: what is stored, and rows of dense matrices.
    buffers: [hdf5::Buffers; 2],
    dense: Vec<f64>,
}

impl Room {
    /// For the entries of a range to be added, one cell (or gene) after the other.
    pub fn clear(&mut self) {
        self.starts.clear();
        self.starts.push(0);
        self.indices.clear();
        self.values.clear();
    }

    /// What was read into it.
    pub fn entries(&self) -> Entries<'_> {
        Entries { starts: &self.starts, indices: &self.indices, values: &self.values }
    }
}

/// The entries of some consecutive cells (or genes): of the k-th those from
/// `starts[k]` to `starts[k + 1]`, with their genes (or cells), strictly increasing
/// and in range.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    starts: &'a [usize],
    indices: &'a [u32],
    values: &'a [f64],
}

impl<'a> Entries<'a> {
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries of the k-th cell (or gene).
    pub fn get(&self, k: usize) -> (&'a [u32], &'a [f64]) {
        let span = self.starts[k]..self.starts[k + 1];
        (&self.indices[span.clone()], &self.values[span])
    }

    /// The genes (or cells) of all of them, one after the other.
    pub fn indices(&self) -> &'a [u32] {
        self.indices
    }

    /// The values of all of them, one after the other.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }
}

/// Cuts `0..starts.len() - 1` into ranges of up to `size` entries, but of one index at
/// least.
pub(crate) fn cut(starts: impl Fn(usize) -> usize, count: usize, size: usize) -> Vec<Range<usize>> {
    let mut ranges = vec![];
    let mut from = 0;
    while from < count {
        let fits = |to: usize| starts(to) - starts(from) <= size;
        let (mut last, mut beyond) = (from + 1, count + 1);
        while beyond - last > 1 {
            let middle = last + (beyond - last) / 2;
            if fits(middle) { last = middle } else { beyond = middle }
        }
        ranges.push(from..last);
        from = last;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A compressed matrix, of which a source is made by saying what its axis is.
    pub struct Matrix {
        pub other: usize,
        pub starts: Vec<usize>,
        pub indices: Vec<u32>,
        pub values: Vec<f64>,
    }

    pub struct Stored<'a> {
        pub matrix: &'a Matrix,
        pub axis: Axis,
    }

    /// 4 genes x 3 cells, by cell; the second gene has a stored zero and nothing else.
    pub fn example() -> Matrix {
        Matrix {
            other: 4,
            starts: vec![0, 3, 4, 6],
            indices: vec![0, 1, 3, 3, 0, 2],
            values: vec![5.0, 0.0, 2.0, 7.0, 1.0, 4.0],
        }
    }

    impl Matrix {
        /// The same, along the other axis.
        pub fn turned(&self) -> Self {
            let count = self.starts.len() - 1;
            let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
            for index in 0..self.other as u32 {
                for k in 0..count {
                    for at in self.starts[k]..self.starts[k + 1] {
                        if self.indices[at] == index {
                            indices.push(k as u32);
                            values.push(self.values[at]);
                        }
                    }
                }
                starts.push(indices.len());
            }
            Self { other: count, starts, indices, values }
        }
    }

    impl Source for Stored<'_> {
        fn genes(&self) -> usize {
            match self.axis {
                Axis::Cells => self.matrix.other,
                Axis::Genes => self.matrix.starts.len() - 1,
            }
        }

        fn cells(&self) -> usize {
            match self.axis {
                Axis::Cells => self.matrix.starts.len() - 1,
                Axis::Genes => self.matrix.other,
            }
        }

        fn axis(&self) -> Axis {
            self.axis
        }

        fn ranges(&self) -> Vec<Range<usize>> {
            cut(|k| self.matrix.starts[k], self.matrix.starts.len() - 1, 2)
        }

        fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
            let Matrix { starts, indices, values, .. } = self.matrix;
            let span = starts[range.start]..starts[range.end];
            room.starts.clear();
            let own = starts[range.start..=range.end].iter();
            room.starts.extend(own.map(|start| start - span.start));
            room.indices.clear();
            room.indices.extend_from_slice(&indices[span.clone()]);
            room.values.clear();
            room.values.extend_from_slice(&values[span]);
            Ok(room.entries())
        }
    }

    #[test]
    fn an_axis_is_cut_into_ranges_of_no_more_than_asked() {
        let starts = [0, 5, 5, 6, 9, 9, 9, 20, 21];
        let cut = |size| cut(|k| starts[k], 8, size);
        assert_eq!(cut(6), [0..3, 3..6, 6..7, 7..8]);
        assert_eq!(cut(0), [0..1, 1..2, 2..3, 3..4, 4..6, 6..7, 7..8]);
        assert_eq!(cut(100).len(), 1);
    }
}
