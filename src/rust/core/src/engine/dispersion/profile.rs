//! The Cox-Reid adjusted profile likelihood of a gene's log(alpha), and where it
//! is largest.
//!
//! At each alpha that is looked at, coefficients are fitted anew, and the slope of
//! the profile is exact. Its root is found by Newton's steps, kept within a
//! bracket; how the adjustment bends, which is little, is told by its last two
//! slopes.

use crate::design::Design;
use crate::engine::glm::{
    ALPHAS, Climbed, CoxReid, Curvature, End, GeneFit, Job, LARGEST, Model, Objective, Point,
    SMALL, Status, Summit, VANISHING, View, Workspace, adjustment, at_limit, moment_alpha, report,
    shape_derivatives,
};
use crate::source::GeneCounts;
use crate::special::CountHistogram;
use crate::{Monitor, Result};

/// The step of log(alpha) left, at which to stop.
const CONVERGED: f64 = 1e-7;
/// The largest step of log(alpha).
const LARGEST_STEP: f64 = 3.0;
const MOST_LOOKS: usize = 100;
/// Passes that the coefficients may take at one alpha.
pub const MOST_PASSES: usize = 100;

/// log(alpha) is normal about the logarithm of the trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// The trend's dispersion at the gene's mean.
    pub alpha: f64,
    /// Of log(alpha), natural logarithm.
    pub variance: f64,
}

/// A gene's own dispersion: the alpha that maximises the Cox-Reid adjusted
/// profile likelihood, and the fit there, whose theta is 1 / alpha. Where the
/// counts are not more variable than Poisson counts, theta is infinite; where
/// there are hardly more counts than coefficients and the adjusted profile keeps
/// growing with alpha, the gene is [`Status::NotConverged`].
///
/// # Errors
/// [`crate::Error::Interrupted`] once the monitor is cancelled.
pub fn gene_wise(
    counts: GeneCounts<'_>,
    design: &Design,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<GeneFit> {
    let job = Job::new(counts, design, MOST_PASSES, monitor);
    job.fit(&climb_alone, workspace)
}

/// The dispersion at which the posterior of log(alpha) is largest, and the fit
/// there. `own` is the gene's own ([`gene_wise`]): a place to start from.
///
/// # Errors
/// As [`gene_wise`].
pub fn map(
    counts: GeneCounts<'_>,
    design: &Design,
    prior: &Prior,
    own: &GeneFit,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<GeneFit> {
    let job = Job::new(counts, design, MOST_PASSES, monitor);
    let alpha = 1.0 / own.theta;
    // Not from far below, where the likelihood is flat.
    let near = alpha > 0.1 * prior.alpha;
    let shape = if near { alpha } else { prior.alpha }.ln();
    let whole = |job: &Job<'_>| job.design.cells() == design.cells();
    let climb = |job: &Job<'_>, workspace: &mut Workspace| {
        let coefficients = match own.status == Status::Ok && whole(job) {
            true => design.basis().coordinates(&own.coefficients),
            false => constant(job),
        };
        let mut profile = Profile::new(job, Some(*prior), workspace);
        let end = profile.search(Point { coefficients, shape })?;
        profile.report(end)
    };
    job.fit(&climb, workspace)
}

/// From the joint maximum of the likelihood, near which the adjusted one is.
fn climb_alone(job: &Job<'_>, workspace: &mut Workspace) -> Climbed<GeneFit> {
    let limit = (SMALL / job.mean()).ln();
    let leaves = |shape: f64, slope: f64| (shape < limit && slope < 0.0) || shape > LARGEST.ln();
    let mut profile = Profile::new(job, None, workspace);
    let shape = moment_alpha(job, &profile.histogram).ln();
    let start = Point { coefficients: constant(job), shape };
    let joint = {
        let model = Model::NegativeBinomial(&profile.histogram);
        job.climb(model, start, profile.workspace, leaves)?
    };
    profile.passes += joint.iterations;
    let start = match joint.point.shape >= limit {
        true => joint.point,
        false => profile.start_beside_poisson(joint.point.coefficients)?,
    };
    let end = profile.search(start)?;
    profile.report(end)
}

fn constant(job: &Job<'_>) -> Vec<f64> {
    job.start((job.mean() / job.design.offset_moments().0).ln())
}

struct Profile<'a> {
    job: &'a Job<'a>,
    histogram: CountHistogram,
    prior: Option<Prior>,
    workspace: &'a mut Workspace,
    passes: usize,
}

/// What is seen of the profile at one alpha.
struct Look {
    summit: Summit,
    /// log(alpha).
    at: f64,
    slope: f64,
    /// Of all but the adjustment.
    bend: f64,
    adjusted: CoxReid,
}

/// Where a search ends.
enum Found {
    Peak(Box<Look>),
    /// The profile falls from alpha = 0 on; coefficients near the optimum there.
    Poisson(Vec<f64>),
    Nothing,
}

impl<'a> Profile<'a> {
    fn new(job: &'a Job<'a>, prior: Option<Prior>, workspace: &'a mut Workspace) -> Self {
        let histogram = job.histogram();
        Self { job, histogram, prior, workspace, passes: 0 }
    }

    fn search(&mut self, start: Point) -> Climbed<Found> {
        let (small, vanishing) =
            ((SMALL / self.job.mean()).ln(), (VANISHING / self.job.mean()).ln());
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut before: Option<Look> = None;
        let mut point = start;
        for _ in 0..MOST_LOOKS {
            let Some(look) = self.look(point)? else { return Ok(Found::Nothing) };
            let mut step = newton(&look, before.as_ref());
            if step.abs() <= CONVERGED || high - low <= CONVERGED {
                return Ok(Found::Peak(Box::new(look)));
            }
            if look.slope > 0.0 {
                low = look.at
            } else {
                high = look.at
            }
            if self.prior.is_none() {
                if look.slope > 0.0 && look.at > LARGEST.ln() {
                    return Ok(Found::Nothing);
                }
                if look.slope < 0.0 && look.at <= vanishing {
                    return Ok(Found::Poisson(look.summit.point.coefficients));
                }
                if look.slope < 0.0 && low < vanishing && look.at + step < small {
                    step = vanishing - look.at;
                }
            }
            if !(low..=high).contains(&(look.at + step)) || look.at + step == look.at {
                step = 0.5 * (low + high) - look.at;
            }
            point = along(&look, step);
            before = Some(look);
        }
        Ok(Found::Nothing)
    }

    /// Fits the coefficients at an alpha, and looks at the profile there. None
    /// where they have no optimum that can be found.
    fn look(&mut self, point: Point) -> Climbed<Option<Look>> {
        let at = point.shape;
        let alpha = at.exp();
        let model = Model::NegativeBinomialAt(alpha, &self.histogram);
        let summit = self.job.climb(model, point, self.workspace, |_, _| false)?;
        self.passes += summit.iterations + 1;
        if summit.end != End::Converged {
            return Ok(None);
        }
        let Some(adjusted) = CoxReid::at(self.job, alpha, &summit) else {
            return Ok(None);
        };
        let (mut slope, mut bend) = shape_derivatives(&summit.view.sums, alpha, &self.histogram);
        slope += adjusted.slope;
        bend += adjusted.bend;
        if let Some(prior) = self.prior {
            slope -= (at - prior.alpha.ln()) / prior.variance;
            bend -= 1.0 / prior.variance;
        }
        Ok(Some(Look { summit, at, slope, bend, adjusted }))
    }

    /// The start of a gene whose likelihood is largest at or near alpha = 0:
    /// there, but if the adjusted profile is higher elsewhere.
    fn start_beside_poisson(&mut self, from: Vec<f64>) -> Climbed<Point> {
        let poisson = self.poisson(from)?;
        let coefficients = poisson.point.coefficients;
        let rank = self.job.design.rank();
        let height = |view: &View| {
            let adjustment = adjustment(&view.sums.information, rank);
            view.log_likelihood + adjustment.unwrap_or(f64::NEG_INFINITY)
        };
        let small = SMALL / self.job.mean();
        let mut best = (height(&poisson.view), small);
        let model = Model::NegativeBinomial(&self.histogram);
        let mut objective = self.job.likelihood(model, self.workspace);
        for alpha in ALPHAS.into_iter().filter(|alpha| *alpha > small) {
            let point = Point { coefficients: coefficients.clone(), shape: alpha.ln() };
            let seen = height(&objective.view(&point, Curvature::Expected)?);
            self.passes += 1;
            if seen > best.0 {
                best = (seen, alpha);
            }
        }
        Ok(Point { coefficients, shape: best.1.ln() })
    }

    fn poisson(&mut self, coefficients: Vec<f64>) -> Climbed<Summit> {
        let start = Point { coefficients, shape: 0.0 };
        let poisson = self.job.climb(Model::Poisson, start, self.workspace, |_, _| false)?;
        self.passes += poisson.iterations;
        Ok(poisson)
    }

    fn report(mut self, found: Found) -> Climbed<GeneFit> {
        let mut fit = match found {
            Found::Peak(look) => report(self.job, &self.histogram, &look.summit, look.at.exp()),
            Found::Poisson(coefficients) => {
                let poisson = self.poisson(coefficients)?;
                at_limit(self.job, &self.histogram, &poisson)
            }
            Found::Nothing => GeneFit::failed(Status::NotConverged, self.job.design.rank()),
        };
        fit.iterations = self.passes;
        Ok(fit)
    }
}

/// Newton's step of log(alpha); where the profile is not concave, one uphill.
fn newton(look: &Look, before: Option<&Look>) -> f64 {
    let secant =
        |before: &Look| (look.adjusted.slope - before.adjusted.slope) / (look.at - before.at);
    let bend = look.bend + before.map_or(0.0, secant);
    let step = if bend < 0.0 { -look.slope / bend } else { look.slope.signum() };
    step.clamp(-LARGEST_STEP, LARGEST_STEP)
}

/// The point so far along the profile, to first order.
fn along(look: &Look, step: f64) -> Point {
    // Further than that, the order is no good.
    let reach = step.clamp(-1.0, 1.0);
    let from = &look.summit.point.coefficients;
    let moved = from.iter().zip(&look.adjusted.direction).map(|(c, d)| c + reach * d);
    Point { coefficients: moved.collect(), shape: look.at + step }
}
