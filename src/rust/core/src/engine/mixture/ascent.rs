//! The optimum over few columns, by a primal-dual interior point method.
//!
//! Without the constraint on their sum, weights x that minimise
//! `sum(x) - sum_j w_j log((L x)_j) - sum_k a_k log(x_k)`, where w and a sum up to 1, have
//! the sum 1: only x >= 0 is left. With its multipliers z and a barrier mu, Newton's step
//! is (H + diag(z / x)) dx = -gradient + mu / x. The matrix is definite even where columns
//! are the same, are zero, or outnumber the rows.

use super::Likelihoods;
use crate::{Monitor, Result};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;

const MOST_STEPS: usize = 300;

/// Rows that are worked on together; sums over them are added up in order.
const CHUNK: usize = 512;

/// How far gradients may be from optimal.
const CONVERGED: f64 = 1e-12;

const LOWEST_BARRIER: f64 = 1e-17;

/// Weights below this, of columns that are worse than others, are zero.
const NEGLIGIBLE: f64 = 1e-11;

pub(super) struct Problem {
    rows: usize,
    /// Column after column.
    likelihoods: Vec<f64>,
    row_weights: Vec<f64>,
    counts: Vec<f64>,
}

impl Problem {
    pub fn new(
        all: &impl Likelihoods,
        active: &[usize],
        row_weights: &[f64],
        counts: &[f64],
    ) -> Self {
        let rows = all.rows();
        let mut likelihoods = vec![0.0; rows * active.len()];
        let columns = likelihoods.par_chunks_exact_mut(rows.max(1));
        columns.zip(active).for_each(|(values, &k)| all.column(k, values));
        let counts = active.iter().map(|&k| counts[k]).collect();
        Self { rows, likelihoods, row_weights: row_weights.to_vec(), counts }
    }

    /// The optimal weights. Those that are nothing but the barrier's doing are zero.
    pub fn solve(&self, monitor: &Monitor) -> Result<Vec<f64>> {
        let columns = self.counts.len();
        let mut x = vec![1.0 / columns as f64; columns];
        let mut z = vec![1.0; columns];
        let mut barrier = 0.1;
        let (mut least, mut idle) = (f64::INFINITY, 0);
        for _ in 0..MOST_STEPS {
            monitor.check()?;
            let density = self.densities(&x);
            let slopes = self.slopes(&x, &density);
            let total: f64 = x.iter().sum();
            let excess =
                slopes.iter().fold(0.0, |most: f64, slope| most.max(total * (1.0 - slope) - 1.0));
            // Once the barrier is as low as it gets, until nothing is gained any more.
            if excess < 0.5 * least {
                (least, idle) = (excess, 0);
            } else if barrier <= LOWEST_BARRIER {
                idle += 1;
            }
            if barrier <= LOWEST_BARRIER && excess <= CONVERGED || idle == 15 {
                break;
            }
            let gap = inner(&x, &z) / columns as f64;
            barrier = barrier.min(0.1 * gap).max(LOWEST_BARRIER);
            let direction = self.direction(&x, &z, &density, &slopes, barrier);
            let Some(direction) = direction else { break };
            let change = |k: usize| (barrier - z[k] * direction[k]) / x[k] - z[k];
            let z_direction: Vec<f64> = (0..columns).map(change).collect();
            let length = self.step(&x, &direction, &slopes, &density, barrier);
            let z_length = to_boundary(&z, &z_direction);
            for k in 0..columns {
                x[k] += length * direction[k];
                let moved = z[k] + z_length * z_direction[k];
                z[k] = moved.clamp(1e-8 * barrier / x[k], 1e8 * barrier / x[k]);
            }
            if length < 0.1 {
                barrier = f64::min(0.1, 10.0 * barrier);
            }
        }
        for k in 0..columns {
            if self.counts[k] == 0.0 && x[k] < NEGLIGIBLE && x[k] < z[k] {
                x[k] = 0.0;
            }
        }
        let total: f64 = x.iter().sum();
        Ok(x.into_iter().map(|weight| weight / total).collect())
    }

    /// L x.
    pub fn densities(&self, x: &[f64]) -> Vec<f64> {
        let mut density = vec![0.0; self.rows];
        density.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, density)| {
            for (k, &weight) in x.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
                let column = &self.chunk(k, chunk)[..density.len()];
                density.iter_mut().zip(column).for_each(|(sum, value)| *sum += weight * value);
            }
        });
        density
    }

    /// The gradient, 1 - L'(w / L x) - a / x.
    fn slopes(&self, x: &[f64], density: &[f64]) -> Vec<f64> {
        let by_row: Vec<f64> =
            self.row_weights.iter().zip(density).map(|(w, density)| ratio(*w, *density)).collect();
        let slope = |k: usize| {
            let column = &self.likelihoods[k * self.rows..(k + 1) * self.rows];
            1.0 - inner(column, &by_row) - self.counts[k] / x[k]
        };
        (0..x.len()).into_par_iter().map(slope).collect()
    }

    /// Newton's step; None where rounding has the last word.
    fn direction(
        &self,
        x: &[f64],
        z: &[f64],
        density: &[f64],
        slopes: &[f64],
        barrier: f64,
    ) -> Option<Vec<f64>> {
        let columns = x.len();
        let mut hessian = self.hessian(density);
        let mut largest = 0.0_f64;
        for k in 0..columns {
            hessian[(k, k)] += self.counts[k] / (x[k] * x[k]) + z[k] / x[k];
            largest = largest.max(hessian[(k, k)]);
        }
        // In units in which the diagonal is one.
        let unit: Vec<f64> = (0..columns).map(|k| 1.0 / hessian[(k, k)].sqrt()).collect();
        let scaled = |row: usize, column: usize, ridge: f64| {
            let entry = hessian[(row, column)] * unit[row] * unit[column];
            if row == column { entry + ridge } else { entry }
        };
        for ridge in [1e-15, 1e-12, 1e-9] {
            let matrix = Mat::from_fn(columns, columns, |i, j| scaled(i, j, ridge));
            if let Ok(factor) = matrix.llt(Side::Lower) {
                let right = |k: usize, _| unit[k] * (barrier / x[k] - slopes[k]);
                let solved = factor.solve(Mat::from_fn(columns, 1, right));
                let direction: Vec<f64> = (0..columns).map(|k| unit[k] * solved[(k, 0)]).collect();
                if direction.iter().all(|step| step.is_finite()) {
                    return Some(direction);
                }
            }
        }
        None
    }

    /// The lower triangle of L' diag(w / (L x)^2) L.
    fn hessian(&self, density: &[f64]) -> Mat<f64> {
        let columns = self.counts.len();
        let part = |chunk: usize| {
            let rows = CHUNK.min(self.rows - chunk * CHUNK);
            let scale: Vec<f64> = (chunk * CHUNK..chunk * CHUNK + rows)
                .map(|row| ratio(self.row_weights[row].sqrt(), density[row]))
                .collect();
            let mut scaled = Vec::with_capacity(rows * columns);
            for k in 0..columns {
                let column = self.chunk(k, chunk).iter().zip(&scale);
                scaled.extend(column.map(|(value, scale)| value * scale));
            }
            let scaled = MatRef::from_column_major_slice(&scaled, rows, columns);
            let mut product = Mat::zeros(columns, columns);
            matmul(
                product.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Replace,
                scaled.transpose(),
                BlockStructure::Rectangular,
                scaled,
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
            product
        };
        let mut sum = Mat::zeros(columns, columns);
        // As many at a time as there are threads to hold.
        let chunks: Vec<usize> = (0..self.rows.div_ceil(CHUNK)).collect();
        for some in chunks.chunks(8) {
            let parts: Vec<Mat<f64>> = some.par_iter().map(|&chunk| part(chunk)).collect();
            parts.into_iter().for_each(|part| sum += part);
        }
        sum
    }

    /// How far to go: not across the boundary, and down the objective with its barrier.
    fn step(
        &self,
        x: &[f64],
        direction: &[f64],
        slopes: &[f64],
        density: &[f64],
        barrier: f64,
    ) -> f64 {
        let slope: f64 = (0..x.len()).map(|k| direction[k] * (slopes[k] - barrier / x[k])).sum();
        let start = self.objective(x, density, barrier);
        let mut length = to_boundary(x, direction);
        for _ in 0..40 {
            let there: Vec<f64> =
                x.iter().zip(direction).map(|(x, step)| x + length * step).collect();
            let value = self.objective(&there, &self.densities(&there), barrier);
            if value <= start + 1e-4 * length * slope + 1e-14 * (1.0 + start.abs()) {
                break;
            }
            length *= 0.5;
        }
        length
    }

    fn objective(&self, x: &[f64], density: &[f64], barrier: f64) -> f64 {
        let said = self.row_weights.iter().zip(density).filter(|(w, _)| **w > 0.0);
        let fit: f64 = said.map(|(w, density)| w * density.ln()).sum();
        let prior: f64 =
            x.iter().zip(&self.counts).map(|(x, count)| (count + barrier) * x.ln()).sum();
        x.iter().sum::<f64>() - fit - prior
    }

    fn chunk(&self, column: usize, chunk: usize) -> &[f64] {
        let start = column * self.rows;
        let end = self.rows.min((chunk + 1) * CHUNK);
        &self.likelihoods[start + chunk * CHUNK..start + end]
    }
}

fn ratio(w: f64, density: f64) -> f64 {
    if w > 0.0 { w / density } else { 0.0 }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The part of a step, at most all of it, that stays clear of zero.
fn to_boundary(from: &[f64], step: &[f64]) -> f64 {
    let most = from.iter().zip(step).filter(|(_, step)| **step < 0.0);
    most.fold(1.0, |length: f64, (from, step)| length.min(-0.995 * from / step))
}
