use super::compressed::MOST;
use super::hdf5::{Array, Container};
use super::{Axis, Entries, RANGE_ENTRIES, Room, Source};
use crate::Result;
use std::ops::Range;
use std::path::Path;

/// A dense matrix in a file, of cells x genes as AnnData writes it (which R sees as genes
/// x cells).
#[derive(Debug)]
pub struct Dense {
    array: Array,
}

/// Values of a row that are read at once, whatever else: 128 MB.
const WIDEST: usize = 1 << 24;

/// A dataset of cells x genes of any HDF5 file.
///
/// # Errors
/// As [`Dense::open`], and where the file is none of HDF5.
pub fn open_dense(path: &Path, name: &str) -> Result<Dense> {
    Dense::open(&Container::open(path)?, name)
}

impl Dense {
    /// # Errors
    /// Where it is not a matrix of numbers.
    pub fn open(container: &Container, name: &str) -> Result<Self> {
        let array = Array::open(container, name, 2)?;
        container.check_extents(name, array.shape()[1], array.shape()[0])?;
        match array.shape()[1] > WIDEST || array.shape()[0] > MOST {
            true => Err(array.refused("it has more rows or columns than can be read")),
            false => Ok(Self { array }),
        }
    }
}

impl Source for Dense {
    fn genes(&self) -> usize {
        self.array.shape()[1]
    }

    fn cells(&self) -> usize {
        self.array.shape()[0]
    }

    fn axis(&self) -> Axis {
        Axis::Cells
    }

    /// Of whole chunks, so that none is unpacked twice, where these are not too high.
    fn ranges(&self) -> Vec<Range<usize>> {
        let (cells, genes) = (self.cells(), self.genes());
        let fitting = (RANGE_ENTRIES / genes.max(1)).max(1);
        let together = self.array.rows_together();
        let rows = match together.saturating_mul(genes) <= WIDEST {
            true => fitting.next_multiple_of(together),
            false => fitting,
        };
        (0..cells).step_by(rows).map(|from| from..cells.min(from + rows)).collect()
    }

    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
        let mut dense = std::mem::take(&mut room.dense);
        dense.clear();
        self.array.rows(range.clone(), &mut room.buffers[0], &mut dense)?;
        room.clear();
        let genes = self.genes();
        for k in 0..range.len() {
            let row = &dense[k * genes..(k + 1) * genes];
            for (gene, &value) in row.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                room.indices.push(gene as u32);
                room.values.push(value);
            }
            room.starts.push(room.indices.len());
        }
        room.dense = dense;
        Ok(room.entries())
    }
}
