//! One gene: from its counts to what is reported.

use super::likelihood::Distribution;
use super::parts::{Model, Parts};
use super::pass::Room;
use super::report::report;
use super::search::Search;
use super::starts::begin;
use crate::engine::glm::{Estimate, Workspace};
use crate::source::GeneCounts;
use crate::special::CountHistogram;
use crate::{Monitor, Result};

/// How a gene's fit ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Ok,
    /// No cell has a count.
    AllZero,
    /// The iterations ran out, or nothing climbed any more.
    NotConverged,
}

/// How to fit.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub distribution: Distribution,
    /// The most passes over the cells that the ascent from one start may take.
    pub max_iterations: usize,
}

/// A fitted gene. Coefficients are those of the kept columns of the count part's
/// design (natural logarithms), then of the zero part's (logits).
#[derive(Clone, Debug)]
pub struct ZeroInflatedFit {
    pub status: Status,
    /// Finite coefficients that reproduce the fitted means and probabilities.
    pub coefficients: Vec<f64>,
    /// What the data say of each coefficient.
    pub estimates: Vec<Estimate>,
    /// Inverse of the observed information, lower triangle row after row; without
    /// meaning for coefficients that are not finite.
    pub covariance: Vec<f64>,
    /// Of the negative binomial: variance = mu + mu² / theta. Infinite in the Poisson
    /// limit.
    pub theta: f64,
    pub log_theta_se: f64,
    pub log_likelihood: f64,
    /// Squared distance to the optimum, in standard errors.
    pub decrement: f64,
    /// Passes over the cells.
    pub iterations: usize,
    /// Cells that have no structural zeros in the limit.
    pub plain_cells: usize,
    /// Cells whose zeros are all structural in the limit.
    pub structural_cells: usize,
    /// Cells without counts that have a mean of zero in the limit, or may have.
    pub empty_cells: usize,
}

impl ZeroInflatedFit {
    pub(super) fn failed(status: Status, rank: usize) -> Self {
        Self {
            status,
            coefficients: vec![f64::NAN; rank],
            estimates: vec![Estimate::Finite; rank],
            covariance: vec![f64::NAN; rank * (rank + 1) / 2],
            theta: f64::NAN,
            log_theta_se: f64::NAN,
            log_likelihood: f64::NAN,
            decrement: f64::NAN,
            iterations: 0,
            plain_cells: 0,
            structural_cells: 0,
            empty_cells: 0,
        }
    }
}

/// What one thread works with.
#[derive(Default)]
pub struct Rooms {
    workspace: Workspace,
    room: Room,
}

/// Fits one gene.
///
/// # Errors
/// [`crate::Error::Interrupted`] once the monitor is cancelled; what goes wrong with
/// the gene itself is a [`Status`].
pub fn fit_zero_inflated_gene(
    counts: GeneCounts<'_>,
    model: &Model<'_>,
    options: &Options,
    rooms: &mut Rooms,
    monitor: &Monitor,
) -> Result<ZeroInflatedFit> {
    let rank = model.count.rank() + model.zero.rank();
    if counts.cells.is_empty() {
        return Ok(ZeroInflatedFit::failed(Status::AllZero, rank));
    }
    let histogram = CountHistogram::new(counts.counts);
    let mut search = Search {
        factorials: histogram.log_factorials(),
        histogram,
        patience: options.max_iterations,
        passes: 0,
        highest: f64::NEG_INFINITY,
        room: &mut rooms.room,
        monitor,
    };
    let beginning = begin(Parts::whole(*model, counts), &mut search, &mut rooms.workspace)?;
    let mut best = beginning.poisson(&mut search)?;
    if options.distribution == Distribution::NegativeBinomial {
        best = beginning.negative_binomial(best, &mut search)?;
    }
    let fit = best.settled().and_then(|solution| report(&solution, options.distribution));
    let fit = fit.unwrap_or_else(|| ZeroInflatedFit::failed(Status::NotConverged, rank));
    Ok(ZeroInflatedFit { iterations: search.passes, ..fit })
}
