use super::Job;
use super::groups::Groups;
use super::moments::Moments;
use super::order::{InOrder, Order};
use crate::pages::in_large_pages;
use crate::simd::{Kernel, Vector, run};
use rayon::prelude::*;
use std::ops::Range;

/// Counts from 1 to this have a slot of their own.
pub(super) const SLOTS: usize = (1 << SLOT_BITS) - 1;
pub(super) const SLOT_BITS: u32 = 4;

/// Larger counts are packed into a word with their class: 40 bits, above 24.
const CLASS_BITS: u32 = 24;
const MOST: f64 = (1u64 << (64 - CLASS_BITS)) as f64;

/// How often each class has which count, in some consecutive genes.
#[derive(Debug)]
pub(super) struct Tally {
    genes: Range<usize>,
    /// Cells by class, gene and count; the first slot is of all that has none of its own,
    /// and not looked at. In bytes, so that a class's part stays in the core's nearest
    /// cache.
    slots: Vec<[u8; SLOTS + 1]>,
    /// By gene: of which class which slot ran over, once for each time.
    carries: Vec<Vec<(u32, u8)>>,
    /// By gene: counts above [`SLOTS`], with their classes.
    large: Vec<Vec<u64>>,
}

/// Room to work in: of one gene, cells by class and count.
pub(super) type Desk = Vec<[u32; SLOTS + 1]>;

/// A count above [`SLOTS`], of a gene that is counted from a tally's first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Large {
    gene: u32,
    packed: u64,
}

impl Large {
    /// None where it is no whole number from 0 on, or too large.
    pub fn of(gene: u32, class: u32, count: f64) -> Option<Self> {
        let whole = count as u64;
        let valid = whole as f64 == count && count < MOST;
        valid.then_some(Self { gene, packed: (whole << CLASS_BITS) | u64::from(class) })
    }
}

/// Of a packed large count.
fn class_of(packed: u64) -> u32 {
    (packed & ((1 << CLASS_BITS) - 1)) as u32
}

/// The slot of a count of 1 to [`SLOTS`]; 0 of all else. Without a branch or a
/// conversion: 2^52 and a whole number from 0 on have that number for their last bits.
#[inline(always)]
pub(super) fn slot_of(count: f64) -> u8 {
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
        let mut slots = vec![[0; SLOTS + 1]; genes.len() * classes];
        in_large_pages(&mut slots);
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

    /// Counts of a cell, as [`Codes`](super::codes::Codes) has them.
    pub fn add(&mut self, class: u32, codes: &[u32]) {
        let of_class = &mut self.slots[class as usize * self.genes.len()..][..self.genes.len()];
        let of_class = of_class.as_flattened_mut();
        for &code in codes {
            let cells = &mut of_class[code as usize];
            *cells = cells.wrapping_add(1);
            if *cells == 0 {
                let slot = code as u8 & SLOTS as u8;
                self.carries[(code >> SLOT_BITS) as usize].push((class, slot));
            }
        }
    }

    /// Those of them that have no slot.
    pub fn add_large(&mut self, large: &[Large]) {
        large.iter().for_each(|one| self.large[one.gene as usize].push(one.packed));
    }

    /// A count of the first gene. False where it is no whole number from 0 on, or too
    /// large.
    pub fn add_one(&mut self, class: u32, count: f64) -> bool {
        match (slot_of(count), Large::of(0, class, count)) {
            (1.., _) => self.add(class, &[u32::from(slot_of(count))]),
            (0, _) if count == 0.0 => {}
            (0, Some(large)) => self.add_large(&[large]),
            (0, None) => return false,
        }
        true
    }

    /// Once all cells are there.
    pub fn finish(&mut self) {
        self.large.par_iter_mut().for_each(|large| large.sort_unstable());
    }

    /// What is tested of a gene, with a desk to work at. A t test needs no order.
    pub fn describe(
        &self,
        gene: usize,
        job: &Job,
        desk: &mut Desk,
        moments: &mut [Moments],
        order: &mut Order,
    ) {
        run(Describe { tally: self, gene, job, desk, moments, order });
    }
}

struct Describe<'a> {
    tally: &'a Tally,
    gene: usize,
    job: &'a Job<'a>,
    desk: &'a mut Desk,
    moments: &'a mut [Moments],
    order: &'a mut Order,
}

impl Kernel for Describe<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tally, gene, job, desk, moments, order } = self;
        let cells = desk;
        let (groups, measure) = (job.groups, job.measure);
        let (gene, genes) = (gene - tally.genes.start, tally.genes.len());
        cells.clear();
        cells.extend(
            (0..groups.classes()).map(|class| tally.slots[class * genes + gene].map(u32::from)),
        );
        cells.iter_mut().for_each(|of_class| of_class[0] = 0);
        for &(class, slot) in tally.carries[gene].iter().filter(|(_, slot)| *slot > 0) {
            cells[class as usize][usize::from(slot)] += 1 << u8::BITS;
        }
        let large = || {
            tally.large[gene].chunk_by(|a, b| a == b).map(|equal| {
                (equal[0] >> CLASS_BITS, class_of(equal[0]) as usize, equal.len() as u32)
            })
        };
        let seen: [(f64, f64); SLOTS + 1] = std::array::from_fn(|count| measure.see(count as f64));
        if !job.needs.any() {
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
            return;
        }
        let (tested, level) = (seen.map(|seen| seen.0), seen.map(|seen| seen.1));
        moments.fill(Moments::default());
        for (count, class, cells) in large() {
            let (tested, level) = measure.see(count as f64);
            moments[class].add_all_to_sum(&[cells], &[tested], &[level]);
        }
        for (class, (of_class, moments)) in cells.iter_mut().zip(moments.iter_mut()).enumerate() {
            moments.add_all_to_sum(of_class, &tested, &level);
            of_class[0] = (groups.size(class) as f64 - moments.count) as u32;
            moments.end_sum();
        }
        if job.needs.sums {
            hand_over(cells, &tally.large[gene], groups, &mut order.sums);
        }
        if job.needs.levels {
            hand_over(cells, &tally.large[gene], groups, &mut order.levels);
        }
    }
}

#[inline(always)]
fn hand_over(cells: &[[u32; SLOTS + 1]], large: &[u64], groups: &Groups, order: &mut impl InOrder) {
    order.begin(groups);
    order.add_levels(groups, cells);
    for equal in large.chunk_by(|a, b| a >> CLASS_BITS == b >> CLASS_BITS) {
        order.add_level(groups, equal.iter().map(|&one| (class_of(one), 1)));
    }
    order.end(groups);
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
