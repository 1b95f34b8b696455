//! Files of Cell Ranger, of version 3 and of version 2.

use std::path::Path;

use hdf5_metno::{File, Group};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use scoria_core::Result;
use scoria_core::source::frame::read_10x;
use scoria_core::source::{Container, Source, open_10x};

use super::hdf5::{Compressed, read_counts};
use super::pen::{Kind, Pen};

pub fn build(folder: &Path, random: &mut ChaCha8Rng) {
    let pen = &mut Pen::new(random);
    let (genes, cells) = (pen.random.random_range(0..15), pen.random.random_range(0..15));
    let file = File::create(folder.join("file.h5")).unwrap();
    if pen.one_in(2) {
        let matrix = pen.group(&file, "matrix");
        write_matrix(&matrix, genes, cells, pen);
        let features = pen.group(&matrix, "features");
        for name in ["id", "name", "feature_type", "genome"] {
            write_texts(&features, name, genes, pen);
        }
    } else {
        let genome = pen.group(&file, "hg19");
        write_matrix(&genome, genes, cells, pen);
        write_texts(&genome, "genes", genes, pen);
        write_texts(&genome, "gene_names", genes, pen);
    }
}

fn write_matrix(group: &Group, genes: usize, cells: usize, pen: &mut Pen<'_>) {
    Compressed::random(cells, genes, pen).write(group, pen);
    let shape = [genes, cells].map(|extent| extent as f64);
    pen.numbers(group, "shape", &shape, &[Kind::I32, Kind::I64, Kind::U64]);
    write_texts(group, "barcodes", cells, pen);
}

fn write_texts(group: &Group, name: &str, count: usize, pen: &mut Pen<'_>) {
    let texts: Vec<_> = (0..count).map(|k| format!("{name}{k}")).collect();
    pen.texts(group, name, &texts);
}

pub fn run(folder: &Path) -> Result<()> {
    let path = folder.join("file.h5");

    let found = read_10x(&Container::open(&path)?.file, None);
    // The counts may be good where the names are not.
    let group = found.as_ref().map_or("matrix", |found| &found.group);
    let counts = open_10x(&path, group)?;
    read_counts(&counts)?;
    let found = found?;
    assert_eq!(found.cells.index.len(), counts.cells());
    assert_eq!(found.genes.index.len(), counts.genes());
    Ok(())
}
