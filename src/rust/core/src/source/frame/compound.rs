//! One field of records whose fields are known only once the file is open.
//!
//! `hdf5-metno` reads records into types whose fields have names when the program is
//! compiled. Here the name is given to the type when it is read.

#![allow(unsafe_code)]

use hdf5_metno as hdf5;
use hdf5_metno::types::{CompoundField, CompoundType, TypeDescriptor};
use hdf5_metno::{Dataset, H5Type};
use std::cell::RefCell;
use std::ops::Range;

thread_local! {
    static NAME: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A record with one field of type `T`, called as `NAME` says.
#[repr(transparent)]
struct Record<T>(T);

// SAFETY: whatever the field is called, the record is laid out as its one field.
unsafe impl<T: H5Type> H5Type for Record<T> {
    fn type_descriptor() -> TypeDescriptor {
        let field = CompoundField {
            name: NAME.with_borrow(Clone::clone),
            ty: T::type_descriptor(),
            offset: 0,
            index: 0,
        };
        TypeDescriptor::Compound(CompoundType { fields: vec![field], size: size_of::<T>() })
    }
}

/// Reads some entries of a field. HDF5 finds it by name, and would leave the values as
/// they are where there is none: that there is one is checked first.
pub fn read_field<T: H5Type>(
    records: &Dataset,
    field: &str,
    range: Range<usize>,
) -> hdf5::Result<Vec<T>> {
    let TypeDescriptor::Compound(found) = records.dtype()?.to_descriptor()? else {
        return Err("it does not hold records".into());
    };
    if !found.fields.iter().any(|one| one.name == field) {
        return Err(format!("there is no field {field:?}").into());
    }
    // HDF5 would read on behind them, in its own memory.
    let size = records.dtype()?.size();
    let is_within =
        |one: &CompoundField| one.offset.checked_add(one.ty.size()).is_some_and(|end| end <= size);
    if !found.fields.iter().all(is_within) {
        return Err("its records are smaller than their fields".into());
    }
    NAME.set(field.to_owned());
    let read = records.read_slice_1d::<Record<T>, _>(range)?;
    Ok(read.into_iter().map(|Record(value)| value).collect())
}
