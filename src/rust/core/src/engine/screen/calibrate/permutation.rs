//! Permuted memberships: so many cells of each stratum, all subsets alike.

use super::atoms::Atoms;
use super::bins::{Bin, Grid, merge};
use super::contour::tails;
use super::ripple::Ripple;
use super::saddle::{Group, Problem};
use super::tiny::TINY;
use super::{Scratch, Tails};

/// Bins that a population may have, and for each of its strata more; cells of
/// strata that are exact are not counted.
const BINS: usize = 56;
const BINS_A_STRATUM: usize = 8;

/// One gene's residuals, by stratum, in a few values that keep their moments:
/// made once, asked for every perturbation.
pub struct Population {
    strata: Vec<Stratum>,
    /// Distances from the strata's means; one group a stratum.
    atoms: Atoms,
    ripple: Ripple,
}

struct Stratum {
    cells: usize,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Population {
    /// `strata`: for each cell the number of its stratum, and how many there
    /// are; one of all cells where None. Residuals are finite.
    ///
    /// # Panics
    /// Where there are not as many strata as residuals, or one is not below
    /// their number.
    pub fn new(residuals: &[f64], strata: Option<(&[u16], usize)>) -> Self {
        let by_stratum = group(residuals, strata);
        let all: Vec<Bin> = by_stratum.iter().map(|cells| exact(cells)).collect();
        let squares: f64 = all.iter().map(|bin| bin.squares).sum();
        let sd = (squares / residuals.len().max(1) as f64).sqrt();
        let (mut bins, mut first, mut owner) = (vec![], vec![], vec![]);
        let grid = Grid::new(sd);
        let mut wanted = BINS;
        for (stratum, cells) in by_stratum.iter().enumerate() {
            let start = bins.len();
            if cells.len() <= TINY {
                // Never merged: each cell is the first of a list.
                bins.extend(cells.iter().map(|&r| Bin::of(&[r])));
                first.resize(bins.len(), true);
                wanted += cells.len();
            } else {
                bins.extend(on_grid(&grid, cells));
                first.resize(bins.len(), false);
                first[start] = true;
                wanted += BINS_A_STRATUM;
            }
            owner.resize(bins.len(), stratum);
        }
        let (place, merged) = merge(&bins, &first, wanted);
        let mut atoms = Atoms::default();
        let mut next = 0;
        for (stratum, whole) in all.iter().enumerate() {
            while next < bins.len() && owner[next] == stratum {
                if next == 0 || place[next] != place[next - 1] {
                    let bin = &merged[place[next]];
                    atoms.push(bin.mean - whole.mean, bin.variance(), bin.cells, 0.0);
                }
                next += 1;
            }
            atoms.end_group();
        }
        let of_bin =
            |bin: &Bin| Stratum { cells: bin.cells as usize, mean: bin.mean, squares: bin.squares };
        let ripple = Ripple::new(&atoms, sd);
        Self { strata: all.iter().map(of_bin).collect(), atoms, ripple }
    }

    /// Tail probabilities of the sum of residuals over `drawn[j]` cells of each
    /// stratum j, at `statistic`.
    ///
    /// # Panics
    /// Where there are not as many numbers as strata, or more cells are to be
    /// drawn than there are.
    pub fn permutation(&self, drawn: &[usize], statistic: f64, scratch: &mut Scratch) -> Tails {
        assert_eq!(drawn.len(), self.strata.len(), "strata");
        let mut groups = std::mem::take(&mut scratch.groups);
        groups.clear();
        let (mut mean, mut variance, mut size) = (0.0, 0.0, 0.0);
        for (index, (stratum, &m)) in self.strata.iter().zip(drawn).enumerate() {
            assert!(m <= stratum.cells, "more cells drawn than there are");
            let (n, m) = (stratum.cells as f64, m as f64);
            mean += m * stratum.mean;
            size += m * stratum.mean.abs();
            let varied = stratum.squares > n * (1e-12 * stratum.mean).powi(2);
            if m > 0.0 && m < n && varied {
                variance += m * (1.0 - m / n) * stratum.squares / (n - 1.0);
                let atoms = self.atoms.groups[index].clone();
                groups.push(Group { index, atoms, cells: n, drawn: Some(m) });
            }
        }
        let above = statistic - mean;
        let tails = if groups.is_empty() {
            Tails::of_constant(above, 1e-9 * size)
        } else {
            let problem = Problem {
                atoms: &self.atoms,
                groups: &groups,
                statistic: above,
                mean: 0.0,
                variance,
            };
            tails(&problem, &self.ripple, scratch)
        };
        scratch.groups = groups;
        tails
    }
}

/// Residuals of each stratum.
fn group(residuals: &[f64], strata: Option<(&[u16], usize)>) -> Vec<Vec<f64>> {
    let Some((of_cell, count)) = strata else {
        return vec![residuals.to_vec()];
    };
    assert_eq!(of_cell.len(), residuals.len(), "cells with a stratum");
    let mut groups = vec![vec![]; count];
    for (&stratum, &residual) in of_cell.iter().zip(residuals) {
        groups[usize::from(stratum)].push(residual);
    }
    groups
}

/// Number, mean and sum of squares, in two passes.
fn exact(cells: &[f64]) -> Bin {
    let n = cells.len() as f64;
    let mean = cells.iter().sum::<f64>() / n.max(1.0);
    let squares = cells.iter().map(|r| (r - mean).powi(2)).sum();
    Bin { cells: n, mean, squares }
}

/// The grid's points that have cells, each at its cells' mean.
fn on_grid(grid: &Grid, cells: &[f64]) -> Vec<Bin> {
    let mut sums = vec![(0u32, 0.0); Grid::len()];
    for &residual in cells {
        let (count, sum) = &mut sums[grid.place(residual)];
        *count += 1;
        *sum += residual;
    }
    let filled = sums.iter().filter(|(count, _)| *count > 0);
    filled
        .map(|&(count, sum)| {
            let cells = f64::from(count);
            Bin { cells, mean: sum / cells, ..Bin::default() }
        })
        .collect()
}
