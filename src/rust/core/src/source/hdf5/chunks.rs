use super::btree::{self, Found};
use super::library::{find_chunk, header_address};
use super::{Container, header};
use crate::Result;
use hdf5_metno::Dataset;
use hdf5_metno::plist::file_create::Sizeof;

/// Where the chunks of a dataset are in its file.
///
/// HDF5's library (1.10) looks through all chunks to tell of one, and only one thread at
/// a time may ask it. So the index that files have as a rule, a B-tree of version 1, is
/// read here; the library is asked for those of the newest kinds of file.
#[derive(Debug)]
pub struct Chunks {
    /// Entries of a chunk along each dimension.
    extents: Vec<usize>,
    /// Chunks along each dimension.
    grid: Vec<usize>,
    /// In the order of the rows of the grid.
    places: Vec<Place>,
}

/// A chunk as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub at: u64,
    pub size: u32,
    /// The filters it was not packed with: one bit each.
    pub skipped: u32,
}

/// No chunk is stored here.
const NOWHERE: Place = Place { at: u64::MAX, size: 0, skipped: 0 };

/// Bytes that a chunk takes in a file, with its entry in the index, at the least.
const LEAST: u64 = 8;

/// The library is asked for so many: its time grows with their square.
const MOST_ASKED: usize = 20_000;

impl Chunks {
    /// Of a dataset of some shape, neither of which has a zero.
    ///
    /// # Errors
    /// Where there are more than the file can hold, or their index is damaged.
    pub fn of(
        dataset: &Dataset,
        container: &Container,
        name: &str,
        shape: &[usize],
        extents: Vec<usize>,
    ) -> Result<Self> {
        let refused = |reason: &str| container.refused(name, reason);
        let grid: Vec<usize> =
            shape.iter().zip(&extents).map(|(extent, chunk)| extent.div_ceil(*chunk)).collect();
        let count = grid.iter().try_fold(1usize, |product, &count| product.checked_mul(count));
        let count = count.filter(|&count| count as u64 <= container.bytes.len() / LEAST);
        let count = count.ok_or_else(|| refused("it claims more chunks than the file can hold"))?;
        let mut chunks = Self { extents, grid, places: vec![NOWHERE; count] };
        let sizes = container.file.create_plist().and_then(|created| created.get_sizes());
        let is_common =
            sizes.is_ok_and(|sizes| [sizes.sizeof_addr, sizes.sizeof_size] == [Sizeof::Bytes8; 2]);
        let layout = header_address(dataset)
            .filter(|_| is_common)
            .and_then(|address| header::find_layout(&container.bytes, address));
        match layout.and_then(|layout| layout.tree(shape.len())) {
            Some(root) => {
                let found =
                    btree::each_chunk(&container.bytes, root, shape.len(), count, |found| {
                        chunks.enter(&found)
                    });
                found.map_err(refused)?;
            }
            None if count > MOST_ASKED => {
                return Err(refused(
                    "it is in many chunks, in a kind of file that takes long to read: \
                     `h5repack --high=0` makes one of the common kind",
                ));
            }
            None => {
                for index in 0..count {
                    let place = find_chunk(dataset, &chunks.first_entry(index));
                    chunks.places[index] = place.unwrap_or(NOWHERE);
                }
            }
        }
        Ok(chunks)
    }

    pub fn extents(&self) -> &[usize] {
        &self.extents
    }

    /// The chunk with the entry at `offset`; None where it was never written.
    pub fn place(&self, offset: &[usize]) -> Option<Place> {
        let within = offset.iter().zip(&self.extents).map(|(entry, extent)| entry / extent);
        let index = within.zip(&self.grid).fold(0, |index, (k, count)| index * count + k);
        self.places.get(index).copied().filter(|place| *place != NOWHERE)
    }

    /// False where there is no such chunk, or it is there already.
    fn enter(&mut self, found: &Found) -> bool {
        let mut index = 0;
        for ((&first, &extent), &count) in found.offset.iter().zip(&self.extents).zip(&self.grid) {
            let k = first / extent as u64;
            if first % extent as u64 != 0 || k >= count as u64 {
                return false;
            }
            index = index * count + k as usize;
        }
        let is_new = self.places[index] == NOWHERE;
        self.places[index] = found.place;
        is_new
    }

    fn first_entry(&self, mut index: usize) -> Vec<u64> {
        let mut first = vec![0; self.grid.len()];
        for ((first, &count), &extent) in first.iter_mut().zip(&self.grid).zip(&self.extents).rev()
        {
            *first = (index % count * extent) as u64;
            index /= count;
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Bytes;
    use super::*;
    use hdf5_metno::File;
    use proptest::prelude::*;
    use std::path::{Path, PathBuf};

    /// A dataset in chunks of one to three entries, deep in a tree of the common kind.
    fn write(path: &Path, shape: &[usize], chunk: &[usize], latest: bool) -> Container {
        let mut options = File::with_options();
        if latest {
            options.with_fapl(|fapl| fapl.libver_latest());
        }
        let file = options.create(path).unwrap();
        let dataset = file.new_dataset::<i32>().chunk(chunk).shape(shape).create("x").unwrap();
        let values: Vec<i32> = (0..shape.iter().product::<usize>() as i32).collect();
        dataset.as_writer().write_raw(&values).unwrap();
        drop(dataset);
        file.close().unwrap();
        Container::open(path).unwrap()
    }

    fn places(container: &Container) -> Result<Chunks> {
        let dataset = container.file.dataset("x").unwrap();
        let extents = dataset.chunk().unwrap();
        Chunks::of(&dataset, container, "x", &dataset.shape(), extents)
    }

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.h5");
        (folder, path)
    }

    #[test]
    fn chunks_are_where_the_library_says() {
        let (_folder, path) = scratch();
        let layouts: [(&[usize], &[usize]); 4] =
            [(&[5000], &[1]), (&[200, 41], &[3, 2]), (&[7], &[7]), (&[10], &[4])];
        for (shape, chunk) in layouts {
            for latest in [false, true] {
                let container = write(&path, shape, chunk, latest);
                let chunks = places(&container).unwrap();
                let dataset = container.file.dataset("x").unwrap();
                let count = dataset.num_chunks().unwrap();
                assert_eq!(chunks.places.len(), count);
                for index in 0..count {
                    let told = dataset.chunk_info(index).unwrap();
                    let offset: Vec<usize> = told.offset.iter().map(|&k| k as usize).collect();
                    let Place { at, size, skipped } = chunks.place(&offset).unwrap();
                    assert_eq!((at, u64::from(size)), (told.addr, told.size));
                    assert_eq!(skipped, told.filter_mask);
                }
            }
        }
    }

    #[test]
    fn the_common_index_is_read_without_the_library() {
        let (_folder, path) = scratch();
        let tree = |latest| {
            let container = write(&path, &[200, 41], &[3, 2], latest);
            let address = header_address(&container.file.dataset("x").unwrap()).unwrap();
            header::find_layout(&container.bytes, address).and_then(|layout| layout.tree(2))
        };
        assert!(tree(false).is_some());
        assert_eq!(tree(true), None);
    }

    proptest! {
        #[test]
        fn damage_to_an_index_is_refused_or_leaves_chunks_that_may_be(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)
        ) {
            let (_folder, path) = scratch();
            let container = write(&path, &[200], &[1], false);
            let address = header_address(&container.file.dataset("x").unwrap()).unwrap();
            drop(container);
            let mut bytes = std::fs::read(&path).unwrap();
            for (at, byte) in changes {
                *at.get_mut(&mut bytes) = byte;
            }
            std::fs::write(&path, &bytes).unwrap();
            let bytes = Bytes::of(std::fs::File::open(&path).unwrap()).unwrap();
            let root = header::find_layout(&bytes, address).and_then(|layout| layout.tree(1));
            if let Some(root) = root {
                let mut taken = 0;
                let found = btree::each_chunk(&bytes, root, 1, 200, |_| {
                    taken += 1;
                    true
                });
                prop_assert!(taken <= 64 + 4 * 200, "{found:?}");
            }
        }
    }
}
