//! Where to start: near the optimum, found with some of the cells.
//!
//! An optimum over a quarter of the cells is some two standard errors from that over
//! all of them, from where Newton's method takes two or three steps. The quarter starts
//! from a quarter of its own, and so on: all looks at fewer cells together cost half
//! of one at all of them.

use super::ascent::{Objective, Patience, Point, View, ascend};
use super::gene::Job;
use super::likelihood::{Likelihood, Model};
use super::pass::{Curvature, Response, Workspace};
use crate::Result;
use crate::design::Thinned;
use crate::source::GeneCounts;
use crate::special::CountHistogram;

/// With fewer cells that have counts there is nothing to be seen.
const FEWEST_COUNTS: usize = 8;
/// Squared distance to the optimum of some cells from which one step will do, in their
/// standard errors and a coefficient; and the looks that may be taken at them.
const CLOSE: f64 = 8.0;
const LOOKS: usize = 12;

/// What holds log(alpha) back, in 1 / variance.
const SHAPE_PRECISION: f64 = 0.25;

/// A better start for a gene, from a start: it may be the same.
pub fn look_first(
    job: &Job<'_>,
    model: Model<'_>,
    start: Point,
    workspace: &mut Workspace,
) -> Result<Point> {
    match job.design.thinned() {
        Some(thinned) => look_at(thinned, job, job.counts, model, start, workspace),
        None => Ok(start),
    }
}

fn look_at(
    thinned: &Thinned,
    job: &Job<'_>,
    of_all: GeneCounts<'_>,
    model: Model<'_>,
    start: Point,
    workspace: &mut Workspace,
) -> Result<Point> {
    let (cells, counts) = thinned.counts(of_all);
    if cells.len() < FEWEST_COUNTS {
        return Ok(start);
    }
    let counts_here = GeneCounts { cells: &cells, counts: &counts };
    let start = match thinned.thinned() {
        Some(further) => look_at(further, job, counts_here, model, start, workspace)?,
        None => start,
    };
    let histogram;
    let model = match model {
        Model::NegativeBinomial(_) => {
            histogram = CountHistogram::new(&counts);
            Model::NegativeBinomial(&histogram)
        }
        Model::NegativeBinomialAt(alpha, _) => {
            histogram = CountHistogram::new(&counts);
            Model::NegativeBinomialAt(alpha, &histogram)
        }
        other => other,
    };
    let (blocks, monitor) = (thinned.blocks(), job.monitor);
    let response = Response::Cells(counts_here);
    let likelihood = Likelihood { model, blocks, response, workspace, monitor };
    let mut objective = Restrained {
        likelihood,
        centre: start.coefficients.clone(),
        precision: thinned.reach(),
        shape: start.shape,
    };
    let converged = CLOSE * start.coefficients.len() as f64;
    let patience = Patience { max_iterations: LOOKS, trusting: LOOKS, converged };
    let from = Point { coefficients: start.coefficients.clone(), shape: start.shape };
    let summit = ascend(&mut objective, from, patience, |_, _| false)?;
    let found = summit.point;
    let usable = found.coefficients.iter().all(|c| c.is_finite()) && found.shape.is_finite();
    Ok(if usable { found } else { start })
}

/// A likelihood of some cells, held back from where few of them lead: by a normal
/// density about the start, in which a coefficient that moves some cell's linear
/// predictor by one has moved a standard deviation. It has an optimum.
struct Restrained<'a> {
    likelihood: Likelihood<'a>,
    centre: Vec<f64>,
    precision: &'a [f64],
    shape: f64,
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
            view.log_likelihood -= 0.5 * SHAPE_PRECISION * moved * moved;
            *slope -= SHAPE_PRECISION * moved;
            *bend -= SHAPE_PRECISION;
        }
        Ok(view)
    }

    fn largest_change(&self, step: &[f64]) -> f64 {
        self.likelihood.largest_change(step)
    }
}
