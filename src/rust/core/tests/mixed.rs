//! Mixed models against their definition on dense matrices.

#[path = "mixed/reference.rs"]
mod reference;

use proptest::prelude::*;
use reference::Problem;
use scoria_core::design::Design;
use scoria_core::engine::glm::{Estimate, Status, Workspace};
use scoria_core::engine::mixed::{
    Effects, MixedFit, Options, Term, fit_mixed_gene, fit_mixed_genes,
};
use scoria_core::source::{Csc, GeneCounts};
use scoria_core::{Error, Monitor, pool};

fn fit(problem: &Problem) -> MixedFit {
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let (design, effects) = (problem.design(), problem.effects());
    fit_mixed_gene(counts, &design, &effects, 100, &mut Workspace::new(), &Monitor::new()).unwrap()
}

fn alpha_of(fit: &MixedFit) -> f64 {
    1.0 / fit.fixed.theta
}

/// The reported numbers are those of the definition at the reported variances and
/// theta, and in no direction from there is the definition higher.
fn assert_optimal(problem: &Problem, fit: &MixedFit) {
    assert_eq!(fit.fixed.status, Status::Ok);
    let there = problem.laplace(&fit.covariances, alpha_of(fit));
    assert!(there.slope < 1e-6, "slope {}", there.slope);
    close(fit.fixed.log_likelihood, there.log_likelihood, 1e-9, "log-likelihood");
    let p = there.coefficients.len();
    for k in 0..p {
        let se = fit.fixed.covariance[k * (k + 3) / 2].sqrt();
        close(se, there.standard_errors[k], 1e-6, "standard error");
        let off = (fit.fixed.coefficients[k] - there.coefficients[k]).abs();
        assert!(off < 1e-6 * se, "coefficient {k}: {off} away");
    }
    let high = there.log_likelihood;
    for change in [0.01, -0.01, 0.2, -0.2] {
        if fit.fixed.theta.is_finite() {
            let beside = problem.laplace(&fit.covariances, alpha_of(fit) * f64::exp(change));
            assert!(beside.log_likelihood <= high + 1e-7, "theta");
        }
        for k in 0..fit.covariances.len() {
            let mut covariances = fit.covariances.clone();
            covariances[k] *= f64::exp(change);
            let beside = problem.laplace(&covariances, alpha_of(fit));
            // Where the covariance is no longer one, its root is another's.
            assert!(beside.log_likelihood <= high + 1e-7, "covariance {k} by {change}");
        }
    }
    for k in (0..fit.covariances.len()).filter(|&k| fit.covariances[k] == 0.0) {
        let mut covariances = fit.covariances.clone();
        covariances[k] = 1e-3;
        let beside = problem.laplace(&covariances, alpha_of(fit));
        assert!(beside.log_likelihood <= high + 1e-7, "variance {k} is zero");
    }
}

fn close(got: f64, want: f64, relative: f64, what: &str) {
    let off = (got - want).abs();
    assert!(off <= relative * want.abs().max(1e-3), "{what}: {got} not {want}");
}

#[test]
fn a_single_factor_is_fitted_to_the_optimum() {
    for seed in 0..12 {
        let problem = Problem::random(seed, 200, &[(12, false)], 0.6, 0.5);
        assert_optimal(&problem, &fit(&problem));
    }
}

#[test]
fn slopes_that_go_with_intercepts_are_fitted_to_the_optimum() {
    for seed in 20..32 {
        let problem = Problem::random(seed, 250, &[(10, true)], 0.7, 0.4);
        assert_optimal(&problem, &fit(&problem));
    }
}

#[test]
fn crossed_factors_are_fitted_to_the_optimum() {
    for seed in 40..48 {
        let problem = Problem::random(seed, 220, &[(9, false), (6, false)], 0.6, 0.4);
        assert_optimal(&problem, &fit(&problem));
        let problem = Problem::random(seed, 260, &[(8, true), (5, false)], 0.6, 0.4);
        assert_optimal(&problem, &fit(&problem));
    }
}
