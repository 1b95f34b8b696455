//! The file as HDF5 knows it. HDF5 writes the whole structure at first, and never
//! again: every dataset lies in one piece at a place that does not change, so
//! that values are written and read there without it.
//!
//! | where | what |
//! | --- | --- |
//! | `/` | attributes `format`, `format_version`, `genes`, `pairs`, `with_theta`; `perturbations` where every gene has a pair with each |
//! | `/progress` | how many genes have results; what comes after them is not valid |
//! | `/description` | bytes of whoever made the file |
//! | `/fingerprint` | one attribute an entry: the hash in hexadecimal |
//! | `/pairs/...`, `/genes/...` | the columns of [`super::PairColumns`] and [`super::GeneColumns`] |
//! | `/genes/first_pair` | where not every gene has a pair with every perturbation |
//!
//! `status` is [`UNFITTED`](super::UNFITTED) where nothing has been written yet, the
//! rest zero there. Metadata is of HDF5 1.8's kind, which has checksums.

use std::fs;
use std::path::Path;

use hdf5_metno as hdf5;
use hdf5_metno::dataset::{AllocTime, FillTime, Layout as Storage};
use hdf5_metno::file::LibraryVersion;
use hdf5_metno::types::FixedAscii;
use hdf5_metno::{Dataset, Group, H5Type};

use super::fingerprint::hash_of;
use super::screen_layout::{Column, Kind};
use super::{Fingerprint, Layout, PairsOf, Part};
use crate::claim::access_error;
use crate::{Error, Result};

/// What a file says of itself, and where in it the values are.
#[derive(Debug)]
pub(super) struct Structure {
    pub layout: Layout,
    pub fingerprint: Fingerprint,
    pub description: Vec<u8>,
    /// Where the number of genes with results is.
    pub progress: u64,
    /// Where each column of the layout begins, in their order.
    pub offsets: Vec<u64>,
    /// Length of the file.
    pub bytes: u64,
}

const FORMAT: &str = "scoria screen";
const VERSION: u64 = 1;

type Word = FixedAscii<32>;

impl Structure {
    pub fn create(
        path: &Path,
        layout: &Layout,
        fingerprint: &Fingerprint,
        description: &[u8],
    ) -> hdf5::Result<()> {
        let file = hdf5::FileBuilder::new()
            .with_fapl(|access| {
                // Aligned: no page or sector holds one half of `progress`.
                access.libver_bounds(LibraryVersion::V18, LibraryVersion::latest()).alignment(1, 8)
            })
            .create_excl(path)?;
        write_text(&file, "format", FORMAT)?;
        write_number(&file, "format_version", VERSION)?;
        write_number(&file, "genes", layout.genes as u64)?;
        write_number(&file, "pairs", layout.pairs() as u64)?;
        write_number(&file, "with_theta", u64::from(layout.with_theta))?;

        let hashes = file.create_group("fingerprint")?;
        for (name, hash) in fingerprint.entries() {
            write_text(&hashes, name, &hexadecimal(hash))?;
        }
        place::<u64>(&file, "progress", 1)?;
        file.create_group("pairs")?;
        file.create_group("genes")?;
        for column in layout.columns() {
            let entries = layout.entries(column);
            match column.kind {
                Kind::F64 => place::<f64>(&file, column.name, entries)?,
                Kind::F32 => place::<f32>(&file, column.name, entries)?,
                Kind::U8 => place::<u8>(&file, column.name, entries)?,
            }
        }
        match &layout.pairs_of_gene {
            PairsOf::All { perturbations } => {
                write_number(&file, "perturbations", *perturbations as u64)?;
            }
            PairsOf::Listed { first } => {
                let stored: Vec<u64> = first.iter().map(|&pair| pair as u64).collect();
                write_hashed(&file, "genes/first_pair", &stored, &Part::Index(first))?;
            }
        }
        write_hashed(&file, "description", description, &Part::U8(description))?;
        file.close()
    }

    /// # Errors
    /// Where this is not a whole file of [`Structure::create`].
    pub fn open(path: &Path) -> Result<Self> {
        let invalid = |reason: String| Error::OutputFile { path: path.to_owned(), reason };
        let found = fs::metadata(path).map_err(|error| access_error(path, &error))?;
        if !found.is_file() {
            return Err(invalid("is not a file".to_owned()));
        }
        fs::File::open(path).map_err(|error| access_error(path, &error))?;
        let file = hdf5::File::open(path)
            .map_err(|error| invalid(format!("is not an HDF5 file, or is damaged: {error}")))?;
        if read_text(&file, "format").ok().as_deref() != Some(FORMAT) {
            return Err(invalid("is not a screen that scoria wrote".to_owned()));
        }
        match read_number(&file, "format_version") {
            Ok(VERSION) => {}
            Ok(version) => {
                return Err(invalid(format!(
                    "has format version {version}; this release of scoria reads {VERSION}"
                )));
            }
            Err(error) => return Err(invalid(format!("is damaged: {error}"))),
        }
        Self::read(&file, found.len()).map_err(|error| invalid(format!("is damaged: {error}")))
    }

    fn read(file: &hdf5::File, bytes: u64) -> hdf5::Result<Self> {
        let count = |name| read_number(file, name).and_then(to_size);
        let pairs_of_gene = if file.attr_names()?.iter().any(|name| name == "perturbations") {
            PairsOf::All { perturbations: count("perturbations")? }
        } else {
            PairsOf::Listed { first: read_first_pairs(file)? }
        };
        let with_theta = read_number(file, "with_theta")? != 0;
        let layout = Layout { genes: count("genes")?, pairs_of_gene, with_theta };
        layout.check().map_err(|error| error.to_string())?;
        if layout.pairs() != count("pairs")? {
            return Err("its pairs are not of its genes".into());
        }

        let hashes = file.group("fingerprint")?;
        let entries = (hashes.attr_names()?.into_iter())
            .map(|name| {
                let hash = u128::from_str_radix(&read_text(&hashes, &name)?, 16);
                Ok((name, hash.map_err(|error| error.to_string())?))
            })
            .collect::<hdf5::Result<_>>()?;

        let description = file.dataset("description")?;
        let text = description.read_raw::<u8>()?;
        check_hash(&description, &Part::U8(&text))?;

        let progress = placed::<u64>(file, "progress", 1, bytes)?;
        let offsets = (layout.columns())
            .map(|column| offset_of(file, column, layout.entries(column), bytes))
            .collect::<hdf5::Result<_>>()?;
        let fingerprint = Fingerprint::from_entries(entries);
        Ok(Self { layout, fingerprint, description: text, progress, offsets, bytes })
    }

    /// The columns and where they begin.
    pub fn columns(&self) -> impl Iterator<Item = (&'static Column, u64)> {
        self.layout.columns().zip(self.offsets.iter().copied())
    }
}

/// A dataset in one piece whose values are written elsewhere.
fn place<T: H5Type>(file: &Group, name: &str, entries: usize) -> hdf5::Result<()> {
    file.new_dataset::<T>()
        .layout(Storage::Contiguous)
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .obj_track_times(false)
        .shape(entries)
        .create(name)?;
    Ok(())
}

fn offset_of(file: &Group, column: &Column, entries: usize, bytes: u64) -> hdf5::Result<u64> {
    match column.kind {
        Kind::F64 => placed::<f64>(file, column.name, entries, bytes),
        Kind::F32 => placed::<f32>(file, column.name, entries, bytes),
        Kind::U8 => placed::<u8>(file, column.name, entries, bytes),
    }
}

/// Where in the file a dataset made by [`place`] begins.
fn placed<T: H5Type>(file: &Group, name: &str, entries: usize, bytes: u64) -> hdf5::Result<u64> {
    let dataset = file.dataset(name)?;
    let stored = dataset.dtype()?;
    if !stored.is::<T>() || dataset.shape() != [entries] {
        return Err(format!("{name} has another type or length").into());
    }
    if entries == 0 {
        return Ok(0);
    }
    let end = |offset: u64| offset.checked_add((entries * stored.size()) as u64);
    match dataset.offset() {
        Some(offset) if offset % 8 == 0 && end(offset).is_some_and(|end| end <= bytes) => {
            Ok(offset)
        }
        _ => Err(format!("{name} is not where it should be").into()),
    }
}

/// The values lie where HDF5 has no checksum: it is put beside them.
fn write_hashed<T: H5Type>(
    file: &Group,
    name: &str,
    values: &[T],
    part: &Part,
) -> hdf5::Result<()> {
    let dataset =
        file.new_dataset::<T>().obj_track_times(false).shape(values.len()).create(name)?;
    dataset.write_raw(values)?;
    write_text(&dataset, "hash", &hexadecimal(hash_of(&[*part])))
}

fn check_hash(dataset: &Dataset, part: &Part) -> hdf5::Result<()> {
    if read_text(dataset, "hash")? == hexadecimal(hash_of(&[*part])) {
        return Ok(());
    }
    Err(format!("{} has changed", dataset.name()).into())
}

fn read_first_pairs(file: &Group) -> hdf5::Result<Vec<usize>> {
    let dataset = file.dataset("genes/first_pair")?;
    let stored = dataset.read_raw::<u64>()?;
    let first = stored.into_iter().map(to_size).collect::<hdf5::Result<Vec<_>>>()?;
    check_hash(&dataset, &Part::Index(&first))?;
    Ok(first)
}

fn hexadecimal(hash: u128) -> String {
    format!("{hash:032x}")
}

fn to_size(value: u64) -> hdf5::Result<usize> {
    usize::try_from(value).map_err(|error| error.to_string().into())
}

fn write_text(place: &hdf5::Location, name: &str, text: &str) -> hdf5::Result<()> {
    let word = Word::from_ascii(text).map_err(|error| error.to_string())?;
    place.new_attr::<Word>().create(name)?.write_scalar(&word)
}

fn read_text(place: &hdf5::Location, name: &str) -> hdf5::Result<String> {
    Ok(place.attr(name)?.read_scalar::<Word>()?.to_string())
}

fn write_number(place: &hdf5::Location, name: &str, value: u64) -> hdf5::Result<()> {
    place.new_attr::<u64>().create(name)?.write_scalar(&value)
}

fn read_number(place: &hdf5::Location, name: &str) -> hdf5::Result<u64> {
    place.attr(name)?.read_scalar::<u64>()
}
