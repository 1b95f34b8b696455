//! One gene and one perturbation: what is fitted, tested and reported.

use super::ascent::{Effect, GeneLikelihood, Peak, Perturbed, Room, climb};
use super::cholesky::{backward, factor, form};
use super::comparison::Identified;
use super::members::{At, Wanted};
use super::options::{Options, StdErr, Test};
use super::p_value::Tail;
use super::resampling::ResampledGene;
use super::two_groups;
use crate::result::PairStatus;

/// What is reported of a pair; see [`crate::result::PairColumns`].
#[derive(Clone, Copy, Debug)]
pub struct PairFit {
    pub status: PairStatus,
    pub estimate: f64,
    pub std_err: f64,
    pub statistic: f64,
    pub p_value: f64,
    pub theta: f64,
    pub error_bound: f64,
    pub passes: usize,
    pub refreshes: usize,
}

impl PairFit {
    pub fn without(status: PairStatus) -> Self {
        Self {
            status,
            estimate: f64::NAN,
            std_err: f64::NAN,
            statistic: f64::NAN,
            p_value: f64::NAN,
            theta: f64::NAN,
            error_bound: f64::NAN,
            passes: 0,
            refreshes: 0,
        }
    }
}

/// How a pair's fit by expansion ended.
pub enum Fitted {
    Done(PairFit),
    /// The model is to be written out and fitted as any other.
    Unusual,
}

/// A gene's likelihood, and what its pairs need beside it.
pub struct Gene<'a> {
    pub likelihood: GeneLikelihood<'a>,
    /// What scales variances.
    pub dispersion: f64,
    /// Counts of all reference cells.
    pub total: f64,
    pub tail: Tail,
    /// What a calibrated test compares with.
    pub resampled: Option<ResampledGene<'a>>,
}

/// Fits and tests.
pub fn fit_pair(
    gene: &Gene<'_>,
    perturbed: &Perturbed<'_>,
    options: &Options,
    room: &mut Room,
) -> Fitted {
    match perturbed.members.identified {
        Identified::NoCells => return Fitted::Done(PairFit::without(PairStatus::NoCells)),
        Identified::Aliased => return Fitted::Done(PairFit::without(PairStatus::Aliased)),
        Identified::Wider => return Fitted::Unusual,
        Identified::Yes => {}
    }
    let inside: f64 = perturbed.inside.iter().sum();
    let counted = inside + perturbed.outside.iter().sum::<f64>();
    let others = gene.total - inside;
    if counted + others == 0.0 {
        return Fitted::Done(PairFit::without(PairStatus::AllZero));
    }
    if others == 0.0 {
        return Fitted::Unusual;
    }
    if counted > 0.0 && two_groups::applies(gene, perturbed, options) {
        return two_groups::fit(gene, perturbed, options).map_or(Fitted::Unusual, Fitted::Done);
    }
    let null = null_sums(gene, perturbed, room);
    let effect = match counted > 0.0 {
        true => Effect::Free((1.0 + null.residual / null.weight).ln()),
        false => Effect::Vanishing,
    };
    let Some(peak) = climb(&gene.likelihood, perturbed, effect, room) else {
        return Fitted::Unusual;
    };
    match report(gene, perturbed, options, effect, &peak, room) {
        Some(fit) => Fitted::Done(fit),
        None => Fitted::Unusual,
    }
}

/// Residuals and expected weights of the perturbed cells at the null fit of the
/// reference cells: with them as for Poisson counts, the effect starts.
struct NullSums {
    residual: f64,
    weight: f64,
}

fn null_sums(gene: &Gene<'_>, perturbed: &Perturbed<'_>, room: &mut Room) -> NullSums {
    let likelihood = &gene.likelihood;
    let at = At {
        coefficients: &likelihood.expansion.centre,
        factor: 1.0,
        log_factor: 0.0,
        alpha: likelihood.alpha,
    };
    perturbed.sums(at, Wanted::Effect, &mut room.sums);
    NullSums { residual: room.sums.effect_score, weight: room.sums.effect_information }
}

fn report(
    gene: &Gene<'_>,
    perturbed: &Perturbed<'_>,
    options: &Options,
    effect: Effect,
    peak: &Peak,
    room: &mut Room,
) -> Option<PairFit> {
    let mut fit = PairFit::without(PairStatus::Ok);
    fit.passes = peak.passes + 1;
    fit.refreshes = peak.refreshes;
    fit.estimate = peak.effect;
    let separated = effect == Effect::Vanishing;
    if separated {
        fit.status = PairStatus::Separated;
    } else {
        fit.error_bound = peak.bound;
        fit.std_err = std_err(gene, perturbed, options, peak, room)? * gene.dispersion.sqrt();
        fit.passes += 1;
    }
    fit.statistic = match options.test {
        Test::Wald if !separated => fit.estimate / fit.std_err,
        Test::Wald | Test::LikelihoodRatio => {
            let gain = likelihood_gain(gene, perturbed, peak, &mut fit, room)?;
            peak.effect.signum() * (2.0 * gain.max(0.0) / gene.dispersion).sqrt()
        }
        Test::Score | Test::Calibrated => {
            let null = null_peak(gene, perturbed, &mut fit, room)?;
            let score = score(gene, perturbed, &null, &mut fit, room)?;
            if let Some(resampled) = &gene.resampled {
                let sum = room.sums.effect_score;
                fit.p_value = resampled.p_value(perturbed, &room.coefficients, sum);
            }
            score / gene.dispersion.sqrt()
        }
    };
    if gene.resampled.is_none() {
        fit.p_value = gene.tail.two_sided(fit.statistic);
    }
    Some(fit)
}

/// The effect's, before a dispersion scales it.
fn std_err(
    gene: &Gene<'_>,
    perturbed: &Perturbed<'_>,
    options: &Options,
    peak: &Peak,
    room: &mut Room,
) -> Option<f64> {
    let p = peak.delta.len();
    let meat = options.std_err == StdErr::Sandwich;
    // The residual of a single cell is zero: it says nothing of a variance.
    if meat && perturbed.members.cells() < 2 {
        return Some(f64::NAN);
    }
    let wanted = match options.std_err {
        StdErr::Observed => Wanted::Observed { log_likelihood: false },
        _ => Wanted::Final { log_likelihood: false, meat },
    };
    room.look(&gene.likelihood, perturbed, peak, wanted);
    if !factor(&mut room.triangle, p + 1) {
        return None;
    }
    let last = p * (p + 1) / 2;
    let sigma = 1.0 / room.triangle[last + p];
    if !meat {
        return Some(sigma);
    }
    // The effect's row of the inverse, in units of its variance: (-A⁻¹ v, 1).
    let mut direction = room.triangle[last..last + p].to_vec();
    backward(&room.triangle, &mut direction);
    let mut triangle = room.sums.meat.clone();
    peak.expansion(&gene.likelihood).add_meat(&peak.delta, &mut triangle);
    let crossed: f64 = room.sums.cross_meat.iter().zip(&direction).map(|(m, d)| m * d).sum();
    let variance = room.sums.effect_meat - 2.0 * crossed + form(&triangle, &direction);
    Some(sigma * sigma * variance.max(0.0).sqrt())
}

/// By how much the log-likelihood exceeds that of the null model; none where the
/// two cannot be told.
fn likelihood_gain(
    gene: &Gene<'_>,
    perturbed: &Perturbed<'_>,
    peak: &Peak,
    fit: &mut PairFit,
    room: &mut Room,
) -> Option<f64> {
    let with = log_likelihood(gene, perturbed, peak, fit, room);
    let without = if perturbed.members.outside.cells().is_empty() {
        gene.likelihood.expansion.log_likelihood
    } else {
        let null = null_peak(gene, perturbed, fit, room)?;
        log_likelihood(gene, perturbed, &null, fit, room)
    };
    let gain = with - without;
    gain.is_finite().then_some(gain)
}

fn log_likelihood(
    gene: &Gene<'_>,
    perturbed: &Perturbed<'_>,
    peak: &Peak,
    fit: &mut PairFit,
    room: &mut Room,
) -> f64 {
    let wanted = Wanted::Observed { log_likelihood: true };
    room.look(&gene.likelihood, perturbed, peak, wanted);
    fit.passes += 1;
    let expansion = peak.expansion(&gene.likelihood);
    expansion.log_likelihood + expansion.gain(&peak.delta) + room.sums.log_likelihood
}

/// The null model of all cells compared, where perturbed cells are not among the
/// reference cells.
fn null_peak(
    gene: &Gene<'_>,
    perturbed: &Perturbed<'_>,
    fit: &mut PairFit,
    room: &mut Room,
) -> Option<Peak> {
    let null = climb(&gene.likelihood, perturbed, Effect::Fixed(0.0), room)?;
    fit.passes += null.passes;
    fit.refreshes += null.refreshes;
    Some(null)
}

/// Rao's efficient score for the effect, over its standard deviation.
fn score(
    gene: &Gene<'_>,
    perturbed: &Perturbed<'_>,
    null: &Peak,
    fit: &mut PairFit,
    room: &mut Room,
) -> Option<f64> {
    let p = null.delta.len();
    room.look(
        &gene.likelihood,
        perturbed,
        null,
        Wanted::Final { log_likelihood: false, meat: false },
    );
    fit.passes += 1;
    let score = room.sums.effect_score;
    // What is left of the information about the effect is the last pivot, squared.
    factor(&mut room.triangle, p + 1).then(|| score / room.triangle[p * (p + 1) / 2 + p])
}
