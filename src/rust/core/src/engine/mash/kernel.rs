//! Likelihoods of a gene, relative to that without any effect.
//!
//! Of U = F F', with L = F' (S V S)^-1 F = Q diag(D) Q' and h = Q' F' (S V S)^-1 b:
//!
//! > log ratio = sum_k w^2 h_k^2 / (2 (1 + w^2 D_k)) - log(1 + w^2 D_k) / 2
//!
//! for any scale w: D and h are all that is kept. With a shift, S V S gives way to M =
//! S V S + w^2 shift I, and the ratio itself is kept for each scale.

use super::Model;
use super::covariance::Covariance;
use super::data::{Data, Gene};
use super::definite;
use super::eigen::decompose;
use crate::engine::mixture::Likelihoods;
use crate::{Monitor, Result};
use rayon::prelude::*;

/// Genes whose sums are formed together.
const CHUNK: usize = 128;

/// U = F F', as one gene sees it.
pub(super) struct Spectral {
    /// D.
    pub values: Vec<f64>,
    /// h.
    pub projection: Vec<f64>,
    /// Q, column after column.
    pub vectors: Vec<f64>,
}

impl Spectral {
    pub fn new(gene: &Gene, covariance: &Covariance) -> Self {
        let factors = &covariance.factors;
        if let [factor] = factors.as_slice() {
            let (value, projection) = gene.products(factor);
            return Self { values: vec![value], projection: vec![projection], vectors: vec![1.0] };
        }
        let rotated: Vec<Vec<f64>> = factors.iter().map(|factor| gene.rotate(factor)).collect();
        let rank = factors.len();
        let values = gene.values();
        let inner = |a: &[f64], b: &[f64]| -> f64 {
            a.iter().zip(b).zip(values).map(|((a, b), d)| a * b / d).sum()
        };
        let mut gram = vec![0.0; rank * rank];
        for i in 0..rank {
            for j in 0..=i {
                gram[i * rank + j] = inner(&rotated[i], &rotated[j]);
                gram[j * rank + i] = gram[i * rank + j];
            }
        }
        let (values, vectors) = decompose(rank, |i, j| gram[i * rank + j]);
        let plain: Vec<f64> = rotated.iter().map(|f| inner(f, &gene.estimate)).collect();
        let projection = vectors.chunks_exact(rank.max(1));
        let projection = projection.map(|q| q.iter().zip(&plain).map(|(q, h)| q * h).sum());
        let projection = projection.collect();
        Self { values: values.into_iter().map(|d| d.max(0.0)).collect(), projection, vectors }
    }

    pub fn log_ratio(&self, scale: f64) -> f64 {
        let square = scale * scale;
        let pairs = self.values.iter().zip(&self.projection);
        let one = |(d, h): (&f64, &f64)| {
            let t = square * d;
            0.5 * (square * h * h / (1.0 + t) - t.ln_1p())
        };
        pairs.map(one).sum()
    }
}

/// U = shift I + F F' at one scale, as one gene sees it.
pub(super) struct Shifted {
    /// 1 / (variance of the error + w^2 shift), in the gene's coordinates.
    pub inverse: Vec<f64>,
    /// L of L L' = I + w^2 F' M^-1 F.
    pub factor: Vec<f64>,
    /// L^-1 w F' M^-1 b.
    pub projection: Vec<f64>,
}

impl Shifted {
    pub fn new(gene: &Gene, shift: f64, rotated: &[Vec<f64>], scale: f64) -> Self {
        let added = scale * scale * shift;
        let inverse: Vec<f64> = gene.values().iter().map(|d| 1.0 / (d + added)).collect();
        let inner = |a: &[f64], b: &[f64]| -> f64 {
            a.iter().zip(b).zip(&inverse).map(|((a, b), m)| a * b * m).sum()
        };
        let rank = rotated.len();
        let mut factor = Vec::with_capacity(rank * (rank + 1) / 2);
        for i in 0..rank {
            for j in 0..=i {
                let product = scale * scale * inner(&rotated[i], &rotated[j]);
                factor.push(if i == j { 1.0 + product } else { product });
            }
        }
        definite::factor(&mut factor, rank);
        let mut projection: Vec<f64> =
            rotated.iter().map(|f| scale * inner(f, &gene.estimate)).collect();
        definite::forward(&factor, &mut projection);
        Self { inverse, factor, projection }
    }

    /// `added`: w^2 shift.
    pub fn log_ratio(&self, gene: &Gene, added: f64) -> f64 {
        let gained: f64 = self.projection.iter().map(|h| h * h).sum();
        let (mut quadratic, mut determinant) = (0.0, LogProduct::default());
        for ((d, y), m) in gene.values().iter().zip(&gene.estimate).zip(&self.inverse) {
            let ratio = added / d;
            quadratic += y * y * ratio * m;
            determinant.times(1.0 + ratio);
        }
        let rank = self.projection.len();
        let low_rank = definite::log_determinant(&self.factor, rank);
        0.5 * (gained + quadratic - low_rank - determinant.logarithm())
    }
}

/// The logarithm of a product, with few logarithms.
struct LogProduct {
    sum: f64,
    product: f64,
}

impl Default for LogProduct {
    fn default() -> Self {
        Self { sum: 0.0, product: 1.0 }
    }
}

impl LogProduct {
    fn times(&mut self, factor: f64) {
        if factor > 1e100 {
            self.sum += factor.ln();
            return;
        }
        self.product *= factor;
        if self.product > 1e200 {
            self.sum += self.product.ln();
            self.product = 1.0;
        }
    }

    fn logarithm(&self) -> f64 {
        self.sum + self.product.ln()
    }
}

/// What is kept of a covariance, gene by gene.
struct Part {
    offset: usize,
    /// None where ratios are kept.
    rank: Option<usize>,
}

/// What is kept of all genes and covariances.
pub(super) struct Kernels<'a> {
    model: &'a Model,
    parts: Vec<Part>,
    width: usize,
    values: Vec<f64>,
    largest: Vec<f64>,
    best: Vec<usize>,
}

impl<'a> Kernels<'a> {
    pub fn new(data: &Data, model: &'a Model, monitor: &Monitor) -> Result<Self> {
        let (parts, width) = lay_out(model);
        let mut kernels =
            Self { model, parts, width, values: vec![], largest: vec![], best: vec![] };
        let mut values = vec![0.0; width * data.genes()];
        let one = |(gene, values): (usize, &mut [f64])| {
            kernels.measure(&data.gene(gene), values);
            let highest = kernels.highest(values);
            monitor.tick()?;
            Ok(highest)
        };
        let found: Result<Vec<(f64, usize)>> = match width {
            0 => (0..data.genes()).map(|_| Ok((0.0, 0))).collect(),
            _ => values.par_chunks_exact_mut(width).enumerate().map(one).collect(),
        };
        (kernels.largest, kernels.best) = found?.into_iter().unzip();
        kernels.values = values;
        Ok(kernels)
    }

    /// What is to be kept of a gene.
    fn measure(&self, gene: &Gene, values: &mut [f64]) {
        for (covariance, part) in self.model.covariances.iter().zip(&self.parts) {
            let values = &mut values[part.offset..];
            match part.rank {
                Some(rank) => {
                    let found = Spectral::new(gene, covariance);
                    for k in 0..rank {
                        values[2 * k] = found.values[k];
                        values[2 * k + 1] = found.projection[k] * found.projection[k];
                    }
                }
                None => log_ratios(gene, covariance, &self.model.grid, values),
            }
        }
    }

    /// The largest log ratio, and which component's it is.
    fn highest(&self, values: &[f64]) -> (f64, usize) {
        let start = if self.model.point_mass { 0.0 } else { f64::NEG_INFINITY };
        let mut highest = (start, 0);
        for u in 0..self.parts.len() {
            for g in 0..self.model.grid.len() {
                let (exponent, root) = self.ratio(values, u, g);
                let value = exponent + root.ln();
                if value > highest.0 {
                    highest = (value, self.model.component(u, g));
                }
            }
        }
        highest
    }

    /// A ratio, as the exponential of the first times the second.
    fn ratio(&self, values: &[f64], covariance: usize, scale: usize) -> (f64, f64) {
        let part = &self.parts[covariance];
        let values = &values[part.offset..];
        let Some(rank) = part.rank else { return (values[scale], 1.0) };
        let square = self.model.grid[scale] * self.model.grid[scale];
        let (mut exponent, mut root) = (0.0, 1.0);
        for pair in values[..2 * rank].chunks_exact(2) {
            let inverse = 1.0 / (1.0 + square * pair[0]);
            exponent += 0.5 * square * pair[1] * inverse;
            root *= inverse;
        }
        (exponent, root.sqrt())
    }

    fn of(&self, gene: usize) -> &[f64] {
        &self.values[gene * self.width..(gene + 1) * self.width]
    }

    fn likelihood(&self, gene: usize, covariance: usize, scale: usize) -> f64 {
        let (exponent, root) = self.ratio(self.of(gene), covariance, scale);
        let exponent = exponent - self.largest[gene];
        if exponent < -745.0 { 0.0 } else { exponent.exp() * root }
    }

    fn null(&self, gene: usize) -> f64 {
        (-self.largest[gene]).exp()
    }
}

impl Likelihoods for Kernels<'_> {
    fn rows(&self) -> usize {
        self.largest.len()
    }

    fn columns(&self) -> usize {
        self.model.components()
    }

    fn column(&self, column: usize, values: &mut [f64]) {
        let point_mass = usize::from(self.model.point_mass);
        let genes = values.iter_mut().enumerate();
        if column < point_mass {
            return genes.for_each(|(gene, value)| *value = self.null(gene));
        }
        let covariances = self.model.covariances.len();
        let at = column - point_mass;
        let (scale, covariance) = (at / covariances, at % covariances);
        genes.for_each(|(gene, value)| *value = self.likelihood(gene, covariance, scale));
    }

    fn weighted_sums(&self, by_row: &[f64]) -> Vec<f64> {
        let chunk = |(chunk, by_row): (usize, &[f64])| {
            let mut sums = vec![0.0; self.columns()];
            for (gene, &by) in by_row.iter().enumerate().filter(|(_, by)| **by != 0.0) {
                let gene = chunk * CHUNK + gene;
                if self.model.point_mass {
                    sums[0] += by * self.null(gene);
                }
                for u in 0..self.parts.len() {
                    for g in 0..self.model.grid.len() {
                        sums[self.model.component(u, g)] += by * self.likelihood(gene, u, g);
                    }
                }
            }
            sums
        };
        let chunks: Vec<Vec<f64>> = by_row.par_chunks(CHUNK).enumerate().map(chunk).collect();
        let mut total = vec![0.0; self.columns()];
        for sums in chunks {
            total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        total
    }

    fn best(&self, row: usize) -> Option<usize> {
        Some(self.best[row])
    }

    fn family(&self, column: usize) -> usize {
        let point_mass = usize::from(self.model.point_mass);
        match column < point_mass {
            true => self.model.covariances.len(),
            false => (column - point_mass) % self.model.covariances.len(),
        }
    }
}

fn lay_out(model: &Model) -> (Vec<Part>, usize) {
    let mut width = 0;
    let mut part = |covariance: &Covariance| {
        let rank = covariance.factors.len();
        let spectral = covariance.shift == 0.0 && 2 * rank <= model.grid.len();
        let part = Part { offset: width, rank: spectral.then_some(rank) };
        width += if spectral { 2 * rank } else { model.grid.len() };
        part
    };
    let parts = model.covariances.iter().map(&mut part).collect();
    (parts, width)
}

/// The log ratio of a covariance at each scale.
pub(super) fn log_ratios(gene: &Gene, covariance: &Covariance, grid: &[f64], ratios: &mut [f64]) {
    if covariance.shift > 0.0 {
        let rotated: Vec<Vec<f64>> = covariance.factors.iter().map(|f| gene.rotate(f)).collect();
        for (ratio, &scale) in ratios.iter_mut().zip(grid) {
            let shifted = Shifted::new(gene, covariance.shift, &rotated, scale);
            *ratio = shifted.log_ratio(gene, scale * scale * covariance.shift);
        }
        return;
    }
    let spectral = Spectral::new(gene, covariance);
    for (ratio, &scale) in ratios.iter_mut().zip(grid) {
        *ratio = spectral.log_ratio(scale);
    }
}
