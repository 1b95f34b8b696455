//! What the library of HDF5 tells of datasets and groups, where `hdf5-metno` does not ask it.

#![allow(unsafe_code)]

use super::chunks::Place;
use hdf5_metno::sync::sync;
use hdf5_metno::{Dataset, Location};
use hdf5_metno_sys::h5::{herr_t, hsize_t};
use hdf5_metno_sys::h5a::H5Aexists;
use hdf5_metno_sys::h5d::{H5Dget_chunk_info_by_coord, H5Dread};
use hdf5_metno_sys::h5e::{H5E_DEFAULT, H5E_auto2_t, H5Eget_auto2, H5Eset_auto2};
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::h5p::H5P_DEFAULT;
use hdf5_metno_sys::h5s::H5S_ALL;
use std::ffi::{CString, c_uint, c_ulong, c_void};
use std::ptr::null_mut;

unsafe extern "C" {
    /// From 1.10.3 on, though `hdf5-metno-sys` has it for some releases alone.
    fn H5Oget_info2(object: hid_t, info: *mut ObjectInfo, fields: c_uint) -> herr_t;
}

/// The beginning of what is told of an object, and room for the rest.
#[repr(C)]
struct ObjectInfo {
    file: c_ulong,
    address: u64,
    rest: [u64; 32],
}

const BASIC: c_uint = 1;

/// Runs `job` without whoever is told of the library's errors on this thread, and has them
/// told again afterwards. R's package rhdf5 has a handler that jumps back into R, across
/// whatever called the library.
pub fn unheard<T>(job: impl FnOnce() -> T) -> T {
    let mut before = Handler { function: None, data: null_mut() };
    // SAFETY: the library's lock is held, and both places can be written to.
    let known = sync(|| unsafe {
        let known = H5Eget_auto2(H5E_DEFAULT, &mut before.function, &mut before.data) >= 0;
        H5Eset_auto2(H5E_DEFAULT, None, null_mut());
        known
    });
    let _restored = known.then_some(before);
    job()
}

/// Takes its place again when it is dropped.
struct Handler {
    function: H5E_auto2_t,
    data: *mut c_void,
}

impl Drop for Handler {
    fn drop(&mut self) {
        // SAFETY: the library's lock is held; it was its handler, with its data, before.
        sync(|| unsafe { H5Eset_auto2(H5E_DEFAULT, self.function, self.data) });
    }
}

/// Where the chunk is whose first entry is at `offset`; None where there is none.
pub fn find_chunk(dataset: &Dataset, offset: &[u64]) -> Option<Place> {
    if offset.len() != dataset.ndim() {
        return None;
    }
    let (mut skipped, mut at, mut size): (u32, u64, hsize_t) = (0, u64::MAX, 0);
    let failed = sync(|| {
        // SAFETY: the library's lock is held; the dataset is open, and `offset` has as
        // many entries as it has dimensions.
        unsafe {
            H5Dget_chunk_info_by_coord(
                dataset.id(),
                offset.as_ptr(),
                &mut skipped,
                &mut at,
                &mut size,
            )
        }
    }) < 0;
    let size = u32::try_from(size).ok()?;
    (!failed && at != u64::MAX).then_some(Place { at, size, skipped })
}

/// Where in the file the header of a dataset is.
pub fn header_address(dataset: &Dataset) -> Option<u64> {
    let mut info = ObjectInfo { file: 0, address: 0, rest: [0; 32] };
    // SAFETY: the library's lock is held, the dataset is open, and `info` has more bytes
    // than the structure that is filled.
    let failed = sync(|| unsafe { H5Oget_info2(dataset.id(), &mut info, BASIC) }) < 0;
    (!failed).then_some(info.address)
}

/// Whether there is an attribute of that name; None where the library fails. (To list all
/// names, `hdf5-metno` takes what the file says of each for one of an enumeration.)
pub fn has_attribute(place: &Location, name: &str) -> Option<bool> {
    let name = CString::new(name).ok()?;
    // SAFETY: the library's lock is held, and the place is open.
    let found = sync(|| unsafe { H5Aexists(place.id(), name.as_ptr()) });
    (found >= 0).then_some(found > 0)
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
