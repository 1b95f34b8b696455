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

/// Strata whose share of members differs, some of them of a few cells.
fn strata(n: usize, m: usize) -> Scheme {
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
fn probabilities(n: usize, m: usize, slope: f64, seed: u64) -> Vec<f64> {
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

#[test]
#[ignore = "minutes"]
fn long_hard_cases_agree_with_resampling() {
    let draws: usize = std::env::var("DRAWS").map_or(1_000_000, |d| d.parse().unwrap());
    let least = 10.0 / draws as f64;
    for mean in [0.03, 0.3, 3.0] {
        for m in [30, 500] {
            let r = residuals(mean, 20_000, 0.4, 3);
            compare(&strata(20_000, m), &r[..], draws, least, &format!("strata {mean} {m}"));
            let p = Scheme::Conditional(probabilities(20_000, m, 0.5, 4));
            compare(&p, &r, draws, least, &format!("conditional {mean} {m}"));
            let p = Scheme::Conditional(probabilities(20_000, m, 2.0, 4));
            compare(&p, &r, draws, least, &format!("conditional steep {mean} {m}"));
            let r = residuals(mean, 1000, 0.4, 3);
            let half = Scheme::one_stratum(1000, m);
            compare(&half, &r, draws, least, &format!("1000 cells {mean} {m}"));
            let p = Scheme::Conditional(probabilities(1000, m, 2.0, 4));
            compare(&p, &r, draws, least, &format!("1000 cells conditional {mean} {m}"));
            let r = residuals(mean, 20_000, 0.0, 3);
            let tied = Scheme::one_stratum(20_000, m);
            compare(&tied, &r, draws, least, &format!("ties {mean} {m}"));
            let r = residuals(mean, 20_000, 0.02, 3);
            compare(&tied, &r, draws, least, &format!("near ties {mean} {m}"));
        }
    }
}

/// Microseconds a call, over some calls.
fn each(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let calls = 200;
    (0..calls).for_each(|_| call());
    1e6 * start.elapsed().as_secs_f64() / f64::from(calls)
}

#[test]
#[ignore = "prints timings"]
fn timing() {
    let n = 200_000;
    let mut scratch = Scratch::new();
    for mean in [0.01, 0.03, 0.1, 0.3, 1.0, 10.0] {
        let r = residuals(mean, n, 0.4, 11);
        let start = Instant::now();
        let population = Population::new(&r, None);
        let mut line = format!("{:.1} ms;", 1e3 * start.elapsed().as_secs_f64());
        let (mut rng, mut pool) = (Fast(5), r.clone());
        for m in [30, 100, 500, 2000] {
            let time = each(|| {
                let t = permuted(&mut pool[..20 * m], m, &mut rng);
                std::hint::black_box(population.permutation(&[m], t, &mut scratch));
            });
            line += &format!("  m {m}: {time:.1} us");
        }
        let stratum: Vec<u16> = (0..n).map(|i| (i % 30) as u16).collect();
        let strata = Population::new(&r, Some((&stratum, 30)));
        for m in [1, 16] {
            let time = each(|| {
                let t = permuted(&mut pool[..2000], 30 * m, &mut rng);
                std::hint::black_box(strata.permutation(&[m; 30], t, &mut scratch));
            });
            line += &format!("  30 strata, m {}: {time:.1} us", 30 * m);
        }
        let few = Population::new(&r[..2000], None);
        for m in [100, 500] {
            let time = each(|| {
                let t = permuted(&mut pool[..2000], m, &mut rng);
                std::hint::black_box(few.permutation(&[m], t, &mut scratch));
            });
            line += &format!("  m {m} of 2000: {time:.1} us");
        }
        let start = Instant::now();
        let binned = BinnedResiduals::new(&r);
        line += &format!("  binned {:.1} ms;", 1e3 * start.elapsed().as_secs_f64());
        let p = probabilities(n, 500, 0.5, 3);
        let time = each(|| {
            std::hint::black_box(binned.conditional(&p, 1.0, &mut scratch));
        });
        line += &format!("  conditional: {time:.1} us");
        let sd = (r.iter().map(|r| r * r).sum::<f64>() / n as f64 * 500.0).sqrt();
        for away in [-6.0, 6.0, 12.0, 20.0] {
            let mut p = 0.0;
            let time = each(|| p = population.two_sided(&[500], away * sd, &mut scratch));
            line += &format!("  p {p:.0e}: {time:.1} us");
        }
        println!("mean {mean}: population {line}");
    }
}

/// Over all subsets of m cells.
fn every_sum(residuals: &[f64], m: usize) -> Vec<f64> {
    let Some((first, rest)) = residuals.split_first().filter(|_| m > 0) else {
        return if m == 0 { vec![0.0] } else { vec![] };
    };
    let mut sums = every_sum(rest, m);
    sums.extend(every_sum(rest, m - 1).iter().map(|sum| sum + first));
    sums
}

/// Tail with half of what equals the statistic.
fn mid_upper(sums: &[f64], statistic: f64) -> f64 {
    let weigh = |sum: &f64| match sum - statistic {
        off if off > 1e-9 => 1.0,
        off if off < -1e-9 => 0.0,
        _ => 0.5,
    };
    sums.iter().map(weigh).sum::<f64>() / sums.len() as f64
}

/// The blur, about a hundredth of a standard deviation, is all that is between
/// them; among at most 48620 sums, neighbours are near.
#[test]
fn tiny_populations_agree_with_all_subsets() {
    let mut scratch = Scratch::new();
    for (n, m, mean) in [(6, 3, 1.0), (12, 4, 0.5), (15, 1, 2.0), (16, 15, 2.0), (18, 9, 0.3)] {
        for seed in 0..4 {
            let r = residuals(mean, n, 0.4, seed);
            let population = Population::new(&r, None);
            let sums = every_sum(&r, m);
            for k in 0..40 {
                let t = sums[k * (sums.len() - 1) / 39];
                let (got, want) =
                    (population.permutation(&[m], t, &mut scratch), mid_upper(&sums, t));
                let off = (got.upper - want).abs();
                assert!(off < 0.02 * want.min(1.0 - want) + 0.004, "{n} {m} {t}: {got:?} {want}");
            }
        }
    }
}

/// Populations with a few more cells than those that are exact: here the
/// saddlepoint in the number of cells is put to the test.
#[test]
fn small_populations_agree_with_all_subsets() {
    for (n, m) in [(30, 4), (25, 20), (25, 7), (26, 9)] {
        for seed in 0..2 {
            let r = residuals(2.0, n, 0.4, seed);
            let population = Population::new(&r, None);
            let mut sums = every_sum(&r, m);
            sums.sort_by(f64::total_cmp);
            for share in [0.002, 0.01, 0.1, 0.5, 0.9, 0.99, 0.998] {
                let t = sums[(sums.len() as f64 * share) as usize];
                let got = population.permutation(&[m], t, &mut Scratch::new());
                let want = mid_upper(&sums, t);
                let off = (got.upper - want).abs() / want.min(1.0 - want);
                assert!(off < 0.1, "{n} {m} {t}: {got:?} {want}");
            }
        }
    }
}

#[test]
fn two_tiny_strata_agree_with_all_pairs_of_subsets() {
    let (a, b) = (residuals(1.0, 9, 0.4, 1), residuals(3.0, 11, 0.4, 2));
    let (of_a, of_b) = (every_sum(&a, 4), every_sum(&b, 2));
    let sums: Vec<f64> = of_a.iter().flat_map(|x| of_b.iter().map(move |y| x + y)).collect();
    let stratum: Vec<u16> = (0..20).map(|i| u16::from(i >= 9)).collect();
    let population = Population::new(&[a, b].concat(), Some((&stratum, 2)));
    for t in sums.iter().step_by(97) {
        let (got, want) =
            (population.permutation(&[4, 2], *t, &mut Scratch::new()), mid_upper(&sums, *t));
        assert!((got.upper - want).abs() < 0.02 * want.min(1.0 - want) + 0.004, "{got:?} {want}");
    }
}

/// The share of sums that are farther from their mean, half of what is as far.
fn share_beyond(sums: &[f64], mean: f64, statistic: f64) -> f64 {
    let away = (statistic - mean).abs();
    let rounding = 1e-12 * (away + mean.abs());
    let beyond = |sum: &f64| match (sum - mean).abs() - away {
        off if off > rounding => 1.0,
        off if off < -rounding => 0.0,
        _ => 0.5,
    };
    sums.iter().map(beyond).sum::<f64>() / sums.len() as f64
}

fn mean_of(residuals: &[f64]) -> f64 {
    residuals.iter().sum::<f64>() / residuals.len() as f64
}

/// A rare transcript, with no count in the fifty deepest cells: as low as their
/// sum can be, and still near its mean.
#[test]
fn deep_cells_without_a_count_are_not_significant() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let gamma = Gamma::new(1.0, 1.0).unwrap();
    let sizes: Vec<f64> =
        (0..3000).map(|_| (0.4 * rng.sample::<f64, _>(StandardNormal)).exp()).collect();
    let mut deep: Vec<usize> = (0..3000).collect();
    deep.sort_by(|i, j| sizes[*j].total_cmp(&sizes[*i]));
    deep.truncate(50);
    let of_cell = |(i, size): (usize, &f64)| {
        let mu = 0.01 * size;
        let rate: f64 = mu * gamma.sample(&mut rng) + 1e-300;
        let count: f64 = Poisson::new(rate).unwrap().sample(&mut rng);
        let count = if deep.contains(&i) { 0.0 } else { count };
        (count - mu) / (1.0 + mu)
    };
    let r: Vec<f64> = sizes.iter().enumerate().map(of_cell).collect();
    let statistic = deep.iter().map(|&i| r[i]).sum();
    let sums = Scheme::one_stratum(3000, 50).sums(&r, 256_000);
    let want = share_beyond(&sums, 50.0 * mean_of(&r), statistic);
    let mut scratch = Scratch::new();
    let got = Population::new(&r, None).two_sided(&[50], statistic, &mut scratch);
    assert!((got / want - 1.0).abs() < 0.03, "{got}, not {want}");
    let scheme = Scheme::Conditional(vec![50.0 / 3000.0; 3000]);
    let want = share_beyond(&scheme.sums(&r, 256_000), 50.0 * mean_of(&r), statistic);
    let binned = BinnedResiduals::new(&r);
    let got = binned.two_sided(&[50.0 / 3000.0; 3000], statistic, &mut scratch);
    assert!((got / want - 1.0).abs() < 0.03, "{got}, not {want}");
}

/// Residuals of counts of mean 1, some of which are replaced by large ones.
fn heavy(n: usize, large: &[f64]) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let of_cell = |i: usize| {
        let size = (0.3 * rng.sample::<f64, _>(StandardNormal)).exp();
        let count: f64 = Poisson::new(size).unwrap().sample(&mut rng);
        large.get(i).unwrap_or(&count) - size
    };
    (0..n).map(of_cell).collect()
}

const LARGE: [&[f64]; 6] =
    [&[30.0], &[1e3], &[1e6], &[30.0, 60.0], &[1e3, 1e6, 40.0], &[1e6, 1e6, 1e3, 1e3, -1e3]];

#[test]
fn few_cells_with_heavy_residuals_agree_with_resampling() {
    let mut scratch = Scratch::new();
    let mut failed = vec![];
    for n in [300, 1000] {
        for large in LARGE {
            let r = heavy(n, large);
            let population = Population::new(&r, None);
            for m in [1, 2, 3, 5, 8] {
                let sums = Scheme::one_stratum(n, m).sums(&r, 64_000);
                let mean = m as f64 * mean_of(&r);
                let mut worst = 0.0f64;
                let near_edge = [1, 5, 30, 100, 500].map(|k| sums.len() - k);
                let across = (0..30).map(|k| k * (sums.len() - 1) / 29);
                for at in across.chain(near_edge) {
                    let t = sums[at];
                    let want = share_beyond(&sums, mean, t);
                    let got = population.two_sided(&[m], t, &mut scratch);
                    let error = 4.5 * (want / sums.len() as f64).sqrt();
                    let off = (got - want).abs() - error;
                    worst = worst.max(off / (0.1 * want + 1e-3));
                    let subsets: f64 = (0..m).map(|i| (n - i) as f64 / (i + 1) as f64).product();
                    assert!(got >= 0.5 / subsets * (1.0 - 1e-9), "{n} {large:?} {m}: {got}");
                }
                if worst > 1.0 {
                    failed.push((n, large, m, worst));
                }
            }
            let probabilities = vec![5.0 / n as f64; n];
            let sums = Scheme::Conditional(probabilities.clone()).sums(&r, 64_000);
            let binned = BinnedResiduals::new(&r);
            for k in 0..30 {
                let t = sums[k * (sums.len() - 1) / 29];
                let want = share_beyond(&sums, 5.0 * mean_of(&r), t);
                let got = binned.two_sided(&probabilities, t, &mut scratch);
                let off = (got - want).abs() - 4.5 * (want / sums.len() as f64).sqrt();
                if off > 0.1 * want + 1e-3 {
                    println!("conditional {n} {large:?} {t}: {got} {want}");
                    failed.push((n, large, 0, off));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// One cell's p-value is its rank among all cells.
#[test]
fn one_cell_is_ranked() {
    for large in LARGE {
        let r = heavy(300, large);
        let population = Population::new(&r, None);
        for t in &r {
            let want = share_beyond(&r, mean_of(&r), *t);
            let got = population.two_sided(&[1], *t, &mut Scratch::new());
            assert!((got - want).abs() < 1e-12, "{large:?} {t}: {got}, not {want}");
        }
    }
}

/// Within a tenth, and four Monte-Carlo errors, of resampled tails.
fn assert_close(scheme: &Scheme, residuals: &[f64], label: &str) {
    let worst = compare(scheme, residuals, 256_000, 1e-3, label);
    assert!(worst < 0.1, "{label}: {worst}");
}

#[test]
fn permutations_agree_with_resampling() {
    for (mean, m) in [(0.01, 30), (0.03, 200), (0.1, 60), (1.0, 30), (10.0, 100)] {
        let r = residuals(mean, 20_000, 0.4, 3);
        assert_close(&Scheme::one_stratum(r.len(), m), &r, "one stratum");
    }
    let r = residuals(0.3, 400, 0.4, 3);
    assert_close(&Scheme::one_stratum(400, 150), &r, "many of few cells");
    let r = residuals(0.2, 4000, 0.4, 3);
    assert_close(&strata(4000, 60), &r, "strata");
    let r = residuals(0.5, 4000, 0.0, 3);
    assert_close(&Scheme::one_stratum(4000, 40), &r, "ties");
}

#[test]
fn conditional_resampling_agrees_with_resampling() {
    for (mean, m, slope) in [(0.03, 40, 0.5), (1.0, 40, 2.0), (0.3, 100, 1.0)] {
        let r = residuals(mean, 3000, 0.4, 3);
        let probabilities = probabilities(3000, m, slope, 4);
        assert_close(&Scheme::Conditional(probabilities), &r, "conditional");
    }
}

/// Shares of p-values below alpha, where memberships are permuted: within the
/// Monte-Carlo error of alpha in every stratum, 4.5 standard errors in some
/// hundred comparisons. No p-value may be below alpha too often; where the
/// statistic has few values, p may be seldom below it.
fn assert_uniform(means: &[f64], ms: &[usize], alphas: &[f64], genes: u64, pairs: usize) {
    for &mean in means {
        for &m in ms {
            let of_gene = |gene: u64| {
                let r = residuals(mean, 20_000, 0.4, 100 + gene);
                let population = Population::new(&r, None);
                let (mut rng, mut pool) = (Fast(gene << 32), r);
                let mut scratch = Scratch::new();
                let mut below = vec![0usize; alphas.len()];
                for _ in 0..pairs {
                    let t = permuted(&mut pool, m, &mut rng);
                    let p = population.two_sided(&[m], t, &mut scratch);
                    below.iter_mut().zip(alphas).for_each(|(b, a)| *b += usize::from(p < *a));
                }
                below
            };
            let counts: Vec<Vec<usize>> = (0..genes).into_par_iter().map(of_gene).collect();
            let n = genes as f64 * pairs as f64;
            let mut line = String::new();
            for (k, alpha) in alphas.iter().enumerate() {
                let below: usize = counts.iter().map(|counts| counts[k]).sum();
                let z = (below as f64 - n * alpha) / (n * alpha * (1.0 - alpha)).sqrt();
                line += &format!("  {:.6} ({z:.1})", below as f64 / n);
                assert!(z.abs() < 4.5, "mean {mean} m {m} alpha {alpha}: {below} of {n}, z {z}");
            }
            println!("mean {mean} m {m}: {line}");
        }
    }
}

#[test]
fn permuted_memberships_have_uniform_p_values() {
    assert_uniform(&[0.01, 0.1, 1.0, 10.0], &[30, 200], &[0.05, 0.01, 1e-3], 20, 1000);
}

#[test]
#[ignore = "minutes: millions of p-values"]
fn long_permuted_memberships_have_uniform_p_values() {
    let means = [0.01, 0.03, 0.1, 0.3, 1.0, 10.0];
    assert_uniform(&means, &[30, 100, 500, 2000], &[0.05, 0.01, 1e-3, 1e-4], 40, 5000);
}

/// Where the distribution has a step, and next to none between two steps, the
/// integrals' errors show: half a percent is allowed.
#[test]
fn far_tails_are_positive_and_monotone() {
    let mut scratch = Scratch::new();
    for (mean, m, sd) in [(0.02, 50, 0.4), (1.0, 100, 0.0), (10.0, 400, 0.4)] {
        let r = residuals(mean, 5000, sd, 9);
        let population = Population::new(&r, None);
        let binned = BinnedResiduals::new(&r);
        let probabilities = vec![m as f64 / 5000.0; 5000];
        let mut sorted = r.clone();
        sorted.sort_by(f64::total_cmp);
        let least: f64 = sorted[..m].iter().sum();
        let most: f64 = sorted[5000 - m..].iter().sum();
        let (mut before, mut before_conditional) = (1.0, 1.0);
        for step in (-40..=440).step_by(4) {
            let t = least + (most - least) * f64::from(step) / 400.0;
            let tails = population.permutation(&[m], t, &mut scratch);
            let conditional = binned.conditional(&probabilities, t, &mut scratch);
            for (tails, before) in [(tails, &mut before), (conditional, &mut before_conditional)] {
                let within = (0..=400).contains(&step);
                assert!(!within || tails.lower > 0.0 && tails.upper > 0.0, "{t}: {tails:?}");
                assert!(tails.upper <= *before * 1.005, "{t}: {tails:?} after {before}");
                *before = tails.upper;
            }
        }
        assert!(before < 1e-30, "{before}");
    }
}

#[test]
fn what_resampling_does_not_change_has_no_tails() {
    let mut scratch = Scratch::new();
    let half = Tails { lower: 0.5, upper: 0.5 };
    let r = residuals(1.0, 500, 0.4, 1);
    let all: f64 = r.iter().sum();
    let population = Population::new(&r, None);
    assert_eq!(population.permutation(&[0], 0.0, &mut scratch), half);
    assert_eq!(population.permutation(&[500], all, &mut scratch), half);
    assert_eq!(population.two_sided(&[500], all, &mut scratch), 1.0);
    let same = Population::new(&[-0.1; 40], None);
    assert_eq!(same.permutation(&[7], -0.7, &mut scratch), half);
    let same = BinnedResiduals::new(&[0.0; 40]);
    assert_eq!(same.conditional(&[0.2; 40], 0.0, &mut scratch), half);
    assert_eq!(BinnedResiduals::new(&r).conditional(&[0.0; 500], 0.0, &mut scratch), half);
    let certain = BinnedResiduals::new(&r).conditional(&[1.0; 500], all, &mut scratch);
    assert!((certain.lower - 0.5).abs() < 1e-3, "{certain:?}");
    let lost = population.permutation(&[20], f64::NAN, &mut scratch);
    assert!(lost.lower.is_nan() && lost.upper.is_nan());
    let none = Population::new(&[], None);
    assert_eq!(none.permutation(&[0], 0.0, &mut scratch), half);
}
