//! Strings, as all their types in HDF5.

use hdf5_metno as hdf5;
use hdf5_metno::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5_metno::{Attribute, H5Type};
use std::ops::Range;

/// Evaluates `$body` with `$T` as a type that takes strings stored as `$stored`. Fixed
/// lengths come in steps: HDF5 pads shorter strings.
macro_rules! with_string_type {
    ($stored:expr, $T:ident => $body:expr, else $other:expr) => {
        with_string_type!(@ $stored, $T, $body, $other, FixedAscii FixedUnicode;
            16 64 256 1024 4096 16384 65536)
    };
    (@ $stored:expr, $T:ident, $body:expr, $other:expr, $Ascii:ident $Unicode:ident; $($n:literal)*) => {
        match *$stored {
            TypeDescriptor::VarLenUnicode => { type $T = VarLenUnicode; $body }
            TypeDescriptor::VarLenAscii => { type $T = VarLenAscii; $body }
            $(TypeDescriptor::FixedAscii(..=$n) => { type $T = $Ascii<$n>; $body })*
            $(TypeDescriptor::FixedUnicode(..=$n) => { type $T = $Unicode<$n>; $body })*
            _ => $other,
        }
    };
}

/// Whether [`read`] takes strings of this type.
pub fn is_text(stored: &TypeDescriptor) -> bool {
    with_string_type!(stored, T => size_of::<T>() > 0, else false)
}

/// What reads values of any type, some at a time.
pub trait Values {
    fn read<T: H5Type>(&self, range: Range<usize>) -> hdf5::Result<Vec<T>>;
}

/// Reads `count` strings of a file of so many bytes; `least` at a time, or more.
pub fn read(
    values: &impl Values,
    stored: &TypeDescriptor,
    count: usize,
    least: usize,
    file_bytes: u64,
) -> hdf5::Result<Vec<String>> {
    // One string that fills the file may be meant by any number of entries: what is read
    // at once has that bound, and all together the file's length.
    let (longest, most) = match *stored {
        TypeDescriptor::FixedAscii(bytes) | TypeDescriptor::FixedUnicode(bytes) => {
            (4 * bytes.max(4) as u64, u64::MAX)
        }
        _ => (file_bytes.max(1), file_bytes),
    };
    let at_once = usize::try_from(AT_ONCE / longest).unwrap_or(usize::MAX);
    let at_once = at_once.clamp(64, 1 << 16).max(least);
    let mut texts = Vec::with_capacity(count);
    let mut bytes = 0;
    for from in (0..count).step_by(at_once) {
        let range = from..count.min(from + at_once);
        with_string_type!(stored, T => {
            for text in values.read::<T>(range)? {
                bytes += AsRef::<[u8]>::as_ref(&text).len() as u64;
                texts.push(checked(text.as_ref())?);
            }
        }, else return Err("it does not hold strings".into()));
        if bytes > most {
            return Err("its strings are longer than the file".into());
        }
    }
    Ok(texts)
}

/// Bytes of strings that are read at once; more only where the file is large.
const AT_ONCE: u64 = 1 << 28;

pub fn of_attribute(attribute: &Attribute) -> hdf5::Result<Vec<String>> {
    with_string_type!(&attribute.dtype()?.to_descriptor()?, T => {
        attribute.read_raw::<T>()?.iter().map(|text| checked(text.as_ref())).collect()
    }, else Err("it does not hold strings".into()))
}

/// HDF5 does not look whether strings are what they are said to be.
fn checked(bytes: &[u8]) -> hdf5::Result<String> {
    let text = str::from_utf8(bytes).map_err(|_| "it has a string that is not UTF-8")?;
    Ok(text.to_owned())
}
