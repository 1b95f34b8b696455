//! Steps from a gradient and second derivatives. Parameters are scaled to a unit
//! diagonal first: the information about the two parts can differ by many orders.

use crate::engine::glm::{eigen, inner};

/// Eigenvalues of the scaled information below this are rounding.
const DEFINITE: f64 = 1e-11;
/// By how much at least a direction is thought to be bent, as a share of what it
/// would be if structural zeros were known.
const BENT: f64 = 0.05;

/// Newton's step and its squared length in standard errors; none where the
/// information is not positive definite.
pub fn newton(information: &[f64], gradient: &[f64]) -> Option<(Vec<f64>, f64)> {
    let m = gradient.len();
    let scale = scales(information, m)?;
    let (values, vectors) = eigen(&scaled(information, &scale), m)?;
    if values.iter().any(|&value| value <= DEFINITE) {
        return None;
    }
    let right: Vec<f64> = gradient.iter().zip(&scale).map(|(g, s)| g * s).collect();
    let mut step = vec![0.0; m];
    for (value, vector) in values.iter().zip(&vectors) {
        add(&mut step, vector, inner(vector, &right) / value);
    }
    step.iter_mut().zip(&scale).for_each(|(x, s)| *x *= s);
    let decrement = inner(&step, gradient);
    Some((step, decrement))
}

/// A step that climbs wherever the gradient is not zero: that of the EM algorithm's
/// gradient (Lange 1995, Journal of the Royal Statistical Society B 57:425), whose
/// matrix is the complete information, but longer, as far as the observed information
/// tells, where that is small against it.
pub fn em_gradient(complete: &[f64], observed: &[f64], gradient: &[f64]) -> Option<Vec<f64>> {
    let m = gradient.len();
    let scale = scales(complete, m)?;
    let (values, vectors) = eigen(&scaled(complete, &scale), m)?;
    let floor = DEFINITE * values.iter().fold(0.0f64, |most, v| most.max(*v));
    // Columns of the complete information's inverse root.
    let roots: Vec<Vec<f64>> = values
        .iter()
        .zip(&vectors)
        .map(|(value, vector)| {
            let root = value.max(floor).sqrt();
            vector.iter().zip(&scale).map(|(v, s)| v * s / root).collect()
        })
        .collect();
    let images: Vec<Vec<f64>> = roots.iter().map(|root| times(observed, root)).collect();
    let mut within = Vec::with_capacity(m * (m + 1) / 2);
    for (j, image) in images.iter().enumerate() {
        within.extend(roots[..=j].iter().map(|root| inner(root, image)));
    }
    let (bends, turns) = eigen(&within, m)?;
    let right: Vec<f64> = roots.iter().map(|root| inner(root, gradient)).collect();
    let mut lengths = vec![0.0; m];
    for (bend, turn) in bends.iter().zip(&turns) {
        add(&mut lengths, turn, inner(turn, &right) / bend.abs().max(BENT));
    }
    let mut step = vec![0.0; m];
    roots.iter().zip(&lengths).for_each(|(root, length)| add(&mut step, root, *length));
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

fn times(triangle: &[f64], x: &[f64]) -> Vec<f64> {
    let at = |i: usize, j: usize| triangle[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)];
    (0..x.len()).map(|i| (0..x.len()).map(|j| at(i, j) * x[j]).sum()).collect()
}

fn add(sum: &mut [f64], x: &[f64], factor: f64) {
    sum.iter_mut().zip(x).for_each(|(s, x)| *s += factor * x);
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
