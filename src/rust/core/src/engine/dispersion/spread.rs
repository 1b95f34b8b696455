//! How genes' own dispersions scatter about the trend.

use super::{NEGLIGIBLE, Trend};
use crate::special::trigamma;

/// The least variance of the prior.
const LEAST: f64 = 0.25;
/// Standard deviations above the trend from which a gene keeps its own
/// dispersion.
const OUTLYING: f64 = 2.0;
/// By how much its log-likelihood must be lower at the trend: that of as many
/// deviations.
pub const OUTLYING_LOSS: f64 = OUTLYING * OUTLYING / 2.0;
/// Makes the median absolute deviation that of a normal's standard deviation,
/// to R's digits.
const NORMAL: f64 = 1.4826;

/// Variances of log(dispersion), natural logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Of genes' own dispersions about the trend: their squared median absolute
    /// deviation.
    pub residual_variance: f64,
    /// Of the true dispersions about the trend: that, less the variance with which
    /// they are estimated, trigamma(degrees of freedom / 2), but at least 0.25.
    pub prior_variance: f64,
}

impl Spread {
    /// Of genes whose dispersion is not below [`NEGLIGIBLE`] (Love, Huber and
    /// Anders 2014). With three degrees of freedom or fewer DESeq2 simulates
    /// instead; here the formula holds for all.
    pub fn about(trend: &Trend, means: &[f64], alphas: &[f64], freedom: usize) -> Self {
        let told = |(_, alpha): &(&f64, &f64)| **alpha >= NEGLIGIBLE && alpha.is_finite();
        let genes = means.iter().zip(alphas).filter(told);
        let residuals = genes.map(|(mean, alpha)| (alpha / trend.at(*mean)).ln());
        let residual_variance = median_absolute_deviation(residuals.collect()).powi(2);
        let estimation = trigamma(freedom as f64 / 2.0);
        Self { residual_variance, prior_variance: (residual_variance - estimation).max(LEAST) }
    }

    /// Whether a gene's dispersion is so far above the trend that it may not be
    /// shrunken to it.
    pub fn is_far(&self, alpha: f64, trend: f64) -> bool {
        (alpha / trend).ln() > OUTLYING * self.residual_variance.sqrt()
    }
}

fn median_absolute_deviation(mut values: Vec<f64>) -> f64 {
    let centre = median(&mut values);
    values.iter_mut().for_each(|v| *v = (*v - centre).abs());
    NORMAL * median(&mut values)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[half],
        _ => 0.5 * (values[half - 1] + values[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_those_of_r() {
        // x <- c(0.1, 0.5, 2, 0.02, 7, 0.3); mad(log(x))^2
        let alphas = [0.1, 0.5, 2.0, 0.02, 7.0, 0.3];
        let spread = Spread::about(&Trend::Constant(1.0), &[1.0; 6], &alphas, 10);
        assert!((spread.residual_variance - 4.931_669_866_860_27).abs() < 1e-12);
        assert!((spread.prior_variance - (4.931_669_866_860_27 - 0.221_322_955_737)).abs() < 1e-9);
        let tight = Spread::about(&Trend::Constant(1.0), &[1.0; 3], &[1.0, 1.1, 0.9], 10);
        assert_eq!(tight.prior_variance, 0.25);
    }

    #[test]
    fn genes_without_a_dispersion_do_not_count() {
        let spread = |alphas: &[f64]| {
            Spread::about(&Trend::Constant(1.0), &vec![1.0; alphas.len()], alphas, 10)
        };
        let some = spread(&[0.1, 0.5, 2.0]);
        assert_eq!(spread(&[0.1, 0.0, 0.5, f64::NAN, 2.0, 1e-8]), some);
        assert!(!some.is_far(f64::NAN, 1.0));
        assert!(some.is_far(1e9, 1.0));
    }
}
