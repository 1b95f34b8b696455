//! What an .h5ad says of its cells and genes: the data frames `obs` and `var` and what
//! lies beside them, as every release of anndata has written them, and the barcodes and
//! features of a 10x .h5.
//!
//! Files are not trusted: whatever they claim is checked before memory is taken for it,
//! and only what lies in the file itself is read, not what it links to.

mod compound;
mod contents;
mod encoding;
mod matrix;
mod node;
mod table;
mod tenx;
mod text;

pub use contents::{Entry, list_h5ad};
pub use matrix::{CellColumns, read_matrix};
pub use tenx::{TenX, is_10x, read_10x};

use crate::{Error, Result};
use hdf5_metno::File;
pub(super) use node::{Folder, Node};
use std::collections::HashSet;
use table::Table;

/// A data frame: one entry of each column for every name in its index.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub index: Vec<String>,
    pub columns: Vec<(String, Column)>,
    /// Columns that are in the file, stored in a way that is not read here.
    pub skipped: Vec<Skipped>,
}

/// None is a missing value; in doubles, NaN is.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    Integers(Vec<Option<i32>>),
    /// Also whole numbers of which one is no `i32`, or is the least of them.
    Doubles(Vec<f64>),
    Logicals(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
    /// Codes count the levels from zero.
    Factor {
        codes: Vec<Option<u32>>,
        levels: Vec<String>,
        ordered: bool,
    },
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Column::Integers(values) => values.len(),
            Column::Doubles(values) => values.len(),
            Column::Logicals(values) => values.len(),
            Column::Text(values) => values.len(),
            Column::Factor { codes, .. } => codes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    pub column: String,
    pub reason: String,
}

/// Why something is not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is stored in a way that this release does not know.
    Unknown(String),
    /// The file contradicts itself.
    Wrong(Error),
}

pub(super) type Read<T> = std::result::Result<T, Unread>;

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Unread::Wrong(error)
    }
}

/// Reads the data frame at `name`, such as `obs`, `raw/var` or `obsm/guides`.
///
/// # Errors
/// [`Error::InputData`] where there is none, its index is not readable, or what the file
/// says of a column contradicts itself.
pub fn read_frame(file: &File, name: &str) -> Result<Frame> {
    let root = Folder::root(file)?;
    match root.node(name)? {
        Node::Folder(folder) => read_group(&root, &folder),
        Node::Table(table) => read_compound(&root, &table),
    }
}

/// Reads names, such as `uns/guide_names`: an array of text, as a rule.
///
/// # Errors
/// [`Error::InputData`] where there are none, or one is missing.
pub fn read_names(file: &File, name: &str) -> Result<Vec<String>> {
    let root = Folder::root(file)?;
    let node = root.node(name)?;
    let column = encoding::read_column(&node, &root).map_err(|unread| node.at().refused(unread))?;
    as_names(column).map_err(|reason| node.at().wrong(reason))
}

/// Since anndata 0.7: a group with a dataset or group for every column.
fn read_group(root: &Folder, folder: &Folder) -> Result<Frame> {
    let at = &folder.at;
    encoding::check_frame(folder)?;
    let Some(index) = folder.attribute_text("_index")? else {
        return Err(at.wrong("it names no index: it is not a data frame"));
    };
    let Some(names) = folder.attribute_texts("column-order")? else {
        return Err(at.wrong("it has no list of its columns"));
    };
    let column = |name: &str| match folder.find(name)? {
        Some(node) => encoding::read_column(&node, root),
        None => Err(at.under(name).wrong("it is listed as a column, and is not there").into()),
    };
    let index = as_names(column(&index).map_err(|unread| at.under(&index).refused(unread))?)
        .map_err(|reason| at.under(&index).wrong(reason))?;
    let read = names.into_iter().map(|name| (column(&name), name));
    collect(folder.at.clone(), index, read)
}

/// Until anndata 0.6: a dataset of records, of which the index is the first field.
fn read_compound(root: &Folder, records: &Table) -> Result<Frame> {
    let at = &records.at;
    let Some(fields) = records.fields() else {
        return Err(at.wrong("it is neither a group nor a dataset of records"));
    };
    let named = |field: &&String| *field == "index" || *field == "_index";
    let Some(index) = fields.iter().find(named).or(fields.first()).cloned() else {
        return Err(at.wrong("it has no field"));
    };
    let read_index = || as_names(records.field(&index)?.values()?).map_err(Unread::Unknown);
    let names = read_index().map_err(|unread| at.under(&index).refused(unread))?;
    let columns = fields.into_iter().filter(|field| *field != index);
    let read = columns.map(|name| (read_field(root, records, &name), name));
    collect(at.clone(), names, read)
}

/// A field of codes has its levels in `uns`.
fn read_field(root: &Folder, records: &Table, name: &str) -> Read<Column> {
    let field = records.field(name)?;
    match root.find(&format!("uns/{name}_categories"))? {
        Some(Node::Table(levels)) if field.is_whole() => {
            encoding::factor(&field, levels.values()?, &levels.at, false)
        }
        _ => field.values(),
    }
}

fn collect(
    at: node::At,
    index: Vec<String>,
    read: impl Iterator<Item = (Read<Column>, String)>,
) -> Result<Frame> {
    let (mut columns, mut skipped, mut seen) = (vec![], vec![], HashSet::new());
    for (column, name) in read {
        if !seen.insert(name.clone()) {
            return Err(at.under(&name).wrong("there are two columns of this name"));
        }
        match column {
            Ok(column) if column.len() == index.len() => columns.push((name, column)),
            Ok(column) => {
                let (found, expected) = (column.len(), index.len());
                return Err(at.under(&name).wrong(format!(
                    "it has {found} entries, where the data frame has {expected} rows"
                )));
            }
            Err(Unread::Unknown(reason)) => skipped.push(Skipped { column: name, reason }),
            Err(Unread::Wrong(error)) => return Err(error),
        }
    }
    Ok(Frame { index, columns, skipped })
}

fn as_names(column: Column) -> std::result::Result<Vec<String>, String> {
    let names: Option<Vec<String>> = match column {
        Column::Text(names) => names.into_iter().collect(),
        Column::Integers(numbers) => {
            numbers.into_iter().map(|number| number.map(|number| number.to_string())).collect()
        }
        Column::Factor { codes, levels, .. } => {
            (codes.into_iter()).map(|code| code.map(|code| levels[code as usize].clone())).collect()
        }
        Column::Doubles(_) | Column::Logicals(_) => {
            return Err("it does not hold names".to_owned());
        }
    };
    names.ok_or_else(|| "it lacks a name".to_owned())
}
