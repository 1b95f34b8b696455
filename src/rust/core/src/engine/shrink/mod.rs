//! Adaptive shrinkage of effects: each estimate's posterior under a prior whose
//! scale is learnt from all of them, as apeglm does it (Zhu, Ibrahim and Love 2019,
//! Bioinformatics 35:2084).
//!
//! 1. `scale`: the prior's scale, from estimates and standard errors
//!    ([`prior_variance`]);
//! 2. `normal_likelihood`: the posterior where an estimate stands for the counts,
//!    normal about it with its standard error ([`shrink_estimates`]);
//! 3. `profile_posterior`, `counts`: the posterior with the likelihood of the counts
//!    themselves ([`shrink_counts`]).
//!
//! A posterior may have two modes, one next to zero and one next to the estimate:
//! the one that is reported is the higher. How probable it is that an effect has
//! the other sign is an integral over the posterior itself, not over a normal
//! distribution in its place.

mod prior;
mod quadrature;
mod scale;
mod normal_likelihood;
mod profile_posterior;
mod counts;

pub use counts::{CountOptions, CountPairs, shrink_counts};
pub use normal_likelihood::posterior;
pub use prior::{Centre, Posterior, Prior};
pub use scale::{prior_variance, prior_variances};

use crate::{Error, Monitor, Result};
use rayon::prelude::*;

/// Estimates that are shrunken between two looks at the monitor.
pub const AT_ONCE: usize = 1024;

/// Posterior summaries, one entry an estimate; not a number where there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shrunken {
    pub estimate: Vec<f64>,
    pub std_err: Vec<f64>,
    /// Posterior probability that the effect has not the sign of `estimate`.
    pub lfsr: Vec<f64>,
}

impl Shrunken {
    fn extend(&mut self, rows: impl Iterator<Item = [f64; 3]>) {
        for [estimate, std_err, lfsr] in rows {
            self.estimate.push(estimate);
            self.std_err.push(std_err);
            self.lfsr.push(lfsr);
        }
    }
}

/// Shrinks each estimate with the prior of its group, with the threads of the
/// current pool. The monitor counts [`AT_ONCE`] estimates as one.
///
/// # Errors
/// Where lengths disagree, a group has no prior, or the monitor is cancelled.
pub fn shrink_estimates(
    estimates: &[f64],
    std_errs: &[f64],
    groups: &[u32],
    priors: &[Prior],
    centre: Centre,
    monitor: &Monitor,
) -> Result<Shrunken> {
    check_groups(estimates, std_errs, groups, priors.len())?;
    let one = |at: usize| match priors[groups[at] as usize] {
        prior if is_usable(estimates[at], std_errs[at]) && prior.scale() > 0.0 => {
            posterior(estimates[at], std_errs[at], prior).summary(centre)
        }
        _ => [f64::NAN; 3],
    };
    let n = estimates.len();
    let part = |start: usize| {
        let part = (start..n.min(start + AT_ONCE)).map(one).collect();
        monitor.tick()?;
        Ok(part)
    };
    let starts: Vec<usize> = (0..n).step_by(AT_ONCE).collect();
    let parts: Result<Vec<Vec<[f64; 3]>>> = starts.into_par_iter().map(part).collect();
    let mut shrunken = Shrunken::default();
    shrunken.extend(parts?.into_iter().flatten());
    Ok(shrunken)
}

fn check_groups(estimates: &[f64], std_errs: &[f64], groups: &[u32], count: usize) -> Result<()> {
    let expected = estimates.len();
    for (what, found) in [("standard errors", std_errs.len()), ("groups", groups.len())] {
        if found != expected {
            return Err(Error::Shape { what, found, expected });
        }
    }
    match groups.iter().find(|&&group| group as usize >= count) {
        Some(&group) => {
            Err(Error::Shape { what: "groups", found: group as usize + 1, expected: count })
        }
        None => Ok(()),
    }
}

/// Whether there is something to shrink: an estimate with a standard error.
fn is_usable(estimate: f64, std_err: f64) -> bool {
    estimate.is_finite() && std_err.is_finite() && std_err > 0.0
}
