//! A gene's log-likelihood as a function of all parameters: the coefficients of the
//! count part, those of the zero part, and, of the negative binomial, log(alpha).

use super::parts::Parts;
use super::pass::{Curvature, Pass, Room, Sums};
use crate::engine::glm::{NegativeBinomial, Poisson};
use crate::special::CountHistogram;
use crate::{Monitor, Result};

/// The distribution of the count part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    Poisson,
    /// Variance mu + alpha mu², alpha to be estimated.
    NegativeBinomial,
}

/// What is seen at a point.
pub struct View {
    pub log_likelihood: f64,
    /// How much of it may be the rounding of sums over many cells or large counts.
    pub rounding: f64,
    pub gradient: Vec<f64>,
    /// Lower triangle, row after row.
    pub information: Vec<f64>,
}

/// A gene's log-likelihood in what is left of its model.
pub struct Likelihood<'a> {
    pub parts: &'a Parts<'a>,
    pub distribution: Distribution,
    pub histogram: &'a CountHistogram,
    /// Sum of log(y!).
    pub factorials: f64,
    pub room: &'a mut Room,
    pub monitor: &'a Monitor,
}

impl Likelihood<'_> {
    pub fn view(&mut self, at: &[f64], curvature: Curvature) -> Result<View> {
        self.monitor.check()?;
        match self.distribution {
            Distribution::Poisson => {
                let sums = self.sums(Poisson, 0.0, at, curvature);
                let mut view = view(sums, None, curvature);
                view.log_likelihood -= self.factorials;
                Ok(view.rounded(self.factorials))
            }
            Distribution::NegativeBinomial => {
                let alpha = at[at.len() - 1].exp();
                let sums = self.sums(NegativeBinomial { alpha }, alpha, at, curvature);
                let rising = self.histogram.rising(alpha);
                let shape = Some((sums.slope + rising.first, sums.bend + rising.second));
                let mut view = view(sums, shape, curvature);
                view.log_likelihood += rising.log - self.factorials;
                Ok(view.rounded(rising.log + self.factorials))
            }
        }
    }

    fn sums(
        &mut self,
        cells: impl crate::engine::glm::Cells,
        alpha: f64,
        at: &[f64],
        curvature: Curvature,
    ) -> Sums {
        let (count, zero) = (self.parts.count.blocks(), self.parts.zero.blocks());
        let (count_coefficients, rest) = at.split_at(count.columns());
        let zero_coefficients = &rest[..zero.columns()];
        let counts = self.parts.counts();
        Pass { count, zero, cells, alpha, counts, count_coefficients, zero_coefficients, curvature }
            .sums(self.room)
    }
}

/// Puts the parts' derivatives, and those with respect to log(alpha), together.
fn view(sums: Sums, shape: Option<(f64, f64)>, curvature: Curvature) -> View {
    let p = sums.count.score.len();
    let mut gradient = sums.count.score;
    let mut information = sums.count.information;
    let mut own = 0;
    for j in 0..sums.zero.score.len() {
        information.extend_from_slice(&sums.mixed[j * p..(j + 1) * p]);
        information.extend_from_slice(&sums.zero.information[own..=own + j]);
        own += j + 1;
    }
    gradient.extend(sums.zero.score);
    if let Some((slope, bend)) = shape {
        information.extend(sums.count.cross.iter().chain(&sums.zero.cross));
        information.push(match curvature {
            Curvature::Observed => -bend,
            // Far from the optimum it may be bent the wrong way.
            Curvature::Complete => (-bend).max(slope.abs()).max(f64::MIN_POSITIVE),
        });
        gradient.push(slope);
    }
    View { log_likelihood: sums.log_likelihood, rounding: 0.0, gradient, information }
}

impl View {
    /// Given how large the sums are that cancel.
    fn rounded(self, sums: f64) -> Self {
        let rounding = 1e-10 + 1e-13 * self.log_likelihood.abs() + 1e-15 * sums;
        Self { rounding, ..self }
    }
}
