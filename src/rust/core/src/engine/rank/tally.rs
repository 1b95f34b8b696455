use super::groups::{Groups, NO_GROUP};
use super::levels::Levels;
use super::measure::Measure;
use super::moments::Moments;
use crate::source::CountKind;
use rayon::prelude::*;
use std::ops::Range;

/// Counts from 1 to this have a slot of their own.
pub(super) const SLOTS: usize = 7;

/// Larger counts are packed into a word with their class: 40 bits, above 24.
const CLASS_BITS: u32 = 24;
const MOST: f64 = (1u64 << (64 - CLASS_BITS)) as f64;

/// How often each class has which count, in some consecutive genes.
#[derive(Debug)]
pub(super) struct Tally {
    genes: Range<usize>,
    /// Cells by class, gene and count; the first slot is of all counts with no slot of
    /// their own.
    slots: Vec<[u32; SLOTS + 1]>,
    /// By gene: counts above [`SLOTS`], with their classes.
    large: Vec<Vec<u64>>,
}

impl Tally {
    /// Bytes that a class of a gene takes.
    pub const PAIR: usize = size_of::<[u32; SLOTS + 1]>();

    pub fn new(genes: Range<usize>, classes: usize) -> Self {
        let slots = vec![[0; SLOTS + 1]; genes.len() * classes];
        Self { slots, large: vec![vec![]; genes.len()], genes }
    }

    /// Of one gene, to be used again for another one.
    pub fn reset(&mut self, gene: usize) {
        self.genes = gene..gene + 1;
        self.slots.fill([0; SLOTS + 1]);
        self.large[0].clear();
    }

    pub fn genes(&self) -> Range<usize> {
        self.genes.clone()
    }

    /// Bytes held by large counts.
    pub fn large_bytes(&self) -> usize {
        self.large.iter().map(|large| size_of::<u64>() * large.capacity()).sum()
    }

    /// One cell's counts, which are not kept if it is in no group. False where one is no whole number from 0 on, or too large.
    #[inline(always)]
    pub fn add(&mut self, class: u32, genes: &[u32], counts: &[f64]) -> bool {
        if class == NO_GROUP {
            return CountKind::Whole.allows(counts);
        }
        let of_class = &mut self.slots[class as usize * self.genes.len()..][..self.genes.len()];
        let mut valid = true;
        for (&gene, &count) in genes.iter().zip(counts) {
            let gene = gene as usize - self.genes.start;
            // Converted to 32 bits in an instruction or two, to 64 in many.
            let small = count as u32;
            let exact = f64::from(small) == count;
            if exact && (1..=SLOTS as u32).contains(&small) {
                of_class[gene][small as usize] += 1;
            } else if count != 0.0 {
                let whole = count as u64;
                valid &= whole as f64 == count && count < MOST;
                of_class[gene][0] += 1;
                self.large[gene].push((whole << CLASS_BITS) | u64::from(class));
            }
        }
        valid
    }

    /// Once all cells are there.
    pub fn finish(&mut self) {
        self.large.par_iter_mut().for_each(|large| large.sort_unstable());
    }

    /// What is tested of a gene. A t test needs no levels.
    pub fn describe(
        &self,
        gene: usize,
        groups: &Groups,
        measure: Measure,
        moments: &mut [Moments],
        levels: Option<&mut Levels>,
    ) {
        let (gene, genes) = (gene - self.genes.start, self.genes.len());
        let of = |class: usize| &self.slots[class * genes + gene];
        let large = || {
            self.large[gene].chunk_by(|a, b| a == b).map(|equal| {
                let class = (equal[0] & ((1 << CLASS_BITS) - 1)) as usize;
                (equal[0] >> CLASS_BITS, class, equal.len() as u32)
            })
        };
        let seen: [(f64, f64); SLOTS + 1] = std::array::from_fn(|count| measure.see(count as f64));
        for (class, moments) in moments.iter_mut().enumerate() {
            *moments = Moments::default();
            for (cells, (tested, level)) in of(class).iter().zip(seen).skip(1) {
                *moments = moments.with(Moments::of_equal(f64::from(*cells), tested, level));
            }
        }
        for (count, class, cells) in large() {
            let (tested, level) = measure.see(count as f64);
            let equal = Moments::of_equal(f64::from(cells), tested, level);
            moments[class] = moments[class].with(equal);
        }
        let Some(levels) = levels else { return };
        levels.clear();
        levels.push_zeros(groups, |class| of(class).iter().sum::<u32>() as usize);
        levels.end_level();
        for count in 1..=SLOTS {
            for class in 0..groups.classes() {
                let cells = of(class)[count];
                if cells > 0 {
                    levels.push(class as u32, cells);
                }
            }
            levels.end_level();
        }
        let mut before = 0;
        for (count, class, cells) in large() {
            if count > before {
                levels.end_level();
            }
            before = count;
            levels.push(class as u32, cells);
        }
        levels.arrange(groups);
    }
}
