//! A population in a few values: structure of arrays for the vector loops.

use crate::simd::LANES;
use std::ops::Range;

/// Groups of atoms, each with a mean and a variance of its cells' values, their
/// number, and a log-odds of being drawn that is added to the group's. Within an
/// atom values are as good as normal: under a tilt s its cells are
/// exp(s value + s² variance / 2) times as likely to be drawn. Groups fill whole
/// vectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Atoms {
    pub value: Vec<f64>,
    pub variance: Vec<f64>,
    pub cells: Vec<f64>,
    pub log_odds: Vec<f64>,
    pub groups: Vec<Range<usize>>,
}

impl Atoms {
    pub fn push(&mut self, value: f64, variance: f64, cells: f64, log_odds: f64) {
        self.value.push(value);
        self.variance.push(variance);
        self.cells.push(cells);
        self.log_odds.push(log_odds);
    }

    /// What has been pushed since the last group becomes one.
    pub fn end_group(&mut self) {
        let start = self.groups.last().map_or(0, |group| group.end);
        while !(self.value.len() - start).is_multiple_of(LANES) {
            self.push(0.0, 0.0, 0.0, 0.0);
        }
        self.groups.push(start..self.value.len());
    }

    pub fn clear(&mut self) {
        self.value.clear();
        self.variance.clear();
        self.cells.clear();
        self.log_odds.clear();
        self.groups.clear();
    }
}
