//! The GLM engine against slow, obvious references: textbook iterations on
//! dense vectors, likelihoods from their definitions.

mod reference;

use proptest::prelude::*;
use reference::{Fit, Problem};
use scoria_core::design::Design;
use scoria_core::engine::glm::{
    Estimate, Family, GeneFit, Options, Status, Workspace, fit_gene, fit_genes,
};
use scoria_core::source::{Csc, GeneCounts};
use scoria_core::{Error, Monitor, pool};

fn fit(problem: &Problem, family: Family) -> GeneFit {
    let design = Design::new(&problem.columns, &problem.offset).unwrap();
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let options = Options { family, max_iterations: 100 };
    fit_gene(counts, &design, &options, &mut Workspace::new(), &Monitor::new()).unwrap()
}

/// Estimates within 1e-6 standard errors, the rest within 1e-7 relative.
fn assert_same(got: &GeneFit, want: &Fit) {
    assert_same_estimates(got, want);
    close(got.log_likelihood, want.log_likelihood, 1e-9, "log-likelihood");
    close(got.deviance, want.deviance, 1e-7, "deviance");
}

fn assert_same_estimates(got: &GeneFit, want: &Fit) {
    assert_eq!(got.status, Status::Ok);
    let se = standard_errors(got);
    for (k, want_b) in want.coefficients.iter().enumerate() {
        let off = (got.coefficients[k] - want_b).abs() / want.standard_errors[k];
        assert!(off < 1e-6, "coefficient {k}: {} not {want_b}", got.coefficients[k]);
        close(se[k], want.standard_errors[k], 1e-6, "standard error");
    }
}

fn close(got: f64, want: f64, relative: f64, what: &str) {
    let off = (got - want).abs();
    assert!(off <= relative * want.abs().max(1e-3), "{what}: {got} not {want}");
}

fn standard_errors(fit: &GeneFit) -> Vec<f64> {
    let p = fit.coefficients.len();
    (0..p).map(|k| fit.covariance[k * (k + 3) / 2].sqrt()).collect()
}

#[test]
fn poisson_and_binomial_agree_with_iterated_least_squares() {
    for seed in 0..20 {
        let problem = Problem::random(seed, 300, 4, 0.0);
        assert_same(&fit(&problem, Family::Poisson), &problem.poisson());
        let binary = problem.binarised();
        assert_same(&fit(&binary, Family::Binomial), &binary.binomial());
    }
}

#[test]
fn negative_binomial_agrees_with_alternating_iterations() {
    for seed in 0..20 {
        let problem = Problem::random(seed, 600, 3, 0.8);
        let (got, want) = (fit(&problem, Family::NegativeBinomial), problem.negative_binomial());
        assert_same(&got, &want);
        close(got.theta, want.theta, 1e-5, "theta");
        assert!(got.decrement < 1e-10);
    }
}

#[test]
fn many_columns_agree_too() {
    for p in [7, 12, 21] {
        let problem = Problem::random(p as u64, 700, p, 0.5);
        let (got, want) = (fit(&problem, Family::NegativeBinomial), problem.negative_binomial());
        assert_same(&got, &want);
    }
}

#[test]
fn quasi_poisson_scales_the_poisson_covariance() {
    let problem = Problem::random(3, 400, 3, 0.5);
    let (quasi, plain) = (fit(&problem, Family::QuasiPoisson), fit(&problem, Family::Poisson));
    let dispersion = problem.pearson(&plain.coefficients) / 397.0;
    close(quasi.dispersion, dispersion, 1e-9, "dispersion");
    for (q, p) in quasi.covariance.iter().zip(&plain.covariance) {
        close(*q, p * dispersion, 1e-9, "covariance");
    }
    assert!(quasi.log_likelihood.is_nan());
}

#[test]
fn gaussian_is_least_squares() {
    let problem = Problem::random(5, 200, 4, 0.3);
    let (got, want) = (fit(&problem, Family::Gaussian), problem.gaussian());
    assert_same(&got, &want);
    close(got.dispersion, want.deviance / 196.0, 1e-10, "variance");
}

#[test]
fn a_gene_without_counts_says_so() {
    let mut problem = Problem::random(1, 50, 2, 0.0);
    problem.counts.fill(0.0);
    for family in [Family::NegativeBinomial, Family::Poisson, Family::Binomial, Family::Gaussian] {
        assert_eq!(fit(&problem, family).status, Status::AllZero);
    }
}

#[test]
fn a_binomial_model_wants_zeros_and_ones() {
    let mut problem = Problem::random(1, 50, 2, 0.0).binarised();
    problem.counts[3] = 2.0;
    assert_eq!(fit(&problem, Family::Binomial).status, Status::NotBinary);
    problem.counts.fill(1.0);
    assert_eq!(fit(&problem, Family::Binomial).status, Status::AllOne);
}

const DOWN: Estimate = Estimate::Infinite(-1);
const UP: Estimate = Estimate::Infinite(1);

#[test]
fn groups_without_counts_have_infinite_coefficients_where_these_are_determined() {
    use Estimate::{Finite, None};
    for (empty, expected) in [
        (vec![0], [DOWN, UP, UP]),
        (vec![2], [Finite, Finite, DOWN]),
        (vec![1, 2], [Finite, DOWN, DOWN]),
        // Group 1 against group 0: nothing is known but that both are empty.
        (vec![0, 1], [DOWN, None, UP]),
    ] {
        let mut problem = Problem::groups(3, 90, 2.0, 1);
        for cell in (0..90).filter(|cell| empty.contains(&(cell % 3))) {
            problem.counts[cell] = 0.0;
        }
        for family in [Family::NegativeBinomial, Family::Poisson, Family::QuasiPoisson] {
            let got = fit(&problem, family);
            assert_eq!(got.status, Status::Ok, "{family:?}");
            assert_eq!(got.estimates, expected, "{family:?} {empty:?}");
        }
        let got = fit(&problem.binarised(), Family::Binomial);
        assert_eq!((got.status, &got.estimates[..]), (Status::Ok, &expected[..]));
    }
}

#[test]
fn a_slope_within_a_group_without_counts_is_not_made_up() {
    // ~ group * x, where group 0 has no count.
    let mut problem = Problem::groups(2, 80, 2.0, 3);
    let x: Vec<f64> = (0..80).map(|cell| (cell / 2) as f64 / 10.0).collect();
    let product = x.iter().enumerate().map(|(cell, x)| x * (cell % 2) as f64);
    problem.columns.extend(x.iter().copied().chain(product).collect::<Vec<_>>());
    for cell in (0..80).step_by(2) {
        problem.counts[cell] = 0.0;
    }
    for family in [Family::NegativeBinomial, Family::Poisson] {
        let got = fit(&problem, family);
        assert_eq!(got.status, Status::Ok);
        assert!(got.estimates.iter().all(|e| *e != Estimate::Finite), "{:?}", got.estimates);
        assert_eq!(got.estimates[2], Estimate::None);
    }
}

#[test]
fn a_binomial_model_that_predicts_every_cell_has_likelihood_one() {
    let mut problem = Problem::groups(1, 40, 1.0, 1);
    problem.columns.extend((0..40).map(|cell| cell as f64));
    problem.counts = (0..40).map(|cell| f64::from(cell >= 17)).collect();
    let got = fit(&problem, Family::Binomial);
    assert_eq!((got.status, got.log_likelihood), (Status::Ok, 0.0));
    assert!(got.estimates.iter().all(|e| *e != Estimate::Finite));
}

#[test]
fn beside_an_infinite_coefficient_the_rest_stays_exact() {
    let mut problem = Problem::groups(3, 90, 2.0, 1);
    for cell in (2..90).step_by(3) {
        problem.counts[cell] = 0.0;
    }
    let rest = problem.without_cells(|cell| cell % 3 == 2).without_column(2);
    for (family, want) in
        [(Family::Poisson, rest.poisson()), (Family::NegativeBinomial, rest.negative_binomial())]
    {
        let got = fit(&problem, family);
        assert_eq!(got.estimates, [Estimate::Finite, Estimate::Finite, DOWN]);
        for k in 0..2 {
            close(got.coefficients[k], want.coefficients[k], 1e-8, "estimate");
            close(standard_errors(&got)[k], want.standard_errors[k], 1e-8, "standard error");
        }
        close(got.log_likelihood, want.log_likelihood, 1e-10, "log-likelihood");
    }
}

#[test]
fn underdispersed_counts_are_poisson() {
    let mut problem = Problem::groups(2, 100, 1.0, 1);
    problem.counts.iter_mut().enumerate().for_each(|(cell, y)| *y = 2.0 + (cell % 3) as f64);
    let got = fit(&problem, Family::NegativeBinomial);
    assert_eq!(got.theta, f64::INFINITY);
    assert_same(&got, &problem.poisson());
}

#[test]
fn an_optimum_beyond_the_poisson_limit_is_found() {
    // A few bright cells are less variable than Poisson counts, so that at
    // alpha = 0 the likelihood falls; many dim ones are far more variable.
    let mut problem = Problem::groups(1, 520, 1.0, 1);
    for cell in 0..520 {
        let bright = cell < 20;
        problem.offset[cell] = if bright { 1000f64.ln() } else { 0.0 };
        problem.counts[cell] = match bright {
            true => 400.0,
            false => f64::from(cell % 20 == 0) * 3.0,
        };
    }
    let (got, poisson) = (fit(&problem, Family::NegativeBinomial), problem.poisson());
    let slope: f64 = problem
        .predictors(&poisson.coefficients)
        .iter()
        .zip(&problem.counts)
        .map(|(eta, y)| (y - eta.exp()).powi(2) - y)
        .sum();
    assert!(slope < 0.0);
    assert!(got.theta < 1.0, "theta {}", got.theta);
    assert!(got.log_likelihood > poisson.log_likelihood + 10.0);
    assert!((problem.theta_score(&got.coefficients, got.theta) * got.theta_se).abs() < 1e-5);
}

#[test]
fn one_huge_count_has_theta_near_zero_and_still_an_optimum() {
    let mut problem = Problem::groups(1, 2000, 1.0, 1);
    problem.counts.fill(0.0);
    problem.counts[77] = 5000.0;
    let got = fit(&problem, Family::NegativeBinomial);
    assert_eq!(got.status, Status::Ok);
    assert!(got.theta < 1e-3 && got.theta > 0.0);
    close(got.coefficients[0], (5000f64 / 2000.0).ln(), 1e-9, "the mean is the mean");
    let score = problem.theta_score(&got.coefficients, got.theta);
    assert!((score * got.theta_se).abs() < 1e-6);
}

#[test]
fn huge_counts_keep_their_digits() {
    let mut problem = Problem::random(9, 500, 3, 0.5);
    problem.counts.iter_mut().for_each(|y| *y = (*y * 1e6).round());
    let (got, want) = (fit(&problem, Family::NegativeBinomial), problem.negative_binomial());
    assert_same_estimates(&got, &want);
    close(got.theta, want.theta, 1e-5, "theta");
    // Its terms are of the size of counts times their logarithms.
    close(got.log_likelihood, want.log_likelihood, 1e-7, "log-likelihood");
}

#[test]
fn aliased_columns_get_no_coefficient_and_change_nothing() {
    let problem = Problem::random(4, 200, 3, 0.4);
    let mut aliased = problem.clone();
    let sum = (0..200).map(|i| 3.0 * problem.value(i, 1) - problem.value(i, 2));
    aliased.columns.extend(sum);
    let design = Design::new(&aliased.columns, &aliased.offset).unwrap();
    assert_eq!((design.kept(), design.aliased()), (&[0, 1, 2][..], &[3][..]));
    let (got, want) = (fit(&aliased, Family::Poisson), fit(&problem, Family::Poisson));
    assert_eq!(got.coefficients, want.coefficients);
}

#[test]
fn the_scale_of_a_covariate_does_not_matter() {
    let problem = Problem::random(6, 400, 3, 0.6);
    let plain = fit(&problem, Family::NegativeBinomial);
    for (scale, shift) in [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e5)] {
        let mut other = problem.clone();
        for x in &mut other.columns[400..800] {
            *x = *x * scale + shift;
        }
        let got = fit(&other, Family::NegativeBinomial);
        close(got.coefficients[1] * scale, plain.coefficients[1], 1e-6, "slope");
        close(got.log_likelihood, plain.log_likelihood, 1e-10, "log-likelihood");
    }
}

#[test]
fn threads_and_neighbours_do_not_change_a_bit() {
    let problems: Vec<Problem> = (0..12).map(|s| Problem::random(s, 400, 1, 0.7)).collect();
    let design = Problem::random(50, 400, 3, 0.0);
    let (p, i, x) = reference::by_cell(&problems, 400);
    let counts = Csc::new(problems.len(), &p, &i, &x).unwrap();
    let design = Design::new(&design.columns, &design.offset).unwrap();
    let options = Options { family: Family::NegativeBinomial, max_iterations: 100 };
    let run = |threads| {
        let fit = || fit_genes(&counts, &design, &options, None, &Monitor::new()).unwrap();
        pool(threads).unwrap().install(fit)
    };
    let (one, two) = (run(1), run(2));
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one.coefficients), bits(&two.coefficients));
    assert_eq!(bits(&one.covariance), bits(&two.covariance));
    assert_eq!(bits(&one.theta), bits(&two.theta));
    let (cells, y) = problems[5].sparse();
    let gene = GeneCounts { cells: &cells, counts: &y };
    let alone = fit_gene(gene, &design, &options, &mut Workspace::new(), &Monitor::new()).unwrap();
    assert_eq!(bits(&one.coefficients[15..18]), bits(&alone.coefficients));
    assert_eq!(one.theta[5].to_bits(), alone.theta.to_bits());
}

#[test]
fn a_cancelled_fit_stops() {
    let problem = Problem::random(1, 300, 3, 0.5);
    let (p, i, x) = reference::by_cell(std::slice::from_ref(&problem), 300);
    let counts = Csc::new(1, &p, &i, &x).unwrap();
    let design = Design::new(&problem.columns, &problem.offset).unwrap();
    let options = Options { family: Family::Poisson, max_iterations: 100 };
    let monitor = Monitor::new();
    monitor.cancel();
    let stopped = fit_genes(&counts, &design, &options, None, &monitor).unwrap_err();
    assert_eq!(stopped, Error::Interrupted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// At what is reported as an optimum the score is zero, and no other theta
    /// has a higher likelihood.
    #[test]
    fn what_is_reported_is_an_optimum(
        seed in 0u64..10_000,
        cells in 20usize..400,
        columns in 1usize..9,
        dispersion in 0.0f64..4.0,
        level in -4.0f64..6.0,
    ) {
        let problem = Problem::random(seed, cells, columns, dispersion).with_level(level, seed);
        let got = fit(&problem, Family::NegativeBinomial);
        prop_assume!(got.status != Status::AllZero);
        prop_assert_eq!(got.status, Status::Ok);
        if got.estimates.iter().all(|e| *e == Estimate::Finite) {
            let score = problem.score(&got.coefficients, got.theta);
            for (s, e) in score.iter().zip(standard_errors(&got)) {
                prop_assert!((s * e).abs() < 1e-5, "score {} at standard error {}", s, e);
            }
        }
        let at = |theta: f64| problem.nb_log_likelihood(&got.coefficients, theta);
        let slack = 1e-8 * got.log_likelihood.abs().max(1.0);
        prop_assert!((at(got.theta) - got.log_likelihood).abs() < slack);
        for factor in [0.25, 0.9, 1.1, 4.0] {
            let theta = if got.theta.is_finite() { got.theta * factor } else { 1e4 * factor };
            prop_assert!(at(theta) <= got.log_likelihood + slack, "theta {}", theta);
        }
    }
}
