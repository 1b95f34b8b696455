//! Many groups of cells, each against control cells or against all others, in every
//! gene: the tests of Wilcoxon, Student or Welch, and Anderson and Darling.
//!
//! The data are read in one of three ways:
//!
//! * `whole`: of whole counts that are not normalised, `tally` counts how often each
//!   group has 1, 2, 3, ... in each gene, in one pass over the cells. That is all that
//!   any test needs, and zeros cost nothing.
//! * `numbers`, for a t test: one pass over the cells sums up `moments`.
//! * `numbers`, for tests of ranks: gene by gene, `sorted` sorts the values that are
//!   not zero once, for all groups.
//!
//! What is found of a gene, its `moments` and the `order` of its values, goes through `comparison` to
//! the tests: with n1 cells of a group, n2 of its reference, N = n1 + n2,
//!
//! * `wilcoxon`: U is the number of pairs of a cell of the group and one of the
//!   reference in which the former has the larger value, ties counting one half (R's
//!   W, scipy's statistic). The normal approximation has mean n1 n2 / 2 and variance
//!   n1 n2 / 12 (N + 1 - sum(t³ - t) / (N (N - 1))), t the cells at each level;
//!   `exact` distributions are of Mann and Whitney (1947), and of permutations where
//!   there are ties. The effect is U / (n1 n2).
//! * `student`: t, with Welch's (1947) degrees of freedom or with equal variances; the
//!   effect is Hedges' g (1981).
//! * `anderson`: the criterion of Scholz and Stephens (1987), standardised.
//!
//! Whole numbers are summed as such, others in the order of the cells: the results are
//! the same bits for any number of threads, memory limit, and axis of storage.

mod groups;
mod options;
mod measure;
mod moments;
mod order;
mod levels;
mod sums;
mod tally;
mod codes;
mod sorted;
mod exact;
mod wilcoxon;
mod student;
mod anderson;
mod comparison;
mod fill;
mod budget;
mod whole;
mod packed;
mod numbers;

pub use groups::{Against, Groups, NO_GROUP};
pub use options::{Exact, Filter, Mean, Method, Normalise, Options, Scale};

use crate::result::GroupTable;
use crate::source::{Source, Watched};
use crate::{Error, Monitor, Result};
use comparison::Comparison;
use measure::Measure;
use order::Needs;

/// What is to be done.
struct Job<'a> {
    source: &'a dyn Source,
    groups: &'a Groups<'a>,
    options: &'a Options,
    measure: Measure,
    needs: Needs,
    comparison: Comparison<'a>,
    monitor: &'a Monitor,
}

/// Tests every group in every gene, with the threads of the current pool. The monitor
/// counts genes.
///
/// # Errors
/// Where the groups are not of the source's cells, an option is out of range, a value is
/// not on the scale that it is said to be on, the memory limit cannot be kept, or the
/// monitor is cancelled; and those of reading.
pub fn test_groups(
    source: &dyn Source,
    groups: &Groups,
    options: &Options,
    monitor: &Monitor,
) -> Result<GroupTable> {
    let (found, expected) = (groups.of().len(), source.cells());
    if found != expected {
        return Err(Error::Shape { what: "cells with a group", found, expected });
    }
    options.check(source.cells())?;
    let comparison = Comparison::new(groups, options)?;
    let measure = Measure::of(options);
    let job = Job {
        source: &Watched::new(source, monitor),
        groups,
        options,
        measure,
        needs: options.method.needs(),
        comparison,
        monitor,
    };
    let mut table = GroupTable::new(source.genes(), groups.tested());
    match (options.scale, &options.normalise) {
        (Scale::Counts, Normalise::Nothing) => whole::compare_counts(&job, &mut table)?,
        _ => numbers::compare_numbers(&job, &mut table)?,
    }
    table.adjust(options.adjust_each_group);
    Ok(table)
}
