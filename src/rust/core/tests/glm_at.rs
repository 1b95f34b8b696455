//! Coefficients at a given dispersion against textbook iterations, and against
//! R's.

mod reference;

use proptest::prelude::*;
use reference::{Fit, Problem};
use scoria_core::design::Design;
use scoria_core::engine::glm::{Estimate, GeneFit, Status, Workspace, fit_gene_at};
use scoria_core::source::GeneCounts;
use scoria_core::{Error, Monitor};

fn fit(problem: &Problem, alpha: f64) -> Result<GeneFit, Error> {
    let design = Design::new(&problem.columns, &problem.offset).unwrap();
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    fit_gene_at(counts, &design, alpha, 100, &mut Workspace::new(), &Monitor::new())
}

/// From theta = 1e-3 to 1e6, and Poisson.
const ALPHAS: [f64; 6] = [1e3, 10.0, 0.5, 0.01, 1e-6, 0.0];

/// Estimates within 1e-6 standard errors, the rest within 1e-6 relative.
fn assert_same(got: &GeneFit, want: &Fit) {
    assert_eq!(got.status, Status::Ok);
    assert!(got.estimates.iter().all(|e| *e == Estimate::Finite));
    for (k, want_b) in want.coefficients.iter().enumerate() {
        let off = (got.coefficients[k] - want_b).abs() / want.standard_errors[k];
        assert!(off < 1e-6, "coefficient {k}: {} not {want_b}", got.coefficients[k]);
        close(standard_error(got, k), want.standard_errors[k], "standard error");
    }
    close(got.log_likelihood, want.log_likelihood, "log-likelihood");
    close(got.deviance, want.deviance, "deviance");
    close(1.0 / got.theta, 1.0 / want.theta, "alpha");
}

fn close(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() <= 1e-6 * want.abs(), "{what}: {got} not {want}");
}

fn standard_error(fit: &GeneFit, k: usize) -> f64 {
    fit.covariance[k * (k + 3) / 2].sqrt()
}

#[test]
fn any_theta_agrees_with_iterated_least_squares() {
    for seed in 0..10 {
        let problem = Problem::random(seed, 300, 4, 0.8);
        for alpha in ALPHAS {
            let want = problem.negative_binomial_at(1.0 / alpha);
            assert_same(&fit(&problem, alpha).unwrap(), &want);
        }
    }
}

#[test]
fn small_problems_agree_with_r() {
    // glm(y ~ x + offset(log(size)), MASS::negative.binomial(1 / alpha)), and
    // poisson(), with epsilon = 1e-15: alpha, estimates, standard errors at a
    // dispersion of 1, deviance.
    #[rustfmt::skip]
    let expected = [
        (1e3, [0.318475724251, 0.934271942871], [12.912682278153, 18.260115201265], 0.057697696),
        (10.0, [0.320238491489, 0.931040352387], [1.317738574666, 1.852239345718], 3.007196665),
        (0.5, [0.299497633793, 0.935577766714], [0.382721326187, 0.506086770618], 24.880141069),
        (0.02, [0.153637952462, 1.089235922947], [0.255922882067, 0.300452585224], 68.153249536),
        (1e-6, [0.133532464050, 1.119229861598], [0.250000294643, 0.287938427431], 77.076816511),
        (0.0, [0.133531392625, 1.119231575871], [0.25, 0.287937776725], 77.077367433),
    ];
    let mut columns = vec![1.0; 12];
    columns.extend((0..12).map(|cell| f64::from(cell % 2)));
    let offset = (0..12).map(|cell| [1f64, 2.0, 4.0][cell / 4].ln()).collect();
    let counts = [0.0, 3.0, 1.0, 7.0, 2.0, 0.0, 12.0, 5.0, 1.0, 30.0, 0.0, 4.0].to_vec();
    let problem = Problem { columns, offset, counts };
    for (alpha, estimates, standard_errors, deviance) in expected {
        let got = fit(&problem, alpha).unwrap();
        for k in 0..2 {
            close(got.coefficients[k], estimates[k], "estimate");
            close(standard_error(&got, k), standard_errors[k], "standard error");
        }
        close(got.deviance, deviance, "deviance");
    }
}

#[test]
fn a_group_without_counts_is_fitted_in_the_limit() {
    let mut problem = Problem::groups(3, 90, 2.0, 1);
    for cell in (2..90).step_by(3) {
        problem.counts[cell] = 0.0;
    }
    let rest = problem.without_cells(|cell| cell % 3 == 2).without_column(2);
    for alpha in ALPHAS {
        let (got, want) = (fit(&problem, alpha).unwrap(), rest.negative_binomial_at(1.0 / alpha));
        let down = Estimate::Infinite(-1);
        assert_eq!(got.estimates, [Estimate::Finite, Estimate::Finite, down]);
        for k in 0..2 {
            close(got.coefficients[k], want.coefficients[k], "estimate");
            close(standard_error(&got, k), want.standard_errors[k], "standard error");
        }
        close(got.log_likelihood, want.log_likelihood, "log-likelihood");
    }
}

#[test]
fn what_cannot_be_fitted_says_so() {
    let mut problem = Problem::groups(2, 40, 2.0, 1);
    for alpha in [-1e-9, f64::NAN, f64::INFINITY] {
        assert!(matches!(fit(&problem, alpha), Err(Error::Argument { name: "alpha", .. })));
    }
    problem.counts.fill(0.0);
    assert_eq!(fit(&problem, 0.3).unwrap().status, Status::AllZero);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the counts and alpha, the score is zero at what is reported.
    #[test]
    fn what_is_reported_is_an_optimum(
        seed in 0u64..10_000,
        cells in 20usize..400,
        columns in 1usize..9,
        dispersion in 0.0f64..4.0,
        level in -4.0f64..6.0,
        log_alpha in -300f64..10.0,
    ) {
        let problem = Problem::random(seed, cells, columns, dispersion).with_level(level, seed);
        let alpha = log_alpha.exp();
        let got = fit(&problem, alpha).unwrap();
        prop_assume!(got.status != Status::AllZero);
        prop_assert_eq!(got.status, Status::Ok);
        prop_assert!(got.iterations < 60);
        if got.estimates.iter().all(|e| *e == Estimate::Finite) {
            let score = problem.score(&got.coefficients, 1.0 / alpha);
            for (k, s) in score.iter().enumerate() {
                let e = standard_error(&got, k);
                prop_assert!((s * e).abs() < 1e-5, "score {} at standard error {}", s, e);
            }
        }
    }
}
