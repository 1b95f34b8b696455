use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytemuck::{cast_slice, cast_slice_mut};

use super::h5ad_layout::{H5adLayout, Ranking};
use super::h5ad_structure::{Places, RankingPlaces};

/// Entries of a matrix that are ranked at once.
const AT_ONCE: usize = 1 << 22;

/// Writes every group's genes by decreasing score, from layers that are written.
pub(super) fn write_ranking(
    file: &File,
    layout: &H5adLayout,
    ranking: &Ranking,
    places: &Places,
    ranked: &RankingPlaces,
) -> io::Result<()> {
    let [n_groups, n_genes] = layout.shape();
    let block = (AT_ONCE / n_genes).clamp(1, n_groups);
    let mut row = vec![0.0; n_genes];
    let mut read_row = |layer: usize, group: usize| -> io::Result<Vec<f64>> {
        let offset = places.layers[layer] + (group * n_genes * 8) as u64;
        file.read_exact_at(cast_slice_mut(&mut row), offset)?;
        Ok(row.clone())
    };
    for first in (0..n_groups).step_by(block) {
        let groups = first..n_groups.min(first + block);
        let orders: Vec<Vec<usize>> = groups
            .clone()
            .map(|group| Ok(decreasing(&read_row(ranking.scores, group)?)))
            .collect::<io::Result<_>>()?;
        for ((_, layer), &offset) in ranking.columns().into_iter().zip(&ranked.columns) {
            let mut records = vec![0.0; n_genes * groups.len()];
            for (k, group) in groups.clone().enumerate() {
                let values = read_row(layer, group)?;
                for (rank, &gene) in orders[k].iter().enumerate() {
                    records[rank * groups.len() + k] = values[gene];
                }
            }
            for (rank, fields) in records.chunks(groups.len()).enumerate() {
                let at = offset + ((rank * n_groups + first) * 8) as u64;
                file.write_all_at(cast_slice(fields), at)?;
            }
        }
        let mut fields = vec![0; groups.len() * ranked.width];
        for rank in 0..n_genes {
            fields.fill(0);
            for (field, order) in fields.chunks_mut(ranked.width).zip(&orders) {
                let name = layout.genes.index[order[rank]].as_bytes();
                field[..name.len()].copy_from_slice(name);
            }
            let at = ranked.names + ((rank * n_groups + first) * ranked.width) as u64;
            file.write_all_at(&fields, at)?;
        }
    }
    Ok(())
}

/// Places of the greatest value first, of equal ones in their order, of NaN last.
fn decreasing(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| {
        let missing_last = values[a].is_nan().cmp(&values[b].is_nan());
        missing_last.then(values[b].partial_cmp(&values[a]).unwrap_or(Ordering::Equal))
    });
    order
}
