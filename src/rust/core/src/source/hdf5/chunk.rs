//! The calls that hand out values as they are stored: `hdf5-metno` has none.

#![allow(unsafe_code)]

use hdf5_metno::Dataset;
use hdf5_metno::sync::sync;
use hdf5_metno_sys::h5::{herr_t, hsize_t};
use hdf5_metno_sys::h5d::{H5Dread, H5Dread_chunk1};
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5p::H5P_DEFAULT;
use hdf5_metno_sys::h5s::H5S_ALL;

unsafe extern "C" {
    fn H5Dget_chunk_storage_size(
        dataset: hid_t,
        offset: *const hsize_t,
        size: *mut hsize_t,
    ) -> herr_t;
}

/// Reads the chunk whose first element is at `offset`, still packed, and returns which
/// filters it was not packed with. None where there is none, or its size is more than
/// `most`.
pub fn read_chunk(dataset: &Dataset, offset: &[u64], most: u64, out: &mut Vec<u8>) -> Option<u32> {
    if offset.len() != dataset.ndim() {
        return None;
    }
    sync(|| {
        let mut size: hsize_t = 0;
        // SAFETY: the library's lock is held; the dataset is open, and `offset` has as
        // many entries as it has dimensions.
        let failed =
            unsafe { H5Dget_chunk_storage_size(dataset.id(), offset.as_ptr(), &mut size) } < 0;
        if failed || size == 0 || size > most {
            return None;
        }
        // What it is filled up with is overwritten.
        out.resize(usize::try_from(size).ok()?, 0);
        let mut skipped = 0;
        // SAFETY: as above; `out` has the bytes that the chunk is stored in, and nobody
        // else can have changed the chunk since, for the lock is still held.
        let failed = unsafe {
            H5Dread_chunk1(
                dataset.id(),
                H5P_DEFAULT,
                offset.as_ptr(),
                &mut skipped,
                out.as_mut_ptr().cast(),
            )
        } < 0;
        (!failed).then_some(skipped)
    })
}

/// Reads a whole dataset without converting it: `bytes` is what its values take.
pub fn read_all(dataset: &Dataset, bytes: usize) -> hdf5_metno::Result<Vec<u8>> {
    let stored = dataset.dtype()?;
    let count = dataset
        .get_shape()?
        .iter()
        .try_fold(stored.size(), |product, &extent| product.checked_mul(extent));
    if count != Some(bytes) {
        return Err("its values are not of their size".into());
    }
    let mut out = vec![0; bytes];
    sync(|| {
        // SAFETY: the library's lock is held; the dataset and its type are open, and `out`
        // has the bytes that all of its values take in that type.
        let failed = unsafe {
            H5Dread(
                dataset.id(),
                stored.id(),
                H5S_ALL,
                H5S_ALL,
                H5P_DEFAULT,
                out.as_mut_ptr().cast(),
            )
        } < 0;
        if failed { Err("its values cannot be read".into()) } else { Ok(out) }
    })
}
