//! One gene, one mixed model: from where to start to what is reported.

use super::criterion::{Criterion, Evaluation};
use super::effects::Effects;
use super::lambda::{Lambda, Place, places};
use super::pass::Data;
use super::search::{End, Found, ROUNDING, Smooth, descend};
use super::system::Both;
use crate::design::Design;
use crate::engine::glm::{
    ALPHAS, Climbed, GeneFit, Job, LARGEST, Model, Point, SMALL, Status, VANISHING, Workspace,
    eigen, moment_alpha,
};
use crate::source::GeneCounts;
use crate::{Monitor, Result};
use std::cell::RefCell;

/// A standard deviation below this, of effects of columns whose mean square is one, is
/// none: lme4's `isSingular()` has the same tolerance.
const SINGULAR: f64 = 1e-4;
/// Minus log-likelihoods that differ by less are the same.
const SAME: f64 = 1e-8;
/// How many looks a search may take, for each pass that a mode may.
const LOOKS: usize = 5;
/// Where the search starts: the standard deviations.
const START: f64 = 0.4;
/// The mode is followed along its tangent as far as this.
const TANGENT: f64 = 0.3;

/// A fitted gene.
#[derive(Clone, Debug)]
pub struct MixedFit {
    /// The fixed effects; its log-likelihood is the Laplace approximation, and its
    /// deviance twice that, negative.
    pub fixed: GeneFit,
    /// Of each term the covariance of a level's effects: lower triangle, row after row.
    pub covariances: Vec<f64>,
    /// Whether one of them is singular.
    pub singular: bool,
}

/// Fits one gene.
///
/// # Errors
/// [`crate::Error::Interrupted`] once the monitor is cancelled; what goes wrong with
/// the gene itself is a [`Status`].
pub fn fit_mixed_gene(
    counts: GeneCounts<'_>,
    design: &Design,
    effects: &Effects,
    max_iterations: usize,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<MixedFit> {
    let unknown = (vec![f64::NAN; effects.parameters()], false);
    let variances = RefCell::new(unknown.clone());
    // Fixed effects without a finite optimum go to their limit, and the cells that they
    // take along have no random effects either.
    let climb = |job: &Job<'_>, workspace: &mut Workspace| -> Climbed<GeneFit> {
        let fewer = job.cells.map(|cells| effects.of_cells(cells)).transpose()?;
        let (fit, found) = mixed(job, fewer.as_ref().unwrap_or(effects), workspace)?;
        *variances.borrow_mut() = found;
        Ok(fit)
    };
    let job = Job::new(counts, design, max_iterations, monitor);
    let fixed = job.fit(&climb, workspace)?;
    let found = variances.into_inner();
    let (covariances, singular) = if fixed.status == Status::Ok { found } else { unknown };
    Ok(MixedFit { fixed, covariances, singular })
}

type Variances = (Vec<f64>, bool);

fn mixed(
    job: &Job<'_>,
    effects: &Effects,
    workspace: &mut Workspace,
) -> Climbed<(GeneFit, Variances)> {
    let (design, monitor) = (job.design, job.monitor);
    let histogram = job.histogram();
    let start = job.start((job.mean() / design.offset_moments().0).ln());
    let start = Point { coefficients: start, shape: 0.0 };
    // Without random effects it is seen whether there is an optimum.
    let poisson = job.climb(Model::Poisson, start, workspace, |_, _| false)?;
    let start = Both { random: vec![0.0; effects.effects()], fixed: poisson.point.coefficients };

    let data = Data { design, effects, counts: job.counts };
    let most = job.max_iterations;
    let criterion = |poisson| Criterion::new(data, &histogram, poisson, most, monitor);
    let fitter = Fitter {
        effects,
        negative_binomial: criterion(false),
        poisson: criterion(true),
        places: places(effects),
        most,
        mean: job.mean(),
    };
    let mut passes = poisson.iterations;
    let optimum = fitter.optimum(&start, moment_alpha(job, &histogram), &mut passes)?;
    let mut fit = GeneFit::failed(Status::NotConverged, design.rank());
    fit.iterations = passes;
    let mut variances = (vec![f64::NAN; effects.parameters()], false);
    let Some((found, singular)) = optimum else { return Ok((fit, variances)) };
    let point = &found.point;
    let criterion = fitter.criterion_of(point);
    let Some(covariance) = criterion.covariance(point) else { return Ok((fit, variances)) };
    fit.status = Status::Ok;
    fit.coefficients = design.basis().named(&point.mode.fixed);
    fit.covariance = design.basis().named_covariance(&covariance);
    fit.log_likelihood = -point.value - histogram.log_factorials();
    fit.deviance = -2.0 * fit.log_likelihood;
    fit.dispersion = 1.0;
    fit.decrement = 2.0 * found.left.max(0.0);
    fit.theta = match criterion.is_poisson() {
        true => f64::INFINITY,
        false => (-point.at[fitter.places.len()]).exp(),
    };
    variances = (covariances(effects, &point.at), singular);
    Ok((fit, variances))
}

/// The search for a gene's optimum.
struct Fitter<'a> {
    effects: &'a Effects,
    negative_binomial: Criterion<'a>,
    poisson: Criterion<'a>,
    places: Vec<Place>,
    most: usize,
    /// Of the counts.
    mean: f64,
}

impl Fitter<'_> {
    /// The optimum, and whether it is singular; none where nothing converged.
    fn optimum(
        &self,
        start: &Both,
        alpha: f64,
        passes: &mut usize,
    ) -> Result<Option<(Found<Evaluation>, bool)>> {
        let mut at = self.start(START);
        at.push(alpha.ln());
        let first = self.negative_binomial.evaluate(&at, start, passes)?;
        let Some(first) = first else { return Ok(None) };
        let mut best = self.from(first, passes)?;
        // Elsewhere it may be higher.
        let probes = self.probes(&best.point);
        for at in probes {
            let criterion = self.criterion(at.len());
            let near = &best.point.mode;
            let seen = criterion.evaluate(&at, near, passes)?;
            if let Some(seen) = seen
                && seen.value < best.point.value - SAME
            {
                let other = self.from(seen, passes)?;
                if other.end == End::Converged && other.point.value < best.point.value {
                    best = other;
                }
            }
        }
        if best.end != End::Converged {
            return Ok(None);
        }
        self.without_vanishing(best, passes).map(Some)
    }

    /// The optimum that is reached from a point, in the Poisson limit if need be.
    fn from(&self, start: Evaluation, passes: &mut usize) -> Result<Found<Evaluation>> {
        if start.at.len() == self.places.len() {
            return self.descend(start, None, passes);
        }
        let limit = (SMALL / self.mean).ln();
        let found = self.descend(start, Some(limit), passes)?;
        if found.end != End::Left {
            return Ok(found);
        }
        let lambda = &found.point.at[..self.places.len()];
        let near = &found.point.mode;
        let seen = self.poisson.evaluate(lambda, near, passes)?;
        let Some(seen) = seen else { return Ok(Found { end: End::NotConverged, ..found }) };
        let poisson = self.descend(seen, None, passes)?;
        let beside =
            |alpha: f64| [poisson.point.at.as_slice(), &[(alpha / self.mean).ln()]].concat();
        let mut look = |alpha| {
            let near = &poisson.point.mode;
            let at = beside(alpha);
            self.negative_binomial.evaluate(&at, near, passes)
        };
        let rises = |seen: &Evaluation| seen.gradient[self.places.len()] < 0.0;
        if !look(VANISHING)?.is_some_and(|seen| rises(&seen)) {
            return Ok(poisson);
        }
        let Some(seen) = look(SMALL)? else { return Ok(poisson) };
        let inside = self.descend(seen, None, passes)?;
        let better = inside.end == End::Converged && inside.point.value < poisson.point.value;
        Ok(if better { inside } else { poisson })
    }

    fn descend(
        &self,
        start: Evaluation,
        limit: Option<f64>,
        passes: &mut usize,
    ) -> Result<Found<Evaluation>> {
        let criterion = self.criterion(start.at.len());
        let most = LOOKS * self.most;
        descend(&mut Objective { criterion, limit, passes }, start, most)
    }

    /// Other places to look for an optimum: a local one may have been found.
    fn probes(&self, best: &Evaluation) -> Vec<Vec<f64>> {
        let lambda = |factor: f64| best.at[..self.places.len()].iter().map(move |x| factor * x);
        if best.at.len() == self.places.len() {
            let at = |alpha: f64| lambda(1.0).chain([alpha.ln()]).collect();
            return ALPHAS.iter().map(|&alpha| at(alpha)).collect();
        }
        let shape = best.at[self.places.len()];
        let at = |factor: f64, more: f64| lambda(factor).chain([shape + more]).collect();
        vec![at(0.1, 1.0), at(3.0, -1.0), self.start(1.0).into_iter().chain([shape]).collect()]
    }

    /// Sets what is as good as zero to zero, and tells whether a covariance is singular.
    fn without_vanishing(
        &self,
        found: Found<Evaluation>,
        passes: &mut usize,
    ) -> Result<(Found<Evaluation>, bool)> {
        let at = &found.point.at;
        let Some(zeroed) = self.zeroed(at) else { return Ok((found, false)) };
        let criterion = self.criterion(at.len());
        let near = &found.point.mode;
        let seen = criterion.evaluate(&zeroed, near, passes)?;
        let same = SAME + ROUNDING * found.point.value.abs();
        match seen {
            Some(point) if point.value <= found.point.value + same => {
                Ok((Found { point, ..found }, true))
            }
            _ => Ok((found, true)),
        }
    }

    /// Roots of the same covariances, where their least eigenvalues are as good as zero
    /// with zero instead; none where no one is.
    fn zeroed(&self, at: &[f64]) -> Option<Vec<f64>> {
        let lambda = Lambda::new(self.effects, at);
        let mut zeroed = at.to_vec();
        let mut any = false;
        for (term, span) in self.effects.spans().iter().enumerate() {
            let full = lambda.covariance(term);
            let packed = (0..span.width).flat_map(|i| (0..=i).map(move |j| i * span.width + j));
            let packed: Vec<f64> = packed.map(|at| full[at]).collect();
            let (values, vectors) = eigen(&packed, span.width)?;
            let deviations: Vec<f64> = values.iter().map(|value| value.max(0.0).sqrt()).collect();
            if deviations.iter().all(|deviation| *deviation >= SINGULAR) {
                continue;
            }
            any = true;
            let own = self.places.iter().zip(&mut zeroed).filter(|(place, _)| place.term == term);
            for (Place { row, column, .. }, x) in own {
                let deviation = deviations[*column];
                *x = if deviation < SINGULAR { 0.0 } else { deviation * vectors[*column][*row] };
            }
        }
        any.then_some(zeroed)
    }

    /// Squares with this on their diagonals, and zero beside.
    fn start(&self, diagonal: f64) -> Vec<f64> {
        let value = |place: &Place| if place.row == place.column { diagonal } else { 0.0 };
        self.places.iter().map(value).collect()
    }

    /// The criterion with so many parameters.
    fn criterion(&self, parameters: usize) -> &Criterion<'_> {
        if parameters == self.poisson.parameters() {
            &self.poisson
        } else {
            &self.negative_binomial
        }
    }

    fn criterion_of(&self, point: &Evaluation) -> &Criterion<'_> {
        self.criterion(point.at.len())
    }
}

struct Objective<'a> {
    criterion: &'a Criterion<'a>,
    /// Where log(alpha) is below, and goes down, to leave.
    limit: Option<f64>,
    passes: &'a mut usize,
}

impl Smooth for Objective<'_> {
    type Point = Evaluation;

    fn look(&mut self, at: &[f64], near: &Evaluation) -> Result<Option<Evaluation>> {
        if !self.criterion.is_poisson() && at[at.len() - 1] > LARGEST.ln() {
            return Ok(None);
        }
        let mut start = near.mode.clone();
        let away: Vec<f64> = at.iter().zip(&near.at).map(|(x, y)| x - y).collect();
        if away.iter().all(|distance| distance.abs() <= TANGENT) {
            for (distance, step) in away.iter().zip(&near.moves) {
                start = super::mode::advance(&start, step, *distance);
            }
        }
        self.criterion.evaluate(at, &start, self.passes)
    }

    fn at<'a>(&self, point: &'a Evaluation) -> &'a [f64] {
        &point.at
    }

    fn value(&self, point: &Evaluation) -> f64 {
        point.value
    }

    fn gradient<'a>(&self, point: &'a Evaluation) -> &'a [f64] {
        &point.gradient
    }

    fn leaves(&self, point: &Evaluation) -> bool {
        let last = point.at.len() - 1;
        self.limit.is_some_and(|limit| point.at[last] < limit && point.gradient[last] > 0.0)
    }
}

/// The covariance of each term's effects, in the columns as they were named.
fn covariances(effects: &Effects, at: &[f64]) -> Vec<f64> {
    let lambda = Lambda::new(effects, at);
    let named = |term| effects.basis(term).named_covariance(&lambda.covariance(term));
    (0..effects.spans().len()).flat_map(named).collect()
}
