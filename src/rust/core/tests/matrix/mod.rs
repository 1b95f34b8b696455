//! A matrix of which everything is obvious, and what a source is compared with it by.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use scoria_core::Result;
use scoria_core::source::{GeneBlock, Source, gene_blocks};

/// Genes by cells, stored zeros among them.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub genes: usize,
    pub cells: usize,
    pub entries: BTreeMap<(u32, u32), f64>,
}

/// The cells where a gene has counts, and the counts.
pub type Gene = (Vec<u32>, Vec<f64>);

impl Matrix {
    /// The entries of each gene other than zero.
    pub fn by_gene(&self) -> Vec<Gene> {
        let of = |gene: u32| {
            let own = |&(&(_, g), value): &(&(u32, u32), &f64)| g == gene && *value != 0.0;
            self.entries.iter().filter(own).map(|(&(cell, _), &value)| (cell, value)).unzip()
        };
        (0..self.genes as u32).map(of).collect()
    }
}

/// Small whole numbers as a rule, sometimes what a `f32` cannot hold.
pub fn matrices() -> impl Strategy<Value = Matrix> {
    let value = prop_oneof![20 => (0..5).prop_map(f64::from), 1 => Just(0.1), 1 => Just(-3e40)];
    let narrow = (0..5).prop_map(f64::from);
    (1..20_usize, 1..200_usize, any::<bool>()).prop_flat_map(move |(genes, cells, wide)| {
        let place = (0..cells as u32, 0..genes as u32);
        let value = if wide { value.clone().boxed() } else { narrow.clone().boxed() };
        prop::collection::btree_map(place, value, 0..1500).prop_map(move |entries| Matrix {
            genes,
            cells,
            entries,
        })
    })
}

pub fn by_gene(source: &dyn Source) -> Vec<Gene> {
    let blocks = gene_blocks(source, 100).unwrap().map(Result::unwrap);
    let of_block = |block: GeneBlock| {
        let of = |gene| (block.gene(gene).cells.to_vec(), block.gene(gene).counts.to_vec());
        block.genes().map(of).collect::<Vec<_>>()
    };
    blocks.flat_map(of_block).collect()
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    fs::read_dir(folder).unwrap().map(|entry| name(entry).into_string().unwrap()).collect()
}

/// By a linear congruential order, which is as good as any here.
pub fn shuffled(matrix: &Matrix, seed: u64) -> Vec<(u32, u32, f64)> {
    let mut state = seed;
    let mut keyed: Vec<(u64, (u32, u32, f64))> = (matrix.entries.iter())
        .map(|(&(cell, gene), &value)| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 32, (cell, gene, value))
        })
        .collect();
    keyed.sort_by_key(|&(key, _)| key);
    keyed.into_iter().map(|(_, entry)| entry).collect()
}
