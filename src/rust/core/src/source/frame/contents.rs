use super::encoding::encoding;
use super::node::{Folder, Node};
use crate::Result;
use hdf5_metno::File;

/// Something that an .h5ad has.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// From the root, such as `layers/counts`.
    pub name: String,
    /// What anndata calls it, such as `csr_matrix`; else `group` or `dataset`; or
    /// `unreadable`, as a link to elsewhere is.
    pub encoding: String,
    /// Empty where there is none.
    pub shape: Vec<usize>,
}

/// Lists the matrices and tables of an .h5ad, and what is in `uns`, one level deep.
///
/// # Errors
/// [`Error::InputData`](crate::Error::InputData) where a part of it is damaged.
pub fn list_h5ad(file: &File) -> Result<Vec<Entry>> {
    let root = Folder::root(file)?;
    let mut entries = vec![];
    for name in root.names()? {
        match name.as_str() {
            "layers" | "raw" | "obsm" | "varm" | "obsp" | "varp" | "uns" => {
                let Some(Node::Folder(folder)) = root.find(&name)? else { continue };
                for child in folder.names()? {
                    entries.push(entry(&folder, &child, format!("{name}/{child}"))?);
                }
            }
            _ => entries.push(entry(&root, &name, name.clone())?),
        }
    }
    Ok(entries)
}

fn entry(folder: &Folder, child: &str, name: String) -> Result<Entry> {
    let Ok(Some(node)) = folder.find(child) else {
        return Ok(Entry { name, encoding: "unreadable".to_owned(), shape: vec![] });
    };
    let (encoding, kind, shape) = match &node {
        Node::Folder(inner) => {
            let shape = inner.attribute_shape()?.unwrap_or_default();
            (encoding(inner.location(), node.at())?.0, "group", shape)
        }
        Node::Table(table) => {
            (encoding(table.dataset(), node.at())?.0, "dataset", table.shape().to_vec())
        }
    };
    Ok(Entry { name, encoding: encoding.unwrap_or_else(|| kind.to_owned()), shape })
}
