use super::Job;
use super::moments::{Moments, Sample};
use super::order::Order;
use super::sorted::Entries;
use super::tally::{Desk, Tally};
use crate::Result;
use crate::result::{GroupPair, GroupTable};
use rayon::prelude::*;
use std::ops::Range;

/// What a thread works in.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// Of each class's cells that are not zero.
    pub moments: Vec<Moments>,
    pub order: Order,
    pub entries: Entries,
    pub tally: Option<Tally>,
    pub desk: Desk,
    samples: Vec<Sample>,
}

/// Pairs that a thread finds before they go to the table.
const TILE_PAIRS: usize = 1 << 14;
const MOST_GENES: usize = 64;
/// Tiles at a time for each thread.
const TILES: usize = 4;

/// Bytes that [`fill`] needs at most.
pub(super) fn fill_bytes(tested: usize) -> usize {
    let pairs = tested * tile_genes(tested) * TILES * rayon::current_num_threads();
    pairs * size_of::<GroupPair>()
}

fn tile_genes(tested: usize) -> usize {
    (TILE_PAIRS / tested.max(1)).clamp(1, MOST_GENES)
}

/// Compares all groups in some genes; `describe` puts a gene's moments and order into
/// the workspace. One tick a gene.
pub(super) fn fill(
    job: &Job,
    table: &mut GroupTable,
    genes: Range<usize>,
    describe: impl Fn(usize, &mut Workspace) -> Result<()> + Sync,
) -> Result<()> {
    let groups = job.groups;
    let size = tile_genes(groups.tested());
    let compare = |workspace: &mut Workspace, tile: &Range<usize>| -> Result<Vec<GroupPair>> {
        workspace.moments.resize(groups.classes(), Moments::default());
        let mut pairs = vec![GroupPair::default(); tile.len() * groups.tested()];
        for gene in tile.clone() {
            describe(gene, workspace)?;
            let Workspace { moments, order, samples, .. } = workspace;
            samples.clear();
            let with_zeros =
                |(class, own): (usize, &Moments)| Sample::with_zeros(*own, groups.size(class));
            samples.extend(moments.iter().enumerate().map(with_zeros));
            let mut at = gene - tile.start;
            job.comparison.compare(samples, order, |pair| {
                pairs[at] = pair;
                at += tile.len();
            });
            job.monitor.tick()?;
        }
        Ok(pairs)
    };
    let all: Vec<Range<usize>> =
        genes.clone().step_by(size).map(|from| from..(from + size).min(genes.end)).collect();
    for tiles in all.chunks(TILES * rayon::current_num_threads()) {
        let found = tiles.par_iter().with_max_len(1).map_init(Workspace::default, compare);
        let found: Result<Vec<Vec<GroupPair>>> = found.collect();
        tiles.iter().zip(found?).for_each(|(tile, pairs)| table.place(tile.clone(), &pairs));
    }
    Ok(())
}
