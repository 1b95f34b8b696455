use crate::Result;

/// How the fit of a gene and a perturbation ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub enum PairStatus {
    Ok,
    /// No optimum at a finite estimate: as a rule, no perturbed cell has a count.
    Separated,
    /// No cell of the comparison has a count.
    AllZero,
    /// The perturbation has no cell.
    NoCells,
    /// The perturbation is a linear combination of the covariates.
    Aliased,
    NotConverged,
    /// The gene's null model could not be fitted.
    NullFailed,
}

/// One entry a pair of gene and perturbation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairColumns {
    /// Natural logarithm of the ratio of means; infinite where separated.
    pub estimate: Vec<f64>,
    pub std_err: Vec<f64>,
    /// On the scale of z, with the sign of the effect: Wald's, the signed root of
    /// twice the log-likelihood ratio, or the score's.
    pub statistic: Vec<f64>,
    pub p_value: Vec<f64>,
    /// Of the pair's own joint fit; empty where theta is the gene's.
    pub theta: Vec<f64>,
    /// Certificate: the estimate is within this many standard errors of the joint
    /// maximum of the likelihood.
    pub error_bound: Vec<f32>,
    /// [`PairStatus`] as a number.
    pub status: Vec<u8>,
    /// Passes over the perturbed cells.
    pub passes: Vec<u8>,
    /// Passes over all cells, to expand anew.
    pub refreshes: Vec<u8>,
}

/// One entry a gene.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeneColumns {
    /// [`crate::engine::glm::Status`] of the null fit, as a number.
    pub status: Vec<u8>,
    /// Mean count over the cells of the null model.
    pub mean: Vec<f64>,
    /// What the pairs are fitted with: variance = mu + mu² / theta.
    pub theta: Vec<f64>,
    /// Of the quasi-Poisson family, Pearson's X² over its degrees of freedom in the
    /// null model; else 1.
    pub dispersion: Vec<f64>,
    pub log_likelihood: Vec<f64>,
    /// Passes over the cells of the null fit.
    pub iterations: Vec<u8>,
}

/// Results of consecutive genes. Pairs stand in the order of the genes, and
/// within a gene in that of the perturbations (or of the pairs that were asked
/// for).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScreenBlock {
    pub genes: GeneColumns,
    pub pairs: PairColumns,
}

/// Takes results, block after block, in the order of the genes.
pub trait ScreenSink {
    /// How many genes it has already: fitting goes on after them.
    fn genes_done(&self) -> usize;
    /// Bytes that it holds in memory once it has so many pairs.
    fn bytes(&self, pairs: usize) -> usize;
    /// # Errors
    /// Where the block cannot be stored.
    fn append(&mut self, block: ScreenBlock) -> Result<()>;
}

/// In memory, the blocks are one.
impl ScreenSink for ScreenBlock {
    fn genes_done(&self) -> usize {
        self.genes.status.len()
    }

    fn bytes(&self, pairs: usize) -> usize {
        // Vectors that grow are copied.
        2 * pairs * (5 * 8 + 4 + 3)
    }

    fn append(&mut self, block: ScreenBlock) -> Result<()> {
        let (genes, new) = (&mut self.genes, block.genes);
        genes.status.extend(new.status);
        genes.mean.extend(new.mean);
        genes.theta.extend(new.theta);
        genes.dispersion.extend(new.dispersion);
        genes.log_likelihood.extend(new.log_likelihood);
        genes.iterations.extend(new.iterations);
        let (pairs, new) = (&mut self.pairs, block.pairs);
        pairs.estimate.extend(new.estimate);
        pairs.std_err.extend(new.std_err);
        pairs.statistic.extend(new.statistic);
        pairs.p_value.extend(new.p_value);
        pairs.theta.extend(new.theta);
        pairs.error_bound.extend(new.error_bound);
        pairs.status.extend(new.status);
        pairs.passes.extend(new.passes);
        pairs.refreshes.extend(new.refreshes);
        Ok(())
    }
}
