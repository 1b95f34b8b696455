//! Newton's equations: a small symmetric system, where some directions may
//! carry no information.

use faer::{Mat, Side};

/// Directions with less than this share of the largest information carry none:
/// the cells they stand for have no mean left, because the likelihood keeps
/// growing as their mean goes to zero.
const NO_INFORMATION: f64 = 1e-12;
/// Pivots below this share of the largest are not trusted to Cholesky.
const DOUBTFUL: f64 = 1e-9;

/// A solution, and whether it leaves something out.
#[derive(Debug)]
pub struct Solution {
    pub step: Vec<f64>,
    /// Whether some direction carries no information; the step has no part in it.
    pub singular: bool,
}

/// Solves A step = gradient, A symmetric with its lower triangle row after row.
/// Where A is indefinite, directions of negative curvature are climbed as if it
/// were positive.
pub fn solve(triangle: &[f64], gradient: &[f64]) -> Option<Solution> {
    let p = gradient.len();
    let a = full(triangle, p);
    if let Ok(factor) = a.llt(Side::Lower) {
        let pivots = (0..p).map(|i| factor.L()[(i, i)].powi(2));
        let smallest = pivots.fold(f64::INFINITY, f64::min);
        if smallest > DOUBTFUL * largest_diagonal(triangle, p) {
            use faer::linalg::solvers::Solve;
            let right = Mat::from_fn(p, 1, |i, _| gradient[i]);
            let step = factor.solve(&right);
            let step = (0..p).map(|i| step[(i, 0)]).collect();
            return Some(Solution { step, singular: false });
        }
    }
    let (values, vectors) = eigen(triangle, p)?;
    let limit = NO_INFORMATION * values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let mut solution = Solution { step: vec![0.0; p], singular: false };
    for (value, vector) in values.iter().zip(&vectors) {
        if value.abs() <= limit {
            solution.singular = true;
            continue;
        }
        let length = inner(vector, gradient) / value.abs();
        solution.step.iter_mut().zip(vector).for_each(|(s, v)| *s += length * v);
    }
    Some(solution)
}

/// The inverse of A, p x p; none where a direction carries no information.
pub fn inverse(triangle: &[f64], p: usize) -> Option<Vec<f64>> {
    let (values, vectors) = eigen(triangle, p)?;
    let limit = NO_INFORMATION * values.iter().fold(0.0f64, |m, v| m.max(*v));
    if values.iter().any(|v| *v <= limit) {
        return None;
    }
    let mut inverse = vec![0.0; p * p];
    for (value, vector) in values.iter().zip(&vectors) {
        for i in 0..p {
            for j in 0..p {
                inverse[i * p + j] += vector[i] * vector[j] / value;
            }
        }
    }
    Some(inverse)
}

/// The product of two vectors.
pub fn inner(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

fn full(triangle: &[f64], p: usize) -> Mat<f64> {
    Mat::from_fn(p, p, |i, j| {
        let (row, column) = (i.max(j), i.min(j));
        triangle[row * (row + 1) / 2 + column]
    })
}

fn largest_diagonal(triangle: &[f64], p: usize) -> f64 {
    (0..p).map(|i| triangle[i * (i + 3) / 2]).fold(0.0, f64::max)
}

/// Eigenvalues and orthonormal eigenvectors of a symmetric matrix, p x p.
pub fn eigen(triangle: &[f64], p: usize) -> Option<(Vec<f64>, Vec<Vec<f64>>)> {
    let decomposed = full(triangle, p).self_adjoint_eigen(Side::Lower).ok()?;
    let (values, vectors) = (decomposed.S(), decomposed.U());
    let values: Vec<f64> = (0..p).map(|k| values[k]).collect();
    let finite = values.iter().all(|v| v.is_finite());
    let column = |k| (0..p).map(|i| vectors[(i, k)]).collect();
    finite.then(|| (values, (0..p).map(column).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definite_system_is_solved() {
        let solution = solve(&[4.0, 1.0, 3.0], &[1.0, 2.0]).unwrap();
        assert!((solution.step[0] - 1.0 / 11.0).abs() < 1e-15);
        assert!((solution.step[1] - 7.0 / 11.0).abs() < 1e-15);
        assert!(!solution.singular);
    }

    #[test]
    fn directions_without_information_are_told_and_not_taken() {
        // A = 9 uu' with u = (1, 1) / sqrt(2).
        let solution = solve(&[4.5, 4.5, 4.5], &[1.0, 1.0]).unwrap();
        assert!((solution.step[0] - 1.0 / 9.0).abs() < 1e-12);
        assert!((solution.step[0] - solution.step[1]).abs() < 1e-12);
        assert!(solution.singular);
        assert!(inverse(&[4.5, 4.5, 4.5], 2).is_none());
        assert!((inverse(&[4.0, 1.0, 3.0], 2).unwrap()[0] - 3.0 / 11.0).abs() < 1e-15);
    }

    #[test]
    fn negative_curvature_is_climbed() {
        let solution = solve(&[2.0, 0.0, -4.0], &[1.0, 1.0]).unwrap();
        assert!((solution.step[1] - 0.25).abs() < 1e-12);
    }

    #[test]
    fn no_solution_is_made_of_nan() {
        assert!(solve(&[f64::NAN], &[1.0]).is_none());
    }
}
