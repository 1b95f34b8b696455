//! The two calls that hand out a chunk as it is stored: `hdf5-metno` has none.

#![allow(unsafe_code)]

use hdf5_metno::Dataset;
use hdf5_metno::sync::sync;
use hdf5_metno_sys::h5::{herr_t, hsize_t};
use hdf5_metno_sys::h5d::H5Dread_chunk1;
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5p::H5P_DEFAULT;

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
