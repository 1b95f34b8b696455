//! The .h5ad as HDF5 knows it, in the encodings of anndata 0.8 and later. Matrices lie in
//! one piece each, and are written there without HDF5.

use std::path::Path;

use hdf5_metno as hdf5;
use hdf5_metno::dataset::{AllocTime, FillTime, Layout as Storage};
use hdf5_metno::file::LibraryVersion;
use hdf5_metno::types::{CompoundField, CompoundType, FloatSize, TypeDescriptor, VarLenUnicode};
use hdf5_metno::{Dataset, DatasetType, Group, H5Type, Location};

use super::h5ad_layout::{H5adLayout, LayerKind, Ranking, Setting};
use crate::source::frame::{Column, Frame};

/// Where in the file the matrices begin.
#[derive(Debug)]
pub(super) struct Places {
    pub layers: Vec<u64>,
    /// Or why there is none.
    pub ranking: Result<RankingPlaces, String>,
}

#[derive(Debug)]
pub(super) struct RankingPlaces {
    pub names: u64,
    /// Bytes of a name.
    pub width: usize,
    /// In the order of [`Ranking::columns`].
    pub columns: [u64; 4],
}

pub(super) fn create(path: &Path, layout: &H5adLayout) -> hdf5::Result<Places> {
    let file = hdf5::FileBuilder::new()
        // The encoding of that release takes twice the groups into a ranking.
        .with_fapl(|access| access.libver_bounds(LibraryVersion::V18, LibraryVersion::latest()))
        .create_excl(path)?;
    encode(&file, "anndata", "0.1.0")?;
    write_frame(&file, "obs", &layout.groups)?;
    write_frame(&file, "var", &layout.genes)?;
    let folder = create_dict(&file, "layers")?;
    let mut layers = vec![];
    for (k, layer) in layout.layers.iter().enumerate() {
        let (place, name) = if k == 0 { (&*file, "X") } else { (&folder, layer.name.as_str()) };
        layers.push(place_matrix(place, name, layer.kind, layout.shape())?);
    }
    let uns = create_dict(&file, "uns")?;
    for (name, setting) in &layout.settings {
        write_setting(&uns, name, setting)?;
    }
    let ranking = match &layout.ranking {
        None => Err("none was asked for".to_owned()),
        Some(ranking) => create_ranking(&uns, layout, ranking)?,
    };
    file.close()?;
    Ok(Places { layers, ranking })
}

fn place_matrix(
    folder: &Group,
    name: &str,
    kind: LayerKind,
    shape: [usize; 2],
) -> hdf5::Result<u64> {
    let stored = match kind {
        LayerKind::F64 => f64::type_descriptor(),
        LayerKind::F32 => f32::type_descriptor(),
        LayerKind::U8 => u8::type_descriptor(),
        LayerKind::Logical => bool::type_descriptor(),
    };
    let dataset = place(folder, name, stored, &shape)?;
    encode(&dataset, "array", "0.2.0")?;
    offset_of(&dataset)
}

/// A dataset in one piece whose values are written elsewhere.
fn place(
    folder: &Group,
    name: &str,
    stored: impl Into<DatasetType>,
    shape: &[usize],
) -> hdf5::Result<Dataset> {
    (folder.new_dataset_builder().empty_as(stored))
        .layout(Storage::Contiguous)
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .obj_track_times(false)
        .shape(shape)
        .create(name)
}

fn offset_of(dataset: &Dataset) -> hdf5::Result<u64> {
    match dataset.offset() {
        Some(offset) => Ok(offset),
        None if dataset.size() == 0 => Ok(0),
        None => Err(format!("{} has no place in the file", dataset.name()).into()),
    }
}

/// Records with a field for every group, as many as HDF5 takes: the fields' names and
/// types must go into 64 kB.
fn create_ranking(
    uns: &Group,
    layout: &H5adLayout,
    ranking: &Ranking,
) -> hdf5::Result<Result<RankingPlaces, String>> {
    let [n_groups, n_genes] = layout.shape();
    if n_groups == 0 || n_genes == 0 {
        return Ok(Err("there is nothing to rank".to_owned()));
    }
    // What anndata reads as text without a length of its own takes that of the longest,
    // and must be ASCII.
    let genes = &layout.genes.index;
    if let Some(odd) = genes.iter().find(|gene| !gene.is_ascii()) {
        return Ok(Err(format!("the name of the gene {odd:?} is not ASCII")));
    }
    let width = genes.iter().map(String::len).max().unwrap_or(0).max(1);
    let folder = create_dict(uns, "rank_genes_groups")?;
    let records = |name: &str, field: TypeDescriptor| {
        let stored = record_of(&layout.groups.index, &field);
        let dataset = place(&folder, name, stored, &[n_genes])?;
        encode(&dataset, "rec-array", "0.2.0")?;
        offset_of(&dataset)
    };
    let number = TypeDescriptor::Float(FloatSize::U8);
    let Ok(first) = records("scores", number.clone()) else {
        uns.unlink("rank_genes_groups")?;
        return Ok(Err(format!("HDF5 does not take so many groups ({n_groups}) into one")));
    };
    let mut columns = [first, 0, 0, 0];
    for ((name, _), offset) in ranking.columns().into_iter().zip(&mut columns).skip(1) {
        *offset = records(name, number.clone())?;
    }
    let names = records("names", TypeDescriptor::FixedAscii(width))?;
    let params = create_dict(&folder, "params")?;
    for (name, setting) in &ranking.params {
        write_setting(&params, name, setting)?;
    }
    Ok(Ok(RankingPlaces { names, width, columns }))
}

fn record_of(fields: &[String], field: &TypeDescriptor) -> TypeDescriptor {
    let size = field.size();
    let fields = (fields.iter().enumerate())
        .map(|(k, name)| CompoundField {
            name: name.clone(),
            ty: field.clone(),
            offset: k * size,
            index: k,
        })
        .collect::<Vec<_>>();
    TypeDescriptor::Compound(CompoundType { size: fields.len() * size, fields })
}

fn write_frame(file: &Group, name: &str, frame: &Frame) -> hdf5::Result<()> {
    let folder = file.create_group(name)?;
    encode(&folder, "dataframe", "0.2.0")?;
    write_text(&folder, "_index", "_index")?;
    let names = unicodes(frame.columns.iter().map(|(name, _)| name))?;
    match names.is_empty() {
        // As h5py stores a list of nothing.
        true => drop(folder.new_attr::<f64>().shape(0).create("column-order")?),
        false => drop(folder.new_attr_builder().with_data(&names).create("column-order")?),
    }
    write_texts(&folder, "_index", &frame.index)?;
    for (name, column) in &frame.columns {
        write_column(&folder, name, column)?;
    }
    Ok(())
}

fn write_column(folder: &Group, name: &str, column: &Column) -> hdf5::Result<()> {
    match column {
        Column::Integers(values) => write_maybe(folder, name, values, "nullable-integer"),
        Column::Doubles(values) => write_array(folder, name, values),
        Column::Logicals(values) => write_maybe(folder, name, values, "nullable-boolean"),
        Column::Text(values) => match values.iter().cloned().collect::<Option<Vec<_>>>() {
            Some(texts) => write_texts(folder, name, &texts),
            None => write_text_with_gaps(folder, name, values),
        },
        Column::Factor { codes, levels, ordered } => {
            let codes: Vec<i32> = codes.iter().map(|code| code.map_or(-1, |k| k as i32)).collect();
            write_categorical(folder, name, &codes, levels, *ordered)
        }
    }
}

/// As an array, unless a value is missing.
fn write_maybe<T: H5Type + Copy + Default>(
    folder: &Group,
    name: &str,
    values: &[Option<T>],
    encoding: &str,
) -> hdf5::Result<()> {
    let filled: Vec<T> = values.iter().map(|value| value.unwrap_or_default()).collect();
    if values.iter().all(Option::is_some) {
        return write_array(folder, name, &filled);
    }
    let group = folder.create_group(name)?;
    encode(&group, encoding, "0.1.0")?;
    write_array(&group, "values", &filled)?;
    let mask: Vec<bool> = values.iter().map(Option::is_none).collect();
    write_array(&group, "mask", &mask)
}

/// Not every release of anndata reads text with missing values, but every one
/// categories.
fn write_text_with_gaps(folder: &Group, name: &str, values: &[Option<String>]) -> hdf5::Result<()> {
    let mut levels: Vec<String> = values.iter().flatten().cloned().collect();
    levels.sort();
    levels.dedup();
    let code = |value: &String| levels.binary_search(value).map_or(-1, |level| level as i32);
    let codes: Vec<i32> = values.iter().map(|value| value.as_ref().map_or(-1, code)).collect();
    write_categorical(folder, name, &codes, &levels, false)
}

fn write_categorical(
    folder: &Group,
    name: &str,
    codes: &[i32],
    levels: &[String],
    ordered: bool,
) -> hdf5::Result<()> {
    let group = folder.create_group(name)?;
    encode(&group, "categorical", "0.2.0")?;
    group.new_attr::<bool>().create("ordered")?.write_scalar(&ordered)?;
    write_array(&group, "codes", codes)?;
    write_texts(&group, "categories", levels)
}

fn write_setting(folder: &Group, name: &str, setting: &Setting) -> hdf5::Result<()> {
    let (folder, name) = match name.split_once('/') {
        None => (folder.clone(), name),
        Some((group, rest)) => {
            let inner = match folder.link_exists(group) {
                true => folder.group(group)?,
                false => create_dict(folder, group)?,
            };
            return write_setting(&inner, rest, setting);
        }
    };
    match setting {
        Setting::Text(text) => {
            let dataset = folder.new_dataset::<VarLenUnicode>().create(name)?;
            dataset.write_scalar(&unicode(text)?)?;
            encode(&dataset, "string", "0.2.0")
        }
        Setting::Texts(texts) => write_texts(&folder, name, texts),
        Setting::Number(value) => write_scalar(&folder, name, value),
        Setting::Integer(value) => write_scalar(&folder, name, &i64::from(*value)),
        Setting::Logical(value) => write_scalar(&folder, name, value),
    }
}

fn write_scalar<T: H5Type>(folder: &Group, name: &str, value: &T) -> hdf5::Result<()> {
    let dataset = folder.new_dataset::<T>().create(name)?;
    dataset.write_scalar(value)?;
    encode(&dataset, "numeric-scalar", "0.2.0")
}

fn write_array<T: H5Type>(folder: &Group, name: &str, values: &[T]) -> hdf5::Result<()> {
    let dataset = folder.new_dataset::<T>().shape(values.len()).create(name)?;
    dataset.write_raw(values)?;
    encode(&dataset, "array", "0.2.0")
}

fn write_texts(folder: &Group, name: &str, texts: &[String]) -> hdf5::Result<()> {
    let dataset = folder.new_dataset::<VarLenUnicode>().shape(texts.len()).create(name)?;
    dataset.write_raw(&unicodes(texts)?)?;
    encode(&dataset, "string-array", "0.2.0")
}

fn create_dict(folder: &Group, name: &str) -> hdf5::Result<Group> {
    let group = folder.create_group(name)?;
    encode(&group, "dict", "0.1.0")?;
    Ok(group)
}

fn encode(place: &Location, name: &str, version: &str) -> hdf5::Result<()> {
    write_text(place, "encoding-type", name)?;
    write_text(place, "encoding-version", version)
}

fn write_text(place: &Location, name: &str, text: &str) -> hdf5::Result<()> {
    place.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&unicode(text)?)
}

fn unicodes<'a>(texts: impl IntoIterator<Item = &'a String>) -> hdf5::Result<Vec<VarLenUnicode>> {
    texts.into_iter().map(|text| unicode(text)).collect()
}

fn unicode(text: &str) -> hdf5::Result<VarLenUnicode> {
    text.parse().map_err(|error| format!("{text:?}: {error}").into())
}
