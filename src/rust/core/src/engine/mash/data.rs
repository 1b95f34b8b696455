use super::covariance::Factor;
use super::eigen::{decompose, decompose_graded};
use crate::{Error, Result};
use faer::{Mat, Side};
use std::borrow::Cow;
use std::f64::consts::PI;
use std::sync::OnceLock;

/// The correlation of a gene's errors across conditions.
#[derive(Clone, Debug)]
pub enum Noise {
    Independent,
    /// R x R, the same for all genes.
    Common(Vec<f64>),
    /// R x R of each gene, one after the other.
    Each(Vec<f64>),
}

/// Estimates and their standard errors, gene after gene.
pub struct Data {
    conditions: usize,
    estimates: Vec<f64>,
    /// Infinite where the estimate is missing.
    errors: Vec<f64>,
    noise: Noise,
    /// Of all genes, where all have the same errors.
    common: OnceLock<Spectrum>,
    alike: bool,
}

/// The covariance of a gene's errors: E diag(values) E'. A missing condition is an
/// eigenvector of its own, with an infinite value.
#[derive(Clone)]
pub(super) struct Spectrum {
    values: Vec<f64>,
    /// One after the other; None for the identity.
    vectors: Option<Vec<f64>>,
}

/// One gene, in the coordinates in which its errors are independent.
pub(super) struct Gene<'a> {
    spectrum: Cow<'a, Spectrum>,
    pub estimate: Vec<f64>,
}

impl Data {
    /// Estimates and errors: genes x conditions, gene after gene.
    ///
    /// # Errors
    /// Where lengths disagree, an estimate is not finite or an error not above zero
    /// (an infinite error says that the estimate is missing), or a correlation is not
    /// positive definite.
    pub fn new(
        conditions: usize,
        estimates: Vec<f64>,
        mut errors: Vec<f64>,
        mut noise: Noise,
    ) -> Result<Self> {
        if conditions == 0 {
            return Err(Error::Shape { what: "conditions", found: 0, expected: 1 });
        }
        if errors.len() != estimates.len() || !estimates.len().is_multiple_of(conditions) {
            let what = "standard errors";
            return Err(Error::Shape { what, found: errors.len(), expected: estimates.len() });
        }
        if let Some(s) = errors.iter().find(|s| s.is_nan() || **s <= 0.0) {
            let (name, expected) = ("a standard error", "above zero");
            return Err(Error::Argument { name, value: s.to_string(), expected });
        }
        if estimates.iter().zip(&errors).any(|(b, s)| s.is_finite() && !b.is_finite()) {
            return Err(Error::NotFinite { what: "estimates" });
        }
        let genes = estimates.len() / conditions;
        check_noise(&noise, conditions, genes)?;
        if let Noise::Common(v) = &noise
            && is_diagonal(v, conditions)
        {
            for row in errors.chunks_exact_mut(conditions) {
                row.iter_mut().enumerate().for_each(|(i, s)| *s *= v[i * conditions + i].sqrt());
            }
            noise = Noise::Independent;
        }
        let mut rows = errors.chunks_exact(conditions);
        let first = rows.next();
        let alike = matches!(noise, Noise::Common(_)) && rows.all(|row| Some(row) == first);
        Ok(Self { conditions, estimates, errors, noise, common: OnceLock::new(), alike })
    }

    pub fn genes(&self) -> usize {
        self.estimates.len() / self.conditions
    }

    pub fn conditions(&self) -> usize {
        self.conditions
    }

    /// Some of the genes.
    pub fn subset(&self, genes: &[usize]) -> Self {
        let r = self.conditions;
        let some = |values: &[f64], width: usize| -> Vec<f64> {
            genes.iter().flat_map(|&j| values[j * width..(j + 1) * width].to_vec()).collect()
        };
        let noise = match &self.noise {
            Noise::Each(all) => Noise::Each(some(all, r * r)),
            other => other.clone(),
        };
        Self {
            conditions: r,
            estimates: some(&self.estimates, r),
            errors: some(&self.errors, r),
            noise,
            common: OnceLock::new(),
            alike: self.alike,
        }
    }

    pub(super) fn gene(&self, gene: usize) -> Gene<'_> {
        let range = gene * self.conditions..(gene + 1) * self.conditions;
        let spectrum = match self.alike {
            true => Cow::Borrowed(self.common.get_or_init(|| self.spectrum(0))),
            false => Cow::Owned(self.spectrum(gene)),
        };
        let errors = &self.errors[range.clone()];
        let estimates = self.estimates[range].iter().zip(errors);
        let known = estimates.map(|(b, s)| if s.is_finite() { *b } else { 0.0 });
        let estimate = spectrum.rotate(known.enumerate().filter(|(_, b)| *b != 0.0));
        Gene { spectrum, estimate }
    }

    fn spectrum(&self, gene: usize) -> Spectrum {
        let r = self.conditions;
        let errors = &self.errors[gene * r..(gene + 1) * r];
        let correlation = match &self.noise {
            Noise::Independent => {
                let values = errors.iter().map(|s| s * s).collect();
                return Spectrum { values, vectors: None };
            }
            Noise::Common(v) => v,
            Noise::Each(all) => &all[gene * r * r..(gene + 1) * r * r],
        };
        let known: Vec<usize> = (0..r).filter(|&i| errors[i].is_finite()).collect();
        let n = known.len();
        let entry = |i: usize, j: usize| {
            let (i, j) = (known[i], known[j]);
            errors[i] * errors[j] * correlation[i * r + j]
        };
        let range = known
            .iter()
            .map(|&i| errors[i] * correlation[i * r + i].sqrt())
            .fold((f64::INFINITY, 0.0_f64), |(low, high), s| (low.min(s), high.max(s)));
        let graded = range.1 > 100.0 * range.0;
        let (some, within) = if graded { decompose_graded(n, entry) } else { decompose(n, entry) };
        let mut values = vec![f64::INFINITY; r];
        let mut vectors = vec![0.0; r * r];
        for (k, value) in some.into_iter().enumerate() {
            values[k] = value;
            known.iter().enumerate().for_each(|(i, &at)| vectors[k * r + at] = within[k * n + i]);
        }
        let missing = (0..r).filter(|&i| errors[i].is_infinite());
        missing.enumerate().for_each(|(k, at)| vectors[(n + k) * r + at] = 1.0);
        Spectrum { values, vectors: Some(vectors) }
    }
}

impl Spectrum {
    /// E' x, of the entries of x that are not zero.
    fn rotate(&self, entries: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let r = self.values.len();
        let mut rotated = vec![0.0; r];
        match &self.vectors {
            None => entries.for_each(|(i, value)| rotated[i] = value),
            Some(vectors) => {
                let entries: Vec<(usize, f64)> = entries.collect();
                for (rotated, vector) in rotated.iter_mut().zip(vectors.chunks_exact(r)) {
                    *rotated = entries.iter().map(|(i, value)| vector[*i] * value).sum();
                }
            }
        }
        rotated
    }
}

impl Gene<'_> {
    /// The variances of the errors.
    pub fn values(&self) -> &[f64] {
        &self.spectrum.values
    }

    pub fn rotate(&self, factor: &Factor) -> Vec<f64> {
        self.spectrum.rotate(factor.entries())
    }

    /// f' (S V S)^-1 f and f' (S V S)^-1 b.
    pub fn products(&self, factor: &Factor) -> (f64, f64) {
        let values = self.values();
        let add = |sums: (f64, f64), (i, value): (usize, f64)| {
            let scaled = value / values[i];
            (sums.0 + scaled * value, sums.1 + scaled * self.estimate[i])
        };
        match self.spectrum.vectors {
            None => factor.entries().fold((0.0, 0.0), add),
            Some(_) => self.rotate(factor).into_iter().enumerate().fold((0.0, 0.0), add),
        }
    }

    /// E x.
    pub fn rotate_back(&self, x: Vec<f64>) -> Vec<f64> {
        let Some(vectors) = &self.spectrum.vectors else { return x };
        let mut sum = vec![0.0; x.len()];
        for (x, vector) in x.iter().zip(vectors.chunks_exact(x.len())) {
            sum.iter_mut().zip(vector).for_each(|(sum, e)| *sum += x * e);
        }
        sum
    }

    /// The diagonal of E diag(x) E'.
    pub fn diagonal_back(&self, x: Vec<f64>) -> Vec<f64> {
        let Some(vectors) = &self.spectrum.vectors else { return x };
        let mut sum = vec![0.0; x.len()];
        for (x, vector) in x.iter().zip(vectors.chunks_exact(x.len())) {
            sum.iter_mut().zip(vector).for_each(|(sum, e)| *sum += x * e * e);
        }
        sum
    }

    /// The log-likelihood where all effects are zero.
    pub fn null_log_likelihood(&self) -> f64 {
        let known = self.values().iter().zip(&self.estimate).filter(|(d, _)| d.is_finite());
        known.map(|(d, y)| -0.5 * ((2.0 * PI).ln() + d.ln() + y * y / d)).sum()
    }
}

fn check_noise(noise: &Noise, conditions: usize, genes: usize) -> Result<()> {
    let (all, number) = match noise {
        Noise::Independent => return Ok(()),
        Noise::Common(v) => (v, 1),
        Noise::Each(all) => (all, genes),
    };
    let square = conditions * conditions;
    if all.len() != square * number {
        return Err(Error::Shape { what: "V", found: all.len(), expected: square * number });
    }
    for v in all.chunks_exact(square) {
        let matrix = Mat::from_fn(conditions, conditions, |i, j| v[i * conditions + j]);
        let finite = v.iter().all(|v| v.is_finite());
        let symmetric = || {
            let off = |i: usize, j: usize| (matrix[(i, j)] - matrix[(j, i)]).abs();
            (0..conditions).all(|i| {
                (0..i).all(|j| off(i, j) <= 1e-8 * (matrix[(i, i)] * matrix[(j, j)]).abs().sqrt())
            })
        };
        if !finite || !symmetric() || matrix.llt(Side::Lower).is_err() {
            return Err(Error::Argument {
                name: "V",
                value: "not so".into(),
                expected: "symmetric, finite and positive definite",
            });
        }
    }
    Ok(())
}

fn is_diagonal(v: &[f64], r: usize) -> bool {
    (0..r * r).all(|at| at / r == at % r || v[at] == 0.0)
}
