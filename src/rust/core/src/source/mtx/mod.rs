//! MatrixMarket text and the names beside it, as Cell Ranger, STARsolo, alevin, kallisto
//! and Parse write them.
//!
//! [`find_mtx`] finds the files, [`MtxFiles::barcodes`] and [`MtxFiles::features`] read the
//! names, [`read_mtx`] makes a scratch file of the counts. Each file may be compressed
//! with gzip, whatever it is called. What is wrong in a file is told with its line.

mod entries;
mod files;
mod head;
mod names;
mod text;

pub use files::{MtxFiles, find_mtx};
pub use names::Features;

use super::{Scratch, ScratchWriter};
use crate::{Error, Monitor, Result};
use entries::{Parsed, Wrong, parse};
use head::Head;
use std::path::Path;
use text::Text;

/// Makes a scratch file of the counts of a matrix, as
/// [`transpose`](super::transpose) does of a source: see there for `key` and `memory`.
/// The text is read once, with the threads of the current pool; its entries may come in
/// any order. Beside `memory` some 50 MB are needed, and on disk, until all is read, 16
/// bytes an entry.
///
/// The matrix is genes x cells, or cells x genes where only that fits the names (or
/// both do, and it is the custom of who names files so).
///
/// # Errors
/// [`Error::InputFile`] where a file cannot be read, is of another kind, cut off, or has
/// a line that is not as it must be: indices beyond the shape, values that are not
/// finite numbers, entries that come twice, or more or fewer of them than the head says.
/// Values below zero and such as are not whole are for
/// [`check_counts`](super::check_counts) to find. Otherwise as
/// [`transpose`](super::transpose).
pub fn read_mtx(
    files: &MtxFiles,
    scratch: &Path,
    key: &str,
    memory: usize,
    monitor: &Monitor,
) -> Result<Scratch> {
    let mut text = Text::open(&files.matrix)?;
    let head = Head::read(&mut text)?;
    let shape = files.shape(&head)?;
    let mut writer = ScratchWriter::create(scratch, key, shape.genes, shape.cells)?;
    let mut entries = 0;
    let mut next = text.next_block()?;
    while let Some(block) = next {
        monitor.check()?;
        // While one block is parsed, the next is read and inflated.
        let (read, parsed) = rayon::join(|| text.next_block(), || parse(&block, &head));
        let parsed =
            parsed.map_err(|Wrong { line, reason }| wrong_line(&files.matrix, line, &reason))?;
        for Parsed { rows, columns, values } in &parsed {
            entries += rows.len() as u64;
            let (genes, cells) = if shape.turned { (columns, rows) } else { (rows, columns) };
            for ((&gene, &cell), &value) in genes.iter().zip(cells).zip(values) {
                writer.push(gene, cell, value)?;
            }
        }
        if entries > head.entries {
            let reason = format!("has more entries than the {} that its head says", head.entries);
            return Err(wrong(&files.matrix, reason));
        }
        next = read?;
    }
    if entries < head.entries {
        let reason = format!("ends after {entries} of {} entries", head.entries);
        return Err(wrong(&files.matrix, reason));
    }
    writer.finish(&files.matrix, memory, monitor)
}

fn wrong(path: &Path, reason: String) -> Error {
    Error::InputFile { path: path.to_owned(), reason }
}

fn wrong_line(path: &Path, line: u64, reason: &str) -> Error {
    wrong(path, format!("line {line}: {reason}"))
}

/// A word of a file for a message, if need be its beginning alone.
fn quoted(word: &str) -> String {
    match word.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}...", &word[..end]),
        None => format!("{word:?}"),
    }
}
