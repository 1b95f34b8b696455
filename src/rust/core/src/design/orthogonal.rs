//! Gram-Schmidt orthogonalisation with reorthogonalisation. Columns are taken
//! in order and aliased ones dropped, as R's `lm()` and `glm()` do.

use crate::simd::{Kernel, LANES, Vector, fma, run};
use rayon::prelude::*;

/// A column is aliased where less than this share of its norm is left after
/// what earlier columns explain: the tolerance of R's `qr()` and `lm()`.
const TOLERANCE: f64 = 1e-7;

/// Cells in a section: sums are added up section by section, in their order, whichever
/// threads of the current pool they come from.
const SECTION: usize = 1 << 14;

/// How the columns X of a model matrix depend on an orthogonal basis Q of their
/// span: X[, kept] = Q R, Q'Q = n I.
#[derive(Clone)]
pub struct Orthogonal {
    pub kept: Vec<usize>,
    pub aliased: Vec<usize>,
    /// R, upper triangular, rank x rank, column after column.
    r: Vec<f64>,
    /// R⁻¹, likewise.
    inverse: Vec<f64>,
    /// Root mean square of each kept column.
    scales: Vec<f64>,
}

impl Orthogonal {
    /// Coefficients of the named columns, from those of the basis: R⁻¹ c.
    pub fn named(&self, c: &[f64]) -> Vec<f64> {
        let p = self.kept.len();
        (0..p).map(|i| (i..p).map(|j| self.inverse[j * p + i] * c[j]).sum()).collect()
    }

    /// Coefficients of the basis, from those of the named columns: R b.
    pub fn coordinates(&self, b: &[f64]) -> Vec<f64> {
        let p = self.kept.len();
        (0..p).map(|i| (i..p).map(|j| self.r[j * p + i] * b[j]).sum()).collect()
    }

    /// A cell's row of Q, from its values of the kept columns: R⁻ᵀ x.
    pub fn row(&self, x: &[f64], row: &mut [f64]) {
        let p = self.kept.len();
        for (j, q) in row.iter_mut().enumerate() {
            *q = (0..=j).map(|i| self.inverse[j * p + i] * x[i]).sum();
        }
    }

    /// The value of a named column at a cell, from the cell's row of Q.
    pub fn named_value(&self, j: usize, row: impl Fn(usize) -> f64) -> f64 {
        let p = self.kept.len();
        (0..=j).map(|i| self.r[j * p + i] * row(i)).sum()
    }

    /// The covariance of named coefficients from the basis's (full, p x p):
    /// R⁻¹ V R⁻ᵀ, its lower triangle, row after row.
    pub fn named_covariance(&self, covariance: &[f64]) -> Vec<f64> {
        let p = self.kept.len();
        let inverse = |row: usize, column: usize| self.inverse[column * p + row];
        let mut half = vec![0.0; p * p];
        for a in 0..p {
            for j in 0..p {
                half[a * p + j] = (a..p).map(|i| inverse(a, i) * covariance[i * p + j]).sum();
            }
        }
        let half = &half;
        let entry = |a: usize, b: usize| (b..p).map(|j| half[a * p + j] * inverse(b, j)).sum();
        (0..p).flat_map(|a| (0..=a).map(move |b| (a, b))).map(|(a, b)| entry(a, b)).collect()
    }

    /// What the basis's last coefficient is multiplied with to name the last
    /// column's: no other takes part in it.
    pub fn last_share(&self) -> f64 {
        self.inverse[self.inverse.len() - 1]
    }

    /// Root mean square of a kept column.
    pub fn scale(&self, kept: usize) -> f64 {
        self.scales[kept]
    }
}

/// The basis, and its columns.
pub fn orthogonalise(columns: &[f64], cells: usize) -> (Orthogonal, Vec<Vec<f64>>) {
    let n = cells as f64;
    let (mut kept, mut aliased, mut scales) = (vec![], vec![], vec![]);
    let mut q: Vec<Vec<f64>> = vec![];
    let mut r_columns: Vec<Vec<f64>> = vec![];
    for (j, column) in columns.chunks_exact(cells).enumerate() {
        let largest = largest(column);
        if largest == 0.0 {
            aliased.push(j);
            continue;
        }
        // Scaled so that squares neither overflow nor underflow.
        let mut rest: Vec<f64> = column.iter().map(|x| x / largest).collect();
        let norm = (dot(&rest, &rest) / n).sqrt();
        let mut shares = vec![0.0; q.len()];
        for _ in 0..2 {
            for (basis, share) in q.iter().zip(&mut shares) {
                let more = dot(basis, &rest) / n;
                *share += more;
                each_section(&mut rest, |rest, first| {
                    rest.iter_mut().zip(&basis[first..]).for_each(|(r, b)| *r -= more * b);
                });
            }
        }
        let left = (dot(&rest, &rest) / n).sqrt();
        if left < TOLERANCE * norm {
            aliased.push(j);
            continue;
        }
        each_section(&mut rest, |rest, _| rest.iter_mut().for_each(|r| *r /= left));
        shares.push(left);
        r_columns.push(shares.iter().map(|share| share * largest).collect());
        scales.push(norm * largest);
        kept.push(j);
        q.push(rest);
    }
    let p = kept.len();
    let mut r = vec![0.0; p * p];
    for (j, column) in r_columns.iter().enumerate() {
        r[j * p..j * p + column.len()].copy_from_slice(column);
    }
    let inverse = invert_triangle(&r, p);
    (Orthogonal { kept, aliased, r, inverse, scales }, q)
}

/// The largest absolute value.
pub(super) fn largest(column: &[f64]) -> f64 {
    column.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// The inverse of an upper triangle, by back substitution.
fn invert_triangle(r: &[f64], p: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; p * p];
    for j in 0..p {
        inverse[j * p + j] = 1.0 / r[j * p + j];
        for i in (0..j).rev() {
            let sum: f64 = (i + 1..=j).map(|k| r[k * p + i] * inverse[j * p + k]).sum();
            inverse[j * p + i] = -sum / r[i * p + i];
        }
    }
    inverse
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    let sections = x.par_chunks(SECTION).zip(y.par_chunks(SECTION));
    let parts: Vec<f64> = sections.map(|(x, y)| run(Dot { x, y })).collect();
    parts.iter().sum()
}

/// Hands out sections of a column, each with its first cell.
fn each_section(column: &mut [f64], work: impl Fn(&mut [f64], usize) + Sync) {
    let sections = column.par_chunks_mut(SECTION).enumerate();
    sections.for_each(|(k, section)| work(section, k * SECTION));
}

struct Dot<'a> {
    x: &'a [f64],
    y: &'a [f64],
}

impl Kernel for Dot<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let groups = self.x.len() / LANES;
        let mut sum = V::zero();
        for group in 0..groups {
            sum = V::load(self.x, group).times_plus(V::load(self.y, group), sum);
        }
        let rest = self.x[groups * LANES..].iter().zip(&self.y[groups * LANES..]);
        sum.total() + rest.fold(0.0, |sum, (a, b)| fma::<V>(*a, *b, sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(n: usize) -> Vec<f64> {
        let one = vec![1.0; n];
        let x: Vec<f64> = (0..n).map(|i| ((i * 7919) % 101) as f64 * 1e6 + 3e7).collect();
        let twice: Vec<f64> = x.iter().map(|x| 2.0 * x - 5.0).collect();
        let tiny: Vec<f64> = (0..n).map(|i| ((i * 31) % 17) as f64 * 1e-9).collect();
        [one, x, twice, vec![0.0; n], tiny].concat()
    }

    #[test]
    fn aliased_columns_are_the_later_ones_and_scale_does_not_matter() {
        let (basis, q) = orthogonalise(&columns(50), 50);
        assert_eq!(basis.kept, [0, 1, 4]);
        assert_eq!(basis.aliased, [2, 3]);
        for i in 0..3 {
            for j in 0..3 {
                let expected = if i == j { 50.0 } else { 0.0 };
                assert!((dot(&q[i], &q[j]) - expected).abs() < 1e-12 * 50.0);
            }
        }
    }

    #[test]
    fn nearly_aliased_columns_become_orthogonal_too() {
        let x: Vec<f64> = (0..60).map(|i| ((i * 37) % 41) as f64).collect();
        let near = x.iter().enumerate().map(|(i, x)| x + 1e-5 * ((i * 7) % 5) as f64);
        let columns = [vec![1.0; 60], x.clone(), near.collect()].concat();
        let (basis, q) = orthogonalise(&columns, 60);
        assert_eq!(basis.kept, [0, 1, 2]);
        assert!(dot(&q[2], &q[0]).abs() < 1e-12 * 60.0);
        assert!(dot(&q[2], &q[1]).abs() < 1e-12 * 60.0);
    }

    #[test]
    fn coordinates_and_names_are_inverse_to_each_other() {
        let (basis, q) = orthogonalise(&columns(50), 50);
        let b = [1.5, -2e-7, 3e8];
        let c = basis.coordinates(&b);
        let back = basis.named(&c);
        for (got, want) in back.iter().zip(b) {
            assert!((got - want).abs() < 1e-9 * want.abs(), "{got} {want}");
        }
        let all = columns(50);
        let x = |i: usize, j: usize| all[basis.kept[j] * 50 + i];
        let eta: f64 = (0..3).map(|j| x(7, j) * b[j]).sum();
        let same: f64 = (0..3).map(|k| q[k][7] * c[k]).sum();
        assert!((eta - same).abs() < 1e-9);
        assert!((basis.named_value(2, |i| q[i][7]) - x(7, 2)).abs() < 1e-20);
        let mut row = [0.0; 3];
        basis.row(&[x(7, 0), x(7, 1), x(7, 2)], &mut row);
        for (k, got) in row.iter().enumerate() {
            assert!((got - q[k][7]).abs() < 1e-12, "{got} {}", q[k][7]);
        }
    }

    #[test]
    fn covariance_is_that_of_least_squares() {
        // X = [1, x] with x = 0..9: var(slope) = 1 / sum (x - mean)^2 = 1 / 82.5.
        let columns: Vec<f64> =
            (0..20).map(|i| if i < 10 { 1.0 } else { i as f64 - 10.0 }).collect();
        let (basis, _) = orthogonalise(&columns, 10);
        let unit = [0.1, 0.0, 0.0, 0.1];
        let covariance = basis.named_covariance(&unit);
        assert!((covariance[2] - 1.0 / 82.5).abs() < 1e-15);
        assert!((covariance[1] + 4.5 / 82.5).abs() < 1e-15);
        assert!((covariance[0] - (0.1 + 4.5 * 4.5 / 82.5)).abs() < 1e-14);
    }
}
