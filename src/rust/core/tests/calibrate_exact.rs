//! Calibrated score tests against all subsets of few cells, and at the edges.

mod residuals;

use residuals::{LARGE, heavy, mean_of, residuals, share_beyond};
use scoria_core::engine::screen::{BinnedResiduals, Population, Scratch, Tails};

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
