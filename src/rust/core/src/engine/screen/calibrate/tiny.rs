//! Groups of so few cells that every subset counts: their factor of the
//! generating function by recursion, without a saddlepoint in t.

use super::atoms::Atoms;
use super::saddle::Group;
use num_complex::Complex64;

/// Groups of at most as many cells are exact.
pub(super) const TINY: usize = 24;

/// Cells drawn each for itself with the tilted probabilities p, counted: the
/// coefficient of z^m in prod(1 - p + p e^(i u r) z) is P(M = m) E[e^(i u T) | M = m].
pub(super) struct Tiny {
    drawn: usize,
    /// Tilted probability, what turns it here, and turns that a node.
    cells: Vec<(f64, Complex64, Complex64)>,
    /// P(M = m) with the tilted probabilities.
    scale: f64,
    coefficients: Vec<Complex64>,
}

impl Tiny {
    /// Where the group is one: few cells, each an atom of its own.
    pub fn new(atoms: &Atoms, group: &Group, s: f64, t: f64, step: f64) -> Option<Self> {
        let drawn = group.drawn?;
        if group.cells > TINY as f64 {
            return None;
        }
        let cells = group.atoms.clone().filter(|&i| atoms.cells[i] > 0.0).map(|i| {
            let value = atoms.value[i];
            let p = 1.0 / (1.0 + (-(t + s * value)).exp());
            (p, Complex64::ONE, Complex64::cis(step * value))
        });
        let mut tiny = Self {
            drawn: drawn as usize,
            cells: cells.collect(),
            scale: 1.0,
            coefficients: vec![],
        };
        tiny.scale = tiny.value().re;
        Some(tiny)
    }

    pub fn turn(&mut self) {
        self.cells.iter_mut().for_each(|(_, turned, turn)| *turned *= *turn);
    }

    /// The generating function here, relative to the real axis.
    pub fn value(&mut self) -> Complex64 {
        let m = self.drawn;
        self.coefficients.clear();
        self.coefficients.resize(m + 1, Complex64::ZERO);
        self.coefficients[0] = Complex64::ONE;
        for &(p, turned, _) in &self.cells {
            for k in (0..=m).rev() {
                let below = if k > 0 { self.coefficients[k - 1] } else { Complex64::ZERO };
                self.coefficients[k] = self.coefficients[k] * (1.0 - p) + below * turned * p;
            }
        }
        self.coefficients[m] / self.scale
    }

    /// P(M = m) with the tilted probabilities over that without a tilt, for a
    /// group's share of the exponent.
    pub fn log_mass_ratio(&self) -> f64 {
        let (n, m) = (self.cells.len(), self.drawn);
        let f = m as f64 / n as f64;
        let mut untilted = Self {
            drawn: m,
            cells: vec![(f, Complex64::ONE, Complex64::ONE); n],
            scale: 1.0,
            coefficients: vec![],
        };
        (self.scale / untilted.value().re).ln()
    }
}
