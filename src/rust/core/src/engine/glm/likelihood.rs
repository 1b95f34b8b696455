//! A gene's log-likelihood, as an objective to climb.

use super::ascent::{Objective, Point, View};
use super::family::{Bernoulli, NegativeBinomial, Poisson};
use super::pass::{Curvature, Pass, Sums, Workspace, largest_change};
use crate::design::Design;
use crate::source::GeneCounts;
use crate::special::{CountHistogram, RisingSums};
use crate::{Monitor, Result};

/// Which likelihood is climbed.
pub enum Model<'a> {
    NegativeBinomial(&'a CountHistogram),
    /// With alpha > 0 given, whatever the point says.
    NegativeBinomialAt(f64, &'a CountHistogram),
    Poisson,
    Bernoulli,
}

/// A gene, a design and a model. Terms that depend on the counts alone (the
/// log-factorials) are left out.
pub struct Likelihood<'a> {
    pub model: Model<'a>,
    pub design: &'a Design,
    pub counts: GeneCounts<'a>,
    pub workspace: &'a mut Workspace,
    pub monitor: &'a Monitor,
}

impl Objective for Likelihood<'_> {
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
            Model::Poisson => Ok(canonical(self.sums(Poisson, at, curvature))),
            Model::Bernoulli => Ok(canonical(self.sums(Bernoulli, at, curvature))),
        }
    }

    fn largest_change(&self, step: &[f64]) -> f64 {
        largest_change(self.design.blocks(), step)
    }
}

impl Likelihood<'_> {
    fn sums(&mut self, cells: impl super::family::Cells, at: &Point, curvature: Curvature) -> Sums {
        let blocks = self.design.blocks();
        let coefficients = &at.coefficients;
        Pass { blocks, cells, counts: self.counts, coefficients, curvature }.sums(self.workspace)
    }
}

fn canonical(sums: Sums) -> View {
    View { log_likelihood: sums.count_predictor - sums.cumulant, sums, shape: None }
}

/// With s = alpha mu / (1 + alpha mu), and sums over cells,
///
/// L = sum log prod_{k<y} (1 + alpha k) + sum y eta - sum (y + theta) log(1 + alpha mu),
///
/// and its first two derivatives with respect to log(alpha).
fn negative_binomial(sums: Sums, alpha: f64, histogram: &CountHistogram) -> View {
    let rising = histogram.rising(alpha);
    let log_likelihood =
        rising.log + sums.count_predictor - sums.cumulant - alpha * sums.count_cumulant;
    let shape = Some(derivatives(&rising, &sums, alpha));
    View { log_likelihood, sums, shape }
}

/// The first two derivatives of the negative binomial's log-likelihood with
/// respect to log(alpha).
pub fn shape_derivatives(sums: &Sums, alpha: f64, histogram: &CountHistogram) -> (f64, f64) {
    derivatives(&histogram.rising(alpha), sums, alpha)
}

pub fn derivatives(rising: &RisingSums, sums: &Sums, alpha: f64) -> (f64, f64) {
    let slope = rising.first + sums.log_excess - sums.count_saturation;
    let bend =
        rising.second - sums.log_excess + sums.saturation2 / alpha - sums.count_saturation_slope;
    (slope, bend)
}
