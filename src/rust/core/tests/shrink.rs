//! Shrinkage against slow, obvious references: densities on fine grids.

use proptest::prelude::*;
use scoria_core::engine::shrink::{
    Centre, Posterior, Prior, posterior, prior_variance, prior_variances, shrink_estimates,
};
use scoria_core::{Error, Monitor, pool};

/// The logarithm of likelihood times prior.
fn log_posterior(b: f64, m: f64, s: f64, prior: Prior) -> f64 {
    -0.5 * ((b - m) / s).powi(2) + prior.log_density(b)
}

/// Integrals by Simpson's rule over u, b = k sinh(u), on both sides of zero.
fn by_simpson(m: f64, s: f64, prior: Prior) -> (f64, f64, f64) {
    const HALF: usize = 100_000;
    let k = prior.scale();
    let end = ((m.abs() + 12.0 * s) / k).asinh();
    let step = end / (2 * HALF) as f64;
    let top = (0..4 * HALF)
        .map(|i| log_posterior(k * (step * (i as f64 - 2.0 * HALF as f64)).sinh(), m, s, prior))
        .fold(f64::NEG_INFINITY, f64::max);
    let side = |sign: f64| {
        let mut sums = [0.0; 3];
        for i in 0..=2 * HALF {
            let u = step * i as f64;
            let b = sign * k * u.sinh();
            let weight = if i == 0 || i == 2 * HALF { 1.0 } else { [2.0, 4.0][i % 2] };
            let mass = weight * (log_posterior(b, m, s, prior) - top).exp() * u.cosh();
            sums[0] += mass;
            sums[1] += mass * b;
            sums[2] += mass * b * b;
        }
        sums
    };
    let (below, above) = (side(-1.0), side(1.0));
    let mass = below[0] + above[0];
    let mean = (below[1] + above[1]) / mass;
    let variance = (below[2] + above[2]) / mass - mean * mean;
    (below[0] / mass, mean, variance.sqrt())
}

/// The highest of many places from zero to the estimate.
fn best_of_grid(m: f64, s: f64, prior: Prior) -> f64 {
    let places = (0..20_000).map(|i| f64::from(i) / 20_000.0);
    let near_zero = (0..20_000).map(|i| 10f64.powf(-f64::from(i) / 1000.0));
    places
        .chain(near_zero)
        .map(|share| log_posterior(share * m, m, s, prior))
        .fold(f64::NEG_INFINITY, f64::max)
}

const PROBLEMS: [(f64, f64, f64); 12] = [
    (0.5, 0.2, 0.3),
    (-1.5, 0.4, 0.1),
    (0.0, 0.3, 0.2),
    (3.0, 0.9, 0.02),
    (2.5, 0.5, 0.001),
    (0.1, 5.0, 0.2),
    (-4.0, 0.1, 1.0),
    (50.0, 9.0, 0.5),
    (0.02, 0.01, 1.0),
    (1.0, 0.3, 1e-3),
    (-0.8, 20.0, 0.05),
    (6.0, 1.4, 0.004),
];

#[test]
fn posteriors_agree_with_simpsons_rule() {
    for (m, s, k) in PROBLEMS {
        for prior in [Prior::Cauchy(k), Prior::Normal(k)] {
            // Under a narrow normal prior an estimate is far from all that is left.
            if matches!(prior, Prior::Normal(_)) && m.abs() > 20.0 * k {
                continue;
            }
            let got = posterior(m, s, prior);
            let (negative, mean, sd) = by_simpson(m, s, prior);
            let what = format!("{m} {s} {prior:?}: {got:?}, not {negative} {mean} {sd}");
            assert!((got.negative - negative).abs() < 1e-9 * negative.min(1.0) + 1e-13, "{what}");
            assert!((got.mean - mean).abs() < 1e-8 * sd, "{what}");
            assert!((got.sd / sd - 1.0).abs() < 1e-7, "{what}");
            assert!((got.negative + got.positive - 1.0).abs() < 1e-14, "{what}");
        }
    }
}

#[test]
fn modes_are_the_highest_places() {
    for (m, s, k) in PROBLEMS {
        let prior = Prior::Cauchy(k);
        let got = posterior(m, s, prior);
        let slope = prior.slope(got.mode) - (got.mode - m) / s / s;
        assert!(slope.abs() * got.mode_sd < 1e-7, "{m} {s} {k}: {slope}");
        let curvature = 1.0 / s / s + prior.information(got.mode);
        assert!((got.mode_sd * curvature.sqrt() - 1.0).abs() < 1e-9);
        let found = log_posterior(got.mode, m, s, prior);
        assert!(found >= best_of_grid(m, s, prior) - 1e-9, "{m} {s} {k}: {found}");
    }
}

#[test]
fn of_two_modes_the_higher_is_reported() {
    // The other one, by Newton's method from zero.
    let from_zero = |m: f64, s: f64, prior: Prior| {
        let mut b = 0.0;
        for _ in 0..200 {
            let information = 1.0 / s / s + prior.information(b);
            b += (prior.slope(b) - (b - m) / s / s) / information;
        }
        b
    };
    let prior = Prior::Cauchy(0.02);
    for (m, far) in [(2.0, false), (4.0, true)] {
        let got = posterior(m, 0.8, prior).mode;
        let near = from_zero(m, 0.8, prior);
        assert!(near < 0.1, "{near}");
        assert_eq!(got > 0.5 * m, far, "{m}: {got}");
        if far {
            let gain = log_posterior(got, m, 0.8, prior) - log_posterior(near, m, 0.8, prior);
            assert!(gain > 0.5, "{gain}");
        } else {
            assert!((got - near).abs() < 1e-12);
        }
    }
}

#[test]
fn a_normal_prior_is_closed_form() {
    let got = posterior(-1.2, 0.6, Prior::Normal(0.8));
    let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-14, "{got} not {want}");
    near(got.mode, -1.2 * 0.64);
    near(got.mean, -1.2 * 0.64);
    near(got.sd, 0.48);
    // R: pnorm(-1.6).
    near(got.positive, 0.054799291699558);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hard_posteriors_stay_between_zero_and_the_estimate(
        m in prop_oneof![-50.0..50.0, -1e-6..1e-6, Just(0.0), Just(50.0)],
        s in (-9.0..9.0).prop_map(|e: f64| 10f64.powf(e)),
        k in (-6.0..3.0).prop_map(|e: f64| 10f64.powf(e)),
    ) {
        let prior = Prior::Cauchy(k);
        let got = posterior(m, s, prior);
        let lies = |b: f64| b.abs() <= m.abs() * (1.0 + 1e-12) && b * m >= 0.0;
        prop_assert!(lies(got.mode), "{got:?}");
        prop_assert!(lies(got.mean) || (got.mean - m).abs() < 1e-6 * s, "{got:?}");
        prop_assert!(got.sd > 0.0 && got.sd <= s.max(k) * 1.5 + m.abs(), "{got:?}");
        prop_assert!(got.mode_sd > 0.0 && (0.0..=1.0).contains(&got.negative));
        let lfsr = got.summary(Centre::Mode)[2];
        prop_assert!(lfsr <= 0.5 + 1e-12, "{got:?}");
        let found = log_posterior(got.mode, m, s, prior);
        let best = best_of_grid(m, s, prior);
        prop_assert!(found >= best - 1e-9 * (1.0 + best.abs()), "{found} {best} {got:?}");
        // With the other sign.
        let mirrored = posterior(-m, s, prior);
        prop_assert_eq!(mirrored.mode, -got.mode);
        prop_assert!((mirrored.negative - got.positive).abs() <= 1e-12 * got.positive);
        // In other units.
        let scaled = posterior(8.0 * m, 8.0 * s, Prior::Cauchy(8.0 * k));
        prop_assert_eq!(scaled.mean, 8.0 * got.mean);
        prop_assert_eq!(scaled.negative, got.negative);
    }
}

fn example(n: usize) -> (Vec<f64>, Vec<f64>) {
    let effect = |i: usize| if i.is_multiple_of(5) { 0.9 } else { 0.05 };
    let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    let std_err = |i: usize| 0.1 + (i * 37 % 101) as f64 / 200.0;
    let estimate =
        |i: usize| sign(i) * effect(i) + std_err(i) * ((i * 29 % 97) as f64 / 40.0 - 1.2);
    (0..n).map(|i| (estimate(i), std_err(i))).unzip()
}

#[test]
fn prior_variances_solve_their_equation() {
    let (estimates, std_errs) = example(5000);
    let found = prior_variance(&estimates, &std_errs, &Monitor::new()).unwrap();
    let (mut above, mut below) = (0.0, 0.0);
    for (b, s) in estimates.iter().zip(&std_errs) {
        let weight = 0.5 / (found + s * s).powi(2);
        above += weight * (b * b - s * s);
        below += weight;
    }
    assert!((above / below / found - 1.0).abs() < 1e-10, "{} {found}", above / below);
    assert!((1e-3..2.0).contains(&found));
}

#[test]
fn prior_variances_have_limits() {
    let at = |b: &[f64], s: &[f64]| prior_variance(b, s, &Monitor::new()).unwrap();
    assert_eq!(at(&[0.01, -0.02], &[1.0, 1.0]), 1e-6);
    assert_eq!(at(&[1e4, -1e4], &[1.0, 1.0]), 400.0);
    assert!(at(&[], &[]).is_nan());
    assert!(at(&[f64::NEG_INFINITY, 1.0], &[f64::NAN, f64::NAN]).is_nan());
    // What cannot be used does not count.
    let clean = at(&[1.0, -2.0, 0.5], &[0.2, 0.3, 0.4]);
    let b = [1.0, f64::INFINITY, -2.0, 0.5, 3.0, f64::NAN];
    assert_eq!(at(&b, &[0.2, f64::NAN, 0.3, 0.4, 0.0, 0.1]), clean);
}

#[test]
fn groups_have_prior_variances_of_their_own() {
    let (estimates, std_errs) = example(300);
    let groups: Vec<u32> = (0..300).map(|i| i / 100).collect();
    let monitor = Monitor::new();
    let all = prior_variances(&estimates, &std_errs, &groups, 4, &monitor).unwrap();
    let own = prior_variance(&estimates[100..200], &std_errs[100..200], &monitor).unwrap();
    assert_eq!(all[1], own);
    assert!(all[0] != own && all[3].is_nan());
    assert!(prior_variances(&estimates, &std_errs, &groups, 2, &monitor).is_err());
}

#[test]
fn of_several_prior_variances_the_most_likely_is_taken() {
    // Exact estimates of small effects, and poor ones of large effects.
    let mut estimates = vec![0.01; 12];
    let mut std_errs = vec![1e-4; 12];
    estimates.extend([30.0; 40]);
    std_errs.extend([5.0; 40]);
    let found = prior_variance(&estimates, &std_errs, &Monitor::new()).unwrap();
    let log_likelihood = |a: f64| -> f64 {
        let pairs = estimates.iter().zip(&std_errs);
        pairs.map(|(b, s)| -0.5 * ((a + s * s).ln() + b * b / (a + s * s))).sum()
    };
    let grid = (0..2000).map(|i| 1e-6 * 4e8f64.powf(f64::from(i) / 2000.0));
    let best = grid.map(log_likelihood).fold(f64::NEG_INFINITY, f64::max);
    assert!(log_likelihood(found) >= best, "{found}");
}

#[test]
fn threads_do_not_change_a_bit() {
    let (mut estimates, mut std_errs) = example(20_000);
    (estimates[7], std_errs[7]) = (f64::NEG_INFINITY, f64::NAN);
    let groups: Vec<u32> = (0..20_000).map(|i| i % 3).collect();
    let priors = [Prior::Cauchy(0.1), Prior::Normal(0.4), Prior::Cauchy(f64::NAN)];
    let shrink = |threads| {
        let monitor = Monitor::new();
        pool(threads).unwrap().install(|| {
            let found = prior_variance(&estimates, &std_errs, &monitor).unwrap();
            let all =
                shrink_estimates(&estimates, &std_errs, &groups, &priors, Centre::Mean, &monitor);
            (found.to_bits(), all.unwrap())
        })
    };
    let (one, three) = (shrink(1), shrink(3));
    assert_eq!(one.0, three.0);
    let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one.1.estimate), bits(&three.1.estimate));
    assert_eq!(bits(&one.1.std_err), bits(&three.1.std_err));
    assert_eq!(bits(&one.1.lfsr), bits(&three.1.lfsr));
    assert!(one.1.estimate[7].is_nan() && one.1.lfsr[7].is_nan());
    // Without a prior.
    assert!(one.1.estimate[2].is_nan());
    let Posterior { mean, sd, negative, .. } = posterior(estimates[0], std_errs[0], priors[0]);
    assert_eq!([one.1.estimate[0], one.1.std_err[0]], [mean, sd]);
    assert_eq!(one.1.lfsr[0], negative);
}

#[test]
fn bad_input_and_cancelled_work_are_errors() {
    let monitor = Monitor::new();
    let shrink = |groups: &[u32], monitor: &Monitor| {
        let prior = [Prior::Cauchy(1.0)];
        shrink_estimates(&[1.0, 2.0], &[0.1, 0.1], groups, &prior, Centre::Mode, monitor)
    };
    assert!(matches!(shrink(&[0], &monitor), Err(Error::Shape { .. })));
    assert!(matches!(shrink(&[0, 1], &monitor), Err(Error::Shape { .. })));
    assert!(shrink(&[0, 0], &monitor).is_ok());
    monitor.cancel();
    assert_eq!(shrink(&[0, 0], &monitor), Err(Error::Interrupted));
    assert_eq!(prior_variance(&[1.0], &[0.1], &monitor), Err(Error::Interrupted));
}
