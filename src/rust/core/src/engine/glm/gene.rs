//! One gene, one model: what is fitted and reported.

use super::ascent::{End, Point, Summit};
use super::family::Family;
use super::gaussian::least_squares;
use super::job::{Climbed, Job};
use super::likelihood::Model;
use super::mark::mark;
use super::negative_binomial::{negative_binomial, negative_binomial_at};
use super::null::null_deviance;
use super::pass::Workspace;
use super::pearson::squared_residuals;
use super::saturated::{saturated_poisson, saturated_poisson_of};
use super::separation::Estimate;
use super::solve::inverse;
use super::start::look_and_climb;
use crate::design::Design;
use crate::source::GeneCounts;
use crate::{Error, Monitor, Result};

/// How a gene's fit ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Ok,
    /// No cell has a count: no mean to estimate.
    AllZero,
    /// The iterations ran out, or nothing climbed any more.
    NotConverged,
    /// A binomial model of counts other than 0 and 1.
    NotBinary,
    /// A binomial model where every cell has a count.
    AllOne,
}

/// A fitted gene. Coefficients are those of the kept columns of the design, on
/// the scale of the link (natural logarithm, or logit).
#[derive(Clone, Debug)]
pub struct GeneFit {
    pub status: Status,
    /// Finite coefficients that reproduce the fitted means.
    pub coefficients: Vec<f64>,
    /// What the data say of each coefficient.
    pub estimates: Vec<Estimate>,
    /// Covariance of the coefficients, lower triangle row after row; without
    /// meaning for those that are not finite.
    pub covariance: Vec<f64>,
    /// Of the negative binomial: variance = mu + mu² / theta. Infinite in the
    /// Poisson limit.
    pub theta: f64,
    pub theta_se: f64,
    /// What scales the covariance: Pearson's X² over its degrees of freedom in
    /// the quasi-Poisson family, the residual variance in the Gaussian, else 1.
    pub dispersion: f64,
    /// Not a number in the quasi-Poisson family.
    pub log_likelihood: f64,
    pub deviance: f64,
    /// Log-likelihood of a model with a parameter for every cell, as far as means go into it
    /// (`y eta - (1 + alpha y) cumulant`): from where the deviance is counted in the families
    /// of counts.
    pub saturated: f64,
    /// Of the intercept alone, or of the offset alone where the formula has no intercept; not
    /// a number where the design is not made ready for it ([`Design::with_null`]).
    pub null_deviance: f64,
    /// What tells the gene's counts from others; not a number where there is no null deviance.
    pub mark: f64,
    /// Squared distance to the optimum, in standard errors.
    pub decrement: f64,
    /// Passes over the cells, but for first looks in single precision.
    pub iterations: usize,
}

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub family: Family,
    pub max_iterations: usize,
}

/// Fits one gene.
///
/// # Errors
/// [`crate::Error::Interrupted`] once the monitor is cancelled; what goes wrong
/// with the gene itself is a [`Status`].
pub fn fit_gene(
    counts: GeneCounts<'_>,
    design: &Design,
    options: &Options,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<GeneFit> {
    let failed = |status| Ok(GeneFit::failed(status, design.rank()));
    if options.family == Family::Binomial {
        if counts.counts.iter().any(|&y| y != 1.0) {
            return failed(Status::NotBinary);
        }
        if counts.cells.len() == design.cells() {
            return failed(Status::AllOne);
        }
    }
    let squares = options.family == Family::QuasiPoisson;
    let job = Job::with_squares(counts, design, squares, options.max_iterations, monitor);
    let mut fit = if options.family == Family::Gaussian && !counts.cells.is_empty() {
        gaussian(&job)
    } else {
        job.fit(&|job, workspace| climb_family(job, options.family, workspace), workspace)?
    };
    if fit.status == Status::Ok && design.null().is_some() {
        fit.mark = mark(counts);
        fit.null_deviance = null_deviance(&job, options.family, &fit, workspace)?;
    }
    Ok(fit)
}

/// Fits one gene's coefficients where alpha = 1 / theta of the negative binomial
/// is given; zero means Poisson. Its theta has no standard error.
///
/// # Errors
/// Where alpha is negative or not finite; [`crate::Error::Interrupted`] once the
/// monitor is cancelled. What goes wrong with the gene itself is a [`Status`].
pub fn fit_gene_at(
    counts: GeneCounts<'_>,
    design: &Design,
    alpha: f64,
    max_iterations: usize,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<GeneFit> {
    if !(alpha >= 0.0 && alpha.is_finite()) {
        let expected = "finite, zero or above";
        return Err(Error::Argument { name: "alpha", value: alpha.to_string(), expected });
    }
    let job = Job::new(counts, design, max_iterations, monitor);
    job.fit(&|job, workspace| negative_binomial_at(job, alpha, workspace), workspace)
}

fn climb_family(job: &Job<'_>, family: Family, workspace: &mut Workspace) -> Climbed<GeneFit> {
    match family {
        Family::Binomial => binomial(job, workspace),
        Family::Poisson => poisson(job, workspace),
        Family::QuasiPoisson => quasi_poisson(job, workspace),
        Family::NegativeBinomial => negative_binomial(job, workspace),
        Family::Gaussian => Ok(gaussian(job)),
    }
}

impl GeneFit {
    pub(crate) fn failed(status: Status, rank: usize) -> Self {
        Self {
            status,
            coefficients: vec![f64::NAN; rank],
            estimates: vec![Estimate::Finite; rank],
            covariance: vec![f64::NAN; rank * (rank + 1) / 2],
            theta: f64::NAN,
            theta_se: f64::NAN,
            dispersion: f64::NAN,
            log_likelihood: f64::NAN,
            deviance: f64::NAN,
            saturated: f64::NAN,
            null_deviance: f64::NAN,
            mark: f64::NAN,
            decrement: f64::NAN,
            iterations: 0,
        }
    }

    /// Takes over where an ascent ended; `dispersion` scales the covariance.
    pub(super) fn at_summit(summit: &Summit, design: &Design, dispersion: f64) -> Self {
        let basis = design.basis();
        let rank = design.rank();
        let mut fit = Self::failed(Status::NotConverged, rank);
        fit.iterations = summit.iterations;
        fit.decrement = summit.decrement;
        let Some(unscaled) = inverse(&summit.view.sums.information, rank) else {
            return fit;
        };
        if summit.end != End::Converged {
            return fit;
        }
        fit.status = Status::Ok;
        fit.coefficients = basis.named(&summit.point.coefficients);
        fit.covariance = basis.named_covariance(&unscaled);
        fit.covariance.iter_mut().for_each(|v| *v *= dispersion);
        fit.dispersion = dispersion;
        fit
    }

    pub(super) fn take_poisson_deviance(&mut self, saturated: f64, summit: &Summit) {
        self.saturated = saturated;
        self.deviance = 2.0 * (saturated - summit.view.log_likelihood);
    }
}

fn gaussian(job: &Job<'_>) -> GeneFit {
    let (design, n) = (job.design, job.design.cells() as f64);
    let rank = design.rank();
    let (coefficients, residual) = least_squares(design, job.counts);
    let variance = residual / (n - rank as f64);
    let mut fit = GeneFit::failed(Status::Ok, rank);
    fit.coefficients = design.basis().named(&coefficients);
    let unscaled: Vec<f64> =
        (0..rank * rank).map(|k| if k % (rank + 1) == 0 { variance / n } else { 0.0 }).collect();
    fit.covariance = design.basis().named_covariance(&unscaled);
    fit.dispersion = variance;
    fit.deviance = residual;
    fit.log_likelihood = -0.5 * n * ((std::f64::consts::TAU * residual / n).ln() + 1.0);
    fit.decrement = 0.0;
    fit.iterations = 1;
    fit
}

fn binomial(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<GeneFit> {
    // What separation leaves may be all zeros or all ones.
    let half = 0.5 / job.design.cells() as f64;
    let mean = job.mean().clamp(half, 1.0 - half);
    let exposure = job.design.offset_moments().0;
    let start = job.start((mean / (1.0 - mean)).ln() - exposure.ln());
    let start = Point { coefficients: start, shape: 0.0 };
    let summit = look_and_climb(job, Model::Bernoulli, start, workspace, |_, _| false)?;
    let mut fit = GeneFit::at_summit(&summit, job.design, 1.0);
    fit.log_likelihood = summit.view.log_likelihood;
    fit.deviance = -2.0 * fit.log_likelihood;
    Ok(fit)
}

fn poisson(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<GeneFit> {
    let summit = poisson_summit(job, workspace)?;
    let mut fit = GeneFit::at_summit(&summit, job.design, 1.0);
    let histogram = job.histogram();
    fit.log_likelihood = summit.view.log_likelihood - histogram.log_factorials();
    fit.take_poisson_deviance(saturated_poisson_of(&histogram), &summit);
    Ok(fit)
}

fn quasi_poisson(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<GeneFit> {
    let summit = poisson_summit(job, workspace)?;
    let pearson = squared_residuals(job, &summit.point.coefficients);
    let mut fit = GeneFit::at_summit(&summit, job.design, pearson / job.freedom);
    fit.take_poisson_deviance(saturated_poisson(job.counts.counts, &job.tally()), &summit);
    Ok(fit)
}

fn poisson_summit(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<Summit> {
    let start = job.start((job.mean() / job.design.offset_moments().0).ln());
    let start = Point { coefficients: start, shape: 0.0 };
    look_and_climb(job, Model::Poisson, start, workspace, |_, _| false)
}
