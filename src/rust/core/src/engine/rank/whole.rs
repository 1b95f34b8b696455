use super::Job;
use super::budget::Budget;
use super::codes::Codes;
use super::fill::{Workspace, fill};
use super::groups::NO_GROUP;
use super::tally::Tally;
use crate::result::GroupTable;
use crate::source::{Axis, CountKind, Rooms, Source, check_counts, gene_blocks};
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

/// Ranges of cells that are held at a time, for each thread.
const RANGES: usize = 16;

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
                let valid = match class {
                    NO_GROUP => CountKind::Whole.allows(&[count]),
                    class => tally.add_one(class, count),
                };
                if !valid {
                    return Err(refuse(job.source));
                }
            }
            tally.finish();
            let Workspace { desk, moments, order, .. } = workspace;
            tally.describe(gene, job, desk, moments, order);
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
            let Workspace { desk, moments, order, .. } = workspace;
            of(gene).describe(gene, job, desk, moments, order);
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
    let parts: Vec<Range<usize>> = cut(&genes, PARTS * threads).collect();
    let mut tallies: Vec<Tally> =
        parts.iter().map(|genes| Tally::new(genes.clone(), groups.classes())).collect();
    let table = genes.len() * groups.classes() * Tally::PAIR;
    let ranges = job.source.ranges();
    let at_once = RANGES * threads;
    // Some cells are read while those before are tallied.
    let coded =
        || -> Vec<Codes> { (0..at_once.min(ranges.len())).map(|_| Codes::default()).collect() };
    let rooms = Rooms::of_pool();
    let (mut read, mut next) = (coded(), coded());
    let mut pieces = ranges.chunks(at_once);
    encode(job, pieces.next().unwrap_or_default(), &parts, &rooms, &mut read)?;
    while !read.is_empty() {
        job.monitor.check()?;
        let piece = pieces.next().unwrap_or_default();
        let (_, done) = rayon::join(
            || tally(&read, &mut tallies),
            || encode(job, piece, &parts, &rooms, &mut next),
        );
        done?;
        let large: usize = tallies.iter().map(Tally::large_bytes).sum();
        if table + large > bytes && genes.len() > 1 {
            return Ok(None);
        }
        std::mem::swap(&mut read, &mut next);
    }
    tallies.iter_mut().for_each(Tally::finish);
    Ok(Some(tallies))
}

/// The counts of some ranges of cells.
fn encode(
    job: &Job,
    ranges: &[Range<usize>],
    parts: &[Range<usize>],
    rooms: &Rooms,
    coded: &mut Vec<Codes>,
) -> Result<()> {
    coded.truncate(ranges.len());
    let each = ranges.par_iter().zip(coded.par_iter_mut()).with_max_len(1);
    each.try_for_each(|(range, codes)| {
        let read = |room: &mut _| -> Result<()> {
            let entries = job.source.read(range.clone(), room)?;
            codes.fill(range.clone(), entries, parts, job.groups);
            Ok(())
        };
        rooms.lend(read)?;
        if codes.valid() { Ok(()) } else { Err(refuse(job.source)) }
    })
}

/// Class after class, so that a class's part of a table stays at hand.
fn tally(coded: &[Codes], tallies: &mut [Tally]) {
    let of = |codes| (0..Codes::classes(codes).len()).map(move |k| (codes, k));
    let mut cells: Vec<(u32, &Codes, usize)> =
        coded.iter().flat_map(of).map(|(codes, k)| (codes.classes()[k], codes, k)).collect();
    cells.sort_unstable_by_key(|&(class, ..)| class);
    tallies.par_iter_mut().enumerate().with_max_len(1).for_each(|(part, tally)| {
        cells.iter().for_each(|(class, codes, k)| tally.add(*class, codes.get(*k, part)));
        coded.iter().for_each(|codes| tally.add_large(codes.large(part)));
    });
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
