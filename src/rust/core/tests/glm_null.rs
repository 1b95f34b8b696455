//! Null deviances against bisection of the score over all cells, cell by cell.

mod reference;

use reference::Problem;
use scoria_core::Monitor;
use scoria_core::design::Design;
use scoria_core::engine::glm::{Family, GeneFit, Options, Status, Workspace, fit_gene};
use scoria_core::source::GeneCounts;

const FAMILIES: [Family; 5] = [
    Family::NegativeBinomial,
    Family::Poisson,
    Family::QuasiPoisson,
    Family::Binomial,
    Family::Gaussian,
];

fn fit(problem: &Problem, family: Family, intercept: bool) -> GeneFit {
    let design =
        Design::new(&problem.columns, &problem.offset).unwrap().with_null(intercept).unwrap();
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let options = Options { family, max_iterations: 100 };
    fit_gene(counts, &design, &options, &mut Workspace::new(), &Monitor::new()).unwrap()
}

/// The null deviance by its definition.
fn slow(problem: &Problem, family: Family, intercept: bool, theta: f64) -> f64 {
    let cells = || problem.offset.iter().zip(&problem.counts);
    let score = |shift: f64| -> f64 {
        cells()
            .map(|(o, y)| match family {
                Family::Gaussian => y - o - shift,
                Family::Binomial => y - 1.0 / (1.0 + (-o - shift).exp()),
                _ => (y - (o + shift).exp()) / (1.0 + (o + shift).exp() / theta),
            })
            .sum()
    };
    let shift = if intercept { root(score) } else { 0.0 };
    let deviance = |(o, &y): (&f64, &f64)| {
        let mu = (o + shift).exp();
        match family {
            Family::Gaussian => (y - o - shift).powi(2),
            Family::Binomial if y > 0.0 => 2.0 * (-o - shift).exp().ln_1p(),
            Family::Binomial => 2.0 * mu.ln_1p(),
            _ => {
                // (y + theta) log((y + theta) / (mu + theta)), which is y - mu in the limit.
                let t = (y - mu) / (mu + theta);
                let shape = if theta.is_infinite() { y - mu } else { (y + theta) * t.ln_1p() };
                2.0 * (if y > 0.0 { y * (y / mu).ln() } else { 0.0 } - shape)
            }
        }
    };
    cells().map(deviance).sum()
}

fn root(score: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-1e9f64, 1e9f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if score(middle) > 0.0 { low = middle } else { high = middle }
    }
    low
}

fn assert_null(problem: &Problem, family: Family, intercept: bool) {
    let got = fit(problem, family, intercept);
    assert_eq!(got.status, Status::Ok, "{family:?}");
    let theta = if family == Family::NegativeBinomial { got.theta } else { f64::INFINITY };
    let want = slow(problem, family, intercept, theta);
    // What the deviance is the difference of, and so its rounding, which nodes multiply.
    let terms: f64 = problem.counts.iter().map(|y| y * (1.0 + y).ln()).sum();
    let off = (got.null_deviance / want - 1.0).abs();
    assert!(
        off < 1e-10 + 100.0 * f64::EPSILON * terms / want,
        "{family:?} theta {theta}: {} not {want}",
        got.null_deviance
    );
}

fn assert_nulls(problem: &Problem) {
    for family in FAMILIES {
        let binary = problem.binarised();
        let problem = if family == Family::Binomial { &binary } else { problem };
        assert_null(problem, family, true);
        assert_null(problem, family, false);
    }
}

#[test]
fn null_deviances_are_those_of_the_slow_reference() {
    for seed in 0..10 {
        // Fewer cells than nodes, and more.
        assert_nulls(&Problem::random(seed, 40, 2, 0.8));
        assert_nulls(&Problem::random(seed, 3000, 3, 0.8).with_level(-1.0, seed));
        assert_nulls(&Problem::random(seed, 3000, 3, 0.0));
    }
}

#[test]
fn offsets_may_be_constant_or_of_wide_range() {
    for (seed, scale) in [(1, 0.0), (2, 0.01), (3, 5.0), (4, 12.0)] {
        let mut problem = Problem::random(seed, 2000, 2, 0.5);
        problem.offset.iter_mut().for_each(|o| *o = scale * *o + 0.3);
        assert_nulls(&problem);
    }
    // Where the start is the optimum, to rounding.
    for seed in 0..20 {
        let mut problem = Problem::random(seed, 300, 2, 0.5);
        problem.offset.fill(0.0);
        assert_nulls(&problem);
    }
    let mut problem = Problem::random(5, 2000, 2, 0.5);
    problem.offset[17] = 14.0;
    assert_nulls(&problem);
}

#[test]
fn so_it_is_for_any_theta() {
    // One huge count: theta near zero. Counts less variable than Poisson's: infinite.
    let mut huge = Problem::random(6, 2000, 2, 0.0).with_level(-2.0, 6);
    huge.counts[3] = 1e7;
    assert_nulls(&huge);
    assert!(fit(&huge, Family::NegativeBinomial, true).theta < 0.2);
    let mut flat = Problem::random(7, 2000, 2, 0.0);
    flat.counts.iter_mut().enumerate().for_each(|(i, y)| *y = (i % 2) as f64 + 2.0);
    flat.counts[0] = 0.0;
    assert_nulls(&flat);
    assert!(fit(&flat, Family::NegativeBinomial, true).theta.is_infinite());
    let mut counts = Problem::random(8, 2000, 2, 0.0);
    counts.counts.iter_mut().for_each(|y| *y = (*y * 1e6 + 1.0).round());
    counts.counts[0] = 0.0;
    assert_nulls(&counts);
    let mut one = Problem::random(9, 2000, 1, 0.0);
    one.counts.fill(0.0);
    one.counts[1234] = 1.0;
    assert_nulls(&one);
}

#[test]
fn separated_genes_have_the_null_deviance_of_all_cells() {
    let mut problem = Problem::groups(3, 900, 2.0, 1);
    for cell in (0..900).filter(|cell| cell % 3 == 2) {
        problem.counts[cell] = 0.0;
    }
    for (cell, offset) in problem.offset.iter_mut().enumerate() {
        *offset = 0.5 * (cell as f64).sin();
    }
    assert_nulls(&problem);
}

#[test]
fn the_null_model_of_the_null_model_is_itself() {
    let problem = Problem::random(2, 700, 1, 0.7);
    for family in FAMILIES {
        let binary = problem.binarised();
        let got = fit(if family == Family::Binomial { &binary } else { &problem }, family, true);
        // The negative binomial's theta is one short step ahead of its means.
        let tolerance = if family == Family::NegativeBinomial { 1e-7 } else { 1e-11 };
        assert!((got.null_deviance / got.deviance - 1.0).abs() < tolerance, "{family:?}");
    }
}

#[test]
fn there_is_none_without_being_asked_for_nor_of_a_gene_that_failed() {
    let mut problem = Problem::random(1, 50, 2, 0.0);
    let design = Design::new(&problem.columns, &problem.offset).unwrap();
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let options = Options { family: Family::Poisson, max_iterations: 100 };
    let got = fit_gene(counts, &design, &options, &mut Workspace::new(), &Monitor::new()).unwrap();
    assert_eq!(got.status, Status::Ok);
    assert!(got.null_deviance.is_nan());
    problem.counts.fill(0.0);
    for family in FAMILIES {
        assert!(fit(&problem, family, true).null_deviance.is_nan());
    }
}
