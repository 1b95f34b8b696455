//! The negative binomial: coefficients and alpha = 1 / theta together, and the
//! Poisson limit.

use super::ascent::{End, Objective, Point, Summit};
use super::gene::{GeneFit, Status};
use super::job::{Climbed, Job};
use super::likelihood::Model;
use super::pass::{Curvature, Workspace};
use super::saturated::saturated_poisson_of;
use super::start::look_and_climb;
use crate::special::CountHistogram;

/// The smallest alpha, times the mean count, that the ascent follows: below it
/// the Poisson limit is looked at.
pub const SMALL: f64 = 1e-3;
/// As good as zero, for the derivative with respect to alpha at zero.
pub const VANISHING: f64 = 1e-8;
/// Above this alpha no data tell one from another.
pub const LARGEST: f64 = 1e12;
/// Other places to look for an optimum before the Poisson limit is believed.
pub const ALPHAS: [f64; 4] = [0.03, 0.3, 3.0, 30.0];

/// The maximum over coefficients and alpha >= 0.
pub fn negative_binomial(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<GeneFit> {
    let histogram = job.histogram();
    let coefficients = job.start((job.mean() / job.design.offset_moments().0).ln());
    let start = Point { coefficients, shape: moment_alpha(job, &histogram).ln() };
    let limit = (SMALL / job.mean()).ln();
    let leaves = |shape: f64, slope: f64| (shape < limit && slope < 0.0) || shape > LARGEST.ln();
    let model = Model::NegativeBinomial(&histogram);
    let summit = look_and_climb(job, model, start, workspace, leaves)?;
    let summit = if summit.end == End::Converged || summit.point.shape >= limit {
        summit
    } else {
        match poisson_limit(job, &histogram, &summit, workspace)? {
            Limit::Poisson(poisson) => return Ok(at_limit(job, &histogram, &poisson)),
            Limit::Elsewhere(summit) => summit,
        }
    };
    let mut fit = report(job, &histogram, &summit, summit.point.shape.exp());
    if let (Some((_, bend)), Status::Ok) = (summit.view.shape, fit.status) {
        // At the optimum the second derivative transforms as a square.
        fit.theta_se = fit.theta / (-bend).sqrt();
    }
    Ok(fit)
}

/// The maximum over coefficients at a given alpha >= 0.
pub fn negative_binomial_at(
    job: &Job<'_>,
    alpha: f64,
    workspace: &mut Workspace,
) -> Climbed<GeneFit> {
    let histogram = job.histogram();
    let coefficients = job.start((job.mean() / job.design.offset_moments().0).ln());
    let start = Point { coefficients, shape: 0.0 };
    // What is smaller has no reciprocal.
    if alpha < f64::MIN_POSITIVE {
        let poisson = job.climb(Model::Poisson, start, workspace, |_, _| false)?;
        return Ok(at_limit(job, &histogram, &poisson));
    }
    let model = Model::NegativeBinomialAt(alpha, &histogram);
    let summit = look_and_climb(job, model, start, workspace, |_, _| false)?;
    Ok(report(job, &histogram, &summit, alpha))
}

/// A summit of the likelihood at alpha > 0.
pub fn report(job: &Job<'_>, histogram: &CountHistogram, summit: &Summit, alpha: f64) -> GeneFit {
    let mut fit = GeneFit::at_summit(summit, job.design, 1.0);
    let (sums, theta) = (&summit.view.sums, 1.0 / alpha);
    fit.log_likelihood = summit.view.log_likelihood - histogram.log_factorials();
    fit.saturated = histogram.sum(|y| y * y.ln() - (y + theta) * (alpha * y).ln_1p());
    // Of what depends on the means and alpha, alpha alone is not at its optimum.
    let reached = sums.log_likelihood + (sums.excess - sums.count_saturation) * summit.shape_moved;
    fit.deviance = 2.0 * (fit.saturated - reached);
    if fit.status == Status::Ok {
        fit.theta = theta;
    }
    fit
}

enum Limit {
    Poisson(Summit),
    Elsewhere(Summit),
}

/// Decides whether the likelihood is largest at alpha = 0: the score there must
/// not point to larger alpha, nor may another optimum be higher.
fn poisson_limit(
    job: &Job<'_>,
    histogram: &CountHistogram,
    left: &Summit,
    workspace: &mut Workspace,
) -> Climbed<Limit> {
    let start = Point { coefficients: left.point.coefficients.clone(), shape: 0.0 };
    let poisson = job.climb(Model::Poisson, start, workspace, |_, _| false)?;
    let at =
        |alpha: f64| Point { coefficients: poisson.point.coefficients.clone(), shape: alpha.ln() };
    let mut looks = vec![];
    {
        let mut objective = job.likelihood(Model::NegativeBinomial(histogram), workspace);
        let zero = objective.view(&at(VANISHING / job.mean()), Curvature::Expected)?;
        if zero.shape.is_some_and(|(slope, _)| slope > 0.0) {
            looks.push((f64::INFINITY, at(SMALL / job.mean())));
        }
        for alpha in ALPHAS {
            let seen = objective.view(&at(alpha), Curvature::Expected)?;
            if seen.log_likelihood > poisson.view.log_likelihood {
                looks.push((seen.log_likelihood, at(alpha)));
            }
        }
    }
    looks.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, start) in looks {
        let model = Model::NegativeBinomial(histogram);
        let summit = job.climb(model, start, workspace, |_, _| false)?;
        if summit.end == End::Converged && summit.view.log_likelihood > poisson.view.log_likelihood
        {
            return Ok(Limit::Elsewhere(summit));
        }
    }
    Ok(Limit::Poisson(poisson))
}

/// A summit of the likelihood at alpha = 0.
pub fn at_limit(job: &Job<'_>, histogram: &CountHistogram, poisson: &Summit) -> GeneFit {
    let mut fit = GeneFit::at_summit(poisson, job.design, 1.0);
    fit.log_likelihood = poisson.view.log_likelihood - histogram.log_factorials();
    fit.take_poisson_deviance(saturated_poisson_of(histogram), poisson);
    if fit.status == Status::Ok {
        fit.theta = f64::INFINITY;
    }
    fit
}

/// alpha by moments, as if size factors explained what differs between cells.
pub fn moment_alpha(job: &Job<'_>, histogram: &CountHistogram) -> f64 {
    let (n, mean) = (job.design.cells() as f64, job.mean());
    let squares = histogram.sum(|y| y * y);
    let excess = (squares / n - mean) / (mean * mean);
    let alpha = excess / (1.0 + job.design.offset_moments().1) - 1.0;
    alpha.clamp(0.01, 100.0)
}
