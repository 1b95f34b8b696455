//! The model matrix, made ready for passes over the cells.

mod blocks;
mod collapsed;
mod masses;
mod membership;
mod orthogonal;
pub(crate) mod products;
mod rough;
mod sketch;

pub use blocks::{BLOCK, Blocks, PADDING};
pub use collapsed::{Collapsed, Condensed};
pub use membership::Membership;
use orthogonal::largest;
pub use orthogonal::{Orthogonal, orthogonalise};
pub use rough::Rough;
pub use sketch::{SKETCH_ROWS, sketch};

use crate::{Error, Result};
use rayon::prelude::*;

/// A model matrix in orthogonal coordinates.
///
/// Engines work with coefficients `c` of an orthogonal basis Q (Q'Q = n I), in
/// which Newton's equations are as well conditioned as the weights allow,
/// whatever the scale of the covariates; coefficients of the columns that the
/// user named are `b = R⁻¹ c`, where X = Q R.
pub struct Design {
    cells: usize,
    basis: Orthogonal,
    blocks: Blocks,
    /// Q'1 / n: the constant function in the basis.
    constant: Vec<f64>,
    /// Mean of exp(offset), and its squared coefficient of variation.
    offset_moments: (f64, f64),
    extremes: Vec<(f64, f64)>,
    /// Largest absolute value of each column of the basis.
    reach: Vec<f64>,
    /// None where there are few cells.
    rough: Option<Rough>,
    /// None where rows are not few.
    collapsed: Option<Box<Collapsed>>,
    null: Option<Box<NullDesign>>,
}

/// What every gene's null model is fitted to.
pub struct NullDesign {
    /// Whether the null model is the intercept, or the offset alone.
    pub intercept: bool,
    /// The constant, with the same offset.
    pub design: Design,
    /// Where both designs are collapsed: by slot of the full one, that of this one.
    within: Option<Vec<u32>>,
}

impl NullDesign {
    /// A gene's counts at the nodes of this design, from those at the nodes of the full one.
    pub fn condense(&self, full: &Condensed) -> Option<Condensed> {
        Some(self.design.collapsed()?.merge(full, self.within.as_ref()?))
    }
}

impl Design {
    /// By the threads of the current pool.
    ///
    /// `columns`: the model matrix, cells x terms, column after column.
    /// `offset`: one value a cell, on the scale of the linear predictor.
    ///
    /// # Errors
    /// Where the lengths disagree, a value is not finite, there is no column
    /// that is not zero, or there are not more cells than columns.
    pub fn new(columns: &[f64], offset: &[f64]) -> Result<Self> {
        let cells = offset.len();
        if cells == 0 || columns.is_empty() {
            return Err(Error::EmptyDesign);
        }
        if !columns.len().is_multiple_of(cells) {
            let found = columns.len() % cells;
            return Err(Error::Shape { what: "the model matrix's rows", found, expected: cells });
        }
        if u32::try_from(cells).is_err() {
            let expected = u32::MAX as usize;
            return Err(Error::Shape { what: "cells", found: cells, expected });
        }
        for (what, values) in [("the model matrix", columns), ("the offset", offset)] {
            if values.iter().any(|v| !v.is_finite()) {
                return Err(Error::NotFinite { what });
            }
        }
        let (basis, q) = orthogonalise(columns, cells);
        if q.is_empty() {
            return Err(Error::EmptyDesign);
        }
        let collapsed = Collapsed::of(columns, &q, offset).map(Box::new);
        let n = cells as f64;
        let constant = q.iter().map(|column| column.iter().sum::<f64>() / n).collect();
        let exposure: Vec<f64> = offset.par_iter().with_min_len(1 << 14).map(|o| o.exp()).collect();
        let mean = exposure.iter().sum::<f64>() / n;
        let spread = exposure.iter().map(|e| (e / mean - 1.0).powi(2)).sum::<f64>() / n;
        let extremes = basis.kept.iter().map(|&j| extremes(&columns[j * cells..(j + 1) * cells]));
        Ok(Self {
            cells,
            blocks: Blocks::new(&q, offset),
            constant,
            offset_moments: (mean, spread),
            extremes: extremes.collect(),
            reach: q.iter().map(|column| largest(column)).collect(),
            rough: if collapsed.is_some() { None } else { Rough::of(&q, offset) },
            collapsed,
            null: None,
            basis,
        })
    }

    /// The same design, made ready for null models.
    ///
    /// # Errors
    /// As [`Design::new`].
    pub fn with_null(self, intercept: bool) -> Result<Self> {
        let offset: Vec<f64> = (0..self.cells).map(|cell| self.blocks.offset(cell)).collect();
        let design = Self::new(&vec![1.0; self.cells], &offset)?;
        let within = match (self.collapsed(), design.collapsed()) {
            (Some(full), Some(null)) => full.within(null),
            _ => None,
        };
        Ok(Self { null: Some(Box::new(NullDesign { intercept, design, within })), ..self })
    }

    /// The same design with an offset of zero, not made ready for null models.
    pub fn without_offset(&self) -> Self {
        Self {
            cells: self.cells,
            basis: self.basis.clone(),
            blocks: self.blocks.without_offset(),
            constant: self.constant.clone(),
            offset_moments: (1.0, 0.0),
            extremes: self.extremes.clone(),
            reach: self.reach.clone(),
            rough: self.rough.as_ref().map(Rough::without_offset),
            collapsed: None,
            null: None,
        }
    }

    /// Bytes of the model matrix and the offset, and of what each thread of the current
    /// pool has of a gene in all cells.
    pub fn bytes(&self) -> usize {
        let null = self.null.as_ref().map_or(0, |null| null.design.own_bytes());
        self.own_bytes() + null + rayon::current_num_threads() * 24 * self.cells
    }

    fn own_bytes(&self) -> usize {
        let rough = self.rough.as_ref().map_or(0, Rough::bytes);
        let collapsed = self.collapsed.as_deref().map_or(0, Collapsed::bytes);
        self.blocks.bytes() + rough + collapsed
    }

    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Columns that are not linear combinations of those before them.
    pub fn rank(&self) -> usize {
        self.basis.kept.len()
    }

    /// Indices of the columns that have a coefficient.
    pub fn kept(&self) -> &[usize] {
        &self.basis.kept
    }

    /// Indices of the columns that are linear combinations of those before them.
    pub fn aliased(&self) -> &[usize] {
        &self.basis.aliased
    }

    pub fn basis(&self) -> &Orthogonal {
        &self.basis
    }

    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Largest absolute value of each column of the basis.
    pub fn reach(&self) -> &[f64] {
        &self.reach
    }

    /// The cells as they are good enough for a first look; none where they are few.
    pub fn rough(&self) -> Option<&Rough> {
        self.rough.as_ref()
    }

    /// Nodes that stand for the cells; none where rows are not few.
    pub fn collapsed(&self) -> Option<&Collapsed> {
        self.collapsed.as_deref()
    }

    /// The constant function in the basis: Q'1 / n.
    pub fn constant(&self) -> &[f64] {
        &self.constant
    }

    /// Mean of exp(offset), and its squared coefficient of variation.
    pub fn offset_moments(&self) -> (f64, f64) {
        self.offset_moments
    }

    /// What null models need; none unless asked for.
    pub fn null(&self) -> Option<&NullDesign> {
        self.null.as_deref()
    }

    /// Smallest and largest value of a kept column.
    pub fn extremes(&self, kept: usize) -> (f64, f64) {
        self.extremes[kept]
    }

    /// Value of a kept column at a cell, to rounding.
    pub fn value(&self, cell: usize, kept: usize) -> f64 {
        self.basis.named_value(kept, |k| self.blocks.value(cell, k))
    }
}

fn extremes(column: &[f64]) -> (f64, f64) {
    column
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)))
}
