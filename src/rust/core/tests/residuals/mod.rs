//! Residuals whose sums are resampled, and the share of sums beyond one of them.

#![allow(dead_code, reason = "benches use a part of it")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};

/// Score residuals of negative binomial counts about their true means, with
/// log-normal size factors and dispersion 0.1 + 0.1 / mean.
pub fn residuals(mean: f64, n: usize, size_factor_sd: f64, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let alpha = 0.1 + 0.1 / mean;
    let gamma = Gamma::new(1.0 / alpha, alpha).unwrap();
    let of_cell = |_| {
        let size = (size_factor_sd * rng.sample::<f64, _>(StandardNormal)).exp();
        let mu = mean * size;
        let rate: f64 = mu * gamma.sample(&mut rng);
        let count = if rate > 0.0 { Poisson::new(rate).unwrap().sample(&mut rng) } else { 0.0 };
        (count - mu) / (1.0 + alpha * mu)
    };
    (0..n).map(of_cell).collect()
}

/// Residuals of counts of mean 1, some of which are replaced by large ones.
pub fn heavy(n: usize, large: &[f64]) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let of_cell = |i: usize| {
        let size = (0.3 * rng.sample::<f64, _>(StandardNormal)).exp();
        let count: f64 = Poisson::new(size).unwrap().sample(&mut rng);
        large.get(i).unwrap_or(&count) - size
    };
    (0..n).map(of_cell).collect()
}

pub const LARGE: [&[f64]; 6] =
    [&[30.0], &[1e3], &[1e6], &[30.0, 60.0], &[1e3, 1e6, 40.0], &[1e6, 1e6, 1e3, 1e3, -1e3]];

/// The share of sums that are farther from their mean, half of what is as far.
pub fn share_beyond(sums: &[f64], mean: f64, statistic: f64) -> f64 {
    let away = (statistic - mean).abs();
    let rounding = 1e-12 * (away + mean.abs());
    let beyond = |sum: &f64| match (sum - mean).abs() - away {
        off if off > rounding => 1.0,
        off if off < -rounding => 0.0,
        _ => 0.5,
    };
    sums.iter().map(beyond).sum::<f64>() / sums.len() as f64
}

pub fn mean_of(residuals: &[f64]) -> f64 {
    residuals.iter().sum::<f64>() / residuals.len() as f64
}
