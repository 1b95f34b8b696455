use super::{Axis, Entries, Room, Source};
use crate::Result;
use rayon::prelude::*;
use std::ops::Range;

/// Ranges that are held at a time, for each thread.
const RANGES: usize = 8;

/// Some consecutive cells of a source that is stored by cell.
pub struct Piece<'a> {
    parts: Vec<(Range<usize>, Entries<'a>)>,
}

impl<'a> Piece<'a> {
    /// Each cell in increasing order, with its entries.
    pub fn cells(&self) -> impl Iterator<Item = (usize, &'a [u32], &'a [f64])> {
        self.parts.iter().flat_map(|(cells, entries)| {
            let entries = *entries;
            cells.clone().enumerate().map(move |(k, cell)| {
                let (genes, values) = entries.get(k);
                (cell, genes, values)
            })
        })
    }

    /// The same, with the entries of some of the genes alone.
    pub fn cells_within(
        &self,
        genes: Range<usize>,
    ) -> impl Iterator<Item = (usize, &'a [u32], &'a [f64])> {
        let (first, end) = (genes.start as u32, genes.end as u32);
        self.cells().map(move |(cell, genes, values)| {
            let from = genes.partition_point(|&gene| gene < first);
            let to = from + genes[from..].partition_point(|&gene| gene < end);
            (cell, &genes[from..to], &values[from..to])
        })
    }
}

/// Hands out all cells of a source that is stored by cell, in order, piece by piece:
/// each piece is read with the threads of the current pool, so that `visit` can share
/// it out among them by gene. What is summed over cells is then summed in the order of
/// the cells, whatever the number of threads.
///
/// # Errors
/// Those of reading, and of `visit`.
pub fn for_each_piece(
    source: &dyn Source,
    mut visit: impl FnMut(&Piece<'_>) -> Result<()>,
) -> Result<()> {
    debug_assert_eq!(source.axis(), Axis::Cells);
    let ranges = source.ranges();
    let at_once = RANGES * rayon::current_num_threads();
    let mut rooms: Vec<Room> = (0..at_once.min(ranges.len())).map(|_| Room::default()).collect();
    for ranges in ranges.chunks(at_once) {
        let read = ranges.par_iter().zip(&mut rooms).with_max_len(1);
        let parts: Result<Vec<_>> = read
            .map(|(range, room)| Ok((range.clone(), source.read(range.clone(), room)?)))
            .collect();
        visit(&Piece { parts: parts? })?;
    }
    Ok(())
}
