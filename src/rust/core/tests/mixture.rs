//! Weights of mixtures against expectation-maximisation, and against what makes them
//! optimal.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scoria_core::engine::mixture::{Dense, Likelihoods, Mixture, fit_mixture, scale_grid};
use scoria_core::{Error, Monitor, pool};

/// Logarithms of likelihoods, column after column.
struct Problem {
    rows: usize,
    logarithms: Vec<f64>,
    prior: Vec<f64>,
    weights: Vec<f64>,
}

impl Problem {
    /// Normal effects on a grid of scales, with `spread` as the range of standard errors.
    fn normal(seed: u64, rows: usize, columns: usize, spread: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || {
            let sum: f64 = (0..12).map(|_| rng.random::<f64>()).sum();
            sum - 6.0
        };
        let data: Vec<(f64, f64)> = (0..rows)
            .map(|row| {
                let s = (spread * normal()).exp();
                let effect = if row % 3 == 0 { 2.0 * normal() } else { 0.0 };
                (effect + s * normal(), s)
            })
            .collect();
        let scale = |k: usize| if k == 0 { 0.0 } else { 1.2_f64.powi(k as i32 - 10) };
        let density = |x: f64, s: f64, scale: f64| {
            let sd = s.hypot(scale);
            -0.5 * (x / sd).powi(2) - sd.ln()
        };
        let logarithms = (0..columns)
            .flat_map(|k| data.iter().map(move |&(x, s)| density(x, s, scale(k))))
            .collect();
        let mut prior = vec![1.0; columns];
        prior[0] = 10.0;
        Self { rows, logarithms, prior, weights: vec![1.0; rows] }
    }

    fn solve(&self) -> Mixture {
        let dense = Dense::from_logarithms(self.rows, self.logarithms.clone());
        fit_mixture(&dense, &self.weights, &self.prior, &Monitor::new()).unwrap()
    }

    fn dense(&self) -> Vec<Vec<f64>> {
        let dense = Dense::from_logarithms(self.rows, self.logarithms.clone());
        (0..self.prior.len())
            .map(|k| {
                let mut column = vec![0.0; self.rows];
                dense.column(k, &mut column);
                column
            })
            .collect()
    }

    fn densities(&self, columns: &[Vec<f64>], pi: &[f64]) -> Vec<f64> {
        (0..self.rows).map(|row| columns.iter().zip(pi).map(|(c, p)| c[row] * p).sum()).collect()
    }

    fn objective(&self, pi: &[f64]) -> f64 {
        let density = self.densities(&self.dense(), pi);
        let said = density.iter().zip(&self.weights).filter(|(_, w)| **w > 0.0);
        let fit: f64 = said.map(|(density, w)| w * density.ln()).sum();
        let counts = self.prior.iter().zip(pi).filter(|(prior, _)| **prior > 1.0);
        fit + counts.map(|(prior, pi)| (prior - 1.0) * pi.ln()).sum::<f64>()
    }

    /// Textbook expectation-maximisation.
    fn by_em(&self, steps: usize) -> Vec<f64> {
        let columns = self.dense();
        let total: f64 =
            self.weights.iter().sum::<f64>() + self.prior.iter().map(|p| p - 1.0).sum::<f64>();
        let mut pi = vec![1.0 / columns.len() as f64; columns.len()];
        for _ in 0..steps {
            let density = self.densities(&columns, &pi);
            for (k, column) in columns.iter().enumerate() {
                let shares = column.iter().zip(&density).zip(&self.weights);
                let shares: f64 = shares
                    .filter(|(_, w)| **w > 0.0)
                    .map(|((value, density), w)| w * pi[k] * value / density)
                    .sum();
                pi[k] = (shares + self.prior[k] - 1.0) / total;
            }
        }
        pi
    }

    /// The conditions of Karush, Kuhn and Tucker, from scratch.
    fn assert_optimal(&self, found: &Mixture) {
        assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(found.weights.iter().all(|weight| *weight >= 0.0));
        let columns = self.dense();
        let density = self.densities(&columns, &found.weights);
        let total: f64 =
            self.weights.iter().sum::<f64>() + self.prior.iter().map(|p| p - 1.0).sum::<f64>();
        for (k, column) in columns.iter().enumerate() {
            let rows = column.iter().zip(&density).zip(&self.weights).filter(|(_, w)| **w > 0.0);
            let mut slope: f64 = rows.map(|((value, density), w)| w * value / density).sum();
            if self.prior[k] > 1.0 {
                slope += (self.prior[k] - 1.0) / found.weights[k];
            }
            let slope = slope / total;
            assert!(slope < 1.0 + 1e-9, "column {k} of {}: slope {slope}", columns.len());
            if found.weights[k] > 1e-5 {
                assert!((slope - 1.0).abs() < 1e-6, "column {k}: {slope}");
            }
        }
    }
}

#[test]
fn no_other_weights_are_better() {
    for (seed, rows, columns) in [(1, 200, 8), (2, 50, 40), (3, 1500, 25), (4, 700, 120)] {
        let problem = Problem::normal(seed, rows, columns, 0.5);
        let found = problem.solve();
        problem.assert_optimal(&found);
        let (ours, slow) =
            (problem.objective(&found.weights), problem.objective(&problem.by_em(5000)));
        assert!(ours >= slow - 1e-9, "{ours}, not {slow}");
        assert!(ours - slow < 0.05, "{ours}, far above {slow}");
    }
}

#[test]
fn columns_that_are_formed_as_they_are_needed_give_the_same() {
    // 700 columns: more than are formed at once. Most are copies but for a constant.
    let few = Problem::normal(5, 400, 35, 0.5);
    let mut many = Problem::normal(5, 400, 35, 0.5);
    let worse: Vec<f64> = few.logarithms.iter().map(|value| value - 0.1).collect();
    for _ in 0..19 {
        many.logarithms.extend(&worse);
        many.prior.extend([1.0; 35]);
    }
    let (a, b) = (few.solve(), many.solve());
    many.assert_optimal(&b);
    assert!((few.objective(&a.weights) - many.objective(&b.weights)).abs() < 1e-7);
}

#[test]
fn columns_that_no_row_likes_best_are_found() {
    // Where 150 numbers come from, if the errors of all are normal: one of 900 places. Few
    // places between the numbers make up the optimum.
    let numbers = Problem::normal(10, 150, 1, 0.0).logarithms;
    let place = |k: usize| -6.0 + k as f64 / 75.0;
    let log = |x: f64, at: f64| -0.5 * (x - at).powi(2);
    let problem = Problem {
        rows: 150,
        logarithms: (0..900).flat_map(|k| numbers.iter().map(move |x| log(*x, place(k)))).collect(),
        prior: vec![1.0; 900],
        weights: vec![1.0; 150],
    };
    problem.assert_optimal(&problem.solve());
}

#[test]
fn copies_share_their_weight_and_columns_of_zeros_have_none() {
    let mut problem = Problem::normal(6, 300, 12, 0.5);
    let once = problem.objective(&problem.solve().weights);
    let copy = problem.logarithms[5 * 300..].to_vec();
    problem.logarithms.extend(copy);
    problem.logarithms.extend(vec![f64::NEG_INFINITY; 600]);
    problem.logarithms.extend(vec![f64::NAN; 300]);
    problem.prior.extend([1.0; 10]);
    let found = problem.solve();
    problem.assert_optimal(&found);
    assert!((problem.objective(&found.weights) - once).abs() < 1e-7);
    assert!(found.weights[19..].iter().all(|weight| *weight == 0.0));
}

#[test]
fn rows_without_a_likelihood_or_a_weight_say_nothing() {
    let mut problem = Problem::normal(7, 100, 10, 0.5);
    let plain = problem.solve();
    let mut longer = Problem { rows: 103, ..Problem::normal(7, 100, 10, 0.5) };
    longer.logarithms = problem
        .logarithms
        .chunks_exact(100)
        .flat_map(|column| [column, &[f64::NEG_INFINITY, f64::NEG_INFINITY, 3.0]].concat())
        .collect();
    longer.weights = vec![1.0; 103];
    longer.weights[102] = 0.0;
    let found = longer.solve();
    for (a, b) in plain.weights.iter().zip(&found.weights) {
        assert!((a - b).abs() < 1e-9);
    }
    problem.weights = vec![0.0; 100];
    assert!((problem.solve().weights[0] - 1.0).abs() < 1e-9);
}

#[test]
fn threads_do_not_change_a_bit() {
    let problem = Problem::normal(8, 3000, 400, 0.5);
    let one = pool(1).unwrap().install(|| problem.solve());
    let three = pool(3).unwrap().install(|| problem.solve());
    assert_eq!(one, three);
}

#[test]
fn priors_below_one_and_wrong_lengths_are_refused() {
    let mut problem = Problem::normal(9, 20, 3, 0.5);
    let refused = |problem: &Problem| {
        let dense = Dense::from_logarithms(problem.rows, problem.logarithms.clone());
        fit_mixture(&dense, &problem.weights, &problem.prior, &Monitor::new()).unwrap_err()
    };
    problem.prior[1] = 0.5;
    assert!(matches!(refused(&problem), Error::Argument { name: "prior", .. }));
    problem.prior.pop();
    assert!(matches!(refused(&problem), Error::Shape { found: 2, expected: 3, .. }));
}

#[test]
fn a_grid_goes_from_a_tenth_of_the_smallest_error_to_twice_the_largest_effect() {
    let grid = scale_grid(&[5.0, 0.1, f64::NAN], &[4.0, 0.5, 0.1], 2.0);
    assert_eq!(grid.len(), 8);
    assert_eq!(grid[7], 6.0);
    assert!(grid[0] <= 0.05 && grid[1] > 0.05);
    assert_eq!(scale_grid(&[0.1], &[1.0], 2.0), [0.1, 0.2, 0.4, 0.8].map(|x: f64| x));
    assert!(scale_grid(&[f64::NAN], &[1.0], 2.0).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60, failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn any_mixture_is_optimal(
        seed in 0_u64..1_000_000,
        rows in 1_usize..120,
        columns in 1_usize..60,
        spread in 0.0..8.0,
    ) {
        let problem = Problem::normal(seed, rows, columns, spread);
        problem.assert_optimal(&problem.solve());
    }
}
