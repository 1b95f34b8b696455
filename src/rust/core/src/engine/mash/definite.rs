//! Small positive definite matrices, as lower triangles, row after row.

/// Turns A into L, A = L L'. A pivot that rounding made negative is taken for zero, and
/// so are the entries below it.
pub(super) fn factor(a: &mut [f64], d: usize) {
    for j in 0..d {
        let row = j * (j + 1) / 2;
        for k in 0..=j {
            let other = k * (k + 1) / 2;
            let inner: f64 = (0..k).map(|l| a[row + l] * a[other + l]).sum();
            let left = a[row + k] - inner;
            a[row + k] = if k == j {
                left.max(0.0).sqrt()
            } else if a[other + k] > 0.0 {
                left / a[other + k]
            } else {
                0.0
            };
        }
    }
}

/// Solves L x = b in place.
pub(super) fn forward(l: &[f64], b: &mut [f64]) {
    for j in 0..b.len() {
        let row = j * (j + 1) / 2;
        let inner: f64 = (0..j).map(|k| l[row + k] * b[k]).sum();
        b[j] = (b[j] - inner) / l[row + j];
    }
}

/// Solves L' x = b in place.
pub(super) fn backward(l: &[f64], b: &mut [f64]) {
    for j in (0..b.len()).rev() {
        let inner: f64 = (j + 1..b.len()).map(|k| l[k * (k + 1) / 2 + j] * b[k]).sum();
        b[j] = (b[j] - inner) / l[j * (j + 3) / 2];
    }
}

/// log det A of L.
pub(super) fn log_determinant(l: &[f64], d: usize) -> f64 {
    (0..d).map(|j| 2.0 * l[j * (j + 3) / 2].ln()).sum()
}
