//! Without covariates, and with reference cells apart from the perturbed ones,
//! the joint likelihood falls into two: the reference cells alone determine the
//! intercept b, and the perturbed cells alone g = b + c. The latter is a problem
//! of one unknown on the perturbed cells, whose means s_i exp(g) need no
//! exponential a cell; the variances of the two add up.

use super::ascent::Perturbed;
use super::options::{Options, StdErr, Test};
use super::pair::{Gene, PairFit};
use crate::design::BLOCK;
use crate::design::products::sum;
use crate::result::PairStatus;
use crate::simd::{Kernel, Vector, fma, run};

/// Standard errors from the optimum, of what Newton's last step leaves.
const CONVERGED: f64 = 1e-8;
const STEPS: usize = 40;

/// Whether a pair can be fitted so.
pub fn applies(gene: &Gene<'_>, perturbed: &Perturbed<'_>, options: &Options) -> bool {
    gene.likelihood.comparison.intercept_only()
        && options.test == Test::Wald
        && perturbed.members.inside.cells().is_empty()
}

/// Fits and tests a pair with counts in both groups; none where Newton's method
/// does not end.
pub fn fit(gene: &Gene<'_>, perturbed: &Perturbed<'_>, options: &Options) -> Option<PairFit> {
    let rows = &perturbed.members.outside;
    let (sizes, counts) = (rows.sizes(), perturbed.outside);
    let alpha = gene.likelihood.alpha;
    let look = |level: f64| run(Look { sizes, counts, factor: level.exp(), alpha });
    let total: f64 = counts.iter().sum();
    let mut level = (total / sizes.iter().sum::<f64>()).ln();
    let mut fit = PairFit::without(PairStatus::Ok);
    let left = (0..STEPS).find_map(|_| {
        let seen = look(level);
        fit.passes += 1;
        let step = seen.score / seen.observed;
        // Shortened, it always climbs: see `ascent`.
        let share = if step.abs() > 0.5 { step.abs().ln_1p() / step.abs() } else { 1.0 };
        level += share * step;
        let left = step * step * seen.observed.sqrt();
        (share == 1.0 && left <= CONVERGED).then_some(left)
    })?;
    let seen = look(level);
    fit.passes += 1;
    let expansion = gene.likelihood.expansion;
    let variance = match options.std_err {
        StdErr::Expected => 1.0 / seen.expected + 1.0 / expansion.expected[0],
        StdErr::Observed => 1.0 / seen.observed + 1.0 / expansion.information[0],
        StdErr::Sandwich if perturbed.members.cells() < 2 => f64::NAN,
        StdErr::Sandwich => {
            seen.meat / seen.expected.powi(2) + expansion.meat[0] / expansion.expected[0].powi(2)
        }
    };
    fit.estimate = level - expansion.centre[0];
    fit.std_err = (variance * gene.dispersion).sqrt();
    fit.error_bound = left;
    fit.statistic = fit.estimate / fit.std_err;
    fit.p_value = gene.tail.two_sided(fit.statistic);
    Some(fit)
}

/// Sums over the perturbed cells, about g.
#[derive(Default)]
struct Sums {
    score: f64,
    expected: f64,
    observed: f64,
    /// Of squared residuals.
    meat: f64,
}

struct Look<'a> {
    sizes: &'a [f64],
    counts: &'a [f64],
    factor: f64,
    alpha: f64,
}

impl Kernel for Look<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<V: Vector>(self) -> Sums {
        let mut sums = Sums::default();
        let empty = [0.0; BLOCK];
        let (mut residual, mut square) = (empty, empty);
        let (mut weight, mut bend) = (empty, empty);
        for (sizes, counts) in self.sizes.chunks(BLOCK).zip(self.counts.chunks(BLOCK)) {
            let length = sizes.len();
            let (residual, square) = (&mut residual[..length], &mut square[..length]);
            let (weight, bend) = (&mut weight[..length], &mut bend[..length]);
            let counts = &counts[..length];
            for i in 0..length {
                let mean = sizes[i] * self.factor;
                let inverse = 1.0 / fma::<V>(self.alpha, mean, 1.0);
                residual[i] = (counts[i] - mean) * inverse;
                square[i] = residual[i] * residual[i];
                weight[i] = mean * inverse;
                bend[i] = weight[i] * inverse * fma::<V>(self.alpha, counts[i], 1.0);
            }
            sums.score += sum::<V>(residual);
            sums.meat += sum::<V>(square);
            sums.expected += sum::<V>(weight);
            sums.observed += sum::<V>(bend);
        }
        sums
    }
}
