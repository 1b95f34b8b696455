//! A population in a few values: structure of arrays for the vector loops.

use super::bins::Bin;
use crate::simd::LANES;
use std::ops::Range;

/// Groups of values, each with a number of cells and a log-odds of being drawn
/// that is added to the group's. Groups fill whole vectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Atoms {
    pub value: Vec<f64>,
    pub cells: Vec<f64>,
    pub log_odds: Vec<f64>,
    pub groups: Vec<Range<usize>>,
}

impl Atoms {
    pub fn push(&mut self, value: f64, cells: f64, log_odds: f64) {
        self.value.push(value);
        self.cells.push(cells);
        self.log_odds.push(log_odds);
    }

    /// Adds what stands for a bin, with values as distances from `centre`.
    pub fn push_bin(&mut self, bin: &Bin, centre: f64) {
        for (value, cells) in bin.quadrature() {
            if cells > 0.0 {
                self.push(value - centre, cells, 0.0);
            }
        }
    }

    /// What has been pushed since the last group becomes one.
    pub fn end_group(&mut self) {
        let start = self.groups.last().map_or(0, |group| group.end);
        while !(self.value.len() - start).is_multiple_of(LANES) {
            self.push(0.0, 0.0, 0.0);
        }
        self.groups.push(start..self.value.len());
    }

    pub fn clear(&mut self) {
        self.value.clear();
        self.cells.clear();
        self.log_odds.clear();
        self.groups.clear();
    }
}
