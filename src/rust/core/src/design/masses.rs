//! Sums over a gene's counts, at the nodes of a collapsed design.

use crate::simd::{Kernel, LANES, Vector, run};
use crate::source::GeneCounts;
use crate::special::tally::TWO_52;
use std::f64::consts::PI;
use std::ops::Range;

/// A sum that is added to so often is added to a total: what rounding loses grows with the
/// number of additions.
const ADDITIONS: usize = 4096;
/// Cells that are sorted together.
const CHUNK: usize = 64;

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

    /// The counts of every cell, in order; none where some are not whole, or too large.
    pub fn sort(&self, counts: GeneCounts<'_>) -> Option<Vec<u16>> {
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

    /// Of sorted counts, and of their squares if asked for.
    pub fn of_sorted(&self, sorted: &[u16], squares: bool) -> Masses {
        match squares {
            true => run(Sorted::<true> { slots: self, counts: sorted }),
            false => run(Sorted::<false> { slots: self, counts: sorted }),
        }
    }

    /// Of counts, and of their squares if asked for.
    pub fn of_stored(&self, counts: GeneCounts<'_>, squares: bool) -> Masses {
        match squares {
            true => run(Stored::<true> { slots: self, counts }),
            false => run(Stored::<false> { slots: self, counts }),
        }
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

/// At the nodes, eight a slot.
pub struct Masses {
    pub counts: Vec<f64>,
    pub squares: Option<Vec<f64>>,
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
    type Output = Option<Vec<u16>>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Option<Vec<u16>> {
        let order = &self.slots.order[..];
        let mut room = vec![0; self.slots.sorted_places.len()];
        let sorted = &mut room[..];
        let mut exact = true;
        let GeneCounts { cells, counts } = self.counts;
        for (cells, counts) in cells.chunks(CHUNK).zip(counts.chunks(CHUNK)) {
            let mut shorts = [0; CHUNK];
            for (short, &count) in shorts.iter_mut().zip(counts) {
                // The low bits of the sum are the count.
                *short = (count + TWO_52).to_bits() as u16;
                exact &= f64::from(*short) == count;
            }
            // Neighbours' places are neighbours, and need not be looked up.
            let first = cells[0] as usize;
            match <&[u32; CHUNK]>::try_from(cells) {
                Ok(cells) if cells[CHUNK - 1] as usize - first == CHUNK - 1 => {
                    let order = &order[first..][..CHUNK];
                    put(sorted, &shorts, |k| order[k]);
                }
                Ok(cells) => put(sorted, &shorts, |k| order[cells[k] as usize]),
                Err(_) => {
                    for (&cell, &short) in cells.iter().zip(&shorts) {
                        sorted[order[cell as usize] as usize] = short;
                    }
                }
            }
        }
        exact.then_some(room)
    }
}

/// Eight by eight, for which the compiler writes no loop.
#[inline(always)]
fn put(sorted: &mut [u16], shorts: &[u16; CHUNK], place: impl Fn(usize) -> u32) {
    for from in (0..CHUNK).step_by(LANES) {
        for k in from..from + LANES {
            sorted[place(k) as usize] = shorts[k];
        }
    }
}

/// Count after count, each to the moments of its slot.
struct Stored<'a, const SQUARES: bool> {
    slots: &'a Slots,
    counts: GeneCounts<'a>,
}

impl<const SQUARES: bool> Kernel for Stored<'_, SQUARES> {
    type Output = Masses;

    #[inline(always)]
    fn run<V: Vector>(self) -> Masses {
        let Slots { slots, places, groups, lagrange, .. } = self.slots;
        let (slots, places) = (&slots[..], &places[..]);
        // Powers of eight lanes, as products of those with a power of two in them.
        let has = |bit: usize| {
            let sign = |power: usize| if power & bit > 0 { 1.0 } else { -1.0 };
            V::load(&std::array::from_fn::<f64, LANES, _>(sign), 0)
        };
        let (first, second, fourth) = (has(1), has(2), has(4));
        let one = V::of(1.0);
        let mut moments = Moments::new(groups.len() * LANES);
        let mut of_squares = Moments::new(if SQUARES { groups.len() * LANES } else { 0 });
        let parts = self.counts.cells.chunks(ADDITIONS).zip(self.counts.counts.chunks(ADDITIONS));
        for (cells, counts) in parts {
            for (&cell, &count) in cells.iter().zip(counts) {
                let x = V::of(places[cell as usize]);
                let square = x.times(x);
                let low = first.choose(x, one).times(second.choose(square, one));
                let power = low.times(fourth.choose(square.times(square), one));
                let slot = slots[cell as usize] as usize;
                moments.add(slot, power, count);
                if SQUARES {
                    of_squares.add(slot, power, count * count);
                }
            }
            moments.carry();
            of_squares.carry();
        }
        let counts = moments.masses::<V>(lagrange);
        Masses { counts, squares: SQUARES.then(|| of_squares.masses::<V>(lagrange)) }
    }
}

/// Moments, slot by slot, to which counts are added one by one.
struct Moments {
    totals: Vec<f64>,
    /// Those not yet in the totals.
    sums: Vec<f64>,
}

impl Moments {
    fn new(length: usize) -> Self {
        Self { totals: vec![0.0; length], sums: vec![0.0; length] }
    }

    #[inline(always)]
    fn add<V: Vector>(&mut self, slot: usize, powers: V, y: f64) {
        let sum = V::load(&self.sums, slot);
        powers.times_plus(V::of(y), sum).store(&mut self.sums, slot);
    }

    #[inline(always)]
    fn carry(&mut self) {
        self.totals.iter_mut().zip(&mut self.sums).for_each(|(total, sum)| {
            *total += *sum;
            *sum = 0.0;
        });
    }

    #[inline(always)]
    fn masses<V: Vector>(mut self, lagrange: &Lagrange) -> Vec<f64> {
        for moments in self.totals.chunks_exact_mut(LANES) {
            lagrange.masses::<V>(std::array::from_fn(|degree| moments[degree])).store(moments, 0);
        }
        self.totals
    }
}

/// Slot after slot: moments of its cells' counts, which become masses at its end.
struct Sorted<'a, const SQUARES: bool> {
    slots: &'a Slots,
    counts: &'a [u16],
}

impl<const SQUARES: bool> Kernel for Sorted<'_, SQUARES> {
    type Output = Masses;

    #[inline(always)]
    fn run<V: Vector>(self) -> Masses {
        let Slots { sorted_places, groups, lagrange, .. } = self.slots;
        let length = groups.len() * LANES;
        let mut masses = vec![0.0; length];
        let mut of_squares = vec![0.0; if SQUARES { length } else { 0 }];
        for (slot, groups) in groups.iter().enumerate() {
            let (mut mass, mut of_square) = (V::zero(), V::zero());
            for first in groups.clone().step_by(ADDITIONS) {
                let (mut moments, mut squares) = ([V::zero(); LANES], [V::zero(); LANES]);
                for group in first..groups.end.min(first + ADDITIONS) {
                    let x = V::load(sorted_places, group);
                    let y = eight::<V>(self.counts, group);
                    add_powers(&mut moments, x, y);
                    if SQUARES {
                        add_powers(&mut squares, x, y.times(y));
                    }
                }
                mass = mass.plus(lagrange.masses(totals(&moments)));
                if SQUARES {
                    of_square = of_square.plus(lagrange.masses(totals(&squares)));
                }
            }
            mass.store(&mut masses, slot);
            if SQUARES {
                of_square.store(&mut of_squares, slot);
            }
        }
        Masses { counts: masses, squares: SQUARES.then_some(of_squares) }
    }
}

/// Adds y, y x, y x², ...
#[inline(always)]
fn add_powers<V: Vector>(moments: &mut [V; LANES], x: V, y: V) {
    let square = x.times(x);
    let mut even = y;
    for two in moments.chunks_exact_mut(2) {
        two[0] = two[0].plus(even);
        two[1] = even.times_plus(x, two[1]);
        even = even.times(square);
    }
}

/// By moment; `array::map()` would be a call.
#[inline(always)]
fn totals<V: Vector>(moments: &[V; LANES]) -> [f64; LANES] {
    let mut totals = [0.0; LANES];
    totals.iter_mut().zip(moments).for_each(|(total, moment)| *total = moment.total());
    totals
}

/// The counts of a group.
#[inline(always)]
fn eight<V: Vector>(counts: &[u16], group: usize) -> V {
    let eight: [u16; LANES] = counts[group * LANES..][..LANES].try_into().expect("eight counts");
    V::load(&eight.map(f64::from), 0)
}
