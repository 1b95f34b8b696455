use super::hdf5::{Array, Buffers, Container};
use super::{Axis, Entries, RANGE_ENTRIES, Room, Source, cut};
use crate::Result;
use crate::simd::{Kernel, Vector, run};
use std::ops::Range;
use std::path::Path;

/// Rows or columns of a matrix, at most: what R can count.
pub const MOST: usize = i32::MAX as usize;

/// A compressed sparse matrix in a file: `indptr`, `indices` and `data`, as AnnData, 10x
/// Genomics and HDF5Array write them.
#[derive(Debug)]
pub struct Compressed {
    axis: Axis,
    genes: usize,
    cells: usize,
    /// Where the entries of each cell (or gene) begin.
    starts: Vec<u64>,
    indices: Array,
    data: Array,
}

/// The matrix in a group of a file that says nothing else of it.
///
/// # Errors
/// As [`Compressed::open`], and where the file is none of HDF5.
pub fn open_compressed(
    path: &Path,
    group: &str,
    axis: Axis,
    genes: usize,
    cells: usize,
) -> Result<Compressed> {
    Compressed::open(&Container::open(path)?, group, axis, genes, cells)
}

impl Compressed {
    /// The matrix in a group, of genes x cells.
    ///
    /// # Errors
    /// Where a dataset is missing or not of the numbers it must hold, and where their
    /// lengths, or the offsets, do not fit the shape, or the shape does not fit the file.
    pub fn open(
        container: &Container,
        group: &str,
        axis: Axis,
        genes: usize,
        cells: usize,
    ) -> Result<Self> {
        container.check_extents(group, genes, cells)?;
        let open = |name: &str| Array::open(container, &format!("{group}/{name}"), 1);
        let (indptr, indices, data) = (open("indptr")?, open("indices")?, open("data")?);
        for array in [&indptr, &indices] {
            if !array.number().is_integer() {
                return Err(array.refused("it must hold whole numbers"));
            }
        }
        let (count, of) = match axis {
            Axis::Cells => (cells, "cells"),
            Axis::Genes => (genes, "genes"),
        };
        let stored = data.shape()[0];
        if indptr.shape()[0] != count + 1 {
            let found = indptr.shape()[0];
            return Err(indptr.refused(format!(
                "it has {found} entries, but there are {count} {of}, which need {}",
                count + 1
            )));
        }
        if indices.shape()[0] != stored {
            let found = indices.shape()[0];
            return Err(indices.refused(format!("it has {found} entries, and data has {stored}")));
        }
        let starts = indptr.offsets()?;
        if starts.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(indptr.refused("its offsets decrease, or are negative"));
        }
        if starts[0] != 0 || starts[count] != stored as u64 {
            let (first, last) = (starts[0], starts[count]);
            return Err(indptr.refused(format!(
                "its offsets go from {first} to {last}, but data from 0 to {stored}"
            )));
        }
        Ok(Self { axis, genes, cells, starts, indices, data })
    }

    /// That the indices of each cell (or gene) increase and are in range.
    fn check(&self, range: &Range<usize>, entries: &Entries<'_>) -> Result<()> {
        let (own, other, below) = match self.axis {
            Axis::Cells => ("cell", "genes", self.genes),
            Axis::Genes => ("gene", "cells", self.cells),
        };
        if run(Sound { entries, below }) {
            return Ok(());
        }
        for k in 0..entries.len() {
            let (indices, _) = entries.get(k);
            let place = range.start + k + 1;
            if indices.iter().max().is_some_and(|&highest| highest as usize >= below) {
                return Err(self.indices.refused(format!(
                    "{own} {place} (counted from 1) has an entry outside of its {below} {other}"
                )));
            }
            if indices.windows(2).any(|pair| pair[0] >= pair[1]) {
                let twice = indices.windows(2).any(|pair| pair[0] == pair[1]);
                let wrong = if twice { "an index twice" } else { "indices that do not increase" };
                return Err(self.indices.refused(format!(
                    "{own} {place} (counted from 1) has {wrong}; in Python, \
                     X.sum_duplicates() puts both right"
                )));
            }
        }
        Ok(())
    }
}

/// Whether indices increase and are below a number. Without branches: as a rule there is
/// nothing to be found.
struct Sound<'a> {
    entries: &'a Entries<'a>,
    below: usize,
}

impl Kernel for Sound<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let Self { entries, below } = self;
        let highest = entries.indices().iter().fold(0, |highest, &index| highest.max(index));
        let fall = |indices: &[u32]| {
            indices.windows(2).fold(false, |falls, pair| falls | (pair[0] >= pair[1]))
        };
        let in_range = (highest as usize) < below || entries.indices().is_empty();
        in_range && !(0..entries.len()).any(|k| fall(entries.get(k).0))
    }
}

impl Source for Compressed {
    fn genes(&self) -> usize {
        self.genes
    }

    fn cells(&self) -> usize {
        self.cells
    }

    fn axis(&self) -> Axis {
        self.axis
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        cut(|k| self.starts[k] as usize, self.starts.len() - 1, RANGE_ENTRIES)
    }

    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
        let starts = &self.starts[range.start..=range.end];
        let span = starts[0] as usize..starts[range.len()] as usize;
        room.starts.clear();
        room.starts.extend(starts.iter().map(|&start| start as usize - span.start));
        room.indices.clear();
        room.values.clear();
        let [of_indices, of_data]: &mut [Buffers; 2] = &mut room.buffers;
        self.indices.indices(span.clone(), of_indices, &mut room.indices)?;
        self.data.doubles(span, of_data, &mut room.values)?;
        let entries = room.entries();
        self.check(&range, &entries)?;
        Ok(entries)
    }
}
