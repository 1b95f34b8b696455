//! Every gene against every perturbation: joint maximum-likelihood fits of
//!
//! log mu_i = offset_i + x_i' b + a_i c,    a_i = 1 in perturbed cells, else 0,
//!
//! at a cost per pair that grows with the perturbed cells only.

mod options;
mod rows;
mod comparison;
mod cholesky;
mod expansion;
mod members;
mod ascent;
mod p_value;
mod pair;

pub use options::{Dispersion, Family, Options, Reference, Resampling, StdErr, Test};
