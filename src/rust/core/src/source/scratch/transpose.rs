use super::Scratch;
use super::draft::Draft;
use super::layout::{Layout, Width};
use super::place::{Batch, Placing, passes};
use crate::source::blocks::count_stored;
use crate::source::{Piece, Source, Watched, for_each_piece};
use crate::{Error, Monitor, Result};
use std::ops::Range;
use std::path::Path;

/// Makes a scratch file at `path` of a source that is stored by cell, in place of any
/// file of that name, with the threads of the current pool. `key` says what it is made
/// of: see [`Scratch::open`]. Stored zeros are dropped.
///
/// Takes up to `memory` bytes for buffers, beside 64 for each gene and what the source
/// is read into. The source is read twice; more often only where `memory` is less than
/// 768 bytes a gene.
///
/// # Errors
/// [`Error::Memory`] where that is not enough for one gene, [`Error::OutputFull`] and
/// [`Error::OutputAccess`] where the file cannot be written, [`Error::Interrupted`],
/// and those of reading. Nothing is left behind then.
pub fn transpose(
    source: &dyn Source,
    path: &Path,
    key: &str,
    memory: usize,
    monitor: &Monitor,
) -> Result<Scratch> {
    let source = &Watched::new(source, monitor);
    let stored = count_stored(source)?;
    let width = if stored.single { Width::Single } else { Width::Double };
    let layout = Layout::new(&stored.by_gene, source.cells(), width, key)?;
    let passes = passes(&layout, memory)?;
    let draft = Draft::create(path, key, layout)?;
    for genes in passes {
        let mut placing = Placing::new(&draft, genes, memory);
        for_each_piece(source, |piece| placing.place(piece))?;
        if !placing.finish()?.is_empty() {
            return Err(Error::Sparse("the cells of a gene do not increase"));
        }
    }
    draft.publish()
}

impl Batch for Piece<'_> {
    fn visit(
        &self,
        genes: Range<usize>,
        mut visit: impl FnMut(usize, u32, f64) -> Result<()>,
    ) -> Result<()> {
        for (cell, genes, values) in self.cells_within(genes) {
            for (&gene, &value) in genes.iter().zip(values).filter(|(_, v)| **v != 0.0) {
                visit(gene as usize, cell as u32, value)?;
            }
        }
        Ok(())
    }
}
