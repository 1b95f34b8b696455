//! Calibrated score tests against resampling. What takes minutes is ignored:
//! `cargo test -p scoria-core --test calibrate --release -- --ignored --nocapture`.

mod resampling;
mod residuals;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use rayon::prelude::*;
use resampling::{Fast, Scheme, permuted, probabilities, strata};
use residuals::{LARGE, heavy, mean_of, residuals, share_beyond};
use scoria_core::engine::screen::{BinnedResiduals, Population, Scratch};

/// Tails agree with resampled ones at the resamples' quantiles, down to the share
/// `least` in both tails: within four Monte-Carlo errors, and down to 1e-4 a tenth
/// more.
fn assert_close(scheme: &Scheme, residuals: &[f64], draws: usize, least: f64, label: &str) {
    let sums = scheme.sums(residuals, draws);
    let draws = sums.len();
    let mut shares = vec![0.5, 0.2, 0.05, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5];
    shares.retain(|share| *share >= least);
    let at = |share: f64| (draws as f64 * share) as usize;
    let lower: Vec<f64> = shares.iter().map(|s| sums[at(*s)]).collect();
    let upper: Vec<f64> = shares.iter().map(|s| sums[draws - 1 - at(*s)]).collect();
    let statistics = [lower, upper].concat();
    let mut worst = f64::NEG_INFINITY;
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
        let margin = if resampled >= 1e-4 { 0.1 } else { 0.0 };
        worst = worst.max(off.abs() - 4.0 * error - margin);
        line += &format!("{:>7.1}", 100.0 * off);
        assert!((tails.lower + tails.upper - 1.0).abs() < 1e-9);
    }
    println!("{label:<34}{line}   beyond what is allowed {:.1} %", 100.0 * worst);
    assert!(worst < 0.0, "{label}: {worst}");
}

fn assert_close_quickly(scheme: &Scheme, residuals: &[f64], label: &str) {
    assert_close(scheme, residuals, 256_000, 1e-3, label);
}

#[test]
fn permutations_agree_with_resampling() {
    for (mean, m) in [(0.01, 30), (0.03, 200), (0.1, 60), (1.0, 30), (10.0, 100)] {
        let r = residuals(mean, 20_000, 0.4, 3);
        assert_close_quickly(&Scheme::one_stratum(r.len(), m), &r, "one stratum");
    }
    let r = residuals(0.3, 400, 0.4, 3);
    assert_close_quickly(&Scheme::one_stratum(400, 150), &r, "many of few cells");
    let r = residuals(0.2, 4000, 0.4, 3);
    assert_close_quickly(&strata(4000, 60), &r, "strata");
    let r = residuals(0.5, 4000, 0.0, 3);
    assert_close_quickly(&Scheme::one_stratum(4000, 40), &r, "ties");
}

#[test]
fn conditional_resampling_agrees_with_resampling() {
    for (mean, m, slope) in [(0.03, 40, 0.5), (1.0, 40, 2.0), (0.3, 100, 1.0)] {
        let r = residuals(mean, 3000, 0.4, 3);
        let probabilities = probabilities(3000, m, slope, 4);
        assert_close_quickly(&Scheme::Conditional(probabilities), &r, "conditional");
    }
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
            assert_close(
                &scheme,
                &residuals,
                draws,
                10.0 / draws as f64,
                &format!("mean {mean} m {m}"),
            );
        }
    }
}

#[test]
#[ignore = "minutes"]
fn long_hard_cases_agree_with_resampling() {
    let draws: usize = std::env::var("DRAWS").map_or(1_000_000, |d| d.parse().unwrap());
    let least = 10.0 / draws as f64;
    for mean in [0.03, 0.3, 3.0] {
        for m in [30, 500] {
            let r = residuals(mean, 20_000, 0.4, 3);
            assert_close(&strata(20_000, m), &r, draws, least, &format!("strata {mean} {m}"));
            let p = Scheme::Conditional(probabilities(20_000, m, 0.5, 4));
            assert_close(&p, &r, draws, least, &format!("conditional {mean} {m}"));
            let p = Scheme::Conditional(probabilities(20_000, m, 2.0, 4));
            assert_close(&p, &r, draws, least, &format!("conditional steep {mean} {m}"));
            let r = residuals(mean, 1000, 0.4, 3);
            let half = Scheme::one_stratum(1000, m);
            assert_close(&half, &r, draws, least, &format!("1000 cells {mean} {m}"));
            let p = Scheme::Conditional(probabilities(1000, m, 2.0, 4));
            assert_close(&p, &r, draws, least, &format!("1000 cells conditional {mean} {m}"));
            let r = residuals(mean, 20_000, 0.0, 3);
            let tied = Scheme::one_stratum(20_000, m);
            assert_close(&tied, &r, draws, least, &format!("ties {mean} {m}"));
            let r = residuals(mean, 20_000, 0.02, 3);
            assert_close(&tied, &r, draws, least, &format!("near ties {mean} {m}"));
        }
    }
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
