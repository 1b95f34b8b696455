//! Strings of any length, all at once: `hdf5-metno` has HDF5's library allocate each, and
//! as much as a damaged file says. Here they go into one arena with a limit.

#![allow(unsafe_code)]

use hdf5_metno::sync::sync;
use hdf5_metno::types::{TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5_metno::{Dataset, Datatype, Result};
use hdf5_metno_sys::h5d::H5Dread;
use hdf5_metno_sys::h5p::{H5P_CLS_DATASET_XFER, H5Pclose, H5Pcreate, H5Pset_vlen_mem_manager};
use hdf5_metno_sys::h5s::H5S_ALL;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;

/// All strings of a dataset of one dimension, as bytes; of no more than `most` together.
pub fn read_texts(dataset: &Dataset, most: u64) -> Result<Vec<String>> {
    let kind = match dataset.dtype()?.to_descriptor()? {
        TypeDescriptor::VarLenUnicode => Datatype::from_type::<VarLenUnicode>()?,
        TypeDescriptor::VarLenAscii => Datatype::from_type::<VarLenAscii>()?,
        _ => return Err("it does not hold strings of any length".into()),
    };
    let &[count] = dataset.get_shape()?.as_slice() else {
        return Err("it is not of one dimension".into());
    };
    let mut texts: Vec<*const c_char> = vec![ptr::null(); count];
    let mut arena =
        Arena { blocks: vec![], left: usize::try_from(most).unwrap_or(usize::MAX), is_full: false };
    let info: *mut c_void = ptr::from_mut(&mut arena).cast();
    let failed = sync(|| {
        // SAFETY: the library's lock is held, the dataset and the type are open, `texts` has
        // room for a pointer to each of its strings, and the arena outlives the call.
        unsafe {
            let how = H5Pcreate(*H5P_CLS_DATASET_XFER);
            H5Pset_vlen_mem_manager(how, Some(allocate), info, Some(keep), info);
            let failed =
                H5Dread(dataset.id(), kind.id(), H5S_ALL, H5S_ALL, how, texts.as_mut_ptr().cast());
            H5Pclose(how);
            failed
        }
    }) < 0;
    if arena.is_full {
        return Err("its strings are longer than the file".into());
    }
    if failed {
        return Err("its strings cannot be read".into());
    }
    let text = |&text: &*const c_char| {
        if text.is_null() {
            return Ok(String::new());
        }
        // SAFETY: it is one that the library has written into the arena, and ended with a
        // zero.
        let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
        let text = str::from_utf8(bytes).map_err(|_| "it has a string that is not UTF-8")?;
        Ok(text.to_owned())
    };
    texts.iter().map(text).collect()
}

/// Memory for strings, freed together.
struct Arena {
    blocks: Vec<Vec<u8>>,
    left: usize,
    is_full: bool,
}

const BLOCK: usize = 1 << 18;

impl Arena {
    /// None where there is no more.
    fn allocate(&mut self, bytes: usize) -> Option<*mut u8> {
        self.is_full |= bytes > self.left;
        self.left = self.left.checked_sub(bytes)?;
        let fits = |block: &&mut Vec<u8>| block.capacity() - block.len() >= bytes;
        if self.blocks.last_mut().filter(fits).is_none() {
            let mut block = vec![];
            block.try_reserve_exact(bytes.max(BLOCK)).ok()?;
            self.blocks.push(block);
        }
        let block = self.blocks.last_mut()?;
        let start = block.len();
        // Within the capacity: what was handed out stays where it is.
        block.resize(start + bytes, 0);
        Some(block[start..].as_mut_ptr())
    }
}

/// # Safety
/// `info` is the arena.
unsafe extern "C" fn allocate(bytes: usize, info: *mut c_void) -> *mut c_void {
    // SAFETY: as this function asks of its caller.
    let arena = unsafe { &mut *info.cast::<Arena>() };
    arena.allocate(bytes).map_or(ptr::null_mut(), |place| place.cast())
}

/// Nothing is freed before all is.
unsafe extern "C" fn keep(_place: *mut c_void, _info: *mut c_void) {}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5_metno::File;

    #[test]
    fn strings_of_any_length_are_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("x.h5")).unwrap();
        let long = "x".repeat(BLOCK + 1);
        let texts = ["", "a", "ä€", &long, "b"];
        let values: Vec<VarLenUnicode> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let dataset = file.new_dataset_builder().with_data(&values).create("x").unwrap();
        let bytes = texts.iter().map(|text| text.len() as u64 + 1).sum();
        assert_eq!(read_texts(&dataset, bytes).unwrap(), texts);
        assert!(read_texts(&dataset, bytes - 1).is_err());
        let numbers = file.new_dataset_builder().with_data(&[1, 2]).create("n").unwrap();
        assert!(read_texts(&numbers, 100).is_err());
    }
}
