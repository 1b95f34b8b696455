//! What a calibrated test resamples: the null residuals of the cells that a pair
//! compares, and how likely each of them is to be drawn.

use super::ascent::Perturbed;
use super::calibrate::{BinnedResiduals, Population, Scratch, fit_membership};
use super::comparison::{Comparison, Identified, Joint};
use super::options::{Options, Resampling};
use crate::design::products::predictors;
use crate::design::{BLOCK, Design};
use crate::engine::glm::Workspace;
use crate::simd::{Kernel, Vector, exp, fma, run};
use crate::source::GeneCounts;
use crate::{Monitor, Result};
use rayon::prelude::*;
use std::cell::{OnceCell, RefCell};

/// Read by every gene.
pub struct Resampler<'a> {
    comparison: &'a Comparison<'a>,
    /// The strata of the reference cells.
    strata: Vec<u16>,
    resampling: Resampling,
    max_iterations: usize,
    /// Of conditional resampling: each perturbation's logistic model, in the basis
    /// of the reference cells' design; none where it has not converged.
    models: Vec<Option<Vec<f64>>>,
}

/// One gene's residuals.
pub struct ResampledGene<'a> {
    resampler: &'a Resampler<'a>,
    alpha: f64,
    counts: Vec<f64>,
    centre: &'a [f64],
    /// Of the reference cells, for perturbations that are among them.
    whole: OnceCell<Resampled>,
    scratch: RefCell<Scratch>,
}

/// A null model that was written out, and its fit.
pub struct NullFit<'a> {
    pub model: &'a Joint,
    /// Of the kept columns.
    pub coefficients: &'a [f64],
    pub alpha: f64,
}

enum Resampled {
    Permuted(Population),
    Conditional(BinnedResiduals),
}

impl<'a> Resampler<'a> {
    /// Fits the models of membership, with the threads of the current pool.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] once the monitor is cancelled.
    pub fn new(
        comparison: &'a Comparison<'a>,
        options: &Options,
        monitor: &Monitor,
    ) -> Result<Self> {
        let all: Vec<u32> = (0..comparison.cells() as u32).collect();
        let cells = comparison.reference_cells().unwrap_or(&all);
        let strata = cells.iter().map(|&cell| comparison.stratum(cell)).collect();
        let max_iterations = options.max_iterations;
        let resampling = options.resampling;
        let mut resampler = Self { comparison, strata, resampling, max_iterations, models: vec![] };
        if resampling == Resampling::Conditional {
            let perturbations = 0..comparison.perturbations().len();
            let model = |workspace: &mut Workspace, k| resampler.model(k, workspace, monitor);
            let models = perturbations.into_par_iter().map_init(Workspace::new, model);
            resampler.models = models.collect::<Result<_>>()?;
        }
        Ok(resampler)
    }

    /// `counts` are those in the reference cells, `centre` the null fit there.
    pub fn gene(
        &'a self,
        alpha: f64,
        centre: &'a [f64],
        counts: GeneCounts<'_>,
    ) -> ResampledGene<'a> {
        let counts = dense(counts, self.comparison.base().cells());
        let scratch = RefCell::new(Scratch::new());
        ResampledGene { resampler: self, alpha, counts, centre, whole: OnceCell::new(), scratch }
    }

    /// The p-value of a pair whose null model was written out and fitted.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] once the monitor is cancelled.
    pub fn written_out(
        &self,
        perturbation: usize,
        null: &NullFit<'_>,
        workspace: &mut Workspace,
        monitor: &Monitor,
    ) -> Result<f64> {
        let NullFit { model, coefficients, alpha } = *null;
        let design = &model.design;
        let at = design.basis().coordinates(coefficients);
        let counts = dense(model.counts(), design.cells());
        let mut residuals = vec![];
        add_residuals(design.blocks().iter(), &counts, &at, alpha, &mut residuals);
        let strata: Vec<u16> =
            model.cells.iter().map(|&cell| self.comparison.stratum(cell)).collect();
        let own = places(self.comparison.perturbed_cells(perturbation), &model.cells);
        let sum = own.iter().map(|&at| residuals[at as usize]).sum();
        let resampled = self.resampled(&residuals, &strata);
        let mut scratch = Scratch::new();
        let probabilities = match self.resampling {
            Resampling::Permutation => Some(vec![]),
            Resampling::Conditional => {
                let model = self.fit(design, &own, workspace, monitor)?;
                model.map(|model| probabilities(design, &model))
            }
        };
        Ok(self.p_value(perturbation, &resampled, probabilities.as_deref(), sum, &mut scratch))
    }

    fn model(
        &self,
        perturbation: usize,
        workspace: &mut Workspace,
        monitor: &Monitor,
    ) -> Result<Option<Vec<f64>>> {
        let members = &self.comparison.perturbations()[perturbation];
        if members.identified != Identified::Yes {
            return Ok(None);
        }
        let none = GeneCounts { cells: &[], counts: &[] };
        let null = self.comparison.joint(perturbation, none, false)?;
        let own = places(self.comparison.perturbed_cells(perturbation), &null.cells);
        let model = self.fit(&null.design, &own, workspace, monitor)?;
        // Named and in another basis: these cells' basis is not the base's.
        let base = self.comparison.base().basis();
        Ok(model.map(|model| base.coordinates(&null.design.basis().named(&model))))
    }

    /// A logistic model in the basis of a design.
    fn fit(
        &self,
        design: &Design,
        own: &[u32],
        workspace: &mut Workspace,
        monitor: &Monitor,
    ) -> Result<Option<Vec<f64>>> {
        let plain = design.without_offset();
        let named = fit_membership(&plain, own, self.max_iterations, workspace, monitor)?;
        Ok(named.map(|named| design.basis().coordinates(&named)))
    }

    fn resampled(&self, residuals: &[f64], strata: &[u16]) -> Resampled {
        match self.resampling {
            Resampling::Permutation => {
                let strata = Some((strata, self.comparison.strata()));
                Resampled::Permuted(Population::new(residuals, strata))
            }
            Resampling::Conditional => Resampled::Conditional(BinnedResiduals::new(residuals)),
        }
    }

    fn p_value(
        &self,
        perturbation: usize,
        resampled: &Resampled,
        probabilities: Option<&[f64]>,
        sum: f64,
        scratch: &mut Scratch,
    ) -> f64 {
        match (resampled, probabilities) {
            (Resampled::Permuted(population), _) => {
                let mut drawn = vec![0; self.comparison.strata()];
                for &cell in self.comparison.perturbed_cells(perturbation) {
                    drawn[usize::from(self.comparison.stratum(cell))] += 1;
                }
                population.two_sided(&drawn, sum, scratch)
            }
            (Resampled::Conditional(residuals), Some(probabilities)) => {
                residuals.two_sided(probabilities, sum, scratch)
            }
            (Resampled::Conditional(_), None) => f64::NAN,
        }
    }
}

impl ResampledGene<'_> {
    /// The p-value of the sum of the perturbed cells' null residuals, where the
    /// null model of the cells compared has these coefficients.
    pub fn p_value(&self, perturbed: &Perturbed<'_>, coefficients: &[f64], sum: f64) -> f64 {
        let resampler = self.resampler;
        let perturbation = perturbed.number;
        let base = resampler.comparison.base();
        let outside = &perturbed.members.outside;
        let probabilities = match resampler.resampling {
            Resampling::Permutation => Some(vec![]),
            Resampling::Conditional => resampler.models[perturbation].as_ref().map(|model| {
                let mut all = probabilities(base, model);
                add_probabilities(outside.chunks(), outside.cells().len(), model, &mut all);
                all
            }),
        };
        let scratch = &mut *self.scratch.borrow_mut();
        let p_value = |resampled: &Resampled, scratch: &mut Scratch| {
            resampler.p_value(perturbation, resampled, probabilities.as_deref(), sum, scratch)
        };
        if outside.cells().is_empty() {
            let whole = self.whole.get_or_init(|| {
                let mut residuals = vec![];
                let chunks = base.blocks().iter();
                add_residuals(chunks, &self.counts, self.centre, self.alpha, &mut residuals);
                resampler.resampled(&residuals, &resampler.strata)
            });
            return p_value(whole, scratch);
        }
        let mut residuals = vec![];
        let chunks = base.blocks().iter();
        add_residuals(chunks, &self.counts, coefficients, self.alpha, &mut residuals);
        let counts = &perturbed.outside[..outside.cells().len()];
        add_residuals(outside.chunks(), counts, coefficients, self.alpha, &mut residuals);
        let mut strata = resampler.strata.clone();
        let stratum = |&cell: &u32| resampler.comparison.stratum(cell);
        strata.extend(outside.cells().iter().map(stratum));
        p_value(&resampler.resampled(&residuals, &strata), scratch)
    }
}

fn dense(counts: GeneCounts<'_>, cells: usize) -> Vec<f64> {
    let mut dense = vec![0.0; cells];
    for (&cell, &y) in counts.cells.iter().zip(counts.counts) {
        dense[cell as usize] = y;
    }
    dense
}

/// Where some of a design's cells stand among them; both in increasing order.
fn places(some: &[u32], cells: &[u32]) -> Vec<u32> {
    let place = |cell: &u32| cells.binary_search(cell).ok().map(|at| at as u32);
    some.iter().filter_map(place).collect()
}

fn probabilities(design: &Design, model: &[f64]) -> Vec<f64> {
    let mut all = Vec::with_capacity(design.cells());
    add_probabilities(design.blocks().iter(), design.cells(), model, &mut all);
    all
}

/// Appends (y - mu) / (1 + alpha mu) of each cell.
fn add_residuals<'b>(
    chunks: impl Iterator<Item = (&'b [f64], &'b [f64])>,
    counts: &[f64],
    coefficients: &[f64],
    alpha: f64,
    residuals: &mut Vec<f64>,
) {
    run(Residuals { chunks, counts, coefficients, alpha, residuals });
}

/// Appends what a logistic model gives each of so many cells.
fn add_probabilities<'b>(
    chunks: impl Iterator<Item = (&'b [f64], &'b [f64])>,
    cells: usize,
    model: &[f64],
    probabilities: &mut Vec<f64>,
) {
    run(Probabilities { chunks, cells, model, probabilities });
}

struct Residuals<'a, I> {
    chunks: I,
    counts: &'a [f64],
    coefficients: &'a [f64],
    alpha: f64,
    residuals: &'a mut Vec<f64>,
}

impl<'b, I: Iterator<Item = (&'b [f64], &'b [f64])>> Kernel for Residuals<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let mut values = [0.0; BLOCK];
        for ((offset, columns), counts) in self.chunks.zip(self.counts.chunks(BLOCK)) {
            let eta = &mut values[..offset.len()];
            predictors::<V>(offset, columns, self.coefficients, eta);
            for (value, y) in eta.iter_mut().zip(counts) {
                let mean = exp::<V>(*value);
                *value = (y - mean) / fma::<V>(self.alpha, mean, 1.0);
            }
            self.residuals.extend_from_slice(&eta[..counts.len()]);
        }
    }
}

struct Probabilities<'a, I> {
    chunks: I,
    cells: usize,
    model: &'a [f64],
    probabilities: &'a mut Vec<f64>,
}

impl<'b, I: Iterator<Item = (&'b [f64], &'b [f64])>> Kernel for Probabilities<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        const NO_OFFSET: [f64; BLOCK] = [0.0; BLOCK];
        let mut values = [0.0; BLOCK];
        let mut left = self.cells;
        for (offset, columns) in self.chunks {
            let eta = &mut values[..offset.len()];
            predictors::<V>(&NO_OFFSET[..offset.len()], columns, self.model, eta);
            eta.iter_mut().for_each(|value| *value = 1.0 / (1.0 + exp::<V>(-*value)));
            let cells = left.min(eta.len());
            self.probabilities.extend_from_slice(&eta[..cells]);
            left -= cells;
        }
    }
}
