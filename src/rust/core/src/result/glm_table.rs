use crate::engine::glm::{Estimate, GeneFit};

/// Fitted genes, column by column; matrices have one column a gene.
#[derive(Debug, Default, PartialEq)]
pub struct GlmTable {
    pub rank: usize,
    /// [`crate::engine::glm::Status`] as a number, in the order of its variants.
    pub status: Vec<i32>,
    /// rank x genes.
    pub coefficients: Vec<f64>,
    /// rank x genes: 0 for a finite estimate, -1 or 1 for one that is infinite, 2
    /// where the data do not determine it.
    pub separated: Vec<i32>,
    /// rank (rank + 1) / 2 x genes.
    pub covariance: Vec<f64>,
    pub theta: Vec<f64>,
    pub theta_se: Vec<f64>,
    pub dispersion: Vec<f64>,
    pub log_likelihood: Vec<f64>,
    pub deviance: Vec<f64>,
    pub null_deviance: Vec<f64>,
    pub mark: Vec<f64>,
    pub decrement: Vec<f64>,
    pub iterations: Vec<i32>,
}

impl GlmTable {
    /// Of so many genes, with so many coefficients each.
    pub fn bytes(rank: usize, genes: usize) -> usize {
        const OF_GENE: usize = 2 * size_of::<i32>() + 8 * size_of::<f64>();
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

    pub fn push(&mut self, fit: &GeneFit) {
        self.status.push(fit.status as i32);
        self.coefficients.extend_from_slice(&fit.coefficients);
        self.separated.extend(fit.estimates.iter().map(as_number));
        self.covariance.extend_from_slice(&fit.covariance);
        self.theta.push(fit.theta);
        self.theta_se.push(fit.theta_se);
        self.dispersion.push(fit.dispersion);
        self.log_likelihood.push(fit.log_likelihood);
        self.deviance.push(fit.deviance);
        self.null_deviance.push(fit.null_deviance);
        self.mark.push(fit.mark);
        self.decrement.push(fit.decrement);
        self.iterations.push(fit.iterations as i32);
    }
}

pub(super) fn as_number(estimate: &Estimate) -> i32 {
    match estimate {
        Estimate::Finite => 0,
        Estimate::Infinite(sign) => i32::from(*sign),
        Estimate::None => 2,
    }
}
