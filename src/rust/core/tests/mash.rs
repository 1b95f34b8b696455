//! Multivariate shrinkage against dense matrices and Bayes' rule, component by component.

mod mash_reference;

use mash_reference::{Case, shared, singleton};
use proptest::prelude::*;
use scoria_core::engine::mash::{
    Covariance, Data, Model, Noise, deconvolve, fit_weights, posterior,
};
use scoria_core::{Error, Monitor, pool};

#[test]
fn posteriors_agree_with_dense_matrices() {
    for seed in 0..6 {
        for conditions in [1, 2, 3, 5, 9] {
            for noise in ["none", "common", "each"] {
                for missing in [0.0, 0.3] {
                    Case::random(seed, 6, conditions, noise, missing).assert_exact(1e-9);
                }
            }
        }
    }
}

#[test]
fn errors_of_any_size_do_no_harm() {
    for (seed, noise) in [(1, "none"), (2, "common"), (3, "each")] {
        let mut case = Case::random(seed, 8, 5, noise, 0.0);
        for (i, s) in case.errors.iter_mut().enumerate() {
            *s *= [1.0, 1e3, 1e-3, 1.0, 1e5][(i + i / 5) % 5];
        }
        case.assert_exact(1e-6);
    }
}

#[test]
fn a_gene_without_any_estimate_has_the_prior() {
    let mut case = Case::random(4, 3, 4, "common", 0.0);
    case.errors[4..8].fill(f64::INFINITY);
    let table = case.posterior();
    assert!(table.log_likelihood[1].abs() < 1e-12);
    let variance = |i: usize| -> f64 {
        let grid = case.grid.iter().enumerate();
        grid.flat_map(|(g, scale)| {
            let first = 1 + g * case.covariances.len();
            let weights = case.weights[first..].iter().zip(&case.covariances);
            weights.map(move |(weight, u)| weight * scale * scale * u[i * 5])
        })
        .sum()
    };
    for i in 0..4 {
        let effect = table.effects[4 + i];
        assert!(effect.mean.abs() < 1e-12);
        assert!((effect.sd.powi(2) / variance(i) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_missing_estimate_is_as_good_as_one_with_a_huge_error() {
    let mut case = Case::random(5, 5, 4, "none", 0.4);
    let missing = case.posterior();
    for (b, s) in case.estimates.iter_mut().zip(&mut case.errors) {
        if s.is_infinite() {
            (*b, *s) = (0.0, 1e6);
        }
    }
    for (a, b) in missing.effects.iter().zip(&case.posterior().effects) {
        assert!((a.mean - b.mean).abs() < 1e-9 && (a.sd - b.sd).abs() < 1e-9);
        assert!((a.lfsr - b.lfsr).abs() < 1e-9);
    }
}

#[test]
fn conditions_without_variance_have_no_effect_for_certain() {
    let data = Data::new(2, vec![3.0, 3.0], vec![1.0, 1.0], Noise::Independent).unwrap();
    let u = Covariance::new(&singleton(2, 0), 2).unwrap();
    let model = Model::new(vec![u], vec![2.0], false).unwrap();
    let table = posterior(&data, &model, &[1.0], &Monitor::new()).unwrap();
    assert_eq!((table.effects[1].lfdr, table.effects[1].lfsr), (1.0, 1.0));
    assert_eq!((table.effects[1].mean, table.effects[1].sd), (0.0, 0.0));
    assert!((table.effects[0].mean - 3.0 * 4.0 / 5.0).abs() < 1e-15);
    assert_eq!(table.effects[0].lfdr, 0.0);
}

#[test]
fn weights_are_optimal_with_collinear_covariances() {
    let mut case = Case::random(6, 80, 4, "common", 0.1);
    let twice: Vec<Vec<f64>> = case.covariances.clone();
    case.covariances.extend(twice);
    case.covariances.push(vec![0.0; 16]);
    let mixture = case.fit();
    assert!(mixture.excess < 1e-9, "{}", mixture.excess);
    // From scratch, of dense matrices.
    let slopes = case.slopes(&mixture.weights);
    let most = slopes.iter().fold(0.0, |most: f64, slope| most.max(*slope));
    assert!(most < 1.0 + 1e-8, "{most}");
}

#[test]
fn many_components_have_the_same_optimum_as_dense_ones() {
    // 37 covariances and 12 scales: more than are formed at once.
    let mut case = Case::random(7, 50, 30, "none", 0.0);
    case.grid = (0..12).map(|g| 0.1 * 1.5_f64.powi(g)).collect();
    let mixture = case.fit();
    assert!(mixture.excess < 1e-9, "{}", mixture.excess);
    let slopes = case.slopes(&mixture.weights);
    let most = slopes.iter().fold(0.0, |most: f64, slope| most.max(*slope));
    assert!(most < 1.0 + 1e-8, "{most}");
}

#[test]
fn threads_do_not_change_a_bit() {
    let case = Case::random(8, 300, 6, "common", 0.1);
    let with = |threads| {
        pool(threads).unwrap().install(|| {
            let mixture = case.fit();
            let data = case.data();
            let table = posterior(&data, &case.model(), &mixture.weights, &Monitor::new()).unwrap();
            let found = deconvolve(&data, &[shared(6, 0.5)], 1e-6, 50, &Monitor::new()).unwrap();
            (mixture, table.effects, table.weights, found.covariances)
        })
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn deconvolution_agrees_with_dense_steps() {
    for (seed, noise) in [(1, "none"), (2, "common"), (3, "each")] {
        let case = Case::random(seed, 40, 4, noise, 0.1);
        let start = [shared(4, 1.0), shared(4, 0.3), singleton(4, 2)];
        for steps in [1, 5, 30] {
            let found = deconvolve(&case.data(), &start, f64::NEG_INFINITY, steps, &Monitor::new())
                .unwrap();
            let (covariances, weights) = case.dense_deconvolution(&start, steps);
            assert_eq!(found.iterations, steps);
            for (a, b) in found.covariances.iter().zip(&covariances) {
                let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(off < 1e-8, "{noise}, {steps} steps: {off}");
            }
            for (a, b) in found.weights.iter().zip(&weights) {
                assert!((a - b).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let data = |b: f64, s: f64| Data::new(1, vec![b], vec![s], Noise::Independent).err();
    assert!(matches!(data(1.0, 0.0), Some(Error::Argument { .. })));
    assert!(matches!(data(1.0, -1.0), Some(Error::Argument { .. })));
    assert!(matches!(data(f64::NAN, 1.0), Some(Error::NotFinite { .. })));
    assert!(data(f64::NAN, f64::INFINITY).is_none());
    let with =
        |v: &[f64]| Data::new(2, vec![1.0; 2], vec![1.0; 2], Noise::Common(v.to_vec())).err();
    assert!(matches!(with(&[1.0, 2.0, 2.0, 1.0]), Some(Error::Argument { name: "V", .. })));
    assert!(matches!(with(&[1.0, 0.2, 0.1, 1.0]), Some(Error::Argument { name: "V", .. })));
    assert!(matches!(with(&[1.0]), Some(Error::Shape { .. })));
    for wrong in [[1.0, 2.0, 2.0, 1.0], [1.0, 0.5, 0.0, 1.0], [1.0, f64::NAN, f64::NAN, 1.0]] {
        assert!(matches!(Covariance::new(&wrong, 2), Err(Error::Argument { .. })));
    }
    let u = || Covariance::new(&[1.0], 1).unwrap();
    assert!(Model::new(vec![u()], vec![-1.0], true).is_err());
    assert!(Model::new(vec![], vec![1.0], false).is_err());
    let two = Data::new(2, vec![1.0; 2], vec![1.0; 2], Noise::Independent).unwrap();
    let model = Model::new(vec![u()], vec![1.0], true).unwrap();
    assert!(matches!(
        fit_weights(&two, &model, &[1.0, 1.0], &Monitor::new()),
        Err(Error::Shape { .. })
    ));
    let monitor = Monitor::new();
    monitor.cancel();
    let case = Case::random(1, 4, 2, "none", 0.0);
    let stopped = posterior(&case.data(), &case.model(), &case.weights, &monitor);
    assert_eq!(stopped.err(), Some(Error::Interrupted));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn any_posterior_agrees_with_dense_matrices(
        seed in 0_u64..1_000_000,
        genes in 1_usize..6,
        conditions in 1_usize..8,
        noise in 0_usize..3,
        missing in 0.0..1.0,
    ) {
        let noise = ["none", "common", "each"][noise];
        Case::random(seed, genes, conditions, noise, missing).assert_exact(1e-8);
    }
}
