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

#[test]
fn three_terms_at_once_are_fitted_to_the_optimum() {
    let problem = Problem::random(5, 300, &[(10, false), (6, true), (4, false)], 0.6, 0.3);
    assert_optimal(&problem, &fit(&problem));
}

#[test]
fn no_variance_between_groups_is_a_singular_fit() {
    let fits = (60..70).map(|seed| {
        let problem = Problem::random(seed, 200, &[(8, false)], 0.0, 0.5);
        let fit = fit(&problem);
        assert_optimal(&problem, &fit);
        assert_eq!(fit.singular, fit.covariances[0] == 0.0);
        fit.singular
    });
    let singular = fits.filter(|singular| *singular).count();
    assert!(singular >= 3, "{singular} of 10");
}

#[test]
fn poisson_counts_end_in_the_poisson_limit() {
    let fits = (80..90).map(|seed| {
        let problem = Problem::random(seed, 250, &[(10, false)], 0.5, 0.0);
        let fit = fit(&problem);
        assert_optimal(&problem, &fit);
        if fit.fixed.theta.is_infinite() {
            let beside = problem.laplace(&fit.covariances, 1e-4);
            assert!(beside.log_likelihood < fit.fixed.log_likelihood);
        }
        fit.fixed.theta.is_infinite()
    });
    assert!(fits.filter(|limit| *limit).count() >= 3);
}

#[test]
fn genes_without_counts_fail() {
    let mut problem = Problem::random(1, 100, &[(5, false)], 0.5, 0.5);
    problem.counts = vec![0.0; 100];
    let fit = fit(&problem);
    assert_eq!(fit.fixed.status, Status::AllZero);
    assert!(fit.covariances[0].is_nan() && !fit.singular);
}

#[test]
fn one_count_is_enough_for_an_optimum() {
    for count in [1.0, 7.0] {
        let mut problem = Problem::random(2, 120, &[(6, false)], 0.5, 0.5);
        problem.counts = (0..120).map(|i| if i == 31 { count } else { 0.0 }).collect();
        assert_optimal(&problem, &fit(&problem));
    }
}

#[test]
fn huge_counts_lose_no_digit_that_matters() {
    let mut problem = Problem::random(3, 200, &[(10, false)], 0.5, 0.3);
    problem.offset.iter_mut().for_each(|offset| *offset += 11.0);
    problem.counts.iter_mut().for_each(|y| *y = (*y * 60_000.0 + 17.0).floor());
    assert_optimal(&problem, &fit(&problem));
}

#[test]
fn groups_without_counts_are_no_obstacle() {
    let mut problem = Problem::random(4, 200, &[(8, false)], 0.4, 0.4);
    let level = problem.terms[0].level.clone();
    for (y, level) in problem.counts.iter_mut().zip(level) {
        *y = if level < 3 { 0.0 } else { *y };
    }
    assert_optimal(&problem, &fit(&problem));
}

#[test]
fn levels_without_cells_change_nothing() {
    let problem = Problem::random(6, 150, &[(7, true)], 0.6, 0.4);
    let mut more = problem.clone();
    more.terms[0].levels = 11;
    let (few, many) = (fit(&problem), fit(&more));
    close(many.fixed.log_likelihood, few.fixed.log_likelihood, 1e-10, "log-likelihood");
    close(many.covariances[2], few.covariances[2], 1e-5, "variance");
}

#[test]
fn the_scale_of_covariates_does_not_matter() {
    let problem = Problem::random(7, 200, &[(9, true)], 0.7, 0.4);
    let mut scaled = problem.clone();
    scaled.columns[200..].iter_mut().for_each(|x| *x = *x * 1e6 + 3e6);
    scaled.terms[0].columns[200..].iter_mut().for_each(|x| *x = *x * 1e6 + 3e6);
    let (plain, scaled) = (fit(&problem), fit(&scaled));
    close(scaled.fixed.log_likelihood, plain.fixed.log_likelihood, 1e-9, "log-likelihood");
    close(scaled.covariances[2] * 1e12, plain.covariances[2], 1e-4, "slope's variance");
    close(scaled.fixed.coefficients[1] * 1e6, plain.fixed.coefficients[1], 1e-6, "slope");
}

#[test]
fn a_separated_group_has_no_finite_estimate_and_leaves_the_rest_alone() {
    let mut problem = Problem::random(8, 240, &[(8, false)], 0.6, 0.4);
    let gone = |i: usize| i % 4 == 3;
    problem.columns.extend((0..240).map(|i| f64::from(gone(i))));
    (0..240).filter(|&i| gone(i)).for_each(|i| problem.counts[i] = 0.0);
    let fit = fit(&problem);
    assert_eq!(fit.fixed.status, Status::Ok);
    let infinite = Estimate::Infinite(-1);
    assert_eq!(fit.fixed.estimates, [Estimate::Finite, Estimate::Finite, infinite]);

    let kept: Vec<usize> = (0..240).filter(|&i| !gone(i)).collect();
    let some = |x: &[f64]| kept.iter().map(|&i| x[i]).collect::<Vec<f64>>();
    let term = &problem.terms[0];
    let rest = Problem {
        columns: [some(&problem.columns[..240]), some(&problem.columns[240..480])].concat(),
        offset: some(&problem.offset),
        counts: some(&problem.counts),
        terms: vec![Term {
            levels: 8,
            level: kept.iter().map(|&i| term.level[i]).collect(),
            columns: some(&term.columns),
        }],
    };
    let there = rest.laplace(&fit.covariances, alpha_of(&fit));
    close(fit.fixed.log_likelihood, there.log_likelihood, 1e-9, "log-likelihood");
    close(fit.fixed.coefficients[1], there.coefficients[1], 1e-6, "slope");
    assert_optimal(&rest, &self::fit(&rest));
    close(self::fit(&rest).covariances[0], fit.covariances[0], 1e-5, "variance");
}

#[test]
fn a_collinear_design_keeps_the_first_columns() {
    let mut problem = Problem::random(9, 150, &[(6, false)], 0.6, 0.4);
    let plain = fit(&problem);
    let twice: Vec<f64> = problem.columns[150..].iter().map(|x| 2.0 * x - 1.0).collect();
    problem.columns.extend(twice);
    assert_eq!(problem.design().aliased(), [2]);
    let fit = fit(&problem);
    close(fit.fixed.log_likelihood, plain.fixed.log_likelihood, 1e-10, "log-likelihood");
    assert_eq!(fit.fixed.coefficients.len(), 2);
}

#[test]
fn a_vanishing_intercept_s_variance_leaves_a_narrow_valley_that_is_followed() {
    let problem = Problem::random(495_808, 107, &[(7, true), (4, true)], 0.412_951_17, 0.0);
    assert_optimal(&problem, &fit(&problem));
}

#[test]
fn random_effects_that_a_fixed_effect_explains_have_no_variance() {
    let mut problem = Problem::random(10, 160, &[(4, false)], 0.8, 0.3);
    let level = problem.terms[0].level.clone();
    problem.columns.truncate(160);
    for group in 1..4 {
        problem.columns.extend(level.iter().map(|&l| f64::from(l == group)));
    }
    let fit = fit(&problem);
    assert_optimal(&problem, &fit);
    assert!(fit.singular && fit.covariances[0] == 0.0);
}

fn genes() -> (Csc<'static>, Design, Effects) {
    let problem = Problem::random(11, 130, &[(9, true), (4, false)], 0.6, 0.5);
    let genes = 7;
    let (mut starts, mut rows, mut values) = (vec![0], vec![], vec![]);
    for cell in 0..130 {
        for gene in 1..genes {
            let y = problem.counts[(cell + 3 * gene) % 130];
            if y > 0.0 {
                rows.push(gene as i32);
                values.push(y);
            }
        }
        starts.push(rows.len() as i32);
    }
    let (starts, rows, values) = (starts.leak(), rows.leak(), values.leak());
    let counts = Csc::new(genes, starts, rows, values).unwrap();
    (counts, problem.design(), problem.effects())
}

#[test]
fn threads_change_no_bit() {
    let (counts, design, effects) = genes();
    let options = Options { max_iterations: 100 };
    let table = |threads| {
        let fit = || fit_mixed_genes(&counts, &design, &effects, &options, None, &Monitor::new());
        pool(threads).unwrap().install(fit).unwrap()
    };
    let one = table(1);
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
    for threads in [2, 5] {
        let other = table(threads);
        assert_eq!(bits(&one.covariances), bits(&other.covariances));
        assert_eq!(bits(&one.fixed.coefficients), bits(&other.fixed.coefficients));
        assert_eq!(bits(&one.fixed.covariance), bits(&other.fixed.covariance));
        assert_eq!(bits(&one.fixed.log_likelihood), bits(&other.fixed.log_likelihood));
    }
    assert_eq!(one.fixed.status[0], Status::AllZero as i32);
    assert_eq!(one.fixed.status[1..], [0; 6]);
}

#[test]
fn a_cancelled_monitor_and_a_low_limit_stop_the_fit() {
    let (counts, design, effects) = genes();
    let options = Options { max_iterations: 100 };
    let monitor = Monitor::new();
    monitor.cancel();
    let fit = |limit, monitor: &Monitor| {
        fit_mixed_genes(&counts, &design, &effects, &options, limit, monitor)
    };
    assert!(matches!(fit(None, &monitor), Err(Error::Interrupted)));
    assert!(matches!(fit(Some(1000), &Monitor::new()), Err(Error::Memory { .. })));
}

#[test]
fn few_iterations_are_not_converged() {
    let problem = Problem::random(12, 150, &[(8, false)], 0.6, 0.5);
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let (design, effects) = (problem.design(), problem.effects());
    let (mut workspace, monitor) = (Workspace::new(), Monitor::new());
    let fit = fit_mixed_gene(counts, &design, &effects, 2, &mut workspace, &monitor).unwrap();
    assert_eq!(fit.fixed.status, Status::NotConverged);
    assert!(fit.covariances[0].is_nan());
}

#[test]
fn what_cannot_be_random_effects_is_refused() {
    let good = Term { levels: 2, level: vec![0, 1, 0, 1], columns: vec![1.0; 4] };
    let refused = |term: Term| Effects::new(&[term], 4).err().unwrap().class();
    assert_eq!(Effects::new(&[], 4).err().unwrap().class(), "argument");
    assert_eq!(refused(Term { level: vec![0; 3], ..good.clone() }), "shape");
    assert_eq!(refused(Term { level: vec![0, 1, 2, 1], ..good.clone() }), "argument");
    assert_eq!(refused(Term { columns: vec![1.0; 5], ..good.clone() }), "shape");
    assert_eq!(refused(Term { columns: vec![f64::NAN; 4], ..good.clone() }), "not_finite");
    assert_eq!(refused(Term { columns: vec![1.0; 8], ..good }), "argument");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_design_is_fitted_to_the_optimum(
        seed in 100u64..1_000_000,
        cells in 60usize..160,
        levels in prop::collection::vec((2usize..9, any::<bool>()), 1..3),
        spread in 0.0..1.2,
        alpha in prop_oneof![Just(0.0), 0.02..4.0],
    ) {
        let problem = Problem::random(seed, cells, &levels, spread, alpha);
        prop_assume!(problem.counts.iter().any(|y| *y > 0.0));
        let fit = fit(&problem);
        if fit.fixed.status == Status::Ok && fit.fixed.estimates.iter().all(|e| *e == Estimate::Finite) {
            assert_optimal(&problem, &fit);
        } else {
            prop_assert!(fit.fixed.status != Status::NotConverged);
        }
    }
}
