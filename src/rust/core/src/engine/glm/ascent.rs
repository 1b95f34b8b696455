//! Newton's ascent of a log-likelihood, in the coefficients of the design's
//! basis and, where the family has one, in the logarithm of its shape.

use super::pass::{Curvature, Sums};
use super::solve::{inner, solve, solve_near};
use crate::Result;

/// Squared distance to the optimum, in standard errors, at which to stop.
const CONVERGED: f64 = 1e-16;
/// Where rounding stops an ascent, this is still near enough.
const NEAR_ENOUGH: f64 = 1e-13;
/// And this where directions without information have made sums cancel.
const NEAR_ENOUGH_APART: f64 = 1e-10;
/// A step of this size in the basis, so near the optimum, is taken in a
/// direction in which there is no optimum.
const DIVERGING: f64 = 1e-5;
/// Fisher scoring is cheap and steady; what it has not solved by then needs the
/// observed curvature.
const SCORING_ITERATIONS: usize = 15;
/// Steps of log(alpha), and of a linear predictor after a failed step.
const SHAPE_STEP: f64 = 3.0;
const PREDICTOR_STEP: f64 = 4.0;
const HALVINGS: usize = 40;
/// Each step towards an optimum at infinity is one unit long there, and shrinks
/// the decrement by this range of factors. Such steps are stretched.
const ENDLESS: std::ops::Range<f64> = 0.30..0.45;
const STRETCH: f64 = 8.0;
/// Where the end is near, steps are taken as they are.
const NEAR: f64 = 1e-8;

/// Where a log-likelihood is looked at.
#[derive(Clone, Debug)]
pub struct Point {
    pub coefficients: Vec<f64>,
    /// log(alpha); not used by families without a shape.
    pub shape: f64,
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
}

/// How far an ascent came.
pub struct Summit {
    pub point: Point,
    /// Seen with expected curvature.
    pub view: View,
    /// Directions in which the likelihood keeps growing.
    pub null: Vec<Vec<f64>>,
    /// Squared distance to the optimum that was left, in standard errors.
    pub decrement: f64,
    pub iterations: usize,
    pub converged: bool,
}

struct Step {
    coefficients: Vec<f64>,
    shape: f64,
    null: Vec<Vec<f64>>,
    decrement: f64,
}

/// Climbs from `start`. `stop` is asked at each point whether to leave early,
/// as not converged.
pub fn ascend(
    objective: &mut impl Objective,
    start: Point,
    max_iterations: usize,
    stop: impl Fn(&Point, &View) -> bool,
) -> Result<Summit> {
    let mut point = start;
    let mut curvature = Curvature::Expected;
    let mut view = objective.view(&point, curvature)?;
    let mut iterations = 1;
    let mut before = f64::INFINITY;
    loop {
        let Some(step) = newton(&view, curvature) else {
            return finish(objective, point, view, curvature, None, iterations);
        };
        // What no longer shrinks is the rounding of sums over huge counts.
        let enough = if step.null.is_empty() { NEAR_ENOUGH } else { NEAR_ENOUGH_APART };
        let rounding = step.decrement <= enough && step.decrement > 0.25 * before;
        let endless = step.decrement > NEAR && ENDLESS.contains(&(step.decrement / before));
        before = step.decrement;
        let within = (step.decrement <= CONVERGED || rounding) && concave(&view);
        if within {
            let last = without_divergence(step, &view);
            let close = advance(&point, &last, 1.0);
            return finish(objective, close, view, curvature, Some(last), iterations);
        }
        if iterations >= max_iterations || stop(&point, &view) {
            return finish(objective, point, view, curvature, None, iterations);
        }
        if iterations >= SCORING_ITERATIONS && view.shape.is_some() {
            curvature = Curvature::Observed;
        }
        if endless {
            let far = stretched(&step);
            let seen = objective.view(&advance(&point, &far, 1.0), curvature)?;
            iterations += 1;
            if seen.log_likelihood > view.log_likelihood {
                (point, view) = (advance(&point, &far, 1.0), seen);
                continue;
            }
        }
        match climb(objective, &point, &view, &step, curvature, &mut iterations)? {
            Some((higher, seen)) => (point, view) = (higher, seen),
            None => {
                let near = step.decrement <= NEAR_ENOUGH_APART && concave(&view);
                let step = near.then(|| without_divergence(step, &view));
                return finish(objective, point, view, curvature, step, iterations);
            }
        }
    }
}

/// The step that Newton's method, or Fisher scoring, takes from here.
fn newton(view: &View, curvature: Curvature) -> Option<Step> {
    let Some((slope, bend)) = view.shape else {
        let solution = solve(&view.sums.information, &view.sums.score)?;
        let decrement = inner(&solution.step, &view.sums.score);
        let (coefficients, null) = (solution.step, solution.null);
        return Some(Step { coefficients, shape: 0.0, null, decrement });
    };
    let (mut coefficients, shape, null) = match curvature {
        Curvature::Expected => {
            let solution = solve(&view.sums.information, &view.sums.score)?;
            let shape = if bend < 0.0 { -slope / bend } else { slope.signum() };
            (solution.step, shape, solution.null)
        }
        Curvature::Observed => {
            let p = view.sums.score.len();
            let mut triangle = view.sums.information.clone();
            triangle.extend(view.sums.cross.iter().map(|c| -c));
            triangle.push(-bend);
            let mut gradient = view.sums.score.clone();
            gradient.push(slope);
            let mut solution = solve(&triangle, &gradient)?;
            let shape = solution.step.pop().expect("the shape's step is the last");
            solution.null.iter_mut().for_each(|direction| direction.truncate(p));
            (solution.step, shape, solution.null)
        }
    };
    let decrement = inner(&coefficients, &view.sums.score) + slope * shape;
    let limited = shape.clamp(-SHAPE_STEP, SHAPE_STEP);
    if curvature == Curvature::Observed && limited != shape {
        coefficients.iter_mut().for_each(|c| *c *= limited / shape);
    }
    Some(Step { coefficients, shape: limited, null, decrement })
}

fn stretched(step: &Step) -> Step {
    let coefficients = step.coefficients.iter().map(|s| STRETCH * s).collect();
    Step { coefficients, null: vec![], ..*step }
}

/// Takes the step, or as much of it as climbs; counts each look.
fn climb(
    objective: &mut impl Objective,
    from: &Point,
    view: &View,
    step: &Step,
    curvature: Curvature,
    iterations: &mut usize,
) -> Result<Option<(Point, View)>> {
    // Sums over many cells are rounded.
    let slack = 1e-9 + 1e-11 * view.log_likelihood.abs();
    let mut factor = 1.0;
    for attempt in 0..HALVINGS {
        let point = advance(from, step, factor);
        let seen = objective.view(&point, curvature)?;
        *iterations += 1;
        if seen.log_likelihood >= view.log_likelihood - slack {
            return Ok(Some((point, seen)));
        }
        factor *= 0.5;
        if attempt == 0 {
            let change = objective.largest_change(&step.coefficients);
            factor = factor.min(PREDICTOR_STEP / change);
        }
    }
    Ok(None)
}

fn finish(
    objective: &mut impl Objective,
    point: Point,
    view: View,
    curvature: Curvature,
    last: Option<Step>,
    iterations: usize,
) -> Result<Summit> {
    let view = match curvature {
        Curvature::Expected => view,
        Curvature::Observed => objective.view(&point, Curvature::Expected)?,
    };
    let converged = last.is_some();
    let (null, decrement) = last.map_or((vec![], f64::NAN), |step| (step.null, step.decrement));
    Ok(Summit { point, view, null, decrement, iterations, converged })
}

fn advance(from: &Point, step: &Step, factor: f64) -> Point {
    let moved = from.coefficients.iter().zip(&step.coefficients).map(|(c, s)| c + factor * s);
    Point { coefficients: moved.collect(), shape: from.shape + factor * step.shape }
}

fn concave(view: &View) -> bool {
    view.shape.is_none_or(|(_, bend)| bend < 0.0)
}

/// The last step, but for the directions in which no step would be the last.
fn without_divergence(step: Step, view: &View) -> Step {
    let longest = step.coefficients.iter().fold(0.0f64, |m, s| m.max(s.abs()));
    if longest <= DIVERGING && step.null.is_empty() {
        return step;
    }
    match solve_near(&view.sums.information, &view.sums.score, DIVERGING) {
        Some(solution) => Step { coefficients: solution.step, null: solution.null, ..step },
        None => step,
    }
}
