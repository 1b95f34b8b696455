use crate::simd::{Vector, exp, log1p_and_inverse};
use crate::source::CountKind;

/// The models that [`super::fit_genes`] fits, each with its canonical link but
/// the negative binomial, which takes the logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    NegativeBinomial,
    Poisson,
    /// Poisson estimates; Pearson's X² over its degrees of freedom scales the
    /// covariance.
    QuasiPoisson,
    Binomial,
    Gaussian,
}

impl Family {
    /// The family of this R name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "negbinomial" => Family::NegativeBinomial,
            "poisson" => Family::Poisson,
            "quasipoisson" => Family::QuasiPoisson,
            "binomial" => Family::Binomial,
            "gaussian" => Family::Gaussian,
            _ => return None,
        })
    }

    /// What counts it can be given.
    pub fn counts(self) -> CountKind {
        match self {
            Family::NegativeBinomial | Family::Poisson => CountKind::Whole,
            Family::QuasiPoisson | Family::Binomial => CountKind::NonNegative,
            Family::Gaussian => CountKind::Finite,
        }
    }
}

/// What a cell with a count of zero contributes, and how a count changes it.
/// A cell's log-likelihood is `y eta - (1 + alpha y) cumulant`, up to a term
/// that does not depend on eta.
pub struct Share {
    pub mean: f64,
    /// Derivative of the log-likelihood with respect to eta at y = 0.
    pub residual: f64,
    /// What a count of one adds to that derivative.
    pub slope: f64,
    /// Expected information about eta.
    pub weight: f64,
    pub cumulant: f64,
    /// alpha mu / (1 + alpha mu); zero but in the negative binomial.
    pub saturation: f64,
}

/// A distribution with its link, cell by cell. Branch-free, so that loops over
/// cells become vector code.
pub trait Cells: Copy {
    /// Whether there is a shape parameter alpha to be estimated.
    const SHAPE: bool;
    fn share<V: Vector>(self, eta: f64) -> Share;
}

/// Log link; variance mu + alpha mu², alpha = 1 / theta > 0.
#[derive(Clone, Copy)]
pub struct NegativeBinomial {
    pub alpha: f64,
}

impl Cells for NegativeBinomial {
    const SHAPE: bool = true;

    #[inline(always)]
    fn share<V: Vector>(self, eta: f64) -> Share {
        let mean = exp::<V>(eta);
        let (log1p, slope) = log1p_and_inverse::<V>(self.alpha * mean);
        let weight = mean * slope;
        let cumulant = (1.0 / self.alpha) * log1p;
        let saturation = self.alpha * weight;
        Share { mean, residual: -weight, slope, weight, cumulant, saturation }
    }
}

/// Log link.
#[derive(Clone, Copy)]
pub struct Poisson;

impl Cells for Poisson {
    const SHAPE: bool = false;

    #[inline(always)]
    fn share<V: Vector>(self, eta: f64) -> Share {
        let mean = exp::<V>(eta);
        Share { mean, residual: -mean, slope: 1.0, weight: mean, cumulant: mean, saturation: 0.0 }
    }
}

/// Logit link; one trial a cell.
#[derive(Clone, Copy)]
pub struct Bernoulli;

impl Cells for Bernoulli {
    const SHAPE: bool = false;

    #[inline(always)]
    fn share<V: Vector>(self, eta: f64) -> Share {
        // With e = exp(-|eta|), nothing overflows and no digit is lost.
        let e = exp::<V>(-eta.abs());
        let (log1p, inverse) = log1p_and_inverse::<V>(e);
        let mean = if eta >= 0.0 { inverse } else { e * inverse };
        let weight = e * inverse * inverse;
        let cumulant = eta.max(0.0) + log1p;
        Share { mean, residual: -mean, slope: 1.0, weight, cumulant, saturation: 0.0 }
    }
}
