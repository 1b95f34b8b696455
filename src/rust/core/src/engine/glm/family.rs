use crate::simd::{Number, exp_of, log1p_and_inverse_of};
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

/// What a cell with a count of zero contributes, and how a count changes it; of
/// one cell or of eight. A cell's log-likelihood is `y eta - (1 + alpha y) cumulant`,
/// up to a term that does not depend on eta.
pub struct Share<N> {
    /// Derivative of the log-likelihood with respect to eta at y = 0.
    pub residual: N,
    /// What a count of one adds to that derivative.
    pub slope: N,
    /// Expected information about eta.
    pub weight: N,
    pub cumulant: N,
    /// alpha mu / (1 + alpha mu); zero but in the negative binomial.
    pub saturation: N,
}

/// A distribution with its link, cell by cell, without a branch.
pub trait Cells: Copy + Sync {
    /// Whether there is a shape parameter alpha to be estimated.
    const SHAPE: bool;

    fn share<N: Number>(self, eta: N) -> Share<N>;

    fn alpha(self) -> f64 {
        0.0
    }
}

/// Log link; variance mu + alpha mu², alpha = 1 / theta > 0.
#[derive(Clone, Copy)]
pub struct NegativeBinomial {
    pub alpha: f64,
}

impl Cells for NegativeBinomial {
    const SHAPE: bool = true;

    #[inline(always)]
    fn share<N: Number>(self, eta: N) -> Share<N> {
        let alpha = N::of(self.alpha);
        let mean = exp_of(eta);
        let (log1p, slope) = log1p_and_inverse_of(alpha.times(mean));
        let weight = mean.times(slope);
        let cumulant = N::of(1.0 / self.alpha).times(log1p);
        let saturation = alpha.times(weight);
        Share { residual: N::of(0.0).minus(weight), slope, weight, cumulant, saturation }
    }

    fn alpha(self) -> f64 {
        self.alpha
    }
}

/// Log link.
#[derive(Clone, Copy)]
pub struct Poisson;

impl Cells for Poisson {
    const SHAPE: bool = false;

    #[inline(always)]
    fn share<N: Number>(self, eta: N) -> Share<N> {
        let (zero, mean) = (N::of(0.0), exp_of(eta));
        Share {
            residual: zero.minus(mean),
            slope: N::of(1.0),
            weight: mean,
            cumulant: mean,
            saturation: zero,
        }
    }
}

/// Logit link; one trial a cell.
#[derive(Clone, Copy)]
pub struct Bernoulli;

impl Cells for Bernoulli {
    const SHAPE: bool = false;

    #[inline(always)]
    fn share<N: Number>(self, eta: N) -> Share<N> {
        // With e = exp(-|eta|), nothing overflows and no digit is lost.
        let zero = N::of(0.0);
        let e = exp_of(zero.minus(eta.abs()));
        let (log1p, inverse) = log1p_and_inverse_of(e);
        let mean = eta.choose(inverse, e.times(inverse));
        Share {
            residual: zero.minus(mean),
            slope: N::of(1.0),
            weight: e.times(inverse).times(inverse),
            cumulant: eta.at_least(0.0).plus(log1p),
            saturation: zero,
        }
    }
}
