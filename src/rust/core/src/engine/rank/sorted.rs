use super::Job;
use super::groups::{Groups, NO_GROUP};
use super::measure::Factors;
use super::moments::Moments;
use super::order::{InOrder, Order};
use crate::source::GeneCounts;

/// A gene's values that are not zero, with their classes, to be sorted.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The value's bits in an order of integers above, 32 of them where all values
    /// are exact in them; the class below.
    given: Vec<u64>,
    short: Vec<u64>,
    spare: Vec<u64>,
    long: Vec<(u64, u32)>,
}

impl Entries {
    /// A gene's moments, by class, and their order, unless it is not needed.
    pub fn describe(
        &mut self,
        gene: GeneCounts<'_>,
        job: &Job,
        factors: &Factors,
        moments: &mut [Moments],
        order: &mut Order,
    ) {
        let groups = job.groups;
        moments.fill(Moments::default());
        self.given.clear();
        self.long.clear();
        let mut exact = true;
        for (&cell, &value) in gene.cells.iter().zip(gene.counts) {
            let class = groups.of()[cell as usize];
            if class == NO_GROUP {
                continue;
            }
            let value = factors.scale(cell as usize, value);
            let (tested, level) = job.measure.see(value);
            if !job.needs.any() {
                moments[class as usize].add(tested, level);
            } else {
                moments[class as usize].add_to_sum(tested, level);
                let short = value as f32;
                exact &= f64::from(short) == value;
                self.given.push(pack(short, class));
                self.long.push((ordered64(value), class));
            }
        }
        if !job.needs.any() {
            return;
        }
        if exact {
            let Self { given, short, spare, .. } = self;
            sort_by_value(given, short, spare);
        }
        self.rank(exact, job, moments, order);
    }

    /// The same of values that were packed before, each with its class.
    pub fn describe_packed(
        &mut self,
        entries: &[u64],
        job: &Job,
        moments: &mut [Moments],
        order: &mut Order,
    ) {
        moments.fill(Moments::default());
        for &entry in entries {
            let (tested, level) = job.measure.see(f64::from(value_of(entry)));
            moments[entry as u32 as usize].add_to_sum(tested, level);
        }
        let Self { short, spare, .. } = self;
        sort_by_value(entries, short, spare);
        self.rank(true, job, moments, order);
    }

    fn rank(&mut self, exact: bool, job: &Job, moments: &mut [Moments], order: &mut Order) {
        moments.iter_mut().for_each(Moments::end_sum);
        if !exact {
            self.long.sort_unstable();
        }
        if job.needs.sums {
            self.hand_over(exact, job.groups, moments, &mut order.sums);
        }
        if job.needs.levels {
            self.hand_over(exact, job.groups, moments, &mut order.levels);
        }
    }

    fn hand_over(
        &self,
        exact: bool,
        groups: &Groups,
        moments: &[Moments],
        order: &mut impl InOrder,
    ) {
        order.begin(groups);
        let zeros = |(class, own): (usize, &Moments)| {
            (class as u32, groups.size(class) as u32 - own.count as u32)
        };
        let zeros = moments.iter().enumerate().map(zeros).filter(|&(_, cells)| cells > 0);
        match exact {
            true => {
                let read = |entry: u64| (entry >> 32, entry as u32);
                with_zeros(&self.short, 1 << 31, read, zeros, groups, order);
            }
            false => with_zeros(&self.long, 1 << 63, |entry| entry, zeros, groups, order),
        }
        order.end(groups);
    }
}

/// Hands over entries, which are read as value and class, and the cells without one where
/// their value, `zero`, belongs.
fn with_zeros<T: Copy>(
    entries: &[T],
    zero: u64,
    read: impl Fn(T) -> (u64, u32) + Copy,
    zeros: impl Iterator<Item = (u32, u32)>,
    groups: &Groups,
    order: &mut impl InOrder,
) {
    let below = entries.partition_point(|&entry| read(entry).0 < zero);
    in_order(&entries[..below], read, groups, order);
    order.add_level(groups, zeros);
    in_order(&entries[below..], read, groups, order);
}

/// Hands over entries that are in the order of their values, but not of the classes of
/// equal ones.
fn in_order<T: Copy>(
    entries: &[T],
    read: impl Fn(T) -> (u64, u32),
    groups: &Groups,
    order: &mut impl InOrder,
) {
    let mut rest = entries;
    while let Some((&first, others)) = rest.split_first() {
        let (value, class) = read(first);
        let same = others.iter().take_while(|&&other| read(other).0 == value).count();
        match same {
            0 => order.add_one(groups, class),
            _ => order.add_level(groups, rest[..=same].iter().map(|&entry| (read(entry).1, 1))),
        }
        rest = &others[same..];
    }
}

/// Fewer are sorted by comparison.
const FEW: usize = 512;

/// Digits of a value: their bits, and how many there are.
const DIGIT: u32 = 11;
const DIGITS: usize = 3;

/// Sorts packed values, but not the classes of equal ones, from the last digit to the
/// first; with `spare` to work in.
fn sort_by_value(given: &[u64], sorted: &mut Vec<u64>, spare: &mut Vec<u64>) {
    sorted.clear();
    if given.len() < FEW {
        sorted.extend_from_slice(given);
        sorted.sort_unstable();
        return;
    }
    let digit = |entry: u64, place: usize| {
        (entry >> (u64::BITS / 2 + DIGIT * place as u32)) as usize & ((1 << DIGIT) - 1)
    };
    let mut counts = [[0u32; 1 << DIGIT]; DIGITS];
    for &entry in given {
        counts.iter_mut().enumerate().for_each(|(place, counts)| counts[digit(entry, place)] += 1);
    }
    sorted.resize(given.len(), 0);
    spare.resize(given.len(), 0);
    let mut pass = |from: &[u64], to: &mut [u64], place: usize| {
        let ends = &mut counts[place];
        let mut before = 0;
        for end in ends.iter_mut() {
            before += std::mem::replace(end, before);
        }
        for &entry in from {
            let end = &mut ends[digit(entry, place)];
            to[*end as usize] = entry;
            *end += 1;
        }
    };
    pass(given, sorted, 0);
    pass(sorted, spare, 1);
    pass(spare, sorted, 2);
}

/// A value above its class, so that words are in the order of the values.
pub(super) fn pack(value: f32, class: u32) -> u64 {
    u64::from(ordered32(value)) << 32 | u64::from(class)
}

fn value_of(packed: u64) -> f32 {
    let ordered = (packed >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 { ordered ^ 1 << 31 } else { !ordered })
}

/// Bits in the order of the numbers.
fn ordered32(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn ordered64(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}
