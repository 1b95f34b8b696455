//! Covariances of effects from their estimates: the expectation-maximisation of Bovy, Hogg
//! and Roweis (2011, Annals of Applied Statistics 5:1657), with all means zero.
//!
//! Its steps never leave the column space of the covariance F F' that they start from: they
//! are F C F' throughout, and only C, as large as the rank, is iterated on. Of a gene, G =
//! F' (S V S)^-1 F and h = F' (S V S)^-1 b say it all.

use super::covariance::{Covariance, Factor};
use super::data::{Data, Gene};
use super::definite;
use crate::{Error, Monitor, Result};
use rayon::prelude::*;

/// Genes whose sums are formed together.
const CHUNK: usize = 64;

#[derive(Clone, Debug)]
pub struct Deconvolution {
    /// R x R each.
    pub covariances: Vec<Vec<f64>>,
    pub weights: Vec<f64>,
    /// The mean log-likelihood of a gene before the last step.
    pub log_likelihood: f64,
    pub iterations: usize,
}

/// One covariance on its way: C, and its lower triangular root.
struct Current {
    factors: Vec<Factor>,
    weight: f64,
    root: Vec<f64>,
}

/// A gene seen from one covariance's columns: the lower triangle of G, and h.
struct Projected {
    gram: Vec<f64>,
    estimate: Vec<f64>,
}

/// Sums over genes, of one covariance.
#[derive(Clone)]
struct Sums {
    share: f64,
    moment: Vec<f64>,
}

/// Until the mean log-likelihood of a gene rises by less than `tolerance`, or for
/// `iterations` steps, with the threads of the current pool. The monitor counts steps.
///
/// # Errors
/// Where a matrix is not a covariance of the data's conditions, there is no gene or no
/// covariance, or the monitor is cancelled.
pub fn deconvolve(
    data: &Data,
    start: &[Vec<f64>],
    tolerance: f64,
    iterations: usize,
    monitor: &Monitor,
) -> Result<Deconvolution> {
    for (what, found) in [("genes", data.genes()), ("covariances", start.len())] {
        if found == 0 {
            return Err(Error::Shape { what, found, expected: 1 });
        }
    }
    let r = data.conditions();
    let mut current = vec![];
    for matrix in start {
        Covariance::new(matrix, r)?;
        let factors = Covariance::basis(matrix, r)?;
        let root = identity(factors.len());
        current.push(Current { factors, weight: 1.0 / start.len() as f64, root });
    }
    let project = |gene: usize| {
        let gene = data.gene(gene);
        let each = current.iter().map(|covariance| Projected::new(&gene, &covariance.factors));
        (gene.null_log_likelihood(), each.collect::<Vec<_>>())
    };
    let genes: Vec<(f64, Vec<Projected>)> =
        (0..data.genes()).into_par_iter().map(project).collect();

    let (mut before, mut step) = (f64::NEG_INFINITY, 0);
    let mut log_likelihood = f64::NEG_INFINITY;
    while step < iterations {
        monitor.tick()?;
        let sums = expect(&genes, &current);
        log_likelihood = sums.1 / genes.len() as f64;
        maximise(&mut current, sums.0, genes.len());
        step += 1;
        if log_likelihood - before < tolerance {
            break;
        }
        before = log_likelihood;
    }
    Ok(Deconvolution {
        covariances: current.iter().map(|covariance| covariance.matrix(r)).collect(),
        weights: current.iter().map(|covariance| covariance.weight).collect(),
        log_likelihood,
        iterations: step,
    })
}

impl Projected {
    fn new(gene: &Gene, factors: &[Factor]) -> Self {
        let rotated: Vec<Vec<f64>> = factors.iter().map(|factor| gene.rotate(factor)).collect();
        let inner = |a: &[f64], b: &[f64]| -> f64 {
            a.iter().zip(b).zip(gene.values()).map(|((a, b), d)| a * b / d).sum()
        };
        let triangle = (0..factors.len()).flat_map(|i| (0..=i).map(move |j| (i, j)));
        Self {
            gram: triangle.map(|(i, j)| inner(&rotated[i], &rotated[j])).collect(),
            estimate: rotated.iter().map(|f| inner(f, &gene.estimate)).collect(),
        }
    }
}

/// The log ratio to no effect, and the second moment of a (effects are F a) that it implies.
fn second_moment(projected: &Projected, root: &[f64]) -> (f64, Vec<f64>) {
    let d = projected.estimate.len();
    let at = |i: usize, j: usize| i.max(j) * (i.max(j) + 1) / 2 + i.min(j);
    // K' G K + I and K' h, with K the root.
    let half: Vec<f64> = (0..d * d)
        .map(|cell| {
            let (i, k) = (cell / d, cell % d);
            (k..d).map(|j| projected.gram[at(i, j)] * root[at(j, k)]).sum()
        })
        .collect();
    let mut inner = Vec::with_capacity(d * (d + 1) / 2);
    for k in 0..d {
        for l in 0..=k {
            let product: f64 = (k..d).map(|i| root[at(i, k)] * half[i * d + l]).sum();
            inner.push(if k == l { 1.0 + product } else { product });
        }
    }
    definite::factor(&mut inner, d);
    let mut mean: Vec<f64> =
        (0..d).map(|k| (k..d).map(|j| root[at(j, k)] * projected.estimate[j]).sum()).collect();
    definite::forward(&inner, &mut mean);
    let gained: f64 = mean.iter().map(|m| m * m).sum();
    let ratio = 0.5 * (gained - definite::log_determinant(&inner, d));
    definite::backward(&inner, &mut mean);
    let mean: Vec<f64> = (0..d).map(|i| (0..=i).map(|k| root[at(i, k)] * mean[k]).sum()).collect();
    // Rows of K L'^-1, whose products are the posterior variance.
    let mut moment = Vec::with_capacity(d * (d + 1) / 2);
    let rows: Vec<Vec<f64>> = (0..d)
        .map(|i| {
            let mut row: Vec<f64> =
                (0..d).map(|k| if k <= i { root[at(i, k)] } else { 0.0 }).collect();
            definite::forward(&inner, &mut row);
            row
        })
        .collect();
    for i in 0..d {
        for j in 0..=i {
            let variance: f64 = rows[i].iter().zip(&rows[j]).map(|(a, b)| a * b).sum();
            moment.push(mean[i] * mean[j] + variance);
        }
    }
    (ratio, moment)
}

fn expect(genes: &[(f64, Vec<Projected>)], current: &[Current]) -> (Vec<Sums>, f64) {
    let empty = || {
        let one =
            |covariance: &Current| Sums { share: 0.0, moment: vec![0.0; covariance.root.len()] };
        (current.iter().map(one).collect::<Vec<Sums>>(), 0.0)
    };
    let chunk = |genes: &[(f64, Vec<Projected>)]| {
        let (mut sums, mut log_likelihood) = empty();
        for (null, projected) in genes {
            let found: Vec<(f64, Vec<f64>)> = projected
                .iter()
                .zip(current)
                .map(|(projected, covariance)| second_moment(projected, &covariance.root))
                .collect();
            let largest = found.iter().fold(f64::NEG_INFINITY, |most, (ratio, _)| most.max(*ratio));
            let share = |k: usize| -> f64 { current[k].weight * (found[k].0 - largest).exp() };
            let total: f64 = (0..current.len()).map(share).sum();
            log_likelihood += null + largest + total.ln();
            for (k, (_, moment)) in found.iter().enumerate() {
                let share = share(k) / total;
                sums[k].share += share;
                let entries = sums[k].moment.iter_mut().zip(moment);
                entries.for_each(|(sum, entry)| *sum += share * entry);
            }
        }
        (sums, log_likelihood)
    };
    let chunks: Vec<(Vec<Sums>, f64)> = genes.par_chunks(CHUNK).map(chunk).collect();
    chunks.into_iter().fold(empty(), |(mut total, log_likelihood), (sums, more)| {
        for (total, sums) in total.iter_mut().zip(sums) {
            total.share += sums.share;
            total.moment.iter_mut().zip(sums.moment).for_each(|(total, sum)| *total += sum);
        }
        (total, log_likelihood + more)
    })
}

fn maximise(current: &mut [Current], sums: Vec<Sums>, genes: usize) {
    for (covariance, sums) in current.iter_mut().zip(sums) {
        covariance.weight = sums.share / genes as f64;
        if sums.share > 0.0 {
            covariance.root = sums.moment.iter().map(|sum| sum / sums.share).collect();
            definite::factor(&mut covariance.root, covariance.factors.len());
        }
    }
}

impl Current {
    /// F C F'.
    fn matrix(&self, r: usize) -> Vec<f64> {
        let mut matrix = vec![0.0; r * r];
        for k in 0..self.factors.len() {
            let mut column = vec![0.0; r];
            for (i, factor) in self.factors.iter().enumerate().skip(k) {
                let root = self.root[i * (i + 1) / 2 + k];
                factor.entries().for_each(|(at, entry)| column[at] += root * entry);
            }
            for i in 0..r {
                (0..r).for_each(|j| matrix[i * r + j] += column[i] * column[j]);
            }
        }
        matrix
    }
}

fn identity(d: usize) -> Vec<f64> {
    (0..d).flat_map(|i| (0..=i).map(move |j| f64::from(i == j))).collect()
}
