//! A small folder, to be spoilt.

use std::fs;
use std::path::{Path, PathBuf};

use scoria_core::source::{MtxFiles, Scratch, find_mtx, read_mtx};
use scoria_core::{Error, Monitor};
use tempfile::{TempDir, tempdir};

use super::matrix::{Gene, by_gene, names_in};

pub const AMPLE: usize = 1 << 20;

pub fn read(files: &MtxFiles, folder: &Path, memory: usize) -> Result<Scratch, Error> {
    read_mtx(files, &folder.join("scratch"), "", memory, &Monitor::new())
}

/// 3 genes x 2 cells, with 2 entries.
pub const GOOD: &str = "%%MatrixMarket matrix coordinate integer general\n3 2 2\n1 1 5\n3 2 7\n";

pub struct Files {
    pub folder: TempDir,
}

impl Files {
    pub fn new(matrix: impl AsRef<[u8]>) -> Self {
        let files = Self { folder: tempdir().unwrap() };
        files.write("matrix.mtx", matrix);
        files.write("barcodes.tsv", "AA-1\nAC-1\n");
        files.write("genes.tsv", "g1\tA\ng2\tB\ng3\n");
        files
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn found(&self) -> MtxFiles {
        find_mtx(self.folder.path()).unwrap()
    }

    pub fn read(&self) -> Result<Vec<Gene>, Error> {
        let scratch = tempdir().unwrap();
        let made = read(&self.found(), scratch.path(), AMPLE);
        if made.is_err() {
            assert!(names_in(scratch.path()).is_empty());
        }
        Ok(by_gene(&made?))
    }

    /// The reason for which one of the files is refused.
    pub fn refused(&self, name: &str) -> String {
        match self.read().unwrap_err() {
            Error::InputFile { path, reason } => {
                assert_eq!(path, self.path(name), "{reason}");
                reason
            }
            error => panic!("{error}"),
        }
    }
}

/// Why a matrix is refused.
pub fn refused(matrix: impl AsRef<[u8]>) -> String {
    Files::new(matrix).refused("matrix.mtx")
}

pub fn with_entries(entries: &str) -> String {
    let count = entries.lines().count();
    format!("%%MatrixMarket matrix coordinate real general\n3 2 {count}\n{entries}")
}
