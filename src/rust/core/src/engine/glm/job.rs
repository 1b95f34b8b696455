//! One gene and one design, and how likelihoods of theirs are climbed.

use super::ascent::{CONVERGED, End, Patience, Start, Summit, ascend};
use super::gene::{GeneFit, Status};
use super::laid::Laid;
use super::likelihood::{Likelihood, Model};
use super::limit::in_the_limit;
use super::pass::{Response, Workspace};
use super::separation::{self, Limit};
use crate::design::{Condensed, Design, NullDesign};
use crate::source::GeneCounts;
use crate::special::CountHistogram;
use crate::special::tally::{Tally, tally};
use crate::{Error, Monitor, Result};
use std::borrow::Cow;

/// Why an ascent does not end in a fit.
pub(crate) enum Detour {
    Failed(Error),
    /// There is no optimum, as was seen after so many passes.
    Separated {
        limit: Limit,
        iterations: usize,
    },
}

impl From<Error> for Detour {
    fn from(error: Error) -> Self {
        Detour::Failed(error)
    }
}

pub(crate) type Climbed<T> = std::result::Result<T, Detour>;

/// How the model of a gene is fitted where it has an optimum.
pub(crate) type Climb<'a> = dyn Fn(&Job<'_>, &mut Workspace) -> Climbed<GeneFit> + 'a;

/// A gene to be fitted, and how to climb its likelihoods.
pub(crate) struct Job<'a> {
    pub(crate) counts: GeneCounts<'a>,
    pub(crate) design: &'a Design,
    /// The cells of the whole design that this one has; none where it has all.
    pub(crate) cells: Option<&'a [u32]>,
    pub(crate) max_iterations: usize,
    /// Residual degrees of freedom of the whole gene.
    pub(super) freedom: f64,
    /// The sum of the counts.
    pub(super) total: f64,
    pub(super) laid: Laid<'a>,
    /// The counts at the nodes of a collapsed design.
    pub(super) condensed: Option<Condensed>,
    pub(crate) monitor: &'a Monitor,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        counts: GeneCounts<'a>,
        design: &'a Design,
        max_iterations: usize,
        monitor: &'a Monitor,
    ) -> Self {
        Self::with_squares(counts, design, false, max_iterations, monitor)
    }

    /// The same, with `squares` for [`super::pearson::squared_residuals`].
    pub(super) fn with_squares(
        counts: GeneCounts<'a>,
        design: &'a Design,
        squares: bool,
        max_iterations: usize,
        monitor: &'a Monitor,
    ) -> Self {
        let condensed = design.collapsed().map(|collapsed| collapsed.condense(counts, squares));
        let tally = condensed.as_ref().and_then(|condensed| condensed.tally.as_ref());
        let total = tally.map_or_else(|| counts.total(), Tally::total);
        Self::of_condensed(counts, design, condensed, total, max_iterations, monitor)
    }

    fn of_condensed(
        counts: GeneCounts<'a>,
        design: &'a Design,
        condensed: Option<Condensed>,
        total: f64,
        max_iterations: usize,
        monitor: &'a Monitor,
    ) -> Self {
        let laid = match condensed {
            Some(_) => Laid::of_stored(counts),
            None => Laid::new(counts, design.cells()),
        };
        let freedom = design.cells() as f64 - design.rank() as f64;
        Self {
            counts,
            design,
            cells: None,
            max_iterations,
            freedom,
            total,
            laid,
            condensed,
            monitor,
        }
    }

    /// The same gene in these of its cells, with the degrees of freedom of all.
    pub(super) fn of_remainder<'b>(
        &self,
        counts: GeneCounts<'b>,
        design: &'b Design,
        cells: &'b [u32],
    ) -> Job<'b>
    where
        'a: 'b,
    {
        let squares = self.condensed.as_ref().is_some_and(|of| of.squares.is_some());
        let job = Job::with_squares(counts, design, squares, self.max_iterations, self.monitor);
        Job { freedom: self.freedom, cells: Some(cells), ..job }
    }

    /// The same gene in all cells, without covariates.
    pub(super) fn of_null<'b>(&'b self, null: &'b NullDesign, max_iterations: usize) -> Job<'b> {
        let Job { counts, total, monitor, .. } = *self;
        match self.condensed.as_ref().and_then(|condensed| null.condense(condensed)) {
            None => Job::new(counts, &null.design, max_iterations, monitor),
            merged => {
                Job::of_condensed(counts, &null.design, merged, total, max_iterations, monitor)
            }
        }
    }

    /// Fits the gene, in the limit where there is no optimum.
    pub(crate) fn fit(&self, climb: &Climb<'_>, workspace: &mut Workspace) -> Result<GeneFit> {
        if self.counts.cells.is_empty() {
            return Ok(GeneFit::failed(Status::AllZero, self.design.rank()));
        }
        let unsupported = separation::of_unsupported_columns(self.design, self.counts);
        let detour = match unsupported {
            Some(limit) => Detour::Separated { limit, iterations: 0 },
            None => match climb(self, workspace) {
                Ok(fit) => return Ok(fit),
                Err(detour) => detour,
            },
        };
        match detour {
            Detour::Failed(error) => Err(error),
            Detour::Separated { limit, iterations } => {
                let mut fit = in_the_limit(self, climb, limit, workspace)?;
                fit.iterations += iterations;
                Ok(fit)
            }
        }
    }

    /// Climbs until the optimum is reached, or known not to exist.
    pub(crate) fn climb(
        &self,
        model: Model<'_>,
        start: impl Into<Start>,
        workspace: &mut Workspace,
        stop: impl Fn(f64, f64) -> bool,
    ) -> Climbed<Summit> {
        let binomial = matches!(model, Model::Bernoulli);
        let start = start.into();
        let origin = start.point.coefficients.clone();
        let mut objective = self.likelihood(model, workspace);
        let mut patience =
            Patience { max_iterations: self.max_iterations, trusting: 0, converged: CONVERGED };
        let (mut from, mut taken) = (start, 0);
        loop {
            let mut summit = ascend(&mut objective, from, patience, |point, view| {
                view.shape.is_some_and(|(slope, _)| stop(point.shape, slope))
            })?;
            taken += summit.iterations;
            summit.iterations = taken;
            let exhausted = summit.iterations >= self.max_iterations;
            if summit.end == End::Converged || (summit.end == End::NotConverged && !exhausted) {
                return Ok(summit);
            }
            let at = &summit.point.coefficients;
            let way = at.iter().zip(&origin).map(|(to, from)| to - from).collect();
            let moves = [way, summit.step.clone()];
            let (design, counts) = (self.design, self.counts);
            if let Some(limit) = separation::suggested(design, counts, at, &moves, binomial) {
                return Err(Detour::Separated { limit, iterations: taken });
            }
            if exhausted {
                return Ok(summit);
            }
            patience.max_iterations = self.max_iterations - taken;
            patience.trusting += 4;
            from = summit.point.into();
        }
    }

    pub(crate) fn likelihood<'b>(
        &'b self,
        model: Model<'b>,
        workspace: &'b Workspace,
    ) -> Likelihood<'b> {
        let (blocks, response) = match (self.design.collapsed(), &self.condensed) {
            (Some(collapsed), Some(Condensed { masses, .. })) => {
                (collapsed.blocks(), Response::Nodes { weights: collapsed.weights(), masses })
            }
            _ => (self.design.blocks(), self.laid.response()),
        };
        let (reach, monitor) = (self.design.reach(), self.monitor);
        Likelihood { model, blocks, response, reach, workspace, monitor }
    }

    /// How often each count occurs.
    pub(crate) fn tally(&self) -> Cow<'_, Tally> {
        match &self.condensed {
            Some(Condensed { tally: Some(tally), .. }) => Cow::Borrowed(tally),
            _ => Cow::Owned(tally(self.counts.counts)),
        }
    }

    /// The same, for sums over counts; these are whole numbers.
    pub(crate) fn histogram(&self) -> CountHistogram {
        CountHistogram::of(&self.tally())
    }

    pub(crate) fn mean(&self) -> f64 {
        self.total / self.design.cells() as f64
    }

    /// Coefficients of a constant predictor, or of what the design has nearest
    /// to it.
    pub(crate) fn start(&self, predictor: f64) -> Vec<f64> {
        self.design.constant().iter().map(|c| c * predictor).collect()
    }
}
