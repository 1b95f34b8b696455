//! The matrices of AnnData's files, of cells x genes, in every encoding so far.

use super::compressed::MOST;
use super::frame::{Folder, Node};
use super::hdf5::Container;
use super::{Axis, Compressed, Dense, Source};
use crate::{Error, Result};
use std::path::Path;

/// A matrix in an .h5ad file: `"X"`, `"raw/X"`, or `"layers/"` and a name.
///
/// # Errors
/// [`Error::InputFile`] where the file is none of AnnData, [`Error::InputData`] where it
/// has no such matrix, or one in an encoding that is newer than this release, or damaged.
pub fn open_h5ad(path: &Path, matrix: &str) -> Result<Box<dyn Source + Send>> {
    let container = Container::open(path)?;
    check_anndata(&container)?;
    open_matrix(&container, matrix)
}

fn check_anndata(container: &Container) -> Result<()> {
    let refused = |reason: String| Error::InputFile { path: container.path().to_owned(), reason };
    let root = Folder::root(&container.file)?;
    if let Some(encoding) = root.attribute_text("encoding-type")? {
        let version = root.attribute_text("encoding-version")?.unwrap_or_default();
        return match (encoding.as_str(), version.as_str()) {
            ("anndata", "0.1.0") => Ok(()),
            ("anndata", version) => Err(refused(format!(
                "its encoding is version {version} of AnnData's; this release reads 0.1.0"
            ))),
            (other, _) => Err(refused(format!("it holds {other:?}, and not an AnnData object"))),
        };
    }
    // Before 0.8 the file itself did not say.
    match ["obs", "var"].iter().all(|name| container.file.link_exists(name)) {
        true => Ok(()),
        false => Err(refused("it is HDF5, but has no obs and var as AnnData's files have".into())),
    }
}

fn open_matrix(container: &Container, name: &str) -> Result<Box<dyn Source + Send>> {
    let refused = |reason: String| container.refused(name, reason);
    if container.file.dataset(name).is_ok() {
        return Ok(Box::new(Dense::open(container, name)?));
    }
    let Some(Node::Folder(group)) = Folder::root(&container.file)?.find(name)? else {
        return Err(refused("there is no such matrix in the file".into()));
    };
    let encoding = group.attribute_text("encoding-type")?;
    let version = group.attribute_text("encoding-version")?;
    let format = match (encoding.as_deref(), version.as_deref()) {
        (Some(sparse @ ("csr_matrix" | "csc_matrix")), Some("0.1.0") | None) => &sparse[..3],
        (Some(encoding), version) => {
            return Err(refused(format!(
                "its encoding is {encoding:?}, version {}, which this release does not read as a \
                 matrix",
                version.unwrap_or("unknown")
            )));
        }
        // AnnData before 0.7.
        (None, _) => match group.attribute_text("h5sparse_format")?.as_deref() {
            Some("csr") => "csr",
            Some("csc") => "csc",
            _ => return Err(refused("it is a group, but does not say of which encoding".into())),
        },
    };
    let shape =
        group.attribute_shape()?.ok_or_else(|| refused("it does not say its shape".into()))?;
    let &[cells, genes] = shape.as_slice() else {
        return Err(refused("its shape is not of two numbers".into()));
    };
    if cells.max(genes) > MOST {
        return Err(refused(format!("its shape, {cells} x {genes}, is beyond what can be read")));
    }
    let axis = if format == "csr" { Axis::Cells } else { Axis::Genes };
    Ok(Box::new(Compressed::open(container, name, axis, genes, cells)?))
}
