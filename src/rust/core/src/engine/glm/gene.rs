//! One gene, one model: from where to start to what is reported.

use super::ascent::{CONVERGED, End, Patience, Point, Start, Summit, ascend};
use super::family::Family;
use super::gaussian::least_squares;
use super::laid::Laid;
use super::likelihood::{Likelihood, Model};
use super::limit::in_the_limit;
use super::mark::mark;
use super::negative_binomial::{negative_binomial, negative_binomial_at};
use super::null::null_deviance;
use super::pass::{Response, Workspace};
use super::pearson::squared_residuals;
use super::saturated::saturated_poisson;
use super::separation::{self, Estimate, Limit};
use super::solve::inverse;
use super::start::look_and_climb;
use crate::design::Design;
use crate::source::GeneCounts;
use crate::special::CountHistogram;
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
    let job = Job::new(counts, design, options.max_iterations, monitor);
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

/// Why an ascent does not end in a fit.
pub(crate) enum Detour {
    Failed(Error),
    /// There is no optimum, as was seen after so many passes.
    Separated {
        limit: Limit,
        iterations: usize,
    },
}

impl From<Error> for Detour {
    fn from(error: Error) -> Self {
        Detour::Failed(error)
    }
}

pub(crate) type Climbed<T> = std::result::Result<T, Detour>;

/// How the model of a gene is fitted where it has an optimum.
pub(crate) type Climb<'a> = dyn Fn(&Job<'_>, &mut Workspace) -> Climbed<GeneFit> + 'a;

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

    pub(super) fn take_poisson_deviance(&mut self, job: &Job<'_>, summit: &Summit) {
        self.saturated = saturated_poisson(job.counts);
        self.deviance = 2.0 * (self.saturated - summit.view.log_likelihood);
    }
}

/// A gene to be fitted, and how to climb its likelihoods.
pub(crate) struct Job<'a> {
    pub(crate) counts: GeneCounts<'a>,
    pub(crate) design: &'a Design,
    /// The cells of the whole design that this one has; none where it has all.
    pub(crate) cells: Option<&'a [u32]>,
    pub(crate) max_iterations: usize,
    /// Residual degrees of freedom of the whole gene.
    pub(super) freedom: f64,
    mean: f64,
    pub(super) laid: Laid<'a>,
    /// The counts at the nodes of a collapsed design.
    masses: Option<Vec<f64>>,
    pub(crate) monitor: &'a Monitor,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        counts: GeneCounts<'a>,
        design: &'a Design,
        max_iterations: usize,
        monitor: &'a Monitor,
    ) -> Self {
        let freedom = design.cells() as f64 - design.rank() as f64;
        let mean = counts.total() / design.cells() as f64;
        let masses = design.collapsed().map(|collapsed| collapsed.masses(counts));
        let laid = match masses {
            Some(_) => Laid::of_stored(counts),
            None => Laid::new(counts, design.cells()),
        };
        Self { counts, design, cells: None, max_iterations, freedom, mean, laid, masses, monitor }
    }

    /// The same gene in these of its cells, with the degrees of freedom of all.
    pub(super) fn of_remainder<'b>(
        &self,
        counts: GeneCounts<'b>,
        design: &'b Design,
        cells: &'b [u32],
    ) -> Job<'b>
    where
        'a: 'b,
    {
        let job = Job::new(counts, design, self.max_iterations, self.monitor);
        Job { freedom: self.freedom, cells: Some(cells), ..job }
    }

    /// Fits the gene, in the limit where there is no optimum.
    pub(crate) fn fit(&self, climb: &Climb<'_>, workspace: &mut Workspace) -> Result<GeneFit> {
        if self.counts.cells.is_empty() {
            return Ok(GeneFit::failed(Status::AllZero, self.design.rank()));
        }
        let unsupported = separation::of_unsupported_columns(self.design, self.counts);
        let detour = match unsupported {
            Some(limit) => Detour::Separated { limit, iterations: 0 },
            None => match climb(self, workspace) {
                Ok(fit) => return Ok(fit),
                Err(detour) => detour,
            },
        };
        match detour {
            Detour::Failed(error) => Err(error),
            Detour::Separated { limit, iterations } => {
                let mut fit = in_the_limit(self, climb, limit, workspace)?;
                fit.iterations += iterations;
                Ok(fit)
            }
        }
    }

    /// Climbs until the optimum is reached, or known not to exist.
    pub(crate) fn climb(
        &self,
        model: Model<'_>,
        start: impl Into<Start>,
        workspace: &mut Workspace,
        stop: impl Fn(f64, f64) -> bool,
    ) -> Climbed<Summit> {
        let binomial = matches!(model, Model::Bernoulli);
        let start = start.into();
        let origin = start.point.coefficients.clone();
        let mut objective = self.likelihood(model, workspace);
        let mut patience =
            Patience { max_iterations: self.max_iterations, trusting: 0, converged: CONVERGED };
        let (mut from, mut taken) = (start, 0);
        loop {
            let mut summit = ascend(&mut objective, from, patience, |point, view| {
                view.shape.is_some_and(|(slope, _)| stop(point.shape, slope))
            })?;
            taken += summit.iterations;
            summit.iterations = taken;
            let exhausted = summit.iterations >= self.max_iterations;
            if summit.end == End::Converged || (summit.end == End::NotConverged && !exhausted) {
                return Ok(summit);
            }
            let at = &summit.point.coefficients;
            let way = at.iter().zip(&origin).map(|(to, from)| to - from).collect();
            let moves = [way, summit.step.clone()];
            let (design, counts) = (self.design, self.counts);
            if let Some(limit) = separation::suggested(design, counts, at, &moves, binomial) {
                return Err(Detour::Separated { limit, iterations: taken });
            }
            if exhausted {
                return Ok(summit);
            }
            patience.max_iterations = self.max_iterations - taken;
            patience.trusting += 4;
            from = summit.point.into();
        }
    }

    pub(crate) fn likelihood<'b>(
        &'b self,
        model: Model<'b>,
        workspace: &'b Workspace,
    ) -> Likelihood<'b> {
        let (blocks, response) = match (self.design.collapsed(), &self.masses) {
            (Some(collapsed), Some(masses)) => {
                (collapsed.blocks(), Response::Nodes { weights: collapsed.weights(), masses })
            }
            _ => (self.design.blocks(), self.laid.response()),
        };
        let (reach, monitor) = (self.design.reach(), self.monitor);
        Likelihood { model, blocks, response, reach, workspace, monitor }
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// Coefficients of a constant predictor, or of what the design has nearest
    /// to it.
    pub(crate) fn start(&self, predictor: f64) -> Vec<f64> {
        self.design.constant().iter().map(|c| c * predictor).collect()
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
    let log_factorials = CountHistogram::new(job.counts.counts).log_factorials();
    fit.log_likelihood = summit.view.log_likelihood - log_factorials;
    fit.take_poisson_deviance(job, &summit);
    Ok(fit)
}

fn quasi_poisson(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<GeneFit> {
    let summit = poisson_summit(job, workspace)?;
    let pearson = squared_residuals(job.design, job.counts, &summit.point.coefficients);
    let mut fit = GeneFit::at_summit(&summit, job.design, pearson / job.freedom);
    fit.take_poisson_deviance(job, &summit);
    Ok(fit)
}

fn poisson_summit(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<Summit> {
    let start = job.start((job.mean() / job.design.offset_moments().0).ln());
    let start = Point { coefficients: start, shape: 0.0 };
    look_and_climb(job, Model::Poisson, start, workspace, |_, _| false)
}
