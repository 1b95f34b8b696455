//! Counts on disk, gene after gene, made once of what is stored otherwise.
//!
//! [`transpose`] makes a scratch file of a source that is stored by cell,
//! [`ScratchWriter`] of entries in any order; [`Scratch::open`] finds it again. Memory
//! is bounded in both: entries are gathered by gene in buffers, and each buffer that is
//! full is written to the gene's own place in the file.

mod layout;
mod draft;
mod place;
mod transpose;
mod writer;

pub use transpose::transpose;
pub use writer::ScratchWriter;

use super::{Axis, Entries, RANGE_ENTRIES, Room, Source, cut};
use crate::{Error, Result};
use layout::{Layout, Width};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A scratch file: the counts other than zero of every gene, with 8 or 12 bytes each.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    file: File,
    layout: Layout,
}

impl Scratch {
    /// Opens the file that was made at `path` of what `key` names. There is none where
    /// nothing is there, or what is there is of another key, of another release or not
    /// whole: it may be made anew.
    ///
    /// # Errors
    /// [`Error::InputFile`] where a file is there and cannot be read.
    pub fn open(path: &Path, key: &str) -> Result<Option<Self>> {
        let opened = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.and_then(|file| Ok((Layout::read(&file, key)?, file))),
        };
        let (layout, file) = opened.map_err(|error| unreadable(path, &error))?;
        Ok(layout.map(|layout| Self { path: path.to_owned(), file, layout }))
    }

    fn read_into(&self, genes: Range<usize>, room: &mut Room) -> io::Result<()> {
        let Room { starts, indices, values, single, .. } = room;
        let of_genes = &self.layout.starts[genes.start..=genes.end];
        starts.clear();
        starts.extend(of_genes.iter().map(|start| (start - of_genes[0]) as usize));
        let (first, count) = (of_genes[0], starts[genes.len()]);
        // What they are filled up with is overwritten.
        indices.resize(count, 0);
        self.file.read_exact_at(bytemuck::cast_slice_mut(indices), self.layout.cell_at(first))?;
        let values_at = self.layout.value_at(first);
        match self.layout.width {
            Width::Double => {
                values.resize(count, 0.0);
                self.file.read_exact_at(bytemuck::cast_slice_mut(values), values_at)
            }
            Width::Single => {
                single.resize(count, 0.0);
                self.file.read_exact_at(bytemuck::cast_slice_mut(single), values_at)?;
                values.clear();
                values.extend(single.iter().map(|&value| f64::from(value)));
                Ok(())
            }
        }
    }

    /// Whether what was read can have been written. After a loss of power a part of a
    /// file may be zeros, which no gene holds.
    fn is_sound(&self, entries: &Entries<'_>) -> bool {
        let cells = self.layout.cells;
        let increase = |k: usize| {
            let (indices, _) = entries.get(k);
            indices.windows(2).all(|pair| pair[0] < pair[1])
                && indices.last().is_none_or(|&last| u64::from(last) < cells)
        };
        entries.values().iter().all(|&value| value != 0.0) && (0..entries.len()).all(increase)
    }
}

impl Source for Scratch {
    fn genes(&self) -> usize {
        self.layout.genes()
    }

    fn cells(&self) -> usize {
        self.layout.cells as usize
    }

    fn axis(&self) -> Axis {
        Axis::Genes
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        cut(|gene| self.layout.starts[gene] as usize, self.genes(), RANGE_ENTRIES)
    }

    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
        self.read_into(range, room).map_err(|error| unreadable(&self.path, &error))?;
        let entries = room.entries();
        if self.is_sound(&entries) {
            return Ok(entries);
        }
        let reason = "is damaged: remove it, and it is made anew".to_owned();
        Err(Error::InputFile { path: self.path.clone(), reason })
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::InputFile { path: path.to_owned(), reason: error.to_string() }
}
