//! What one group of cells multiplies the generating function by.
//!
//! Where a number m of its cells is drawn, the factor is a coefficient of a
//! polynomial: by a saddlepoint in t, exp(K(s, t) - m t) / sqrt(K''), over the
//! same without a tilt; or, where m is at most [`FEW_DRAWN`], exactly: Newton's
//! identities give the coefficient from sums of powers.

use super::march::Turning;
use super::saddle::{Group, GroupSums};
use num_complex::Complex64;
use std::ops::Range;

/// The generating function is nowhere larger than on the real axis; its log may
/// be so by rounding and by the approximation.
const IMPOSSIBLE: f64 = 0.05;

/// Numbers of cells for which a factor is exact, as long as no odds exceed
/// [`FEW_DRAWN_ODDS`]: cancellation then costs eight of sixteen digits at most.
pub(super) const FEW_DRAWN: f64 = 8.0;
pub(super) const FEW_DRAWN_ODDS: f64 = 10.0;

/// An atom with large odds, at the current node.
pub(super) struct Heavy {
    /// r + s v, and v.
    pub value: f64,
    pub variance: f64,
    pub cells: f64,
    /// log y on the real axis.
    pub log: f64,
    pub odds: Complex64,
    pub turn: Turning,
}

pub(super) struct Factor {
    pub light: Range<usize>,
    pub heavy: Range<usize>,
    pub many_terms: bool,
    drawn: Option<f64>,
    /// Where the factor is exact: what times the coefficient it is, a logarithm.
    exact: Option<f64>,
    /// K and K'' on the real axis.
    cumulant: f64,
    spread: f64,
    /// How far t is from its value on the real axis, here and a node before.
    shift: Complex64,
    before: Complex64,
    /// sqrt(K'' here / K'' on the real axis), continued along the line.
    root: Complex64,
}

/// K and its derivatives with respect to t.
#[derive(Default)]
struct Derivatives {
    cumulant: Complex64,
    mean: Complex64,
    spread: Complex64,
}

impl Factor {
    pub fn new(
        group: &Group,
        sums: &GroupSums,
        light: Range<usize>,
        heavy: Range<usize>,
        many_terms: bool,
        exact: bool,
    ) -> Self {
        Self {
            light,
            heavy,
            many_terms,
            drawn: group.drawn,
            exact: exact.then(|| group.untilted() - group.log_subsets() - sums.cumulant),
            cumulant: sums.cumulant,
            spread: sums.spread,
            shift: Complex64::ZERO,
            before: Complex64::ZERO,
            root: Complex64::ONE,
        }
    }

    /// The factor over the main term on the real axis: what to take the
    /// exponential of, and times what. None where it is next to nothing.
    ///
    /// `powers`: sums of cells y^k over light atoms.
    pub fn value(
        &mut self,
        powers: &[Complex64; 8],
        heavy: &[Heavy],
        u: f64,
    ) -> Option<(Complex64, Complex64)> {
        if self.drawn.is_none() {
            let at = Derivatives::at(powers, heavy, u, Complex64::ZERO);
            return Some((at.cumulant - self.cumulant, Complex64::ONE));
        }
        if let Some(constant) = self.exact {
            return Some((constant.into(), coefficient(powers, self.drawn? as usize)));
        }
        // Along the line, or, where that is lost, from what would be right if no
        // cell were drawn with a high probability.
        let along = self.shift + self.shift - self.before;
        let found = self.solve(powers, heavy, u, along).or_else(|| {
            let mean = Derivatives::at(powers, heavy, u, Complex64::ZERO).mean;
            self.solve(powers, heavy, u, (Complex64::ONE * self.drawn? / mean).ln())
        });
        if found.is_none() {
            (self.shift, self.before, self.root) =
                (Complex64::ZERO, Complex64::ZERO, Complex64::ONE);
        }
        found
    }

    /// The same, by Newton's method from a shift of t; None where it does not
    /// get there, or to something impossible.
    fn solve(
        &mut self,
        powers: &[Complex64; 8],
        heavy: &[Heavy],
        u: f64,
        from: Complex64,
    ) -> Option<(Complex64, Complex64)> {
        let drawn = self.drawn?;
        let mut shift = from;
        for _ in 0..8 {
            let at = Derivatives::at(powers, heavy, u, shift);
            let short = at.mean - drawn;
            let step = short / at.spread;
            // Newton's step squared is what the exponent is off by.
            let off = short * step;
            if off.norm_sqr() < 1e-6 {
                let exponent = at.cumulant - self.cumulant - shift * drawn - off * 0.5;
                let mut root = (at.spread / self.spread).sqrt();
                if root.re * self.root.re + root.im * self.root.im < 0.0 {
                    root = -root;
                }
                if exponent.re - root.norm().ln() > IMPOSSIBLE {
                    return None;
                }
                (self.before, self.shift, self.root) = (self.shift, shift, root);
                return Some((exponent, root.inv()));
            }
            shift -= step / step.norm().max(1.0);
        }
        None
    }
}

/// Of z^m in prod(1 + y z)^cells: m e_m = sum over k of (-1)^(k - 1) e_(m - k) p_k.
fn coefficient(powers: &[Complex64; 8], m: usize) -> Complex64 {
    let mut e = [Complex64::ONE; FEW_DRAWN as usize + 1];
    for j in 1..=m {
        let mut sum = Complex64::ZERO;
        for k in 1..=j {
            let term = e[j - k] * powers[k - 1];
            sum += if k % 2 == 1 { term } else { -term };
        }
        e[j] = sum / j as f64;
    }
    e[m]
}

impl Derivatives {
    /// `shift` away from where the atoms are.
    #[inline]
    fn at(powers: &[Complex64; 8], heavy: &[Heavy], u: f64, shift: Complex64) -> Self {
        let turn = if shift == Complex64::ZERO { Complex64::ONE } else { shift.exp() };
        let mut sums = Self::default();
        let mut power = -Complex64::ONE;
        for (k, sum) in powers.iter().enumerate() {
            power *= -turn;
            let k = (k + 1) as f64;
            let term = power * sum;
            sums.cumulant += term / k;
            sums.mean += term;
            sums.spread += term * k;
        }
        for atom in heavy {
            let y = turn * atom.odds;
            let inverse = (y + 1.0).inv();
            let p = y * inverse;
            // Continuous along the line, as log(1 + y) is not where |y| > 1.
            let log = if y.norm_sqr() <= 1.0 {
                (y + 1.0).ln()
            } else {
                Complex64::new(atom.log - 0.5 * u * u * atom.variance, u * atom.value)
                    + shift
                    + (y.inv() + 1.0).ln()
            };
            sums.cumulant += log * atom.cells;
            sums.mean += p * atom.cells;
            sums.spread += p * inverse * atom.cells;
        }
        sums
    }
}
