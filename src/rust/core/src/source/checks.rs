use super::{Axis, Entries, Room, Source};
use crate::simd::{Kernel, Vector, run};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// What a model asks of its counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CountKind {
    /// 0, 1, 2, ...
    Whole,
    /// Zero or above.
    NonNegative,
    /// Anything finite.
    Finite,
}

impl CountKind {
    pub(crate) fn allows(self, values: &[f64]) -> bool {
        match self {
            CountKind::Whole => values.iter().all(|&v| is_whole(v)),
            CountKind::NonNegative => values.iter().all(|&v| v >= 0.0 && v.is_finite()),
            CountKind::Finite => values.iter().all(|v| v.is_finite()),
        }
    }
}

/// Looks at every stored count, with the threads of the current pool.
///
/// # Errors
/// [`Error::Count`] names the first, cell by cell, that is not of the kind asked for;
/// and those of reading.
pub fn check_counts(source: &dyn Source, kind: CountKind) -> Result<()> {
    // Compiled once for each rule: there are many counts to look at.
    match kind {
        CountKind::Whole => check(source, is_whole, "whole numbers >= 0 are expected"),
        CountKind::NonNegative => {
            check(source, |v| v >= 0.0 && v.is_finite(), "finite numbers >= 0 are expected")
        }
        CountKind::Finite => check(source, f64::is_finite, "finite numbers are expected"),
    }
}

/// Whether all values fit: none of them waits for the answer to another.
pub(super) struct All<'a, F> {
    pub values: &'a [f64],
    pub fits: F,
}

impl<F: Fn(f64) -> bool> Kernel for All<'_, F> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        self.values.iter().fold(true, |all, &v| all & (self.fits)(v))
    }
}

/// By conversion, for without SSE4.1 `f64::fract` is a function of the library.
#[inline(always)]
fn is_whole(v: f64) -> bool {
    const ALL_ABOVE: f64 = 9_007_199_254_740_992.0;
    v >= 0.0 && (v as i64 as f64 == v || (v >= ALL_ABOVE && v.is_finite()))
}

fn check(
    source: &dyn Source,
    fits: impl Fn(f64) -> bool + Sync,
    expected: &'static str,
) -> Result<()> {
    let first_wrong = |room: &mut Room, range: Range<usize>| {
        let entries = source.read(range.clone(), room)?;
        if run(All { values: entries.values(), fits: &fits }) {
            return Ok(None);
        }
        let each = (0..entries.len()).flat_map(|k| {
            let (indices, values) = entries.get(k);
            indices.iter().zip(values).map(move |(&index, &value)| (k, index as usize, value))
        });
        let wrong =
            each.filter(|&(_, _, value)| !fits(value)).map(|(k, index, value)| {
                match source.axis() {
                    Axis::Cells => (range.start + k, index, value),
                    Axis::Genes => (index, range.start + k, value),
                }
            });
        Ok(wrong.min_by_key(|&(cell, gene, _)| (cell, gene)))
    };
    let ranges = source.ranges().into_par_iter().with_min_len(16);
    let found: Result<Vec<_>> = ranges.map_init(Room::default, first_wrong).collect();
    let first = found?.into_iter().flatten().min_by_key(|&(cell, gene, _)| (cell, gene));
    first.map_or(Ok(()), |(cell, gene, value)| {
        Err(Error::Count { gene: gene + 1, cell: cell + 1, value, expected })
    })
}

/// Without SSE4.1 `f64::round_ties_even` is a function of the library.
fn round(v: f64) -> f64 {
    const TWO_51: f64 = 2_251_799_813_685_248.0;
    if v.abs() < TWO_51 { (v + 3.0 * TWO_51) - 3.0 * TWO_51 } else { v.round_ties_even() }
}

/// What a look at every entry tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many cells have a count above zero, by gene.
    pub cells_expressing: Vec<i32>,
    /// How many genes have, by cell.
    pub genes_expressed: Vec<i32>,
    /// The sum of a cell's counts, each rounded to a whole number (halves to the even
    /// one), so that it does not depend on the order. Not a number where one is not.
    pub totals: Vec<f64>,
}

/// Counts what is expressed, with the threads of the current pool.
///
/// # Errors
/// Those of reading.
pub fn summarise(source: &dyn Source) -> Result<Summary> {
    let (genes, cells, axis) = (source.genes(), source.cells(), source.axis());
    // Of what the source lies by, each range has its own part of the counts.
    let along = |range: &Range<usize>, entries: Entries<'_>, across: &mut Across| {
        let each = range.clone().enumerate().map(|(k, _)| {
            let (indices, values) = entries.get(k);
            let mut total = 0.0;
            let mut expressed = 0;
            for (&index, &value) in indices.iter().zip(values) {
                let rounded = round(value);
                total += rounded;
                let is_expressed = value > 0.0;
                expressed += i32::from(is_expressed);
                across.add(axis, index as usize, is_expressed, rounded);
            }
            (expressed, total)
        });
        each.collect::<Vec<_>>()
    };
    let threads = rayon::current_num_threads();
    let ranges = source.ranges();
    // One for each thread and not for each task: they are long.
    let share = ranges.len().div_ceil(threads).max(1);
    let parts: Result<Vec<_>> = (ranges.par_chunks(share).with_max_len(1))
        .map(|ranges| {
            let mut across = Across::new(axis, genes, cells);
            let (mut own, mut room) = (vec![], Room::default());
            for range in ranges {
                let entries = source.read(range.clone(), &mut room)?;
                own.extend(along(range, entries, &mut across));
            }
            Ok((own, across))
        })
        .collect();
    let mut across = Across::new(axis, genes, cells);
    let mut own = vec![];
    for (part, counted) in parts? {
        own.extend(part);
        across.merge(&counted);
    }
    let (expressed, totals): (Vec<i32>, Vec<f64>) = own.into_iter().unzip();
    Ok(match axis {
        Axis::Cells => {
            Summary { cells_expressing: across.expressed, genes_expressed: expressed, totals }
        }
        Axis::Genes => Summary {
            cells_expressing: expressed,
            genes_expressed: across.expressed,
            totals: across.totals,
        },
    })
}

/// Counts by what the source does not lie by; totals where that is the cells.
struct Across {
    expressed: Vec<i32>,
    totals: Vec<f64>,
}

impl Across {
    fn new(axis: Axis, genes: usize, cells: usize) -> Self {
        match axis {
            Axis::Cells => Self { expressed: vec![0; genes], totals: vec![] },
            Axis::Genes => Self { expressed: vec![0; cells], totals: vec![0.0; cells] },
        }
    }

    fn add(&mut self, axis: Axis, index: usize, is_expressed: bool, rounded: f64) {
        self.expressed[index] += i32::from(is_expressed);
        if axis == Axis::Genes {
            self.totals[index] += rounded;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.expressed.iter_mut().zip(&other.expressed).for_each(|(a, b)| *a += b);
        self.totals.iter_mut().zip(&other.totals).for_each(|(a, b)| *a += b);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Csc;
    use super::super::tests::{Matrix, Stored, example};
    use super::*;

    #[test]
    fn what_is_expressed_is_counted_whatever_the_axis() {
        let mut by_cell = example();
        by_cell.values[5] = 2.5;
        let by_gene = Stored { matrix: &by_cell.turned(), axis: Axis::Genes };
        let expected = Summary {
            cells_expressing: vec![2, 0, 1, 2],
            genes_expressed: vec![2, 1, 2],
            totals: vec![7.0, 7.0, 3.0],
        };
        assert_eq!(summarise(&Stored { matrix: &by_cell, axis: Axis::Cells }).unwrap(), expected);
        assert_eq!(summarise(&by_gene).unwrap(), expected);
        let Matrix { starts, indices, values, .. } = by_cell;
        let offsets: Vec<i32> = starts.iter().map(|&start| start as i32).collect();
        let rows: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
        let matrix = Csc::new(4, &offsets, &rows, &values).unwrap();
        assert_eq!(summarise(&matrix).unwrap(), expected);
    }

    #[test]
    fn counts_are_checked_and_the_first_wrong_one_named() {
        let kinds = [CountKind::Whole, CountKind::NonNegative, CountKind::Finite];
        let check = |value: f64| {
            let mut matrix = example();
            matrix.values[3] = value;
            let by_gene = matrix.turned();
            let sources = [
                Stored { matrix: &matrix, axis: Axis::Cells },
                Stored { matrix: &by_gene, axis: Axis::Genes },
            ];
            let [one, other] = sources.map(|source| kinds.map(|kind| check_counts(&source, kind)));
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
            one.map(|found| match found {
                Err(Error::Count { gene: 4, cell: 2, .. }) => false,
                found => found.is_ok(),
            })
        };
        assert_eq!(check(1e9), [true, true, true]);
        assert_eq!(check(1e300), [true, true, true]);
        assert_eq!(check(0.5), [false, true, true]);
        assert_eq!(check(-1.0), [false, false, true]);
        assert_eq!(check(f64::NAN), [false, false, false]);
        assert_eq!(check(f64::INFINITY), [false, false, false]);
    }
}
