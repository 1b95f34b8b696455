//! Permuted memberships: so many cells of each stratum, all subsets alike.

use super::atoms::Atoms;
use super::bins::{Bin, Grid, merge};
use super::contour::tails;
use super::outliers::{condition, outliers};
use super::ripple::Ripple;
use super::saddle::{Group, Problem};
use super::tiny::TINY;
use super::{Scratch, Tails, deviation};

/// Bins that a population may have, and for each of its strata more; cells of
/// strata that are exact are not counted.
const BINS: usize = 56;
const BINS_A_STRATUM: usize = 8;

/// One gene's residuals, by stratum, in a few values that keep their moments:
/// made once, asked for every perturbation.
pub struct Population {
    /// Of all cells but the outliers.
    strata: Vec<Stratum>,
    /// Each with its stratum.
    outliers: Vec<(usize, f64)>,
    /// Distances from the strata's means; one group a stratum.
    atoms: Atoms,
    /// Ranges of the atoms' cells, as distances too.
    ranges: Vec<(f64, f64)>,
    ripple: Ripple,
}

struct Stratum {
    residuals: Vec<f64>,
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
        let as_many = strata.is_none_or(|(of_cell, _)| of_cell.len() == residuals.len());
        assert!(as_many, "cells with a stratum");
        let of_cell = |i: usize| strata.map_or(0, |(of_cell, _)| usize::from(of_cell[i]));
        let count = strata.map_or(1, |(_, count)| count);
        let found = outliers(residuals, of_cell, count);
        let by_stratum = group(residuals, &found, strata);
        let all: Vec<Bin> = by_stratum.iter().map(|cells| exact(cells)).collect();
        let squares: f64 = all.iter().map(|bin| bin.squares).sum();
        let sd = (squares / (residuals.len() - found.len()).max(1) as f64).sqrt();
        let (mut bins, mut first, mut owner) = (vec![], vec![], vec![]);
        let grid = Grid::new(sd);
        let mut wanted = BINS;
        for (stratum, cells) in by_stratum.iter().enumerate() {
            let start = bins.len();
            if cells.len() <= TINY {
                // Never merged: each cell is the first of a list.
                let mut sorted = cells.clone();
                sorted.sort_by(f64::total_cmp);
                bins.extend(sorted.iter().map(|&r| Bin::of(&[r])));
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
        let mut ranges = vec![];
        let mut next = 0;
        for (stratum, whole) in all.iter().enumerate() {
            while next < bins.len() && owner[next] == stratum {
                if next == 0 || place[next] != place[next - 1] {
                    let bin = &merged[place[next]];
                    atoms.push(bin.mean - whole.mean, bin.variance(), bin.cells, 0.0);
                    ranges.push((bin.least - whole.mean, bin.most - whole.mean));
                }
                next += 1;
            }
            atoms.end_group();
            ranges.resize(atoms.value.len(), (0.0, 0.0));
        }
        let ripple = Ripple::new(&atoms, sd);
        let of_bin = |(bin, residuals): (&Bin, Vec<f64>)| Stratum {
            residuals,
            mean: bin.mean,
            squares: bin.squares,
        };
        let outliers = found.iter().map(|&i| (of_cell(i), residuals[i])).collect();
        let strata = all.iter().zip(by_stratum).map(of_bin).collect();
        Self { strata, outliers, atoms, ranges, ripple }
    }

    /// Tail probabilities of the sum of residuals over `drawn[j]` cells of each
    /// stratum j, at `statistic`.
    ///
    /// # Panics
    /// Where there are not as many numbers as strata, or more cells are to be
    /// drawn than there are.
    pub fn permutation(&self, drawn: &[usize], statistic: f64, scratch: &mut Scratch) -> Tails {
        self.tails(drawn, statistic, 0.0, scratch)
    }

    /// The probability that the sum deviates from its mean at least as far as
    /// `statistic` does: of what is as far, half counts (mid-p). It is never
    /// below half of one subset's.
    ///
    /// # Panics
    /// As [`Self::permutation`].
    pub fn two_sided(&self, drawn: &[usize], statistic: f64, scratch: &mut Scratch) -> f64 {
        let cells = self.cells();
        let sums = self.sums();
        let mean = (0..drawn.len()).filter(|&j| drawn[j] > 0);
        let mean = mean.map(|j| drawn[j] as f64 * (sums[j] / cells[j] as f64)).sum();
        let p = deviation(mean, statistic, |t, least| self.tails(drawn, t, least, scratch));
        let subsets: f64 = cells.iter().zip(drawn).map(|(&n, &m)| log_subsets(n, m)).sum();
        let least = 0.5 * (-subsets).exp();
        if p < least { least } else { p }
    }

    fn tails(
        &self,
        drawn: &[usize],
        statistic: f64,
        negligible: f64,
        scratch: &mut Scratch,
    ) -> Tails {
        assert_eq!(drawn.len(), self.strata.len(), "strata");
        let cells = self.cells();
        assert!(drawn.iter().zip(&cells).all(|(m, n)| m <= n), "more cells drawn than there are");
        // Of outlier k's stratum: cells and cells to be drawn that are left.
        let left = |k: usize, before: u32, stratum: usize| {
            let seen = (0..k).filter(|&i| self.outliers[i].0 == stratum);
            let (mut n, mut m) = (cells[stratum], drawn[stratum] as isize);
            for i in seen {
                n -= 1;
                m -= (before >> i & 1) as isize;
            }
            (n, m)
        };
        let choose = |k: usize, before: u32| {
            let (n, m) = left(k, before, self.outliers[k].0);
            (m as f64 / n as f64).clamp(0.0, 1.0)
        };
        let count = self.outliers.len();
        condition(count, &choose, &mut |chosen, probability| {
            let of_stratum = |stratum| left(count, chosen, stratum).1.max(0) as usize;
            let rest: Vec<usize> = (0..drawn.len()).map(of_stratum).collect();
            let is_chosen = |&(k, _): &(usize, _)| chosen >> k & 1 == 1;
            let chosen = self.outliers.iter().enumerate().filter(is_chosen);
            let sum: f64 = chosen.map(|(_, (_, residual))| residual).sum();
            self.given(&rest, statistic, sum, negligible / probability, scratch)
        })
    }

    /// Tails where the outliers drawn add up to `sum`, and so many other cells are
    /// drawn of each stratum.
    fn given(
        &self,
        drawn: &[usize],
        statistic: f64,
        sum: f64,
        negligible: f64,
        scratch: &mut Scratch,
    ) -> Tails {
        let mut groups = std::mem::take(&mut scratch.groups);
        groups.clear();
        let (mut mean, mut variance, mut size) = (sum, 0.0, sum.abs());
        for (index, (stratum, &m)) in self.strata.iter().zip(drawn).enumerate() {
            let (n, m) = (stratum.residuals.len() as f64, m as f64);
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
        let rounding = 1e-12 * (size + statistic.abs());
        let (least, most) = self.range(&groups);
        let tails = if groups.is_empty() {
            Tails::of_constant(above, 1e-9 * size)
        } else if above > most + rounding || above < least - rounding {
            Tails::of_constant(above, 0.0)
        } else if let [Group { index, drawn: Some(1.0), .. }] = groups[..] {
            self.strata[index].one_cell(above, rounding)
        } else {
            let problem = Problem {
                atoms: &self.atoms,
                groups: &groups,
                statistic: above,
                mean: 0.0,
                variance,
            };
            tails(&problem, &self.ripple, negligible, scratch)
        };
        scratch.groups = groups;
        tails
    }

    /// Bounds of the sum of distances.
    fn range(&self, groups: &[Group]) -> (f64, f64) {
        let (mut least, mut most) = (0.0, 0.0);
        for group in groups {
            let draw = |left: &mut f64, at: usize| {
                let taken = self.atoms.cells[at].min(*left);
                *left -= taken;
                taken
            };
            let m = group.drawn.unwrap_or(0.0);
            let mut left = m;
            for at in group.atoms.clone().take_while(|_| m > 0.0) {
                least += draw(&mut left, at) * self.ranges[at].0;
            }
            let mut left = m;
            for at in group.atoms.clone().rev() {
                most += draw(&mut left, at) * self.ranges[at].1;
            }
        }
        (least, most)
    }

    /// Of each stratum, outliers included: cells, and the sum of residuals.
    fn cells(&self) -> Vec<usize> {
        let mut cells: Vec<usize> = self.strata.iter().map(|s| s.residuals.len()).collect();
        self.outliers.iter().for_each(|&(stratum, _)| cells[stratum] += 1);
        cells
    }

    fn sums(&self) -> Vec<f64> {
        let sum = |stratum: &Stratum| stratum.mean * stratum.residuals.len() as f64;
        let mut sums: Vec<f64> = self.strata.iter().map(sum).collect();
        self.outliers.iter().for_each(|&(stratum, residual)| sums[stratum] += residual);
        sums
    }
}

impl Stratum {
    /// Tails of one cell's distance from the mean.
    fn one_cell(&self, above: f64, rounding: f64) -> Tails {
        let mut upper = 0.0;
        for residual in &self.residuals {
            let off = residual - self.mean - above;
            upper += if off > rounding {
                1.0
            } else if off < -rounding {
                0.0
            } else {
                0.5
            };
        }
        let cells = self.residuals.len() as f64;
        Tails { lower: (cells - upper) / cells, upper: upper / cells }
    }
}

/// The log of the number of subsets of m of n cells.
fn log_subsets(n: usize, m: usize) -> f64 {
    use statrs::function::factorial::ln_binomial;
    ln_binomial(n as u64, m as u64)
}

/// Residuals of each stratum, but for outliers.
fn group(residuals: &[f64], outliers: &[usize], strata: Option<(&[u16], usize)>) -> Vec<Vec<f64>> {
    let inside = residuals.iter().enumerate().filter(|(i, _)| !outliers.contains(i));
    let Some((of_cell, count)) = strata else {
        return vec![inside.map(|(_, residual)| *residual).collect()];
    };
    let mut groups = vec![vec![]; count];
    inside.for_each(|(i, &residual)| groups[usize::from(of_cell[i])].push(residual));
    groups
}

/// Number, mean and sum of squares, in two passes.
fn exact(cells: &[f64]) -> Bin {
    let n = cells.len() as f64;
    let mean = cells.iter().sum::<f64>() / n.max(1.0);
    let squares = cells.iter().map(|r| (r - mean).powi(2)).sum();
    Bin { cells: n, mean, squares, ..Bin::default() }
}

/// The grid's points that have cells, each at its cells' mean.
fn on_grid(grid: &Grid, cells: &[f64]) -> Vec<Bin> {
    let mut points = vec![Bin::default(); Grid::len()];
    for &residual in cells {
        let point = &mut points[grid.place(residual)];
        point.cells += 1.0;
        // The sum, until all cells are in.
        point.mean += residual;
        point.least = point.least.min(residual);
        point.most = point.most.max(residual);
    }
    points.retain(|point| point.cells > 0.0);
    points.iter_mut().for_each(|point| point.mean /= point.cells);
    points
}
