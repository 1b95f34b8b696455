//! The deviance of a gene's null model: the intercept alone, or where the formula has
//! none, nothing at all; with the offset of the full model, as in `stats::glm()`.
//! The negative binomial's is at the full model's theta, as in `MASS::glm.nb()`.
//!
//! What all cells add up to is summed over the nodes of the offsets
//! ([`crate::design::OffsetNodes`]); cells with counts are looked at one by one. The
//! log-likelihood of the null model is compared with that of the saturated one, as the
//! deviance of the full model is.

use super::family::{Bernoulli, Cells, Family, NegativeBinomial, Poisson};
use super::gene::{GeneFit, Job};
use super::pass::Workspace;
use crate::design::products::{dots, sum};
use crate::design::{BLOCK, Blocks, NullDesign, OffsetNodes};
use crate::simd::{Kernel, Vector, exp, log1p_and_inverse, run};
use crate::source::GeneCounts;

/// Newton's steps of the intercept, and the longest.
const ITERATIONS: usize = 100;
const LONGEST: f64 = 3.0;
/// After a step h from a point that is d standard errors from the optimum, the deviance's
/// error is about h² d² times this or less: the last step needs no look.
const NEAR: f64 = 1e-11;

/// The null deviance of a gene that was fitted; not a number where the design is not made
/// ready for it.
pub fn null_deviance(
    job: &Job<'_>,
    family: Family,
    fit: &GeneFit,
    workspace: &mut Workspace,
) -> f64 {
    let Some(null) = job.design.null() else {
        return f64::NAN;
    };
    let overdispersed = family == Family::NegativeBinomial && fit.theta.is_finite();
    let gene = Gene::new(job, null, overdispersed, &mut workspace.exposures);
    match family {
        Family::Gaussian => gene.squares(),
        Family::Binomial => -2.0 * gene.binomial(),
        _ if overdispersed => 2.0 * (fit.saturated - gene.negative_binomial(1.0 / fit.theta)),
        _ => 2.0 * (fit.saturated - gene.poisson()),
    }
}

/// A gene and its null model: each method but the first gives the highest log-likelihood,
/// as far as means go into it.
struct Gene<'a> {
    null: &'a NullDesign,
    counts: GeneCounts<'a>,
    cells: f64,
    /// Sum of the counts.
    total: f64,
    /// Sum of the counts, each times its offset.
    offsets: f64,
    /// Logarithm of the cells' mean exposure e^offset.
    exposure: f64,
    /// Of cells with counts, e^offset over that mean; empty where not needed.
    exposures: &'a [f64],
}

impl<'a> Gene<'a> {
    fn new(
        job: &Job<'a>,
        null: &'a NullDesign,
        overdispersed: bool,
        room: &'a mut Vec<f64>,
    ) -> Self {
        let (blocks, counts) = (job.design.blocks(), job.counts);
        let exposure = job.design.offset_moments().0.ln();
        room.clear();
        if overdispersed {
            room.resize(counts.cells.len(), 0.0);
        }
        let offsets = run(Gather { blocks, counts, exposure, exposures: room });
        let cells = job.design.cells() as f64;
        Self { null, counts, cells, total: counts.total(), offsets, exposure, exposures: room }
    }

    /// sum of (y - offset - intercept)².
    fn squares(&self) -> f64 {
        let nodes = &self.null.nodes;
        let (mean, offset) = match self.null.intercept {
            true => (self.total / self.cells, nodes.sum(|offset| offset) / self.cells),
            false => (0.0, 0.0),
        };
        // About the mean of all counts, and of all offsets.
        let counts = run(Squares { counts: self.counts.counts, mean });
        let zeros = (self.cells - self.counts.counts.len() as f64) * mean * mean;
        let product = self.offsets - offset * self.total;
        counts + zeros - 2.0 * product + nodes.sum(|value| (value - offset).powi(2))
    }

    /// sum of y eta - mu.
    fn poisson(&self) -> f64 {
        if self.null.intercept {
            let intercept = (self.total / self.cells).ln() - self.exposure;
            return self.offsets + self.total * (intercept - 1.0);
        }
        self.offsets - self.over_nodes(Poisson, 0.0).cumulant
    }

    /// sum of y eta - log(1 + e^eta).
    fn binomial(&self) -> f64 {
        let mean = self.total / self.cells;
        let intercept = self.intercept((mean / (1.0 - mean)).ln(), |intercept| {
            let sums = self.over_nodes(Bernoulli, intercept);
            (self.total + sums.residual, sums.bend)
        });
        let cumulant = self.over_nodes(Bernoulli, intercept).cumulant;
        self.offsets + self.total * intercept - cumulant
    }

    /// sum of y eta - (y + theta) log(1 + alpha mu).
    fn negative_binomial(&self, alpha: f64) -> f64 {
        let cells = NegativeBinomial { alpha };
        let (counts, exposures) = (self.counts.counts, self.exposures);
        let factor = |intercept: f64| alpha * (intercept + self.exposure).exp();
        let intercept = self.intercept((self.total / self.cells).ln(), |intercept| {
            let sums = self.over_nodes(cells, intercept);
            let factor = factor(intercept);
            let (slope, bend) = run(CountSlopes { counts, exposures, factor });
            (slope + sums.residual, bend + sums.bend)
        });
        let cumulant = self.over_nodes(cells, intercept).cumulant;
        let own = run(CountLogs { counts, exposures, factor: factor(intercept) });
        self.offsets + self.total * intercept - cumulant - own
    }

    /// The highest intercept, if the null model has one; `start` is where to look for the
    /// predictor of the mean exposure.
    fn intercept(&self, start: f64, slopes: impl Fn(f64) -> (f64, f64)) -> f64 {
        if self.null.intercept { highest(start - self.exposure, slopes) } else { 0.0 }
    }

    fn over_nodes<C: Cells>(&self, cells: C, intercept: f64) -> NodeSums {
        run(OverNodes { nodes: &self.null.nodes, cells, intercept })
    }
}

/// Where a concave function of one variable is highest: Newton's method within what is
/// known to contain the optimum. `slopes` gives the first derivative, and the second with
/// its sign turned.
fn highest(start: f64, slopes: impl Fn(f64) -> (f64, f64)) -> f64 {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    let mut at = start;
    for _ in 0..ITERATIONS {
        let (slope, bend) = slopes(at);
        if slope > 0.0 {
            low = at
        } else {
            high = at
        }
        let step = slope / bend;
        let near = slope * step * step * step <= NEAR;
        let to = at + step.clamp(-LONGEST, LONGEST);
        at = match to >= low && to <= high {
            true => to,
            false => 0.5 * (low.max(at - LONGEST) + high.min(at + LONGEST)),
        };
        if near {
            break;
        }
    }
    at
}

/// Writes the exposures of cells with counts where there is room; the sum of counts, each
/// times its offset.
struct Gather<'a> {
    blocks: &'a Blocks,
    counts: GeneCounts<'a>,
    exposure: f64,
    exposures: &'a mut [f64],
}

impl Kernel for Gather<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let GeneCounts { cells, counts } = self.counts;
        let (mut offsets, mut own, mut sums) = ([0.0; BLOCK], [0.0; BLOCK], [0.0]);
        let mut exposures = self.exposures.chunks_mut(BLOCK);
        for (cells, counts) in cells.chunks(BLOCK).zip(counts.chunks(BLOCK)) {
            let used = cells.len();
            for (offset, &cell) in offsets.iter_mut().zip(cells) {
                *offset = self.blocks.offset(cell as usize);
            }
            own[..used].copy_from_slice(counts);
            own[used..].fill(0.0);
            dots::<1, V>(&offsets, &own, &mut sums);
            if let Some(exposures) = exposures.next() {
                for (exposure, offset) in exposures.iter_mut().zip(&offsets) {
                    *exposure = exp::<V>(offset - self.exposure);
                }
            }
        }
        sums[0]
    }
}

/// The sum over counts of (y - mean)².
struct Squares<'a> {
    counts: &'a [f64],
    mean: f64,
}

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut total = 0.0;
        for counts in self.counts.chunks(BLOCK) {
            let mut terms = [0.0; BLOCK];
            terms.iter_mut().zip(counts).for_each(|(term, y)| *term = (y - self.mean).powi(2));
            total += sum::<V>(&terms);
        }
        total
    }
}

/// Sums over all cells, as if no cell had a count.
struct NodeSums {
    /// First derivative of the log-likelihood, and the second with its sign turned.
    residual: f64,
    bend: f64,
    cumulant: f64,
}

struct OverNodes<'a, C> {
    nodes: &'a OffsetNodes,
    cells: C,
    intercept: f64,
}

impl<C: Cells> Kernel for OverNodes<'_, C> {
    type Output = NodeSums;

    #[inline(always)]
    fn run<V: Vector>(self) -> NodeSums {
        let mut sums = NodeSums { residual: 0.0, bend: 0.0, cumulant: 0.0 };
        let OffsetNodes { offsets, weights } = self.nodes;
        for (offsets, weights) in offsets.chunks(BLOCK).zip(weights.chunks(BLOCK)) {
            let (mut residual, mut bend, mut cumulant) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
            for i in 0..offsets.len() {
                let share = self.cells.share::<V>(self.intercept + offsets[i]);
                residual[i] = weights[i] * share.residual;
                bend[i] = weights[i] * share.weight * share.slope;
                cumulant[i] = weights[i] * share.cumulant;
            }
            sums.residual += sum::<V>(&residual);
            sums.bend += sum::<V>(&bend);
            sums.cumulant += sum::<V>(&cumulant);
        }
        sums
    }
}

/// What counts add to the derivatives of the negative binomial's log-likelihood: the sums
/// of y (1 - s) and y s (1 - s), s = alpha mu / (1 + alpha mu).
struct CountSlopes<'a> {
    counts: &'a [f64],
    exposures: &'a [f64],
    /// alpha mu over the exposure.
    factor: f64,
}

impl Kernel for CountSlopes<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run<V: Vector>(self) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for (counts, exposures) in self.counts.chunks(BLOCK).zip(self.exposures.chunks(BLOCK)) {
            let (mut slopes, mut bends) = ([0.0; BLOCK], [0.0; BLOCK]);
            for i in 0..counts.len() {
                let scaled = self.factor * exposures[i];
                let kept = 1.0 / (1.0 + scaled);
                slopes[i] = counts[i] * kept;
                bends[i] = slopes[i] * scaled * kept;
            }
            sums.0 += sum::<V>(&slopes);
            sums.1 += sum::<V>(&bends);
        }
        sums
    }
}

/// The sum over counts of y log(1 + alpha mu).
struct CountLogs<'a> {
    counts: &'a [f64],
    exposures: &'a [f64],
    factor: f64,
}

impl Kernel for CountLogs<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut total = 0.0;
        for (counts, exposures) in self.counts.chunks(BLOCK).zip(self.exposures.chunks(BLOCK)) {
            let mut terms = [0.0; BLOCK];
            for i in 0..counts.len() {
                terms[i] = counts[i] * log1p_and_inverse::<V>(self.factor * exposures[i]).0;
            }
            total += sum::<V>(&terms);
        }
        total
    }
}
