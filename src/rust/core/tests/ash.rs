//! Shrunken effects against integrals by brute force.

use proptest::prelude::*;
use scoria_core::engine::ash::{AshFit, Component, Options, Shape, ash, components, running_means};
use scoria_core::engine::mixture::scale_grid;
use scoria_core::{Error, Monitor, pool};

/// The logarithm of the error's density, up to a constant that all components share.
fn log_error(x: f64, error: f64, freedom: Option<f64>) -> f64 {
    let z = x / error;
    match freedom {
        None => -0.5 * z * z,
        Some(f) => -0.5 * (f + 1.0) * (z * z / f).ln_1p(),
    }
}

/// Mass, mean, variance and share below zero over [lower, upper], by Simpson's rule with
/// many points where the density is not negligible.
fn brute(x: f64, error: f64, freedom: Option<f64>, lower: f64, upper: f64) -> [f64; 4] {
    let at = x.clamp(lower, upper);
    let highest = log_error(x - at, error, freedom);
    // Out to where nothing is left, by doubling.
    let reach = |sign: f64, end: f64| {
        let mut step = error * 1e-6;
        while log_error(x - at - sign * step, error, freedom) - highest > -45.0
            && step < (end - at).abs()
        {
            step *= 1.1;
        }
        at + sign * step.min((end - at).abs())
    };
    let (low, high) = (reach(-1.0, lower), reach(1.0, upper));
    const N: usize = 200_000;
    let h = (high - low) / N as f64;
    let mut sums = [0.0; 4];
    for pass in 0..2 {
        let mean = sums[1] / sums[0];
        for i in 0..=N {
            let theta = low + h * i as f64;
            let simpson = if i == 0 || i == N { 1.0 } else { [2.0, 4.0][i % 2] };
            let mass = simpson * (log_error(x - theta, error, freedom) - highest).exp();
            if pass == 0 {
                sums[0] += mass;
                sums[1] += mass * (theta - low);
                sums[3] += if theta < 0.0 { mass } else { 0.0 };
            } else {
                sums[2] += mass * (theta - low - mean).powi(2);
            }
        }
    }
    let mass = sums[0];
    [(mass * h / 3.0).ln() + highest, low + sums[1] / mass, sums[2] / mass, sums[3] / mass]
}

fn fit(x: &[f64], s: &[f64], components: &[Component], weights: Option<&[f64]>) -> AshFit {
    let mut prior = vec![1.0; components.len()];
    prior[0] = 10.0;
    let options = Options { components, prior: &prior, freedom: None, weights };
    ash(x, s, &options, &Monitor::new()).unwrap()
}

fn alone(x: f64, s: f64, freedom: Option<f64>, component: Component) -> AshFit {
    let components = [component];
    let options =
        Options { components: &components, prior: &[1.0], freedom, weights: Some(&[1.0]) };
    ash(&[x], &[s], &options, &Monitor::new()).unwrap()
}

#[test]
fn uniform_components_agree_with_simpson() {
    let places = [
        (0.3, 1.0, -2.0, 2.0),
        (5.0, 1.0, -1.0, 1.0),
        (-4.0, 0.5, 0.0, 3.0),
        (0.0, 2.0, -0.01, 0.01),
        (1.0, 0.01, -50.0, 50.0),
        (-30.0, 1.0, -2.0, 0.0),
        (300.0, 1.0, -1.0, 1.0),
        (2.0, 1.0, 0.0, 1e-3),
    ];
    for (x, s, lower, upper) in places {
        for freedom in [None, Some(2.5), Some(7.0), Some(80.0)] {
            let got = alone(x, s, freedom, Component::Uniform { lower, upper });
            let [mass, mean, variance, below] = brute(x, s, freedom, lower, upper);
            let zero = alone(x, s, freedom, Component::Point).log_likelihood[0];
            let ratio = got.log_likelihood[0] - zero;
            let want = mass - (upper - lower).ln() - log_error(x, s, freedom);
            let effect = got.effects[0];
            let what = format!("{x} {s} {lower} {upper} {freedom:?}");
            assert!((ratio - want).abs() < 1e-7 * (1.0 + want.abs()), "{what}: {ratio} {want}");
            let sd = variance.sqrt();
            assert!((effect.mean - mean).abs() < 1e-5 * sd, "{what}: {} {mean}", effect.mean);
            assert!((effect.sd / sd - 1.0).abs() < 1e-5, "{what}: {} {sd}", effect.sd);
            assert!((effect.negative - below).abs() < 1e-4, "{what}");
        }
    }
}

#[test]
fn far_tails_keep_their_digits() {
    // A million standard errors outside: exponential with rate 1e6 from the near end.
    let got = alone(1e6 + 1.0, 1.0, None, Component::Uniform { lower: -1.0, upper: 1.0 });
    let effect = got.effects[0];
    assert!((1.0 - effect.mean - 1e-6).abs() < 1e-11, "{}", 1.0 - effect.mean);
    assert!((effect.sd / 1e-6 - 1.0).abs() < 1e-6, "{}", effect.sd);
    assert!(effect.negative == 0.0 && effect.positive == 1.0);
}

#[test]
fn many_degrees_of_freedom_are_the_normal_distribution() {
    for (x, lower, upper) in [(0.4, -1.0, 1.0), (6.0, -1.0, 1.0), (-3.0, 0.0, 9.0)] {
        let component = Component::Uniform { lower, upper };
        let normal = alone(x, 1.0, None, component);
        let student = alone(x, 1.0, Some(1e9), component);
        let off = normal.log_likelihood[0] - student.log_likelihood[0];
        assert!(off.abs() < 1e-6, "{off}");
        assert!((normal.effects[0].mean - student.effects[0].mean).abs() < 1e-7);
        assert!((normal.effects[0].sd - student.effects[0].sd).abs() < 1e-7);
    }
}

#[test]
fn normal_components_are_conjugate() {
    let got = alone(2.0, 0.5, None, Component::Normal { sd: 1.5 }).effects[0];
    assert!((got.mean - 2.0 * 2.25 / 2.5).abs() < 1e-15);
    assert!((got.sd - (0.25_f64 * 2.25 / 2.5).sqrt()).abs() < 1e-15);
    assert_eq!(got.lfsr, got.negative);
}

#[test]
fn an_effect_without_an_estimate_has_the_prior() {
    let grid = components(Shape::HalfUniform, &[1.0, 2.0], true);
    let weights = [0.2, 0.1, 0.1, 0.2, 0.4];
    let got = fit(&[f64::NAN, 1.0], &[1.0, f64::INFINITY], &grid, Some(&weights));
    for effect in &got.effects {
        assert!((effect.lfdr - 0.2).abs() < 1e-15);
        assert!((effect.negative - 0.2).abs() < 1e-15);
        assert!((effect.mean - (-0.05 - 0.1 + 0.1 + 0.4)).abs() < 1e-15);
    }
    assert_eq!(got.log_likelihood, [0.0, 0.0]);
}

#[test]
fn running_means_are_of_smaller_rates() {
    let got = running_means(&[0.4, 0.1, f64::NAN, 0.1, 0.0]);
    let want = [0.15, 0.05, f64::NAN, 0.2 / 3.0, 0.0];
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() < 1e-15 || got.is_nan() && want.is_nan());
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let x: Vec<f64> = (0..500).map(|i| ((i * 37 % 101) as f64 - 50.0) / 20.0).collect();
    let s: Vec<f64> = (0..500).map(|i| 0.2 + (i % 7) as f64 / 10.0).collect();
    let grid = components(Shape::Uniform, &scale_grid(&x, &s, 2.0_f64.sqrt()), true);
    let with = |threads| pool(threads).unwrap().install(|| fit(&x, &s, &grid, None));
    let (one, three) = (with(1), with(3));
    assert_eq!(one.mixture, three.mixture);
    assert_eq!(one.effects, three.effects);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |x: &[f64], s: &[f64], component, freedom| {
        let components = [component];
        let options = Options { components: &components, prior: &[1.0], freedom, weights: None };
        ash(x, s, &options, &Monitor::new()).err().unwrap()
    };
    let point = Component::Point;
    assert!(matches!(refused(&[1.0], &[0.0], point, None), Error::Argument { .. }));
    assert!(matches!(refused(&[1.0], &[1.0, 1.0], point, None), Error::Shape { .. }));
    let normal = Component::Normal { sd: 1.0 };
    assert!(matches!(refused(&[1.0], &[1.0], normal, Some(5.0)), Error::Argument { .. }));
    let monitor = Monitor::new();
    monitor.cancel();
    let options = Options { components: &[point], prior: &[1.0], freedom: None, weights: None };
    assert_eq!(ash(&[1.0], &[1.0], &options, &monitor).err(), Some(Error::Interrupted));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn posteriors_are_sane(
        data in prop::collection::vec((-1e3_f64..1e3, -12.0_f64..12.0), 1..12),
        shape in 0..3,
    ) {
        let (x, s): (Vec<f64>, Vec<f64>) =
            data.into_iter().map(|(x, s)| (x, s.exp())).unzip();
        let shape = [Shape::Uniform, Shape::HalfUniform, Shape::Normal][shape as usize];
        let grid = components(shape, &scale_grid(&x, &s, 2.0), true);
        let got = fit(&x, &s, &grid, None);
        prop_assert!(got.mixture.excess < 1e-9, "{} {:?}", got.mixture.excess, got.mixture.weights);
        for (i, (effect, log)) in got.effects.iter().zip(&got.log_likelihood).enumerate() {
            prop_assert!(log.is_finite() && effect.sd >= 0.0 && effect.sd.is_finite());
            let sum = effect.negative + effect.positive + effect.lfdr;
            prop_assert!((sum - 1.0).abs() < 1e-9, "{}", sum);
            let shrunken = effect.mean.abs() <= x[i].abs() * (1.0 + 1e-12) + 1e-9 * s[i];
            prop_assert!(shrunken || shape == Shape::HalfUniform);
            prop_assert!((0.0..=1.0).contains(&effect.lfsr));
        }
    }
}
