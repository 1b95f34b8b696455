//! Zero-inflated models against their definition.

mod zero_inflated_reference;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use scoria_core::design::Design;
use scoria_core::engine::glm::Estimate;
use scoria_core::engine::zero_inflated::{
    Distribution, Model, Options, Rooms, Status, ZeroInflatedFit, fit_zero_inflated_gene,
    fit_zero_inflated_genes,
};
use scoria_core::source::{Csc, GeneCounts};
use scoria_core::{Error, Monitor, pool};
use zero_inflated_reference::{Problem, solve};

const NB: Distribution = Distribution::NegativeBinomial;
const POISSON: Distribution = Distribution::Poisson;
const DOWN: Estimate = Estimate::Infinite(-1);
const UP: Estimate = Estimate::Infinite(1);

fn designs(problem: &Problem) -> (Design, Design) {
    let none = vec![0.0; problem.cells()];
    let count = Design::new(&problem.count, &problem.offset).unwrap();
    (count, Design::new(&problem.zero, &none).unwrap())
}

fn fit(problem: &Problem, distribution: Distribution) -> ZeroInflatedFit {
    let (count, zero) = designs(problem);
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let options = Options { distribution, max_iterations: 100 };
    let mut rooms = Rooms::new();
    let model = Model::new(&count, &zero);
    fit_zero_inflated_gene(counts, &model, &options, &mut rooms, &Monitor::new()).unwrap()
}

/// The parameters of a fit as the reference has them.
fn parameters(fit: &ZeroInflatedFit) -> Vec<f64> {
    let mut parameters = fit.coefficients.clone();
    if fit.theta.is_finite() {
        parameters.push(-fit.theta.ln());
    }
    parameters
}

fn standard_errors(fit: &ZeroInflatedFit) -> Vec<f64> {
    let p = fit.coefficients.len();
    (0..p).map(|k| fit.covariance[k * (k + 3) / 2].sqrt()).collect()
}

/// That a fit is a summit of the likelihood by its definition, with that curvature.
fn assert_summit(problem: &Problem, fit: &ZeroInflatedFit) {
    assert_eq!(fit.status, Status::Ok);
    assert!(fit.estimates.iter().all(|e| *e == Estimate::Finite), "{:?}", fit.estimates);
    let at = parameters(fit);
    let direct = problem.log_likelihood(&at);
    assert!((fit.log_likelihood - direct).abs() < 1e-8 * (1.0 + direct.abs()));
    let mut errors = standard_errors(fit);
    if fit.theta.is_finite() {
        errors.push(fit.log_theta_se);
    }
    let information = problem.information(&at);
    for (k, slope) in problem.gradient(&at).iter().enumerate() {
        assert!((slope * errors[k]).abs() < 1e-4, "slope {slope} of parameter {k}");
        let unit = (0..at.len()).map(|j| f64::from(j == k)).collect();
        let column = solve(information.clone(), unit);
        for j in 0..at.len() {
            let got = match (j.max(k), j.min(k)) {
                (high, low) if high < fit.coefficients.len() => {
                    fit.covariance[high * (high + 1) / 2 + low]
                }
                (_, low) if low < fit.coefficients.len() => continue,
                _ => fit.log_theta_se.powi(2),
            };
            let off = (got - column[j]).abs();
            assert!(off < 1e-4 * errors[j] * errors[k], "covariance {j} {k}: {got} {}", column[j]);
        }
    }
}

#[test]
fn poisson_fits_are_summits_that_the_em_algorithm_finds_too() {
    for seed in 0..8 {
        let problem = Problem::random(seed, 500, (3, 2), 0.0, 0.8);
        let fit = fit(&problem, POISSON);
        assert_summit(&problem, &fit);
        let em = problem.em(&[0.5, 0.0, 0.0, 0.0, 0.0], 1500);
        for (k, se) in standard_errors(&fit).iter().enumerate() {
            let off = (fit.coefficients[k] - em[k]).abs();
            assert!(off < 1e-6 * se, "{k}: {} {}", fit.coefficients[k], em[k]);
        }
    }
}

#[test]
fn negative_binomial_fits_are_summits() {
    for (seed, sizes) in [(1, (2, 2)), (2, (3, 1)), (3, (1, 3)), (4, (4, 3)), (5, (9, 7))] {
        let problem = Problem::random(seed, 1500, sizes, 0.5, 1.5);
        let fit = fit(&problem, NB);
        assert_summit(&problem, &fit);
        assert!((fit.theta.ln() - 2f64.ln()).abs() < 5.0 * fit.log_theta_se, "{}", fit.theta);
    }
}
