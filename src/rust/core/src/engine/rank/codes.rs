use super::groups::{Groups, NO_GROUP};
use super::tally::{Large, SLOT_BITS, slot_of};
use crate::simd::{Kernel, Vector, run};
use crate::source::{CountKind, Entries};
use std::ops::Range;

/// The counts of some cells in four bytes each, gene and count in one number: where a
/// [`Tally`](super::tally::Tally) of some part of the genes has its cells of that count.
/// So many more of them stay at hand, and what has to be looked at is looked at once.
#[derive(Debug, Default)]
pub(super) struct Codes {
    codes: Vec<u32>,
    /// Of each cell that is in a group.
    classes: Vec<u32>,
    /// Of each such cell, where its codes in each part begin, and where they end.
    cuts: Vec<usize>,
    /// By part: counts that have no slot of their own.
    large: Vec<Vec<Large>>,
    valid: bool,
}

/// Counts whose codes are found at a time, before they are looked at once more.
const AT_ONCE: usize = 64;

impl Codes {
    /// Takes over the entries of some cells, in the genes of some consecutive parts.
    pub fn fill(
        &mut self,
        cells: Range<usize>,
        entries: Entries<'_>,
        parts: &[Range<usize>],
        groups: &Groups,
    ) {
        self.codes.clear();
        self.classes.clear();
        self.cuts.clear();
        self.large.resize(parts.len(), vec![]);
        self.large.iter_mut().for_each(Vec::clear);
        self.valid = true;
        run(Encode { codes: self, cells, entries, parts, groups });
    }

    /// Whether all were whole numbers from 0 on, and none too large.
    pub fn valid(&self) -> bool {
        self.valid
    }

    /// Of each cell that is in a group.
    pub fn classes(&self) -> &[u32] {
        &self.classes
    }

    /// The codes in a part of the k-th of those cells.
    pub fn get(&self, k: usize, part: usize) -> &[u32] {
        let cuts = &self.cuts[k * (self.large.len() + 1) + part..][..2];
        &self.codes[cuts[0]..cuts[1]]
    }

    pub fn large(&self, part: usize) -> &[Large] {
        &self.large[part]
    }
}

struct Encode<'a> {
    codes: &'a mut Codes,
    cells: Range<usize>,
    entries: Entries<'a>,
    parts: &'a [Range<usize>],
    groups: &'a Groups<'a>,
}

impl Kernel for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { codes, cells, entries, parts, groups } = self;
        let Codes { codes, classes, cuts, large, valid } = codes;
        for (k, &class) in groups.of()[cells].iter().enumerate() {
            let (genes, counts) = entries.get(k);
            if class == NO_GROUP {
                *valid &= CountKind::Whole.allows(counts);
                continue;
            }
            classes.push(class);
            cuts.push(codes.len());
            let mut from = genes.partition_point(|&gene| (gene as usize) < parts[0].start);
            for (part, large) in parts.iter().zip(large.iter_mut()) {
                let to = from + genes[from..].partition_point(|&gene| (gene as usize) < part.end);
                // The table of 2^28 genes would have 2^32 bytes for each class.
                let first = part.start as u32;
                let genes = genes[from..to].chunks(AT_ONCE);
                for (genes, counts) in genes.zip(counts[from..to].chunks(AT_ONCE)) {
                    let start = codes.len();
                    let each = genes.iter().zip(counts);
                    codes.extend(each.map(|(gene, &count)| {
                        (gene - first) << SLOT_BITS | u32::from(slot_of(count))
                    }));
                    let without = |code: u32| code & ((1 << SLOT_BITS) - 1) == 0;
                    let added = &codes[start..];
                    if !added.iter().fold(false, |any, &code| any | without(code)) {
                        continue;
                    }
                    for (&code, &count) in added.iter().zip(counts) {
                        if without(code) && count != 0.0 {
                            match Large::of(code >> SLOT_BITS, class, count) {
                                Some(one) => large.push(one),
                                None => *valid = false,
                            }
                        }
                    }
                }
                cuts.push(codes.len());
                from = to;
            }
        }
    }
}
