//! Sums over a gene's counts, at the nodes of a collapsed design.

use super::BLOCK;
use crate::simd::{Kernel, LANES, Vector, run};
use crate::source::GeneCounts;
use std::f64::consts::PI;
use std::ops::Range;

/// A sum that is added to so often is added to a total: what rounding loses grows with the
/// number of additions.
const ADDITIONS: usize = 4096;

/// Where cells are: in slots, of which each has eight nodes.
pub struct Slots {
    /// By cell.
    slots: Vec<u32>,
    /// By cell, where it is among the nodes: from -1 to 1.
    places: Vec<f64>,
    /// By cell, where it is among all of them, slot by slot. Every slot begins with a group
    /// of eight.
    order: Vec<u32>,
    /// In that order, and zeros where a slot's last group is filled up.
    sorted_places: Vec<f64>,
    /// The groups of each slot.
    groups: Vec<Range<usize>>,
    lagrange: Lagrange,
}

impl Slots {
    /// By cell, its slot, one of `count`, and its place.
    pub fn new(slots: Vec<u32>, places: Vec<f64>, count: usize) -> Self {
        let mut cells = vec![0; count];
        slots.iter().for_each(|&slot| cells[slot as usize] += 1);
        let mut groups: Vec<Range<usize>> = vec![];
        for cells in cells {
            let first = groups.last().map_or(0, |before| before.end);
            groups.push(first..first + usize::div_ceil(cells, LANES));
        }
        let mut next: Vec<u32> = groups.iter().map(|of| (of.start * LANES) as u32).collect();
        let mut sorted_places = vec![0.0; groups.last().map_or(0, |last| last.end * LANES)];
        let mut order = Vec::with_capacity(slots.len());
        for (&slot, &place) in slots.iter().zip(&places) {
            let position = &mut next[slot as usize];
            sorted_places[*position as usize] = place;
            order.push(*position);
            *position += 1;
        }
        Self { slots, places, order, sorted_places, groups, lagrange: Lagrange::new() }
    }

    /// The counts of every cell, in order; none where single precision does not hold them.
    pub fn sorted(&self, counts: GeneCounts<'_>) -> Option<Vec<f32>> {
        run(Sort { slots: self, counts })
    }

    /// By slot, the slot of others that all its cells are in, at the same places; none where
    /// some slot's cells are not.
    pub fn within(&self, others: &Slots) -> Option<Vec<u32>> {
        let mut within = vec![u32::MAX; self.groups.len()];
        for (cell, (&slot, &of_others)) in self.slots.iter().zip(&others.slots).enumerate() {
            let of_slot = &mut within[slot as usize];
            let first = *of_slot == u32::MAX;
            *of_slot = if first { of_others } else { *of_slot };
            if *of_slot != of_others || self.places[cell] != others.places[cell] {
                return None;
            }
        }
        Some(within)
    }

    /// Masses of sorted counts, or of their squares: eight a slot.
    pub fn masses_of_sorted(&self, sorted: &[f32], squared: bool) -> Vec<f64> {
        run(Sorted { slots: self, counts: sorted, squared })
    }

    /// Masses of counts: eight a slot.
    pub fn masses(&self, counts: GeneCounts<'_>) -> Vec<f64> {
        run(Stored { slots: self, counts })
    }

    /// Of a total, all of it where the first cell is.
    pub fn masses_of_alike(&self, total: f64) -> Vec<f64> {
        self.masses(GeneCounts { cells: &[0], counts: &[total] })
    }

    pub fn cells(&self) -> usize {
        self.order.len()
    }

    /// Of each slot, from -1 to 1.
    pub fn nodes(&self) -> [f64; LANES] {
        self.lagrange.nodes
    }

    pub fn bytes(&self) -> usize {
        16 * self.order.len() + 8 * self.sorted_places.len()
    }
}

/// The Lagrange polynomials of eight Chebyshev nodes.
struct Lagrange {
    nodes: [f64; LANES],
    /// Coefficients of x^0, x^1, ... of the eight polynomials.
    powers: [[f64; LANES]; LANES],
}

impl Lagrange {
    fn new() -> Self {
        let angle = |k: usize| PI * (k as f64 + 0.5) / LANES as f64;
        let nodes: [f64; LANES] = std::array::from_fn(|k| angle(k).cos());
        let mut powers = [[0.0; LANES]; LANES];
        for k in 0..LANES {
            let mut polynomial = [0.0; LANES];
            polynomial[0] = 1.0;
            for (degree, other) in (0..LANES).filter(|j| *j != k).enumerate() {
                let scale = 1.0 / (nodes[k] - nodes[other]);
                for power in (0..=degree + 1).rev() {
                    let below = if power > 0 { polynomial[power - 1] } else { 0.0 };
                    polynomial[power] = scale * (below - nodes[other] * polynomial[power]);
                }
            }
            for (power, coefficient) in polynomial.into_iter().enumerate() {
                powers[power][k] = coefficient;
            }
        }
        Self { nodes, powers }
    }

    /// At the nodes, of what has these moments: sums of y x^0, y x^1, ...
    #[inline(always)]
    fn masses<V: Vector>(&self, moments: [f64; LANES]) -> V {
        let mut masses = V::zero();
        for (moment, coefficients) in moments.into_iter().zip(&self.powers) {
            masses = V::of(moment).times_plus(V::load(coefficients, 0), masses);
        }
        masses
    }
}

/// Each count to its cell's place.
struct Sort<'a> {
    slots: &'a Slots,
    counts: GeneCounts<'a>,
}

impl Kernel for Sort<'_> {
    type Output = Option<Vec<f32>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Option<Vec<f32>> {
        let order = &self.slots.order[..];
        let mut room = vec![0.0; self.slots.sorted_places.len()];
        let sorted = &mut room[..];
        let GeneCounts { cells, counts } = self.counts;
        for (cells, counts) in cells.chunks(BLOCK).zip(counts.chunks(BLOCK)) {
            let mut singles = [0.0; BLOCK];
            let mut exact = true;
            for (single, &count) in singles.iter_mut().zip(counts) {
                *single = count as f32;
                exact &= f64::from(*single) == count;
            }
            if !exact {
                return None;
            }
            for (&cell, single) in cells.iter().zip(&singles) {
                sorted[order[cell as usize] as usize] = *single;
            }
        }
        Some(room)
    }
}

/// Count after count, each to the moments of its slot.
struct Stored<'a> {
    slots: &'a Slots,
    counts: GeneCounts<'a>,
}

impl Kernel for Stored<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f64> {
        let Slots { slots, places, groups, lagrange, .. } = self.slots;
        let (slots, places) = (&slots[..], &places[..]);
        // Powers of eight lanes, as products of those with a power of two in them.
        let has = |bit: usize| {
            let sign = |power: usize| if power & bit > 0 { 1.0 } else { -1.0 };
            V::load(&std::array::from_fn::<f64, LANES, _>(sign), 0)
        };
        let (first, second, fourth) = (has(1), has(2), has(4));
        let one = V::of(1.0);
        let length = groups.len() * LANES;
        let (mut totals, mut room) = (vec![0.0; length], vec![0.0; length]);
        let sums = &mut room[..];
        let parts = self.counts.cells.chunks(ADDITIONS).zip(self.counts.counts.chunks(ADDITIONS));
        for (cells, counts) in parts {
            for (&cell, &count) in cells.iter().zip(counts) {
                let x = V::of(places[cell as usize]);
                let square = x.times(x);
                let low = first.choose(x, one).times(second.choose(square, one));
                let power = low.times(fourth.choose(square.times(square), one));
                let slot = slots[cell as usize] as usize;
                let sum = V::load(sums, slot);
                power.times_plus(V::of(count), sum).store(sums, slot);
            }
            totals.iter_mut().zip(&mut *sums).for_each(|(total, sum)| {
                *total += *sum;
                *sum = 0.0;
            });
        }
        for moments in totals.chunks_exact_mut(LANES) {
            lagrange.masses::<V>(std::array::from_fn(|degree| moments[degree])).store(moments, 0);
        }
        totals
    }
}

/// Slot after slot: moments of its cells' counts, which become masses at its end.
struct Sorted<'a> {
    slots: &'a Slots,
    counts: &'a [f32],
    squared: bool,
}

impl Kernel for Sorted<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f64> {
        let Slots { sorted_places, groups, lagrange, .. } = self.slots;
        let mut masses = vec![0.0; groups.len() * LANES];
        for (slot, groups) in groups.iter().enumerate() {
            let mut mass = V::zero();
            for first in groups.clone().step_by(ADDITIONS) {
                let mut moments = [V::zero(); LANES];
                for group in first..groups.end.min(first + ADDITIONS) {
                    let x = V::load(sorted_places, group);
                    let y = V::widen(self.counts, group);
                    let y = if self.squared { y.times(y) } else { y };
                    let mut power = x;
                    moments[0] = moments[0].plus(y);
                    for moment in &mut moments[1..] {
                        *moment = power.times_plus(y, *moment);
                        power = power.times(x);
                    }
                }
                mass = mass.plus(lagrange.masses(moments.map(V::total)));
            }
            mass.store(&mut masses, slot);
        }
        masses
    }
}
