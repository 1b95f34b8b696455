use super::super::hdf5::{TIGHTEST, read_texts};
use super::node::At;
use super::{Column, Read, Unread, compound, text};
use crate::Result;
use hdf5_metno as hdf5;
use hdf5_metno::dataset::Layout;
use hdf5_metno::types::{FloatSize, IntSize, TypeDescriptor};
use hdf5_metno::{Dataset, H5Type};
use std::ops::Range;

/// A dataset, or one field of a dataset of records.
#[derive(Debug)]
pub struct Table {
    dataset: Dataset,
    pub at: At,
    shape: Vec<usize>,
    /// None where Rust has no such type.
    stored: Option<TypeDescriptor>,
    field: Option<String>,
}

impl Table {
    /// # Errors
    /// Where its values are in other files, or are more than the file can hold.
    pub fn of(dataset: Dataset, at: At) -> Result<Self> {
        let shape = check(&dataset).map_err(|reason| at.wrong(reason))?;
        let stored = dataset.dtype().map_err(|error| at.damaged(error))?.to_descriptor().ok();
        Ok(Self { dataset, at, shape, stored, field: None })
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The names of its fields, of records.
    pub fn fields(&self) -> Option<Vec<String>> {
        match &self.stored {
            Some(TypeDescriptor::Compound(records)) => {
                Some(records.fields.iter().map(|field| field.name.clone()).collect())
            }
            _ => None,
        }
    }

    pub fn field(&self, name: &str) -> Result<Self> {
        let stored = match &self.stored {
            Some(TypeDescriptor::Compound(records)) => {
                records.fields.iter().find(|field| field.name == name).map(|field| &field.ty)
            }
            _ => None,
        };
        let at = self.at.under(name);
        let Some(stored) = stored.cloned() else { return Err(at.wrong("it is not there")) };
        Ok(Self {
            dataset: self.dataset.clone(),
            shape: self.shape.clone(),
            stored: Some(stored),
            field: Some(name.to_owned()),
            at,
        })
    }

    /// Whether it holds whole numbers.
    pub fn is_whole(&self) -> bool {
        matches!(self.stored, Some(TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)))
    }

    pub fn is_text(&self) -> bool {
        self.stored.as_ref().is_some_and(text::is_text)
    }

    /// Its values, as what they are.
    pub fn values(&self) -> Read<Column> {
        let count = self.count()?;
        if self.is_text() {
            return Ok(Column::Text(self.texts()?.into_iter().map(Some).collect()));
        }
        match &self.stored {
            Some(TypeDescriptor::Float(FloatSize::U4 | FloatSize::U8)) => {
                Ok(Column::Doubles(self.all(count)?))
            }
            Some(TypeDescriptor::Unsigned(IntSize::U8)) => whole(&self.all::<u64>(count)?),
            Some(TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)) => {
                whole(&self.all::<i64>(count)?)
            }
            Some(stored) if is_logical(stored) => {
                Ok(Column::Logicals(self.logicals()?.into_iter().map(Some).collect()))
            }
            // Numbers that HDF5 can describe and Rust has no type for, of 16 bits as a rule.
            None if self.field.is_none() && self.converts_to_double() => {
                Ok(Column::Doubles(self.all(count)?))
            }
            Some(other) => Err(Unread::Unknown(format!("its type {other} is not read here"))),
            None => Err(Unread::Unknown("its type is not read here".to_owned())),
        }
    }

    pub fn texts(&self) -> Read<Vec<String>> {
        let count = self.count()?;
        let Some(stored) = self.stored.as_ref().filter(|stored| text::is_text(stored)) else {
            return Err(Unread::Unknown("it does not hold strings".to_owned()));
        };
        let bytes = self.dataset.file().map_or(0, |file| file.size());
        let any_length =
            matches!(stored, TypeDescriptor::VarLenUnicode | TypeDescriptor::VarLenAscii);
        if any_length && self.field.is_none() && self.shape.len() == 1 {
            // Each is followed by a zero, which the file need not hold.
            let most = bytes.saturating_add(count as u64);
            return read_texts(&self.dataset, most).map_err(|error| self.at.damaged(error).into());
        }
        // Each chunk is unpacked once, where it does not stay in HDF5's cache.
        let chunk = self.dataset.chunk().map_or(1, |chunk| chunk[0]);
        let least = if chunk > CACHED { chunk.min(count) } else { 1 };
        text::read(self, stored, count, least, bytes).map_err(|error| self.at.damaged(error).into())
    }

    /// Whole numbers, as they are.
    pub fn wholes(&self) -> Read<Vec<i64>> {
        let count = self.count()?;
        match self.stored {
            Some(TypeDescriptor::Unsigned(IntSize::U8)) => {
                let values = self.all::<u64>(count)?.into_iter().map(i64::try_from);
                values
                    .collect::<std::result::Result<_, _>>()
                    .map_err(|_| self.at.wrong("it has a number that is too large").into())
            }
            _ if self.is_whole() => self.all(count),
            _ => Err(Unread::Unknown("it does not hold whole numbers".to_owned())),
        }
    }

    pub fn logicals(&self) -> Read<Vec<bool>> {
        let count = self.count()?;
        if !self.stored.as_ref().is_some_and(is_logical) {
            return Err(Unread::Unknown("it does not hold logicals".to_owned()));
        }
        let values: Vec<i64> = self.all(count)?;
        let logical = |value| match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.at.wrong(format!("it has a logical of value {value}")).into()),
        };
        values.into_iter().map(logical).collect()
    }

    /// Some rows of a table of two dimensions, one after the other.
    pub fn rows(&self, rows: Range<usize>) -> Read<Vec<f64>> {
        self.check_packing()?;
        let valid: fn(&f64) -> bool = match &self.stored {
            Some(TypeDescriptor::Float(FloatSize::U4 | FloatSize::U8)) => |_| true,
            Some(stored) if is_logical(stored) => |&value| value == 0.0 || value == 1.0,
            Some(_) if self.is_whole() => |value| value.abs() <= EXACT,
            _ => return Err(Unread::Unknown("it holds no numbers".to_owned())),
        };
        let values = self.dataset.read_slice_2d::<f64, _>((rows, ..));
        let values = values.map_err(|error| self.at.damaged(error))?;
        match values.iter().find(|value| !valid(value)) {
            None => Ok(values.into_iter().collect()),
            Some(value) => Err(self.at.wrong(format!("it has a value of {value}")).into()),
        }
    }

    fn check_packing(&self) -> Read<()> {
        match self.dataset.filters().iter().find(|filter| !filter.is_available()) {
            None => Ok(()),
            Some(other) => {
                Err(Unread::Unknown(format!("it is packed with HDF5's filter {}", other.id())))
            }
        }
    }

    /// How many entries it has, of one dimension.
    fn count(&self) -> Read<usize> {
        self.check_packing()?;
        match self.shape[..] {
            [count] => Ok(count),
            _ => Err(Unread::Unknown(format!("it has {} dimensions, not one", self.shape.len()))),
        }
    }

    fn converts_to_double(&self) -> bool {
        self.dataset.dtype().is_ok_and(|stored| stored.conv_to::<f64>().is_some())
    }

    fn all<T: H5Type>(&self, count: usize) -> Read<Vec<T>> {
        text::Values::read(self, 0..count).map_err(|error| self.at.damaged(error).into())
    }
}

/// Whole numbers up to this one are doubles.
const EXACT: f64 = (1u64 << 53) as f64;

/// Strings of any length take 16 bytes of a chunk each; the cache holds a megabyte.
const CACHED: usize = 1 << 16;

impl text::Values for Table {
    fn read<T: H5Type>(&self, range: Range<usize>) -> hdf5::Result<Vec<T>> {
        match &self.field {
            Some(field) => compound::read_field(&self.dataset, field, range),
            None => Ok(self.dataset.read_slice_1d::<T, _>(range)?.into_iter().collect()),
        }
    }
}

/// The shape of a dataset whose values are in the file.
fn check(dataset: &Dataset) -> std::result::Result<Vec<usize>, String> {
    let damaged = |error: hdf5::Error| format!("it is damaged ({error})");
    let shape = dataset.get_shape().map_err(damaged)?;
    let properties = dataset.dcpl().map_err(damaged)?;
    let layout = properties.get_layout().map_err(damaged)?;
    if layout == Layout::Virtual || !properties.get_external().map_err(damaged)?.is_empty() {
        return Err("its values are in other files".to_owned());
    }
    let size = dataset.dtype().map_err(damaged)?.size() as u64;
    let bytes = |shape: &[usize]| {
        shape.iter().try_fold(size, |product, &extent| product.checked_mul(extent as u64))
    };
    let chunk = properties.get_chunk().map_err(damaged)?;
    let stored = dataset.storage_size().min(dataset.file().map_err(damaged)?.size());
    let most = if chunk.is_some() { stored.saturating_mul(TIGHTEST) } else { stored };
    let fits = |shape: &[usize]| bytes(shape).is_some_and(|bytes| bytes <= most);
    if bytes(&shape) == Some(0) {
        return Ok(shape);
    }
    if !fits(&shape) || chunk.as_ref().is_some_and(|chunk| !fits(chunk)) {
        let claim = format!("it claims to have the shape {shape:?}");
        return Err(format!("{claim}, which is more than the file holds"));
    }
    // HDF5 fills in for what is missing, or leaves memory as it was.
    if let Some(chunk) = chunk {
        let needed = shape.iter().zip(&chunk).map(|(&extent, &side)| extent.div_ceil(side.max(1)));
        if dataset.num_chunks() != Some(needed.product()) {
            return Err("some of its values were never written".to_owned());
        }
    }
    Ok(shape)
}

/// HDF5 has no logicals: they are enumerations, of any size.
fn is_logical(stored: &TypeDescriptor) -> bool {
    match stored {
        TypeDescriptor::Boolean => true,
        TypeDescriptor::Enum(named) => {
            let members: Vec<_> =
                (named.members.iter()).map(|member| (member.name.as_str(), member.value)).collect();
            members == [("FALSE", 0), ("TRUE", 1)]
        }
        _ => false,
    }
}

/// As integers, or else as doubles, where those are exact.
fn whole<T: Copy + Into<i128>>(values: &[T]) -> Read<Column> {
    let integer = |value: i128| i32::try_from(value).ok().filter(|&value| value != i32::MIN);
    let integers: Option<Vec<_>> =
        values.iter().map(|&value| integer(value.into()).map(Some)).collect();
    if let Some(integers) = integers {
        return Ok(Column::Integers(integers));
    }
    let double = |&value: &T| {
        let double = value.into() as f64;
        (double as i128 == value.into()).then_some(double)
    };
    match values.iter().map(double).collect() {
        Some(doubles) => Ok(Column::Doubles(doubles)),
        None => Err(Unread::Unknown("it has whole numbers that no double holds".to_owned())),
    }
}
