//! Folders with MatrixMarket text. What is read of one is compared with a slow reading.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use scoria_core::source::{MtxFiles, Source, find_mtx, gene_blocks, read_mtx};
use scoria_core::{Monitor, Result};

const NAMES: [[&str; 3]; 3] = [
    ["matrix.mtx", "barcodes.tsv", "features.tsv"],
    ["quants_mat.mtx", "quants_mat_rows.txt", "quants_mat_cols.txt"],
    ["count_matrix.mtx", "cell_metadata.csv", "all_genes.csv"],
];

pub fn build(folder: &Path, random: &mut ChaCha8Rng) {
    let names = NAMES.choose(random).unwrap();
    let (genes, cells) = (random.random_range(0..12), random.random_range(0..12));
    let texts = [
        matrix(genes, cells, names[1] == "barcodes.tsv", random),
        lines(cells, names[1]),
        lines(genes, names[2]),
    ];
    for (name, text) in names.iter().zip(texts) {
        let path = folder.join(name);
        if random.random_ratio(1, 4) {
            let mut gzip = GzEncoder::new(vec![], Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            fs::write(path, gzip.finish().unwrap()).unwrap();
        } else {
            fs::write(path, text).unwrap();
        }
    }
}

fn matrix(genes: u32, cells: u32, genes_in_rows: bool, random: &mut ChaCha8Rng) -> String {
    let (rows, columns) = if genes_in_rows { (genes, cells) } else { (cells, genes) };
    let places = (1..=rows).flat_map(|row| (1..=columns).map(move |column| (row, column)));
    let mut places: Vec<_> = places.filter(|_| random.random_ratio(1, 3)).collect();
    places.shuffle(random);
    let field = ["integer", "real", "pattern"].choose(random).unwrap();
    let mut text = format!("%%MatrixMarket matrix coordinate {field} general\n%\n");
    text += &format!("{rows} {columns} {}\n", places.len());
    for (row, column) in places {
        text += &match *field {
            "pattern" => format!("{row} {column}\n"),
            "integer" => format!("{row} {column} {}\n", random.random_range(0..9)),
            _ => format!("{row} {column} {:e}\n", random.random_range(0.0..9.0)),
        };
    }
    text
}

fn lines(count: u32, name: &str) -> String {
    let (head, between) = if name.ends_with(".csv") { ("id,name\n", ',') } else { ("", '\t') };
    let lines = (0..count).map(|k| format!("id{k}{between}name{k}{between}type\n"));
    head.to_owned() + &lines.collect::<String>()
}

pub fn run(folder: &Path) -> Result<()> {
    let files = find_mtx(folder)?;
    let (barcodes, features) = (files.read_barcodes()?, files.read_features()?);
    let made = folder.with_file_name("fuzz-mtx-made");
    let scratch = read_mtx(&files, &made, "", 1 << 16, &Monitor::new())?;
    assert_eq!(scratch.cells(), barcodes.len());
    assert_eq!(
        [scratch.genes(); 3],
        [&features.ids, &features.names, &features.types].map(Vec::len)
    );
    let mut read = BTreeMap::new();
    for block in gene_blocks(&scratch, 50)? {
        let block = block?;
        for gene in block.genes() {
            let counts = block.gene(gene);
            let each = counts.cells.iter().zip(counts.counts);
            read.extend(each.map(|(&cell, &value)| ((gene, cell as usize), value)));
        }
    }
    assert_eq!(read, read_slowly(&files, scratch.genes(), scratch.cells()));
    Ok(())
}

/// Of a file that was found to be good.
fn read_slowly(files: &MtxFiles, genes: usize, cells: usize) -> BTreeMap<(usize, usize), f64> {
    let mut bytes = fs::read(&files.matrix).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut inflated = vec![];
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut inflated).unwrap();
        bytes = inflated;
    }
    // Comments need not be in UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    let lines =
        text.split('\n').skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let mut lines = lines.filter(|words| words.first().is_some_and(|word| !word.starts_with('%')));
    let sizes = lines.next().unwrap();
    let size = |k: usize| sizes[k].parse::<usize>().unwrap();
    let straight = (size(0), size(1)) == (genes, cells);
    let by_custom = genes != cells || files.barcodes.ends_with("barcodes.tsv");
    let mut entries = BTreeMap::new();
    let mut count = 0;
    for words in lines {
        let index = |k: usize| words[k].parse::<usize>().unwrap() - 1;
        let place = if straight && by_custom { (index(0), index(1)) } else { (index(1), index(0)) };
        let value = words.get(2).map_or(1.0, |word| word.parse().unwrap());
        count += 1;
        if value != 0.0 {
            assert_eq!(entries.insert(place, value), None);
        }
    }
    assert_eq!(count, size(2));
    entries
}
