use super::draft::Draft;
use super::layout::Layout;
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// Entries that are buffered for a gene at least, unless it has no more: writes of less
/// would be many.
const LEAST_BUFFER: u64 = 64;

/// Of an entry in a buffer.
const ENTRY_BYTES: u64 = 12;

/// Entries in memory, of which those of some genes can be gone through.
pub(super) trait Batch: Sync {
    /// Shows the gene, cell and value of each entry of these genes.
    fn visit(
        &self,
        genes: Range<usize>,
        visit: impl FnMut(usize, u32, f64) -> Result<()>,
    ) -> Result<()>;
}

/// Brings the entries of some genes to their places in the file, as they come.
pub(super) struct Placing<'a> {
    shares: Vec<Share<'a>>,
}

/// The genes of one thread, each with a buffer.
struct Share<'a> {
    draft: &'a Draft,
    genes: Range<usize>,
    places: Vec<Place>,
    cells: Vec<u32>,
    values: Vec<f64>,
    single: Vec<f32>,
}

/// Of one gene.
struct Place {
    /// Where its buffer begins, how much fits in and how much is in.
    buffer: usize,
    room: usize,
    held: usize,
    /// Where in the file what is in the buffer goes, and where the gene's part ends.
    next: u64,
    end: u64,
    /// The least cell that may come next if cells are to come in order; and whether
    /// they did.
    least: u32,
    in_order: bool,
}

/// Cuts the genes into ranges that can be placed at once with so many bytes of memory.
/// For each the entries are gone through once.
///
/// # Errors
/// [`Error::Memory`] where there is not enough for a single gene.
pub(super) fn passes(layout: &Layout, memory: usize) -> Result<Vec<Range<usize>>> {
    let fits = memory as u64 / ENTRY_BYTES;
    if fits < LEAST_BUFFER {
        return Err(Error::Memory { needed: (LEAST_BUFFER * ENTRY_BYTES) as usize, limit: memory });
    }
    let mut ranges = vec![];
    let (mut from, mut held) = (0, 0);
    for (gene, count) in layout.counts(0..layout.genes()).enumerate() {
        let least = count.min(LEAST_BUFFER);
        if held + least > fits {
            ranges.push(from..gene);
            (from, held) = (gene, 0);
        }
        held += least;
    }
    ranges.push(from..layout.genes());
    Ok(ranges)
}

impl<'a> Placing<'a> {
    /// For one range of [`passes`].
    pub fn new(draft: &'a Draft, genes: Range<usize>, memory: usize) -> Self {
        let layout = &draft.scratch.layout;
        let largest = largest_buffer(layout, &genes, memory as u64 / ENTRY_BYTES);
        let total = layout.starts[genes.end] - layout.starts[genes.start];
        let share = total.div_ceil(rayon::current_num_threads() as u64).max(1);
        let mut shares = vec![];
        let mut from = genes.start;
        while from < genes.end {
            let full = layout.starts[from].saturating_add(share);
            let starts = &layout.starts[from + 1..genes.end];
            let to = from + 1 + starts.partition_point(|&start| start < full);
            shares.push(Share::new(draft, from..to, largest));
            from = to;
        }
        Self { shares }
    }

    /// # Errors
    /// [`Error::Sparse`] where a gene gets more entries than it has place for, and those
    /// of writing.
    pub fn place(&mut self, batch: &impl Batch) -> Result<()> {
        self.shares.par_iter_mut().try_for_each(|share| {
            batch.visit(share.genes.clone(), |gene, cell, value| share.push(gene, cell, value))
        })
    }

    /// Empties the buffers. Returns the genes whose cells did not come in strictly
    /// increasing order.
    ///
    /// # Errors
    /// [`Error::Sparse`] where a gene got fewer entries than it has place for, and those
    /// of writing.
    pub fn finish(mut self) -> Result<Vec<usize>> {
        self.shares.par_iter_mut().try_for_each(Share::finish)?;
        let disordered = self.shares.iter().flat_map(|share| {
            let genes = share.genes.clone().zip(&share.places);
            genes.filter(|(_, place)| !place.in_order).map(|(gene, _)| gene)
        });
        Ok(disordered.collect())
    }
}

/// How large a buffer may be at most, in entries, if as many fit into memory.
fn largest_buffer(layout: &Layout, genes: &Range<usize>, fits: u64) -> u64 {
    let needed = |largest: u64| -> u64 {
        layout.counts(genes.clone()).map(|count| count.min(largest)).sum()
    };
    let (mut largest, mut beyond) = (LEAST_BUFFER, fits + 1);
    while beyond - largest > 1 {
        let middle = largest + (beyond - largest) / 2;
        if needed(middle) <= fits { largest = middle } else { beyond = middle }
    }
    largest
}

impl<'a> Share<'a> {
    fn new(draft: &'a Draft, genes: Range<usize>, largest: u64) -> Self {
        let starts = &draft.scratch.layout.starts[genes.start..=genes.end];
        let mut buffers = 0;
        let place = |span: &[u64]| {
            let room = (span[1] - span[0]).min(largest) as usize;
            let buffer = buffers;
            buffers += room;
            let (next, end) = (span[0], span[1]);
            Place { buffer, room, held: 0, next, end, least: 0, in_order: true }
        };
        let places = starts.windows(2).map(place).collect();
        let (cells, values) = (vec![0; buffers], vec![0.0; buffers]);
        Self { draft, genes, places, cells, values, single: vec![] }
    }

    fn push(&mut self, gene: usize, cell: u32, value: f64) -> Result<()> {
        let k = gene - self.genes.start;
        if self.places[k].held == self.places[k].room {
            self.flush(k)?;
        }
        let place = &mut self.places[k];
        if place.next + place.held as u64 == place.end {
            return Err(CHANGED);
        }
        self.cells[place.buffer + place.held] = cell;
        self.values[place.buffer + place.held] = value;
        place.held += 1;
        place.in_order &= cell >= place.least;
        place.least = cell + 1;
        Ok(())
    }

    fn flush(&mut self, k: usize) -> Result<()> {
        let place = &mut self.places[k];
        let span = place.buffer..place.buffer + place.held;
        let (cells, values) = (&self.cells[span.clone()], &self.values[span]);
        self.draft.write(place.next, cells, values, &mut self.single)?;
        place.next += place.held as u64;
        place.held = 0;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        for k in 0..self.places.len() {
            self.flush(k)?;
            if self.places[k].next != self.places[k].end {
                return Err(CHANGED);
            }
        }
        Ok(())
    }
}

/// Entries are gone through more than once.
const CHANGED: Error = Error::Sparse("the counts changed while they were read");
