//! A gene whose likelihood has no optimum, fitted in the limit.

use super::gene::{GeneFit, Status};
use super::job::{Climb, Detour, Job};
use super::pass::Workspace;
use super::separation::{self, Limit};
use super::solve::inner;
use crate::Result;
use crate::design::Design;
use crate::source::GeneCounts;

/// Linear predictors of cells that have left are put this far out.
const FAR: f64 = 40.0;

/// Fits what separation leaves of a gene, limit after limit until there is an
/// optimum, and reports it in the coefficients of the whole design.
pub(super) fn in_the_limit(
    job: &Job<'_>,
    climb: &Climb<'_>,
    first: Limit,
    workspace: &mut Workspace,
) -> Result<GeneFit> {
    let mut rest = Remainder::of(job);
    let mut limit = first;
    let mut passes = 0;
    loop {
        rest = rest.after(limit, job)?;
        let Some(design) = &rest.design else {
            return Ok(rest.report(job, None));
        };
        let counts = GeneCounts { cells: &rest.counts.0, counts: &rest.counts.1 };
        match climb(&job.of_remainder(counts, design, &rest.cells), workspace) {
            Ok(mut fit) => {
                fit.iterations += passes;
                return Ok(rest.report(job, Some(fit)));
            }
            Err(Detour::Separated { limit: next, iterations }) => {
                passes += iterations;
                limit = next;
            }
            Err(Detour::Failed(error)) => return Err(error),
        }
    }
}

/// The part of a gene that still has a finite model.
struct Remainder {
    /// Of the cells of the whole design.
    cells: Vec<u32>,
    /// Their counts, by position among them.
    counts: (Vec<u32>, Vec<f64>),
    /// None at first, where it is the whole design, and none where nothing is
    /// left.
    design: Option<Design>,
    /// What the columns of `design` are in the whole design's basis.
    columns: Vec<Vec<f64>>,
    /// Directions of recession in the whole design's basis, each with the cells
    /// that it took away.
    recessions: Vec<(Vec<f64>, Vec<u32>)>,
}

impl Remainder {
    fn of(job: &Job<'_>) -> Self {
        Self {
            cells: (0..job.design.cells() as u32).collect(),
            counts: (job.counts.cells.to_vec(), job.counts.counts.to_vec()),
            design: None,
            columns: vec![],
            recessions: vec![],
        }
    }

    /// What is left after one more limit, which speaks of the current design.
    fn after(self, limit: Limit, job: &Job<'_>) -> Result<Self> {
        let current = self.design.as_ref().unwrap_or(job.design);
        let of_whole = |c: &Vec<f64>| match &self.design {
            None => c.clone(),
            Some(design) => self.combine(&design.basis().named(c), design, job),
        };
        let counts = GeneCounts { cells: &self.counts.0, counts: &self.counts.1 };
        let stays = |position: &u32| limit.cells.binary_search(position).is_ok();
        let positions = 0..self.cells.len() as u32;
        let gone = positions.filter(|p| !stays(p)).map(|p| self.cells[p as usize]).collect();
        let mut recessions = self.recessions.clone();
        recessions.push((of_whole(&limit.direction), gone));
        let design = match limit.estimable.is_empty() {
            true => None,
            false => Some(limit.design(current)?),
        };
        Ok(Self {
            cells: limit.cells.iter().map(|&position| self.cells[position as usize]).collect(),
            counts: limit.counts(counts),
            columns: limit.estimable.iter().map(of_whole).collect(),
            design,
            recessions,
        })
    }

    /// Coefficients of the current design's kept columns, in the whole basis.
    fn combine(&self, named: &[f64], design: &Design, job: &Job<'_>) -> Vec<f64> {
        let mut sum = vec![0.0; job.design.rank()];
        for (b, &column) in named.iter().zip(design.kept()) {
            sum.iter_mut().zip(&self.columns[column]).for_each(|(s, d)| *s += b * d);
        }
        sum
    }

    fn report(&self, job: &Job<'_>, fit: Option<GeneFit>) -> GeneFit {
        let (whole, rank) = (job.design, job.design.rank());
        let failed = GeneFit::failed(Status::NotConverged, rank);
        let Some(estimates) = separation::estimates(whole, job.counts, &self.cells) else {
            return failed;
        };
        let (mut c, covariance, mut report) = match (fit, &self.design) {
            (Some(fit), _) if fit.status != Status::Ok => {
                return GeneFit { iterations: fit.iterations, ..failed };
            }
            (Some(fit), Some(design)) => {
                let c = self.combine(&fit.coefficients, design, job);
                (c, self.covariance(&fit.covariance, design, job), fit)
            }
            // Every cell has left: the likelihood is one.
            _ => {
                let fit = GeneFit { log_likelihood: 0.0, deviance: 0.0, ..failed };
                (vec![0.0; rank], vec![f64::NAN; rank * rank], fit)
            }
        };
        self.go_far(&mut c, job);
        report.status = Status::Ok;
        report.coefficients = whole.basis().named(&c);
        report.covariance = whole.basis().named_covariance(&covariance);
        report.estimates = estimates;
        report
    }

    /// The covariance of the whole basis's coefficients, rank x rank.
    fn covariance(&self, packed: &[f64], design: &Design, job: &Job<'_>) -> Vec<f64> {
        let rank = job.design.rank();
        let columns: Vec<&Vec<f64>> = design.kept().iter().map(|&k| &self.columns[k]).collect();
        let mut full = vec![0.0; rank * rank];
        for a in 0..columns.len() {
            for b in 0..columns.len() {
                let v = packed[a.max(b) * (a.max(b) + 1) / 2 + a.min(b)];
                for i in 0..rank {
                    for j in 0..rank {
                        full[i * rank + j] += v * columns[a][i] * columns[b][j];
                    }
                }
            }
        }
        full
    }

    /// Moves along the directions of recession, the last first, until every cell
    /// that has left is far out. No direction touches the cells of a later one.
    fn go_far(&self, c: &mut [f64], job: &Job<'_>) {
        let blocks = job.design.blocks();
        for (direction, gone) in self.recessions.iter().rev() {
            let needed = gone.iter().map(|&cell| {
                let row: Vec<f64> = (0..c.len()).map(|k| blocks.value(cell as usize, k)).collect();
                let (eta, slope) =
                    (blocks.offset(cell as usize) + inner(&row, c), inner(&row, direction));
                // A cell with a count, of a binomial model, goes up.
                (FAR + eta * -slope.signum()).max(0.0) / slope.abs()
            });
            let length = needed.fold(0.0f64, f64::max);
            c.iter_mut().zip(direction).for_each(|(c, d)| *c += length * d);
        }
    }
}
