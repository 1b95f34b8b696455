use super::Job;
use super::groups::NO_GROUP;
use super::levels::Levels;
use super::measure::Factors;
use super::moments::Moments;
use crate::source::GeneCounts;

/// A gene's values that are not zero, with their classes, to be sorted.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The value's bits in an order of integers above, 32 of them where all values
    /// are exact in them; the class below.
    short: Vec<u64>,
    long: Vec<(u64, u32)>,
}

impl Entries {
    /// A gene's moments, by class, and its levels, unless they are not needed.
    pub fn describe(
        &mut self,
        gene: GeneCounts<'_>,
        job: &Job,
        factors: &Factors,
        moments: &mut [Moments],
        levels: Option<&mut Levels>,
    ) {
        let groups = job.groups;
        moments.fill(Moments::default());
        self.short.clear();
        self.long.clear();
        let mut exact = true;
        for (&cell, &value) in gene.cells.iter().zip(gene.counts) {
            let class = groups.of()[cell as usize];
            if class == NO_GROUP {
                continue;
            }
            let value = factors.scale(cell as usize, value);
            let (tested, level) = job.measure.see(value);
            if levels.is_none() {
                moments[class as usize].add(tested, level);
            } else {
                moments[class as usize].add_to_sum(tested, level);
                let short = value as f32;
                exact &= f64::from(short) == value;
                self.short.push(pack(short, class));
                self.long.push((ordered64(value), class));
            }
        }
        let Some(levels) = levels else { return };
        self.rank(exact, job, moments, levels);
    }

    /// The same of values that were packed before, each with its class.
    pub fn describe_packed(
        &mut self,
        entries: &[u64],
        job: &Job,
        moments: &mut [Moments],
        levels: &mut Levels,
    ) {
        moments.fill(Moments::default());
        for &entry in entries {
            let (tested, level) = job.measure.see(f64::from(value_of(entry)));
            moments[entry as u32 as usize].add_to_sum(tested, level);
        }
        self.short.clear();
        self.short.extend_from_slice(entries);
        self.rank(true, job, moments, levels);
    }

    fn rank(&mut self, exact: bool, job: &Job, moments: &mut [Moments], levels: &mut Levels) {
        let groups = job.groups;
        moments.iter_mut().for_each(Moments::end_sum);
        levels.clear();
        let zeros = |levels: &mut Levels| {
            levels.push_zeros(groups, |class| moments[class].count as usize);
            levels.end_level();
        };
        match exact {
            true => arrange(&mut self.short, 1 << 31, |e| e >> 32, |e| *e as u32, levels, zeros),
            false => arrange(&mut self.long, 1 << 63, |e| e.0, |e| e.1, levels, zeros),
        }
        levels.arrange(groups);
    }
}

/// Sorts entries and hands them over by level, zeros where they belong.
fn arrange<T: Ord>(
    entries: &mut [T],
    zero: u64,
    value: impl Fn(&T) -> u64,
    class: impl Fn(&T) -> u32,
    levels: &mut Levels,
    push_zeros: impl FnOnce(&mut Levels),
) {
    entries.sort_unstable();
    let (negative, positive) =
        entries.split_at(entries.partition_point(|entry| value(entry) < zero));
    let push = |entries: &[T], levels: &mut Levels| {
        for same in entries.chunk_by(|a, b| value(a) == value(b)) {
            for equal in same.chunk_by(|a, b| a == b) {
                levels.push(class(&equal[0]), equal.len() as u32);
            }
            levels.end_level();
        }
    };
    push(negative, levels);
    push_zeros(levels);
    push(positive, levels);
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
