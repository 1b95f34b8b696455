//! How anndata stores a column: what it calls encodings, each with a version.

use super::node::{At, Folder, Node, attribute, attribute_text};
use super::table::Table;
use super::{Column, Read, Unread};
use crate::Result;
use hdf5_metno::types::{Reference, TypeDescriptor};
use hdf5_metno::{Location, ObjectReference1, ReferencedObject};
use std::collections::HashSet;

/// Groups from before there were encodings are data frames where they name an index.
pub fn check_frame(folder: &Folder) -> Result<()> {
    let (name, version) = encoding(folder.location(), &folder.at)?;
    match (name.as_deref(), version.as_deref()) {
        (None, _) | (Some("dataframe"), Some("0.1.0" | "0.2.0")) => Ok(()),
        (Some("dataframe"), version) => {
            let version = version.unwrap_or("unknown");
            Err(folder.at.wrong(format!("a data frame of version {version} is not read here")))
        }
        (Some(other), _) => Err(folder.at.wrong(format!("it is encoded as {other:?}"))),
    }
}

pub fn encoding(place: &Location, at: &At) -> Result<(Option<String>, Option<String>)> {
    let of = |name| attribute_text(place, at, name);
    // Written empty for what is not encoded.
    Ok((of("encoding-type")?.filter(|name| !name.is_empty()), of("encoding-version")?))
}

pub fn read_column(node: &Node, root: &Folder) -> Read<Column> {
    match node {
        Node::Table(table) => read_array(table, root),
        Node::Folder(folder) => read_group(folder),
    }
}

/// Values themselves, or codes that refer to their levels, as anndata 0.7 wrote them.
fn read_array(table: &Table, root: &Folder) -> Read<Column> {
    known(table.dataset(), &table.at, &[("array", "0.2.0"), ("string-array", "0.2.0")])?;
    let Some(levels) = attribute(table.dataset(), &table.at, "categories")? else {
        return table.values();
    };
    let wrong = || table.at.wrong("its categories are not where it says");
    let stored = levels.dtype().and_then(|stored| stored.to_descriptor());
    if !matches!(stored, Ok(TypeDescriptor::Reference(Reference::Object))) {
        return Err(wrong().into());
    }
    let reference = levels.read_scalar::<ObjectReference1>().map_err(|_| wrong())?;
    match root.location().dereference(&reference) {
        Ok(ReferencedObject::Dataset(levels)) => {
            let levels = Table::of(levels, table.at.under("categories"))?;
            let ordered = is_ordered(levels.dataset(), &levels.at)?;
            factor(table, levels.values()?, &levels.at, ordered)
        }
        _ => Err(wrong().into()),
    }
}

/// Values of which some are missing, or codes and their levels.
fn read_group(folder: &Folder) -> Read<Column> {
    let known = known(
        folder.location(),
        &folder.at,
        &[
            ("categorical", "0.2.0"),
            ("nullable-integer", "0.1.0"),
            ("nullable-boolean", "0.1.0"),
            ("nullable-string-array", "0.1.0"),
        ],
    )?;
    match known.as_deref() {
        None => Err(Unread::Unknown("it is a group that is not encoded".to_owned())),
        Some("categorical") => {
            let levels = match folder.node("categories")? {
                Node::Table(levels) => (levels.values()?, levels.at),
                Node::Folder(levels) => (read_masked(&levels)?, levels.at),
            };
            let ordered = is_ordered(folder.location(), &folder.at)?;
            factor(&folder.table("codes")?, levels.0, &levels.1, ordered)
        }
        Some(_) => read_masked(folder),
    }
}

/// Where the mask is true, the value is missing.
fn read_masked(folder: &Folder) -> Read<Column> {
    let mask = folder.table("mask")?.logicals()?;
    let values = folder.table("values")?.values()?;
    if mask.len() != values.len() {
        let (found, expected) = (mask.len(), values.len());
        return Err(folder.at.wrong(format!("its mask is of {found}, not {expected}")).into());
    }
    Ok(match values {
        Column::Integers(values) => Column::Integers(masked(values, &mask)),
        Column::Logicals(values) => Column::Logicals(masked(values, &mask)),
        Column::Text(values) => Column::Text(masked(values, &mask)),
        Column::Doubles(mut values) => {
            for (value, _) in values.iter_mut().zip(mask).filter(|(_, missing)| *missing) {
                *value = f64::NAN;
            }
            Column::Doubles(values)
        }
        Column::Factor { .. } => {
            return Err(Unread::Unknown("its values are categories".to_owned()));
        }
    })
}

fn masked<T>(values: Vec<Option<T>>, mask: &[bool]) -> Vec<Option<T>> {
    values.into_iter().zip(mask).map(|(value, &missing)| value.filter(|_| !missing)).collect()
}

/// Codes count the levels from zero, and are -1 where a value is missing.
pub fn factor(codes: &Table, levels: Column, levels_at: &At, ordered: bool) -> Read<Column> {
    let levels = as_levels(levels).map_err(|reason| levels_at.wrong(reason))?;
    let code = |code: i64| match usize::try_from(code) {
        Err(_) if code == -1 => Ok(None),
        Ok(level) if level < levels.len() => Ok(Some(level as u32)),
        _ => Err(codes.at.wrong(format!("it has code {code} of {} categories", levels.len()))),
    };
    let codes = codes.wholes()?.into_iter().map(code).collect::<Result<_>>()?;
    Ok(Column::Factor { codes, levels, ordered })
}

/// As text, each once.
fn as_levels(levels: Column) -> std::result::Result<Vec<String>, String> {
    let levels: Option<Vec<String>> = match levels {
        Column::Text(levels) => levels.into_iter().collect(),
        Column::Integers(levels) => {
            levels.into_iter().map(|level| level.map(|level| level.to_string())).collect()
        }
        Column::Doubles(levels) => {
            let text = |level: f64| (!level.is_nan()).then(|| level.to_string());
            levels.into_iter().map(text).collect()
        }
        // As HDF5 calls them.
        Column::Logicals(levels) => {
            let text = |level| if level { "TRUE" } else { "FALSE" }.to_owned();
            levels.into_iter().map(|level| level.map(text)).collect()
        }
        Column::Factor { .. } => return Err("its categories are categories".to_owned()),
    };
    let levels = levels.ok_or("a category is missing")?;
    let mut seen = HashSet::with_capacity(levels.len());
    match levels.iter().find(|level| !seen.insert(level.as_str())) {
        Some(twice) => Err(format!("the category {twice:?} is there twice")),
        None => Ok(levels),
    }
}

/// Absent where categories have no order.
fn is_ordered(place: &Location, at: &At) -> Result<bool> {
    let Some(ordered) = attribute(place, at, "ordered")? else { return Ok(false) };
    let read = ordered.read_scalar::<i8>();
    Ok(read.map_err(|error| at.wrong(format!("its attribute \"ordered\": {error}")))? != 0)
}

/// The encoding, where it is one of these or there is none.
fn known(place: &Location, at: &At, encodings: &[(&str, &str)]) -> Read<Option<String>> {
    let (name, version) = encoding(place, at)?;
    let Some(name) = name else { return Ok(None) };
    let version = version.unwrap_or_default();
    if encodings.contains(&(&name, &version)) {
        return Ok(Some(name));
    }
    Err(Unread::Unknown(format!("its encoding {name:?} {version} is not read here")))
}
