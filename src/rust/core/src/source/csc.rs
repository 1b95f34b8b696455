use super::{Axis, Entries, RANGE_ENTRIES, Room, Source, cut};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// A borrowed compressed sparse column matrix: the slots of R's dgCMatrix.
#[derive(Clone, Copy, Debug)]
pub struct Csc<'a> {
    nrow: usize,
    offsets: &'a [i32],
    rows: &'a [i32],
    values: &'a [f64],
}

impl<'a> Csc<'a> {
    /// Borrows the slots after checking every invariant that indexing relies on,
    /// with the threads of the current pool.
    ///
    /// # Errors
    /// [`Error::Sparse`] where the slots disagree, a row is out of range, or the
    /// rows of a column do not increase strictly.
    pub fn new(
        nrow: usize,
        offsets: &'a [i32],
        rows: &'a [i32],
        values: &'a [f64],
    ) -> Result<Self> {
        let Some((&first, &last)) = offsets.first().zip(offsets.last()) else {
            return Err(Error::Sparse("no column offsets"));
        };
        if first != 0 || last as usize != rows.len() || rows.len() != values.len() {
            return Err(Error::Sparse("lengths of i, p and x disagree"));
        }
        if offsets.windows(2).any(|w| w[0] > w[1]) {
            return Err(Error::Sparse("column offsets decrease"));
        }
        let matrix = Self { nrow, offsets, rows, values };
        let check = |column: usize| {
            let (rows, _) = matrix.column(column);
            if rows.windows(2).any(|w| w[0] >= w[1]) {
                return Err(Error::Sparse("the rows of a column do not increase"));
            }
            // Of an increasing sequence the ends tell.
            let ends = rows.first().into_iter().chain(rows.last());
            match ends.into_iter().all(|&r| r >= 0 && (r as usize) < nrow) {
                true => Ok(()),
                false => Err(Error::Sparse("row index out of range")),
            }
        };
        (0..matrix.ncol()).into_par_iter().with_min_len(1024).try_for_each(check)?;
        Ok(matrix)
    }

    pub fn nrow(&self) -> usize {
        self.nrow
    }

    pub fn ncol(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Row indices and values stored in one column.
    pub fn column(&self, j: usize) -> (&'a [i32], &'a [f64]) {
        let span = self.offsets[j] as usize..self.offsets[j + 1] as usize;
        (&self.rows[span.clone()], &self.values[span])
    }
}

impl Source for Csc<'_> {
    fn genes(&self) -> usize {
        self.nrow
    }

    fn cells(&self) -> usize {
        self.ncol()
    }

    fn axis(&self) -> Axis {
        Axis::Cells
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        cut(|column| self.offsets[column] as usize, self.ncol(), RANGE_ENTRIES)
    }

    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
        let offsets = &self.offsets[range.start..=range.end];
        let span = offsets[0] as usize..offsets[range.len()] as usize;
        room.starts.clear();
        room.starts.extend(offsets.iter().map(|&offset| offset as usize - span.start));
        // Rows were found to be in range, hence not negative.
        let indices = bytemuck::cast_slice(&self.rows[span.clone()]);
        Ok(Entries { starts: &room.starts, indices, values: &self.values[span] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_slots_that_disagree() {
        let refused = |rows: &[i32], offsets: &[i32]| {
            Csc::new(3, offsets, rows, &vec![1.0; rows.len()]).unwrap_err()
        };
        assert_eq!(refused(&[3], &[0, 1]), Error::Sparse("row index out of range"));
        assert_eq!(refused(&[-1], &[0, 1]), Error::Sparse("row index out of range"));
        assert_eq!(refused(&[0], &[0, 2]), Error::Sparse("lengths of i, p and x disagree"));
        assert_eq!(refused(&[0, 1], &[0, 2, 1, 2]), Error::Sparse("column offsets decrease"));
        let unsorted = Error::Sparse("the rows of a column do not increase");
        assert_eq!(refused(&[1, 0], &[0, 2]), unsorted);
        assert_eq!(refused(&[1, 1], &[0, 2]), unsorted);
        assert_eq!(refused(&[], &[]), Error::Sparse("no column offsets"));
    }

    #[test]
    fn reads_columns() {
        let m = Csc::new(3, &[0, 2, 2, 3], &[0, 2, 1], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(m.column(0), (&[0, 2][..], &[1.0, 2.0][..]));
        assert_eq!(m.column(1), (&[][..], &[][..]));
        assert_eq!((m.nrow(), m.ncol()), (3, 3));
    }
}
