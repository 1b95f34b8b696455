//! Newton's ascent of a log-likelihood, in the coefficients of the design's
//! basis and, where the family has one, in the logarithm of its shape.

use super::pass::{Curvature, Sums};
use super::solve::{Solution, inner, solve};
use crate::Result;

/// Squared distance to the optimum, in standard errors, at which to stop.
pub const CONVERGED: f64 = 1e-16;
/// Where rounding stops an ascent, this is still near enough.
const NEAR_ENOUGH: f64 = 1e-13;
/// A step of this size in the basis, so near the optimum, is taken in a
/// direction in which there is no optimum.
const DIVERGING: f64 = 1e-5;
/// So near (squared, in standard errors) a parabola tells the log-likelihood's optimum.
const NEARLY: f64 = 1e-7;
/// A step of Newton's method that moves no linear predictor, nor log(alpha), by more than
/// this leads to the optimum: weights, and with them standard errors, change by no larger
/// share, and of the step itself no larger share is left.
const STEADY: f64 = 3e-6;
/// Fisher scoring is cheap and steady; what it has not solved by then needs the
/// observed curvature.
const SCORING_ITERATIONS: usize = 15;
/// So does the rest of the way, where Newton's method squares what is left with every
/// step: once a step changes the linear predictors by less than this (mean square).
const NEAR: f64 = 0.02;
/// Where the distance is known to be below this (squared, in standard errors) next, that
/// look may be the last, and is asked for expected information as well.
const LAST: f64 = 1e-9;
/// Steps of log(alpha), and of a linear predictor after a failed step.
const SHAPE_STEP: f64 = 3.0;
const PREDICTOR_STEP: f64 = 4.0;
const HALVINGS: usize = 40;
/// A step towards an optimum at infinity multiplies the decrement by about
/// 1 / e: this range of factors, twice in a row, is suspicious.
const ENDLESS: std::ops::Range<f64> = 0.30..0.45;

/// Where a log-likelihood is looked at.
#[derive(Clone, Debug)]
pub struct Point {
    pub coefficients: Vec<f64>,
    /// log(alpha); not used by families without a shape.
    pub shape: f64,
}

/// Where an ascent starts.
pub struct Start {
    pub point: Point,
    /// Whether the optimum is thought to be so near that the first look may be the last.
    pub near: bool,
}

impl From<Point> for Start {
    fn from(point: Point) -> Self {
        Self { point, near: false }
    }
}

/// What is seen there.
pub struct View {
    pub log_likelihood: f64,
    pub sums: Sums,
    /// First and second derivative with respect to log(alpha).
    pub shape: Option<(f64, f64)>,
}

/// A log-likelihood.
pub trait Objective {
    fn view(&mut self, at: &Point, curvature: Curvature) -> Result<View>;
    /// The largest change of a cell's linear predictor that a step makes.
    fn largest_change(&self, step: &[f64]) -> f64;
    /// The same or more, without a look at the cells.
    fn most_change(&self, step: &[f64]) -> f64;
    /// The nearest point at which the likelihood can be seen.
    fn visible(&self, point: Point) -> Point {
        point
    }
    /// What rounding may take from a log-likelihood, which is a sum over many cells.
    fn slack(&self, log_likelihood: f64) -> f64 {
        1e-9 + 1e-11 * log_likelihood.abs()
    }
}

/// How far an ascent came.
pub struct Summit {
    pub point: Point,
    /// Seen with expected curvature.
    pub view: View,
    /// The last step that was thought of, in the basis.
    pub step: Vec<f64>,
    /// What the shape moved after the view.
    pub shape_moved: f64,
    /// Squared distance to the optimum that was left, in standard errors.
    pub decrement: f64,
    pub iterations: usize,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Converged,
    /// It looks as if there were no optimum: steps do not become shorter.
    Endless,
    NotConverged,
}

struct Step {
    coefficients: Vec<f64>,
    shape: f64,
    singular: bool,
    decrement: f64,
}

/// How long an ascent may take.
#[derive(Clone, Copy)]
pub struct Patience {
    pub max_iterations: usize,
    /// After how many of them to suspect that there is no optimum.
    pub trusting: usize,
    /// The squared distance, in standard errors, that will do.
    pub converged: f64,
}

/// Climbs from `start`. `stop` is asked at each point whether to leave early,
/// as not converged.
pub fn ascend(
    objective: &mut impl Objective,
    start: Start,
    patience: Patience,
    stop: impl Fn(&Point, &View) -> bool,
) -> Result<Summit> {
    let curvature = if start.near { Curvature::Both } else { Curvature::Expected };
    let point = objective.visible(start.point);
    let mut path = Path { point, shape_moved: 0.0, curvature, iterations: 1 };
    let mut view = objective.view(&path.point, path.curvature)?;
    let mut before = f64::INFINITY;
    let mut suspicions = 0;
    loop {
        let mut step = newton(&view, path.curvature);
        let near = step.as_ref().is_some_and(|step| is_near(step, &view, path.curvature));
        if path.iterations == 1 && path.curvature.observed() && !near {
            path.curvature = Curvature::Expected;
            step = newton(&view, path.curvature);
        }
        let Some(step) = step else {
            return path.end(objective, view, None, End::NotConverged);
        };
        // What no longer shrinks is the rounding of sums over huge counts.
        let rounding = step.decrement <= NEAR_ENOUGH && step.decrement > 0.25 * before;
        let steady = step.decrement <= NEARLY
            && path.curvature.observed()
            && step.shape.abs() <= STEADY
            && objective.most_change(&step.coefficients) <= STEADY;
        if (step.decrement <= patience.converged || rounding || steady) && concave(&view) {
            let end = if diverges(&step) { End::Endless } else { End::Converged };
            path.point = advance(&path.point, &step, 1.0);
            path.shape_moved = step.shape;
            view.log_likelihood += 0.5 * step.decrement;
            return path.end(objective, view, Some(step), end);
        }
        let endless = step.singular || ENDLESS.contains(&(step.decrement / before));
        suspicions = if endless { suspicions + 1 } else { 0 };
        let shrunk = if before.is_finite() { step.decrement / before } else { 1.0 };
        before = step.decrement;
        if suspicions >= 2 && path.iterations >= patience.trusting {
            return path.end(objective, view, Some(step), End::Endless);
        }
        if path.iterations >= patience.max_iterations || stop(&path.point, &view) {
            return path.end(objective, view, Some(step), End::NotConverged);
        }
        if near || path.iterations >= SCORING_ITERATIONS {
            let last = step.decrement * shrunk * shrunk <= LAST;
            path.curvature = if last { Curvature::Both } else { Curvature::Observed };
        }
        let Some(higher) = climb(objective, &mut path, &view, &step)? else {
            let near = step.decrement <= NEAR_ENOUGH && concave(&view) && !diverges(&step);
            let end = if near { End::Converged } else { End::NotConverged };
            return path.end(objective, view, Some(step), end);
        };
        view = higher;
    }
}

/// Where an ascent is.
struct Path {
    point: Point,
    /// What its shape has moved since it was looked at.
    shape_moved: f64,
    curvature: Curvature,
    iterations: usize,
}

impl Path {
    fn end(
        self,
        objective: &mut impl Objective,
        view: View,
        step: Option<Step>,
        end: End,
    ) -> Result<Summit> {
        let (view, shape_moved) = match self.curvature {
            Curvature::Expected | Curvature::Both => (view, self.shape_moved),
            Curvature::Observed => (objective.view(&self.point, Curvature::Expected)?, 0.0),
        };
        let decrement = step.as_ref().map_or(f64::NAN, |step| step.decrement);
        let zero = || vec![0.0; self.point.coefficients.len()];
        let step = step.map_or_else(zero, |step| step.coefficients);
        let Self { point, iterations, .. } = self;
        Ok(Summit { point, view, step, shape_moved, decrement, iterations, end })
    }
}

/// The step that Newton's method, or Fisher scoring, takes from here.
fn newton(view: &View, curvature: Curvature) -> Option<Step> {
    let information = information(view, curvature);
    let Some((slope, bend)) = view.shape else {
        let solution = solve(information, &view.sums.score)?;
        let decrement = inner(&solution.step, &view.sums.score);
        let Solution { step: coefficients, singular } = solution;
        return Some(Step { coefficients, shape: 0.0, singular, decrement });
    };
    let (mut coefficients, shape, singular) = match curvature {
        Curvature::Expected => {
            let solution = solve(information, &view.sums.score)?;
            let shape = if bend < 0.0 { -slope / bend } else { slope.signum() };
            (solution.step, shape, solution.singular)
        }
        Curvature::Observed | Curvature::Both => {
            let mut triangle = information.to_vec();
            triangle.extend(view.sums.cross.iter().map(|c| -c));
            triangle.push(-bend);
            let mut gradient = view.sums.score.clone();
            gradient.push(slope);
            let mut solution = solve(&triangle, &gradient)?;
            let shape = solution.step.pop().expect("the shape's step is the last");
            (solution.step, shape, solution.singular)
        }
    };
    let decrement = inner(&coefficients, &view.sums.score) + slope * shape;
    let limited = shape.clamp(-SHAPE_STEP, SHAPE_STEP);
    if curvature.observed() && limited != shape {
        coefficients.iter_mut().for_each(|c| *c *= limited / shape);
    }
    Some(Step { coefficients, shape: limited, singular, decrement })
}

/// The information that steps are made of.
fn information(view: &View, curvature: Curvature) -> &[f64] {
    if curvature.observed() { &view.sums.observed } else { &view.sums.information }
}

fn is_near(step: &Step, view: &View, curvature: Curvature) -> bool {
    step.decrement <= NEAR * mean_information(view, curvature) && concave(view)
}

/// Of one coefficient: the basis is orthogonal, and of the scale of a constant.
fn mean_information(view: &View, curvature: Curvature) -> f64 {
    let (triangle, p) = (information(view, curvature), view.sums.score.len());
    (0..p).map(|i| triangle[i * (i + 3) / 2]).sum::<f64>() / p as f64
}

/// Takes the step, or as much of it as climbs; counts each look.
fn climb(
    objective: &mut impl Objective,
    path: &mut Path,
    view: &View,
    step: &Step,
) -> Result<Option<View>> {
    let slack = objective.slack(view.log_likelihood);
    let mut factor = 1.0;
    for attempt in 0..HALVINGS {
        let point = objective.visible(advance(&path.point, step, factor));
        let seen = objective.view(&point, path.curvature)?;
        path.iterations += 1;
        if seen.log_likelihood >= view.log_likelihood - slack {
            path.point = point;
            return Ok(Some(seen));
        }
        factor *= 0.5;
        if attempt == 0 {
            let change = objective.largest_change(&step.coefficients);
            factor = factor.min(PREDICTOR_STEP / change);
        }
    }
    Ok(None)
}

fn advance(from: &Point, step: &Step, factor: f64) -> Point {
    let moved = from.coefficients.iter().zip(&step.coefficients).map(|(c, s)| c + factor * s);
    Point { coefficients: moved.collect(), shape: from.shape + factor * step.shape }
}

fn concave(view: &View) -> bool {
    view.shape.is_none_or(|(_, bend)| bend < 0.0)
}

fn diverges(step: &Step) -> bool {
    step.singular || step.coefficients.iter().any(|s| s.abs() > DIVERGING)
}
