//! The generating function of the statistic along a vertical line in the
//! complex plane, node after node, relative to its value on the real axis.

use super::atoms::Atoms;
use super::factor::{FEW_DRAWN, FEW_DRAWN_ODDS, Factor, Heavy};
use super::saddle::{Group, GroupSums, Problem, Saddle};
use super::tiny::Tiny;
use crate::simd::{Kernel, LANES, Vector, run};
use num_complex::Complex64;
use std::ops::Range;

/// Tilted odds y up to which log(1 + y) is a power series of [`Order`] terms:
/// what is left out is below 3e-7 of the number of cells drawn.
const FEW_TERMS: f64 = 0.04;
const MANY_TERMS: f64 = 0.2;
/// Atoms at the current node, y e^(i u r) where r has no variance, each turning
/// by e^(i h r) a node; where it has one, they are damped as well.
#[derive(Default)]
pub(super) struct Line {
    light: Light,
    heavy: Vec<Heavy>,
    factors: Vec<Factor>,
    tiny: Vec<Tiny>,
    /// Distance between nodes.
    step: f64,
    node: usize,
}

/// Atoms with small odds, structure of arrays. Groups fill whole vectors.
#[derive(Default)]
pub(super) struct Light {
    re: Vec<f64>,
    im: Vec<f64>,
    turn_re: Vec<f64>,
    turn_im: Vec<f64>,
    damping: Vec<f64>,
    cells: Vec<f64>,
}

/// What an atom is multiplied by from one node to the next: less and less where
/// it has a variance v, since exp(-u² v / 2) falls by exp(-h² v (k + 1/2)) from
/// node k to the next.
#[derive(Clone, Copy)]
pub(super) struct Turning {
    now: Complex64,
    damping: f64,
}

impl Turning {
    pub fn new(value: f64, variance: f64, step: f64) -> Self {
        let damping = (-step * step * variance).exp();
        Self { now: Complex64::cis(step * value) * damping.sqrt(), damping }
    }
}

impl Line {
    /// Goes to the real axis, at a saddle. Returns the log of what the groups
    /// with a number of cells to draw multiply exp([`Saddle::exponent`]) by.
    pub fn start(&mut self, problem: &Problem<'_>, saddle: &Saddle, step: f64) -> f64 {
        self.light.clear();
        self.heavy.clear();
        self.factors.clear();
        self.tiny.clear();
        (self.step, self.node) = (step, 0);
        let mut log_factor = 0.0;
        for ((group, &t), sums) in problem.groups.iter().zip(&saddle.t).zip(&saddle.sums) {
            if let Some(tiny) = Tiny::new(problem.atoms, group, saddle.s, t, step) {
                log_factor += tiny.log_mass_ratio();
                self.tiny.push(tiny);
            } else {
                let exact = self.add(problem.atoms, group, saddle.s, t, sums);
                let untilted = group.untilted_spread().filter(|_| !exact);
                log_factor -= untilted.map_or(0.0, |spread| 0.5 * (sums.spread / spread).ln());
            }
        }
        log_factor
    }

    /// Returns whether the group's factor will be exact.
    fn add(&mut self, atoms: &Atoms, group: &Group, s: f64, t: f64, sums: &GroupSums) -> bool {
        let (light, heavy) = (self.light.re.len(), self.heavy.len());
        let mut largest = 0.0f64;
        let log_odds = |i: usize| {
            let half = 0.5 * s * atoms.variance[i];
            atoms.log_odds[i] + t + s * (atoms.value[i] + half)
        };
        let few = group.drawn.is_some_and(|m| m <= FEW_DRAWN);
        let mut filled = group.atoms.clone().filter(|&i| atoms.cells[i] > 0.0);
        let exact = few && filled.all(|i| log_odds(i) < FEW_DRAWN_ODDS.ln());
        for i in group.atoms.clone() {
            let (cells, variance) = (atoms.cells[i], atoms.variance[i]);
            if cells == 0.0 {
                continue;
            }
            let log = log_odds(i);
            let value = atoms.value[i] + s * variance;
            let turn = Turning::new(value, variance, self.step);
            if exact || log < MANY_TERMS.ln() {
                self.light.push(log.exp(), cells, turn);
                largest = largest.max(log.exp());
            } else {
                let odds = Complex64::new(log.min(700.0).exp(), 0.0);
                self.heavy.push(Heavy { value, variance, cells, log, odds, turn });
            }
        }
        self.light.fill_vector();
        self.factors.push(Factor::new(
            group,
            sums,
            light..self.light.re.len(),
            heavy..self.heavy.len(),
            if exact { group.drawn > Some(4.0) } else { largest > FEW_TERMS },
            exact,
        ));
        exact
    }

    /// Goes one node up.
    pub fn advance(&mut self) {
        self.node += 1;
        self.light.turn();
        for atom in &mut self.heavy {
            atom.odds *= atom.turn.now;
            atom.turn.now *= atom.turn.damping;
        }
        self.tiny.iter_mut().for_each(Tiny::turn);
    }

    /// The generating function here, relative to the real axis.
    pub fn value(&mut self) -> Complex64 {
        let u = self.node as f64 * self.step;
        let (mut exponent, mut factor) = (Complex64::ZERO, Complex64::ONE);
        for group in &mut self.factors {
            let sums = self.light.power_sums(group.light.clone(), group.many_terms);
            let heavy = &self.heavy[group.heavy.clone()];
            let Some((of_group, times)) = group.value(&sums, heavy, u) else {
                return Complex64::ZERO;
            };
            exponent += of_group;
            factor *= times;
        }
        let tiny: Complex64 = self.tiny.iter_mut().map(Tiny::value).product();
        exponent.exp() * factor * tiny
    }
}

impl Light {
    pub fn clear(&mut self) {
        let Self { re, im, turn_re, turn_im, damping, cells } = self;
        [re, im, turn_re, turn_im, damping, cells].into_iter().for_each(Vec::clear);
    }

    pub fn push(&mut self, odds: f64, cells: f64, turn: Turning) {
        self.re.push(odds);
        self.im.push(0.0);
        self.turn_re.push(turn.now.re);
        self.turn_im.push(turn.now.im);
        self.damping.push(turn.damping);
        self.cells.push(cells);
    }

    pub fn fill_vector(&mut self) {
        while !self.re.len().is_multiple_of(LANES) {
            self.push(0.0, 0.0, Turning::new(0.0, 0.0, 0.0));
        }
    }

    pub fn turn(&mut self) {
        run(Turn(self));
    }

    /// Sum of cells y.
    pub fn sum(&self, atoms: Range<usize>) -> Complex64 {
        run(PowerSums::<1> { light: self, atoms })[0]
    }

    /// Sums of cells y^k, k = 1, 2, .. 8; of k > 4 only where asked.
    fn power_sums(&self, atoms: Range<usize>, many: bool) -> [Complex64; 8] {
        let mut sums = [Complex64::ZERO; 8];
        if many {
            sums = run(PowerSums::<8> { light: self, atoms });
        } else {
            sums[..4].copy_from_slice(&run(PowerSums::<4> { light: self, atoms }));
        }
        sums
    }
}

struct Turn<'a>(&'a mut Light);

impl Kernel for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Light { re, im, turn_re, turn_im, damping, .. } = self.0;
        for chunk in 0..re.len() / LANES {
            let (a, b) = (V::load(re, chunk), V::load(im, chunk));
            let (c, d) = (V::load(turn_re, chunk), V::load(turn_im, chunk));
            let minus_b = b.times(V::of(-1.0));
            minus_b.times_plus(d, a.times(c)).store(re, chunk);
            b.times_plus(c, a.times(d)).store(im, chunk);
            let damping = V::load(damping, chunk);
            c.times(damping).store(turn_re, chunk);
            d.times(damping).store(turn_im, chunk);
        }
    }
}

struct PowerSums<'a, const ORDER: usize> {
    light: &'a Light,
    atoms: Range<usize>,
}

impl<const ORDER: usize> Kernel for PowerSums<'_, ORDER> {
    type Output = [Complex64; ORDER];

    #[inline(always)]
    fn run<V: Vector>(self) -> [Complex64; ORDER] {
        let mut re = [V::zero(); ORDER];
        let mut im = [V::zero(); ORDER];
        for chunk in self.atoms.start / LANES..self.atoms.end / LANES {
            let (a, b) = (V::load(&self.light.re, chunk), V::load(&self.light.im, chunk));
            let minus_b = b.times(V::of(-1.0));
            let cells = V::load(&self.light.cells, chunk);
            let (mut x, mut y) = (a.times(cells), b.times(cells));
            for k in 0..ORDER {
                re[k] = x.times_plus(V::of(1.0), re[k]);
                im[k] = y.times_plus(V::of(1.0), im[k]);
                (x, y) = (y.times_plus(minus_b, x.times(a)), y.times_plus(a, x.times(b)));
            }
        }
        std::array::from_fn(|k| Complex64::new(re[k].total(), im[k].total()))
    }
}
