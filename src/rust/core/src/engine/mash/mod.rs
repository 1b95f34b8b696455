//! Multivariate adaptive shrinkage (Urbut, Wang, Carbonetto and Stephens 2019, Nature
//! Genetics 51:187). A gene's effects in R conditions come from a mixture of normal
//! distributions, N(0, w^2 U), with U one of a list of covariances and w one of a grid of
//! scales; their estimates b are N(effects, S V S), with S their standard errors and V
//! the correlation of their errors.
//!
//! * `data`: estimates, errors, and each gene's `Gene`: the eigenvectors E of S V S, in
//!   which its errors are independent. A missing estimate has an infinite error.
//! * `covariance`: every U as c I + F F', with few columns in F, as a rule. Next to
//!   E, w^2 U + S V S is diagonal plus few columns for any w, so that a scale costs
//!   O(R) or less: no matrix is factorised for a component.
//! * `kernel`: what a gene's likelihoods are made of, and the likelihoods of all
//!   components, of which the mixture's weights are fitted.
//! * `posterior`: averages over the components.
//! * `deconvolution`: covariances from data, by extreme deconvolution.
//!
//! All genes are independent of each other and sums over them are in a fixed order: the
//! result is the same bits for any number of threads.

mod covariance;
mod data;
mod deconvolution;
mod definite;
mod eigen;
mod kernel;
mod posterior;

pub use covariance::Covariance;
pub use data::{Data, Noise};
pub use deconvolution::{Deconvolution, deconvolve};
pub use posterior::{MashTable, posterior};

use crate::engine::mixture::{Mixture, fit_mixture};
use crate::{Error, Monitor, Result};
use kernel::Kernels;

/// The components of a mixture: zero, if it is among them, and then for each scale all
/// covariances.
pub struct Model {
    covariances: Vec<Covariance>,
    grid: Vec<f64>,
    point_mass: bool,
}

impl Model {
    /// # Errors
    /// Where there is no component, or a scale is not a finite number above zero.
    pub fn new(covariances: Vec<Covariance>, grid: Vec<f64>, point_mass: bool) -> Result<Self> {
        if let Some(scale) = grid.iter().find(|scale| !(**scale > 0.0 && scale.is_finite())) {
            let expected = "finite numbers above zero";
            return Err(Error::Argument { name: "grid", value: scale.to_string(), expected });
        }
        let model = Self { covariances, grid, point_mass };
        match model.components() {
            0 => Err(Error::Shape { what: "components", found: 0, expected: 1 }),
            _ => Ok(model),
        }
    }

    pub fn components(&self) -> usize {
        usize::from(self.point_mass) + self.grid.len() * self.covariances.len()
    }

    /// The index of a component.
    fn component(&self, covariance: usize, scale: usize) -> usize {
        usize::from(self.point_mass) + scale * self.covariances.len() + covariance
    }

    fn check(&self, data: &Data) -> Result<()> {
        let expected = data.conditions();
        match self.covariances.iter().find(|u| u.conditions() != expected) {
            None => Ok(()),
            Some(u) => {
                let what = "rows of a covariance";
                Err(Error::Shape { what, found: u.conditions(), expected })
            }
        }
    }
}

/// The weights of a model's components that maximise the penalised likelihood, with the
/// threads of the current pool. The monitor counts genes.
///
/// # Errors
/// Where the model is not of the data's conditions, the prior is not one number >= 1 a
/// component, or the monitor is cancelled.
pub fn fit_weights(
    data: &Data,
    model: &Model,
    prior: &[f64],
    monitor: &Monitor,
) -> Result<Mixture> {
    model.check(data)?;
    let kernels = Kernels::new(data, model, monitor)?;
    fit_mixture(&kernels, &vec![1.0; data.genes()], prior, monitor)
}
