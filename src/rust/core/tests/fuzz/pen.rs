//! Writes HDF5 files part by part: as they should be, or, now and then, otherwise.

use std::mem::take;

use hdf5_metno::types::{FixedAscii, VarLenAscii, VarLenUnicode};
use hdf5_metno::{DatasetBuilder, Extents, Group, H5Type, Location, SimpleExtents};
use rand::RngExt;
use rand::seq::{IndexedMutRandom, IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::hdf5::refers;

pub struct Pen<'a> {
    pub random: &'a mut ChaCha8Rng,
    /// One part in so many is not as it should be.
    slips: Option<u32>,
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    Logical,
}

pub const WHOLE: [Kind; 8] =
    [Kind::I8, Kind::U8, Kind::I16, Kind::U16, Kind::I32, Kind::U32, Kind::I64, Kind::U64];

pub const NUMBERS: [Kind; 6] = [Kind::U8, Kind::U16, Kind::I32, Kind::I64, Kind::F32, Kind::F64];

/// Of which none belongs everywhere.
const VALUES: [f64; 16] = [
    -2.0,
    -1.0,
    0.0,
    1.0,
    2.0,
    127.0,
    255.0,
    65536.0,
    2_147_483_647.0,
    2_147_483_648.0,
    4_294_967_296.0,
    9_007_199_254_740_994.0,
    1e18,
    1e300,
    f64::NAN,
    f64::INFINITY,
];

const EXTENTS: [usize; 8] =
    [0, 1, 1000, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, i64::MAX as usize];

const TEXTS: [&str; 14] = [
    "",
    "a",
    "anndata",
    "array",
    "string-array",
    "csr_matrix",
    "csc_matrix",
    "dataframe",
    "categorical",
    "nullable-integer",
    "csr",
    "0.1.0",
    "0.2.0",
    "no/such/place",
];

impl<'a> Pen<'a> {
    /// Half of all files are as they should be.
    pub fn new(random: &'a mut ChaCha8Rng) -> Self {
        let slips = random.random::<bool>().then(|| [5, 20, 100][random.random_range(0..3)]);
        Self { random, slips }
    }

    pub fn slips(&mut self) -> bool {
        self.slips.is_some_and(|of| self.random.random_ratio(1, of))
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        *from.choose(self.random).unwrap()
    }

    pub fn one_in(&mut self, count: u32) -> bool {
        self.random.random_ratio(1, count)
    }

    /// A group; or something else of that name, and the group where nobody looks for it.
    pub fn group(&mut self, parent: &Group, name: &str) -> Group {
        if self.slips() {
            self.something_else(parent, name);
            return self.group(parent, &format!("not {name}"));
        }
        match parent.group(name).or_else(|_| parent.create_group(name)) {
            Ok(group) => group,
            // Something else is there already.
            Err(_) => self.group(parent, &format!("not {name}")),
        }
    }

    pub fn numbers(&mut self, group: &Group, name: &str, values: &[f64], kinds: &[Kind]) {
        self.table(group, name, values, &[values.len()], kinds);
    }

    /// Of any number of dimensions.
    pub fn table(
        &mut self,
        group: &Group,
        name: &str,
        values: &[f64],
        shape: &[usize],
        kinds: &[Kind],
    ) {
        let kind = self.pick(kinds);
        if !self.slips() {
            return self.write_as(group, name, values, shape, kind);
        }
        let any = self.pick(&[kind, Kind::I64, Kind::F64, Kind::I8, Kind::Logical, Kind::U64]);
        match self.random.random_range(0..8) {
            0..3 => {
                let mut values = values.to_vec();
                self.spoil(&mut values);
                let kind = self.pick(&[kind, Kind::I64, Kind::F64]);
                self.write_as(group, name, &values, shape, kind);
            }
            3 => self.write_as(group, name, values, shape, any),
            4 => {
                let mut values = values.to_vec();
                values.resize(self.random.random_range(0..=values.len() + 2), 1.0);
                self.write_as(group, name, &values, &[values.len()], kind);
            }
            5 => {
                let ranks = [vec![], vec![values.len(), 1], vec![1, values.len(), 1]];
                let shape = ranks.choose(self.random).unwrap();
                let count = shape.iter().product();
                self.write_as(group, name, &vec![1.0; count], shape, kind);
            }
            _ => self.something_else(group, name),
        }
    }

    fn spoil(&mut self, values: &mut [f64]) {
        if self.one_in(4) {
            return values.shuffle(self.random);
        }
        for _ in 0..self.random.random_range(1..4) {
            let other = values.choose(self.random).copied().unwrap_or(0.0);
            let spoilt = self.pick(&VALUES);
            let spoilt = self.pick(&[spoilt, other, other + 1.0, -other]);
            if let Some(value) = values.choose_mut(self.random) {
                *value = spoilt;
            }
        }
    }

    fn write_as(&mut self, group: &Group, name: &str, values: &[f64], shape: &[usize], kind: Kind) {
        macro_rules! write_as {
            ($($kind:ident $type:ty),*) => {
                match kind {
                    $(Kind::$kind => {
                        let values: Vec<_> = values.iter().map(|&value| value as $type).collect();
                        self.write(group, name, &values, shape);
                    })*
                    Kind::Logical => {
                        let values: Vec<_> = values.iter().map(|&value| value > 0.0).collect();
                        self.write(group, name, &values, shape);
                    }
                }
            };
        }
        write_as!(
            I8 i8, U8 u8, I16 i16, U16 u16, I32 i32, U32 u32, I64 i64, U64 u64, F32 f32, F64 f64
        );
    }

    /// Values of any type, packed in any way.
    pub fn write<T: H5Type>(&mut self, group: &Group, name: &str, values: &[T], shape: &[usize]) {
        // A link may lead to a group in which there is one of this name already.
        if group.link_exists(name) {
            return;
        }
        let builder =
            self.packed(group.new_dataset_builder(), shape, refers(&T::type_descriptor()));
        let dataset =
            builder.empty::<T>().shape(Extents::from(shape.to_vec())).create(name).unwrap();
        // Space is given to datasets as they are written, or never.
        if !values.is_empty() && !self.slips() {
            dataset.write_raw(values).unwrap();
        }
    }

    fn packed(&mut self, builder: DatasetBuilder, shape: &[usize], refers: bool) -> DatasetBuilder {
        if shape.is_empty() || shape.contains(&0) {
            return builder.no_chunk();
        }
        let chunk: Vec<_> =
            shape.iter().map(|&extent| self.random.random_range(1..=extent.min(9))).collect();
        let chunked = || builder.clone().chunk(chunk.clone());
        // HDF5 shuffles and sums up numbers alone.
        match self.random.random_range(0..if refers { 5 } else { 8 }) {
            0 | 1 => builder.no_chunk(),
            2 => builder.no_chunk().layout(hdf5_metno::dataset::Layout::Compact),
            3 => chunked(),
            4 => chunked().deflate(4),
            5 => chunked().shuffle().deflate(4),
            6 => chunked().lzf(),
            _ => chunked().shuffle().fletcher32(),
        }
    }

    /// Strings, of any of HDF5's types.
    pub fn texts(&mut self, group: &Group, name: &str, texts: &[String]) {
        let mut texts = texts.to_vec();
        if self.slips() {
            match self.random.random_range(0..4) {
                0 => texts.truncate(self.random.random_range(0..=texts.len())),
                1 => texts.shuffle(self.random),
                2 => {
                    let text = self.pick(&TEXTS).to_owned();
                    texts.iter_mut().for_each(|old| old.clone_from(&text));
                }
                _ => return self.something_else(group, name),
            }
        }
        let shape = [texts.len()];
        match self.random.random_range(0..4) {
            0 | 1 => {
                let texts: Vec<VarLenUnicode> = texts.iter().map(|t| t.parse().unwrap()).collect();
                self.write(group, name, &texts, &shape);
            }
            2 => {
                let ascii = |text: &String| VarLenAscii::from_ascii(text).unwrap();
                self.write(group, name, &texts.iter().map(ascii).collect::<Vec<_>>(), &shape);
            }
            _ => {
                let ascii = |text: &String| FixedAscii::<20>::from_ascii(text).unwrap();
                self.write(group, name, &texts.iter().map(ascii).collect::<Vec<_>>(), &shape);
            }
        }
    }

    /// What nobody expects under a name; or nothing.
    fn something_else(&mut self, group: &Group, name: &str) {
        match self.random.random_range(0..8) {
            _ if group.link_exists(name) => {}
            0 => {}
            1 => drop(group.create_group(name).unwrap()),
            2 => {
                let to = self.pick(&["/", "/X", "/obs", "X/data", "/nowhere", name]);
                group.link_soft(to, name).unwrap();
            }
            3 => {
                let file = self.pick(&["file.h5", "/dev/zero", "/nowhere/else.h5"]);
                group.link_external(file, self.pick(&["/", "/X", "/obs"]), name).unwrap();
            }
            4 => {
                let builder = group.new_dataset_builder().external("/dev/zero", 0, 1 << 20);
                builder.empty::<u8>().shape(10).create(name).unwrap();
            }
            5 => {
                let shape = vec![self.pick(&EXTENTS).max(1); self.random.random_range(1..3)];
                let chunk = vec![self.pick(&[1, 100, 1 << 14]); shape.len()];
                let builder = group.new_dataset_builder().chunk(chunk).deflate(1).empty::<i32>();
                let one = SimpleExtents::resizable(vec![1; shape.len()]);
                // HDF5 itself does not take the largest.
                let _ = builder.shape(one).create(name).unwrap().resize(shape);
            }
            6 => self.write_as(group, name, &[1.0], &[], Kind::I64),
            _ => {
                let texts = ["b", "a", "a"].map(|text| text.parse::<VarLenUnicode>().unwrap());
                self.write(group, name, &texts, &[3]);
            }
        }
    }

    pub fn encode(&mut self, place: &Location, name: &str, version: &str) {
        self.attribute(place, "encoding-type", name);
        self.attribute(place, "encoding-version", version);
    }

    pub fn attribute(&mut self, place: &Location, name: &str, text: &str) {
        let mut text: VarLenUnicode = text.parse().unwrap();
        if self.slips() {
            match self.random.random_range(0..5) {
                0 => return,
                1 => return self.extents(place, name, [1, 1]),
                2 => return self.attributes(place, name, &["a".to_owned(), "b".to_owned()]),
                _ => text = self.pick(&TEXTS).parse().unwrap(),
            }
        }
        self.write_attribute(place, name, &text);
    }

    pub fn attributes(&mut self, place: &Location, name: &str, texts: &[String]) {
        let mut texts: Vec<VarLenUnicode> = texts.iter().map(|t| t.parse().unwrap()).collect();
        if self.slips() {
            match self.random.random_range(0..4) {
                0 => return,
                1 => return self.extents(place, name, [1, 1]),
                2 => drop(take(&mut texts)),
                _ => texts.push(self.pick(&TEXTS).parse().unwrap()),
            }
        }
        self.write_attributes(place, name, &texts);
    }

    pub fn extents(&mut self, place: &Location, name: &str, extents: [usize; 2]) {
        let mut extents = extents.map(|extent| extent as i64).to_vec();
        if self.slips() {
            match self.random.random_range(0..6) {
                0 => return,
                1 => extents.push(1),
                2 => extents.reverse(),
                3 => extents[self.random.random_range(0..2)] = -1,
                _ => {
                    let other = self.pick(&EXTENTS) as i64;
                    extents[self.random.random_range(0..2)] = other;
                }
            }
        }
        self.write_attributes(place, name, &extents);
    }

    // A link may lead to a place that has attributes of these names already.

    pub fn write_attribute<T: H5Type>(&self, place: &Location, name: &str, value: &T) {
        if let Ok(attribute) = place.new_attr::<T>().create(name) {
            attribute.write_scalar(value).unwrap();
        }
    }

    fn write_attributes<T: H5Type>(&self, place: &Location, name: &str, values: &[T]) {
        drop(place.new_attr_builder().with_data(values).create(name));
    }
}
