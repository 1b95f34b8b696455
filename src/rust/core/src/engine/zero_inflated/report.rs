//! An optimum, in the coefficients that the user named.

use super::gene::{Status, ZeroInflatedFit};
use super::likelihood::Distribution;
use super::parts::{Parts, Recession, Side, along};
use super::search::Solution;
use super::solve::inverse;
use crate::design::Design;
use crate::engine::glm::{Estimate, can_leave, estimates_towards};

/// Predictors of cells that have left are put this far out.
const FAR: f64 = 40.0;

/// None where the optimum has no curvature, or the limit cannot be described.
pub fn report(solution: &Solution<'_>, family: Distribution) -> Option<ZeroInflatedFit> {
    let Solution { parts, distribution, point, view, decrement } = solution;
    let (count, zero) = (parts.whole.count, parts.whole.zero);
    let (p, q) = (count.rank(), zero.rank());
    let covariance = inverse(&view.information, point.len())?;
    let (count_whole, zero_whole) = in_whole(parts, point);
    let mut fit = ZeroInflatedFit::failed(Status::Ok, p + q);
    fit.coefficients = count.basis().named(&count_whole);
    fit.coefficients.extend(zero.basis().named(&zero_whole));
    (fit.estimates, fit.structural_cells) = estimates(parts)?;
    fit.covariance = named_covariance(parts, &covariance, point.len());
    fit.log_likelihood = view.log_likelihood;
    fit.decrement = *decrement;
    match (family, distribution) {
        (_, Distribution::NegativeBinomial) => {
            fit.theta = (-point[point.len() - 1]).exp();
            fit.log_theta_se = covariance[covariance.len() - 1].sqrt();
        }
        (Distribution::NegativeBinomial, Distribution::Poisson) => fit.theta = f64::INFINITY,
        (Distribution::Poisson, Distribution::Poisson) => {}
    }
    fit.plain_cells = parts.mixed.iter().filter(|mixed| !**mixed).count();
    fit.empty_cells = count.cells() - parts.cells.len() - fit.structural_cells;
    Some(fit)
}

/// Finite coefficients of both parts' whole bases that reproduce what is fitted.
pub fn in_whole(parts: &Parts<'_>, point: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (count, zero) = (parts.whole.count, parts.whole.zero);
    let (count_point, rest) = point.split_at(parts.count.rank());
    let mut count_whole = parts.count.in_whole(count_point, count.rank());
    let mut zero_whole = parts.zero.in_whole(&rest[..parts.zero.rank()], zero.rank());
    for recession in parts.recessions.iter().rev() {
        match recession.part {
            Side::Count => go_far(&mut count_whole, recession, count),
            Side::Zero => go_far(&mut zero_whole, recession, zero),
        }
    }
    (count_whole, zero_whole)
}

/// Moves along a direction of recession until every cell that it takes away is far
/// out. No direction touches the cells of a later one.
fn go_far(c: &mut [f64], recession: &Recession, design: &Design) {
    let needed = recession.gone.iter().map(|&(cell, side)| {
        let eta = design.blocks().offset(cell as usize) + along(design, cell, c);
        (FAR - side * eta).max(0.0) / along(design, cell, &recession.direction).abs()
    });
    let length = needed.fold(0.0f64, f64::max);
    c.iter_mut().zip(&recession.direction).for_each(|(c, d)| *c += length * d);
}

/// What the cells that stay, and where the others went, say of each coefficient. A
/// group without a count may have a mean of zero or structural zeros only: where both
/// are possible, neither is known. And how many cells have structural zeros for certain.
fn estimates(parts: &Parts<'_>) -> Option<(Vec<Estimate>, usize)> {
    let (count, zero) = (parts.whole.count, parts.whole.zero);
    let cells = count.cells();
    let (mut count_leaves, mut zero_leaves) = (vec![true; cells], vec![true; cells]);
    for (&cell, &mixed) in parts.cells.iter().zip(&parts.mixed) {
        count_leaves[cell as usize] = false;
        zero_leaves[cell as usize] = !mixed;
    }
    let (mut count_sides, mut zero_sides) = (vec![0.0; cells], vec![0.0; cells]);
    for recession in &parts.recessions {
        let sides = match recession.part {
            Side::Count => &mut count_sides,
            Side::Zero => &mut zero_sides,
        };
        recession.gone.iter().for_each(|&(cell, side)| sides[cell as usize] = side);
    }
    let mut unknown = vec![];
    for recession in &parts.recessions {
        let (other, leaves, sides, side) = match recession.part {
            Side::Count => (zero, &zero_leaves, &zero_sides, 1.0),
            Side::Zero => (count, &count_leaves, &count_sides, -1.0),
        };
        let explained = |&&(_, side): &&(u32, f64)| recession.part == Side::Count || side > 0.0;
        let gone: Vec<u32> = recession.gone.iter().filter(explained).map(|gone| gone.0).collect();
        let mut sides = sides.clone();
        gone.iter().for_each(|&cell| sides[cell as usize] = side);
        if !gone.is_empty() && can_leave(other, leaves, sides) {
            unknown.extend(gone);
        }
    }
    for cell in unknown {
        count_sides[cell as usize] = 0.0;
        zero_sides[cell as usize] = 0.0;
    }
    let structural = zero_sides.iter().filter(|side| **side > 0.0).count();
    let mut estimates = estimates_towards(count, &count_leaves, count_sides)?;
    estimates.extend(estimates_towards(zero, &zero_leaves, zero_sides)?);
    Some((estimates, structural))
}

/// The covariance of all named coefficients, lower triangle row after row.
fn named_covariance(parts: &Parts<'_>, covariance: &[f64], parameters: usize) -> Vec<f64> {
    let (count, zero) = (parts.whole.count, parts.whole.zero);
    let (p, rank) = (count.rank(), count.rank() + zero.rank());
    let counts = parts.count.directions.iter().map(|direction| {
        let mut column = count.basis().named(direction);
        column.resize(rank, 0.0);
        column
    });
    let zeros = parts.zero.directions.iter().map(|direction| {
        let mut column = vec![0.0; p];
        column.extend(zero.basis().named(direction));
        column
    });
    let columns: Vec<Vec<f64>> = counts.chain(zeros).collect();
    let mut half = vec![0.0; rank * columns.len()];
    for (k, column) in columns.iter().enumerate() {
        for (l, share) in (0..columns.len()).map(|l| (l, covariance[k * parameters + l])) {
            for i in 0..rank {
                half[i * columns.len() + l] += column[i] * share;
            }
        }
    }
    let entry = |i: usize, j: usize| -> f64 {
        columns.iter().enumerate().map(|(l, column)| half[i * columns.len() + l] * column[j]).sum()
    };
    (0..rank).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).collect()
}
