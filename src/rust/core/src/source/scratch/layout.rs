//! Where what lies in a scratch file: a head of six numbers, the key, for each gene
//! where its entries start, the cells of all entries, the values of all entries. All of
//! it is aligned to eight bytes and in the machine's own order.

use crate::{Error, Result};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Read on a machine of the other byte order, it is another number.
const MAGIC: u64 = u64::from_be_bytes(*b"scoriaSC");
const VERSION: u64 = 1;
const HEAD_NUMBERS: usize = 6;
const KEY_AT: u64 = 8 * HEAD_NUMBERS as u64;

/// What a value takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Width {
    /// Four bytes, where that is enough for all of them.
    Single,
    Double,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub cells: u64,
    pub width: Width,
    /// Of each gene the first entry, and the number of all.
    pub starts: Vec<u64>,
    /// Where the entries begin.
    entries_at: u64,
}

impl Width {
    fn bytes(self) -> u64 {
        match self {
            Width::Single => 4,
            Width::Double => 8,
        }
    }
}

impl Layout {
    /// # Errors
    /// [`Error::Shape`] where there are more genes or cells than 32 bits count.
    pub fn new(by_gene: &[usize], cells: usize, width: Width, key: &str) -> Result<Self> {
        for (what, found) in [("genes", by_gene.len()), ("cells", cells)] {
            if u32::try_from(found).is_err() {
                return Err(Error::Shape { what, found, expected: u32::MAX as usize });
            }
        }
        let mut starts = vec![0];
        starts.extend(by_gene.iter().scan(0, |end, &count| {
            *end += count as u64;
            Some(*end)
        }));
        let entries_at = entries_at(by_gene.len(), key);
        let layout = Self { cells: cells as u64, width, starts, entries_at };
        match layout.checked_bytes() {
            Some(_) => Ok(layout),
            None => Err(Error::Sparse("more entries than a file can hold")),
        }
    }

    pub fn genes(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many entries each of these genes has.
    pub fn counts(&self, genes: Range<usize>) -> impl Iterator<Item = u64> {
        self.starts[genes.start..=genes.end].windows(2).map(|span| span[1] - span[0])
    }

    pub fn entries(&self) -> u64 {
        self.starts[self.genes()]
    }

    /// Of the whole file.
    pub fn bytes(&self) -> u64 {
        self.value_at(self.entries())
    }

    /// Where the cell of an entry lies.
    pub fn cell_at(&self, entry: u64) -> u64 {
        self.entries_at + 4 * entry
    }

    /// Where its value lies.
    pub fn value_at(&self, entry: u64) -> u64 {
        let values_at = (self.entries_at + 4 * self.entries()).next_multiple_of(8);
        values_at + self.width.bytes() * entry
    }

    fn checked_bytes(&self) -> Option<u64> {
        let cells = self.entries().checked_mul(4)?.checked_next_multiple_of(8)?;
        let values = self.entries().checked_mul(self.width.bytes())?;
        self.entries_at.checked_add(cells)?.checked_add(values)
    }

    /// Writes all but the entries.
    pub fn write(&self, file: &File, key: &str) -> io::Result<()> {
        let genes = self.genes() as u64;
        let head = [MAGIC, VERSION, key.len() as u64, genes, self.cells, self.width.bytes()];
        file.write_all_at(bytemuck::cast_slice(&head), 0)?;
        file.write_all_at(key.as_bytes(), KEY_AT)?;
        file.write_all_at(bytemuck::cast_slice(&self.starts), starts_at(key))
    }

    /// What [`Layout::write`] wrote, if it wrote this key and the file is whole.
    pub fn read(file: &File, key: &str) -> io::Result<Option<Self>> {
        match Self::read_whole(file, key) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            read => read,
        }
    }

    fn read_whole(file: &File, key: &str) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut head = [0; HEAD_NUMBERS];
        file.read_exact_at(bytemuck::cast_slice_mut(&mut head), 0)?;
        let [magic, version, key_bytes, genes, cells, value_bytes] = head;
        let width = match value_bytes {
            4 => Width::Single,
            8 => Width::Double,
            _ => return Ok(None),
        };
        let known = magic == MAGIC && version == VERSION && key_bytes == key.len() as u64;
        if !known || genes.max(cells) > u64::from(u32::MAX) {
            return Ok(None);
        }
        // Before memory is taken for what the head says is there.
        let entries_at = entries_at(genes as usize, key);
        if entries_at > length {
            return Ok(None);
        }
        let mut written = vec![0; key.len()];
        file.read_exact_at(&mut written, KEY_AT)?;
        let mut starts = vec![0; genes as usize + 1];
        file.read_exact_at(bytemuck::cast_slice_mut(&mut starts), starts_at(key))?;
        let layout = Self { cells, width, starts, entries_at };
        let is_whole = written == key.as_bytes()
            && layout.starts[0] == 0
            && layout.starts.is_sorted()
            && layout.checked_bytes() == Some(length);
        Ok(is_whole.then_some(layout))
    }
}

fn starts_at(key: &str) -> u64 {
    (KEY_AT + key.len() as u64).next_multiple_of(8)
}

fn entries_at(genes: usize, key: &str) -> u64 {
    starts_at(key) + 8 * (genes as u64 + 1)
}
