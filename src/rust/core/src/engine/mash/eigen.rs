//! Eigenvalues and eigenvectors of symmetric matrices.

use faer::{Mat, Side};

/// Values, ascending, and vectors, one after the other.
pub(super) fn decompose(n: usize, entry: impl Fn(usize, usize) -> f64) -> (Vec<f64>, Vec<f64>) {
    // faer takes no matrix without rows.
    let decomposed = match n {
        0 => return (vec![], vec![]),
        _ => Mat::from_fn(n, n, &entry).self_adjoint_eigen(Side::Lower),
    };
    let Ok(decomposed) = decomposed else { return decompose_graded(n, entry) };
    let values: Vec<f64> = (0..n).map(|k| decomposed.S()[k]).collect();
    let vectors = decomposed.U();
    let vectors = (0..n * n).map(|at| vectors[(at % n, at / n)]).collect();
    (values, vectors)
}

/// The same of a positive definite matrix whose diagonal has a wide range, by Jacobi's
/// method: small eigenvalues have as many digits as large ones (Demmel and Veselić 1992,
/// SIAM Journal on Matrix Analysis and Applications 13:1204).
pub(super) fn decompose_graded(
    n: usize,
    entry: impl Fn(usize, usize) -> f64,
) -> (Vec<f64>, Vec<f64>) {
    let mut a: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
    let mut vectors: Vec<f64> = (0..n * n).map(|at| f64::from(at / n == at % n)).collect();
    for _ in 0..60 {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (app, aqq, apq) = (a[p * n + p], a[q * n + q], a[p * n + q]);
                if apq.abs() <= f64::EPSILON * (app * aqq).abs().sqrt() {
                    continue;
                }
                rotated = true;
                let ratio = (aqq - app) / (2.0 * apq);
                let tangent = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for k in (0..n).filter(|k| *k != p && *k != q) {
                    let (akp, akq) = (a[k * n + p], a[k * n + q]);
                    let (new_p, new_q) = (cosine * akp - sine * akq, sine * akp + cosine * akq);
                    (a[k * n + p], a[p * n + k]) = (new_p, new_p);
                    (a[k * n + q], a[q * n + k]) = (new_q, new_q);
                }
                a[p * n + p] = app - tangent * apq;
                a[q * n + q] = aqq + tangent * apq;
                (a[p * n + q], a[q * n + p]) = (0.0, 0.0);
                for k in 0..n {
                    let (vp, vq) = (vectors[p * n + k], vectors[q * n + k]);
                    vectors[p * n + k] = cosine * vp - sine * vq;
                    vectors[q * n + k] = sine * vp + cosine * vq;
                }
            }
        }
        if !rotated {
            break;
        }
    }
    ((0..n).map(|k| a[k * n + k]).collect(), vectors)
}
