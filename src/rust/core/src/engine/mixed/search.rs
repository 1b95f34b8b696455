//! The minimum of a smooth function of few parameters: a quasi-Newton method (BFGS)
//! whose end is checked by second derivatives, so that it does not rest where only the
//! slope vanishes.

use crate::Result;
use crate::engine::glm::{eigen, inner};

/// What is left to gain, as second derivatives see it, at which to stop.
const CONVERGED: f64 = 1e-10;
/// Steps of any parameter are no longer.
const LONGEST: f64 = 2.0;
/// For differences of gradients.
const DIFFERENCE: f64 = 1e-4;
/// A curvature below this share of the largest tells nothing of how far to go.
const FLAT: f64 = 1e-7;
/// One that is negative, and above this share, is that of a saddle, not rounding.
const SADDLE: f64 = 1e-4;
/// Steps after which second derivatives are measured anew: where a variance vanishes,
/// the valley is narrow and bends.
const STALE: usize = 12;
const HALVINGS: usize = 30;
/// What rounding may do to a value, as a share of it.
pub const ROUNDING: f64 = 1e-14;

/// A function with its gradient.
pub trait Smooth {
    type Point: Clone;
    /// None where it has no value. `near` is what is known nearby.
    fn look(&mut self, at: &[f64], near: &Self::Point) -> Result<Option<Self::Point>>;
    fn at<'a>(&self, point: &'a Self::Point) -> &'a [f64];
    fn value(&self, point: &Self::Point) -> f64;
    fn gradient<'a>(&self, point: &'a Self::Point) -> &'a [f64];
    /// Whether to leave the search here.
    fn leaves(&self, point: &Self::Point) -> bool;
}

/// Where a search ended.
pub struct Found<P> {
    pub point: P,
    pub end: End,
    /// What was left to gain.
    pub left: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Converged,
    Left,
    NotConverged,
}

/// Descends from a point; looks `most` times at most.
pub fn descend<S: Smooth>(
    function: &mut S,
    start: S::Point,
    most: usize,
) -> Result<Found<S::Point>> {
    let mut path = Path { point: start, inverse: None, age: 0, looks: 0, most };
    loop {
        if function.leaves(&path.point) {
            return Ok(path.end(End::Left, f64::NAN));
        }
        let gradient = function.gradient(&path.point).to_vec();
        let measured = path.inverse.is_none();
        let (step, gain) = match &path.inverse {
            Some(inverse) => {
                let step = times(inverse, &gradient);
                let gain = -0.5 * inner(&step, &gradient);
                (step, gain)
            }
            None => match path.measure(function)? {
                Some(newton) => {
                    (path.inverse, path.age) = (Some(newton.inverse), 0);
                    (newton.step, newton.gain)
                }
                None => return Ok(path.end(End::NotConverged, f64::NAN)),
            },
        };
        let hidden = ROUNDING * function.value(&path.point).abs();
        if measured && gain <= CONVERGED.max(hidden) {
            // The last step costs little, and leaves nothing.
            path.walk(function, step)?;
            return Ok(path.end(End::Converged, gain));
        }
        if gain <= CONVERGED {
            // The second derivatives have the last word.
            path.inverse = None;
            continue;
        }
        if path.looks >= path.most {
            return Ok(path.end(End::NotConverged, gain));
        }
        let moved = path.walk(function, step)?;
        if !moved && measured {
            // Rounding hides what there is to gain.
            let end = if gain <= 1e-7 { End::Converged } else { End::NotConverged };
            return Ok(path.end(end, gain));
        }
        path.age += 1;
        if !moved || path.age >= STALE {
            path.inverse = None;
        }
    }
}

struct Path<P> {
    point: P,
    /// Of the second derivatives, as known so far.
    inverse: Option<Vec<f64>>,
    /// Steps since they were measured.
    age: usize,
    looks: usize,
    most: usize,
}

struct Newton {
    inverse: Vec<f64>,
    step: Vec<f64>,
    /// What the step would gain, were the function quadratic.
    gain: f64,
}

impl<P: Clone> Path<P> {
    fn end(self, end: End, left: f64) -> Found<P> {
        Found { point: self.point, end, left }
    }

    /// Goes down along a step as far as it is downhill; tells whether it has moved.
    fn walk<S: Smooth<Point = P>>(&mut self, function: &mut S, step: Vec<f64>) -> Result<bool> {
        let longest = step.iter().fold(0.0f64, |most, s| most.max(s.abs()));
        let mut factor = (LONGEST / longest).min(1.0);
        let (from, value) = (function.at(&self.point).to_vec(), function.value(&self.point));
        let gradient = function.gradient(&self.point).to_vec();
        let slope = inner(&gradient, &step);
        for _ in 0..HALVINGS {
            let at: Vec<f64> = from.iter().zip(&step).map(|(x, s)| x + factor * s).collect();
            self.looks += 1;
            let seen = function.look(&at, &self.point)?;
            let downhill = |seen: &P| {
                let rise = function.value(seen) - value;
                let flatter = inner(function.gradient(seen), &step).abs() <= slope.abs();
                // Where rounding hides the descent, slopes still show it.
                rise <= 1e-4 * factor * slope || (rise <= ROUNDING * value.abs() && flatter)
            };
            if let Some(seen) = seen
                && downhill(&seen)
            {
                let moved: Vec<f64> = step.iter().map(|s| factor * s).collect();
                let turned: Vec<f64> =
                    function.gradient(&seen).iter().zip(&gradient).map(|(a, b)| a - b).collect();
                if let Some(inverse) = &mut self.inverse {
                    update(inverse, &moved, &turned);
                }
                self.point = seen;
                return Ok(true);
            }
            factor *= 0.4;
        }
        Ok(false)
    }

    /// Second derivatives by differences of gradients, and what Newton's method makes of
    /// them; directions that bend down are gone down as if they bent up.
    fn measure<S: Smooth<Point = P>>(&mut self, function: &mut S) -> Result<Option<Newton>> {
        let at = function.at(&self.point).to_vec();
        let gradient = function.gradient(&self.point).to_vec();
        let n = at.len();
        let mut rows: Vec<Vec<f64>> = vec![];
        for k in 0..n {
            let mut beside = |by: f64| {
                let mut beside = at.clone();
                beside[k] += by;
                self.looks += 1;
                function.look(&beside, &self.point)
            };
            let (above, below) = (beside(DIFFERENCE)?, beside(-DIFFERENCE)?);
            let (Some(above), Some(below)) = (above, below) else { return Ok(None) };
            let row = function.gradient(&above).iter().zip(function.gradient(&below));
            rows.push(row.map(|(a, b)| (a - b) / (2.0 * DIFFERENCE)).collect());
        }
        let entry = |(i, j): (usize, usize)| 0.5 * (rows[i][j] + rows[j][i]);
        let triangle: Vec<f64> =
            (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))).map(entry).collect();
        let Some((values, vectors)) = eigen(&triangle, n) else { return Ok(None) };
        let largest = values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let mut newton = Newton { inverse: vec![0.0; n * n], step: vec![0.0; n], gain: 0.0 };
        for (value, vector) in values.iter().zip(&vectors) {
            let curvature = value.abs().max(FLAT * largest).max(f64::MIN_POSITIVE);
            let mut slope = inner(vector, &gradient);
            // At a saddle, or a maximum, the slope vanishes where there is a way down.
            if *value < -SADDLE * largest && slope.abs() < 0.1 * value.abs() {
                slope = 0.1 * value.abs() * if slope < 0.0 { -1.0 } else { 1.0 };
            }
            newton.gain += 0.5 * slope * slope / curvature;
            for i in 0..n {
                newton.step[i] -= vector[i] * slope / curvature;
                for j in 0..n {
                    newton.inverse[i * n + j] += vector[i] * vector[j] / curvature;
                }
            }
        }
        Ok(Some(newton))
    }
}

/// Broyden, Fletcher, Goldfarb and Shanno's update of the inverse.
fn update(inverse: &mut [f64], step: &[f64], turned: &[f64]) {
    let n = step.len();
    let along = inner(step, turned);
    if along <= 1e-12 * (inner(step, step) * inner(turned, turned)).sqrt() {
        return;
    }
    let forward: Vec<f64> = (0..n).map(|i| inner(&inverse[i * n..(i + 1) * n], turned)).collect();
    let scale = (1.0 + inner(&forward, turned) / along) / along;
    for i in 0..n {
        for j in 0..n {
            inverse[i * n + j] +=
                scale * step[i] * step[j] - (forward[i] * step[j] + step[i] * forward[j]) / along;
        }
    }
}

/// Minus the inverse times the gradient.
fn times(inverse: &[f64], gradient: &[f64]) -> Vec<f64> {
    let n = gradient.len();
    (0..n).map(|i| -inner(&inverse[i * n..(i + 1) * n], gradient)).collect()
}
