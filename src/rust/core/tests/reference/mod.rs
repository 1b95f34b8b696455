//! Models of one gene on dense vectors, fitted by textbook iterations.

#![allow(dead_code, reason = "each stage's tests use a part of it")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use statrs::function::gamma::{digamma, ln_gamma};

/// A gene's counts, and what they depend on.
#[derive(Clone)]
pub struct Problem {
    pub columns: Vec<f64>,
    pub offset: Vec<f64>,
    pub counts: Vec<f64>,
}

pub struct Fit {
    pub coefficients: Vec<f64>,
    pub standard_errors: Vec<f64>,
    pub theta: f64,
    pub log_likelihood: f64,
    pub deviance: f64,
}

impl Problem {
    /// An intercept, then normal and binary covariates in turn; counts are
    /// negative binomial with this alpha (0: Poisson).
    pub fn random(seed: u64, cells: usize, p: usize, alpha: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut columns = vec![1.0; cells];
        for j in 1..p {
            columns.extend((0..cells).map(|_| match j % 2 {
                1 => rng.sample::<f64, _>(StandardNormal),
                _ => f64::from(rng.random::<f64>() < 0.4),
            }));
        }
        let offset: Vec<f64> =
            (0..cells).map(|_| 0.4 * rng.sample::<f64, _>(StandardNormal)).collect();
        let truth: Vec<f64> = (0..p).map(|j| if j == 0 { 0.5 } else { 0.3 }).collect();
        let mut problem = Self { columns, offset, counts: vec![] };
        problem.draw(&truth, alpha, &mut rng);
        problem
    }

    /// An intercept and indicators of groups: cell i is in group i modulo
    /// `groups`.
    pub fn groups(groups: usize, cells: usize, mean: f64, seed: u64) -> Self {
        let mut columns = vec![1.0; cells];
        for group in 1..groups {
            columns.extend((0..cells).map(|cell| f64::from(cell % groups == group)));
        }
        let mut problem = Self { columns, offset: vec![0.0; cells], counts: vec![] };
        let mut truth = vec![0.0; groups];
        truth[0] = mean.ln();
        problem.draw(&truth, 0.5, &mut ChaCha8Rng::seed_from_u64(seed));
        problem
    }

    /// The same cells, with counts of these coefficients and this alpha.
    pub fn drawn(mut self, truth: &[f64], alpha: f64, seed: u64) -> Self {
        self.draw(truth, alpha, &mut ChaCha8Rng::seed_from_u64(seed));
        self
    }

    fn draw(&mut self, truth: &[f64], alpha: f64, rng: &mut ChaCha8Rng) {
        let means = self.means(truth);
        self.counts = means.iter().map(|&mu| negative_binomial(mu, alpha, rng)).collect();
    }

    /// The same cells, with counts about exp(level).
    pub fn with_level(mut self, level: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        let factor = (level - 0.5).exp();
        self.counts.iter_mut().for_each(|y| *y = negative_binomial(*y * factor, 0.0, &mut rng));
        self
    }

    pub fn binarised(&self) -> Self {
        let counts = self.counts.iter().map(|&y| f64::from(y > 0.0)).collect();
        Self { counts, ..self.clone() }
    }

    pub fn without_cells(&self, dropped: impl Fn(usize) -> bool) -> Self {
        let n = self.counts.len();
        let keep = |values: &[f64]| -> Vec<f64> {
            values.iter().enumerate().filter(|(i, _)| !dropped(i % n)).map(|(_, v)| *v).collect()
        };
        Self {
            columns: keep(&self.columns),
            offset: keep(&self.offset),
            counts: keep(&self.counts),
        }
    }

    pub fn without_column(&self, column: usize) -> Self {
        let n = self.counts.len();
        let mut columns = self.columns.clone();
        columns.drain(column * n..(column + 1) * n);
        Self { columns, ..self.clone() }
    }

    pub fn sparse(&self) -> (Vec<u32>, Vec<f64>) {
        let stored = self.counts.iter().enumerate().filter(|(_, y)| **y != 0.0);
        stored.map(|(i, y)| (i as u32, *y)).unzip()
    }

    pub fn value(&self, cell: usize, column: usize) -> f64 {
        self.columns[column * self.counts.len().max(self.offset.len()) + cell]
    }

    fn p(&self) -> usize {
        self.columns.len() / self.offset.len()
    }

    pub fn predictors(&self, b: &[f64]) -> Vec<f64> {
        let n = self.offset.len();
        (0..n)
            .map(|i| {
                self.offset[i] + (0..b.len()).map(|j| self.columns[j * n + i] * b[j]).sum::<f64>()
            })
            .collect()
    }

    fn means(&self, b: &[f64]) -> Vec<f64> {
        self.predictors(b).into_iter().map(f64::exp).collect()
    }

    /// Sum of v_i x_i.
    fn products(&self, v: &[f64]) -> Vec<f64> {
        let n = v.len();
        (0..self.p()).map(|j| (0..n).map(|i| self.columns[j * n + i] * v[i]).sum()).collect()
    }

    fn gram(&self, w: &[f64]) -> Vec<Vec<f64>> {
        let n = w.len();
        let column = |j: usize| &self.columns[j * n..(j + 1) * n];
        let entry = |j, k| (0..n).map(|i| w[i] * column(j)[i] * column(k)[i]).sum();
        (0..self.p()).map(|j| (0..self.p()).map(|k| entry(j, k)).collect()).collect()
    }

    /// Fisher scoring from zero effects, steps halved while they do not climb.
    /// `cell` gives score and weight of a cell at a linear predictor.
    fn scoring(
        &self,
        start: Vec<f64>,
        cell: impl Fn(f64, f64) -> (f64, f64),
        likelihood: impl Fn(&[f64]) -> f64,
    ) -> (Vec<f64>, Vec<f64>) {
        let mut b = start;
        for _ in 0..500 {
            let (r, w): (Vec<f64>, Vec<f64>) =
                self.predictors(&b).iter().zip(&self.counts).map(|(&e, &y)| cell(e, y)).unzip();
            let step = solve(self.gram(&w), &self.products(&r));
            let (now, mut factor) = (likelihood(&b), 1.0);
            let moved =
                |f: f64| -> Vec<f64> { b.iter().zip(&step).map(|(b, s)| b + f * s).collect() };
            while likelihood(&moved(factor)) < now - 1e-9 * now.abs() && factor > 1e-9 {
                factor /= 2.0;
            }
            b = moved(factor);
            if step.iter().all(|s| s.abs() < 1e-13) {
                break;
            }
        }
        let se = self.standard_errors(&b, cell);
        (b, se)
    }

    fn standard_errors(&self, b: &[f64], cell: impl Fn(f64, f64) -> (f64, f64)) -> Vec<f64> {
        let terms = self.predictors(b).into_iter().zip(&self.counts);
        let w: Vec<f64> = terms.map(|(eta, &y)| cell(eta, y).1).collect();
        let information = self.gram(&w);
        let p = self.p();
        let unit = |k: usize| (0..p).map(|j| f64::from(j == k)).collect::<Vec<_>>();
        (0..p).map(|k| solve(information.clone(), &unit(k))[k].sqrt()).collect()
    }

    fn start(&self) -> Vec<f64> {
        let mut start = vec![0.0; self.p()];
        start[0] = (self.counts.iter().sum::<f64>() / self.counts.len() as f64).ln();
        start
    }

    pub fn poisson(&self) -> Fit {
        let likelihood = |b: &[f64]| self.poisson_log_likelihood(b);
        let (b, se) = self.scoring(self.start(), |eta, y| (y - eta.exp(), eta.exp()), likelihood);
        let terms = self.means(&b).into_iter().zip(&self.counts);
        let deviance =
            terms.map(|(mu, &y)| 2.0 * (if y > 0.0 { y * (y / mu).ln() } else { 0.0 } - (y - mu)));
        Fit {
            deviance: deviance.sum(),
            log_likelihood: likelihood(&b),
            coefficients: b,
            standard_errors: se,
            theta: f64::INFINITY,
        }
    }

    pub fn binomial(&self) -> Fit {
        let logistic = |eta: f64| 1.0 / (1.0 + (-eta).exp());
        let likelihood = |b: &[f64]| -> f64 {
            let terms = self.predictors(b).into_iter().zip(&self.counts);
            terms.map(|(eta, y)| y * eta - eta.exp().ln_1p()).sum()
        };
        let cell = |eta, y| {
            let mu = logistic(eta);
            (y - mu, mu * (1.0 - mu))
        };
        let (b, se) = self.scoring(vec![0.0; self.p()], cell, likelihood);
        let log_likelihood = likelihood(&b);
        Fit {
            deviance: -2.0 * log_likelihood,
            log_likelihood,
            coefficients: b,
            standard_errors: se,
            theta: f64::NAN,
        }
    }

    pub fn gaussian(&self) -> Fit {
        let n = self.counts.len() as f64;
        let z: Vec<f64> = self.counts.iter().zip(&self.offset).map(|(y, o)| y - o).collect();
        let gram = self.gram(&vec![1.0; self.counts.len()]);
        let b = solve(gram.clone(), &self.products(&z));
        let fitted = self.predictors(&b);
        let rss: f64 = self.counts.iter().zip(&fitted).map(|(y, f)| (y - f).powi(2)).sum();
        let p = self.p();
        let unit = |k: usize| (0..p).map(|j| f64::from(j == k)).collect::<Vec<_>>();
        let variance = rss / (n - p as f64);
        let se = (0..p).map(|k| (variance * solve(gram.clone(), &unit(k))[k]).sqrt()).collect();
        let log_likelihood = -0.5 * n * ((std::f64::consts::TAU * rss / n).ln() + 1.0);
        Fit { coefficients: b, standard_errors: se, theta: f64::NAN, log_likelihood, deviance: rss }
    }

    /// Scoring for the coefficients and bisection of the score for log(theta),
    /// in turn, until neither moves.
    pub fn negative_binomial(&self) -> Fit {
        let mut b = self.poisson().coefficients;
        let mut theta: f64 = 1.0;
        let mut se = vec![];
        for _ in 0..300 {
            let before = theta;
            let (mut low, mut high) = (-15.0f64, 15.0f64);
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                if self.theta_score(&b, middle.exp()) > 0.0 { low = middle } else { high = middle }
            }
            theta = low.exp();
            (b, se) = self.scoring_at(b, theta);
            if (theta / before - 1.0).abs() < 1e-12 {
                break;
            }
        }
        self.nb_fit(b, se, theta)
    }

    /// The coefficients at a given theta, infinite for Poisson.
    pub fn negative_binomial_at(&self, theta: f64) -> Fit {
        if theta.is_infinite() {
            return self.poisson();
        }
        let (b, se) = self.scoring_at(self.poisson().coefficients, theta);
        self.nb_fit(b, se, theta)
    }

    /// The log-likelihood's profile at theta, less half the logarithm of the
    /// determinant of the expected information.
    pub fn adjusted_profile(&self, theta: f64) -> f64 {
        let fit = self.negative_binomial_at(theta);
        let weights: Vec<f64> =
            self.means(&fit.coefficients).iter().map(|mu| mu / (1.0 + mu / theta)).collect();
        fit.log_likelihood - 0.5 * log_determinant(self.gram(&weights))
    }

    /// By observed information: expected information can overshoot for ever.
    /// Standard errors are from the latter.
    fn scoring_at(&self, start: Vec<f64>, theta: f64) -> (Vec<f64>, Vec<f64>) {
        let cell = |eta: f64, y: f64| {
            let mu = eta.exp();
            let score = theta * (y - mu) / (theta + mu);
            (score, (y + theta) * theta * mu / (theta + mu).powi(2))
        };
        let (b, _) = self.scoring(start, cell, |b| self.nb_log_likelihood(b, theta));
        let expected = |eta: f64, _| (0.0, theta * eta.exp() / (theta + eta.exp()));
        let se = self.standard_errors(&b, expected);
        (b, se)
    }

    fn nb_fit(&self, b: Vec<f64>, standard_errors: Vec<f64>, theta: f64) -> Fit {
        let terms = self.means(&b).into_iter().zip(&self.counts).map(|(mu, &y)| {
            let own = if y > 0.0 { y * (y / mu).ln() } else { 0.0 };
            2.0 * (own - (y + theta) * ((y + theta) / (mu + theta)).ln())
        });
        Fit {
            deviance: terms.sum(),
            log_likelihood: self.nb_log_likelihood(&b, theta),
            coefficients: b,
            standard_errors,
            theta,
        }
    }

    fn poisson_log_likelihood(&self, b: &[f64]) -> f64 {
        let terms = self.predictors(b).into_iter().zip(&self.counts);
        terms.map(|(eta, &y)| y * eta - eta.exp() - ln_gamma(y + 1.0)).sum()
    }

    pub fn nb_log_likelihood(&self, b: &[f64], theta: f64) -> f64 {
        if theta.is_infinite() {
            return self.poisson_log_likelihood(b);
        }
        let terms = self.predictors(b).into_iter().zip(&self.counts).map(|(eta, &y)| {
            let mu = eta.exp();
            let rising =
                if y > 0.0 { ln_gamma(y + theta) - ln_gamma(theta) - y * theta.ln() } else { 0.0 };
            rising - ln_gamma(y + 1.0) + y * eta - (y + theta) * (mu / theta).ln_1p()
        });
        terms.sum()
    }

    /// Derivative of the log-likelihood with respect to the coefficients.
    pub fn score(&self, b: &[f64], theta: f64) -> Vec<f64> {
        let residual = self.means(b).into_iter().zip(&self.counts).map(|(mu, y)| {
            if theta.is_infinite() { y - mu } else { theta * (y - mu) / (theta + mu) }
        });
        self.products(&residual.collect::<Vec<_>>())
    }

    /// Derivative of the log-likelihood with respect to theta.
    pub fn theta_score(&self, b: &[f64], theta: f64) -> f64 {
        let terms = self.means(b).into_iter().zip(&self.counts).map(|(mu, &y)| {
            let rising = if y > 0.0 { digamma(y + theta) - digamma(theta) } else { 0.0 };
            rising - (mu / theta).ln_1p() + (mu - y) / (theta + mu)
        });
        terms.sum()
    }

    pub fn pearson(&self, b: &[f64]) -> f64 {
        self.means(b).into_iter().zip(&self.counts).map(|(mu, y)| (y - mu).powi(2) / mu).sum()
    }
}

/// Genes x cells, stored by cell.
pub fn by_cell(genes: &[Problem], cells: usize) -> (Vec<i32>, Vec<i32>, Vec<f64>) {
    let (mut p, mut i, mut x) = (vec![0], vec![], vec![]);
    for cell in 0..cells {
        for (gene, problem) in genes.iter().enumerate() {
            if problem.counts[cell] != 0.0 {
                i.push(gene as i32);
                x.push(problem.counts[cell]);
            }
        }
        p.push(i.len() as i32);
    }
    (p, i, x)
}

fn negative_binomial(mu: f64, alpha: f64, rng: &mut ChaCha8Rng) -> f64 {
    let scatter =
        if alpha > 0.0 { Gamma::new(1.0 / alpha, alpha).unwrap().sample(rng) } else { 1.0 };
    let mean = mu * scatter;
    if mean > 0.0 { Poisson::new(mean).unwrap().sample(rng) } else { 0.0 }
}

/// Of a positive definite matrix, by elimination.
fn log_determinant(mut a: Vec<Vec<f64>>) -> f64 {
    let p = a.len();
    for k in 0..p {
        for i in k + 1..p {
            let factor = a[i][k] / a[k][k];
            let above = a[k].clone();
            a[i].iter_mut().zip(&above).for_each(|(below, above)| *below -= factor * above);
        }
    }
    (0..p).map(|k| a[k][k].ln()).sum()
}

/// Gaussian elimination with partial pivoting.
fn solve(mut a: Vec<Vec<f64>>, right: &[f64]) -> Vec<f64> {
    let p = right.len();
    let mut x = right.to_vec();
    for k in 0..p {
        let pivot = (k..p).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        x.swap(k, pivot);
        for i in k + 1..p {
            let above = a[k].clone();
            let factor = a[i][k] / above[k];
            a[i].iter_mut().zip(&above).for_each(|(below, above)| *below -= factor * above);
            x[i] -= factor * x[k];
        }
    }
    for k in (0..p).rev() {
        let known: f64 = (k + 1..p).map(|j| a[k][j] * x[j]).sum();
        x[k] = (x[k] - known) / a[k][k];
    }
    x
}
