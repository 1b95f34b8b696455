use super::glm_table::as_number;
use crate::engine::zero_inflated::ZeroInflatedFit;

/// Fitted genes, column by column; matrices have one column a gene. Coefficients are
/// those of the count part, then those of the zero part.
#[derive(Debug, Default, PartialEq)]
pub struct ZeroInflatedTable {
    /// Coefficients of both parts.
    pub rank: usize,
    /// [`crate::engine::zero_inflated::Status`] as a number, in the order of its
    /// variants.
    pub status: Vec<i32>,
    /// rank x genes.
    pub coefficients: Vec<f64>,
    /// rank x genes: 0 for a finite estimate, -1 or 1 for one that is infinite, 2
    /// where the data do not determine it.
    pub separated: Vec<i32>,
    /// rank (rank + 1) / 2 x genes.
    pub covariance: Vec<f64>,
    pub theta: Vec<f64>,
    pub log_theta_se: Vec<f64>,
    pub log_likelihood: Vec<f64>,
    pub decrement: Vec<f64>,
    pub iterations: Vec<i32>,
    /// Cells that have no structural zeros in the limit.
    pub plain_cells: Vec<i32>,
    /// Cells whose zeros are all structural in the limit.
    pub structural_cells: Vec<i32>,
    /// Cells without counts that have a mean of zero in the limit, or may have.
    pub empty_cells: Vec<i32>,
}

impl ZeroInflatedTable {
    /// Of so many genes, with so many coefficients each.
    pub fn bytes(rank: usize, genes: usize) -> usize {
        const OF_GENE: usize = 5 * size_of::<i32>() + 4 * size_of::<f64>();
        let of_coefficients = rank * (size_of::<f64>() + size_of::<i32>());
        let of_covariance = rank * (rank + 1) / 2 * size_of::<f64>();
        genes * (OF_GENE + of_coefficients + of_covariance)
    }

    pub fn with_capacity(rank: usize, genes: usize) -> Self {
        Self {
            rank,
            coefficients: Vec::with_capacity(rank * genes),
            covariance: Vec::with_capacity(rank * (rank + 1) / 2 * genes),
            ..Self::default()
        }
    }

    pub fn push(&mut self, fit: &ZeroInflatedFit) {
        self.status.push(fit.status as i32);
        self.coefficients.extend_from_slice(&fit.coefficients);
        self.separated.extend(fit.estimates.iter().map(as_number));
        self.covariance.extend_from_slice(&fit.covariance);
        self.theta.push(fit.theta);
        self.log_theta_se.push(fit.log_theta_se);
        self.log_likelihood.push(fit.log_likelihood);
        self.decrement.push(fit.decrement);
        self.iterations.push(fit.iterations as i32);
        self.plain_cells.push(fit.plain_cells as i32);
        self.structural_cells.push(fit.structural_cells as i32);
        self.empty_cells.push(fit.empty_cells as i32);
    }
}
