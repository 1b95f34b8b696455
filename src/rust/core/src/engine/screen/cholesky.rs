//! Small symmetric matrices, as their lower triangles, row after row. Systems are
//! solved in place: a library's overhead would be larger than the work.

/// Pivots below this share of their diagonal mean that the matrix is not
/// positive definite, as far as rounding tells.
const SINGULAR: f64 = 1e-11;

/// Turns the lower triangle of A, row after row, into that of L, A = L L'. False
/// where A is not positive definite.
pub fn factor(a: &mut [f64], d: usize) -> bool {
    for j in 0..d {
        let row = j * (j + 1) / 2;
        for k in 0..=j {
            let other = k * (k + 1) / 2;
            let mut sum = a[row + k];
            for l in 0..k {
                sum -= a[row + l] * a[other + l];
            }
            if k < j {
                a[row + k] = sum / a[other + k];
            } else {
                if sum.is_nan() || sum <= SINGULAR * a[row + j].abs() {
                    return false;
                }
                a[row + j] = sum.sqrt();
            }
        }
    }
    true
}

/// Solves L x = b in place; where b is shorter than d, with L's first rows.
pub fn forward(l: &[f64], b: &mut [f64]) {
    for j in 0..b.len() {
        let row = j * (j + 1) / 2;
        let sum: f64 = (0..j).map(|k| l[row + k] * b[k]).sum();
        b[j] = (b[j] - sum) / l[row + j];
    }
}

/// Solves L' x = b in place, likewise.
pub fn backward(l: &[f64], b: &mut [f64]) {
    for j in (0..b.len()).rev() {
        let sum: f64 = (j + 1..b.len()).map(|k| l[k * (k + 1) / 2 + j] * b[k]).sum();
        b[j] = (b[j] - sum) / l[j * (j + 3) / 2];
    }
}

/// x'Ax, A a triangle row after row.
pub fn form(triangle: &[f64], x: &[f64]) -> f64 {
    let (mut form, mut at) = (0.0, 0);
    for j in 0..x.len() {
        for k in 0..=j {
            let twice = if j == k { 1.0 } else { 2.0 };
            form += twice * triangle[at] * x[j] * x[k];
            at += 1;
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definite_system_is_solved() {
        // A = [4 2 1; 2 5 3; 1 3 6], x = (1, -2, 3).
        let mut a = [4.0, 2.0, 5.0, 1.0, 3.0, 6.0];
        let mut b = [4.0 - 4.0 + 3.0, 2.0 - 10.0 + 9.0, 1.0 - 6.0 + 18.0];
        assert!(factor(&mut a, 3));
        forward(&a, &mut b);
        backward(&a, &mut b);
        for (got, want) in b.iter().zip([1.0, -2.0, 3.0]) {
            assert!((got - want).abs() < 1e-14);
        }
    }

    #[test]
    fn others_are_refused() {
        assert!(!factor(&mut [1.0, 1.0, 1.0], 2));
        assert!(!factor(&mut [1.0, 2.0, 1.0], 2));
        assert!(!factor(&mut [f64::NAN], 1));
        assert!(!factor(&mut [0.0], 1));
    }
}
