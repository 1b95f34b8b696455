use super::Job;
use super::fill::fill;
use super::groups::NO_GROUP;
use super::numbers::Check;
use super::sorted::pack;
use crate::Result;
use crate::pages::in_large_pages;
use crate::result::GroupTable;
use crate::source::{for_each_piece, shares, span};
use rayon::prelude::*;
use std::ops::Range;

/// Bytes of a value with its class.
pub(super) const PACKED: usize = size_of::<u64>();

/// Some genes' values in one word each, in the order of the cells.
struct Packed {
    genes: Range<usize>,
    starts: Vec<usize>,
    ends: Vec<usize>,
    entries: Vec<u64>,
}

/// Values that are all exact in 32 bits, of a source that is stored by cell: two thirds
/// of what they take otherwise, so that the source is read less often. `expressed` says
/// how many each gene has.
pub(super) fn compare_packed(
    job: &Job,
    table: &mut GroupTable,
    expressed: &[usize],
    capacity: usize,
    check: &Check,
) -> Result<()> {
    let mut from = 0;
    while from < expressed.len() {
        let genes = span(expressed, from, capacity);
        from = genes.end;
        let parts = gather(job, genes.clone(), expressed, check)?;
        fill(job, table, genes, |gene, workspace| {
            let part = &parts[parts.partition_point(|part| part.genes.end <= gene)];
            let k = gene - part.genes.start;
            let entries = &part.entries[part.starts[k]..part.ends[k]];
            let (moments, order) = (&mut workspace.moments, &mut workspace.order);
            workspace.entries.describe_packed(entries, job, moments, order);
            Ok(())
        })?;
    }
    Ok(())
}

fn gather(
    job: &Job,
    genes: Range<usize>,
    expressed: &[usize],
    check: &Check,
) -> Result<Vec<Packed>> {
    let mut parts: Vec<Packed> = shares(expressed, genes)
        .into_iter()
        .map(|genes| Packed::with_room(genes, expressed))
        .collect();
    for_each_piece(job.source, |piece| {
        job.monitor.check()?;
        parts.par_iter_mut().with_max_len(1).try_for_each(|part| {
            let first = part.genes.start;
            for (cell, genes, values) in piece.cells_within(part.genes.clone()) {
                check.look(values)?;
                let class = job.groups.of()[cell];
                if class == NO_GROUP {
                    continue;
                }
                for (&gene, &value) in genes.iter().zip(values).filter(|(_, v)| **v != 0.0) {
                    let end = &mut part.ends[gene as usize - first];
                    part.entries[*end] = pack(value as f32, class);
                    *end += 1;
                }
            }
            Ok(())
        })
    })?;
    Ok(parts)
}

impl Packed {
    fn with_room(genes: Range<usize>, expressed: &[usize]) -> Self {
        let mut total = 0;
        let starts: Vec<usize> = expressed[genes.clone()]
            .iter()
            .map(|&count| {
                total += count;
                total - count
            })
            .collect();
        let mut entries = vec![0; total];
        in_large_pages(&mut entries);
        Self { genes, ends: starts.clone(), starts, entries }
    }
}
