/// The cells that perturbed ones are compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Reference {
    /// All other cells.
    Complement,
    /// These cells, in increasing order. A perturbation's own cells among them are
    /// taken out for its comparison: control cells, or all perturbed cells.
    Cells(Vec<u32>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Family {
    NegativeBinomial,
    Poisson,
    /// Poisson estimates, variances times Pearson's X² over its degrees of freedom.
    QuasiPoisson,
}

/// Where the negative binomial's theta comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dispersion {
    /// Maximum likelihood in the gene's null model.
    Null,
    /// Maximum likelihood in each pair's model.
    Pair,
    /// The gene's, shrunken to a trend over the mean.
    Trend,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    Wald,
    LikelihoodRatio,
    Score,
    /// The score's sum over the perturbed cells against its distribution over
    /// resampled memberships.
    Calibrated,
}

/// How [`Test::Calibrated`] draws memberships.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resampling {
    /// As many cells of each stratum, any of them equally likely.
    Permutation,
    /// Each cell for itself, with the probability that a logistic model of the
    /// covariates gives it.
    Conditional,
}

/// What standard errors are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StdErr {
    /// Expected information, as `MASS::glm.nb()`.
    Expected,
    /// Observed information.
    Observed,
    /// Squared residuals between two expected informations (HC0).
    Sandwich,
}

/// How to fit and to test.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub family: Family,
    pub dispersion: Dispersion,
    pub test: Test,
    pub resampling: Resampling,
    pub std_err: StdErr,
    /// The largest certificate, in standard errors, that is not refreshed.
    pub tolerance: f64,
    /// Passes over the cells that a null fit may take.
    pub max_iterations: usize,
    /// Bytes that the fit may hold beside the caller's own.
    pub memory_limit: Option<usize>,
}
