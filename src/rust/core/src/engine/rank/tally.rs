use super::Job;
use super::groups::NO_GROUP;
use super::levels::Levels;
use super::moments::Moments;
use crate::source::CountKind;
use rayon::prelude::*;
use std::ops::Range;

/// Counts from 1 to this have a slot of their own.
pub(super) const SLOTS: usize = 15;

/// Larger counts are packed into a word with their class: 40 bits, above 24.
const CLASS_BITS: u32 = 24;
const MOST: f64 = (1u64 << (64 - CLASS_BITS)) as f64;

/// How often each class has which count, in some consecutive genes.
#[derive(Debug)]
pub(super) struct Tally {
    genes: Range<usize>,
    /// Cells by class, gene and count; the first slot is of all counts with no slot of
    /// their own. In bytes, so that a class's part stays in the core's nearest cache.
    slots: Vec<[u8; SLOTS + 1]>,
    /// By gene: of which class which slot ran over, once for each time.
    carries: Vec<Vec<(u32, u8)>>,
    /// By gene: counts above [`SLOTS`], with their classes.
    large: Vec<Vec<u64>>,
}

/// Counts whose slots are found at a time: four of them in an instruction.
const AT_ONCE: usize = 64;

/// The slot of a count of 1 to [`SLOTS`]; 0 of all else. Without a branch or a
/// conversion: 2^52 and a whole number from 0 on have that number for their last bits.
#[inline(always)]
fn slot_of(count: f64) -> u8 {
    const SHIFT: f64 = (1u64 << 52) as f64;
    let shifted = count + SHIFT;
    let whole = shifted.to_bits() ^ SHIFT.to_bits();
    let fits = (shifted - SHIFT == count) & (whole <= SLOTS as u64);
    (whole & u64::from(fits).wrapping_neg()) as u8
}

impl Tally {
    /// Bytes that a class of a gene takes.
    pub const PAIR: usize = size_of::<[u8; SLOTS + 1]>();

    pub fn new(genes: Range<usize>, classes: usize) -> Self {
        let slots = vec![[0; SLOTS + 1]; genes.len() * classes];
        let (carries, large) = (vec![vec![]; genes.len()], vec![vec![]; genes.len()]);
        Self { slots, carries, large, genes }
    }

    /// Of one gene, to be used again for another one.
    pub fn reset(&mut self, gene: usize) {
        self.genes = gene..gene + 1;
        self.slots.fill([0; SLOTS + 1]);
        self.carries[0].clear();
        self.large[0].clear();
    }

    pub fn genes(&self) -> Range<usize> {
        self.genes.clone()
    }

    /// Bytes held by large counts.
    pub fn large_bytes(&self) -> usize {
        self.large.iter().map(|large| size_of::<u64>() * large.capacity()).sum()
    }

    /// One cell's counts, which are not kept if it is in no group. False where one is no
    /// whole number from 0 on, or too large.
    #[inline(always)]
    pub fn add(&mut self, class: u32, genes: &[u32], counts: &[f64]) -> bool {
        if class == NO_GROUP {
            return CountKind::Whole.allows(counts);
        }
        let of_class = &mut self.slots[class as usize * self.genes.len()..][..self.genes.len()];
        let mut valid = true;
        let mut slots = [0u8; AT_ONCE];
        for (genes, counts) in genes.chunks(AT_ONCE).zip(counts.chunks(AT_ONCE)) {
            for (slot, &count) in slots.iter_mut().zip(counts) {
                *slot = slot_of(count);
            }
            for ((&gene, &count), &slot) in genes.iter().zip(counts).zip(&slots) {
                let gene = gene as usize - self.genes.start;
                if slot == 0 {
                    if count == 0.0 {
                        continue;
                    }
                    let whole = count as u64;
                    valid &= whole as f64 == count && count < MOST;
                    self.large[gene].push((whole << CLASS_BITS) | u64::from(class));
                }
                let cells = &mut of_class[gene][usize::from(slot)];
                *cells = cells.wrapping_add(1);
                if *cells == 0 {
                    self.carries[gene].push((class, slot));
                }
            }
        }
        valid
    }

    /// Once all cells are there.
    pub fn finish(&mut self) {
        self.large.par_iter_mut().for_each(|large| large.sort_unstable());
    }

    /// What is tested of a gene, with `cells` to work in. A t test needs no levels.
    pub fn describe(
        &self,
        gene: usize,
        job: &Job,
        cells: &mut Vec<[u32; SLOTS + 1]>,
        moments: &mut [Moments],
        levels: Option<&mut Levels>,
    ) {
        let (groups, measure) = (job.groups, job.measure);
        let (gene, genes) = (gene - self.genes.start, self.genes.len());
        cells.clear();
        cells.extend(
            (0..groups.classes()).map(|class| self.slots[class * genes + gene].map(u32::from)),
        );
        for &(class, slot) in &self.carries[gene] {
            cells[class as usize][usize::from(slot)] += 1 << u8::BITS;
        }
        let large = || {
            self.large[gene].chunk_by(|a, b| a == b).map(|equal| {
                let class = (equal[0] & ((1 << CLASS_BITS) - 1)) as usize;
                (equal[0] >> CLASS_BITS, class, equal.len() as u32)
            })
        };
        let seen: [(f64, f64); SLOTS + 1] = std::array::from_fn(|count| measure.see(count as f64));
        for (of_class, moments) in cells.iter().zip(moments.iter_mut()) {
            *moments = Moments::default();
            for (cells, (tested, level)) in of_class.iter().zip(seen).skip(1) {
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
        levels.push_zeros(groups, |class| cells[class].iter().sum::<u32>() as usize);
        levels.end_level();
        for count in 1..=SLOTS {
            for (class, of_class) in cells.iter().enumerate().filter(|(_, of)| of[count] > 0) {
                levels.push(class as u32, of_class[count]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_whole_counts_have_slots() {
        for count in 0..=SLOTS {
            assert_eq!(usize::from(slot_of(count as f64)), count);
        }
        let others = [-1.0, -0.5, 0.5, 1.5, 14.999_999_999_999_998, 16.0, 4_503_599_627_370_497.0];
        let beyond = [1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN];
        for other in others.into_iter().chain(beyond).chain([f64::MIN_POSITIVE, -0.0]) {
            assert_eq!(slot_of(other), 0, "{other}");
        }
    }
}
