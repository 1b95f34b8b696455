//! Every gene against every perturbation: joint maximum-likelihood fits of
//!
//! log mu_i = offset_i + x_i' b + a_i c,    a_i = 1 in perturbed cells, else 0,
//!
//! at a cost per pair that grows with the perturbed cells only.

mod calibrate;
mod options;

pub use calibrate::{BinnedResiduals, Population, Scratch, Tails, membership_probabilities};
pub use options::{Dispersion, Family, Options, Reference, Resampling, StdErr, Test};
