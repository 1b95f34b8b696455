use super::Job;
use super::budget::Budget;
use super::fill::fill;
use super::groups::Cell;
use super::tally::Tally;
use crate::result::GroupTable;
use crate::simd::{Kernel, Vector, run};
use crate::source::{Axis, CountKind, Source, check_counts, for_each_piece, gene_blocks};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// Entries of a source that is stored by gene, held at a time.
const CAPACITY: usize = 4 << 20;

/// Bytes of one of them; and of a large count in a list that grows.
const HELD: usize = 12;
const LARGE: usize = 16;

/// Gene ranges for each thread: genes are not alike.
const PARTS: usize = 2;

/// Whole counts: tables of how often each class has which count say all.
pub(super) fn compare_counts(job: &Job, table: &mut GroupTable) -> Result<()> {
    let budget = Budget::new(job, 0);
    match job.source.axis() {
        Axis::Cells => by_cell(job, table, budget),
        Axis::Genes => by_gene(job, table, budget),
    }
}

fn by_gene(job: &Job, table: &mut GroupTable, budget: Budget) -> Result<()> {
    let groups = job.groups;
    let bytes = budget.for_pass(HELD * job.source.cells())?;
    for block in gene_blocks(job.source, CAPACITY.min(bytes / HELD))? {
        let block = block?;
        fill(job, table, block.genes(), |gene, workspace| {
            let one = || Tally::new(gene..gene + 1, groups.classes());
            let tally = workspace.tally.get_or_insert_with(one);
            tally.reset(gene);
            let counts = block.gene(gene);
            for (&cell, &count) in counts.cells.iter().zip(counts.counts) {
                let class = groups.of()[cell as usize];
                if !tally.add(class, &[gene as u32], &[count]) {
                    return Err(refuse(job.source));
                }
            }
            tally.finish();
            let levels = job.options.method.ranks().then_some(&mut workspace.levels);
            let (cells, moments) = (&mut workspace.cells, &mut workspace.moments);
            tally.describe(gene, job, cells, moments, levels);
            Ok(())
        })?;
    }
    Ok(())
}

/// In one pass over the cells, or in as many as memory asks for.
fn by_cell(job: &Job, table: &mut GroupTable, budget: Budget) -> Result<()> {
    let genes = job.source.genes();
    let of_gene = job.groups.classes() * Tally::PAIR;
    let bytes = budget.for_pass(of_gene + LARGE * job.source.cells())?;
    let (mut from, mut size) = (0, (bytes / 2 / of_gene).max(1));
    while from < genes {
        let some = from..(from + size).min(genes);
        let Some(parts) = count(job, some.clone(), bytes)? else {
            size = some.len().div_ceil(2);
            continue;
        };
        let of = |gene: usize| &parts[parts.partition_point(|part| part.genes().end <= gene)];
        fill(job, table, some.clone(), |gene, workspace| {
            let levels = job.options.method.ranks().then_some(&mut workspace.levels);
            let (cells, moments) = (&mut workspace.cells, &mut workspace.moments);
            of(gene).describe(gene, job, cells, moments, levels);
            Ok(())
        })?;
        from = some.end;
    }
    Ok(())
}

/// Some genes' counts of all cells, cut by gene; None where large counts take more
/// memory than there is, and there are genes to leave for later.
fn count(job: &Job, genes: Range<usize>, bytes: usize) -> Result<Option<Vec<Tally>>> {
    let (groups, threads) = (job.groups, rayon::current_num_threads());
    let ranges = cut(&genes, PARTS * threads);
    let mut parts: Vec<Tally> = ranges.map(|genes| Tally::new(genes, groups.classes())).collect();
    let table = genes.len() * groups.classes() * Tally::PAIR;
    let mut fits = true;
    for_each_piece(job.source, |piece| {
        job.monitor.check()?;
        if !fits {
            return Ok(());
        }
        let valid = parts.par_iter_mut().with_max_len(1).all(|tally| {
            let cells = groups.by_class(piece, tally.genes());
            run(AddCells { tally, cells: &cells })
        });
        if !valid {
            return Err(refuse(job.source));
        }
        let large: usize = parts.iter().map(Tally::large_bytes).sum();
        fits = table + large <= bytes || genes.len() == 1;
        Ok(())
    })?;
    if !fits {
        return Ok(None);
    }
    parts.iter_mut().for_each(Tally::finish);
    Ok(Some(parts))
}

/// Cells for a tally; false where one has what is no count.
struct AddCells<'t, 'p> {
    tally: &'t mut Tally,
    cells: &'t [Cell<'p>],
}

impl Kernel for AddCells<'_, '_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let Self { tally, cells } = self;
        cells.iter().all(|cell| tally.add(cell.class, cell.genes, cell.values))
    }
}

/// Consecutive ranges of almost the same length.
pub(super) fn cut(genes: &Range<usize>, parts: usize) -> impl Iterator<Item = Range<usize>> {
    let (from, count) = (genes.start, genes.len());
    let parts = parts.clamp(1, count.max(1));
    (0..parts).map(move |k| from + count * k / parts..from + count * (k + 1) / parts)
}

/// Why counts were not tallied; the first that is no count, whatever was met first.
fn refuse(source: &dyn Source) -> Error {
    match check_counts(source, CountKind::Whole) {
        Err(error) => error,
        Ok(()) => Error::Argument {
            name: "x",
            value: "of counts of 2^40 or more".into(),
            expected: "of smaller ones, or taken for numbers on a linear scale",
        },
    }
}
