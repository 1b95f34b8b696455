//! One gene, one model: from where to start to what is reported.

use super::ascent::{Point, Summit, ascend};
use super::family::Family;
use super::gaussian::least_squares;
use super::likelihood::{Likelihood, Model};
use super::negative_binomial::negative_binomial;
use super::pass::Workspace;
use super::solve::{inner, inverse};
use crate::design::Design;
use crate::source::GeneCounts;
use crate::special::CountHistogram;
use crate::{Monitor, Result};

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
    /// Direction in which the likelihood keeps growing, by coefficient: -1, 1,
    /// or 0 where there is an optimum.
    pub separated: Vec<i8>,
    /// Covariance of the coefficients, lower triangle row after row.
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
    /// Squared distance to the optimum, in standard errors.
    pub decrement: f64,
    /// Passes over the cells.
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
    if counts.cells.is_empty() {
        return Ok(GeneFit::failed(Status::AllZero, design.rank()));
    }
    let job = Job { counts, design, max_iterations: options.max_iterations, monitor };
    match options.family {
        Family::Gaussian => Ok(gaussian(&job)),
        Family::Binomial => binomial(&job, workspace),
        Family::Poisson => poisson(&job, workspace),
        Family::QuasiPoisson => quasi_poisson(&job, workspace),
        Family::NegativeBinomial => negative_binomial(&job, workspace),
    }
}

impl GeneFit {
    pub(super) fn failed(status: Status, rank: usize) -> Self {
        Self {
            status,
            coefficients: vec![f64::NAN; rank],
            separated: vec![0; rank],
            covariance: vec![f64::NAN; rank * (rank + 1) / 2],
            theta: f64::NAN,
            theta_se: f64::NAN,
            dispersion: f64::NAN,
            log_likelihood: f64::NAN,
            deviance: f64::NAN,
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
        let Some(unscaled) = inverse(&summit.view.sums.information, rank, summit.null.len()) else {
            return fit;
        };
        if !summit.converged {
            return fit;
        }
        fit.status = Status::Ok;
        fit.coefficients = basis.named(&summit.point.coefficients);
        fit.covariance = basis.named_covariance(&unscaled);
        fit.covariance.iter_mut().for_each(|v| *v *= dispersion);
        fit.dispersion = dispersion;
        fit.separated = separated(summit, design);
        fit
    }
}

/// A gene to be fitted, and how to climb its likelihoods.
pub(super) struct Job<'a> {
    pub(super) counts: GeneCounts<'a>,
    pub(super) design: &'a Design,
    max_iterations: usize,
    monitor: &'a Monitor,
}

impl Job<'_> {
    pub(super) fn climb(
        &self,
        model: Model<'_>,
        start: Point,
        workspace: &mut Workspace,
        stop: impl Fn(f64, f64) -> bool,
    ) -> Result<Summit> {
        let mut objective = self.likelihood(model, workspace);
        ascend(&mut objective, start, self.max_iterations, |point, view| {
            view.shape.is_some_and(|(slope, _)| stop(point.shape, slope))
        })
    }

    pub(super) fn likelihood<'b>(
        &'b self,
        model: Model<'b>,
        workspace: &'b mut Workspace,
    ) -> Likelihood<'b> {
        let Job { counts, design, monitor, .. } = self;
        Likelihood { model, design, counts: *counts, workspace, monitor }
    }

    pub(super) fn mean(&self) -> f64 {
        self.counts.total() / self.design.cells() as f64
    }

    /// The constant mean that the offsets allow, as coefficients of the basis;
    /// and far out in the directions of columns that no count supports, whose
    /// coefficients have no optimum.
    pub(super) fn start(&self, predictor: f64) -> Vec<f64> {
        const FAR: f64 = 40.0;
        let design = self.design;
        let mut start: Vec<f64> = design.constant().iter().map(|c| c * predictor).collect();
        for kept in 0..design.rank() {
            let (low, high) = design.extremes(kept);
            let one_sided = low >= 0.0 || high <= 0.0;
            if one_sided && self.unsupported(kept, low.abs().max(high.abs())) {
                let mut named = vec![0.0; design.rank()];
                named[kept] = if low >= 0.0 { -FAR / high } else { -FAR / low };
                let shift = design.basis().coordinates(&named);
                start.iter_mut().zip(shift).for_each(|(s, d)| *s += d);
            }
        }
        start
    }

    /// Whether a column is zero in every cell that has a count.
    fn unsupported(&self, kept: usize, largest: f64) -> bool {
        let rounding = 1e-9 * largest;
        let value = |&cell: &u32| self.design.value(cell as usize, kept);
        self.counts.cells.iter().all(|cell| value(cell).abs() <= rounding)
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

fn binomial(job: &Job<'_>, workspace: &mut Workspace) -> Result<GeneFit> {
    let rank = job.design.rank();
    if job.counts.counts.iter().any(|&y| y != 1.0) {
        return Ok(GeneFit::failed(Status::NotBinary, rank));
    }
    if job.counts.cells.len() == job.design.cells() {
        return Ok(GeneFit::failed(Status::AllOne, rank));
    }
    let (mean, exposure) = (job.mean(), job.design.offset_moments().0);
    let start = job.start((mean / (1.0 - mean)).ln() - exposure.ln());
    let start = Point { coefficients: start, shape: 0.0 };
    let summit = job.climb(Model::Bernoulli, start, workspace, |_, _| false)?;
    let mut fit = GeneFit::at_summit(&summit, job.design, 1.0);
    fit.log_likelihood = summit.view.log_likelihood;
    fit.deviance = -2.0 * fit.log_likelihood;
    Ok(fit)
}

fn poisson(job: &Job<'_>, workspace: &mut Workspace) -> Result<GeneFit> {
    let summit = poisson_summit(job, workspace)?;
    let mut fit = GeneFit::at_summit(&summit, job.design, 1.0);
    let log_factorials = CountHistogram::new(job.counts.counts).log_factorials();
    fit.log_likelihood = summit.view.log_likelihood - log_factorials;
    fit.deviance = poisson_deviance(job, &summit);
    Ok(fit)
}

fn quasi_poisson(job: &Job<'_>, workspace: &mut Workspace) -> Result<GeneFit> {
    let summit = poisson_summit(job, workspace)?;
    let sums = &summit.view.sums;
    // Sum of (y - mu)² / mu, from the cells with counts and the totals.
    let pearson = sums.count2_over_mean - 2.0 * job.counts.total() + sums.mean;
    let freedom = (job.design.cells() - job.design.rank()) as f64;
    let mut fit = GeneFit::at_summit(&summit, job.design, pearson.max(0.0) / freedom);
    fit.deviance = poisson_deviance(job, &summit);
    Ok(fit)
}

fn poisson_summit(job: &Job<'_>, workspace: &mut Workspace) -> Result<Summit> {
    let start = job.start((job.mean() / job.design.offset_moments().0).ln());
    let start = Point { coefficients: start, shape: 0.0 };
    job.climb(Model::Poisson, start, workspace, |_, _| false)
}

pub(super) fn poisson_deviance(job: &Job<'_>, summit: &Summit) -> f64 {
    let saturated: f64 = job.counts.counts.iter().map(|y| y * y.ln() - y).sum();
    2.0 * (saturated - summit.view.log_likelihood)
}

/// The signs with which coefficients go to infinity. The ascent has gone far
/// along the null directions, and nowhere else.
fn separated(summit: &Summit, design: &Design) -> Vec<i8> {
    /// A share of a direction below this is rounding.
    const ROUNDING: f64 = 1e-6;
    let mut far = vec![0.0; design.rank()];
    for direction in &summit.null {
        let length = inner(direction, &summit.point.coefficients);
        far.iter_mut().zip(direction).for_each(|(f, d)| *f += length * d);
    }
    let named = design.basis().named(&far);
    let shares = named.iter().enumerate().map(|(k, d)| d * design.basis().scale(k));
    let shares: Vec<f64> = shares.collect();
    let largest = shares.iter().fold(0.0f64, |m, s| m.max(s.abs()));
    let sign = |share: f64| if share.abs() > ROUNDING * largest { share.signum() as i8 } else { 0 };
    // Nothing is far where nothing is null.
    if summit.null.is_empty() {
        vec![0; named.len()]
    } else {
        shares.into_iter().map(sign).collect()
    }
}
