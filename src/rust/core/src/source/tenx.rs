//! The matrices of 10x Genomics' files, and of those that HDF5Array writes alike: genes x
//! cells by column.

use super::compressed::MOST;
use super::hdf5::{Array, Container};
use super::{Axis, Compressed};
use crate::Result;
use std::path::Path;

/// The matrix in a group: `matrix`, or, as Cell Ranger 2 wrote it, one named after a
/// genome.
///
/// # Errors
/// [`Error::InputFile`](crate::Error::InputFile) where the file is none of HDF5,
/// [`Error::InputData`](crate::Error::InputData) where it has no such matrix, or one that
/// is damaged.
pub fn open_10x(path: &Path, group: &str) -> Result<Compressed> {
    let container = Container::open(path)?;
    let shape = Array::open(&container, &format!("{group}/shape"), 1)?;
    let &[genes, cells] = shape.offsets()?.as_slice() else {
        return Err(shape.refused("it does not hold two numbers"));
    };
    if genes.max(cells) > MOST as u64 {
        return Err(shape.refused(format!("{genes} x {cells} is beyond what can be read")));
    }
    Compressed::open(&container, group, Axis::Cells, genes as usize, cells as usize)
}
