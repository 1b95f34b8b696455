//! One gene: its null model, then its pairs.

use super::ascent::{self, GeneLikelihood, Perturbed};
use super::comparison::Comparison;
use super::expansion::{Expansion, Order};
use super::joint::JointModel;
use super::options::{Dispersion, Family, Options, StdErr, Test};
use super::p_value::Tail;
use super::pair::{Fitted, Gene, PairFit, fit_pair};
use super::resampling::Resampler;
use crate::engine::glm::{self, Estimate, GeneFit, Status, Workspace, fit_gene, fit_gene_at};
use crate::result::PairStatus;
use crate::source::GeneCounts;
use crate::{Monitor, Result};

/// What is reported of a gene; see [`crate::result::GeneColumns`].
pub struct GeneRow {
    pub status: Status,
    pub mean: f64,
    pub theta: f64,
    pub dispersion: f64,
    pub log_likelihood: f64,
    pub iterations: usize,
    pub pairs: Vec<PairFit>,
}

/// What a thread writes on, for any number of genes.
pub struct Room {
    glm: Workspace,
    ascent: ascent::Room,
    reference: (Vec<u32>, Vec<f64>),
    dense: Vec<f64>,
    inside: Vec<f64>,
    outside: Vec<f64>,
}

impl Room {
    pub fn new(cells: usize) -> Self {
        Self {
            glm: Workspace::new(),
            ascent: ascent::Room::default(),
            reference: Default::default(),
            dense: vec![0.0; cells],
            inside: vec![],
            outside: vec![],
        }
    }
}

/// How the genes of a screen are fitted.
pub struct GeneFitter<'a> {
    pub comparison: &'a Comparison<'a>,
    pub options: &'a Options,
    pub resampler: Option<Resampler<'a>>,
    pub monitor: &'a Monitor,
}

/// Fits a gene with each of some perturbations. `alpha`: 1 / theta where it is
/// given from outside.
///
/// # Errors
/// [`crate::Error::Interrupted`] once the monitor is cancelled.
pub fn fit_row(
    fitter: &GeneFitter<'_>,
    counts: GeneCounts<'_>,
    perturbations: impl Iterator<Item = usize>,
    alpha: Option<f64>,
    room: &mut Room,
) -> Result<GeneRow> {
    let GeneFitter { comparison, options, monitor, .. } = *fitter;
    let resampler = fitter.resampler.as_ref();
    let Room { glm, ascent, reference, dense, inside, outside } = room;
    let reference = comparison.reference_counts(counts, reference);
    let null = fit_null(reference, comparison, alpha, options, glm, monitor)?;
    let base = comparison.base();
    let total = reference.total();
    let mut row = GeneRow {
        status: null.status,
        mean: total / base.cells() as f64,
        theta: null.theta,
        dispersion: null.dispersion,
        log_likelihood: null.log_likelihood,
        iterations: null.iterations,
        pairs: vec![],
    };
    let alpha = match options.family {
        Family::NegativeBinomial => 1.0 / null.theta,
        _ => 0.0,
    };
    let tail = match options.family {
        Family::QuasiPoisson => Tail::Student((base.cells() - base.rank()) as f64),
        _ => Tail::Normal,
    };
    let joint = JointModel {
        resampler,
        comparison,
        counts,
        alpha,
        dispersion: null.dispersion,
        tail,
        options,
        monitor,
    };
    if null.status == Status::NotConverged {
        let failed = PairFit::without(PairStatus::NullFailed);
        row.pairs = perturbations.map(|_| failed).collect();
        return Ok(row);
    }
    let own_theta = options.dispersion == Dispersion::Pair && options.family != Family::Poisson;
    let written_out = null.status != Status::Ok
        || null.estimates.iter().any(|e| *e != Estimate::Finite)
        || own_theta;
    if written_out {
        for k in perturbations {
            row.pairs.push(fit_written_out(&joint, k, glm)?);
        }
        return Ok(row);
    }
    let with_meat = options.std_err == StdErr::Sandwich;
    let centre = base.basis().coordinates(&null.coefficients);
    let expansion =
        Expansion::at(centre, alpha, base.blocks(), reference, Order::Fourth, with_meat);
    let likelihood = GeneLikelihood {
        comparison,
        counts: reference,
        alpha,
        expansion: &expansion,
        with_meat,
        with_likelihood: options.test == Test::LikelihoodRatio,
        tolerance: options.tolerance,
        expansions: ascent::FIT_EXPANSIONS,
        precision: 0.0,
    };
    let gene = Gene {
        likelihood,
        dispersion: null.dispersion,
        total,
        tail,
        resampled: resampler.map(|resampler| resampler.gene(alpha, &expansion.centre, reference)),
    };
    scatter(counts, dense);
    for k in perturbations {
        let members = &comparison.perturbations()[k];
        members.inside.pick(dense, inside);
        members.outside.pick(dense, outside);
        let perturbed = Perturbed { number: k, members, inside, outside };
        row.pairs.push(match fit_pair(&gene, &perturbed, options, ascent) {
            Fitted::Done(fit) => fit,
            Fitted::Unusual => fit_written_out(&joint, k, glm)?,
        });
        monitor.check()?;
    }
    counts.cells.iter().for_each(|&cell| dense[cell as usize] = 0.0);
    Ok(row)
}

fn scatter(counts: GeneCounts<'_>, dense: &mut [f64]) {
    for (&cell, &y) in counts.cells.iter().zip(counts.counts) {
        dense[cell as usize] = y;
    }
}

fn fit_null(
    counts: GeneCounts<'_>,
    comparison: &Comparison<'_>,
    alpha: Option<f64>,
    options: &Options,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<GeneFit> {
    let base = comparison.base();
    let max_iterations = options.max_iterations;
    if let Some(alpha) = alpha {
        return fit_gene_at(counts, base, alpha, max_iterations, workspace, monitor);
    }
    let family = match options.family {
        Family::NegativeBinomial => glm::Family::NegativeBinomial,
        Family::Poisson => glm::Family::Poisson,
        Family::QuasiPoisson => glm::Family::QuasiPoisson,
    };
    let options = glm::Options { family, max_iterations };
    fit_gene(counts, base, &options, workspace, monitor)
}

/// Fits a pair whose model has to be written out; perturbations that no gene can
/// be fitted with are told first.
fn fit_written_out(
    joint: &JointModel<'_>,
    perturbation: usize,
    workspace: &mut Workspace,
) -> Result<PairFit> {
    use super::comparison::Identified;
    let identified = joint.comparison.perturbations()[perturbation].identified;
    match identified {
        Identified::NoCells => Ok(PairFit::without(PairStatus::NoCells)),
        Identified::Aliased => Ok(PairFit::without(PairStatus::Aliased)),
        _ if joint.counts.cells.is_empty() => Ok(PairFit::without(PairStatus::AllZero)),
        _ => joint.fit(perturbation, workspace),
    }
}
