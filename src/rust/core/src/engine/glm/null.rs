//! The deviance of a gene's null model: the intercept alone, or where the formula has
//! none, nothing at all; with the offset of the full model, as in `stats::glm()`.
//! The negative binomial's is at the full model's theta, as in `MASS::glm.nb()`.

use super::ascent::{Objective, Point};
use super::family::Family;
use super::gaussian::{least_squares, residuals};
use super::gene::GeneFit;
use super::job::{Detour, Job};
use super::likelihood::Model;
use super::pass::{Curvature, Workspace};
use crate::Result;
use crate::special::CountHistogram;

const MAX_ITERATIONS: usize = 100;

/// The null deviance of a gene that was fitted; not a number where the design is not made
/// ready for it.
pub fn null_deviance(
    job: &Job<'_>,
    family: Family,
    fit: &GeneFit,
    workspace: &mut Workspace,
) -> Result<f64> {
    let Some(null) = job.design.null() else {
        return Ok(f64::NAN);
    };
    if family == Family::Gaussian {
        let (_, squares) = match null.intercept {
            true => least_squares(&null.design, job.counts),
            false => residuals(&null.design, job.counts, &[0.0]),
        };
        return Ok(squares);
    }
    // Terms of the counts alone are not asked for.
    let none = CountHistogram::new::<f64>(&[]);
    let (model, saturated) = match family {
        Family::Binomial => (Model::Bernoulli, 0.0),
        Family::NegativeBinomial if fit.theta.is_finite() => {
            (Model::NegativeBinomialAt(1.0 / fit.theta, &none), fit.saturated)
        }
        _ => (Model::Poisson, fit.saturated),
    };
    let of_null = job.of_null(null, MAX_ITERATIONS);
    let reached = if null.intercept {
        highest(&of_null, model, workspace)?
    } else {
        let zero = Point { coefficients: vec![0.0], shape: 0.0 };
        let view = of_null.likelihood(model, workspace).view(&zero, Curvature::Expected)?;
        view.sums.log_likelihood
    };
    Ok(2.0 * (saturated - reached))
}

/// The log-likelihood at the best intercept, as far as means go into it.
fn highest(job: &Job<'_>, model: Model<'_>, workspace: &mut Workspace) -> Result<f64> {
    let (mean, exposure) = (job.mean(), job.design.offset_moments().0.ln());
    let level = match model {
        Model::Bernoulli => (mean / (1.0 - mean)).ln(),
        _ => mean.ln(),
    };
    let start = Point { coefficients: job.start(level - exposure), shape: 0.0 };
    match job.climb(model, start, workspace, |_, _| false) {
        Ok(summit) => Ok(summit.view.sums.log_likelihood),
        // Rounding, where offsets leave no mean to some cells.
        Err(Detour::Separated { .. }) => Ok(f64::NAN),
        Err(Detour::Failed(error)) => Err(error),
    }
}
