//! Zero-inflated models from their definition: one cell after the other, derivatives
//! by differences, optima by the EM algorithm.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use statrs::function::gamma::ln_gamma;

/// A gene's counts, and the columns of both parts.
#[derive(Clone)]
pub struct Problem {
    pub count: Vec<f64>,
    pub zero: Vec<f64>,
    pub offset: Vec<f64>,
    pub counts: Vec<f64>,
}

impl Problem {
    /// An intercept and normal and binary covariates in turn, `p` columns in the count
    /// part and `q` in the zero part, of which they share the first; alpha = 0 means
    /// Poisson.
    pub fn random(seed: u64, cells: usize, (p, q): (usize, usize), alpha: f64, level: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut columns = vec![1.0; cells];
        for j in 1..p.max(q) {
            columns.extend((0..cells).map(|_| match j % 2 {
                1 => rng.sample::<f64, _>(StandardNormal),
                _ => f64::from(rng.random::<f64>() < 0.4),
            }));
        }
        let offset: Vec<f64> =
            (0..cells).map(|_| 0.4 * rng.sample::<f64, _>(StandardNormal)).collect();
        let mut problem = Self {
            count: columns[..p * cells].to_vec(),
            zero: columns[..q * cells].to_vec(),
            offset,
            counts: vec![],
        };
        let b: Vec<f64> = (0..p).map(|j| if j == 0 { level } else { 0.4 }).collect();
        let g: Vec<f64> = (0..q).map(|j| if j == 0 { -0.3 } else { 0.6 }).collect();
        problem.draw(&b, &g, alpha, &mut rng);
        problem
    }

    pub fn draw(&mut self, b: &[f64], g: &[f64], alpha: f64, rng: &mut ChaCha8Rng) {
        self.counts = (0..self.offset.len())
            .map(|cell| {
                let structural = rng.random::<f64>() < share(self.zeta(cell, g));
                let mu = self.eta(cell, b).exp();
                let mean = match alpha > 0.0 {
                    true => Gamma::new(1.0 / alpha, alpha * mu).unwrap().sample(rng),
                    false => mu,
                };
                if structural || mean <= 0.0 {
                    0.0
                } else {
                    Poisson::new(mean).unwrap().sample(rng)
                }
            })
            .collect();
    }

    pub fn cells(&self) -> usize {
        self.offset.len()
    }

    pub fn sizes(&self) -> (usize, usize) {
        (self.count.len() / self.cells(), self.zero.len() / self.cells())
    }

    pub fn sparse(&self) -> (Vec<u32>, Vec<f64>) {
        let counts = self.counts.iter().enumerate().filter(|(_, y)| **y > 0.0);
        counts.map(|(cell, &y)| (cell as u32, y)).unzip()
    }

    pub fn eta(&self, cell: usize, b: &[f64]) -> f64 {
        self.offset[cell] + row(&self.count, cell, self.cells(), b)
    }

    pub fn zeta(&self, cell: usize, g: &[f64]) -> f64 {
        row(&self.zero, cell, self.cells(), g)
    }

    /// Of all parameters: coefficients of both parts, and log(alpha) where there is
    /// one more.
    pub fn log_likelihood(&self, parameters: &[f64]) -> f64 {
        let (p, q) = self.sizes();
        let alpha = parameters.get(p + q).map_or(0.0, |shape| shape.exp());
        (0..self.cells())
            .map(|cell| {
                let eta = self.eta(cell, &parameters[..p]);
                let zeta = self.zeta(cell, &parameters[p..p + q]);
                let y = self.counts[cell];
                let density = log_density(y, eta, alpha);
                match y == 0.0 {
                    true => log_sum(log_share(zeta), log_share(-zeta) + density),
                    false => log_share(-zeta) + density,
                }
            })
            .sum()
    }

    /// By central differences.
    pub fn gradient(&self, parameters: &[f64]) -> Vec<f64> {
        (0..parameters.len())
            .map(|k| {
                let at = |step: f64| self.log_likelihood(&moved(parameters, k, step));
                (8.0 * (at(H) - at(-H)) - (at(2.0 * H) - at(-2.0 * H))) / (12.0 * H)
            })
            .collect()
    }

    /// Minus the second derivatives, full, by differences of gradients.
    pub fn information(&self, parameters: &[f64]) -> Vec<Vec<f64>> {
        (0..parameters.len())
            .map(|k| {
                let at = |step: f64| self.gradient(&moved(parameters, k, step));
                let (up, down) = (at(H), at(-H));
                up.iter().zip(&down).map(|(u, d)| -(u - d) / (2.0 * H)).collect()
            })
            .collect()
    }

    /// The Poisson model's optimum by the EM algorithm from these coefficients: the
    /// zeros' probabilities of being structural, then one Newton step for each part.
    pub fn em(&self, start: &[f64], rounds: usize) -> Vec<f64> {
        let (p, q) = self.sizes();
        let n = self.cells();
        let mut at = start.to_vec();
        for _ in 0..rounds {
            let (mut b_score, mut b_info) = (vec![0.0; p], vec![vec![0.0; p]; p]);
            let (mut g_score, mut g_info) = (vec![0.0; q], vec![vec![0.0; q]; q]);
            for cell in 0..n {
                let (eta, zeta) = (self.eta(cell, &at[..p]), self.zeta(cell, &at[p..]));
                let (mu, pi) = (eta.exp(), share(zeta));
                let y = self.counts[cell];
                let r = if y == 0.0 { share(zeta + mu) } else { 0.0 };
                add(
                    &mut b_score,
                    &mut b_info,
                    &self.count,
                    cell,
                    (1.0 - r) * (y - mu),
                    (1.0 - r) * mu,
                );
                add(&mut g_score, &mut g_info, &self.zero, cell, r - pi, pi * (1.0 - pi));
            }
            let steps = [solve(b_info, b_score), solve(g_info, g_score)].concat();
            at.iter_mut().zip(&steps).for_each(|(x, s)| *x += s.clamp(-1.0, 1.0));
        }
        at
    }
}

const H: f64 = 1e-3;

fn moved(parameters: &[f64], k: usize, step: f64) -> Vec<f64> {
    let mut moved = parameters.to_vec();
    moved[k] += step;
    moved
}

fn row(columns: &[f64], cell: usize, cells: usize, b: &[f64]) -> f64 {
    b.iter().enumerate().map(|(j, b)| columns[j * cells + cell] * b).sum()
}

fn add(score: &mut [f64], info: &mut [Vec<f64>], columns: &[f64], cell: usize, r: f64, w: f64) {
    let cells = columns.len() / score.len();
    let x: Vec<f64> = (0..score.len()).map(|j| columns[j * cells + cell]).collect();
    for j in 0..x.len() {
        score[j] += r * x[j];
        for k in 0..x.len() {
            info[j][k] += w * x[j] * x[k];
        }
    }
}

fn share(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

fn log_share(logit: f64) -> f64 {
    -(if logit > 0.0 { (-logit).exp().ln_1p() } else { logit.exp().ln_1p() - logit })
}

fn log_sum(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

fn log_density(y: f64, eta: f64, alpha: f64) -> f64 {
    let mu = eta.exp();
    if alpha == 0.0 {
        return y * eta - mu - ln_gamma(y + 1.0);
    }
    let theta = 1.0 / alpha;
    ln_gamma(y + theta) - ln_gamma(theta) - ln_gamma(y + 1.0) + y * (alpha.ln() + eta)
        - (y + theta) * (alpha * mu).ln_1p()
}

/// By elimination with pivots.
pub fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            let above = a[k].clone();
            a[i].iter_mut().zip(&above).skip(k).for_each(|(x, above)| *x -= factor * above);
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b
}
