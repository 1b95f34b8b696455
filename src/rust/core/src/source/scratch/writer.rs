use super::Scratch;
use super::draft::Draft;
use super::layout::{Layout, Width};
use super::place::{Batch, Placing, passes};
use crate::claim::{access_error, write_error};
use crate::draft_name::DraftName;
use crate::source::Room;
use crate::source::blocks::is_single;
use crate::{Error, Monitor, Result};
use rayon::prelude::*;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How many entries are held in memory before they are written, and when they are read.
const HELD: usize = 1 << 18;

/// In the file of entries.
const ENTRY_BYTES: u64 = 16;

/// Makes a scratch file of entries that come in any order. Until the last is there they
/// wait in a file of 16 bytes each, beside the scratch file and without a name.
pub struct ScratchWriter {
    path: PathBuf,
    key: String,
    cells: usize,
    by_gene: Vec<usize>,
    /// Whether all values are the same as an `f32`.
    single: bool,
    waiting: File,
    written: u64,
    held: Held,
}

#[derive(Default)]
struct Held {
    genes: Vec<u32>,
    cells: Vec<u32>,
    values: Vec<f64>,
}

impl ScratchWriter {
    /// For a file at `path` of so many genes and cells; `key` says what it is made of:
    /// see [`Scratch::open`].
    ///
    /// # Errors
    /// [`Error::OutputAccess`] where no file can be made there, [`Error::Shape`] where
    /// there are more genes or cells than 32 bits count.
    pub fn create(path: &Path, key: &str, genes: usize, cells: usize) -> Result<Self> {
        let by_gene = vec![0; genes];
        Layout::new(&by_gene, cells, Width::Single, key)?;
        let (_name, waiting) =
            DraftName::beside(path).map_err(|error| access_error(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            key: key.to_owned(),
            cells,
            by_gene,
            single: true,
            waiting,
            written: 0,
            held: Held::default(),
        })
    }

    /// Takes an entry; gene and cell count from 0. A zero is dropped.
    ///
    /// # Errors
    /// [`Error::Sparse`] where there is no such gene or cell, and those of writing.
    pub fn push(&mut self, gene: u32, cell: u32, value: f64) -> Result<()> {
        let Some(count) = self.by_gene.get_mut(gene as usize) else {
            return Err(Error::Sparse("gene out of range"));
        };
        if cell as usize >= self.cells {
            return Err(Error::Sparse("cell out of range"));
        }
        if value == 0.0 {
            return Ok(());
        }
        *count += 1;
        self.single &= is_single(value);
        self.held.genes.push(gene);
        self.held.cells.push(cell);
        self.held.values.push(value);
        if self.held.genes.len() == HELD { self.write_held() } else { Ok(()) }
    }

    /// Puts all of them in their places, as [`transpose`](super::transpose) does.
    /// `origin` is the file that they are from.
    ///
    /// # Errors
    /// [`Error::InputFile`] where a cell came twice for a gene, and those of
    /// [`transpose`](super::transpose).
    pub fn finish(mut self, origin: &Path, memory: usize, monitor: &Monitor) -> Result<Scratch> {
        self.write_held()?;
        let refused = |reason| Error::InputFile { path: origin.to_owned(), reason };
        if let Some(gene) = self.by_gene.iter().position(|&count| count > self.cells) {
            let reason = format!("gene {} has more entries than there are cells", gene + 1);
            return Err(refused(reason));
        }
        let width = if self.single { Width::Single } else { Width::Double };
        let layout = Layout::new(&self.by_gene, self.cells, width, &self.key)?;
        let passes = passes(&layout, memory)?;
        let draft = Draft::create(&self.path, &self.key, layout)?;
        let mut room = Room::default();
        for genes in passes {
            let mut placing = Placing::new(&draft, genes, memory);
            for first in (0..self.written).step_by(HELD) {
                monitor.check()?;
                self.read_held(first)?;
                placing.place(&self.held)?;
            }
            for gene in placing.finish()? {
                monitor.check()?;
                if let Some(cell) = sort(&draft, gene, &mut room)? {
                    let reason = format!(
                        "gene {} and cell {} (counted from 1) have two entries",
                        gene + 1,
                        cell + 1
                    );
                    return Err(refused(reason));
                }
            }
        }
        draft.publish()
    }

    fn write_held(&mut self) -> Result<()> {
        let Held { genes, cells, values } = &self.held;
        let count = genes.len() as u64;
        let place = self.written * ENTRY_BYTES;
        self.waiting
            .write_all_at(bytemuck::cast_slice(genes), place)
            .and_then(|()| {
                self.waiting.write_all_at(bytemuck::cast_slice(cells), place + 4 * count)
            })
            .and_then(|()| {
                self.waiting.write_all_at(bytemuck::cast_slice(values), place + 8 * count)
            })
            .map_err(|error| write_error(&self.path, place + ENTRY_BYTES * count, &error))?;
        self.written += count;
        self.held.resize(0);
        Ok(())
    }

    /// As many as were written at once, from the `first` on.
    fn read_held(&mut self, first: u64) -> Result<()> {
        let count = (self.written - first).min(HELD as u64);
        self.held.resize(count as usize);
        let Held { genes, cells, values } = &mut self.held;
        let place = first * ENTRY_BYTES;
        self.waiting
            .read_exact_at(bytemuck::cast_slice_mut(genes), place)
            .and_then(|()| {
                self.waiting.read_exact_at(bytemuck::cast_slice_mut(cells), place + 4 * count)
            })
            .and_then(|()| {
                self.waiting.read_exact_at(bytemuck::cast_slice_mut(values), place + 8 * count)
            })
            .map_err(|error| access_error(&self.path, &error))
    }
}

impl Held {
    fn resize(&mut self, count: usize) {
        self.genes.resize(count, 0);
        self.cells.resize(count, 0);
        self.values.resize(count, 0.0);
    }
}

impl Batch for Held {
    fn visit(
        &self,
        genes: Range<usize>,
        mut visit: impl FnMut(usize, u32, f64) -> Result<()>,
    ) -> Result<()> {
        for (k, &gene) in self.genes.iter().enumerate() {
            if genes.contains(&(gene as usize)) {
                visit(gene as usize, self.cells[k], self.values[k])?;
            }
        }
        Ok(())
    }
}

/// Brings the cells of a gene into order. Returns one that is there twice, if one is.
fn sort(draft: &Draft, gene: usize, room: &mut Room) -> Result<Option<u32>> {
    let scratch = &draft.scratch;
    scratch.read_into(gene..gene + 1, room).map_err(|error| access_error(&scratch.path, &error))?;
    let Room { indices, values, single, .. } = room;
    let mut entries: Vec<(u32, f64)> =
        indices.iter().copied().zip(values.iter().copied()).collect();
    entries.par_sort_unstable_by_key(|&(cell, _)| cell);
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Ok(Some(pair[0].0));
    }
    (*indices, *values) = entries.into_iter().unzip();
    draft.write(scratch.layout.starts[gene], indices, values, single)?;
    Ok(None)
}
