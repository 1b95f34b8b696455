use super::eigen::decompose;
use crate::{Error, Result};

/// Eigenvalues within this of each other, relative to the largest, are the same; those
/// below it are zero.
const SAME: f64 = 1e-10;

/// Variances below this, relative to the largest, are rounding's.
const NOTHING: f64 = 1e-20;

/// The covariance of a gene's effects: shift I + F F'.
#[derive(Clone, Debug)]
pub struct Covariance {
    conditions: usize,
    pub(super) shift: f64,
    pub(super) factors: Vec<Factor>,
    /// Conditions without an effect.
    pub(super) zero: Vec<bool>,
}

/// A column of F: its entries that are not zero.
#[derive(Clone, Debug)]
pub(super) struct Factor(Vec<(u32, f64)>);

impl Factor {
    pub fn entries(&self) -> impl Iterator<Item = (usize, f64)> + Clone + '_ {
        self.0.iter().map(|&(i, value)| (i as usize, value))
    }
}

impl Covariance {
    /// # Errors
    /// Where the matrix is not square, finite, symmetric and positive semi-definite.
    pub fn new(matrix: &[f64], conditions: usize) -> Result<Self> {
        let r = conditions;
        if matrix.len() != r * r {
            let what = "entries of a covariance";
            return Err(Error::Shape { what, found: matrix.len(), expected: r * r });
        }
        let diagonal = |i: usize| matrix[i * r + i];
        let largest = (0..r).map(diagonal).fold(0.0, f64::max);
        let off = |i: usize, j: usize| (matrix[i * r + j] - matrix[j * r + i]).abs();
        let symmetric = || (0..r).all(|i| (0..i).all(|j| off(i, j) <= 1e-8 * largest));
        if matrix.iter().any(|entry| !entry.is_finite()) || !symmetric() {
            return Err(refused());
        }
        let zero: Vec<bool> = (0..r).map(|i| diagonal(i) <= NOTHING * largest).collect();
        let (shift, factors) = match exchangeable(matrix, r) {
            Some(found) => found,
            None => split(matrix, r, &zero)?,
        };
        Ok(Self { conditions, shift, factors, zero })
    }

    /// Of conditions `support`, ascending, with `block` as its covariance; the others have no
    /// effect. What a matrix with few entries is, without the rest of it.
    ///
    /// # Errors
    /// As [`Covariance::new`], and where a condition is not below `conditions`.
    pub fn supported(support: &[usize], block: &[f64], conditions: usize) -> Result<Self> {
        if let Some(&found) = support.iter().find(|at| **at >= conditions) {
            let what = "the last condition of a covariance";
            return Err(Error::Shape { what, found: found + 1, expected: conditions });
        }
        let mut within = Self::new(block, support.len())?;
        let mut zero = vec![true; conditions];
        support.iter().zip(&within.zero).for_each(|(&at, &none)| zero[at] = none);
        if support.len() < conditions && within.shift > 0.0 {
            within.factors = Self::basis(block, support.len())?;
            within.shift = 0.0;
        }
        for (i, _) in within.factors.iter_mut().flat_map(|factor| &mut factor.0) {
            *i = support[*i as usize] as u32;
        }
        Ok(Self { conditions, zero, ..within })
    }

    pub fn conditions(&self) -> usize {
        self.conditions
    }

    /// F with F F' the whole matrix: without a shift.
    pub(super) fn basis(matrix: &[f64], conditions: usize) -> Result<Vec<Factor>> {
        let diagonal = |i: usize| matrix[i * conditions + i];
        let largest = (0..conditions).map(diagonal).fold(0.0, f64::max);
        let zero: Vec<bool> = (0..conditions).map(|i| diagonal(i) <= NOTHING * largest).collect();
        let (values, vectors, support) = spectrum(matrix, conditions, &zero)?;
        Ok(above(&values, &vectors, &support, 0.0))
    }
}

/// Where all variances are the same and all covariances too.
fn exchangeable(matrix: &[f64], r: usize) -> Option<(f64, Vec<Factor>)> {
    let variance = *matrix.first()?;
    let shared = if r > 1 { matrix[1] } else { 0.0 };
    let as_expected = |at: usize| matrix[at] == if at / r == at % r { variance } else { shared };
    if !(0.0..=variance).contains(&shared) || variance == 0.0 || !(0..r * r).all(as_expected) {
        return None;
    }
    let factor = || Factor((0..r).map(|i| (i as u32, shared.sqrt())).collect());
    Some((variance - shared, if shared > 0.0 { vec![factor()] } else { vec![] }))
}

/// A shift pays where it saves most columns.
fn split(matrix: &[f64], r: usize, zero: &[bool]) -> Result<(f64, Vec<Factor>)> {
    let (values, vectors, support) = spectrum(matrix, r, zero)?;
    let largest = values.last().copied().unwrap_or(0.0);
    let least = values.first().copied().unwrap_or(0.0);
    let same = values.iter().filter(|value| **value - least <= SAME * largest).count();
    let few = 4 * (values.len() - same) <= r;
    let shift = if support.len() == r && least > SAME * largest && few { least } else { 0.0 };
    Ok((shift, above(&values, &vectors, &support, shift)))
}

/// Values, vectors, and the conditions that they are of: those with a variance.
fn spectrum(matrix: &[f64], r: usize, zero: &[bool]) -> Result<(Vec<f64>, Vec<f64>, Vec<usize>)> {
    let support: Vec<usize> = (0..r).filter(|&i| !zero[i]).collect();
    let n = support.len();
    let entry = |i: usize, j: usize| {
        let (i, j) = (support[i], support[j]);
        0.5 * (matrix[i * r + j] + matrix[j * r + i])
    };
    let (values, vectors) = decompose(n, entry);
    let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    if values.iter().any(|value| *value < -1e-7 * largest) {
        return Err(refused());
    }
    Ok((values, vectors, support))
}

/// The columns of eigenvalues above a shift.
fn above(values: &[f64], vectors: &[f64], support: &[usize], shift: f64) -> Vec<Factor> {
    let n = support.len();
    let largest = values.last().copied().unwrap_or(0.0);
    let column = |k: usize| {
        let scale = (values[k] - shift).sqrt();
        let entries = support.iter().zip(&vectors[k * n..(k + 1) * n]);
        let entries = entries.map(|(&i, entry)| (i as u32, scale * entry));
        Factor(entries.filter(|(_, entry)| *entry != 0.0).collect())
    };
    (0..n).filter(|&k| values[k] - shift > SAME * largest).map(column).collect()
}

fn refused() -> Error {
    Error::Argument {
        name: "a covariance",
        value: "not so".into(),
        expected: "finite, symmetric and positive semi-definite",
    }
}
