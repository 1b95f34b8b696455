//! Where to start: near the optimum, found with cells in single precision.
//!
//! An optimum over a quarter of the cells is some two standard errors from that over
//! all of them, from where Newton's method takes two or three steps. The quarter starts
//! from a quarter of its own, and so on: all looks at fewer cells together cost half
//! of one at all of them. Single precision costs half of double, and what it takes for
//! the optimum is so near that one look in double precision is left.

use super::ascent::{End, Objective, Patience, Point, Start, Summit, View, ascend};
use super::job::{Climbed, Job};
use super::laid::Laid;
use super::likelihood::{Likelihood, Model};
use super::pass::{Curvature, Workspace};
use crate::Result;
use crate::design::Rough;

/// With fewer cells that have counts there is nothing to be seen.
const FEWEST_COUNTS: usize = 8;
/// Squared distance to the optimum of some cells from which one step will do, in their
/// standard errors and a coefficient; that of all cells; and the looks that may be taken.
const CLOSE: f64 = 8.0;
const CLOSE_TO_ALL: f64 = 1e-5;
const LOOKS: usize = 12;

/// What holds log(alpha) back, in 1 / variance.
const SHAPE_PRECISION: f64 = 0.25;
/// Larger ones times a mean are beyond single precision.
const LARGEST_ALPHA: f64 = 1e9;

/// Climbs a gene's likelihood from a better start, and from the one that is given if that
/// leads nowhere; `stop` as in [`Job::climb`].
pub fn look_and_climb(
    job: &Job<'_>,
    model: Model<'_>,
    start: Point,
    workspace: &mut Workspace,
    stop: impl Fn(f64, f64) -> bool,
) -> Climbed<Summit> {
    let Some(rough) = job.design.rough() else {
        return job.climb(model, start, workspace, stop);
    };
    let better = look_at(rough, job, &job.laid, model, start.clone().into(), workspace)?;
    let summit = job.climb(model, better, workspace, &stop)?;
    let stopped = summit.view.shape.is_some_and(|(slope, _)| stop(summit.point.shape, slope));
    if summit.end == End::Converged || stopped {
        return Ok(summit);
    }
    let mut again = job.climb(model, start, workspace, stop)?;
    again.iterations += summit.iterations;
    Ok(again)
}

fn look_at(
    rough: &Rough,
    job: &Job<'_>,
    counts: &Laid<'_>,
    model: Model<'_>,
    start: Start,
    workspace: &Workspace,
) -> Result<Start> {
    if !counts.holds(FEWEST_COUNTS) {
        return Ok(start);
    }
    let start = match rough.thinned() {
        Some(thinned) => {
            let fewer = counts.thinned(thinned.stride(), thinned.blocks().cells());
            look_at(thinned, job, &fewer, model, start, workspace)?.point
        }
        None => start.point,
    };
    let whole = rough.stride() == 1;
    let histogram;
    let model = match model {
        Model::NegativeBinomial(_) if !whole => {
            histogram = counts.histogram();
            Model::NegativeBinomial(&histogram)
        }
        Model::NegativeBinomialAt(alpha, _) if !whole => {
            histogram = counts.histogram();
            Model::NegativeBinomialAt(alpha, &histogram)
        }
        of_all => of_all,
    };
    let (blocks, reach, monitor) = (rough.blocks(), job.design.reach(), job.monitor);
    let response = counts.response();
    let likelihood = Likelihood { model, blocks, response, reach, workspace, monitor };
    let mut objective = Restrained {
        likelihood,
        centre: start.coefficients.clone(),
        precision: reach.iter().map(|x| if whole { 0.0 } else { x * x }).collect(),
        shape: start.shape,
        shape_precision: if whole { 0.0 } else { SHAPE_PRECISION },
    };
    let converged = if whole { CLOSE_TO_ALL } else { CLOSE * start.coefficients.len() as f64 };
    let patience = Patience { max_iterations: LOOKS, trusting: LOOKS, converged };
    let summit = ascend(&mut objective, start.clone().into(), patience, |point, _| {
        point.shape.exp() > LARGEST_ALPHA
    })?;
    let (found, arrived) = (summit.point, summit.decrement <= converged);
    let finite = found.coefficients.iter().all(|c| c.is_finite()) && found.shape.is_finite();
    Ok(match finite && (arrived || !whole) {
        true => Start { point: found, near: whole },
        false => start.into(),
    })
}

/// A likelihood in single precision. That of some cells is held back from where few of them
/// lead: by a normal density about the start, in which a coefficient that moves some cell's
/// linear predictor by one has moved a standard deviation. It has an optimum.
struct Restrained<'a> {
    likelihood: Likelihood<'a, f32>,
    centre: Vec<f64>,
    precision: Vec<f64>,
    shape: f64,
    shape_precision: f64,
}

impl Objective for Restrained<'_> {
    fn view(&mut self, at: &Point, curvature: Curvature) -> Result<View> {
        let mut view = self.likelihood.view(at, curvature)?;
        for (k, precision) in self.precision.iter().enumerate() {
            let moved = at.coefficients[k] - self.centre[k];
            view.log_likelihood -= 0.5 * precision * moved * moved;
            view.sums.score[k] -= precision * moved;
            for triangle in [&mut view.sums.information, &mut view.sums.observed] {
                if let Some(diagonal) = triangle.get_mut(k * (k + 3) / 2) {
                    *diagonal += precision;
                }
            }
        }
        if let Some((slope, bend)) = &mut view.shape {
            let moved = at.shape - self.shape;
            view.log_likelihood -= 0.5 * self.shape_precision * moved * moved;
            *slope -= self.shape_precision * moved;
            *bend -= self.shape_precision;
        }
        Ok(view)
    }

    fn largest_change(&self, step: &[f64]) -> f64 {
        self.likelihood.largest_change(step)
    }

    fn most_change(&self, step: &[f64]) -> f64 {
        self.likelihood.most_change(step)
    }

    /// With coefficients of single precision: rounding them would move all cells alike.
    fn visible(&self, point: Point) -> Point {
        let round = |c: f64| f64::from(c as f32);
        let shape = -round((-point.shape).exp()).ln();
        Point { coefficients: point.coefficients.into_iter().map(round).collect(), shape }
    }

    fn slack(&self, log_likelihood: f64) -> f64 {
        1e-6 * (1.0 + log_likelihood.abs())
    }
}
