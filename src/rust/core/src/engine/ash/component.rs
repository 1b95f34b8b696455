use super::interval::Interval;
use crate::special::gamma_ratio;
use libm::erfc;
use std::f64::consts::{PI, SQRT_2};

/// A distribution that effects may come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Component {
    /// Zero itself.
    Point,
    /// About zero.
    Normal {
        sd: f64,
    },
    Uniform {
        lower: f64,
        upper: f64,
    },
}

/// The family of a mixture's components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// From -a to a.
    Uniform,
    /// From -a to 0, and from 0 to a.
    HalfUniform,
    Normal,
}

/// Zero, if asked for, and a component of each scale; of half-uniform ones, all below zero
/// and then all above.
pub fn components(shape: Shape, scales: &[f64], point_mass: bool) -> Vec<Component> {
    let scales = || scales.iter().filter(|scale| **scale > 0.0);
    let uniform = |lower: f64, upper: f64| Component::Uniform { lower, upper };
    let mut all = if point_mass { vec![Component::Point] } else { vec![] };
    match shape {
        Shape::Normal => all.extend(scales().map(|&sd| Component::Normal { sd })),
        Shape::Uniform => all.extend(scales().map(|&a| uniform(-a, a))),
        Shape::HalfUniform => {
            all.extend(scales().map(|&a| uniform(-a, 0.0)));
            all.extend(scales().map(|&a| uniform(0.0, a)));
        }
    }
    all
}

/// An estimated effect.
pub struct Estimate {
    pub estimate: f64,
    pub error: f64,
    pub freedom: Option<f64>,
}

impl Estimate {
    /// Whether it says anything.
    pub fn is_known(&self) -> bool {
        self.estimate.is_finite() && self.error.is_finite()
    }
}

/// An effect's distribution, if it comes from one component.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    pub mean: f64,
    pub variance: f64,
    pub below: f64,
    pub above: f64,
}

const ZERO: Moments = Moments { mean: 0.0, variance: 0.0, below: 0.0, above: 0.0 };

impl Component {
    /// Logarithm of the density of an estimate.
    pub fn log_density(&self, x: &Estimate) -> f64 {
        match *self {
            Component::Point => match x.freedom {
                None => log_normal(x.estimate, x.error),
                Some(freedom) => log_student(x.estimate / x.error, freedom) - x.error.ln(),
            },
            Component::Normal { sd } => log_normal(x.estimate, x.error.hypot(sd)),
            Component::Uniform { lower, upper } => {
                Interval::of(x, lower, upper).log_mass - (upper - lower).ln()
            }
        }
    }

    /// Given an estimate.
    pub fn posterior(&self, x: &Estimate) -> Moments {
        match *self {
            Component::Point => ZERO,
            Component::Normal { sd } => {
                let total = x.error.hypot(sd);
                let scale = sd / total;
                Moments::normal(scale * scale * x.estimate, scale * x.error)
            }
            Component::Uniform { lower, upper } => {
                let all = Interval::of(x, lower, upper);
                let share = |part: Interval| (part.log_mass - all.log_mass).exp();
                let (below, above) = if lower >= 0.0 {
                    (0.0, 1.0)
                } else if upper <= 0.0 {
                    (1.0, 0.0)
                } else {
                    let below = share(Interval::of(x, lower, 0.0));
                    let above = share(Interval::of(x, 0.0, upper));
                    (below / (below + above), above / (below + above))
                };
                Moments { mean: all.mean, variance: all.variance, below, above }
            }
        }
    }

    /// Without an estimate.
    pub fn prior(&self) -> Moments {
        match *self {
            Component::Point => ZERO,
            Component::Normal { sd } => Moments::normal(0.0, sd),
            Component::Uniform { lower, upper } => {
                let width = upper - lower;
                let below = (-lower).max(0.0).min(width) / width;
                Moments {
                    mean: 0.5 * (lower + upper),
                    variance: width * width / 12.0,
                    below,
                    above: 1.0 - below,
                }
            }
        }
    }
}

impl Moments {
    /// Of a normal distribution.
    pub fn normal(mean: f64, sd: f64) -> Self {
        // One tail is exact to the last digit, and so is the other.
        let tail = 0.5 * erfc(mean.abs() / (sd * SQRT_2));
        let (below, above) = if mean > 0.0 { (tail, 1.0 - tail) } else { (1.0 - tail, tail) };
        Self { mean, variance: sd * sd, below, above }
    }
}

fn log_normal(x: f64, sd: f64) -> f64 {
    let z = x / sd;
    -0.5 * (2.0 * PI).ln() - sd.ln() - 0.5 * z * z
}

/// Logarithm of Student's density: Gamma((f + 1) / 2) / Gamma(f / 2) / sqrt(pi f) times
/// (1 + t^2 / f)^(-(f + 1) / 2).
pub(super) fn log_student(t: f64, freedom: f64) -> f64 {
    log_student_at_zero(freedom) - 0.5 * (freedom + 1.0) * (t / freedom.sqrt()).powi(2).ln_1p()
}

pub(super) fn log_student_at_zero(freedom: f64) -> f64 {
    gamma_ratio(0.5 * freedom).ln() - 0.5 * (PI * freedom).ln()
}
