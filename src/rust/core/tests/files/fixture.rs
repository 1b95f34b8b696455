//! Files as AnnData and Cell Ranger write them.

use hdf5_metno::dataset::Layout;
use hdf5_metno::types::VarLenUnicode;
use hdf5_metno::{DatasetBuilder, File, Group, H5Type, Location};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scoria_core::source::{Axis, Csc, Source, gene_blocks};
use std::path::Path;
use tempfile::TempDir;

/// Counts of genes x cells, by cell.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub genes: usize,
    pub cells: usize,
    pub starts: Vec<i32>,
    pub rows: Vec<i32>,
    pub values: Vec<f64>,
}

/// How a dataset is stored.
#[derive(Clone, Copy, Debug)]
pub enum Packing {
    Contiguous,
    Compact,
    Chunked,
    Gzip,
    ShuffledGzip,
    Lzf,
    Checked,
}

/// What a value of a file can be made from.
pub trait FromCount: H5Type + Copy {
    fn from_count(count: f64) -> Self;
}

macro_rules! from_count {
    ($($type:ty)*) => {$(
        impl FromCount for $type {
            fn from_count(count: f64) -> Self {
                count as Self
            }
        }
    )*};
}

from_count!(i8 u8 i16 u16 i32 u32 i64 u64 f32 f64);

impl Matrix {
    /// Counts of 1 to 100, which every type holds.
    pub fn random(genes: usize, cells: usize, density: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut starts, mut rows, mut values) = (vec![0], vec![], vec![]);
        for _ in 0..cells {
            for gene in 0..genes {
                if rng.random::<f64>() < density {
                    rows.push(gene as i32);
                    values.push(f64::from(rng.random_range(1..=100u8)));
                }
            }
            starts.push(rows.len() as i32);
        }
        Self { genes, cells, starts, rows, values }
    }

    pub fn csc(&self) -> Csc<'_> {
        Csc::new(self.genes, &self.starts, &self.rows, &self.values).unwrap()
    }

    /// Offsets, indices and values along an axis.
    pub fn along(&self, axis: Axis) -> (Vec<u64>, Vec<u32>, Vec<f64>) {
        if axis == Axis::Cells {
            let starts = self.starts.iter().map(|&start| start as u64).collect();
            let indices = self.rows.iter().map(|&row| row as u32).collect();
            return (starts, indices, self.values.clone());
        }
        let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
        for (cells, counts) in seen(&self.csc()) {
            indices.extend(cells);
            values.extend(counts);
            starts.push(indices.len() as u64);
        }
        (starts, indices, values)
    }
}

/// Cells and counts of every gene.
pub fn seen(source: &dyn Source) -> Vec<(Vec<u32>, Vec<f64>)> {
    let blocks = gene_blocks(source, 64).unwrap().map(Result::unwrap);
    let genes = blocks.flat_map(|block| {
        let of = |gene| (block.gene(gene).cells.to_vec(), block.gene(gene).counts.to_vec());
        block.genes().map(of).collect::<Vec<_>>()
    });
    genes.collect()
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn write_h5ad_sparse<V: FromCount, I: FromCount>(
    path: &Path,
    matrix: &Matrix,
    axis: Axis,
    packing: Packing,
) {
    write_h5ad_at::<V, I>(path, "X", matrix, axis, packing);
}

pub fn write_h5ad_at<V: FromCount, I: FromCount>(
    path: &Path,
    name: &str,
    matrix: &Matrix,
    axis: Axis,
    packing: Packing,
) {
    let file = anndata(path);
    let group = file.create_group(name).unwrap();
    text(&group, "encoding-type", if axis == Axis::Cells { "csr_matrix" } else { "csc_matrix" });
    text(&group, "encoding-version", "0.1.0");
    write_shape(&group, "shape", matrix);
    write_sparse::<V, I>(&group, matrix, axis, packing);
}

/// As AnnData before 0.7.
pub fn write_h5sparse(path: &Path, matrix: &Matrix, axis: Axis) {
    let file = File::create(path).unwrap();
    for name in ["obs", "var"] {
        file.new_dataset::<i32>().shape(1).create(name).unwrap();
    }
    let group = file.create_group("X").unwrap();
    text(&group, "h5sparse_format", if axis == Axis::Cells { "csr" } else { "csc" });
    write_shape(&group, "h5sparse_shape", matrix);
    write_sparse::<f32, i32>(&group, matrix, axis, Packing::Gzip);
}

pub fn write_h5ad_dense<V: FromCount>(path: &Path, matrix: &Matrix, packing: Packing) {
    let file = anndata(path);
    let mut values = vec![V::from_count(0.0); matrix.cells * matrix.genes];
    for cell in 0..matrix.cells {
        for at in matrix.starts[cell] as usize..matrix.starts[cell + 1] as usize {
            values[cell * matrix.genes + matrix.rows[at] as usize] =
                V::from_count(matrix.values[at]);
        }
    }
    let builder =
        packed(file.new_dataset_builder(), packing, &[5.min(matrix.cells), 3.min(matrix.genes)]);
    let dataset = builder.empty::<V>().shape((matrix.cells, matrix.genes)).create("X").unwrap();
    dataset.write_raw(&values).unwrap();
    text(&dataset, "encoding-type", "array");
    text(&dataset, "encoding-version", "0.2.0");
}

pub fn write_10x(path: &Path, group: &str, matrix: &Matrix, packing: Packing) {
    let file = File::create(path).unwrap();
    let group = file.create_group(group).unwrap();
    write_sparse::<i32, i64>(&group, matrix, Axis::Cells, packing);
    let shape = [matrix.genes as i32, matrix.cells as i32];
    write::<i32>(&group, "shape", &shape, Packing::Contiguous);
}

pub fn anndata(path: &Path) -> File {
    let file = File::create(path).unwrap();
    text(&file, "encoding-type", "anndata");
    text(&file, "encoding-version", "0.1.0");
    file
}

pub fn text(location: &Location, name: &str, value: &str) {
    let value: VarLenUnicode = value.parse().unwrap();
    location.new_attr::<VarLenUnicode>().create(name).unwrap().write_scalar(&value).unwrap();
}

pub fn write_shape(group: &Group, name: &str, matrix: &Matrix) {
    let shape = [matrix.cells as i64, matrix.genes as i64];
    group.new_attr::<i64>().shape(2).create(name).unwrap().write_raw(&shape).unwrap();
}

pub fn write<T: H5Type>(group: &Group, name: &str, values: &[T], packing: Packing) {
    let packing = if values.is_empty() { Packing::Contiguous } else { packing };
    let builder = packed(group.new_dataset_builder(), packing, &[7.min(values.len())]);
    let dataset = builder.empty::<T>().shape(values.len()).create(name).unwrap();
    dataset.write_raw(values).unwrap();
}

fn write_sparse<V: FromCount, I: FromCount>(
    group: &Group,
    matrix: &Matrix,
    axis: Axis,
    packing: Packing,
) {
    let (starts, indices, values) = matrix.along(axis);
    let narrow = |index: &u32| I::from_count(f64::from(*index));
    let starts: Vec<i64> = starts.iter().map(|&start| start as i64).collect();
    write(group, "indptr", &starts, packing);
    write(group, "indices", &indices.iter().map(narrow).collect::<Vec<I>>(), packing);
    let values: Vec<V> = values.iter().map(|&value| V::from_count(value)).collect();
    write(group, "data", &values, packing);
}

fn packed(builder: DatasetBuilder, packing: Packing, chunk: &[usize]) -> DatasetBuilder {
    let chunked = || builder.clone().chunk(chunk.to_vec());
    match packing {
        Packing::Contiguous => builder.no_chunk(),
        Packing::Compact => builder.no_chunk().layout(Layout::Compact),
        Packing::Chunked => chunked(),
        Packing::Gzip => chunked().deflate(4),
        Packing::ShuffledGzip => chunked().shuffle().deflate(4),
        Packing::Lzf => chunked().lzf(),
        Packing::Checked => chunked().shuffle().fletcher32(),
    }
}
