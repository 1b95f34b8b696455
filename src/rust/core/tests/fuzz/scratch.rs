//! Scratch files. They are our own, but lie about on disks for months.

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use scoria_core::source::{Scratch, ScratchWriter, Source, gene_blocks};
use scoria_core::{Error, Monitor, Result};

pub fn build(folder: &Path, random: &mut ChaCha8Rng) {
    let (genes, cells) = (random.random_range(0..20), random.random_range(0..30));
    let mut writer = ScratchWriter::create(&folder.join("counts"), "key", genes, cells).unwrap();
    let whole: bool = random.random();
    for gene in 0..genes as u32 {
        for cell in (0..cells as u32).filter(|_| random.random_ratio(1, 3)) {
            let value = f64::from(gene + 1) / if whole { 1.0 } else { 10.0 };
            writer.push(gene, cell, value).unwrap();
        }
    }
    writer.finish(folder, 1 << 20, &Monitor::new()).unwrap();
}

pub fn run(folder: &Path) -> Result<()> {
    let path = folder.join("counts");
    let Some(scratch) = Scratch::open(&path, "key")? else {
        return Err(Error::InputFile { path, reason: "is no scratch file".to_owned() });
    };
    for block in gene_blocks(&scratch, 50)? {
        let block = block?;
        for gene in block.genes() {
            let cells = block.gene(gene).cells;
            assert!(cells.is_sorted_by(|one, next| one < next));
            assert!(cells.iter().all(|&cell| (cell as usize) < scratch.cells()));
        }
    }
    Ok(())
}
