use super::checks::All;
use super::{Axis, Entries, Room, Source, for_each_piece};
use crate::simd::{LANES, run};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// The counts of one gene: the cells where they are not zero, in increasing
/// order, and the counts there.
#[derive(Clone, Copy, Debug)]
pub struct GeneCounts<'a> {
    pub cells: &'a [u32],
    pub counts: &'a [f64],
}

impl GeneCounts<'_> {
    pub fn total(&self) -> f64 {
        // Sums side by side, which need not wait for one another.
        let mut sums = [0.0; LANES];
        let groups = self.counts.chunks_exact(LANES);
        let rest: f64 = groups.remainder().iter().sum();
        groups.for_each(|group| sums.iter_mut().zip(group).for_each(|(sum, y)| *sum += y));
        sums.iter().sum::<f64>() + rest
    }

    /// Whether single precision holds all of them.
    pub(crate) fn are_single(&self) -> bool {
        run(All { values: self.counts, fits: is_single })
    }
}

/// Some consecutive genes.
pub struct GeneBlock {
    genes: Range<usize>,
    parts: Vec<Part>,
}

/// As many of them as one thread puts together.
struct Part {
    genes: Range<usize>,
    starts: Vec<usize>,
    cells: Vec<u32>,
    counts: Vec<f64>,
}

impl GeneBlock {
    pub fn genes(&self) -> Range<usize> {
        self.genes.clone()
    }

    /// The counts of one gene; `gene` counts from the source's first.
    pub fn gene(&self, gene: usize) -> GeneCounts<'_> {
        let part = &self.parts[self.parts.partition_point(|part| part.genes.end <= gene)];
        let k = gene - part.genes.start;
        let span = part.starts[k]..part.starts[k + 1];
        GeneCounts { cells: &part.cells[span.clone()], counts: &part.counts[span] }
    }
}

/// Reads a source gene by gene, with the threads of the current pool: no block holds
/// more than `capacity` counts (12 bytes each), unless a single gene has more. A source
/// that is stored by cell is read once a block, and once before.
///
/// Stored zeros are dropped. Values are assumed checked: see
/// [`check_counts`](super::check_counts).
///
/// # Errors
/// Those of reading.
pub fn gene_blocks<'a>(
    source: &'a dyn Source,
    capacity: usize,
) -> Result<impl Iterator<Item = Result<GeneBlock>> + 'a> {
    let expressed = count_stored(source)?.by_gene;
    let mut next = 0;
    Ok(std::iter::from_fn(move || {
        let genes = span(&expressed, next, capacity);
        next = genes.end;
        (!genes.is_empty()).then(|| {
            let shares = shares(&expressed, genes.clone()).into_iter();
            let mut parts: Vec<Part> =
                shares.map(|genes| Part::with_room(genes, &expressed)).collect();
            match source.axis() {
                Axis::Cells => transpose(source, &mut parts)?,
                Axis::Genes => {
                    let ranges = source.ranges();
                    parts.par_iter_mut().try_for_each(|part| copy(source, &ranges, part))?;
                }
            }
            Ok(GeneBlock { genes, parts })
        })
    }))
}

/// How many counts a block of genes has as a rule: 192 MB.
pub const CAPACITY: usize = 16 << 20;

/// The same, as far as a memory limit leaves room beside `fixed` bytes.
///
/// # Errors
/// [`Error::Memory`] where there is none.
pub fn capacity(fixed: usize, limit: Option<usize>) -> Result<usize> {
    const COUNT_BYTES: usize = 12;
    const LEAST: usize = 1 << 20;
    let Some(limit) = limit else { return Ok(CAPACITY) };
    let room = limit.saturating_sub(fixed) / COUNT_BYTES;
    match room < LEAST {
        true => Err(Error::Memory { needed: fixed + LEAST * COUNT_BYTES, limit }),
        false => Ok(room.min(CAPACITY)),
    }
}

/// The genes from `start` on that hold no more than `capacity` counts; at least
/// one, if there is one.
pub(crate) fn span(expressed: &[usize], start: usize, capacity: usize) -> Range<usize> {
    let mut held = 0;
    let fits = |stored: &&usize| {
        let first = held == 0;
        held += **stored;
        first || held <= capacity
    };
    start..start + expressed[start..].iter().take_while(fits).count()
}

/// Cuts genes into a part for each thread of the current pool, or some more, of as many
/// counts.
pub(crate) fn shares(expressed: &[usize], genes: Range<usize>) -> Vec<Range<usize>> {
    let total: usize = expressed[genes.clone()].iter().sum();
    let share = total.div_ceil(rayon::current_num_threads());
    let mut parts: Vec<Range<usize>> = vec![];
    let mut from = genes.start;
    while from < genes.end {
        parts.push(span(&expressed[..genes.end], from, share));
        from = parts[parts.len() - 1].end;
    }
    parts
}

/// The counts other than zero of a source.
pub(crate) struct Stored {
    /// How many each gene has.
    pub by_gene: Vec<usize>,
    /// Whether none loses anything as an `f32`.
    pub single: bool,
}

/// Looks at all of them, with the threads of the current pool.
pub(crate) fn count_stored(source: &dyn Source) -> Result<Stored> {
    let genes = source.genes();
    let count = |(mut stored, mut room): (Stored, Room), range: Range<usize>| {
        let entries = source.read(range.clone(), &mut room)?;
        stored.single &= run(All { values: entries.values(), fits: is_single });
        for k in 0..entries.len() {
            let (indices, values) = entries.get(k);
            match source.axis() {
                Axis::Genes => {
                    stored.by_gene[range.start + k] = values.iter().filter(|v| **v != 0.0).count();
                }
                Axis::Cells => {
                    for (&gene, _) in indices.iter().zip(values).filter(|(_, v)| **v != 0.0) {
                        stored.by_gene[gene as usize] += 1;
                    }
                }
            }
        }
        Ok((stored, room))
    };
    let add = |(mut one, room): (Stored, Room), (other, _): (Stored, Room)| {
        one.by_gene.iter_mut().zip(other.by_gene).for_each(|(a, b)| *a += b);
        one.single &= other.single;
        Ok((one, room))
    };
    let none = || (Stored { by_gene: vec![0; genes], single: true }, Room::default());
    let ranges = source.ranges().into_par_iter().with_min_len(16);
    Ok(ranges.try_fold(none, count).try_reduce(none, add)?.0)
}

/// Whether a value is the same as an `f32`.
#[inline(always)]
pub(crate) fn is_single(value: f64) -> bool {
    f64::from(value as f32) == value
}

impl Part {
    fn with_room(genes: Range<usize>, expressed: &[usize]) -> Self {
        let mut starts = vec![0];
        for gene in genes.clone() {
            starts.push(starts[gene - genes.start] + expressed[gene]);
        }
        let total = starts[genes.len()];
        Self { genes, starts, cells: vec![0; total], counts: vec![0.0; total] }
    }
}

/// From cells to genes.
fn transpose(source: &dyn Source, parts: &mut [Part]) -> Result<()> {
    let mut ends: Vec<Vec<usize>> = parts.iter().map(|part| part.starts.clone()).collect();
    for_each_piece(source, |piece| {
        parts.par_iter_mut().zip(&mut ends).for_each(|(part, ends)| {
            for (cell, genes, values) in piece.cells_within(part.genes.clone()) {
                for (&gene, &value) in genes.iter().zip(values).filter(|(_, v)| **v != 0.0) {
                    let end = &mut ends[gene as usize - part.genes.start];
                    part.cells[*end] = cell as u32;
                    part.counts[*end] = value;
                    *end += 1;
                }
            }
        });
        Ok(())
    })
}

/// Of a source that is stored by gene.
fn copy(source: &dyn Source, ranges: &[Range<usize>], part: &mut Part) -> Result<()> {
    let mut room = Room::default();
    let mut end = 0;
    let first = ranges.partition_point(|range| range.end <= part.genes.start);
    for range in ranges[first..].iter().take_while(|range| range.start < part.genes.end) {
        let genes = range.start.max(part.genes.start)..range.end.min(part.genes.end);
        let entries: Entries<'_> = source.read(genes, &mut room)?;
        for k in 0..entries.len() {
            let (cells, values) = entries.get(k);
            for (&cell, &value) in cells.iter().zip(values).filter(|(_, v)| **v != 0.0) {
                part.cells[end] = cell;
                part.counts[end] = value;
                end += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Stored, example};
    use super::*;

    #[test]
    fn blocks_hold_every_gene_once_whatever_their_size_and_the_axis() {
        let by_cell = example();
        let by_gene = Stored { matrix: &by_cell.turned(), axis: Axis::Genes };
        let by_cell = Stored { matrix: &by_cell, axis: Axis::Cells };
        for source in [&by_cell as &dyn Source, &by_gene] {
            for capacity in [0, 1, 2, 3, 100] {
                let mut seen = vec![];
                for block in gene_blocks(source, capacity).unwrap() {
                    let block = block.unwrap();
                    for gene in block.genes() {
                        let counts = block.gene(gene);
                        seen.push((counts.cells.to_vec(), counts.counts.to_vec()));
                    }
                }
                let expected: Vec<(Vec<u32>, Vec<f64>)> = vec![
                    (vec![0, 2], vec![5.0, 1.0]),
                    (vec![], vec![]),
                    (vec![2], vec![4.0]),
                    (vec![0, 1], vec![2.0, 7.0]),
                ];
                assert_eq!(seen, expected, "capacity {capacity}, {:?}", source.axis());
            }
        }
    }
}
