//! Mixed models by their definition, on dense matrices: the joint mode by textbook
//! iterations, the Laplace approximation by a dense determinant.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use scoria_core::design::Design;
use scoria_core::engine::mixed::{Effects, Term};
use statrs::function::gamma::ln_gamma;

/// A gene, its fixed and its random effects.
#[derive(Clone, Debug)]
pub struct Problem {
    pub columns: Vec<f64>,
    pub offset: Vec<f64>,
    pub terms: Vec<Term>,
    pub counts: Vec<f64>,
}

/// What the definition gives at some covariances and some alpha.
pub struct Laplace {
    pub log_likelihood: f64,
    pub coefficients: Vec<f64>,
    pub standard_errors: Vec<f64>,
    /// Largest derivative of the penalised log-likelihood at the mode.
    pub slope: f64,
}

impl Problem {
    /// An intercept and a normal covariate; terms of so many levels, with an intercept
    /// each and, where `slopes` says so, that covariate; standard deviations of `spread`.
    pub fn random(
        seed: u64,
        cells: usize,
        levels: &[(usize, bool)],
        spread: f64,
        alpha: f64,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> f64 { rng.sample(StandardNormal) };
        let x: Vec<f64> = (0..cells).map(|_| 2.0 + normal()).collect();
        let offset: Vec<f64> = (0..cells).map(|_| 0.3 * normal()).collect();
        let mut eta: Vec<f64> = x.iter().zip(&offset).map(|(x, o)| 0.3 + 0.2 * x + o).collect();
        let mut terms = vec![];
        for (t, &(levels, slope)) in levels.iter().enumerate() {
            let own: Vec<(f64, f64)> =
                (0..levels).map(|_| (spread * normal(), 0.5 * spread * normal())).collect();
            let level: Vec<u32> = (0..cells)
                .map(|i| if i < levels { i } else { (i * (7 + 4 * t) + i / 5) % levels } as u32)
                .collect();
            let mut columns = vec![1.0; cells];
            if slope {
                columns.extend(&x);
            }
            for i in 0..cells {
                let (a, b) = own[level[i] as usize];
                eta[i] += a + if slope { b * x[i] } else { 0.0 };
            }
            terms.push(Term { levels, level, columns });
        }
        let mut columns = vec![1.0; cells];
        columns.extend(&x);
        let draw = |eta: &f64| {
            let mean = eta.min(12.0).exp();
            let rate = match alpha > 0.0 {
                true => mean * alpha * Gamma::new(1.0 / alpha, 1.0).unwrap().sample(&mut rng),
                false => mean,
            };
            if rate > 1e-12 { Poisson::new(rate).unwrap().sample(&mut rng) } else { 0.0 }
        };
        let counts = eta.iter().map(draw).collect();
        Self { columns, offset, terms, counts }
    }

    pub fn cells(&self) -> usize {
        self.offset.len()
    }

    pub fn design(&self) -> Design {
        Design::new(&self.columns, &self.offset).unwrap()
    }

    pub fn effects(&self) -> Effects {
        Effects::new(&self.terms, self.cells()).unwrap()
    }

    /// Cells with counts, and their counts.
    pub fn sparse(&self) -> (Vec<u32>, Vec<f64>) {
        let counts = self.counts.iter().enumerate();
        counts.filter(|(_, y)| **y > 0.0).map(|(i, &y)| (i as u32, y)).unzip()
    }

    /// The Laplace approximation; covariances one term after the other, lower triangle
    /// row after row; alpha zero means Poisson.
    pub fn laplace(&self, covariances: &[f64], alpha: f64) -> Laplace {
        let (n, p) = (self.cells(), self.columns.len() / self.cells());
        let rows = self.rows(covariances);
        let q = rows[0].len() - p;
        let mut at = vec![0.0; q + p];
        let mean = self.counts.iter().sum::<f64>() / n as f64;
        at[q] = mean.ln();
        // Expected weights, or observed ones; and derivatives.
        let weights = |at: &[f64], observed: bool| -> Vec<(f64, f64)> {
            (0..n)
                .map(|i| {
                    let (mu, y) = (self.mean(&rows[i], at, i), self.counts[i]);
                    let part = 1.0 + alpha * mu;
                    let w =
                        if observed { mu * (1.0 + alpha * y) / part.powi(2) } else { mu / part };
                    (w, (y - mu) / part)
                })
                .collect()
        };
        let system = |weights: &[(f64, f64)]| {
            let mut matrix = vec![vec![0.0; q + p]; q + p];
            for (row, (w, _)) in rows.iter().zip(weights) {
                for (j, a) in row.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                    row.iter().zip(&mut matrix[j]).for_each(|(b, sum)| *sum += w * a * b);
                }
            }
            (0..q).for_each(|j| matrix[j][j] += 1.0);
            matrix
        };
        let gradient = |at: &[f64], weights: &[(f64, f64)]| -> Vec<f64> {
            let mut gradient: Vec<f64> =
                (0..q + p).map(|j| if j < q { -at[j] } else { 0.0 }).collect();
            for (row, (_, r)) in rows.iter().zip(weights) {
                gradient.iter_mut().zip(row).for_each(|(sum, a)| *sum += r * a);
            }
            gradient
        };
        for _ in 0..2000 {
            let weights = weights(&at, true);
            let gradient = gradient(&at, &weights);
            let step = solve(system(&weights), &gradient);
            let height = self.penalised(&rows, &at, q, alpha);
            let mut factor = 1.0;
            let moved = loop {
                let moved: Vec<f64> = at.iter().zip(&step).map(|(x, s)| x + factor * s).collect();
                if self.penalised(&rows, &moved, q, alpha) >= height - 1e-9 || factor < 1e-9 {
                    break moved;
                }
                factor *= 0.5;
            };
            at = moved;
            if step.iter().all(|s| s.abs() < 1e-11) {
                break;
            }
        }
        let weights = weights(&at, false);
        let slope = gradient(&at, &weights).iter().fold(0.0f64, |most, g| most.max(g.abs()));
        let matrix = system(&weights);
        let random: Vec<Vec<f64>> = matrix[..q].iter().map(|row| row[..q].to_vec()).collect();
        let variance = |k: usize| {
            let unit: Vec<f64> = (0..q + p).map(|j| f64::from(j == q + k)).collect();
            solve(matrix.clone(), &unit)[q + k]
        };
        Laplace {
            log_likelihood: self.penalised(&rows, &at, q, alpha) - 0.5 * log_determinant(random),
            coefficients: at[q..].to_vec(),
            standard_errors: (0..p).map(|k| variance(k).sqrt()).collect(),
            slope,
        }
    }

    /// `[Z Lambda, X]`, row after row.
    fn rows(&self, covariances: &[f64]) -> Vec<Vec<f64>> {
        let n = self.cells();
        let mut rows = vec![vec![]; n];
        let mut from = 0;
        for term in &self.terms {
            let width = term.columns.len() / n;
            let triangle = root(&covariances[from..], width);
            from += width * (width + 1) / 2;
            for (i, row) in rows.iter_mut().enumerate() {
                let mut own = vec![0.0; width * term.levels];
                for b in 0..width {
                    own[term.level[i] as usize * width + b] =
                        (b..width).map(|a| term.columns[a * n + i] * triangle[a][b]).sum();
                }
                row.extend(own);
            }
        }
        for (i, row) in rows.iter_mut().enumerate() {
            row.extend(self.columns.iter().skip(i).step_by(n));
        }
        rows
    }

    fn mean(&self, row: &[f64], at: &[f64], cell: usize) -> f64 {
        (self.offset[cell] + row.iter().zip(at).map(|(a, x)| a * x).sum::<f64>()).exp()
    }

    /// `log f(y | v, b) - |v|² / 2`.
    fn penalised(&self, rows: &[Vec<f64>], at: &[f64], q: usize, alpha: f64) -> f64 {
        let log_density = |(i, row): (usize, &Vec<f64>)| {
            let (mu, y) = (self.mean(row, at, i), self.counts[i]);
            if alpha == 0.0 {
                return y * mu.ln() - mu - ln_gamma(y + 1.0);
            }
            let theta = 1.0 / alpha;
            ln_gamma(y + theta) - ln_gamma(theta) - ln_gamma(y + 1.0) + y * (alpha * mu).ln()
                - (y + theta) * (alpha * mu).ln_1p()
        };
        let penalty: f64 = at[..q].iter().map(|v| v * v).sum();
        rows.iter().enumerate().map(log_density).sum::<f64>() - 0.5 * penalty
    }
}

/// The lower Cholesky factor; of a singular matrix, with zero columns.
fn root(packed: &[f64], width: usize) -> Vec<Vec<f64>> {
    let mut l = vec![vec![0.0; width]; width];
    for j in 0..width {
        for i in j..width {
            let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            let rest = packed[i * (i + 1) / 2 + j] - sum;
            l[i][j] = match i == j {
                true => rest.max(0.0).sqrt(),
                false if l[j][j] > 1e-10 => rest / l[j][j],
                false => 0.0,
            };
        }
    }
    l
}

/// By Gaussian elimination with pivoting.
fn solve(mut a: Vec<Vec<f64>>, right: &[f64]) -> Vec<f64> {
    let n = right.len();
    let mut b = right.to_vec();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        b.swap(k, pivot);
        let above = a[k].clone();
        for i in k + 1..n {
            let factor = a[i][k] / above[k];
            a[i].iter_mut().zip(&above).for_each(|(x, y)| *x -= factor * y);
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        let rest: f64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - rest) / a[k][k];
    }
    b
}

fn log_determinant(mut a: Vec<Vec<f64>>) -> f64 {
    let n = a.len();
    let mut sum = 0.0;
    for k in 0..n {
        let above = a[k].clone();
        sum += above[k].ln();
        for row in &mut a[k + 1..] {
            let factor = row[k] / above[k];
            row.iter_mut().zip(&above).for_each(|(x, y)| *x -= factor * y);
        }
    }
    sum
}
