//! Slow and obvious: every component's covariance as a dense matrix, factorised gene by
//! gene, missing conditions left out.

use libm::erfc;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scoria_core::Monitor;
use scoria_core::engine::mash::{
    Covariance, Data, MashTable, Model, Noise, fit_weights, posterior,
};
use scoria_core::engine::mixture::Mixture;

pub struct Case {
    pub conditions: usize,
    pub estimates: Vec<f64>,
    pub errors: Vec<f64>,
    noise: Noise,
    pub covariances: Vec<Vec<f64>>,
    pub grid: Vec<f64>,
    pub weights: Vec<f64>,
}

/// One component's word on one gene.
struct Dense {
    log_likelihood: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
    moment: Vec<f64>,
}

pub fn singleton(r: usize, at: usize) -> Vec<f64> {
    (0..r * r).map(|cell| f64::from(cell == at * (r + 1))).collect()
}

/// Variances of one, and all covariances the same.
pub fn shared(r: usize, covariance: f64) -> Vec<f64> {
    (0..r * r).map(|cell| if cell / r == cell % r { 1.0 } else { covariance }).collect()
}

impl Case {
    pub fn random(seed: u64, genes: usize, r: usize, noise: &str, missing: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let mut gram = |rank: usize, ridge: f64| {
            let f: Vec<f64> = (0..r * rank).map(|_| normal()).collect();
            let entry = |i: usize, j: usize| -> f64 {
                let inner: f64 = (0..rank).map(|k| f[i * rank + k] * f[j * rank + k]).sum();
                inner + if i == j { ridge } else { 0.0 }
            };
            (0..r * r).map(|cell| entry(cell / r, cell % r)).collect::<Vec<f64>>()
        };
        // All kinds: shifted, of low and full rank, with zeros, and rank one with a shift.
        let mut covariances = vec![
            shared(r, 0.0),
            shared(r, 0.6),
            shared(r, 1.0),
            gram(1, 0.0),
            gram(r.min(3), 0.0),
            gram(r, 0.1),
            gram(1, 0.2),
        ];
        covariances.extend((0..r).map(|at| singleton(r, at)));
        let correlation = |gram: Vec<f64>| -> Vec<f64> {
            let scale = |i: usize| gram[i * (r + 1)].sqrt();
            (0..r * r).map(|cell| gram[cell] / scale(cell / r) / scale(cell % r)).collect()
        };
        let noise = match noise {
            "common" => Noise::Common(correlation(gram(2, 0.5))),
            "each" => Noise::Each((0..genes).flat_map(|_| correlation(gram(2, 0.5))).collect()),
            _ => Noise::Independent,
        };
        let grid = vec![0.05, 0.7, 1.5, 6.0];
        let errors: Vec<f64> = (0..genes * r).map(|_| (0.5 * normal()).exp()).collect();
        let estimates = (0..genes * r).map(|_| 2.0 * normal()).collect();
        let components = 1 + grid.len() * covariances.len();
        let raw: Vec<f64> = (0..components).map(|_| normal().powi(2)).collect();
        let total: f64 = raw.iter().sum();
        let gone = |s: f64| if rng.random::<f64>() < missing { f64::INFINITY } else { s };
        Self {
            conditions: r,
            estimates,
            errors: errors.into_iter().map(gone).collect(),
            noise,
            covariances,
            grid,
            weights: raw.into_iter().map(|weight| weight / total).collect(),
        }
    }

    pub fn data(&self) -> Data {
        let (estimates, errors) = (self.estimates.clone(), self.errors.clone());
        Data::new(self.conditions, estimates, errors, self.noise.clone()).unwrap()
    }

    pub fn model(&self) -> Model {
        let covariances = self.covariances.iter();
        let covariances = covariances.map(|u| Covariance::new(u, self.conditions).unwrap());
        Model::new(covariances.collect(), self.grid.clone(), true).unwrap()
    }

    pub fn posterior(&self) -> MashTable {
        posterior(&self.data(), &self.model(), &self.weights, &Monitor::new()).unwrap()
    }

    fn prior(&self) -> Vec<f64> {
        let mut prior = vec![1.0; 1 + self.grid.len() * self.covariances.len()];
        prior[0] = 10.0;
        prior
    }

    pub fn fit(&self) -> Mixture {
        fit_weights(&self.data(), &self.model(), &self.prior(), &Monitor::new()).unwrap()
    }

    fn genes(&self) -> usize {
        self.estimates.len() / self.conditions
    }

    /// Covariances of all components, in order.
    fn components(&self) -> Vec<Vec<f64>> {
        let mut all = vec![vec![0.0; self.conditions * self.conditions]];
        for scale in &self.grid {
            let scaled = |u: &Vec<f64>| u.iter().map(|entry| scale * scale * entry).collect();
            all.extend(self.covariances.iter().map(scaled));
        }
        all
    }

    fn error_covariance(&self, gene: usize) -> Vec<f64> {
        let r = self.conditions;
        let s = &self.errors[gene * r..(gene + 1) * r];
        let v = |i: usize, j: usize| match &self.noise {
            Noise::Independent => f64::from(i == j),
            Noise::Common(v) => v[i * r + j],
            Noise::Each(all) => all[gene * r * r + i * r + j],
        };
        (0..r * r).map(|cell| s[cell / r] * s[cell % r] * v(cell / r, cell % r)).collect()
    }

    fn log_likelihood(&self, gene: usize, u: &[f64]) -> f64 {
        let r = self.conditions;
        let errors = &self.errors[gene * r..(gene + 1) * r];
        let known: Vec<usize> = (0..r).filter(|&i| errors[i].is_finite()).collect();
        let b: Vec<f64> = known.iter().map(|&i| self.estimates[gene * r + i]).collect();
        let noise = self.error_covariance(gene);
        let row = |i: usize| known.iter().map(|j| u[i * r + j] + noise[i * r + j]).collect();
        let total: Vec<Vec<f64>> = known.iter().map(|&i| row(i)).collect();
        let (weighted, log_determinant) = solve(total, b.clone());
        let quadratic: f64 = weighted.iter().zip(&b).map(|(x, b)| x * b).sum();
        let constant = known.len() as f64 * (2.0 * std::f64::consts::PI).ln();
        -0.5 * (constant + log_determinant + quadratic)
    }

    /// With effects of covariance `u`.
    fn dense(&self, gene: usize, u: &[f64]) -> Dense {
        let r = self.conditions;
        let errors = &self.errors[gene * r..(gene + 1) * r];
        let known: Vec<usize> = (0..r).filter(|&i| errors[i].is_finite()).collect();
        let b: Vec<f64> = known.iter().map(|&i| self.estimates[gene * r + i]).collect();
        let noise = self.error_covariance(gene);
        let total: Vec<Vec<f64>> = known
            .iter()
            .map(|&i| known.iter().map(|&j| u[i * r + j] + noise[i * r + j]).collect())
            .collect();
        let inverse = |right: &[f64]| solve(total.clone(), right.to_vec()).0;
        let weighted = inverse(&b);
        let row = |i: usize| -> Vec<f64> { known.iter().map(|&j| u[i * r + j]).collect() };
        let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mean: Vec<f64> = (0..r).map(|i| inner(&row(i), &weighted)).collect();
        let mut moment = vec![0.0; r * r];
        for i in 0..r {
            let solved = inverse(&row(i));
            for j in 0..r {
                let variance = u[i * r + j] - inner(&row(j), &solved);
                moment[i * r + j] = variance + mean[i] * mean[j];
            }
        }
        let variance = (0..r).map(|i| (moment[i * (r + 1)] - mean[i] * mean[i]).max(0.0)).collect();
        Dense { log_likelihood: self.log_likelihood(gene, u), mean, variance, moment }
    }

    /// What the optimum's gradient is made of, over the sum of all weights.
    pub fn slopes(&self, weights: &[f64]) -> Vec<f64> {
        let components = self.components();
        let mut slopes = vec![0.0; components.len()];
        for gene in 0..self.genes() {
            let logs: Vec<f64> = components.iter().map(|u| self.log_likelihood(gene, u)).collect();
            let largest = logs.iter().fold(f64::NEG_INFINITY, |most, log| most.max(*log));
            let values: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
            let density: f64 = values.iter().zip(weights).map(|(value, w)| value * w).sum();
            slopes.iter_mut().zip(&values).for_each(|(slope, value)| *slope += value / density);
        }
        let total = (self.genes() + 9) as f64;
        slopes[0] += 9.0 / weights[0];
        slopes.into_iter().map(|slope| slope / total).collect()
    }

    /// Means within `tolerance` times an error or scale, probabilities within it, and
    /// log-likelihoods relatively.
    pub fn assert_exact(&self, tolerance: f64) {
        let r = self.conditions;
        let table = self.posterior();
        let components = self.components();
        for gene in 0..self.genes() {
            let found: Vec<Dense> = components.iter().map(|u| self.dense(gene, u)).collect();
            let largest =
                found.iter().fold(f64::NEG_INFINITY, |most, one| most.max(one.log_likelihood));
            let share = |k: usize| self.weights[k] * (found[k].log_likelihood - largest).exp();
            let total: f64 = (0..found.len()).map(share).sum();
            let near = |got: f64, want: f64, size: f64, what: &str| {
                let off = (got - want).abs();
                assert!(off <= tolerance * size, "{what} of gene {gene}: {got}, not {want}");
            };
            let log = largest + total.ln();
            near(table.log_likelihood[gene], log, 1.0 + log.abs(), "likelihood");
            let null = found[0].log_likelihood;
            near(table.null_log_likelihood[gene], null, 1.0 + null.abs(), "null");
            for i in 0..r {
                let average = |value: &dyn Fn(usize) -> f64| -> f64 {
                    (0..found.len()).map(|k| share(k) / total * value(k)).sum()
                };
                let got = table.effects[gene * r + i];
                let mean = average(&|k| found[k].mean[i]);
                let variance =
                    average(&|k| found[k].variance[i] + (found[k].mean[i] - mean).powi(2));
                let zero = |k: usize| components[k][i * (r + 1)] == 0.0;
                let negative = average(&|k| match zero(k) {
                    true => 0.0,
                    false => 0.5 * erfc(found[k].mean[i] / (2.0 * found[k].variance[i]).sqrt()),
                });
                let lfdr = average(&|k| f64::from(zero(k)));
                let lfsr = f64::min(negative, 1.0 - negative - lfdr) + lfdr;
                let size = 1.0 + mean.abs();
                near(got.mean, mean, size, "mean");
                near(got.sd, variance.sqrt(), size.max(variance.sqrt()), "sd");
                near(got.lfdr, lfdr, 1.0, "lfdr");
                // Where variances cancel in the dense matrices, tails do.
                near(got.negative, negative, 100.0, "negative");
                near(got.lfsr, lfsr, 100.0, "lfsr");
            }
        }
    }

    /// Steps of expectation-maximisation on whole matrices.
    pub fn dense_deconvolution(
        &self,
        start: &[Vec<f64>],
        steps: usize,
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut covariances = start.to_vec();
        let mut weights = vec![1.0 / start.len() as f64; start.len()];
        for _ in 0..steps {
            let mut sums = vec![vec![0.0; start[0].len()]; start.len()];
            let mut shares = vec![0.0; start.len()];
            for gene in 0..self.genes() {
                let found: Vec<Dense> = covariances.iter().map(|u| self.dense(gene, u)).collect();
                let share = |k: usize| weights[k] * found[k].log_likelihood.exp();
                let total: f64 = (0..start.len()).map(share).sum();
                for k in 0..start.len() {
                    shares[k] += share(k) / total;
                    let entries = sums[k].iter_mut().zip(&found[k].moment);
                    entries.for_each(|(sum, entry)| *sum += share(k) / total * entry);
                }
            }
            for k in 0..start.len() {
                covariances[k] = sums[k].iter().map(|sum| sum / shares[k]).collect();
                weights[k] = shares[k] / self.genes() as f64;
            }
        }
        (covariances, weights)
    }
}

/// Gaussian elimination with pivots; and log |det|.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> (Vec<f64>, f64) {
    let n = b.len();
    let mut log_determinant = 0.0;
    for j in 0..n {
        let pivot = (j..n).max_by(|&p, &q| a[p][j].abs().total_cmp(&a[q][j].abs())).unwrap();
        a.swap(j, pivot);
        b.swap(j, pivot);
        log_determinant += a[j][j].abs().ln();
        for i in j + 1..n {
            let factor = a[i][j] / a[j][j];
            let (above, below) = a.split_at_mut(i);
            below[0].iter_mut().zip(&above[j]).skip(j).for_each(|(x, y)| *x -= factor * y);
            b[i] -= factor * b[j];
        }
    }
    for j in (0..n).rev() {
        let inner: f64 = (j + 1..n).map(|k| a[j][k] * b[k]).sum();
        b[j] = (b[j] - inner) / a[j][j];
    }
    (b, log_determinant)
}
