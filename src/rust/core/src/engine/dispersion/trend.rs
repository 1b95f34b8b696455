//! Dispersion as a function of the mean, fitted to the genes' own dispersions.

use super::NEGLIGIBLE;
use super::local::LocalRegression;
use crate::{Error, Result};

/// Dispersions over the trend outside of this range are left out of the next
/// round.
const RATIOS: std::ops::Range<f64> = 1e-4..15.0;
const START: [f64; 2] = [0.1, 1.0];
/// Squared change of the logarithms of both coefficients at which to stop.
const SETTLED: f64 = 1e-6;
const MOST_ROUNDS: usize = 11;
/// Fewer genes than this show no curve.
const FEW: usize = 20;
/// What the mean leaves out at either end.
const TRIM: f64 = 0.001;

/// Dispersion over mean: DESeq2's `fitType` "parametric", "local" and "mean".
#[derive(Clone, Debug, PartialEq)]
pub enum Trend {
    /// asymptotic + extra_poisson / mean.
    Parametric { asymptotic: f64, extra_poisson: f64 },
    /// log(dispersion) over log(mean), by local regression: where the parametric
    /// trend cannot be fitted, as a rule because dispersions do not fall with the
    /// mean.
    Local(LocalRegression),
    /// The same for all: where there are too few genes for a curve.
    Constant(f64),
}

impl Trend {
    /// The dispersion expected at a mean.
    pub fn at(&self, mean: f64) -> f64 {
        match self {
            Trend::Parametric { asymptotic, extra_poisson } => asymptotic + extra_poisson / mean,
            Trend::Local(curve) => curve.at(mean.ln()).exp(),
            Trend::Constant(alpha) => *alpha,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Trend::Parametric { .. } => "parametric",
            Trend::Local(_) => "local",
            Trend::Constant(_) => "mean",
        }
    }
}

/// Fits the trend to the genes' means and own dispersions; those below
/// [`NEGLIGIBLE`], or not numbers, are left out, as in DESeq2.
///
/// The parametric trend is a generalised linear model of the gamma family with
/// the identity link, fitted in rounds, each to the genes whose dispersion is
/// between 1e-4 and 15 times the trend of the last (Anders and Huber 2010,
/// Genome Biology 11:R106; Love, Huber and Anders 2014).
///
/// # Errors
/// [`Error::NoDispersion`] where no gene is left.
pub fn fit_trend(means: &[f64], alphas: &[f64]) -> Result<Trend> {
    let genes = means.iter().copied().zip(alphas.iter().copied());
    let told = |(mean, alpha): &(f64, f64)| *mean > 0.0 && *alpha > NEGLIGIBLE && alpha.is_finite();
    let genes: Vec<(f64, f64)> = genes.filter(told).collect();
    if genes.is_empty() {
        return Err(Error::NoDispersion { least: NEGLIGIBLE });
    }
    if let Some([asymptotic, extra_poisson]) = parametric(&genes) {
        return Ok(Trend::Parametric { asymptotic, extra_poisson });
    }
    if genes.len() >= FEW
        && let Some(curve) = local(&genes)
    {
        return Ok(Trend::Local(curve));
    }
    Ok(Trend::Constant(trimmed_mean(genes.into_iter().map(|(_, alpha)| alpha).collect())))
}

fn parametric(genes: &[(f64, f64)]) -> Option<[f64; 2]> {
    let mut a = START;
    for _ in 0..MOST_ROUNDS {
        let ordinary = genes.iter().filter(|(mean, alpha)| {
            let ratio = alpha / (a[0] + a[1] / mean);
            ratio > RATIOS.start && ratio < RATIOS.end
        });
        let ordinary: Vec<(f64, f64)> =
            ordinary.map(|(mean, alpha)| (1.0 / mean, *alpha)).collect();
        let before = a;
        a = gamma_regression(&ordinary, a).filter(|a| a.iter().all(|a| *a > 0.0))?;
        let change: f64 = a.iter().zip(before).map(|(a, b)| (a / b).ln().powi(2)).sum();
        if change < SETTLED {
            return Some(a);
        }
    }
    None
}

/// Maximum likelihood of y ~ Gamma with mean a0 + a1 x, by Fisher scoring with
/// steps halved until the deviance falls.
fn gamma_regression(points: &[(f64, f64)], start: [f64; 2]) -> Option<[f64; 2]> {
    const MOST_STEPS: usize = 200;
    const MOST_HALVINGS: usize = 40;
    // Half the deviance, up to a constant; infinite where a mean is not positive.
    let cost = |a: [f64; 2]| -> f64 {
        let cost = |(x, y): &(f64, f64)| {
            let mean = a[0] + a[1] * x;
            if mean > 0.0 { mean.ln() + y / mean } else { f64::INFINITY }
        };
        points.iter().map(cost).sum()
    };
    let mut a = start;
    let mut now = cost(a);
    for _ in 0..MOST_STEPS {
        // Normal equations of (y - mean) / mean on 1 / mean and x / mean.
        let (mut g, mut r) = ([0.0; 3], [0.0; 2]);
        for (x, y) in points {
            let mean = a[0] + a[1] * x;
            let (u, v, residual) = (1.0 / mean, x / mean, (y - mean) / mean);
            g = [g[0] + u * u, g[1] + u * v, g[2] + v * v];
            r = [r[0] + u * residual, r[1] + v * residual];
        }
        let determinant = g[0] * g[2] - g[1] * g[1];
        let singular = determinant <= 1e-12 * g[0] * g[2];
        if singular || determinant.is_nan() {
            return None;
        }
        let step =
            [(g[2] * r[0] - g[1] * r[1]) / determinant, (g[0] * r[1] - g[1] * r[0]) / determinant];
        let moved = |factor: f64| [a[0] + factor * step[0], a[1] + factor * step[1]];
        let slack = 1e-12 * (1.0 + now.abs());
        let factors = (0..MOST_HALVINGS).map(|k| 0.5f64.powi(k as i32));
        let next = factors.map(moved).find(|a| cost(*a) <= now + slack)?;
        let small = |k: usize| (next[k] - a[k]).abs() <= 1e-10 * a[k].abs();
        let settled = small(0) && small(1);
        (a, now) = (next, cost(next));
        if settled {
            return Some(a);
        }
    }
    None
}

/// DESeq2 weights genes by their means: dispersions of weakly expressed genes
/// are poorly known.
fn local(genes: &[(f64, f64)]) -> Option<LocalRegression> {
    let points = genes.iter().map(|(mean, alpha)| (mean.ln(), alpha.ln(), *mean));
    LocalRegression::fit(points.collect())
}

fn trimmed_mean(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let cut = (TRIM * values.len() as f64) as usize;
    let kept = &values[cut..values.len() - cut];
    kept.iter().sum::<f64>() / kept.len() as f64
}
