use libm::erfc;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2};

/// What effects are taken to be before the data are seen; centred at zero. The
/// number is the scale: of the Cauchy distribution half the distance between its
/// quartiles, of the normal its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    Cauchy(f64),
    Normal(f64),
}

impl Prior {
    pub fn scale(self) -> f64 {
        match self {
            Prior::Cauchy(scale) | Prior::Normal(scale) => scale,
        }
    }

    /// Logarithm of the density, less that at zero.
    pub fn log_density(self, effect: f64) -> f64 {
        let ratio = effect / self.scale();
        match self {
            Prior::Cauchy(_) => -(ratio * ratio).ln_1p(),
            Prior::Normal(_) => -0.5 * ratio * ratio,
        }
    }

    /// Its derivative.
    pub fn slope(self, effect: f64) -> f64 {
        let scale = self.scale();
        let ratio = effect / scale;
        match self {
            Prior::Cauchy(_) => -2.0 * ratio / (1.0 + ratio * ratio) / scale,
            Prior::Normal(_) => -ratio / scale,
        }
    }

    /// Its second derivative, with the other sign.
    pub fn information(self, effect: f64) -> f64 {
        let scale = self.scale();
        match self {
            Prior::Cauchy(_) => {
                let square = (effect / scale).powi(2);
                2.0 * (1.0 - square) / (1.0 + square).powi(2) / scale / scale
            }
            Prior::Normal(_) => 1.0 / scale / scale,
        }
    }

    /// The integral of the density, over that at zero, beyond a positive effect.
    pub fn tail(self, effect: f64) -> f64 {
        match self {
            Prior::Cauchy(scale) => scale * (scale / effect).atan(),
            Prior::Normal(scale) => scale * FRAC_PI_2.sqrt() * erfc(effect / scale * FRAC_1_SQRT_2),
        }
    }
}

/// What stands for a posterior distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Centre {
    Mode,
    Mean,
}

/// The posterior distribution of one effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// Where the density is highest.
    pub mode: f64,
    /// One over the root of the curvature of the log density there.
    pub mode_sd: f64,
    pub mean: f64,
    /// Standard deviation about the mean.
    pub sd: f64,
    /// Probabilities of either sign.
    pub negative: f64,
    pub positive: f64,
}

impl Posterior {
    /// Estimate, standard error, and the probability of the other sign.
    pub fn summary(&self, centre: Centre) -> [f64; 3] {
        let (estimate, std_err) = match centre {
            Centre::Mode => (self.mode, self.mode_sd),
            Centre::Mean => (self.mean, self.sd),
        };
        let lfsr = if estimate > 0.0 {
            self.negative
        } else if estimate < 0.0 {
            self.positive
        } else if estimate == 0.0 {
            0.5
        } else {
            f64::NAN
        };
        [estimate, std_err, lfsr]
    }
}
