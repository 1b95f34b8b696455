use super::Model;
use super::covariance::Covariance;
use super::data::{Data, Gene};
use super::definite;
use super::kernel::{Shifted, Spectral};
use crate::engine::ash::{Average, Moments, Summary};
use crate::{Error, Monitor, Result};
use rayon::prelude::*;

/// Components with a smaller weight have no part in posteriors.
const SMALLEST_WEIGHT: f64 = 1e-10;

/// Every gene's posterior.
pub struct MashTable {
    /// Genes x conditions, gene after gene.
    pub effects: Vec<Summary>,
    /// One a gene: of the mixture, without any effect, and if there is one (not a number
    /// where no component has one).
    pub log_likelihood: Vec<f64>,
    pub null_log_likelihood: Vec<f64>,
    pub alternative_log_likelihood: Vec<f64>,
    /// Components that have a part in posteriors.
    pub used: Vec<usize>,
    /// Genes x used components, gene after gene.
    pub weights: Vec<f64>,
}

struct GenePosterior {
    effects: Vec<Summary>,
    log_likelihoods: [f64; 3],
    weights: Vec<f64>,
}

/// The posterior of every gene's effects, given the weights of the model's components,
/// with the threads of the current pool. The monitor counts genes.
///
/// # Errors
/// Where the model is not of the data's conditions, there is not one weight a component,
/// or the monitor is cancelled.
pub fn posterior(
    data: &Data,
    model: &Model,
    weights: &[f64],
    monitor: &Monitor,
) -> Result<MashTable> {
    model.check(data)?;
    if weights.len() != model.components() {
        let (found, expected) = (weights.len(), model.components());
        return Err(Error::Shape { what: "weights of components", found, expected });
    }
    let used: Vec<usize> = (0..weights.len()).filter(|&k| weights[k] > SMALLEST_WEIGHT).collect();
    let one = |gene: usize| {
        let found = of_gene(&data.gene(gene), model, weights);
        monitor.tick()?;
        Ok(found)
    };
    let found: Result<Vec<GenePosterior>> = (0..data.genes()).into_par_iter().map(one).collect();
    let mut table = MashTable {
        effects: Vec::with_capacity(data.genes() * data.conditions()),
        log_likelihood: vec![],
        null_log_likelihood: vec![],
        alternative_log_likelihood: vec![],
        weights: Vec::with_capacity(data.genes() * used.len()),
        used,
    };
    for gene in found? {
        table.effects.extend(gene.effects);
        table.weights.extend(gene.weights);
        table.log_likelihood.push(gene.log_likelihoods[0]);
        table.null_log_likelihood.push(gene.log_likelihoods[1]);
        table.alternative_log_likelihood.push(gene.log_likelihoods[2]);
    }
    Ok(table)
}

/// A covariance as a gene sees it, for all scales.
enum Seen {
    Spectral(Spectral),
    Shifted(Vec<Vec<f64>>),
}

fn of_gene(gene: &Gene, model: &Model, weights: &[f64]) -> GenePosterior {
    let scales = 0..model.grid.len();
    let weight = |u: usize, g: usize| weights[model.component(u, g)];
    let wanted: Vec<usize> = (0..model.covariances.len())
        .filter(|&u| scales.clone().any(|g| weight(u, g) > 0.0))
        .collect();
    let mut ratios = vec![f64::NEG_INFINITY; weights.len()];
    if model.point_mass {
        ratios[0] = 0.0;
    }
    let mut seen = Vec::with_capacity(wanted.len());
    for &u in &wanted {
        let covariance = &model.covariances[u];
        let found = look(gene, covariance);
        for g in scales.clone().filter(|&g| weight(u, g) > 0.0) {
            ratios[model.component(u, g)] = match &found {
                Seen::Spectral(spectral) => spectral.log_ratio(model.grid[g]),
                Seen::Shifted(rotated) => {
                    let (shift, scale) = (covariance.shift, model.grid[g]);
                    Shifted::new(gene, shift, rotated, scale).log_ratio(gene, scale * scale * shift)
                }
            };
        }
        seen.push(found);
    }

    let log_sum = |from: usize| -> f64 {
        let terms = || (from..weights.len()).filter(|&k| weights[k] > 0.0);
        let largest = terms().map(|k| ratios[k]).fold(f64::NEG_INFINITY, f64::max);
        largest + terms().map(|k| weights[k] * (ratios[k] - largest).exp()).sum::<f64>().ln()
    };
    let null = gene.null_log_likelihood();
    let all = log_sum(0);
    let with_effect = 1.0 - if model.point_mass { weights[0] } else { 0.0 };
    let alternative = match with_effect > 0.0 {
        true => null + log_sum(usize::from(model.point_mass)) - with_effect.ln(),
        false => f64::NAN,
    };

    let used = |k: usize| weights[k] > SMALLEST_WEIGHT;
    let share = |k: usize| weights[k] * (ratios[k] - all).exp();
    let total: f64 = (0..weights.len()).filter(|&k| used(k)).map(share).sum();
    let share = |k: usize| share(k) / total;
    let mut averages = vec![Average::default(); gene.estimate.len()];
    if model.point_mass && used(0) && share(0) > 0.0 {
        averages.iter_mut().for_each(|average| average.add_zero(share(0)));
    }
    for (&u, seen) in wanted.iter().zip(&seen) {
        let covariance = &model.covariances[u];
        for g in scales.clone() {
            let k = model.component(u, g);
            if used(k) && share(k) > 0.0 {
                let (means, variances) = moments(gene, covariance, seen, model.grid[g]);
                add(&mut averages, share(k), &covariance.zero, &means, &variances);
            }
        }
    }
    GenePosterior {
        effects: averages.iter().map(Average::summary).collect(),
        log_likelihoods: [null + all, null, alternative],
        weights: (0..weights.len()).filter(|&k| used(k)).map(share).collect(),
    }
}

fn look(gene: &Gene, covariance: &Covariance) -> Seen {
    match covariance.shift > 0.0 {
        true => Seen::Shifted(covariance.factors.iter().map(|f| gene.rotate(f)).collect()),
        false => Seen::Spectral(Spectral::new(gene, covariance)),
    }
}

fn add(averages: &mut [Average], share: f64, zero: &[bool], means: &[f64], variances: &[f64]) {
    for (i, average) in averages.iter_mut().enumerate() {
        match zero[i] {
            true => average.add_zero(share),
            false => average.add(share, &Moments::normal(means[i], variances[i].sqrt())),
        }
    }
}

/// Means and variances of the effects in one component. All terms of a variance are
/// positive: nothing cancels.
fn moments(gene: &Gene, covariance: &Covariance, seen: &Seen, scale: f64) -> (Vec<f64>, Vec<f64>) {
    match seen {
        Seen::Spectral(spectral) => spectral_moments(gene, covariance, spectral, scale),
        Seen::Shifted(rotated) => shifted_moments(gene, covariance.shift, rotated, scale),
    }
}

/// With effects w F a, a is N(w P h, P) in the coordinates Q, P = 1 / (1 + w^2 D).
fn spectral_moments(
    gene: &Gene,
    covariance: &Covariance,
    spectral: &Spectral,
    scale: f64,
) -> (Vec<f64>, Vec<f64>) {
    let square = scale * scale;
    let conditions = gene.estimate.len();
    let rank = spectral.values.len();
    let (mut means, mut variances) = (vec![0.0; conditions], vec![0.0; conditions]);
    for k in 0..rank {
        let shrunken = square / (1.0 + square * spectral.values[k]);
        let mut column = vec![0.0; conditions];
        for (factor, q) in covariance.factors.iter().zip(&spectral.vectors[k * rank..]) {
            factor.entries().for_each(|(i, entry)| column[i] += q * entry);
        }
        for (i, f) in column.into_iter().enumerate() {
            means[i] += shrunken * spectral.projection[k] * f;
            variances[i] += shrunken * f * f;
        }
    }
    (means, variances)
}

/// With effects w (sqrt(shift) e + F a) and M = S V S + w^2 shift I, a has the variance
/// P = (I + w^2 F' M^-1 F)^-1 and the mean w P F' M^-1 b; given a, effects have the mean
/// w^2 shift M^-1 b + w S V S M^-1 F a and the variance w^2 shift S V S M^-1.
fn shifted_moments(
    gene: &Gene,
    shift: f64,
    rotated: &[Vec<f64>],
    scale: f64,
) -> (Vec<f64>, Vec<f64>) {
    let found = Shifted::new(gene, shift, rotated, scale);
    let added = scale * scale * shift;
    let kept: Vec<f64> = gene.values().iter().map(|d| 1.0 / (1.0 + added / d)).collect();
    let own = gene.estimate.iter().zip(&found.inverse).map(|(y, m)| added * m * y).collect();
    let mut means = gene.rotate_back(own);
    let mut variances = gene.diagonal_back(kept.iter().map(|kept| added * kept).collect());
    let mut shared = found.projection.clone();
    definite::backward(&found.factor, &mut shared);
    let columns: Vec<Vec<f64>> = rotated
        .iter()
        .map(|f| gene.rotate_back(f.iter().zip(&kept).map(|(f, kept)| scale * f * kept).collect()))
        .collect();
    let mut row = vec![0.0; columns.len()];
    for i in 0..means.len() {
        row.iter_mut().zip(&columns).for_each(|(entry, column)| *entry = column[i]);
        means[i] += row.iter().zip(&shared).map(|(entry, a)| entry * a).sum::<f64>();
        definite::forward(&found.factor, &mut row);
        variances[i] += row.iter().map(|entry| entry * entry).sum::<f64>();
    }
    (means, variances)
}
