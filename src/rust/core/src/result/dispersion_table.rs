use crate::engine::dispersion::{Spread, Trend};
use crate::engine::glm::Status;

/// Dispersions alpha = 1 / theta, one a gene: variance = mu + alpha mu².
#[derive(Clone, Debug, PartialEq)]
pub struct DispersionTable {
    /// Mean of the counts over size factors.
    pub mean: Vec<f64>,
    /// The gene's own; zero where it is as good as Poisson, not a number where there
    /// is none.
    pub gene_wise: Vec<f64>,
    /// The trend's at the gene's mean.
    pub trend: Vec<f64>,
    /// What is to be used: the largest a posteriori, or an outlier's own.
    pub dispersion: Vec<f64>,
    /// Whether the gene's own is too far above the trend to be shrunken to it.
    pub outlier: Vec<bool>,
    /// Of the fit at `dispersion`.
    pub status: Vec<Status>,
    pub fitted_trend: Trend,
    pub spread: Spread,
}
