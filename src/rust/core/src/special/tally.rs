//! How often each count occurs.

use crate::simd::{Kernel, Vector, run};

/// Counts up to this one are tallied, larger ones kept.
pub const MOST: usize = 512;
/// Counts that are looked at together before any is tallied.
const CHUNK: usize = 64;
/// A power of two above it.
const ROOM: usize = 1024;
/// Were turns a power of two apart, the processor would take a count in one for the same
/// count in another, and wait.
const APART: usize = ROOM + 80;
/// Counts go to so many tallies in turn: none waits for the one before it.
const TURNS: usize = 8;
/// Counts below this one are tallied two by two, by so many tallies in turn.
const SIDE: usize = 64;
const TURNS_OF_PAIRS: usize = 4;
/// In a double from here on, the last bit is worth one.
pub const TWO_52: f64 = 4_503_599_627_370_496.0;

#[derive(Clone)]
pub struct Tally {
    /// Of 0, 1, ... [`MOST`], how many; zeros are not counted.
    pub small: Vec<usize>,
    /// Those above, in increasing order.
    pub large: Vec<f64>,
    /// Whether all are whole numbers; where not, the rest says nothing.
    pub whole: bool,
}

impl Tally {
    /// The sum of the counts.
    pub fn total(&self) -> f64 {
        let small = self.small.iter().enumerate().map(|(count, cells)| count * cells);
        small.sum::<usize>() as f64 + self.large.iter().sum::<f64>()
    }
}

/// Of counts that are mostly below [`SIDE`].
pub fn tally_by_pairs(counts: &[u16]) -> Tally {
    run(Pairs(counts))
}

/// Of numbers that are zero or above.
pub fn tally<T: Copy + Into<f64>>(counts: &[T]) -> Tally {
    run(Counts(counts))
}

struct Counts<'a, T>(&'a [T]);

impl<T: Copy + Into<f64>> Kernel for Counts<'_, T> {
    type Output = Tally;

    #[inline(always)]
    fn run<V: Vector>(self) -> Tally {
        let mut tallies = Box::new([[0u32; APART]; TURNS]);
        let (mut large, mut whole) = (vec![], true);
        for chunk in self.0.chunks(CHUNK) {
            let mut codes = [0; CHUNK];
            let mut is_small = true;
            for (code, &count) in codes.iter_mut().zip(chunk) {
                let count: f64 = count.into();
                // The low bits of this sum are the count.
                let shifted = count + TWO_52;
                *code = shifted.to_bits() as u32;
                is_small &= count <= MOST as f64;
                whole &= shifted - TWO_52 == count || count >= TWO_52;
            }
            if !is_small {
                for (code, &count) in codes.iter_mut().zip(chunk) {
                    if count.into() > MOST as f64 {
                        *code = 0;
                        large.push(count.into());
                    }
                }
            }
            for codes in codes.chunks_exact(TURNS) {
                for (tally, &code) in tallies.iter_mut().zip(codes) {
                    tally[code as usize % ROOM] += 1;
                }
            }
        }
        large.sort_by(f64::total_cmp);
        let total = |count: usize| tallies.iter().map(|tally| tally[count] as usize).sum();
        let small = std::iter::once(0).chain((1..=MOST).map(total)).collect();
        Tally { small, large, whole }
    }
}

struct Pairs<'a>(&'a [u16]);

impl Kernel for Pairs<'_> {
    type Output = Tally;

    #[inline(always)]
    fn run<V: Vector>(self) -> Tally {
        let mut turns = vec![[0u32; SIDE * SIDE + APART - ROOM]; TURNS_OF_PAIRS];
        let mut small = vec![0usize; MOST + 1];
        let mut large = vec![];
        for chunk in self.0.chunks(CHUNK) {
            let most = chunk.iter().fold(0, |most, &count| count.max(most));
            if chunk.len() == CHUNK && usize::from(most) < SIDE {
                let mut codes = [0; CHUNK / 2];
                let (firsts, seconds) = chunk.split_at(CHUNK / 2);
                for ((code, &first), &second) in codes.iter_mut().zip(firsts).zip(seconds) {
                    *code = u32::from(first + SIDE as u16 * second);
                }
                for codes in codes.chunks_exact(TURNS_OF_PAIRS) {
                    for (turn, &code) in turns.iter_mut().zip(codes) {
                        turn[code as usize % (SIDE * SIDE)] += 1;
                    }
                }
                continue;
            }
            for &count in chunk {
                match small.get_mut(usize::from(count)) {
                    Some(cells) => *cells += 1,
                    None => large.push(f64::from(count)),
                }
            }
        }
        for turn in &turns {
            for (second, firsts) in turn[..SIDE * SIDE].chunks_exact(SIDE).enumerate() {
                small.iter_mut().zip(firsts).for_each(|(sum, cells)| *sum += *cells as usize);
                small[second] += firsts.iter().map(|cells| *cells as usize).sum::<usize>();
            }
        }
        small[0] = 0;
        large.sort_by(f64::total_cmp);
        Tally { small, large, whole: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_tallied_once() {
        let counts: Vec<f64> = (0..1000).map(|k| f64::from(k * k % 700)).collect();
        let Tally { small, large, whole } = tally(&counts);
        assert!(whole);
        for (count, &cells) in small.iter().enumerate().skip(1) {
            assert_eq!(cells, counts.iter().filter(|y| **y == count as f64).count());
        }
        let mut above: Vec<f64> = counts.iter().copied().filter(|y| *y > 512.0).collect();
        above.sort_by(f64::total_cmp);
        assert_eq!(large, above);
    }

    #[test]
    fn pairs_are_tallied_as_their_counts() {
        // Chunks of small counts, of others, and a last one that is not full.
        for most in [2, 64, 65, 700] {
            let counts: Vec<u16> = (0..1037u32).map(|k| (k * k % most) as u16).collect();
            let (pairs, each) = (tally_by_pairs(&counts), tally(&counts));
            assert_eq!((&pairs.small, &pairs.large), (&each.small, &each.large), "{most}");
            assert_eq!(pairs.total(), counts.iter().map(|y| f64::from(*y)).sum::<f64>());
        }
    }

    #[test]
    fn what_is_not_whole_is_seen() {
        for odd in [0.5, 1e-30, 3.000_000_1, 511.5, 512.5, 1e9 + 0.5, f64::INFINITY.recip() + 2.5] {
            assert!(!tally(&[1.0, odd, 7.0]).whole, "{odd}");
        }
        for even in [0.0, 512.0, 513.0, 1e15, 4_503_599_627_370_497.0, 1e300] {
            assert!(tally(&[1.0, even, 7.0]).whole, "{even}");
        }
        assert!(!tally(&[2.5f32]).whole && tally(&[2f32]).whole);
    }
}
