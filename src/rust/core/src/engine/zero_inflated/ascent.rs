//! The ascent of a likelihood that may have saddles: Newton's steps where its
//! curvature is that of a summit, else steps that climb in any case.

use super::likelihood::{Likelihood, View};
use super::pass::Curvature;
use super::solve::{em_gradient, newton};
use crate::Result;

/// Squared distance to the optimum, in standard errors, at which to stop.
const CONVERGED: f64 = 1e-16;
/// Where rounding stops an ascent, this is still near enough; where huge counts are
/// rounded, what the likelihood cannot tell, up to 1e-4 standard errors.
const NEAR_ENOUGH: f64 = 1e-13;
const NEAREST_OF_HUGE: f64 = 1e-8;
/// A step of this size in the basis, so near the optimum, is taken in a direction in
/// which there is no optimum.
const DIVERGING: f64 = 1e-5;
/// A step towards an optimum at infinity multiplies the decrement by about 1 / e.
const ENDLESS: std::ops::Range<f64> = 0.30..0.45;
/// The longest step of a parameter, or this share of it.
const LONGEST: f64 = 4.0;
const SHARE: f64 = 0.5;
const HALVINGS: usize = 40;
/// A detour that climbs is gone on by this factor, as long as it climbs.
const LONGER: f64 = 4.0;
/// After so many detours in a row there may be no optimum.
const DETOURS: usize = 10;
/// So near an optimum, the decrement tells its height.
const IN_SIGHT: f64 = 0.1;

/// How far an ascent came.
pub struct Summit {
    pub point: Vec<f64>,
    /// Seen with the observed curvature.
    pub view: View,
    /// The last step that was thought of.
    pub step: Vec<f64>,
    /// Squared distance to the optimum that was left, in standard errors.
    pub decrement: f64,
    pub passes: usize,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Converged,
    /// It looks as if there were no optimum: steps do not become shorter.
    Endless,
    NotConverged,
    /// It was told to leave.
    Left,
    /// It comes to an optimum that is not high enough.
    Lower,
}

/// How long an ascent may take.
#[derive(Clone, Copy)]
pub struct Patience {
    pub passes: usize,
    /// How many signs in a row that there is no optimum it takes.
    pub signs: usize,
    /// An optimum below this log-likelihood is not worth the last steps.
    pub enough: f64,
}

/// Climbs from `start`. `leave` is asked at each point whether to leave early.
pub fn ascend(
    likelihood: &mut Likelihood<'_>,
    start: Vec<f64>,
    patience: Patience,
    leave: &dyn Fn(&[f64], &View) -> bool,
) -> Result<Summit> {
    let view = likelihood.view(&start, Curvature::Observed)?;
    let nowhere = vec![0.0; start.len()];
    let mut at = Summit {
        point: start,
        view,
        step: nowhere,
        decrement: f64::NAN,
        passes: 1,
        end: End::Left,
    };
    let (mut before, mut signs, mut detours) = (f64::INFINITY, 0, 0);
    loop {
        if !at.view.log_likelihood.is_finite() {
            return Ok(Summit { end: End::NotConverged, ..at });
        }
        let found = newton(&at.view.information, &at.view.gradient);
        if let Some((step, decrement)) = &found {
            at.step.clone_from(step);
            at.decrement = *decrement;
            // What no longer shrinks is the rounding of sums over huge counts.
            let rounding = *decrement <= near_enough(&at.view) && *decrement > 0.25 * before;
            if *decrement <= CONVERGED || rounding {
                at.end = if diverges(step) { End::Endless } else { End::Converged };
                at.point = advance(&at.point, step, 1.0);
                return Ok(at);
            }
            if *decrement < IN_SIGHT && at.view.log_likelihood + 2.0 * decrement < patience.enough {
                return Ok(Summit { end: End::Lower, ..at });
            }
            signs = if ENDLESS.contains(&(decrement / before)) { signs + 1 } else { 0 };
            before = *decrement;
        } else {
            (before, signs) = (f64::INFINITY, 0);
            at.decrement = f64::INFINITY;
        }
        detours = if found.is_none() { detours + 1 } else { 0 };
        if signs >= patience.signs || detours >= DETOURS {
            return Ok(Summit { end: End::Endless, ..at });
        }
        if at.passes >= patience.passes {
            return Ok(Summit { end: End::NotConverged, ..at });
        }
        if leave(&at.point, &at.view) {
            return Ok(Summit { end: End::Left, ..at });
        }
        let newtons = found.is_some();
        let climbed = newtons && climb(likelihood, &mut at)?;
        if !climbed && !detour(likelihood, &mut at)? {
            let near = newtons && at.decrement <= near_enough(&at.view) && !diverges(&at.step);
            at.end = if near { End::Converged } else { End::NotConverged };
            return Ok(at);
        }
    }
}

/// Takes the step, or as much of it as climbs.
pub fn climb(likelihood: &mut Likelihood<'_>, at: &mut Summit) -> Result<bool> {
    let slack = if at.decrement < 1e-6 { at.view.rounding } else { 0.0 };
    let mut factor = limited(&at.point, &at.step);
    for _ in 0..HALVINGS {
        let point = advance(&at.point, &at.step, factor);
        let view = likelihood.view(&point, Curvature::Observed)?;
        at.passes += 1;
        if view.log_likelihood >= at.view.log_likelihood - slack {
            (at.point, at.view) = (point, view);
            return Ok(true);
        }
        factor *= 0.5;
    }
    Ok(false)
}

/// A step where Newton's has no meaning, or does not climb.
fn detour(likelihood: &mut Likelihood<'_>, at: &mut Summit) -> Result<bool> {
    let complete = likelihood.view(&at.point, Curvature::Complete)?.information;
    at.passes += 1;
    let Some(step) = em_gradient(&complete, &at.view.information, &at.view.gradient) else {
        return Ok(false);
    };
    let newtons = std::mem::replace(&mut at.step, step);
    if !climb(likelihood, at)? {
        at.step = newtons;
        return Ok(false);
    }
    let mut factor = LONGER;
    loop {
        let point = advance(&at.point, &at.step, factor);
        let view = likelihood.view(&point, Curvature::Observed)?;
        at.passes += 1;
        if view.log_likelihood.is_nan() || view.log_likelihood <= at.view.log_likelihood {
            return Ok(true);
        }
        (at.point, at.view) = (point, view);
        factor *= LONGER;
    }
}

/// How much of a step is not too long.
fn limited(point: &[f64], step: &[f64]) -> f64 {
    let allowed = point.iter().map(|x| LONGEST.max(SHARE * x.abs()));
    allowed.zip(step).fold(1.0, |factor: f64, (most, s)| factor.min(most / s.abs()))
}

pub fn advance(from: &[f64], step: &[f64], factor: f64) -> Vec<f64> {
    from.iter().zip(step).map(|(x, s)| x + factor * s).collect()
}

fn near_enough(view: &View) -> f64 {
    (1e-3 * view.rounding).clamp(NEAR_ENOUGH, NEAREST_OF_HUGE)
}

fn diverges(step: &[f64]) -> bool {
    step.iter().any(|s| s.abs() > DIVERGING)
}
