//! Memberships drawn cell by cell, each with a probability of its own.

use super::atoms::Atoms;
use super::bins::{Bin, Grid, merge};
use super::contour::tails;
use super::ripple::Ripple;
use super::saddle::{Group, Problem};
use super::{Scratch, Tails};

const BINS: usize = 80;
/// Between classes of probabilities. Within a class, cells of like residuals
/// are treated as cells of one probability.
const EDGES: [f64; 5] = [0.05, 0.2, 0.5, 0.8, 0.95];

/// One gene's residuals, each in a bin of like ones: made once, asked for every
/// perturbation.
pub struct BinnedResiduals {
    residuals: Vec<f64>,
    bin: Vec<u8>,
    ripple: Ripple,
}

/// Of the cells of a bin: sums of probability, probability times residual and
/// its square, and squared probability.
type Sums = [f64; 4];

impl BinnedResiduals {
    /// Residuals are finite.
    pub fn new(residuals: &[f64]) -> Self {
        let n = residuals.len().max(1) as f64;
        let mean = residuals.iter().sum::<f64>() / n;
        let sd = (residuals.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n).sqrt();
        let grid = Grid::new(sd);
        let mut points = vec![(0u32, 0.0); Grid::len()];
        for &residual in residuals {
            let (count, sum) = &mut points[grid.place(residual)];
            *count += 1;
            *sum += residual;
        }
        let mut bins = vec![];
        let mut at = vec![0; points.len()];
        for (&(count, sum), at) in points.iter().zip(&mut at) {
            if count > 0 {
                *at = bins.len();
                let cells = f64::from(count);
                bins.push(Bin { cells, mean: sum / cells, ..Bin::default() });
            }
        }
        let mut first = vec![false; bins.len()];
        first.iter_mut().take(1).for_each(|first| *first = true);
        let (place, merged) = merge(&bins, &first, BINS);
        let mut atoms = Atoms::default();
        merged.iter().for_each(|bin| atoms.push(bin.mean, bin.variance(), bin.cells, 0.0));
        atoms.end_group();
        Self {
            residuals: residuals.to_vec(),
            bin: residuals.iter().map(|&r| place[at[grid.place(r)]] as u8).collect(),
            ripple: Ripple::new(&atoms, sd),
        }
    }

    /// Tail probabilities of the sum of residuals over cells drawn with
    /// `probabilities`, one a cell, at `statistic`.
    ///
    /// # Panics
    /// Where there are not as many probabilities as residuals.
    pub fn conditional(
        &self,
        probabilities: &[f64],
        statistic: f64,
        scratch: &mut Scratch,
    ) -> Tails {
        assert_eq!(probabilities.len(), self.residuals.len(), "cells with a probability");
        let mut sums = vec![[0.0; 4]; BINS * (EDGES.len() + 1)];
        for ((&p, &r), &bin) in probabilities.iter().zip(&self.residuals).zip(&self.bin) {
            let class =
                if p < EDGES[0] { 0 } else { EDGES.iter().filter(|edge| p >= **edge).count() };
            let sum = &mut sums[class * BINS + usize::from(bin)];
            let pr = p * r;
            *sum = [sum[0] + p, sum[1] + pr, sum[2] + pr * r, sum[3] + p * p];
        }
        let mut atoms = std::mem::take(&mut scratch.atoms);
        atoms.clear();
        let (mut mean, mut variance, mut size) = (0.0, 0.0, 0.0);
        for sums in sums.iter().filter(|sums| sums[0] > 0.0) {
            let (centre, square) = push(&mut atoms, sums);
            mean += sums[1];
            size += sums[1].abs();
            variance += square - sums[3] * centre * centre;
        }
        atoms.end_group();
        let negligible = 1e-9 * size;
        let tails = if variance <= negligible * negligible {
            Tails::of_constant(statistic - mean, negligible)
        } else {
            let cells = self.residuals.len() as f64;
            let group = Group { index: 0, atoms: atoms.groups[0].clone(), cells, drawn: None };
            let problem = Problem { atoms: &atoms, groups: &[group], statistic, mean, variance };
            tails(&problem, &self.ripple, scratch)
        };
        scratch.atoms = atoms;
        tails
    }
}

/// An atom with the cells' mean and variance, weighted by probability; of a
/// number and a probability that give their sums of probabilities and of
/// squares. Returns the mean, and the sum of squares weighted by probability.
fn push(atoms: &mut Atoms, &[sum, first, second, squared]: &Sums) -> (f64, f64) {
    let probability = (squared / sum).min(1.0 - 1e-12);
    let log_odds = (probability / (1.0 - probability)).ln();
    let mean = first / sum;
    let variance = second / sum - mean * mean;
    let variance = if variance > 1e-12 * mean * mean { variance } else { 0.0 };
    atoms.push(mean, variance, sum / probability, log_odds);
    (mean, second)
}
