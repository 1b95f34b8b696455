//! A tail probability from the generating function, along the vertical line
//! through the saddlepoint:
//!
//! P(T' > T) + P(T' = T) / 2 = 1/(2 pi i) int exp(K(s) - s T) / s ds,   Re s > 0,
//!
//! by the trapezoidal rule, whose error falls exponentially with the number of
//! nodes: nodes h apart give the sum over k of P(T' > T + k L) exp(s k L),
//! L = 2 pi / h. The line through the saddlepoint makes the error relative, in
//! the far tail as well. How far up it has to be followed depends on how near
//! the statistic's distribution is to a lattice (`ripple`).

use super::march::Line;
use super::ripple::Ripple;
use super::saddle::{Problem, Saddle};
use super::{Scratch, Tails};
use num_complex::Complex64;
use std::f64::consts::{PI, TAU};

/// Nodes that a tail may take. Where they do not reach as far as it needs, the
/// statistic is blurred by a normal error that is small beside its standard
/// deviation.
const MAX_NODES: usize = 4096;
/// The same where the statistic has a lattice, as far as can be seen: the
/// blur, of a hundredth of a standard deviation or less, then splits steps of
/// the distribution at their middle (mid-p).
const LATTICE_NODES: usize = 1024;
/// The line leaves the real axis at least so many standard deviations from 0.
const LEAST_TILT: f64 = 0.7;
/// exp(-6) of the generating function may be left out.
const NEGLIGIBLE: f64 = 6.0;
/// The log of the smallest probability that is told apart.
const SMALLEST: f64 = -708.0;

/// Both tails at the problem's statistic; not numbers where it is not finite.
/// A tail that is certain to be below `negligible` is taken to be empty.
pub(super) fn tails(
    problem: &Problem<'_>,
    ripple: &Ripple,
    negligible: f64,
    scratch: &mut Scratch,
) -> Tails {
    if !problem.statistic.is_finite() {
        return Tails { lower: f64::NAN, upper: f64::NAN };
    }
    let sd = problem.variance.sqrt();
    let Scratch { saddle, line, .. } = scratch;
    saddle.find(problem, LEAST_TILT / sd);
    let tail = if saddle.exponent < negligible.ln() {
        0.0
    } else {
        log_tail(problem, ripple, saddle, line).max(SMALLEST).exp().min(1.0)
    };
    if saddle.s > 0.0 {
        Tails { lower: 1.0 - tail, upper: tail }
    } else {
        Tails { lower: tail, upper: 1.0 - tail }
    }
}

/// The log of the tail that the saddle points to.
fn log_tail(problem: &Problem<'_>, ripple: &Ripple, saddle: &Saddle, line: &mut Line) -> f64 {
    let s = saddle.s.abs();
    let sd = saddle.variance.sqrt();
    let period = period(problem, s, sd, saddle.exponent);
    let step = TAU / period;
    let spread: Vec<f64> = saddle.sums.iter().map(|sums| sums.spread).collect();
    let enough =
        ripple.reach(problem.groups, &spread, NEGLIGIBLE).max((2.0 * NEGLIGIBLE).sqrt() / sd);
    let most = if enough.is_finite() { MAX_NODES } else { LATTICE_NODES };
    let capped = enough > most as f64 * step;
    let nodes = if capped { most } else { (enough / step).ceil() as usize };
    let blur = if capped { (2.0 * NEGLIGIBLE).sqrt() / (nodes as f64 * step) } else { 0.0 };

    let exponent = saddle.exponent + line.start(problem, saddle, step);
    let mut sum = 0.5 * line.value().re / s;
    let side = saddle.s.signum();
    for node in 1..=nodes {
        line.advance();
        let u = node as f64 * step;
        let phase = Complex64::cis(-u * problem.statistic);
        let kernel = (-0.5 * (u * blur).powi(2)).exp();
        sum += (line.value() * phase / Complex64::new(s, side * u)).re * kernel;
    }
    // Where the period is short, T' is certain to be above T - L, T - 2 L, ...
    let certain = (-s * period - exponent).exp() / -(-s * period).exp_m1();
    let share = sum * step / PI - certain;
    let normal = mills(s * sd);
    if share.is_finite() && share > 1e-3 * normal && share < 1.5 {
        exponent + share.ln()
    } else {
        exponent + normal.ln()
    }
}

/// What of the distribution the trapezoidal rule must tell apart: beyond the
/// tilted distribution's reach above T, and far enough below T that what is
/// there is negligible or certain.
fn period(problem: &Problem<'_>, s: f64, sd: f64, exponent: f64) -> f64 {
    let away = (problem.statistic - problem.mean).abs();
    let below = ((9.0 - exponent).max(0.0) / s).min(away + 5.0 * problem.variance.sqrt());
    below.max(6.0 * sd).max(f64::MIN_POSITIVE)
}

/// E[exp(-z X); X > 0] of a standard normal X, the tail of a normal statistic
/// relative to exp(K(s) - s T).
fn mills(z: f64) -> f64 {
    if z < 25.0 {
        let tail = 0.5 * statrs::function::erf::erfc(z / std::f64::consts::SQRT_2);
        (0.5 * z * z).exp() * tail
    } else {
        1.0 / (TAU.sqrt() * z) * (1.0 - 1.0 / (z * z))
    }
}
