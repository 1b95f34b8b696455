use super::pass::Workspace;
use crate::Result;
use rayon::prelude::*;
use std::ops::Range;

/// One value a gene, by all threads of the pool: each takes a gene at a time, or where
/// there are too few genes for that, all take cells of the same one.
pub fn each_gene<T: Send>(
    genes: Range<usize>,
    cells: usize,
    one: impl Fn(&mut Workspace, usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    match Workspace::for_few_genes(genes.len(), cells) {
        Some(mut workspace) => genes.map(|gene| one(&mut workspace, gene)).collect(),
        None => {
            let genes = genes.into_par_iter().with_max_len(1);
            genes.map_init(Workspace::new, &one).collect()
        }
    }
}
