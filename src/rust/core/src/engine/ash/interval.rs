//! An effect that is as likely to be anywhere in an interval, given its estimate.
//!
//! The distribution is the error's, cut off at both ends. Its mass and moments are
//! integrals of a smooth function over the part of the interval where it is not
//! negligible, by Gauss and Legendre's rule: sums of positive numbers, measured from the
//! end that is nearer to the estimate, which keep their digits however far off it is and
//! however narrow the interval. Closed forms lose them to cancellation.

use super::component::{Estimate, log_student_at_zero};
use crate::special::gauss_legendre;
use std::f64::consts::PI;
use std::sync::LazyLock;

/// Exponents below the largest one by more than this are negligible.
const NEGLIGIBLE: f64 = 40.0;

/// Enough for the exponential of a quadratic with that range.
static NORMAL: LazyLock<Rule> = LazyLock::new(|| Rule(gauss_legendre(48)));

/// Enough for a piece of cosh(v)^-f.
static STUDENT: LazyLock<Rule> = LazyLock::new(|| Rule(gauss_legendre(24)));

/// What is left of the error's distribution in an interval.
pub(super) struct Interval {
    /// Logarithm of its share.
    pub log_mass: f64,
    pub mean: f64,
    pub variance: f64,
}

impl Interval {
    pub fn of(x: &Estimate, lower: f64, upper: f64) -> Self {
        // Mirrored where the lower end is farther off, so that `from` is the near one.
        let mirrored = (lower - x.estimate) + (upper - x.estimate) < 0.0;
        let (from, to) = if mirrored { (-upper, -lower) } else { (lower, upper) };
        let middle = if mirrored { -x.estimate } else { x.estimate };
        let (a, b) = ((from - middle) / x.error, (to - middle) / x.error);
        let width = (to - from) / x.error;
        let found = match x.freedom {
            None => normal(a, b, width),
            Some(freedom) => student(a, b, width, freedom),
        };
        let mean = (from + x.error * found.offset).min(to);
        Self {
            log_mass: found.log_mass,
            mean: if mirrored { -mean } else { mean },
            variance: x.error * x.error * found.variance,
        }
    }
}

/// In units of the standard error; the mean is measured from the lower end.
struct Unit {
    log_mass: f64,
    offset: f64,
    variance: f64,
}

/// For |a| <= |b| and a < b.
fn normal(a: f64, b: f64, width: f64) -> Unit {
    let half_log = -0.5 * (2.0 * PI).ln();
    if a >= 0.0 {
        // exp(-u (a + u / 2)) for u from 0 on.
        let reach = 2.0 * NEGLIGIBLE / (a + (a * a + 2.0 * NEGLIGIBLE).sqrt());
        let nodes = NORMAL.pieces(0.0, width.min(reach), 1);
        let mut found = sum(nodes.map(|(u, weight)| (weight, -u * (a + 0.5 * u), u)));
        found.log_mass += half_log - 0.5 * a * a;
        return found;
    }
    let reach = (2.0 * NEGLIGIBLE).sqrt();
    let nodes = NORMAL.pieces(a.max(-reach), b.min(reach), 1);
    let mut found = sum(nodes.map(|(t, weight)| (weight, -0.5 * t * t, t - a)));
    found.log_mass += half_log;
    found
}

/// With t = sqrt(f) sinh(v), the density times dt is cosh(v)^-f dv, but for a constant.
fn student(a: f64, b: f64, width: f64, freedom: f64) -> Unit {
    let root = freedom.sqrt();
    let (from, to) = ((a / root).asinh(), (b / root).asinh());
    // To - from, which may be next to nothing.
    let span = 2.0 * (0.5 * width / root / (0.5 * (from + to)).cosh()).asinh();
    let highest = from.max(0.0);
    // Beyond this the tail is negligible, second moment and all.
    let reach = match freedom > 3.0 {
        true => 1.0 + NEGLIGIBLE / (freedom - 2.0) + (2.0 * NEGLIGIBLE / (freedom - 2.0)).sqrt(),
        false => f64::INFINITY,
    };
    let low = f64::max(0.0, -reach - from);
    let high = span.min(highest + reach - from);
    let pieces = ((high - low) * f64::max(1.0, root / 8.0)).ceil().clamp(1.0, 800.0) as usize;
    // log(2 cosh(v)), without overflow.
    let log_cosh = |v: f64| v.abs() + (-2.0 * v.abs()).exp().ln_1p();
    let nodes = STUDENT.pieces(low, high, pieces).map(|(w, weight)| {
        let exponent = -freedom * (log_cosh(from + w) - log_cosh(highest));
        // sqrt(f) (sinh(from + w) - sinh(from)), without cancellation.
        let offset = 2.0 * root * (from + 0.5 * w).cosh() * (0.5 * w).sinh();
        (weight, exponent, offset)
    });
    let mut found = sum(nodes);
    found.log_mass += log_student_at_zero(freedom) + root.ln();
    found.log_mass -= freedom * (log_cosh(highest) - 2.0_f64.ln());
    found
}

struct Rule(Vec<(f64, f64)>);

impl Rule {
    /// Nodes and weights on as many pieces of an interval.
    fn pieces(
        &self,
        low: f64,
        high: f64,
        pieces: usize,
    ) -> impl Iterator<Item = (f64, f64)> + Clone {
        let half = 0.5 * (high - low) / pieces as f64;
        (0..pieces).flat_map(move |piece| {
            let middle = low + (2 * piece + 1) as f64 * half;
            self.0.iter().map(move |(x, weight)| (middle + half * x, half * weight))
        })
    }
}

/// Of weights, exponents and offsets.
fn sum(nodes: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Unit {
    let largest = nodes.clone().fold(f64::NEG_INFINITY, |most, node| node.1.max(most));
    let share = |weight: f64, exponent: f64| weight * (exponent - largest).exp();
    let (mut mass, mut first) = (0.0, 0.0);
    for (weight, exponent, offset) in nodes.clone() {
        let share = share(weight, exponent);
        mass += share;
        first += share * offset;
    }
    let mean = first / mass;
    let second: f64 = nodes
        .map(|(weight, exponent, offset)| share(weight, exponent) * (offset - mean).powi(2))
        .sum();
    Unit { log_mass: mass.ln() + largest, offset: mean, variance: second / mass }
}
