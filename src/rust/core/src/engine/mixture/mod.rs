//! Weights of a mixture whose components are known: what maximises
//!
//! > sum_j w_j log(sum_k L_jk pi_k) + sum_k (prior_k - 1) log(pi_k)
//!
//! over pi >= 0 with sum 1, the concave problem of Kim, Carbonetto, Stephens and
//! Anitescu (2020, Journal of Computational and Graphical Statistics 29:261).
//!
//! `ascent` solves it for few columns by an interior point method. Where there are many,
//! only those that the optimum needs are formed: after each ascent the gradient of all
//! columns says which are missing, as in Lindsay (1983, Annals of Statistics 11:86). The
//! same gradient certifies the result: with G the largest of its entries divided by the
//! sum of all w and prior - 1, no weights are better by more than that sum times G - 1.

mod ascent;
mod dense;
mod grid;

pub use dense::Dense;
pub use grid::scale_grid;

use crate::{Error, Monitor, Result};
use ascent::Problem;

/// Columns up to which all are formed at once.
const FEW: usize = 320;

/// Columns that are added at a time.
const ADDED: usize = 48;

/// G - 1 from which on weights are good enough: with 10,000 rows no others are better by
/// more than 1e-6 in the logarithm of the likelihood.
const TOLERANCE: f64 = 1e-10;

const MOST_ROUNDS: usize = 200;

/// Rows x columns of likelihoods, each row divided by its largest value.
pub trait Likelihoods: Sync {
    fn rows(&self) -> usize;
    fn columns(&self) -> usize;
    /// Writes a column, one value a row.
    fn column(&self, column: usize, values: &mut [f64]);
    /// sum_j by_row_j L_jk, of every column k.
    fn weighted_sums(&self, by_row: &[f64]) -> Vec<f64>;
    /// The column with a row's largest value; None where the row has none.
    fn best(&self, row: usize) -> Option<usize>;
    /// Columns that are much alike, as those of one covariance on a grid of scales.
    fn family(&self, column: usize) -> usize {
        column
    }
}

/// Weights that are optimal, but for `excess`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    pub weights: Vec<f64>,
    /// G - 1.
    pub excess: f64,
}

/// The optimal weights of the columns. `row_weights`: w, not negative.
///
/// # Errors
/// Where the lengths disagree, a number is out of range, or the monitor is cancelled.
pub fn fit_mixture(
    likelihoods: &impl Likelihoods,
    row_weights: &[f64],
    prior: &[f64],
    monitor: &Monitor,
) -> Result<Mixture> {
    check(likelihoods, row_weights, prior)?;
    let (rows, columns) = (likelihoods.rows(), likelihoods.columns());
    let best: Vec<Option<usize>> = (0..rows).map(|row| likelihoods.best(row)).collect();
    // A row without a likelihood says nothing.
    let said = |(&w, best): (&f64, &Option<usize>)| if best.is_some() { w } else { 0.0 };
    let row_weights: Vec<f64> = row_weights.iter().zip(&best).map(said).collect();
    let counts: Vec<f64> = prior.iter().map(|prior| prior - 1.0).collect();
    let total = row_weights.iter().sum::<f64>() + counts.iter().sum::<f64>();
    if total == 0.0 {
        return Ok(Mixture { weights: vec![1.0 / columns as f64; columns], excess: 0.0 });
    }
    let share = |values: &[f64]| values.iter().map(|value| value / total).collect::<Vec<f64>>();
    let (row_weights, counts) = (share(&row_weights), share(&counts));

    let mut active = match columns <= FEW {
        true => (0..columns).collect(),
        false => first_columns(likelihoods, &best, &counts),
    };
    let mut found = Mixture { weights: vec![], excess: f64::INFINITY };
    for _ in 0..MOST_ROUNDS {
        cover(likelihoods, &best, &row_weights, &mut active);
        let problem = Problem::new(likelihoods, &active, &row_weights, &counts);
        let restricted = problem.solve(monitor)?;
        let density = problem.densities(&restricted);
        let by_row = |(w, density): (&f64, &f64)| if *w > 0.0 { w / density } else { 0.0 };
        let by_row: Vec<f64> = row_weights.iter().zip(&density).map(by_row).collect();
        let mut weights = vec![0.0; columns];
        active.iter().zip(&restricted).for_each(|(&k, &weight)| weights[k] = weight);
        let mut gradient = likelihoods.weighted_sums(&by_row);
        for (k, slope) in gradient.iter_mut().enumerate() {
            *slope += if counts[k] > 0.0 { counts[k] / weights[k] } else { 0.0 };
        }
        let excess = gradient.iter().fold(0.0, |most: f64, &slope| most.max(slope - 1.0));
        if excess < found.excess {
            found = Mixture { weights, excess };
        }
        let mut wanted = missing(likelihoods, &gradient, &active);
        if excess <= TOLERANCE || wanted.is_empty() {
            break;
        }
        let used = |&&k: &&usize| found.weights[k] > 0.0 || counts[k] > 0.0;
        let mut kept: Vec<usize> = active.iter().filter(used).copied().collect();
        kept.append(&mut wanted);
        kept.sort_unstable();
        active = kept;
    }
    Ok(found)
}

fn check(likelihoods: &impl Likelihoods, row_weights: &[f64], prior: &[f64]) -> Result<()> {
    for (what, found, expected) in [
        ("weights of rows", row_weights.len(), likelihoods.rows()),
        ("the prior's components", prior.len(), likelihoods.columns()),
    ] {
        if found != expected {
            return Err(Error::Shape { what, found, expected });
        }
    }
    if likelihoods.columns() == 0 {
        return Err(Error::Shape { what: "components", found: 0, expected: 1 });
    }
    let refused = |name, value: f64, expected| {
        Err(Error::Argument { name, value: value.to_string(), expected })
    };
    if let Some(&w) = row_weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
        return refused("a weight", w, "a finite number >= 0");
    }
    // Below one the problem is not concave.
    if let Some(&prior) = prior.iter().find(|prior| !(**prior >= 1.0 && prior.is_finite())) {
        return refused("prior", prior, "finite and at least 1 for every component");
    }
    Ok(())
}

/// Those with a prior, and those that most rows like best.
fn first_columns(
    likelihoods: &impl Likelihoods,
    best: &[Option<usize>],
    counts: &[f64],
) -> Vec<usize> {
    let mut votes = vec![0_usize; likelihoods.columns()];
    best.iter().flatten().for_each(|&k| votes[k] += 1);
    let mut order: Vec<usize> = (0..votes.len()).filter(|&k| votes[k] > 0).collect();
    order.sort_by_key(|&k| std::cmp::Reverse(votes[k]));
    order.truncate(2 * ADDED);
    order.extend((0..counts.len()).filter(|&k| counts[k] > 0.0));
    order.sort_unstable();
    order.dedup();
    order
}

/// Adds the best column of each row that no active column gives a likelihood.
fn cover(
    likelihoods: &impl Likelihoods,
    best: &[Option<usize>],
    row_weights: &[f64],
    active: &mut Vec<usize>,
) {
    if active.len() == likelihoods.columns() {
        return;
    }
    let rows = likelihoods.rows();
    let (mut highest, mut values) = (vec![0.0_f64; rows], vec![0.0; rows]);
    let mut raise = |k: usize, highest: &mut [f64]| {
        likelihoods.column(k, &mut values);
        highest.iter_mut().zip(&values).for_each(|(high, value)| *high = high.max(*value));
    };
    active.iter().for_each(|&k| raise(k, &mut highest));
    for row in 0..rows {
        if let Some(k) = best[row].filter(|_| row_weights[row] > 0.0 && highest[row] < 1e-30) {
            raise(k, &mut highest);
            active.push(k);
        }
    }
    active.sort_unstable();
    active.dedup();
}

/// Columns that the optimum lacks, the best one of each family.
fn missing(likelihoods: &impl Likelihoods, gradient: &[f64], active: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..gradient.len())
        .filter(|&k| gradient[k] > 1.0 + TOLERANCE && active.binary_search(&k).is_err())
        .collect();
    order.sort_by(|&a, &b| gradient[b].total_cmp(&gradient[a]).then(a.cmp(&b)));
    let mut seen = std::collections::HashSet::new();
    order.retain(|&k| seen.insert(likelihoods.family(k)));
    order.truncate(ADDED);
    order
}
