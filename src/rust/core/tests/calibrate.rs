//! Calibrated score tests against resampling, and against all subsets.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use rayon::prelude::*;
use scoria_core::engine::screen::{BinnedResiduals, Population, Scratch, Tails};
use std::time::Instant;

/// Score residuals of negative binomial counts about their true means, with
/// log-normal size factors and dispersion 0.1 + 0.1 / mean.
fn residuals(mean: f64, n: usize, size_factor_sd: f64, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let alpha = 0.1 + 0.1 / mean;
    let gamma = Gamma::new(1.0 / alpha, alpha).unwrap();
    let of_cell = |_| {
        let size = (size_factor_sd * rng.sample::<f64, _>(StandardNormal)).exp();
        let mu = mean * size;
        let rate: f64 = mu * gamma.sample(&mut rng);
        let count = if rate > 0.0 { Poisson::new(rate).unwrap().sample(&mut rng) } else { 0.0 };
        (count - mu) / (1.0 + alpha * mu)
    };
    (0..n).map(of_cell).collect()
}

/// splitmix64: the generator of resamples, of which there are billions.
#[derive(Clone)]
struct Fast(u64);

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
enum Scheme {
    /// (cells, drawn) of each stratum.
    Permutation(Vec<(Vec<usize>, usize)>),
    Conditional(Vec<f64>),
}

impl Scheme {
    fn one_stratum(n: usize, m: usize) -> Self {
        Self::Permutation(vec![((0..n).collect(), m)])
    }

    /// Sums of residuals over resampled memberships, sorted.
    fn sums(&self, residuals: &[f64], draws: usize) -> Vec<f64> {
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
                    (0..share).map(|_| conditional(residuals, probabilities, &mut rng)).collect()
                }
            }
        };
        let mut sums: Vec<f64> = (0..parts as u64).into_par_iter().flat_map_iter(of_part).collect();
        sums.par_sort_unstable_by(f64::total_cmp);
        sums
    }

    fn tails(&self, residuals: &[f64], statistics: &[f64]) -> Vec<Tails> {
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
fn permuted(pool: &mut [f64], m: usize, rng: &mut Fast) -> f64 {
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
    const RUN: usize = 1024;
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

/// Largest deviation of tails from resampled ones, beyond four Monte-Carlo
/// errors, relative; compared at the resamples' quantiles in both tails.
fn compare(scheme: &Scheme, residuals: &[f64], draws: usize, least: f64, label: &str) -> f64 {
    let sums = scheme.sums(residuals, draws);
    let draws = sums.len();
    let mut shares = vec![0.5, 0.2, 0.05, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5];
    shares.retain(|share| *share >= least);
    let at = |share: f64| (draws as f64 * share) as usize;
    let lower: Vec<f64> = shares.iter().map(|s| sums[at(*s)]).collect();
    let upper: Vec<f64> = shares.iter().map(|s| sums[draws - 1 - at(*s)]).collect();
    let statistics = [lower, upper].concat();
    let mut worst = 0.0f64;
    let mut line = String::new();
    for (k, (t, tails)) in statistics.iter().zip(scheme.tails(residuals, &statistics)).enumerate() {
        let rounding = 1e-9 * (1.0 + t.abs());
        let below = sums.partition_point(|sum| *sum < t - rounding);
        let through = sums.partition_point(|sum| *sum <= t + rounding);
        let lower = 0.5 * (below + through) as f64 / draws as f64;
        let (p, resampled) =
            if k < shares.len() { (tails.lower, lower) } else { (tails.upper, 1.0 - lower) };
        let off = p / resampled - 1.0;
        let error = (1.0 / (resampled * draws as f64)).sqrt();
        worst = worst.max(off.abs() - 4.0 * error);
        line += &format!("{:>7.1}", 100.0 * off);
        assert!((tails.lower + tails.upper - 1.0).abs() < 1e-9);
    }
    println!("{label:<34}{line}   worst beyond MC {:.1} %", 100.0 * worst);
    worst
}

#[test]
#[ignore = "minutes: 1e7 resamples each"]
fn long_permutations_agree_with_resampling() {
    for mean in [0.01, 0.03, 0.1, 0.3, 1.0, 10.0] {
        let n = 200_000;
        let residuals = residuals(mean, n, 0.4, 11);
        for m in [30, 100, 500, 2000] {
            let scheme = Scheme::one_stratum(n, m);
            let draws = std::env::var("DRAWS").map_or(10_000_000, |d| d.parse().unwrap());
            compare(&scheme, &residuals, draws, 10.0 / draws as f64, &format!("mean {mean} m {m}"));
        }
    }
}

#[test]
#[ignore = "prints timings"]
fn timing() {
    for mean in [0.01, 0.03, 0.1, 0.3, 1.0, 10.0] {
        let n = 200_000;
        let residuals = residuals(mean, n, 0.4, 11);
        let start = Instant::now();
        let population = Population::new(&residuals, None);
        let made = start.elapsed().as_secs_f64();
        let mut line = format!("mean {mean}: population {:.2} ms;", 1e3 * made);
        for m in [30, 100, 500, 2000] {
            let mut rng = Fast(5);
            let mut pool = residuals.clone();
            let sums: Vec<f64> = (0..500).map(|_| permuted(&mut pool, m, &mut rng)).collect();
            let mut scratch = Scratch::new();
            let start = Instant::now();
            for t in &sums {
                std::hint::black_box(population.permutation(&[m], *t, &mut scratch));
            }
            let each = start.elapsed().as_secs_f64() / sums.len() as f64;
            line += &format!("  m {m}: {:.1} us", 1e6 * each);
        }
        println!("{line}");
    }
}
