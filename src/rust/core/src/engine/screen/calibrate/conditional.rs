//! Memberships drawn cell by cell, each with a probability of its own.

use super::atoms::Atoms;
use super::bins::{Bin, Grid, merge};
use super::contour::tails;
use super::outliers::{condition, outliers};
use super::ripple::Ripple;
use super::saddle::{Group, Problem};
use super::{Scratch, Tails, deviation};

const BINS: usize = 80;
/// Between classes of probabilities. Within a class, cells of like residuals
/// are treated as cells of one probability.
const EDGES: [f64; 5] = [0.05, 0.2, 0.5, 0.8, 0.95];

/// One gene's residuals, each in a bin of like ones: made once, asked for every
/// perturbation.
pub struct BinnedResiduals {
    residuals: Vec<f64>,
    /// One beyond the last for outliers.
    bin: Vec<u8>,
    outliers: Vec<usize>,
    ripple: Ripple,
}

/// Of the cells of a bin: sums of probability, probability times residual and
/// its square, and squared probability.
type Sums = [f64; 4];

impl BinnedResiduals {
    /// Residuals are finite.
    pub fn new(residuals: &[f64]) -> Self {
        let found = outliers(residuals, |_| 0, 1);
        let inside = || residuals.iter().enumerate().filter(|(i, _)| !found.contains(i));
        let n = inside().count().max(1) as f64;
        let mean = inside().map(|(_, r)| r).sum::<f64>() / n;
        let sd = (inside().map(|(_, r)| (r - mean).powi(2)).sum::<f64>() / n).sqrt();
        let grid = Grid::new(sd);
        let mut points = vec![(0u32, 0.0); Grid::len()];
        for (_, &residual) in inside() {
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
        let mut bin = vec![BINS as u8; residuals.len()];
        inside().for_each(|(i, &r)| bin[i] = place[at[grid.place(r)]] as u8);
        let ripple = Ripple::new(&atoms, sd);
        Self { residuals: residuals.to_vec(), bin, outliers: found, ripple }
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
        self.drawn_with(probabilities, scratch, |drawn, scratch| {
            drawn.tails(statistic, 0.0, scratch)
        })
    }

    /// The probability that the sum deviates from its mean at least as far as
    /// `statistic` does: of what is as far, half counts (mid-p).
    ///
    /// # Panics
    /// As [`Self::conditional`].
    pub fn two_sided(&self, probabilities: &[f64], statistic: f64, scratch: &mut Scratch) -> f64 {
        self.drawn_with(probabilities, scratch, |drawn, scratch| {
            let outliers: f64 = drawn.outliers.iter().map(|(p, residual)| p * residual).sum();
            let mean = drawn.mean + outliers;
            deviation(mean, statistic, |t, least| drawn.tails(t, least, scratch))
        })
    }

    fn drawn_with<T>(
        &self,
        probabilities: &[f64],
        scratch: &mut Scratch,
        ask: impl FnOnce(&Drawn<'_>, &mut Scratch) -> T,
    ) -> T {
        assert_eq!(probabilities.len(), self.residuals.len(), "cells with a probability");
        const ROW: usize = BINS + 1;
        let mut sums = vec![[0.0; 4]; ROW * (EDGES.len() + 1)];
        for ((&p, &r), &bin) in probabilities.iter().zip(&self.residuals).zip(&self.bin) {
            let class =
                if p < EDGES[0] { 0 } else { EDGES.iter().filter(|edge| p >= **edge).count() };
            let sum = &mut sums[class * ROW + usize::from(bin)];
            let pr = p * r;
            *sum = [sum[0] + p, sum[1] + pr, sum[2] + pr * r, sum[3] + p * p];
        }
        let mut atoms = std::mem::take(&mut scratch.atoms);
        atoms.clear();
        let (mut mean, mut variance, mut size) = (0.0, 0.0, 0.0);
        let inside = sums.chunks(ROW).flat_map(|row| &row[..BINS]);
        for sums in inside.filter(|sums| sums[0] > 0.0) {
            let (centre, square) = push(&mut atoms, sums);
            mean += sums[1];
            size += sums[1].abs();
            variance += square - sums[3] * centre * centre;
        }
        atoms.end_group();
        let cells = (self.residuals.len() - self.outliers.len()) as f64;
        let group = Group { index: 0, atoms: atoms.groups[0].clone(), cells, drawn: None };
        let outliers = self.outliers.iter().map(|&i| (probabilities[i], self.residuals[i]));
        let outliers = outliers.collect();
        let ripple = &self.ripple;
        let drawn = Drawn { atoms, groups: [group], mean, variance, size, outliers, ripple };
        let answer = ask(&drawn, scratch);
        scratch.atoms = drawn.atoms;
        answer
    }
}

/// Residuals with a perturbation's probabilities.
struct Drawn<'a> {
    /// Of all cells but the outliers, with the sum's moments.
    atoms: Atoms,
    groups: [Group; 1],
    mean: f64,
    variance: f64,
    size: f64,
    /// Probabilities and residuals.
    outliers: Vec<(f64, f64)>,
    ripple: &'a Ripple,
}

impl Drawn<'_> {
    fn tails(&self, statistic: f64, negligible: f64, scratch: &mut Scratch) -> Tails {
        let choose = |k: usize, _| self.outliers[k].0;
        condition(self.outliers.len(), &choose, &mut |chosen, probability| {
            let is_chosen = |&(k, _): &(usize, _)| chosen >> k & 1 == 1;
            let chosen = self.outliers.iter().enumerate().filter(is_chosen);
            let sum: f64 = chosen.map(|(_, (_, residual))| residual).sum();
            let statistic = statistic - sum;
            let rounding = 1e-9 * (self.size + sum.abs());
            if self.variance <= rounding * rounding {
                return Tails::of_constant(statistic - self.mean, rounding);
            }
            let (groups, mean, variance) = (&self.groups, self.mean, self.variance);
            let problem = Problem { atoms: &self.atoms, groups, statistic, mean, variance };
            tails(&problem, self.ripple, negligible / probability, scratch)
        })
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
