//! What the GLM engine does only where there are many cells: first looks in single
//! precision and at some of them, nodes in the place of cells, and threads that share the cells of a gene. Results are
//! held to textbook iterations over every cell.

mod reference;

use reference::{Fit, Problem};
use scoria_core::design::Design;
use scoria_core::engine::glm::{
    Estimate, Family, GeneFit, Options, Status, Workspace, fit_gene, fit_genes,
};
use scoria_core::source::{Csc, GeneCounts};
use scoria_core::{Monitor, pool};

const FAMILIES: [Family; 4] =
    [Family::NegativeBinomial, Family::Poisson, Family::QuasiPoisson, Family::Binomial];

fn fit(problem: &Problem, family: Family) -> GeneFit {
    let design = Design::new(&problem.columns, &problem.offset).unwrap();
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let options = Options { family, max_iterations: 100 };
    fit_gene(counts, &design, &options, &mut Workspace::new(), &Monitor::new()).unwrap()
}

/// Cells of four groups and two batches, with offsets of their own.
fn discrete(seed: u64, cells: usize, alpha: f64, level: f64) -> Problem {
    let offset = Problem::random(seed, cells, 1, 0.0).offset;
    let column = |f: &dyn Fn(usize) -> bool| (0..cells).map(|i| f64::from(f(i))).collect();
    let columns: Vec<Vec<f64>> = vec![
        vec![1.0; cells],
        column(&|i| i % 7 == 1),
        column(&|i| i % 7 == 2),
        column(&|i| i % 101 == 3),
        column(&|i| i % 2 == 0),
    ];
    Problem { columns: columns.concat(), offset, counts: vec![] }.drawn(
        &[level, 0.4, -0.7, 0.2, 0.1],
        alpha,
        seed,
    )
}

fn assert_same(got: &GeneFit, want: &Fit) {
    assert_eq!(got.status, Status::Ok);
    let p = got.coefficients.len();
    for k in 0..p {
        let off = (got.coefficients[k] - want.coefficients[k]).abs() / want.standard_errors[k];
        assert!(off < 1e-6, "coefficient {k}: {off} standard errors");
        let se = got.covariance[k * (k + 3) / 2].sqrt() / got.dispersion.sqrt();
        assert!((se / want.standard_errors[k] - 1.0).abs() < 1e-6, "standard error {k}: {se}");
    }
    let relative = |got: f64, want: f64| (got - want).abs() / want.abs().max(1.0);
    // At another theta, within its tolerance, the deviance is another.
    assert!(relative(got.deviance, want.deviance) < 1e-7, "{} {}", got.deviance, want.deviance);
    if !got.log_likelihood.is_nan() {
        assert!(
            relative(got.log_likelihood, want.log_likelihood) < 1e-10,
            "{} {}",
            got.log_likelihood,
            want.log_likelihood
        );
    }
}

#[test]
fn first_looks_at_some_cells_change_no_optimum() {
    for (seed, level) in [(1, -4.0), (2, 0.0), (3, 4.0)] {
        let problem = Problem::random(seed, 9_000, 4, 0.7).with_level(level, seed);
        let design = Design::new(&problem.columns, &problem.offset).unwrap();
        assert!(
            design.rough().is_some_and(|rough| rough.thinned().is_some())
                && design.collapsed().is_none()
        );
        assert_same(&fit(&problem, Family::NegativeBinomial), &problem.negative_binomial());
        assert_same(&fit(&problem, Family::Poisson), &problem.poisson());
        let binary = problem.binarised();
        if level < 4.0 {
            assert_same(&fit(&binary, Family::Binomial), &binary.binomial());
        }
    }
}

/// What single precision cannot hold, or holds badly.
#[test]
fn first_looks_in_single_precision_lead_nowhere_else() {
    let n = 5_000;
    let same = |problem: &Problem| {
        let want = problem.negative_binomial();
        let got = fit(problem, Family::NegativeBinomial);
        assert_same(&got, &want);
        assert!((got.theta / want.theta - 1.0).abs() < 1e-5, "{} {}", got.theta, want.theta);
        assert_same(&fit(problem, Family::Poisson), &problem.poisson());
    };
    // Means of twenty thousand, and of one in two hundred.
    for (seed, alpha, level) in
        [(11, 0.7, 10.0), (12, 1e-3, 10.0), (13, 40.0, 2.0), (14, 1.0, -5.0)]
    {
        let drawn = Problem::random(seed, n, 4, 0.0);
        same(&drawn.drawn(&[level, 0.3, 0.2, -0.1], alpha, seed));
    }
    // An odd count beyond 2^24, which no single has, and a likelihood that it has wrong by
    // thousands: there are no digits left for the sum's, but for the gradient's.
    let mut huge = Problem::random(15, n, 3, 0.7);
    huge.counts[17] = 16_777_219.0;
    same(&huge);
    huge.counts[4_017] = 1_000_000_007.0;
    let (got, want) = (fit(&huge, Family::NegativeBinomial), huge.negative_binomial());
    assert_eq!(got.status, Status::Ok);
    for k in 0..3 {
        let off = (got.coefficients[k] - want.coefficients[k]).abs() / want.standard_errors[k];
        assert!(off < 1e-5, "coefficient {k}: {off} standard errors");
    }
    // A covariate that one cell has alone, and offsets over eight orders of magnitude.
    let mut far = Problem::random(16, n, 4, 0.7);
    far.columns[n + 99] = 400.0;
    far.offset.iter_mut().for_each(|offset| *offset *= 8.0);
    same(&far.drawn(&[-1.0, 0.01, 0.2, -0.1], 0.5, 16));
    // A group without a count beside a continuous covariate.
    let mut apart = Problem::random(17, n, 3, 0.7);
    (0..n).for_each(|cell| apart.columns[2 * n + cell] = f64::from(cell % 50 == 3));
    (0..n).filter(|cell| cell % 50 == 3).for_each(|cell| apart.counts[cell] = 0.0);
    let got = fit(&apart, Family::NegativeBinomial);
    assert_eq!(got.estimates[2], Estimate::Infinite(-1));
    let rest = apart.without_cells(|cell| cell % 50 == 3).without_column(2).negative_binomial();
    for k in 0..2 {
        let off = (got.coefficients[k] - rest.coefficients[k]).abs() / rest.standard_errors[k];
        assert!(off < 1e-6, "coefficient {k}: {off}");
    }
    // Where it goes to infinity along a covariate, no look says where to stop.
    let mut along = Problem::random(18, n, 2, 0.0);
    let largest = along.columns[n..].iter().fold(f64::MIN, |m, x| m.max(*x));
    (0..n).for_each(|cell| {
        along.counts[cell] = f64::from(along.columns[n + cell] == largest);
    });
    let got = fit(&along, Family::Poisson);
    assert!(got.status == Status::Ok && got.estimates[1] == Estimate::Infinite(1));
}

#[test]
fn nodes_stand_for_the_cells_of_a_discrete_design() {
    for (seed, alpha, level) in [(1, 0.7, -3.0), (2, 0.05, 0.0), (3, 4.0, 1.0), (4, 1.0, 6.0)] {
        let problem = discrete(seed, 30_000, alpha, level);
        let design = Design::new(&problem.columns, &problem.offset).unwrap();
        assert!(design.collapsed().is_some());
        let (got, want) = (fit(&problem, Family::NegativeBinomial), problem.negative_binomial());
        assert_same(&got, &want);
        assert!((got.theta / want.theta - 1.0).abs() < 1e-5);
        let poisson = problem.poisson();
        assert_same(&fit(&problem, Family::Poisson), &poisson);
        let quasi = fit(&problem, Family::QuasiPoisson);
        assert_same(&quasi, &poisson);
        let dispersion = problem.pearson(&quasi.coefficients) / (30_000.0 - 5.0);
        assert!((quasi.dispersion / dispersion - 1.0).abs() < 1e-9);
        if level < 1.0 {
            let binary = problem.binarised();
            assert_same(&fit(&binary, Family::Binomial), &binary.binomial());
        }
    }
}

#[test]
fn limits_of_a_discrete_design_are_found() {
    // Poisson counts: theta goes to infinity.
    let poisson = fit(&discrete(5, 30_000, 0.0, -1.0), Family::NegativeBinomial);
    let same = fit(&discrete(5, 30_000, 0.0, -1.0), Family::Poisson);
    if poisson.theta == f64::INFINITY {
        assert!(
            poisson.coefficients.iter().zip(&same.coefficients).all(|(a, b)| (a - b).abs() < 1e-9)
        );
    } else {
        assert!(poisson.theta > 20.0 && poisson.log_likelihood >= same.log_likelihood);
    }
    // A group without a count.
    let mut apart = discrete(6, 30_000, 0.5, -1.0);
    (0..30_000).filter(|i| i % 101 == 3).for_each(|i| apart.counts[i] = 0.0);
    let got = fit(&apart, Family::NegativeBinomial);
    assert_eq!(got.estimates[3], Estimate::Infinite(-1));
    let rest = apart.without_cells(|i| i % 101 == 3).without_column(3).negative_binomial();
    for (k, l) in [(0, 0), (1, 1), (2, 2), (4, 3)] {
        let off = (got.coefficients[k] - rest.coefficients[l]).abs() / rest.standard_errors[l];
        assert!(off < 1e-6, "coefficient {k}: {off}");
    }
    // One count in all cells, and a count that is huge.
    let mut one = discrete(7, 30_000, 0.5, -1.0);
    one.counts.fill(0.0);
    one.counts[4] = 1.0;
    let got = fit(&one, Family::Poisson);
    assert!(got.estimates.iter().any(|estimate| *estimate != Estimate::Finite));
    one.counts = discrete(7, 30_000, 0.5, -1.0).counts;
    one.counts[4] = 1e7;
    assert_same(&fit(&one, Family::NegativeBinomial), &one.negative_binomial());
}

#[test]
fn threads_that_share_cells_change_no_bit() {
    let n = 70_000;
    let problems: Vec<Problem> = (0..3).map(|s| Problem::random(s, n, 1, 0.7)).collect();
    let (p, i, x) = reference::by_cell(&problems, n);
    let counts = Csc::new(problems.len(), &p, &i, &x).unwrap();
    let two = Problem::random(50, n, 3, 0.0);
    let design = Design::new(&two.columns, &two.offset).unwrap();
    for family in FAMILIES {
        if family == Family::Binomial {
            continue;
        }
        let options = Options { family, max_iterations: 100 };
        let run = |threads| {
            let fit = || fit_genes(&counts, &design, &options, None, &Monitor::new()).unwrap();
            pool(threads).unwrap().install(fit)
        };
        // One thread takes gene after gene, two share cells, and many have genes enough.
        let (one, two) = (run(1), run(2));
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&one.coefficients), bits(&two.coefficients));
        assert_eq!(bits(&one.covariance), bits(&two.covariance));
        assert_eq!(bits(&one.theta), bits(&two.theta));
        assert_eq!(bits(&one.dispersion), bits(&two.dispersion));
    }
}
