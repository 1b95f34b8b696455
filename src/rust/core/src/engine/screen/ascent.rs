//! Newton's ascent of a pair's joint likelihood,
//!
//! L(b, c) = f(b) + sum over perturbed cells of l(x'b + c) [- l(x'b)],
//!
//! the term in brackets for cells among the reference cells. f is a polynomial
//! about the null fit (`expansion`), the sum is exact (`members`). A bound on
//! what the polynomial leaves out says how far its optimum can be from the true
//! one; where that is too far, f is expanded anew about where the ascent is.
//!
//! L is concave, and its third derivatives are bounded by its second: so a
//! Newton step shortened to log(1 + u) / u, where u is the largest change of a
//! linear predictor, always climbs (Bach 2010), and no step is ever looked at
//! twice.

use super::cholesky::{backward, factor, form, forward};
use super::comparison::{Comparison, Members};
use super::expansion::{Expansion, Order};
use super::members::{At, MemberSums, Wanted, add_members};
use crate::source::GeneCounts;

/// Standard errors from the optimum, of what Newton's last step leaves.
const CONVERGED: f64 = 1e-8;
/// Where it is so small, the expansion is looked at, and not before.
const NEAR: f64 = 1e-3;
/// Log-likelihoods that are reported are this exact.
const LIKELIHOOD_TOLERANCE: f64 = 4e-7;
/// Changes of linear predictors above which steps are shortened, and above which
/// an expansion is not followed.
const SHORT: f64 = 0.5;
const FAR: f64 = 0.25;
/// Before the ascent of a fit is given up, for there is another way.
pub const FIT_EXPANSIONS: usize = 12;
/// Steps that an ascent may take, and more of them for each expansion.
const STEPS: usize = 4;
const MORE_STEPS: usize = 3;
/// No estimate is larger.
const ENDLESS: f64 = 40.0;

/// What all pairs of a gene share.
pub struct GeneLikelihood<'a> {
    pub comparison: &'a Comparison<'a>,
    /// In the reference cells, numbered as in the base design.
    pub counts: GeneCounts<'a>,
    pub alpha: f64,
    /// About the null fit.
    pub expansion: &'a Expansion,
    /// Whether sandwiches are asked for, and log-likelihoods at an optimum.
    pub with_meat: bool,
    pub with_likelihood: bool,
    /// Standard errors that an estimate may be off.
    pub tolerance: f64,
    /// Before an ascent is given up.
    pub expansions: usize,
    /// Of a normal prior of the basis's coefficients; zero for none.
    pub precision: f64,
}

impl GeneLikelihood<'_> {
    fn expand(&self, centre: Vec<f64>, order: Order) -> Expansion {
        let blocks = self.comparison.base().blocks();
        Expansion::at(centre, self.alpha, blocks, self.counts, order, self.with_meat)
            .with_prior(self.precision)
    }
}

/// What becomes of the perturbation's effect c.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// It is to be estimated, from this start.
    Free(f64),
    /// It is given: at zero, the null model of all cells compared.
    Fixed(f64),
    /// It goes to minus infinity: perturbed cells have no counts.
    Vanishing,
}

/// Where an ascent ended.
pub struct Peak {
    /// The last expansion, where it is not the gene's own.
    refreshed: Option<Expansion>,
    /// From the expansion's centre.
    pub delta: Vec<f64>,
    pub effect: f64,
    pub factor: f64,
    /// Standard errors that the estimate may be off.
    pub bound: f64,
    pub passes: usize,
    pub refreshes: usize,
}

impl Peak {
    fn is_off_centre(&self) -> bool {
        self.delta.iter().any(|d| *d != 0.0)
    }

    pub fn expansion<'b>(&'b self, gene: &'b GeneLikelihood<'_>) -> &'b Expansion {
        self.refreshed.as_ref().unwrap_or(gene.expansion)
    }
}

/// The perturbed cells of a pair.
pub struct Perturbed<'a> {
    /// Which perturbation it is.
    pub number: usize,
    pub members: &'a Members,
    /// Counts of the cells inside and outside, padded as the rows are.
    pub inside: &'a [f64],
    pub outside: &'a [f64],
}

impl Perturbed<'_> {
    /// One pass.
    pub fn sums(&self, at: At<'_>, wanted: Wanted, sums: &mut MemberSums) {
        let meat = matches!(wanted, Wanted::Final { meat: true, .. });
        sums.clear(at.coefficients.len(), meat);
        add_members(&self.members.inside, self.inside, true, at, wanted, sums);
        add_members(&self.members.outside, self.outside, false, at, wanted, sums);
    }
}

/// What an ascent writes on. One a thread.
#[derive(Default)]
pub struct Room {
    pub sums: MemberSums,
    pub triangle: Vec<f64>,
    gradient: Vec<f64>,
    step: Vec<f64>,
    /// Where the last pass looked.
    pub coefficients: Vec<f64>,
    direction: Vec<f64>,
}

impl Room {
    /// One pass at a peak, and the information there; the effect is its last row.
    pub fn look(
        &mut self,
        gene: &GeneLikelihood<'_>,
        perturbed: &Perturbed<'_>,
        peak: &Peak,
        wanted: Wanted,
    ) {
        let expansion = peak.expansion(gene);
        self.place(expansion, &peak.delta);
        let at = At {
            coefficients: &self.coefficients,
            factor: peak.factor,
            log_factor: peak.effect,
            alpha: gene.alpha,
        };
        perturbed.sums(at, wanted, &mut self.sums);
        self.information(expansion, &peak.delta, matches!(wanted, Wanted::Final { .. }), true);
    }

    fn place(&mut self, expansion: &Expansion, delta: &[f64]) {
        self.coefficients.clear();
        self.coefficients.extend(expansion.centre.iter().zip(delta).map(|(b, d)| b + d));
    }

    fn information(
        &mut self,
        expansion: &Expansion,
        delta: &[f64],
        expected: bool,
        with_effect: bool,
    ) {
        self.triangle.clear();
        self.triangle.extend_from_slice(&self.sums.information);
        match expected {
            true => expansion.add_expected(delta, &mut self.triangle),
            false => expansion.add_information(delta, &mut self.triangle),
        }
        if with_effect {
            self.triangle.extend_from_slice(&self.sums.cross);
            self.triangle.push(self.sums.effect_information);
        }
    }
}

/// Climbs; none where there is no optimum in reach.
pub fn climb(
    gene: &GeneLikelihood<'_>,
    perturbed: &Perturbed<'_>,
    effect: Effect,
    room: &mut Room,
) -> Option<Peak> {
    let p = gene.expansion.centre.len();
    let free = matches!(effect, Effect::Free(_));
    let start = match effect {
        Effect::Free(start) | Effect::Fixed(start) => start,
        Effect::Vanishing => f64::NEG_INFINITY,
    };
    let peak = Peak {
        refreshed: None,
        delta: vec![0.0; p],
        effect: start,
        factor: start.exp(),
        bound: 0.0,
        passes: 0,
        refreshes: 0,
    };
    climb_on(gene, perturbed, free, peak, room)
}

/// Climbs from where another ascent ended to the optimum at another effect.
pub fn climb_from(
    gene: &GeneLikelihood<'_>,
    perturbed: &Perturbed<'_>,
    start: Peak,
    effect: f64,
    room: &mut Room,
) -> Option<Peak> {
    let peak = Peak { effect, factor: effect.exp(), refreshes: 0, ..start };
    climb_on(gene, perturbed, false, peak, room)
}

fn climb_on(
    gene: &GeneLikelihood<'_>,
    perturbed: &Perturbed<'_>,
    free: bool,
    mut peak: Peak,
    room: &mut Room,
) -> Option<Peak> {
    for _ in 0..STEPS + MORE_STEPS * gene.expansions {
        let left = match step(gene, perturbed, free, &mut peak, room) {
            Ok(left) => left,
            Err(Stop::Bent) if peak.is_off_centre() && peak.refreshes < gene.expansions => {
                refresh(gene, &mut peak, Order::Fourth, room);
                continue;
            }
            Err(_) => return None,
        };
        let far = gene.comparison.largest_change(&peak.delta);
        if left > NEAR && far <= FAR {
            continue;
        }
        let remainder = remainder(gene, &peak, far, free, room);
        peak.bound = remainder.error + left;
        let exact = remainder.error <= gene.tolerance && remainder.gain <= LIKELIHOOD_TOLERANCE;
        if exact && left <= CONVERGED {
            return Some(peak);
        }
        if exact {
            continue;
        }
        if peak.refreshes == gene.expansions {
            return None;
        }
        // So near, nothing of third order is left but in squared residuals.
        let near = left <= NEAR && !gene.with_meat;
        let order = if near { Order::Second } else { Order::Fourth };
        refresh(gene, &mut peak, order, room);
    }
    None
}

/// Expands the likelihood of the reference cells anew, about where the ascent is.
fn refresh(gene: &GeneLikelihood<'_>, peak: &mut Peak, order: Order, room: &mut Room) {
    room.place(peak.expansion(gene), &peak.delta);
    let centre = room.coefficients.clone();
    peak.refreshed = Some(gene.expand(centre, order));
    peak.delta.fill(0.0);
    peak.refreshes += 1;
}

/// Why there is no step.
enum Stop {
    /// The information is not positive definite: where most of it is that of the
    /// perturbed cells, what the polynomial leaves out may outweigh the rest.
    Bent,
    /// Nothing is to be found here.
    Lost,
}

/// Takes one step; returns how many standard errors from the optimum it may end.
fn step(
    gene: &GeneLikelihood<'_>,
    perturbed: &Perturbed<'_>,
    free: bool,
    peak: &mut Peak,
    room: &mut Room,
) -> Result<f64, Stop> {
    let p = peak.delta.len();
    let expansion = peak.refreshed.as_ref().unwrap_or(gene.expansion);
    room.place(expansion, &peak.delta);
    let at = At {
        coefficients: &room.coefficients,
        factor: peak.factor,
        log_factor: peak.effect,
        alpha: gene.alpha,
    };
    perturbed.sums(at, Wanted::Newton, &mut room.sums);
    peak.passes += 1;
    room.information(expansion, &peak.delta, false, free);
    room.gradient.clear();
    room.gradient.extend_from_slice(&room.sums.score);
    expansion.add_score(&peak.delta, &mut room.gradient);
    if free {
        room.gradient.push(room.sums.effect_score);
    }
    if !factor(&mut room.triangle, room.gradient.len()) {
        return Err(Stop::Bent);
    }
    room.step.clear();
    room.step.extend_from_slice(&room.gradient);
    forward(&room.triangle, &mut room.step);
    let decrement = room.step.iter().map(|s| s * s).sum::<f64>().sqrt();
    backward(&room.triangle, &mut room.step);
    let effect_step = if free { room.step[p] } else { 0.0 };
    let change = effect_step.abs() + gene.comparison.largest_change(&room.step[..p]);
    let share = if change > SHORT { change.ln_1p() / change } else { 1.0 };
    peak.delta.iter_mut().zip(&room.step).for_each(|(d, s)| *d += share * s);
    if free {
        peak.effect += share * effect_step;
        peak.factor = peak.effect.exp();
    }
    let sound = decrement.is_finite() && (!free || peak.effect.abs() < ENDLESS);
    let left = if share == 1.0 { decrement * change } else { f64::INFINITY };
    if sound { Ok(left) } else { Err(Stop::Lost) }
}

/// What the polynomial can be wrong by.
struct Remainder {
    /// Of the effect in its standard errors, or of its standard error, relatively.
    error: f64,
    /// Of the log-likelihood.
    gain: f64,
}

/// With u at most `far` in every reference cell, a direction g sees a score
/// wrong by at most u³ e^u / 24 sqrt(g'Hg delta'H delta), or to second order by
/// u e^u / 2 times that root; the effect sees g = A⁻¹ v, where A, v are the
/// information about the coefficients, and that they share with the effect. The
/// factor of the last step is still in `room`.
fn remainder(
    gene: &GeneLikelihood<'_>,
    peak: &Peak,
    far: f64,
    free: bool,
    room: &mut Room,
) -> Remainder {
    if far == 0.0 {
        return Remainder { error: 0.0, gain: 0.0 };
    }
    let p = peak.delta.len();
    let expansion = peak.expansion(gene);
    let grown = far * far.exp();
    // Of the score, the information's square root, and the log-likelihood.
    let (score, root, value) = match expansion.order {
        Order::Fourth => {
            let cubed = grown * far * far;
            (cubed / 24.0, cubed / 12.0, cubed / 120.0)
        }
        Order::Second => (grown / 2.0, grown / 2.0, grown / 6.0),
    };
    let length = form(&expansion.information, &peak.delta).max(0.0);
    let gain = if gene.with_likelihood || !free { value * length } else { 0.0 };
    if !free {
        // Of a score test's statistic: no direction of unit length sees more.
        return Remainder { error: score * length.sqrt(), gain };
    }
    let last = p * (p + 1) / 2;
    room.direction.clear();
    room.direction.extend_from_slice(&room.triangle[last..last + p]);
    backward(&room.triangle, &mut room.direction);
    let sigma = 1.0 / room.triangle[last + p];
    let shared = form(&expansion.information, &room.direction).max(0.0);
    let estimate = sigma * score * (shared * length).sqrt();
    // Squared residuals bend more than the information does, and are not followed
    // as far.
    let root = if gene.with_meat { root.max(10.0 * grown * far) } else { root };
    let std_err = sigma * sigma * root * shared;
    Remainder { error: estimate.max(std_err), gain }
}
