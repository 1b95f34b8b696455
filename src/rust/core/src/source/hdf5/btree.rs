//! The index of chunks of HDF5's common kind of file: "B-trees, version 1" of the HDF5
//! file format specification.

use super::bytes::Bytes;
use super::chunks::Place;

/// A chunk of the index.
#[derive(Debug)]
pub struct Found {
    /// Its first entry.
    pub offset: Vec<u64>,
    pub place: Place,
}

const DAMAGED: &str = "the index of its chunks is damaged";

/// Signature, type, level, number of entries, two siblings.
const HEAD: usize = 24;

/// The address of the index where nothing was written.
const NOWHERE: u64 = u64::MAX;

/// The kind of tree that leads to chunks.
const OF_CHUNKS: u8 = 1;

/// Hands out all chunks of a dataset; `count` of them at most. `take` says whether one may
/// be.
///
/// # Errors
/// Where the tree is damaged, or leads around in circles.
pub fn each_chunk(
    bytes: &Bytes,
    root: u64,
    dimensions: usize,
    count: usize,
    mut take: impl FnMut(Found) -> bool,
) -> Result<(), &'static str> {
    // Of a chunk, its packed size, filters, and the first entry in one dimension more;
    // of a branch, the same of the first chunk that it leads to.
    let key = 8 + 8 * (dimensions + 1);
    // More entries than this have to be of branches that lead nowhere.
    let mut entries_left = 64 + 4 * count;
    let mut branches = if root == NOWHERE { vec![] } else { vec![(root, None)] };
    while let Some((address, expected)) = branches.pop() {
        let head = bytes.get(address, HEAD).ok_or(DAMAGED)?;
        let (kind, level) = (head[4], head[5]);
        let used = usize::from(u16::from_le_bytes([head[6], head[7]]));
        let is_next = expected.is_none_or(|expected| expected == level);
        if &head[..4] != b"TREE" || kind != OF_CHUNKS || !is_next || used > entries_left {
            return Err(DAMAGED);
        }
        entries_left -= used;
        let entries = bytes.get(address.saturating_add(HEAD as u64), used * (key + 8));
        for entry in entries.ok_or(DAMAGED)?.chunks_exact(key + 8) {
            let word = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().expect("four"));
            let long = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight"));
            let at = long(key);
            if level > 0 {
                branches.push((at, Some(level - 1)));
                continue;
            }
            let offset = (0..dimensions).map(|dimension| long(8 + 8 * dimension)).collect();
            let place = Place { at, size: word(0), skipped: word(4) };
            if !take(Found { offset, place }) {
                return Err(DAMAGED);
            }
        }
    }
    Ok(())
}
