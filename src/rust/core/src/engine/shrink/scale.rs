//! How far effects lie from zero, of estimates D = std_err² off: the variance A of
//! a normal distribution that makes S = estimate² most likely, which solves
//!
//! A = sum w (S - D) / sum w,    w = 1 / (2 (A + D)²)
//!
//! (Zhu, Ibrahim and Love 2019, section 2.3; after Efron and Morris 1975, Journal
//! of the American Statistical Association 70:311).

use super::{check_groups, is_usable};
use crate::{Monitor, Result};
use rayon::prelude::*;

/// Where the variance is looked for: apeglm's limits.
const LEAST: f64 = 1e-6;
const MOST: f64 = 400.0;
/// Places that are looked at for solutions, of which there may be several.
const PLACES: i32 = 32;
/// Halvings of the logarithm's range between two of them: to 1e-13 or so.
const HALVINGS: i32 = 42;
/// Estimates that are added up by one thread.
const SHARE: usize = 4096;

/// The variance of each group's effects; see [`prior_variance`].
///
/// # Errors
/// Where lengths disagree, a group is out of range, or the monitor is cancelled.
pub fn prior_variances(
    estimates: &[f64],
    std_errs: &[f64],
    groups: &[u32],
    count: usize,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    check_groups(estimates, std_errs, groups, count)?;
    let mut parts = vec![(vec![], vec![]); count];
    for (at, &group) in groups.iter().enumerate() {
        let (own, errors) = &mut parts[group as usize];
        own.push(estimates[at]);
        errors.push(std_errs[at]);
    }
    parts.iter().map(|(own, errors)| prior_variance(own, errors, monitor)).collect()
}

/// The variance, with the threads of the current pool; not a number where no
/// estimate has a standard error. As with apeglm it is the least that is looked at
/// where more than it is too much. Where the equation has several solutions it is
/// the most likely of them.
///
/// # Errors
/// Once the monitor is cancelled.
pub fn prior_variance(estimates: &[f64], std_errs: &[f64], monitor: &Monitor) -> Result<f64> {
    let usable = estimates.iter().zip(std_errs).filter(|&(b, s)| is_usable(*b, *s));
    let squares: Vec<(f64, f64)> = usable
        .map(|(b, s)| (b * b, s * s))
        .filter(|(square, error)| square.is_finite() && error.is_finite())
        .collect();
    if squares.is_empty() {
        return Ok(f64::NAN);
    }
    let spread = Spread { squares, monitor };
    let at = |place: i32| LEAST * (MOST / LEAST).powf(f64::from(place) / f64::from(PLACES));
    let mut is_low = spread.is_low(LEAST)?;
    if !is_low {
        return Ok(LEAST);
    }
    let mut solutions = vec![];
    for place in 1..=PLACES {
        let was_low = is_low;
        is_low = spread.is_low(at(place))?;
        if was_low && !is_low {
            solutions.push(spread.solve(at(place - 1), at(place))?);
        }
    }
    if is_low {
        solutions.push(MOST);
    }
    match solutions[..] {
        [only] => Ok(only),
        _ => {
            let likely = |&a: &f64| spread.log_likelihood(a);
            let best = |x: &f64, y: &f64| likely(x).total_cmp(&likely(y));
            Ok(solutions.iter().copied().max_by(best).unwrap_or(LEAST))
        }
    }
}

struct Spread<'a> {
    /// S and D.
    squares: Vec<(f64, f64)>,
    monitor: &'a Monitor,
}

impl Spread<'_> {
    /// Whether a larger variance is more likely.
    fn is_low(&self, variance: f64) -> Result<bool> {
        self.monitor.check()?;
        let term = |&(square, error): &(f64, f64)| {
            let total = variance + error;
            (square - total) / total / total
        };
        Ok(self.sum(term) > 0.0)
    }

    fn solve(&self, low: f64, high: f64) -> Result<f64> {
        let (mut low, mut high) = (low.ln(), high.ln());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            match self.is_low(middle.exp())? {
                true => low = middle,
                false => high = middle,
            }
        }
        Ok((0.5 * (low + high)).exp())
    }

    fn log_likelihood(&self, variance: f64) -> f64 {
        let term = |&(square, error): &(f64, f64)| {
            let total = variance + error;
            -0.5 * (total.ln() + square / total)
        };
        self.sum(term)
    }

    /// In the same order for any number of threads.
    fn sum(&self, term: impl Fn(&(f64, f64)) -> f64 + Sync) -> f64 {
        let shares = self.squares.par_chunks(SHARE);
        let sums: Vec<f64> = shares.map(|share| share.iter().map(&term).sum()).collect();
        sums.iter().sum()
    }
}
