//! Counts that come in blocks of cells, put into an HDF5 file one after the other.

use super::{Csc, Entries, Room, Source};
use crate::{Error, Result};
use hdf5_metno as hdf5;
use hdf5_metno::{File, Group, H5Type};
use std::path::Path;

/// The group of the file that [`Compressed`](super::Compressed) finds the counts in.
pub const GROUP: &str = "counts";

/// Values in a chunk.
const CHUNK: usize = 1 << 15;

/// Makes the file at `path`, in place of any of that name, with no cell in it.
///
/// # Errors
/// [`Error::OutputAccess`] where it cannot be written.
pub fn create_stage(path: &Path) -> Result<()> {
    let create = || {
        let group = File::create(path)?.create_group(GROUP)?;
        empty::<u64>(&group, "indptr")?;
        empty::<u32>(&group, "indices")?;
        empty::<f64>(&group, "data")?;
        append(&group, "indptr", &[0u64])
    };
    create().map_err(|error| failed(path, &error))
}

/// Adds a block of cells.
///
/// # Errors
/// [`Error::OutputAccess`] where the file cannot be written.
pub fn stage_cells(path: &Path, block: &Csc<'_>) -> Result<()> {
    let mut room = Room::default();
    let add = |group: &Group, cells: usize, entries: Entries<'_>| {
        let stored = group.dataset("data")?.size();
        let ends = (0..cells).scan(stored, |end, k| {
            *end += entries.get(k).0.len();
            Some(*end as u64)
        });
        append(group, "indptr", &ends.collect::<Vec<_>>())?;
        append(group, "indices", entries.indices())?;
        append(group, "data", entries.values())
    };
    let open = || File::open_rw(path)?.group(GROUP);
    let group = open().map_err(|error| failed(path, &error))?;
    for cells in block.ranges() {
        let entries = block.read(cells.clone(), &mut room)?;
        add(&group, cells.len(), entries).map_err(|error| failed(path, &error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: &hdf5::Error) -> Error {
    Error::OutputAccess { path: path.to_owned(), reason: error.to_string() }
}

fn empty<T: H5Type>(group: &Group, name: &str) -> hdf5::Result<()> {
    group.new_dataset::<T>().chunk(CHUNK).shape(0..).create(name).map(|_| ())
}

fn append<T: H5Type>(group: &Group, name: &str, values: &[T]) -> hdf5::Result<()> {
    let dataset = group.dataset(name)?;
    let before = dataset.size();
    dataset.resize(before + values.len())?;
    dataset.write_slice(values, before..before + values.len())
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Compressed, Container, summarise};
    use super::*;

    #[test]
    fn blocks_of_cells_are_put_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stage.h5");
        let (offsets, rows, values) = ([0, 2, 2, 3, 5], [0, 1, 1, 0, 2], [1.0, 2.0, 3.0, 4.0, 5.0]);
        create_stage(&path).unwrap();
        let block = |cells: std::ops::Range<usize>| {
            let first = offsets[cells.start];
            let own: Vec<i32> =
                offsets[cells.start..=cells.end].iter().map(|offset| offset - first).collect();
            let span = first as usize..offsets[cells.end] as usize;
            stage_cells(&path, &Csc::new(3, &own, &rows[span.clone()], &values[span]).unwrap())
                .unwrap();
        };
        block(0..1);
        block(1..2);
        block(2..4);
        let container = Container::open(&path).unwrap();
        let staged = Compressed::open(&container, GROUP, Axis::Cells, 3, 4).unwrap();
        let whole = Csc::new(3, &offsets, &rows, &values).unwrap();
        assert_eq!(summarise(&staged).unwrap(), summarise(&whole).unwrap());
    }
}
