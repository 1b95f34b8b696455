//! The ways to write a matrix and its names.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::select;

use super::matrix::{Matrix, shuffled};

/// How a matrix is written.
#[derive(Clone, Debug)]
pub struct Manner {
    pub names: [&'static str; 3],
    pub prefix: &'static str,
    /// In how many members, if it is compressed.
    pub gzip: Option<usize>,
    line_end: &'static str,
    ends_with_line_end: bool,
    blank_lines: bool,
    blanks: &'static str,
    comment: &'static str,
    pub field: &'static str,
    /// Whether cells are in rows.
    pub turned: bool,
    seed: u64,
}

/// As Cell Ranger writes it.
const PLAIN: Manner = Manner {
    names: ["matrix.mtx", "barcodes.tsv", "features.tsv"],
    prefix: "",
    gzip: None,
    line_end: "\n",
    ends_with_line_end: true,
    blank_lines: false,
    blanks: " ",
    comment: "%metadata_json: {\"format_version\": 2}\n",
    field: "real",
    turned: false,
    seed: 0,
};

const NAMES: [[&str; 3]; 5] = [
    PLAIN.names,
    ["matrix.mtx", "barcodes.tsv", "genes.tsv"],
    ["cells_x_genes.mtx", "cells_x_genes.barcodes.txt", "cells_x_genes.genes.txt"],
    ["quants_mat.mtx", "quants_mat_rows.txt", "quants_mat_cols.txt"],
    ["count_matrix.mtx", "cell_metadata.csv", "all_genes.csv"],
];

pub fn manners() -> impl Strategy<Value = Manner> {
    let files = (
        select(&NAMES),
        select(&["", "GSM1_", "a.b-"]),
        select(&[None, Some(1), Some(3)]),
        select(&["\n", "\r\n"]),
    );
    let text = (
        any::<(bool, bool, bool)>(),
        select(&[" ", "\t", "  "]),
        select(&["", "%\n", "% of a\n\n%b\n"]),
        select(&["real", "Integer", "pattern"]),
        any::<u64>(),
    );
    (files, text).prop_map(|((names, prefix, gzip, line_end), text)| {
        let ((ends_with_line_end, blank_lines, turned), blanks, comment, field, seed) = text;
        Manner {
            names,
            prefix,
            gzip,
            line_end,
            ends_with_line_end,
            blank_lines,
            blanks,
            comment,
            field,
            turned,
            seed,
        }
    })
}

impl Manner {
    pub fn write(&self, matrix: &Matrix, folder: &Path) {
        let [counts, barcodes, features] = self.names;
        self.write_file(folder, counts, &self.matrix_text(matrix));
        let is_table = barcodes.ends_with(".csv");
        let head = |fields: &str| if is_table { format!("{fields}\n") } else { String::new() };
        let cell =
            |c: usize| if is_table { format!("\"cell,{c}\",x\n") } else { format!("cell{c}\n") };
        let gene = |g: usize| match is_table {
            true => format!("id{g},\"a \"\"{g}\"\"\",hg38\n"),
            false => format!("id{g}\tname{g}\tGene Expression\n"),
        };
        let cells: String = (0..matrix.cells).map(cell).collect();
        let genes: String = (0..matrix.genes).map(gene).collect();
        self.write_file(folder, barcodes, &(head("bc_wells,sample") + &cells));
        self.write_file(folder, features, &(head("gene_id,gene_name,genome") + &genes));
    }

    fn matrix_text(&self, matrix: &Matrix) -> String {
        let Self { field, comment, blanks, .. } = self;
        let size = matrix.entries.len();
        let (rows, columns) = self.places(matrix.genes, matrix.cells);
        let mut text = format!("%%MatrixMarket matrix coordinate {field} general\n{comment}");
        text += &format!("{rows}{blanks}{columns}{blanks}{size}\n");
        for (cell, gene, value) in shuffled(matrix, self.seed) {
            let (row, column) = self.places(gene + 1, cell + 1);
            text += &match *field {
                "pattern" => format!("{row}{blanks}{column}\n"),
                _ => format!("{row}{blanks}{column}{blanks}{value}\n"),
            };
        }
        text
    }

    fn places<T>(&self, gene: T, cell: T) -> (T, T) {
        if self.turned { (cell, gene) } else { (gene, cell) }
    }

    fn write_file(&self, folder: &Path, name: &str, text: &str) {
        let mut text = text.replace('\n', self.line_end);
        if self.blank_lines {
            text += &[self.line_end; 2].concat();
        } else if !self.ends_with_line_end {
            text.truncate(text.trim_ascii_end().len());
        }
        let name = format!("{}{name}", self.prefix);
        match self.gzip {
            None => fs::write(folder.join(name), text).unwrap(),
            Some(members) => {
                let share = text.len().div_ceil(members).max(1);
                let compressed: Vec<u8> = text.as_bytes().chunks(share).flat_map(gzip).collect();
                fs::write(folder.join(name + ".gz"), compressed).unwrap();
            }
        }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
