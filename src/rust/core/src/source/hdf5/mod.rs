//! Numbers of HDF5 files that nobody vouches for. What a file holds, the library of HDF5
//! says when it is opened. From then on numbers are read and unpacked without it, in many
//! threads at once: where R's packages for HDF5 fail, they leave the library's lock held
//! by R's thread, and no other one ever gets in. Nothing is allocated that the file's own
//! size does not warrant.

mod array;
mod btree;
mod bytes;
#[cfg(target_os = "linux")]
mod child;
mod chunks;
mod filters;
mod header;
mod library;
mod number;
mod rehearsal;
mod texts;

pub use array::{Array, Buffers};
pub use filters::TIGHTEST;
pub use library::{has_attribute, unheard};
pub use rehearsal::{Limits, rehearse};
pub use texts::read_texts;

use crate::{Error, Result};
use bytes::Bytes;
use hdf5_metno as hdf5;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An HDF5 file, and the same bytes without HDF5.
#[derive(Clone, Debug)]
pub struct Container {
    pub file: hdf5::File,
    bytes: Arc<Bytes>,
    path: PathBuf,
}

impl Container {
    /// # Errors
    /// [`Error::InputFile`] where there is no file, or none of HDF5.
    pub fn open(path: &Path) -> Result<Self> {
        let refused = |reason: String| Error::InputFile { path: path.to_owned(), reason };
        let found = fs::metadata(path).map_err(|error| refused(error.to_string()))?;
        if !found.is_file() {
            return Err(refused("it is a directory, or something else than a file".into()));
        }
        let file = hdf5::File::open(path)
            .map_err(|error| refused(format!("it is not an HDF5 file, or is cut off ({error})")))?;
        if file.userblock() != 0 {
            return Err(refused("it does not begin with HDF5, but with a user block".into()));
        }
        let bytes = fs::File::open(path).and_then(Bytes::of);
        let bytes = Arc::new(bytes.map_err(|error| refused(error.to_string()))?);
        Ok(Self { file, bytes, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a matrix with more rows or columns than the file has bytes: of each, memory
    /// is taken for a number or two, though the matrix stores nothing of those without
    /// entries.
    ///
    /// # Errors
    /// [`Error::InputData`].
    pub fn check_extents(&self, matrix: &str, genes: usize, cells: usize) -> Result<()> {
        // What this allows to a small file takes a few megabytes.
        const FEW: u64 = 1 << 20;
        if genes.max(cells) as u64 <= self.bytes.len().max(FEW) {
            return Ok(());
        }
        let bytes = self.bytes.len();
        Err(self.refused(
            matrix,
            format!("it claims {genes} genes and {cells} cells, in a file of {bytes} bytes"),
        ))
    }

    /// That one of its datasets (or groups) is not as it must be.
    pub fn refused(&self, dataset: &str, reason: impl Into<String>) -> Error {
        let (path, dataset) = (self.path.clone(), dataset.to_owned());
        Error::InputData { path, dataset, reason: reason.into() }
    }

    /// # Errors
    /// Where there is no group of that name.
    pub fn group(&self, name: &str) -> Result<hdf5::Group> {
        self.file.group(name).map_err(|_| self.refused(name, "there is no such group"))
    }
}
