//! A gene's log-likelihood, as an objective to climb.

use super::ascent::{Objective, Point, View};
use super::family::{Bernoulli, NegativeBinomial, Poisson};
use super::pass::{Curvature, Pass, Response, Sums, Workspace, largest_change};
use crate::design::Blocks;
use crate::simd::Scalar;
use crate::special::{CountHistogram, RisingSums};
use crate::{Monitor, Result};

/// Which likelihood is climbed.
#[derive(Clone, Copy)]
pub enum Model<'a> {
    NegativeBinomial(&'a CountHistogram),
    /// With alpha > 0 given, whatever the point says.
    NegativeBinomialAt(f64, &'a CountHistogram),
    Poisson,
    Bernoulli,
}

/// A gene, the blocks of a design or its nodes, and a model. Terms that depend on the
/// counts alone (the log-factorials) are left out.
pub struct Likelihood<'a, T = f64> {
    pub model: Model<'a>,
    pub blocks: &'a Blocks<T>,
    pub response: Response<'a, T>,
    /// Largest absolute value of each column.
    pub reach: &'a [f64],
    pub workspace: &'a Workspace,
    pub monitor: &'a Monitor,
}

impl<T: Scalar> Objective for Likelihood<'_, T> {
    fn view(&mut self, at: &Point, curvature: Curvature) -> Result<View> {
        self.monitor.check()?;
        match self.model {
            Model::NegativeBinomial(histogram) => {
                let alpha = at.shape.exp();
                let sums = self.sums(NegativeBinomial { alpha }, at, curvature);
                Ok(negative_binomial(sums, alpha, histogram))
            }
            Model::NegativeBinomialAt(alpha, histogram) => {
                let sums = self.sums(NegativeBinomial { alpha }, at, curvature);
                Ok(View { shape: None, ..negative_binomial(sums, alpha, histogram) })
            }
            Model::Poisson => Ok(canonical(self.sums(Poisson, at, Curvature::Expected))),
            Model::Bernoulli => Ok(canonical(self.sums(Bernoulli, at, Curvature::Expected))),
        }
    }

    fn largest_change(&self, step: &[f64]) -> f64 {
        largest_change(self.blocks, step)
    }

    fn most_change(&self, step: &[f64]) -> f64 {
        step.iter().zip(self.reach).map(|(s, reach)| s.abs() * reach).sum()
    }
}

impl<T: Scalar> Likelihood<'_, T> {
    fn sums(&mut self, cells: impl super::family::Cells, at: &Point, curvature: Curvature) -> Sums {
        let (blocks, response, coefficients) = (self.blocks, self.response, &at.coefficients);
        Pass { blocks, cells, response, coefficients, curvature }.sums(self.workspace)
    }
}

/// With the canonical link, observed information is expected information.
fn canonical(mut sums: Sums) -> View {
    sums.observed = sums.information.clone();
    View { log_likelihood: sums.log_likelihood, sums, shape: None }
}

/// With s = alpha mu / (1 + alpha mu), and sums over cells,
///
/// L = sum log prod_{k<y} (1 + alpha k) + sum y eta - sum (y + theta) log(1 + alpha mu),
///
/// and its first two derivatives with respect to log(alpha).
fn negative_binomial(sums: Sums, alpha: f64, histogram: &CountHistogram) -> View {
    let rising = histogram.rising(alpha);
    let log_likelihood = rising.log + sums.log_likelihood;
    View { log_likelihood, shape: Some(derivatives(&rising, &sums)), sums }
}

/// The first two derivatives of the negative binomial's log-likelihood with
/// respect to log(alpha).
pub fn shape_derivatives(sums: &Sums, alpha: f64, histogram: &CountHistogram) -> (f64, f64) {
    derivatives(&histogram.rising(alpha), sums)
}

pub fn derivatives(rising: &RisingSums, sums: &Sums) -> (f64, f64) {
    let slope = rising.first + sums.excess - sums.count_saturation;
    (slope, rising.second - sums.excess - sums.bend)
}
