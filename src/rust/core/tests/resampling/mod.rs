//! Memberships drawn again and again.

#![allow(dead_code, reason = "benches use a part of it")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use scoria_core::engine::screen::{BinnedResiduals, Population, Scratch, Tails};

/// splitmix64: the generator of resamples, of which there are billions.
#[derive(Clone)]
pub struct Fast(pub u64);

impl Fast {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 * 2f64.powi(-53)
    }
}

/// How memberships are resampled.
pub enum Scheme {
    /// (cells, drawn) of each stratum.
    Permutation(Vec<(Vec<usize>, usize)>),
    Conditional(Vec<f64>),
}

impl Scheme {
    pub fn one_stratum(n: usize, m: usize) -> Self {
        Self::Permutation(vec![((0..n).collect(), m)])
    }

    /// Sums of residuals over resampled memberships, sorted.
    pub fn sums(&self, residuals: &[f64], draws: usize) -> Vec<f64> {
        let parts = 64;
        let of_part = |part: u64| -> Vec<f64> {
            let mut rng = Fast(part << 40 | 12345);
            let share = draws / parts;
            match self {
                Scheme::Permutation(strata) => {
                    let pick = |(cells, m): &(Vec<usize>, usize)| {
                        (cells.iter().map(|&i| residuals[i]).collect(), *m)
                    };
                    let mut pools: Vec<(Vec<f64>, usize)> = strata.iter().map(pick).collect();
                    let mut draw = || -> f64 {
                        pools.iter_mut().map(|(pool, m)| permuted(pool, *m, &mut rng)).sum()
                    };
                    (0..share).map(|_| draw()).collect()
                }
                Scheme::Conditional(probabilities) => {
                    // Cells of like probabilities next to each other.
                    let mut order: Vec<usize> = (0..residuals.len()).collect();
                    order.sort_by(|&i, &j| probabilities[i].total_cmp(&probabilities[j]));
                    let r: Vec<f64> = order.iter().map(|&i| residuals[i]).collect();
                    let p: Vec<f64> = order.iter().map(|&i| probabilities[i]).collect();
                    (0..share).map(|_| conditional(&r, &p, &mut rng)).collect()
                }
            }
        };
        let mut sums: Vec<f64> = (0..parts as u64).into_par_iter().flat_map_iter(of_part).collect();
        sums.par_sort_unstable_by(f64::total_cmp);
        sums
    }

    pub fn tails(&self, residuals: &[f64], statistics: &[f64]) -> Vec<Tails> {
        let mut scratch = Scratch::new();
        match self {
            Scheme::Permutation(strata) => {
                let mut stratum = vec![0u16; residuals.len()];
                for (j, (cells, _)) in strata.iter().enumerate() {
                    cells.iter().for_each(|&i| stratum[i] = j as u16);
                }
                let population = Population::new(residuals, Some((&stratum, strata.len())));
                let drawn: Vec<usize> = strata.iter().map(|(_, m)| *m).collect();
                let tails = |t: &f64| population.permutation(&drawn, *t, &mut scratch);
                statistics.iter().map(tails).collect()
            }
            Scheme::Conditional(probabilities) => {
                let binned = BinnedResiduals::new(residuals);
                let tails = |t: &f64| binned.conditional(probabilities, *t, &mut scratch);
                statistics.iter().map(tails).collect()
            }
        }
    }
}

/// The sum of m residuals without replacement; shuffles them.
pub fn permuted(pool: &mut [f64], m: usize, rng: &mut Fast) -> f64 {
    let mut sum = 0.0;
    for k in 0..m {
        let other = k + rng.below(pool.len() - k);
        pool.swap(k, other);
        sum += pool[k];
    }
    sum
}

/// The sum over cells that are members with their probabilities: candidates at
/// geometric distances, thinned.
fn conditional(residuals: &[f64], probabilities: &[f64], rng: &mut Fast) -> f64 {
    let mut sum = 0.0;
    const RUN: usize = 128;
    for (residuals, probabilities) in residuals.chunks(RUN).zip(probabilities.chunks(RUN)) {
        let most = probabilities.iter().fold(0.0f64, |most, p| most.max(*p));
        if most == 0.0 {
            continue;
        }
        let scale = 1.0 / (-most).ln_1p();
        let mut i = ((1.0 - rng.uniform()).ln() * scale) as usize;
        while i < residuals.len() {
            if rng.uniform() * most < probabilities[i] {
                sum += residuals[i];
            }
            i += 1 + ((1.0 - rng.uniform()).ln() * scale) as usize;
        }
    }
    sum
}

/// Strata whose share of members differs, some of them of a few cells.
pub fn strata(n: usize, m: usize) -> Scheme {
    let few = [200, 20, 12, 5, 3];
    let most = n - few.iter().sum::<usize>();
    let half = most / 2;
    let sizes = [half, most / 4, most - half - most / 4, 200, 20, 12, 5, 3];
    let drawn = [m / 2, m / 4, 0, m / 10 + 1, 3, 1, 2, 3];
    let mut start = 0;
    let cells = sizes.iter().map(|size| {
        start += size;
        (start - size..start).collect()
    });
    Scheme::Permutation(cells.zip(drawn).collect())
}

/// Logistic in two covariates, one of which the size factors share.
pub fn probabilities(n: usize, m: usize, slope: f64, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let odds: Vec<f64> = (0..n)
        .map(|i| {
            let group = if i % 3 == 0 { 1.0 } else { 0.0 };
            (slope * (rng.sample::<f64, _>(StandardNormal) + group)).exp()
        })
        .collect();
    // The intercept that gives m members, by bisection.
    let of = |b: f64| odds.iter().map(|o| o * b / (1.0 + o * b)).collect::<Vec<f64>>();
    let (mut low, mut high) = (1e-12, 1e6);
    for _ in 0..100 {
        let middle = f64::sqrt(low * high);
        if of(middle).iter().sum::<f64>() < m as f64 { low = middle } else { high = middle }
    }
    of(low)
}
