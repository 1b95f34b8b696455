//! The matrices of 10x Genomics' files, and of those that HDF5Array writes alike: genes x
//! cells by column.

use super::hdf5::Container;
use super::{Axis, Compressed};
use crate::{Error, Result};
use std::path::Path;

/// The matrix of a file as Cell Ranger 3 and later (group `matrix`) or 2 (a group named
/// after a genome) write it; `group` says which, where there are several.
///
/// # Errors
/// [`Error::InputFile`] where there is no such group, or several and none was named;
/// [`Error::InputData`] where it is damaged.
pub fn open_10x(path: &Path, group: Option<&str>) -> Result<Compressed> {
    let container = Container::open(path)?;
    let group = match group {
        Some(group) => group.to_owned(),
        None => find_group(&container)?,
    };
    let shape = super::hdf5::Array::open(&container, &format!("{group}/shape"), 1)?;
    let &[genes, cells] = shape.offsets()?.as_slice() else {
        return Err(shape.refused("it does not hold two numbers"));
    };
    if genes.max(cells) >= u64::from(u32::MAX) {
        return Err(shape.refused(format!("{genes} x {cells} is beyond what can be read")));
    }
    Compressed::open(&container, &group, Axis::Cells, genes as usize, cells as usize)
}

/// The only group of a file that looks like a matrix.
pub fn find_group(container: &Container) -> Result<String> {
    let refused = |reason: String| Error::InputFile { path: container.path().to_owned(), reason };
    let names = container.file.member_names();
    let names = names.map_err(|error| refused(format!("it is damaged ({error})")))?;
    let is_matrix = |name: &String| {
        container.file.group(name).is_ok_and(|group| {
            ["data", "indices", "indptr", "shape"].iter().all(|part| group.link_exists(part))
        })
    };
    let mut found: Vec<String> = names.into_iter().filter(is_matrix).collect();
    match (found.pop(), found.len()) {
        (Some(group), 0) => Ok(group),
        (Some(last), _) => Err(refused(format!(
            "it has several matrices: name one of {}, {last}",
            found.join(", ")
        ))),
        (None, _) => Err(refused("it has no matrix as Cell Ranger writes it".into())),
    }
}
