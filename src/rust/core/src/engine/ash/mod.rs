//! Adaptive shrinkage of effects that have standard errors (Stephens 2017, Biostatistics
//! 18:275): each effect is drawn from a mixture of distributions with mode zero, whose
//! weights are those that the data like best, and its estimate is normal about it, or
//! Student's t in units of the standard error.
//!
//! `component` knows what one distribution makes of one estimate, `interval` does the
//! integrals over uniform ones, `posterior` averages over the mixture, and `values` makes
//! s-values and q-values of local rates.

mod component;
mod interval;
mod posterior;
mod values;

pub(crate) use component::Moments;
pub use component::{Component, Shape, components};
pub(crate) use posterior::Average;
pub use posterior::Summary;
pub use values::running_means;

use crate::engine::mixture::{Dense, Mixture, fit_mixture};
use crate::{Error, Monitor, Result};
use component::Estimate;
use rayon::prelude::*;

/// What a fit takes.
pub struct Options<'a> {
    pub components: &'a [Component],
    /// Pseudo-counts of the components, one or more each.
    pub prior: &'a [f64],
    /// Degrees of freedom of the standard errors; None for normal errors.
    pub freedom: Option<f64>,
    /// Weights that are given, not fitted.
    pub weights: Option<&'a [f64]>,
}

pub struct AshFit {
    pub mixture: Mixture,
    /// One an effect; zero where nothing is known of it.
    pub log_likelihood: Vec<f64>,
    /// If all effects are zero.
    pub null_log_likelihood: Vec<f64>,
    pub effects: Vec<Summary>,
}

/// Fits the mixture's weights and gives the posterior of every effect, with the threads of
/// the current pool. An estimate that is not a number, or whose standard error is
/// infinite, says nothing: its posterior is the prior. The monitor counts effects.
///
/// # Errors
/// Where the lengths disagree, a standard error is not above zero, normal components are
/// to go with errors that are Student's, or the monitor is cancelled.
pub fn ash(
    estimates: &[f64],
    errors: &[f64],
    options: &Options,
    monitor: &Monitor,
) -> Result<AshFit> {
    let data = checked(estimates, errors, options)?;
    let components = options.components;
    let logarithms: Vec<f64> = components
        .par_iter()
        .flat_map_iter(|component| {
            data.iter().map(|estimate| match estimate.is_known() {
                true => component.log_density(estimate),
                false => f64::NEG_INFINITY,
            })
        })
        .collect();
    let dense = Dense::from_logarithms(data.len(), logarithms.clone());
    let mixture = match options.weights {
        Some(weights) => Mixture { weights: weights.to_vec(), excess: f64::NAN },
        None => fit_mixture(&dense, &vec![1.0; data.len()], options.prior, monitor)?,
    };
    let one = |(row, estimate): (usize, &Estimate)| {
        let logarithm = |k: usize| logarithms[k * data.len() + row];
        let (summary, log_likelihood) =
            posterior::summarise(estimate, components, &mixture.weights, logarithm);
        monitor.tick()?;
        Ok((summary, log_likelihood))
    };
    let found: Result<Vec<(Summary, f64)>> = data.par_iter().enumerate().map(one).collect();
    let (effects, log_likelihood) = found?.into_iter().unzip();
    let at_zero = |estimate: &Estimate| match estimate.is_known() {
        true => Component::Point.log_density(estimate),
        false => 0.0,
    };
    let null_log_likelihood = data.iter().map(at_zero).collect();
    Ok(AshFit { mixture, log_likelihood, null_log_likelihood, effects })
}

fn checked(estimates: &[f64], errors: &[f64], options: &Options) -> Result<Vec<Estimate>> {
    let shape = |what, found, expected| Err(Error::Shape { what, found, expected });
    if errors.len() != estimates.len() {
        return shape("standard errors", errors.len(), estimates.len());
    }
    if let Some(weights) = options.weights
        && weights.len() != options.components.len()
    {
        return shape("weights of components", weights.len(), options.components.len());
    }
    let normal = options.components.iter().any(|c| matches!(c, Component::Normal { .. }));
    if normal && options.freedom.is_some() {
        return Err(Error::Argument {
            name: "df",
            value: "given".into(),
            expected: "left out with normal components",
        });
    }
    if let Some(&s) = errors.iter().find(|s| **s <= 0.0) {
        let expected = "above zero";
        return Err(Error::Argument { name: "a standard error", value: s.to_string(), expected });
    }
    let estimate =
        |(&estimate, &error): (&f64, &f64)| Estimate { estimate, error, freedom: options.freedom };
    Ok(estimates.iter().zip(errors).map(estimate).collect())
}
