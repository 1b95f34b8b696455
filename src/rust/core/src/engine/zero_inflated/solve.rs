//! Steps from a gradient and second derivatives. Parameters are scaled to a unit
//! diagonal first: the information about the two parts can differ by many orders.

use crate::engine::glm::{eigen, inner};

/// Eigenvalues and pivots of the scaled information below this are rounding.
const DEFINITE: f64 = 1e-11;
/// By how much at least a direction is thought to be bent, as a share of what it
/// would be if structural zeros were known.
const BENT: f64 = 0.05;

/// Newton's step and its squared length in standard errors; none where the
/// information is not positive definite.
pub fn newton(information: &[f64], gradient: &[f64]) -> Option<(Vec<f64>, f64)> {
    let scale = scales(information, gradient.len())?;
    let root = cholesky(&scaled(information, &scale))?;
    let mut step: Vec<f64> = gradient.iter().zip(&scale).map(|(g, s)| g * s).collect();
    forward(&root, &mut step);
    let decrement = inner(&step, &step);
    backward(&root, &mut step);
    step.iter_mut().zip(&scale).for_each(|(x, s)| *x *= s);
    Some((step, decrement))
}

/// A step that climbs wherever the gradient is not zero: that of the EM algorithm's
/// gradient (Lange 1995, Journal of the Royal Statistical Society B 57:425), whose
/// matrix is the complete information, but longer, as far as the observed information
/// tells, where that is small against it.
pub fn em_gradient(complete: &[f64], observed: &[f64], gradient: &[f64]) -> Option<Vec<f64>> {
    let m = gradient.len();
    let scale = scales(complete, m)?;
    let root = cholesky(&scaled(complete, &scale))?;
    // The observed information where the complete one is the identity.
    let observed = scaled(observed, &scale);
    let mut half: Vec<Vec<f64>> = (0..m).map(|j| row(&observed, j, m)).collect();
    half.iter_mut().for_each(|row| forward(&root, row));
    let mut within = Vec::with_capacity(observed.len());
    let mut columns: Vec<Vec<f64>> =
        (0..m).map(|j| half.iter().map(|row| row[j]).collect()).collect();
    columns.iter_mut().for_each(|column| forward(&root, column));
    columns.iter().enumerate().for_each(|(j, column)| within.extend_from_slice(&column[..=j]));
    let (bends, turns) = eigen(&within, m)?;
    let mut right: Vec<f64> = gradient.iter().zip(&scale).map(|(g, s)| g * s).collect();
    forward(&root, &mut right);
    let mut step = vec![0.0; m];
    for (bend, turn) in bends.iter().zip(&turns) {
        let length = inner(turn, &right) / bend.abs().max(BENT);
        step.iter_mut().zip(turn).for_each(|(s, t)| *s += length * t);
    }
    backward(&root, &mut step);
    step.iter_mut().zip(&scale).for_each(|(x, s)| *x *= s);
    step.iter().all(|s| s.is_finite()).then_some(step)
}

/// The inverse of a positive definite matrix, full; none where it is not.
pub fn inverse(information: &[f64], m: usize) -> Option<Vec<f64>> {
    let scale = scales(information, m)?;
    let (values, vectors) = eigen(&scaled(information, &scale), m)?;
    if values.iter().any(|&value| value <= DEFINITE) {
        return None;
    }
    let mut inverse = vec![0.0; m * m];
    for (value, vector) in values.iter().zip(&vectors) {
        for i in 0..m {
            for j in 0..m {
                inverse[i * m + j] += scale[i] * vector[i] * vector[j] * scale[j] / value;
            }
        }
    }
    Some(inverse)
}

/// One over the root of each diagonal element; none where one is not positive.
fn scales(triangle: &[f64], m: usize) -> Option<Vec<f64>> {
    let diagonal = (0..m).map(|j| triangle[j * (j + 3) / 2]);
    diagonal.map(|d| (d > 0.0 && d.is_finite()).then(|| 1.0 / d.sqrt())).collect()
}

fn scaled(triangle: &[f64], scale: &[f64]) -> Vec<f64> {
    let rows = (0..scale.len()).flat_map(|j| (0..=j).map(move |k| (j, k)));
    triangle.iter().zip(rows).map(|(value, (j, k))| value * scale[j] * scale[k]).collect()
}

fn row(triangle: &[f64], i: usize, m: usize) -> Vec<f64> {
    (0..m).map(|j| triangle[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)]).collect()
}

/// The lower triangular root of a matrix with a unit diagonal, row after row; none
/// where that is not positive definite, but for rounding.
fn cholesky(triangle: &[f64]) -> Option<Vec<f64>> {
    let mut root = triangle.to_vec();
    let (mut i, mut start) = (0, 0);
    while start < root.len() {
        let mut other = 0;
        for j in 0..=i {
            let known = inner(&root[start..start + j], &root[other..other + j]);
            let left = root[start + j] - known;
            root[start + j] = if j < i {
                left / root[other + j]
            } else {
                if left.is_nan() || left <= DEFINITE {
                    return None;
                }
                left.sqrt()
            };
            other += j + 1;
        }
        start += i + 1;
        i += 1;
    }
    Some(root)
}

/// Solves L x = b in place.
fn forward(root: &[f64], b: &mut [f64]) {
    let mut start = 0;
    for i in 0..b.len() {
        b[i] = (b[i] - inner(&root[start..start + i], &b[..i])) / root[start + i];
        start += i + 1;
    }
}

/// Solves L'x = b in place.
fn backward(root: &[f64], b: &mut [f64]) {
    for i in (0..b.len()).rev() {
        let start = i * (i + 1) / 2;
        b[i] /= root[start + i];
        for j in 0..i {
            b[j] -= root[start + j] * b[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definite_system_is_solved_whatever_its_scale() {
        // [4 1; 1 3] with the second parameter in units of 1e-9.
        let (step, decrement) = newton(&[4.0, 1e9, 3e18], &[1.0, 2e9]).unwrap();
        assert!((step[0] - 1.0 / 11.0).abs() < 1e-14);
        assert!((step[1] * 1e9 - 7.0 / 11.0).abs() < 1e-14);
        assert!((decrement - 15.0 / 11.0).abs() < 1e-13);
        let inverse = inverse(&[4.0, 1e9, 3e18], 2).unwrap();
        assert!((inverse[0] - 3.0 / 11.0).abs() < 1e-14);
        assert!((inverse[1] * 1e9 + 1.0 / 11.0).abs() < 1e-14);
    }

    #[test]
    fn newton_has_no_step_where_the_information_is_not_definite() {
        assert!(newton(&[1.0, 2.0, 1.0], &[1.0, 1.0]).is_none());
        assert!(newton(&[1.0, 0.0, -1.0], &[1.0, 1.0]).is_none());
        assert!(newton(&[1.0, 1.0, 1.0], &[1.0, 1.0]).is_none());
        assert!(newton(&[f64::NAN], &[1.0]).is_none());
        assert!(inverse(&[1.0, 1.0, 1.0], 2).is_none());
    }

    #[test]
    fn the_em_step_climbs_where_newton_would_not() {
        // Where both informations are the same, it is Newton's step.
        let same = em_gradient(&[4.0, 1.0, 3.0], &[4.0, 1.0, 3.0], &[1.0, 2.0]).unwrap();
        assert!((same[0] - 1.0 / 11.0).abs() < 1e-12 && (same[1] - 7.0 / 11.0).abs() < 1e-12);
        for observed in [[1.0, 2.0, 1.0], [-2.0, 0.3, -1.0], [0.0, 0.0, 0.0]] {
            for gradient in [[1.0, 0.0], [0.0, -1.0], [1.0, -1.0]] {
                let step = em_gradient(&[2.0, 0.5, 1.0], &observed, &gradient).unwrap();
                assert!(inner(&step, &gradient) > 0.0);
            }
        }
    }
}
