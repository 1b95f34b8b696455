use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::screen_layout::Of;
use super::screen_structure::Structure;
use super::{Fingerprint, Layout, ScreenBlock, ScreenSink, UNFITTED};
use crate::claim::{access_error, lock, reserve, write_error};
use crate::{Error, Result};

/// Takes the results of a screen into an HDF5 file that survives an end at any
/// moment, and can be taken up again.
///
/// HDF5 makes the file, with all datasets in place, and then lets go of it. Blocks
/// are written straight to their places; once they are on disk, the number of
/// genes done is, in one write of eight bytes. So the structure is never torn,
/// what the number counts is whole, and whatever reads HDF5 can look on.
#[derive(Debug)]
pub struct ScreenFile {
    path: PathBuf,
    file: File,
    structure: Structure,
    done: usize,
}

impl ScreenFile {
    /// Makes a file for all results; `description` is for whoever reads them.
    ///
    /// # Errors
    /// Where `path` exists, cannot be made, or has not enough space.
    pub fn create(
        path: &Path,
        layout: &Layout,
        fingerprint: &Fingerprint,
        description: &[u8],
    ) -> Result<Self> {
        layout.check()?;
        if path.symlink_metadata().is_ok() {
            return Err(Error::OutputExists { path: path.to_owned() });
        }
        let draft = Draft::beside(path)?;
        // On closing, HDF5 keeps failures to itself: see whether all is there.
        let structure = Structure::create(draft.path(), layout, fingerprint, description)
            .map_err(|error| error.to_string())
            .and_then(|()| Structure::open(draft.path()).map_err(|error| error.to_string()))
            .map_err(|reason| draft.cause(path, bytes_of(layout), reason))?;
        let file = draft.open().map_err(|error| access_error(path, &error))?;
        lock(&file, path)?;
        let screen = Self { path: path.to_owned(), file, structure, done: 0 };
        screen.prepare().map_err(|error| screen.write_error(&error))?;
        draft.publish(path)?;
        Ok(screen)
    }

    /// Goes on with a file of [`ScreenFile::create`], finished or not.
    ///
    /// # Errors
    /// Where it is not such a file, is damaged, of other data or arguments, or
    /// being written.
    pub fn resume(path: &Path, layout: &Layout, fingerprint: &Fingerprint) -> Result<Self> {
        layout.check()?;
        let structure = Structure::open(path)?;
        let differs = differences(layout, fingerprint, &structure);
        if !differs.is_empty() {
            return Err(Error::OutputMismatch { path: path.to_owned(), differs });
        }
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|error| access_error(path, &error))?;
        lock(&file, path)?;
        let done = genes_done(&file, path, &structure)?;
        let screen = Self { path: path.to_owned(), file, structure, done };
        reserve(&screen.file, screen.structure.bytes)
            .map_err(|error| screen.write_error(&error))?;
        Ok(screen)
    }

    /// # Errors
    /// Where genes are missing, or the last of them cannot be brought to disk.
    pub fn finish(self) -> Result<()> {
        check_shape("genes with results", self.done, self.structure.layout.genes)?;
        self.file.sync_all().map_err(|error| self.write_error(&error))
    }

    /// Takes the space; marks all as yet to be fitted.
    fn prepare(&self) -> io::Result<()> {
        reserve(&self.file, self.structure.bytes)?;
        let unfitted = [UNFITTED; 1 << 16];
        for (column, offset) in self.structure.columns().filter(|(column, _)| column.is_status()) {
            let entries = self.structure.layout.entries(column);
            for start in (0..entries).step_by(unfitted.len()) {
                let length = unfitted.len().min(entries - start);
                self.file.write_all_at(&unfitted[..length], offset + start as u64)?;
            }
        }
        self.write_progress()?;
        self.file.sync_all()
    }

    fn write_progress(&self) -> io::Result<()> {
        self.file.write_all_at(&(self.done as u64).to_ne_bytes(), self.structure.progress)
    }

    fn write_error(&self, error: &io::Error) -> Error {
        write_error(&self.path, self.structure.bytes, error)
    }
}

impl ScreenSink for ScreenFile {
    fn genes_done(&self) -> usize {
        self.done
    }

    fn bytes(&self, _pairs: usize) -> usize {
        0
    }

    /// A block that could not be written whole is not counted: it may be appended
    /// again.
    fn append(&mut self, block: ScreenBlock) -> Result<()> {
        let layout = &self.structure.layout;
        let done = self.done + block.genes.status.len();
        if done > layout.genes {
            check_shape("genes with results", done, layout.genes)?;
        }
        let genes = self.done..done;
        let pairs = layout.pairs_of(genes.clone());
        let mut writes = Vec::new();
        for (column, offset) in self.structure.columns() {
            let place = match column.of {
                Of::Genes => &genes,
                Of::Pairs => &pairs,
            };
            let (bytes, size) = ((column.bytes)(&block), column.kind.size());
            check_shape(column.name, bytes.len() / size, place.len())?;
            writes.push((bytes, offset + (place.start * size) as u64));
        }
        if !layout.with_theta {
            check_shape("pairs/theta", block.pairs.theta.len(), 0)?;
        }
        (writes.into_iter())
            .try_for_each(|(bytes, offset)| self.file.write_all_at(bytes, offset))
            .and_then(|()| self.file.sync_data())
            .map_err(|error| self.write_error(&error))?;
        let before = std::mem::replace(&mut self.done, done);
        self.write_progress().map_err(|error| {
            self.done = before;
            self.write_error(&error)
        })
    }
}

/// How many genes have results, by the file's own account.
pub(super) fn genes_done(file: &File, path: &Path, structure: &Structure) -> Result<usize> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, structure.progress)
        .map_err(|error| access_error(path, &error))?;
    let done = usize::try_from(u64::from_ne_bytes(bytes)).unwrap_or(usize::MAX);
    if done <= structure.layout.genes {
        return Ok(done);
    }
    let reason = "is damaged: it counts more genes with results than genes".to_owned();
    Err(Error::OutputFile { path: path.to_owned(), reason })
}

fn bytes_of(layout: &Layout) -> u64 {
    layout.columns().map(|column| (layout.entries(column) * column.kind.size()) as u64).sum()
}

fn differences(layout: &Layout, fingerprint: &Fingerprint, found: &Structure) -> Vec<String> {
    let shapes = [
        ("genes", layout.genes == found.layout.genes),
        ("pairs", layout.pairs_of_gene == found.layout.pairs_of_gene),
        ("columns", layout.with_theta == found.layout.with_theta),
    ];
    let mut names: Vec<String> =
        (shapes.into_iter().filter(|(_, same)| !same)).map(|(name, _)| name.to_owned()).collect();
    for name in fingerprint.differences(&found.fingerprint) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

pub(super) fn check_shape(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Shape { what, found, expected }) }
}
