//! How near a population's values are to a lattice.
//!
//! A sum of m draws has the characteristic function psi(u)^m, or nearly so;
//! |psi| < 1 falls with u, but rises again, to 1 on a lattice, where u times the
//! spacing is a multiple of 2 pi. Counts of rare transcripts make such values:
//! the sum's distribution is then made of steps, blurred by the spread of the
//! size factors.

use super::atoms::Atoms;
use super::march::{Light, Turning};
use super::saddle::Group;

/// Frequencies are in units of 1 / sd; the grid is geometric up to 1.
const FIRST: f64 = 0.02;
const RATIO: f64 = 1.1;
const LEVELS: usize = 104;
const STEP: f64 = 0.1;
/// What 1 - |psi| may fall between two points of the grid: (STEP / 2)² / 2.
const BETWEEN: f64 = 0.001_25;

/// For each group, the least 1 - |psi| beyond each of some frequencies.
#[derive(Clone, Debug)]
pub(super) struct Ripple {
    sd: f64,
    beyond: Vec<[f32; LEVELS]>,
}

impl Ripple {
    /// `sd`: of all cells' values.
    pub fn new(atoms: &Atoms, sd: f64) -> Self {
        let mut beyond = vec![[1.0f32; LEVELS]; atoms.groups.len()];
        let mut line = Light::default();
        let mut note = |level: usize, line: &Light| {
            for (group, beyond) in atoms.groups.iter().zip(&mut beyond) {
                let cells: f64 = atoms.cells[group.clone()].iter().sum();
                let lost = 1.0 - line.sum(group.clone()).norm() / cells;
                beyond[level] = beyond[level].min(lost as f32);
            }
        };
        let mut level = 0;
        while frequency(level) < 1.0 {
            load(&mut line, atoms, frequency(level) / sd);
            line.turn();
            note(level, &line);
            level += 1;
        }
        load(&mut line, atoms, STEP / sd);
        let mut node = 0;
        while level <= LEVELS {
            let u = f64::from(node) * STEP;
            if u >= frequency(level - 1) {
                note(level - 1, &line);
            }
            line.turn();
            node += 1;
            if f64::from(node) * STEP >= frequency(level) {
                level += 1;
            }
        }
        for beyond in &mut beyond {
            for level in (1..LEVELS).rev() {
                beyond[level - 1] = beyond[level - 1].min(beyond[level]);
            }
        }
        Self { sd, beyond }
    }

    /// The frequency beyond which the statistic's characteristic function stays
    /// below exp(-negligible); infinite where there is none. `spread`: variance
    /// of the number of cells drawn of each group.
    pub fn reach(&self, groups: &[Group], spread: &[f64], negligible: f64) -> f64 {
        let lost = |level: usize| -> f64 {
            let of_group = |(group, spread): (&Group, &f64)| {
                spread * (f64::from(self.beyond[group.index][level]) - BETWEEN).max(0.0)
            };
            groups.iter().zip(spread).map(of_group).sum()
        };
        // Least values beyond a frequency increase with it.
        let (mut low, mut high) = (0, LEVELS);
        while low < high {
            let middle = low.midpoint(high);
            if lost(middle) < negligible {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == LEVELS { f64::INFINITY } else { frequency(low) / self.sd }
    }
}

fn frequency(level: usize) -> f64 {
    FIRST * RATIO.powi(level as i32)
}

/// All values at frequency 0, to turn by `step`.
fn load(line: &mut Light, atoms: &Atoms, step: f64) {
    line.clear();
    for ((value, variance), cells) in atoms.value.iter().zip(&atoms.variance).zip(&atoms.cells) {
        line.push(1.0, *cells, Turning::new(*value, *variance, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros and ones, 9 to 1, with this spread.
    fn reach(sd: f64, drawn: f64) -> f64 {
        let mut atoms = Atoms::default();
        atoms.push(-0.1, sd * sd, 900.0, 0.0);
        atoms.push(0.9, sd * sd, 100.0, 0.0);
        atoms.end_group();
        let group =
            Group { index: 0, atoms: atoms.groups[0].clone(), cells: 1000.0, drawn: Some(drawn) };
        Ripple::new(&atoms, 0.3).reach(&[group], &[drawn], 6.0)
    }

    #[test]
    fn reaches_as_far_as_the_spread_asks_for() {
        assert_eq!(reach(0.0, 50.0), f64::INFINITY);
        // 1 - exp(-u² sd² / 2) is left at multiples of 2 pi: for 50 draws too
        // little up to 8 pi, for 200 up to 2 pi.
        let multiple = |sd, drawn| reach(sd, drawn) / std::f64::consts::TAU;
        assert!((3.9..4.6).contains(&multiple(0.02, 50.0)), "{}", multiple(0.02, 50.0));
        assert!((1.0..1.2).contains(&multiple(0.03, 200.0)), "{}", multiple(0.03, 200.0));
        // Wide enough not to have a lattice, and many draws: the normal's reach.
        assert!(reach(0.5, 2000.0) < 0.5);
    }
}
