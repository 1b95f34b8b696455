use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::slice;

use bytemuck::{Pod, cast_slice_mut};

use super::Layout;
use super::screen_file::genes_done;
use super::screen_layout::{Kind, Of};
use super::screen_structure::Structure;
use crate::claim::access_error;
use crate::{Error, Result};

/// Reads what a [`super::ScreenFile`] has taken so far, also while it takes more.
#[derive(Debug)]
pub struct ScreenReader {
    path: PathBuf,
    file: File,
    structure: Structure,
    done: usize,
}

/// Entries of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    F64(Vec<f64>),
    U8(Vec<u8>),
}

impl ScreenReader {
    /// # Errors
    /// Where there is no such file, or it is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let structure = Structure::open(path)?;
        let file = File::open(path).map_err(|error| access_error(path, &error))?;
        let done = genes_done(&file, path, &structure)?;
        Ok(Self { path: path.to_owned(), file, structure, done })
    }

    pub fn layout(&self) -> &Layout {
        &self.structure.layout
    }

    /// As given to [`super::ScreenFile::create`].
    pub fn description(&self) -> &[u8] {
        &self.structure.description
    }

    /// How many genes, from the first on, had results when the file was opened.
    pub fn genes_done(&self) -> usize {
        self.done
    }

    pub fn pairs_done(&self) -> usize {
        self.layout().pairs_of(0..self.done).end
    }

    pub fn is_complete(&self) -> bool {
        self.done == self.layout().genes
    }

    /// Their names, as `pairs/estimate` and `genes/mean`.
    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.layout().columns().map(|column| column.name)
    }

    /// All entries of a column that have results.
    ///
    /// # Errors
    /// As [`ScreenReader::read_ranges`].
    pub fn read(&self, column: &str) -> Result<Values> {
        let done = if column.starts_with("genes/") { self.genes_done() } else { self.pairs_done() };
        self.read_ranges(column, slice::from_ref(&(0..done)))
    }

    /// The entries of a column in these ranges of genes or pairs, one after another.
    ///
    /// # Errors
    /// Where there is no such column, a range goes beyond the results, or the file
    /// cannot be read.
    pub fn read_ranges(&self, column: &str, ranges: &[Range<usize>]) -> Result<Values> {
        let found = self.structure.columns().find(|(known, _)| known.name == column);
        let Some((column, offset)) = found else {
            return Err(Error::Argument {
                name: "column",
                value: column.to_owned(),
                expected: "a column of the file",
            });
        };
        let done = match column.of {
            Of::Genes => self.genes_done(),
            Of::Pairs => self.pairs_done(),
        };
        for range in ranges {
            if range.start > range.end || range.end > done {
                return Err(Error::Shape { what: column.name, found: done, expected: range.end });
            }
        }
        Ok(match column.kind {
            Kind::F64 => Values::F64(self.entries(offset, ranges)?),
            Kind::F32 => {
                let single: Vec<f32> = self.entries(offset, ranges)?;
                Values::F64(single.into_iter().map(f64::from).collect())
            }
            Kind::U8 => Values::U8(self.entries(offset, ranges)?),
        })
    }

    fn entries<T: Pod>(&self, offset: u64, ranges: &[Range<usize>]) -> Result<Vec<T>> {
        let mut values = vec![T::zeroed(); ranges.iter().map(ExactSizeIterator::len).sum()];
        let mut rest = &mut values[..];
        for range in ranges {
            let (some, after) = rest.split_at_mut(range.len());
            rest = after;
            self.file
                .read_exact_at(cast_slice_mut(some), offset + (range.start * size_of::<T>()) as u64)
                .map_err(|error| access_error(&self.path, &error))?;
        }
        Ok(values)
    }
}
