use super::Job;
use super::budget::Budget;
use super::fill::fill;
use super::groups::{Cell, NO_GROUP};
use super::measure::{Factors, Measure};
use super::moments::Moments;
use super::options::{Normalise, Scale};
use super::packed::{PACKED, compare_packed};
use super::whole::cut;
use crate::pages::in_large_pages;
use crate::result::GroupTable;
use crate::source::{Axis, CountKind, check_counts, count_stored, for_each_piece, gene_blocks};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Values that are held at a time, gene by gene: 100 MB.
const CAPACITY: usize = 8 << 20;

/// Bytes that a value takes: its cell and itself; and in a thread, while those of a
/// gene are sorted and arranged.
const HELD: usize = 12;
const SORTED: usize = 64;

/// Most counts are below this: their logarithms are taken once a cell.
const SMALL: usize = 4;

/// Values that need not be whole, or are not once they are divided.
pub(super) fn compare_numbers(job: &Job, table: &mut GroupTable) -> Result<()> {
    let cells = job.source.cells();
    let factors = Factors::of(job.source, &job.options.normalise)?;
    let budget = Budget::new(job, factors.bytes());
    let check = Check::of(job);
    if job.source.axis() == Axis::Cells && !job.needs.any() {
        let of_gene = job.groups.classes() * size_of::<Moments>();
        let size = (budget.for_pass(of_gene)? / of_gene).max(1);
        let genes = job.source.genes();
        for from in (0..genes).step_by(size) {
            sum(job, table, from..(from + size).min(genes), &factors, &check)?;
        }
    } else {
        let sorting = SORTED * cells * rayon::current_num_threads();
        let bytes = budget.for_pass(HELD * cells + sorting)? - sorting;
        let as_given = matches!(job.options.normalise, Normalise::Nothing);
        if job.source.axis() == Axis::Cells && as_given {
            let stored = count_stored(job.source)?;
            if stored.single {
                compare_packed(job, table, &stored.by_gene, bytes / PACKED, &check)?;
                return check.logarithms();
            }
        }
        sort(job, table, CAPACITY.min(bytes / HELD), &factors, &check)?;
    }
    check.logarithms()
}

/// The moments of some genes, in one pass over the cells.
fn sum(
    job: &Job,
    table: &mut GroupTable,
    genes: Range<usize>,
    factors: &Factors,
    check: &Check,
) -> Result<()> {
    let groups = job.groups;
    let ranges: Vec<Range<usize>> = cut(&genes, 2 * rayon::current_num_threads()).collect();
    let mut parts: Vec<(Range<usize>, Vec<Moments>)> = ranges
        .into_iter()
        .map(|part| {
            let mut moments = vec![Moments::default(); part.len() * groups.classes()];
            in_large_pages(&mut moments);
            (part, moments)
        })
        .collect();
    let as_given = matches!((job.measure, factors), (Measure::Plain, Factors::None));
    for_each_piece(job.source, |piece| {
        job.monitor.check()?;
        parts.par_iter_mut().with_max_len(1).try_for_each(|(part, moments)| {
            for Cell { class, cell, genes, values } in groups.by_class(piece, part.clone()) {
                check.look(values)?;
                if class == NO_GROUP {
                    continue;
                }
                let of_class = &mut moments[class as usize * part.len()..][..part.len()];
                let stored = genes.iter().zip(values).filter(|(_, v)| **v != 0.0);
                if as_given {
                    stored.for_each(|(&gene, &value)| {
                        of_class[gene as usize - part.start].add(value, value);
                    });
                    continue;
                }
                let see = |value: f64| job.measure.see(factors.scale(cell, value));
                let small: [(f64, f64); SMALL] = std::array::from_fn(|value| see(value as f64));
                for (&gene, &value) in stored {
                    let whole = value as u32;
                    let is_small = (whole as usize) < SMALL && f64::from(whole) == value;
                    let (tested, level) = if is_small { small[whole as usize] } else { see(value) };
                    of_class[gene as usize - part.start].add(tested, level);
                }
            }
            Ok(())
        })
    })?;
    fill(job, table, genes, |gene, workspace| {
        let (part, moments) = &parts[parts.partition_point(|(part, _)| part.end <= gene)];
        for (class, to) in workspace.moments.iter_mut().enumerate() {
            *to = moments[class * part.len() + gene - part.start];
        }
        Ok(())
    })
}

/// Gene by gene: its values are sorted once, for all groups.
fn sort(
    job: &Job,
    table: &mut GroupTable,
    capacity: usize,
    factors: &Factors,
    check: &Check,
) -> Result<()> {
    for block in gene_blocks(job.source, capacity)? {
        let block = block?;
        fill(job, table, block.genes(), |gene, workspace| {
            check.look(block.gene(gene).counts)?;
            let (moments, order) = (&mut workspace.moments, &mut workspace.order);
            let gene = block.gene(gene);
            workspace.entries.describe(gene, job, factors, moments, order);
            Ok(())
        })?;
    }
    Ok(())
}

/// Whether values are what they are said to be, found while they are read.
pub(super) struct Check<'a> {
    job: &'a Job<'a>,
    kind: CountKind,
    /// Whether some value is not whole, or need not be looked for.
    fractional: AtomicBool,
}

impl<'a> Check<'a> {
    fn of(job: &'a Job<'a>) -> Self {
        let kind = match job.options.scale {
            Scale::Counts => CountKind::Whole,
            Scale::Linear => CountKind::NonNegative,
            Scale::Log1p => CountKind::Finite,
        };
        Self { job, kind, fractional: AtomicBool::new(job.options.scale != Scale::Log1p) }
    }

    /// The error is of the first wrong value of all, not of the first that was met.
    pub fn look(&self, values: &[f64]) -> Result<()> {
        if !self.kind.allows(values) {
            check_counts(self.job.source, self.kind)?;
        }
        if !self.fractional.load(Relaxed) && !CountKind::Whole.allows(values) {
            self.fractional.store(true, Relaxed);
        }
        Ok(())
    }

    fn logarithms(&self) -> Result<()> {
        if self.fractional.load(Relaxed) { Ok(()) } else { Err(Error::NotLogarithms) }
    }
}
