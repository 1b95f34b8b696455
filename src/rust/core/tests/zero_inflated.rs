//! Zero-inflated models against their definition.

mod zero_inflated_reference;

use proptest::prelude::*;
use scoria_core::design::Design;
use scoria_core::engine::glm::{self, Estimate, Family, GeneFit};
use scoria_core::engine::zero_inflated::{
    Distribution, Model, Options, Rooms, Status, ZeroInflatedFit, fit_zero_inflated_gene,
    fit_zero_inflated_genes,
};
use scoria_core::result::ZeroInflatedTable;
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
    let (mut rooms, model) = (Rooms::default(), Model::new(&count, &zero));
    fit_zero_inflated_gene(counts, &model, &options, &mut rooms, &Monitor::new()).unwrap()
}

/// The model without a zero part.
fn plain_fit(problem: &Problem, family: Family) -> GeneFit {
    let design = Design::new(&problem.count, &problem.offset).unwrap();
    let (cells, counts) = problem.sparse();
    let counts = GeneCounts { cells: &cells, counts: &counts };
    let options = glm::Options { family, max_iterations: 100 };
    let mut workspace = glm::Workspace::new();
    glm::fit_gene(counts, &design, &options, &mut workspace, &Monitor::new()).unwrap()
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
    close(fit.log_likelihood, problem.log_likelihood(&at), 1e-8, "log-likelihood");
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

fn close(got: f64, want: f64, relative: f64, what: &str) {
    let off = (got - want).abs();
    assert!(off <= relative * (1.0 + want.abs()), "{what}: {got} not {want}");
}

#[test]
fn poisson_fits_are_summits_that_the_em_algorithm_finds_too() {
    for seed in 0..8 {
        let problem = Problem::random(seed, 500, (3, 2), 0.0, 0.8);
        let fit = fit(&problem, POISSON);
        assert_summit(&problem, &fit);
        assert!(fit.theta.is_nan() && fit.log_theta_se.is_nan());
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the counts: no parameters near it, nor those of the EM algorithm, nor
    /// the model without a zero part, are above what is reported; and what is reported
    /// is what its coefficients give.
    #[test]
    fn nothing_is_higher_than_what_is_reported(
        seed in 0u64..1_000_000,
        sizes in (1usize..4, 1usize..3),
        level in -3.0f64..3.0,
        alpha in prop_oneof![Just(0.0), 0.1f64..3.0],
        distribution in prop_oneof![Just(POISSON), Just(NB)],
    ) {
        let problem = Problem::random(seed, 200, sizes, alpha, level);
        let fit = fit(&problem, distribution);
        prop_assume!(fit.status == Status::Ok);
        let at = parameters(&fit);
        // Predictors that stand for infinity are 40.
        let direct = problem.log_likelihood(&at);
        prop_assert!((fit.log_likelihood - direct).abs() < 1e-7 * (1.0 + direct.abs()));
        for (k, b) in at.iter().enumerate() {
            for step in [-0.1, 0.1] {
                let mut near = at.clone();
                near[k] = b + step;
                prop_assert!(problem.log_likelihood(&near) <= fit.log_likelihood + 1e-7);
            }
        }
        let family = if distribution == NB { Family::NegativeBinomial } else { Family::Poisson };
        let plain = plain_fit(&problem, family);
        if plain.status == glm::Status::Ok {
            prop_assert!(plain.log_likelihood <= fit.log_likelihood + 1e-7);
        }
        let em = problem.em(&vec![0.1; sizes.0 + sizes.1], 200);
        let reached = problem.log_likelihood(&em);
        prop_assert!(reached.is_nan() || reached <= fit.log_likelihood + 1e-7);
    }
}

/// Two groups of cells: the first has every other cell, coefficients of an intercept and
/// of the second group in both parts.
fn two_groups(counts: Vec<f64>) -> Problem {
    let cells = counts.len();
    let group = (0..cells).map(|cell| (cell % 2) as f64);
    let columns: Vec<f64> = std::iter::repeat_n(1.0, cells).chain(group).collect();
    let offset = (0..cells).map(|cell| 0.3 * ((cell % 7) as f64 - 3.0)).collect();
    Problem { count: columns.clone(), zero: columns, offset, counts }
}

/// Half zeros, else 1 to 4.
fn inflated(cell: usize) -> f64 {
    if cell % 4 < 2 { 0.0 } else { 1.0 + ((cell / 4) % 4) as f64 }
}

/// Counts around their mean, without a zero too many.
fn even(cell: usize) -> f64 {
    5.0 + (cell % 3) as f64
}

#[test]
fn without_zero_inflation_the_fit_is_that_of_the_plain_model() {
    let mut problem = Problem::random(7, 400, (3, 1), 0.0, 1.2);
    problem.counts = (0..400).map(|cell| even(cell) - f64::from(cell % 50 == 0)).collect();
    let (fit, plain) = (fit(&problem, POISSON), plain_fit(&problem, Family::Poisson));
    assert_eq!((fit.status, fit.plain_cells, fit.empty_cells), (Status::Ok, 400, 0));
    assert_eq!(fit.estimates[3], DOWN);
    assert_eq!(fit.estimates[..3], [Estimate::Finite; 3]);
    close(fit.log_likelihood, plain.log_likelihood, 1e-12, "log-likelihood");
    for k in 0..3 {
        close(fit.coefficients[k], plain.coefficients[k], 1e-9, "coefficient");
    }
    // Of a Poisson model expected and observed information are the same.
    for (got, want) in fit.covariance.iter().zip(&plain.covariance) {
        close(*got, *want, 1e-9, "covariance");
    }
}

#[test]
fn one_group_may_be_without_zero_inflation() {
    let counts = |cell: usize| if cell.is_multiple_of(2) { even(cell) } else { inflated(cell) };
    let problem = two_groups((0..400).map(counts).collect());
    let all = fit(&problem, POISSON);
    assert_eq!((all.status, all.plain_cells), (Status::Ok, 200));
    assert_eq!(all.estimates, [Estimate::Finite, Estimate::Finite, DOWN, UP]);
    // The other group is fitted as if it were alone.
    let alone = Problem {
        count: vec![1.0; 200],
        zero: vec![1.0; 200],
        offset: problem.offset.iter().skip(1).step_by(2).copied().collect(),
        counts: problem.counts.iter().skip(1).step_by(2).copied().collect(),
    };
    let rest = fit(&alone, POISSON);
    assert_summit(&alone, &rest);
    close(all.coefficients[0] + all.coefficients[1], rest.coefficients[0], 1e-7, "mean");
    let zeta = all.coefficients[2] + all.coefficients[3];
    close(zeta, rest.coefficients[1], 1e-7, "share");
}

#[test]
fn a_group_without_counts_has_no_mean_or_no_share() {
    let counts = |cell: usize| if cell.is_multiple_of(2) { inflated(cell / 2) } else { 0.0 };
    let problem = two_groups((0..400).map(counts).collect());
    let both = fit(&problem, POISSON);
    assert_eq!((both.status, both.empty_cells), (Status::Ok, 200));
    // Which of the two it is, nobody knows.
    let unknown = [Estimate::Finite, Estimate::None, Estimate::Finite, Estimate::None];
    assert_eq!(both.estimates, unknown);

    let constant = vec![1.0; 400];
    let mean = fit(&Problem { zero: constant.clone(), ..problem.clone() }, POISSON);
    assert_eq!(mean.estimates, [Estimate::Finite, DOWN, Estimate::Finite]);
    assert_eq!((mean.empty_cells, mean.structural_cells), (200, 0));
    let share = fit(&Problem { count: constant, ..problem }, POISSON);
    assert_eq!(share.estimates, [Estimate::Finite, Estimate::Finite, UP]);
    assert_eq!((share.empty_cells, share.structural_cells), (0, 200));
    for fit in [&mean, &share] {
        close(fit.log_likelihood, both.log_likelihood, 1e-9, "log-likelihood");
        close(fit.coefficients[0], both.coefficients[0], 1e-7, "mean");
        close(fit.covariance[0], both.covariance[0], 1e-7, "variance");
    }
}

#[test]
fn where_counts_are_not_overdispersed_theta_is_infinite() {
    let problem = Problem::random(11, 800, (2, 2), 0.0, 0.5);
    let (nb, poisson) = (fit(&problem, NB), fit(&problem, POISSON));
    if nb.theta.is_infinite() {
        assert_eq!(nb.coefficients, poisson.coefficients);
        assert!(nb.log_theta_se.is_nan());
    }
    // For certain of counts that vary less than Poisson counts.
    let problem = two_groups((0..400).map(|cell| 2.0 * inflated(cell).min(1.0)).collect());
    let (nb, poisson) = (fit(&problem, NB), fit(&problem, POISSON));
    assert_eq!(nb.theta, f64::INFINITY);
    assert_eq!(nb.coefficients, poisson.coefficients);
    assert_eq!(nb.covariance, poisson.covariance);
}

#[test]
fn a_theta_near_zero_is_found() {
    let problem = Problem::random(3, 3000, (1, 1), 20.0, 3.0);
    let fit = fit(&problem, NB);
    assert_eq!(fit.status, Status::Ok);
    assert!((0.02..0.2).contains(&fit.theta), "{}", fit.theta);
}

#[test]
fn huge_counts_keep_their_digits() {
    let mut problem = Problem::random(5, 300, (2, 2), 0.3, 11.0);
    problem.offset.iter_mut().for_each(|offset| *offset += 2.0);
    problem.counts.iter_mut().for_each(|y| *y = (*y * 7.0).round());
    for distribution in [POISSON, NB] {
        let fit = fit(&problem, distribution);
        assert_eq!(fit.status, Status::Ok);
        let direct = problem.log_likelihood(&parameters(&fit));
        close(fit.log_likelihood, direct, 1e-9, "log-likelihood");
    }
}

#[test]
fn genes_with_few_counts_have_a_status() {
    let mut problem = two_groups(vec![0.0; 60]);
    assert_eq!(fit(&problem, NB).status, Status::AllZero);
    problem.counts[4] = 1.0;
    let one = fit(&problem, NB);
    assert_eq!((one.status, one.theta), (Status::Ok, f64::INFINITY));
    assert!(one.estimates[1..].iter().all(|estimate| *estimate != Estimate::Finite));
    // No zero at all.
    let full = two_groups((0..60).map(even).collect());
    let fit = fit(&full, POISSON);
    assert_eq!((fit.status, fit.plain_cells), (Status::Ok, 60));
    assert_eq!(fit.estimates[2], DOWN);
}

#[test]
fn collinear_columns_are_left_out() {
    let problem = Problem::random(9, 300, (2, 2), 0.0, 0.8);
    let mut twice = problem.clone();
    twice.count.extend(problem.count[300..].iter().map(|x| 2.0 * x));
    twice.zero.extend(problem.zero[300..].iter().map(|x| 1.0 - x));
    let (one, two) = (fit(&problem, POISSON), fit(&twice, POISSON));
    assert_eq!(one.coefficients, two.coefficients);
    assert_eq!(one.covariance, two.covariance);
}

/// Genes of the same cells, some of them hard.
fn matrix(cells: usize) -> (Vec<i32>, Vec<i32>, Vec<f64>, usize) {
    let mut genes: Vec<Vec<f64>> = (0..6)
        .map(|seed| Problem::random(seed, cells, (2, 2), 0.4, seed as f64 - 2.0).counts)
        .collect();
    genes.push(vec![0.0; cells]);
    genes.push((0..cells).map(even).collect());
    let (mut offsets, mut rows, mut values) = (vec![0], vec![], vec![]);
    for cell in 0..cells {
        for (gene, counts) in genes.iter().enumerate().filter(|(_, counts)| counts[cell] > 0.0) {
            rows.push(gene as i32);
            values.push(counts[cell]);
        }
        offsets.push(rows.len() as i32);
    }
    (offsets, rows, values, genes.len())
}

fn fit_matrix(
    threads: usize,
    limit: Option<usize>,
    monitor: &Monitor,
) -> Result<ZeroInflatedTable, Error> {
    let cells = 300;
    let problem = Problem::random(0, cells, (2, 2), 0.4, 0.0);
    let (count, zero) = designs(&problem);
    let (offsets, rows, values, genes) = matrix(cells);
    let counts = Csc::new(genes, &offsets, &rows, &values)?;
    let options = Options { distribution: NB, max_iterations: 100 };
    pool(threads)?
        .install(|| fit_zero_inflated_genes(&counts, &count, &zero, &options, limit, monitor))
}

/// Every number's bits: NaN is NaN.
fn bits(table: &ZeroInflatedTable) -> Vec<u64> {
    let columns = [&table.coefficients, &table.covariance, &table.theta, &table.log_likelihood];
    columns.iter().flat_map(|column| column.iter().map(|x| x.to_bits())).collect()
}

#[test]
fn threads_and_blocks_do_not_change_a_bit() {
    let monitor = Monitor::new();
    let one = fit_matrix(1, None, &monitor).unwrap();
    assert_eq!(one.status, [0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(bits(&one), bits(&fit_matrix(3, None, &monitor).unwrap()));
    assert_eq!(monitor.done(), 16);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let cancelled = Monitor::new();
    cancelled.cancel();
    assert_eq!(fit_matrix(1, None, &cancelled).unwrap_err(), Error::Interrupted);
    let low = fit_matrix(1, Some(1000), &Monitor::new()).unwrap_err();
    assert_eq!(low.class(), "memory_limit");

    let design = |cells: usize| Design::new(&vec![1.0; cells], &vec![0.0; cells]).unwrap();
    let refused = |values: [f64; 3], count: Design, zero: Design| {
        let counts = Csc::new(1, &[0, 1, 2, 3], &[0; 3], &values).unwrap();
        let options = Options { distribution: POISSON, max_iterations: 100 };
        let monitor = Monitor::new();
        fit_zero_inflated_genes(&counts, &count, &zero, &options, None, &monitor).unwrap_err()
    };
    assert_eq!(refused([1.0, 0.5, 2.0], design(3), design(3)).class(), "counts");
    assert_eq!(refused([1.0, -1.0, 2.0], design(3), design(3)).class(), "counts");
    assert_eq!(refused([1.0; 3], design(4), design(4)).class(), "shape");
    assert_eq!(refused([1.0; 3], design(3), design(4)).class(), "shape");
    let wide = Design::new(&[1.0, 1.0, 1.0, 0.0, 1.0, 0.0], &[0.0; 3]).unwrap();
    assert_eq!(refused([1.0; 3], wide, design(3)).class(), "shape");
}
