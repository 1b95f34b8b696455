use super::options::{Mean, Normalise, Options, Scale};
use crate::Result;
use crate::source::{Axis, Room, Source, for_each_piece};
use rayon::prelude::*;

/// What is made of a value: what is tested, and what the fold change is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measure {
    /// Both are the value itself.
    Plain,
    /// Both are its logarithm log(1 + x).
    Logs,
    LogLevel,
    LogTested,
    /// The value is a logarithm; the fold change is of what it is of.
    ExpLevel,
}

impl Measure {
    pub fn of(options: &Options) -> Self {
        match (options.scale, options.log1p, options.mean) {
            (Scale::Log1p, _, Mean::Geometric) | (_, false, Mean::Arithmetic) => Self::Plain,
            (Scale::Log1p, _, Mean::Arithmetic) => Self::ExpLevel,
            (_, true, Mean::Geometric) => Self::Logs,
            (_, false, Mean::Geometric) => Self::LogLevel,
            (_, true, Mean::Arithmetic) => Self::LogTested,
        }
    }

    /// Tested, and level.
    #[inline(always)]
    pub fn see(self, value: f64) -> (f64, f64) {
        match self {
            Self::Plain => (value, value),
            Self::Logs => {
                let log = value.ln_1p();
                (log, log)
            }
            Self::LogLevel => (value, value.ln_1p()),
            Self::LogTested => (value.ln_1p(), value),
            Self::ExpLevel => (value, value.exp_m1()),
        }
    }
}

/// What a cell's values are multiplied with, and then divided by.
///
/// In this order, a whole number over a whole total is rounded once: values that are
/// equal stay equal, and others apart, as ranks need it.
#[derive(Debug)]
pub(super) enum Factors<'a> {
    None,
    Totals { target: f64, of: Vec<f64> },
    Given(&'a [f64]),
}

impl<'a> Factors<'a> {
    pub fn of(source: &dyn Source, normalise: &'a Normalise) -> Result<Self> {
        Ok(match normalise {
            Normalise::Nothing => Self::None,
            Normalise::SizeFactors(factors) => Self::Given(factors),
            Normalise::Library(target) => Self::Totals { target: *target, of: totals(source)? },
        })
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::Totals { of, .. } => size_of_val(of.as_slice()),
            _ => 0,
        }
    }

    #[inline(always)]
    pub fn scale(&self, cell: usize, value: f64) -> f64 {
        match self {
            Self::None => value,
            Self::Totals { target, of } => value * target / of[cell],
            Self::Given(factors) => value / factors[cell],
        }
    }
}

/// The sum of each cell's values, in the order of the genes whatever the axis.
fn totals(source: &dyn Source) -> Result<Vec<f64>> {
    let mut totals = vec![0.0; source.cells()];
    match source.axis() {
        Axis::Cells => for_each_piece(source, |piece| {
            let cells: Vec<_> = piece.cells().collect();
            let first = cells.first().map_or(0, |&(cell, ..)| cell);
            let sums = totals[first..first + cells.len()].par_iter_mut().zip(cells);
            sums.with_min_len(64).for_each(|(sum, (_, _, values))| *sum = values.iter().sum());
            Ok(())
        })?,
        Axis::Genes => {
            let mut room = Room::default();
            for range in source.ranges() {
                let entries = source.read(range, &mut room)?;
                for k in 0..entries.len() {
                    let (cells, values) = entries.get(k);
                    cells.iter().zip(values).for_each(|(&cell, v)| totals[cell as usize] += v);
                }
            }
        }
    }
    Ok(totals)
}
