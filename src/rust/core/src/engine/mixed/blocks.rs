//! Z'WZ, block by block: one block for each level of a term, and one for each two
//! levels of two terms that have a cell in common.

use super::effects::Span;
use crate::{Error, Result};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A block of Z'WZ: rows of one term's level, columns of another's, or of the same.
#[derive(Clone, Copy, Debug)]
pub struct EffectBlock {
    /// Terms of its rows and columns; that of the columns is not the later one.
    pub terms: (usize, usize),
    /// First effects of its rows and columns.
    pub effects: (usize, usize),
    /// Where its values start, row after row.
    pub at: usize,
}

/// The blocks of Z'WZ on the diagonal and below it.
pub struct EffectBlocks {
    blocks: Vec<EffectBlock>,
    /// Values of all of them.
    length: usize,
    /// Where the blocks of each cell start: cells x pairs of terms.
    places: Vec<u32>,
    pairs: usize,
}

impl EffectBlocks {
    /// `levels`: cells x terms.
    pub fn new(spans: &[Span], levels: &[u32]) -> Result<Self> {
        let terms = spans.len();
        let cells = levels.len() / terms;
        let pairs = terms * (terms + 1) / 2;
        let (mut blocks, mut length) = (vec![], 0);
        let mut starts = vec![];
        for (t, span) in spans.iter().enumerate() {
            starts.push(length);
            for level in 0..span.levels as u32 {
                let effects = (span.of(level), span.of(level));
                blocks.push(EffectBlock { terms: (t, t), effects, at: length });
                length += span.width * span.width;
            }
        }
        let mut places = vec![0; cells * pairs];
        let mut pair = 0;
        for t in 0..terms {
            for u in 0..=t {
                let mut met: HashMap<(u32, u32), usize> = HashMap::new();
                for cell in 0..cells {
                    let (row, column) = (levels[cell * terms + t], levels[cell * terms + u]);
                    let at = if t == u {
                        starts[t] + row as usize * spans[t].width.pow(2)
                    } else {
                        match met.entry((row, column)) {
                            Entry::Occupied(known) => *known.get(),
                            Entry::Vacant(new) => {
                                let effects = (spans[t].of(row), spans[u].of(column));
                                blocks.push(EffectBlock { terms: (t, u), effects, at: length });
                                length += spans[t].width * spans[u].width;
                                *new.insert(blocks[blocks.len() - 1].at)
                            }
                        }
                    };
                    places[cell * pairs + pair] = at as u32;
                }
                pair += 1;
            }
        }
        if i32::try_from(length).is_err() {
            let (what, expected) = ("products of random effects", i32::MAX as usize);
            return Err(Error::Shape { what, found: length, expected });
        }
        Ok(Self { blocks, length, places, pairs })
    }

    pub fn bytes(&self) -> usize {
        size_of_val(self.blocks.as_slice()) + size_of_val(self.places.as_slice())
    }

    pub fn iter(&self) -> impl Iterator<Item = &EffectBlock> {
        self.blocks.iter()
    }

    /// How many values they have.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Where the blocks of a cell start: terms (0, 0), (1, 0), (1, 1), (2, 0), ...
    pub fn places(&self, cell: usize) -> &[u32] {
        &self.places[cell * self.pairs..(cell + 1) * self.pairs]
    }
}
