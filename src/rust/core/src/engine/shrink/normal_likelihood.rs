//! The posterior of an effect b whose likelihood is normal, about an estimate m
//! with standard error s.
//!
//! With a normal prior it is normal. With a Cauchy prior of scale k its log density
//! is, up to a constant,
//!
//! -(b - m)² / (2 s²) - log(1 + b² / k²),
//!
//! which is stationary where b³ - m b² + (k² + 2 s²) b - m k² = 0. All real roots
//! lie between 0 and m: one, the mode, or three, of which the outer two are modes.
//! On either side of m / 3 the cubic bends in one way only, so that Newton's method
//! from the outside comes to the root there, if there is one, without passing it.

use super::prior::{Posterior, Prior};
use super::quadrature::Moments;
use libm::erfc;
use std::f64::consts::FRAC_1_SQRT_2;

/// Standard errors from zero beyond which the prior is, over the width of the
/// likelihood, as good as exponential, and the posterior normal.
const DISTINCT: f64 = 1e6;
/// A prior narrower than this many standard errors is one at zero.
const NARROW: f64 = 1e-100;
/// Logarithms of density below the peak, of what is left out of integrals.
const NEGLIGIBLE: f64 = -45.0;
const NEWTON_STEPS: usize = 200;

/// The posterior of an effect with this estimate and standard error, both finite,
/// and the latter positive, as is the prior's scale.
pub fn posterior(estimate: f64, std_err: f64, prior: Prior) -> Posterior {
    // In standard errors, so that nothing is too large or too small for a square.
    let m = estimate.abs() / std_err;
    let k = (prior.scale() / std_err).max(NARROW);
    let found = match prior {
        Prior::Normal(_) => {
            let reliability = 1.0 / (1.0 + (1.0 / k).powi(2));
            normal(m * reliability, reliability.sqrt())
        }
        // The prior is flat as far as the likelihood reaches.
        Prior::Cauchy(_) if k > 1e9 * (1.0 + m) => normal(m, 1.0),
        Prior::Cauchy(_) => Cauchy { m, k }.posterior(),
    };
    let (sign, negative, positive) = match estimate < 0.0 {
        true => (-std_err, found.positive, found.negative),
        false => (std_err, found.negative, found.positive),
    };
    Posterior {
        mode: sign * found.mode,
        mode_sd: std_err * found.mode_sd,
        mean: sign * found.mean,
        sd: std_err * found.sd,
        negative,
        positive,
    }
}

fn normal(mean: f64, sd: f64) -> Posterior {
    let z = mean / sd * FRAC_1_SQRT_2;
    Posterior {
        mode: mean,
        mode_sd: sd,
        mean,
        sd,
        negative: 0.5 * erfc(z),
        positive: 0.5 * erfc(-z),
    }
}

/// An estimate m >= 0 with standard error 1, and a prior of scale k.
struct Cauchy {
    m: f64,
    k: f64,
}

impl Cauchy {
    fn posterior(&self) -> Posterior {
        let (low, high) = self.modes();
        let peak = [low, high].into_iter().flatten().fold(f64::NAN, |best, b| {
            if best.is_nan() || self.log_density(b) > self.log_density(best) { b } else { best }
        });
        let mode_sd = self.curvature_sd(peak);
        if self.m > DISTINCT {
            return Posterior { mode_sd, ..normal(peak, mode_sd) };
        }
        let top = self.log_density(peak);
        let mut above = Moments::default();
        let mut walk = |from: f64, to: f64| self.walk(from, to, top, peak, &mut above);
        match (low, high) {
            (Some(low), Some(high)) => {
                // The three roots add up to m.
                let trough = (self.m - low - high).clamp(low, high);
                walk(low, 0.0);
                walk(low, trough);
                walk(high, trough);
                walk(high, f64::INFINITY);
            }
            _ => {
                walk(peak, 0.0);
                walk(peak, f64::INFINITY);
            }
        }
        let (mut below, at_zero) = (Moments::default(), self.log_density(0.0));
        self.walk(0.0, f64::NEG_INFINITY, at_zero, peak, &mut below);
        let odds = (at_zero - top).exp() * below.mass / above.mass;
        above.add_scaled(&below, (at_zero - top).exp());
        let (mean, sd) = above.mean_and_sd(peak);
        Posterior {
            mode: peak,
            mode_sd,
            mean,
            sd,
            negative: odds / (1.0 + odds),
            positive: 1.0 / (1.0 + odds),
        }
    }

    /// The modes up to m / 3, and above.
    fn modes(&self) -> (Option<f64>, Option<f64>) {
        let (m, k2) = (self.m, self.k * self.k);
        let cubic = |b: f64| ((b - m) * b + (k2 + 2.0)) * b - m * k2;
        let discriminant = m * m - 3.0 * (k2 + 2.0);
        let (has_low, has_high) = if discriminant > 0.0 {
            let root = discriminant.sqrt();
            (cubic((m - root) / 3.0) >= 0.0, cubic((m + root) / 3.0) <= 0.0)
        } else {
            let low = cubic(m / 3.0) >= 0.0;
            (low, !low)
        };
        let descend = |start: f64| {
            let mut b = start;
            for _ in 0..NEWTON_STEPS {
                let slope = (3.0 * b - 2.0 * m) * b + (k2 + 2.0);
                let next = (b - cubic(b) / slope).clamp(0.0, m);
                if (next - b).abs() <= f64::EPSILON * b {
                    break;
                }
                b = next;
            }
            b
        };
        (has_low.then(|| descend(0.0)), has_high.then(|| descend(m)))
    }

    fn log_density(&self, b: f64) -> f64 {
        self.log_likelihood(b) - (b / self.k).powi(2).ln_1p()
    }

    fn log_likelihood(&self, b: f64) -> f64 {
        -0.5 * (b - self.m).powi(2)
    }

    fn curvature_sd(&self, b: f64) -> f64 {
        let square = (b / self.k).powi(2);
        let bend = 2.0 * (1.0 - square) / (1.0 + square).powi(2);
        self.k / (self.k * self.k + bend).max(0.0).sqrt()
    }

    /// Integrates the density, relative to exp(`top`), from a peak downhill: to
    /// `end`, or until nothing is left. Panels are short against the distance from
    /// the prior's poles, at ±ik, and against what the likelihood changes over.
    fn walk(&self, peak: f64, end: f64, top: f64, centre: f64, moments: &mut Moments) {
        let density = |b: f64| {
            let ratio = b / self.k;
            (self.log_likelihood(b) - top).exp() / (1.0 + ratio * ratio)
        };
        let inwards = end.abs() < peak.abs();
        let direction = if end > peak { 1.0 } else { -1.0 };
        let (start, likelihood) = (self.log_density(peak), self.log_likelihood(peak));
        let mut at = peak;
        while at != end {
            let fall = (self.log_density(at) - start).max(self.log_likelihood(at) - likelihood);
            if fall < NEGLIGIBLE {
                break;
            }
            let reach = self.k.hypot(at) * if inwards { 0.5 } else { 1.5 };
            let length = reach.min(3.0).min(16.0 / (at - self.m).abs());
            let next = at + direction * length;
            let next = if (end - next) * direction > 0.0 { next } else { end };
            moments.add(at, next, centre, density);
            at = next;
        }
    }
}
