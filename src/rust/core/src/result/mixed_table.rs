use super::GlmTable;
use crate::engine::mixed::MixedFit;

/// Fitted genes of a mixed model, column by column; matrices have one column a gene.
#[derive(Debug, Default, PartialEq)]
pub struct MixedTable {
    /// The fixed effects.
    pub fixed: GlmTable,
    /// The parameters of the random effects' covariances.
    pub parameters: usize,
    /// parameters x genes: each term's covariance, lower triangle, row after row.
    pub covariances: Vec<f64>,
    /// Whether one of them is singular.
    pub singular: Vec<bool>,
}

impl MixedTable {
    /// Of so many genes, with so many coefficients and parameters each.
    pub fn bytes(rank: usize, parameters: usize, genes: usize) -> usize {
        GlmTable::bytes(rank, genes) + genes * (parameters * size_of::<f64>() + size_of::<bool>())
    }

    pub fn with_capacity(rank: usize, parameters: usize, genes: usize) -> Self {
        Self {
            fixed: GlmTable::with_capacity(rank, genes),
            parameters,
            covariances: Vec::with_capacity(parameters * genes),
            singular: Vec::with_capacity(genes),
        }
    }

    pub fn push(&mut self, fit: &MixedFit) {
        self.fixed.push(&fit.fixed);
        self.covariances.extend_from_slice(&fit.covariances);
        self.singular.push(fit.singular);
    }
}
