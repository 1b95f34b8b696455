//! MatrixMarket text: however it is written, what is read is the matrix; and what is
//! wrong is refused with the file and the line.
//!
//! The reference is the matrix that the text was written of.

mod matrix;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use matrix::{Gene, Matrix, by_gene, matrices, names_in, shuffled};
use proptest::prelude::*;
use proptest::sample::select;
use scoria_core::source::{MtxFiles, Scratch, find_mtx, read_mtx};
use scoria_core::{Error, Monitor, pool};
use tempfile::{TempDir, tempdir};

const AMPLE: usize = 1 << 20;

/// How a matrix is written.
#[derive(Clone, Debug)]
struct Manner {
    names: [&'static str; 3],
    prefix: &'static str,
    /// In how many members, if it is compressed.
    gzip: Option<usize>,
    line_end: &'static str,
    ends_with_line_end: bool,
    blank_lines: bool,
    blanks: &'static str,
    comment: &'static str,
    field: &'static str,
    /// Whether cells are in rows.
    turned: bool,
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

fn manners() -> impl Strategy<Value = Manner> {
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
    fn write(&self, matrix: &Matrix, folder: &Path) {
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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(files: &MtxFiles, folder: &Path, memory: usize) -> Result<Scratch, Error> {
    read_mtx(files, &folder.join("scratch"), "", memory, &Monitor::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_matrix_comes_back_however_it_is_written(
        mut matrix in matrices(),
        mut manner in manners(),
        memory in prop_oneof![Just(AMPLE), Just(2000)],
        threads in 1..4_usize,
        named: bool,
    ) {
        // A square matrix lies as the custom is.
        let by_custom = !manner.names[1].ends_with("barcodes.tsv");
        manner.turned = if matrix.genes == matrix.cells { by_custom } else { manner.turned };
        let (folder, scratch) = (tempdir().unwrap(), tempdir().unwrap());
        manner.write(&matrix, folder.path());
        if manner.field == "pattern" {
            matrix.entries.values_mut().for_each(|value| *value = 1.0);
        }
        let gz = if manner.gzip.is_some() { ".gz" } else { "" };
        let at = |name: &str| folder.path().join(format!("{}{name}{gz}", manner.prefix));
        let files = find_mtx(&if named { at(manner.names[0]) } else { folder.path().into() }).unwrap();
        prop_assert_eq!(&files.matrix, &at(manner.names[0]));

        let made = pool(threads).unwrap().install(|| read(&files, scratch.path(), memory)).unwrap();
        prop_assert_eq!(by_gene(&made), matrix.by_gene());
        prop_assert_eq!(names_in(scratch.path()), ["scratch"]);

        let is_table = manner.names[1].ends_with(".csv");
        let cell = |c| if is_table { format!("cell,{c}") } else { format!("cell{c}") };
        let name = |g| if is_table { format!("a \"{g}\"") } else { format!("name{g}") };
        let all = |count: usize, of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<Vec<_>>();
        let features = files.read_features().unwrap();
        prop_assert_eq!(files.read_barcodes().unwrap(), all(matrix.cells, &cell));
        prop_assert_eq!(features.ids, all(matrix.genes, &|g| format!("id{g}")));
        prop_assert_eq!(features.names, all(matrix.genes, &name));
        let kind = if is_table { "" } else { "Gene Expression" };
        prop_assert_eq!(features.types, vec![kind; matrix.genes]);
    }
}

/// 3 genes x 2 cells, with 2 entries.
const GOOD: &str = "%%MatrixMarket matrix coordinate integer general\n3 2 2\n1 1 5\n3 2 7\n";

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(matrix: impl AsRef<[u8]>) -> Self {
        let files = Self { folder: tempdir().unwrap() };
        files.write("matrix.mtx", matrix);
        files.write("barcodes.tsv", "AA-1\nAC-1\n");
        files.write("genes.tsv", "g1\tA\ng2\tB\ng3\n");
        files
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn found(&self) -> MtxFiles {
        find_mtx(self.folder.path()).unwrap()
    }

    fn read(&self) -> Result<Vec<Gene>, Error> {
        let scratch = tempdir().unwrap();
        let made = read(&self.found(), scratch.path(), AMPLE);
        if made.is_err() {
            assert!(names_in(scratch.path()).is_empty());
        }
        Ok(by_gene(&made?))
    }

    /// The reason for which one of the files is refused.
    fn refused(&self, name: &str) -> String {
        match self.read().unwrap_err() {
            Error::InputFile { path, reason } => {
                assert_eq!(path, self.path(name), "{reason}");
                reason
            }
            error => panic!("{error}"),
        }
    }
}

/// Why a matrix is refused.
fn refused(matrix: impl AsRef<[u8]>) -> String {
    Files::new(matrix).refused("matrix.mtx")
}

fn with_entries(entries: &str) -> String {
    let count = entries.lines().count();
    format!("%%MatrixMarket matrix coordinate real general\n3 2 {count}\n{entries}")
}

#[test]
fn the_good_one_is_read() {
    let files = Files::new(GOOD);
    let expected = vec![(vec![0], vec![5.0]), (vec![], vec![]), (vec![1], vec![7.0])];
    assert_eq!(files.read().unwrap(), expected);
    let features = files.found().read_features().unwrap();
    assert_eq!(features.names, ["A", "B", "g3"]);
    assert_eq!(features.types, ["", "", ""]);
}

#[test]
fn numbers_are_read_in_all_their_forms() {
    let of = |value: &str| {
        Files::new(with_entries(&format!("2 1 {value}\n"))).read().unwrap()[1].1.clone()
    };
    for (text, value) in [
        ("1.000000000000000e+00", 1.0),
        ("-2.5", -2.5),
        (".5", 0.5),
        ("7.", 7.0),
        ("+3", 3.0),
        ("1E3", 1000.0),
        ("0000000000000000000000012", 12.0),
        ("999999999999999", 999_999_999_999_999.0),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("123456789012345678901234567890", 123_456_789_012_345_678_901_234_567_890.0),
        ("1e-320", 1e-320),
    ] {
        assert_eq!(of(text), [value], "{text}");
    }
    assert_eq!(of("0"), [0.0; 0]);
}

#[test]
fn what_is_no_such_file_is_refused() {
    for text in ["", "\n", "1 1 1\n", "gene,cell\n", "%MatrixMarket matrix\n", "%%MatrixMarket\n"] {
        assert!(refused(text).contains("is not a MatrixMarket file"), "{text:?}");
    }
    assert!(refused(b"\x89HDF\r\n\x1a\n\0\0\xff").contains("is not a MatrixMarket file"));
    assert!(refused(vec![0; 3 << 20]).contains("line 1 is longer than"));
}

#[test]
fn matrices_of_other_kinds_are_refused() {
    let of = |kind: &str| refused(GOOD.replace("matrix coordinate integer general", kind));
    assert!(of("matrix coordinate integer symmetric").contains("its symmetry is \"symmetric\""));
    assert!(of("matrix coordinate pattern hermitian").contains("its symmetry is \"hermitian\""));
    assert!(of("matrix coordinate complex general").contains("its field is \"complex\""));
    assert!(of("matrix array real general").contains("its format is \"array\""));
    assert!(of("vector coordinate real general").contains("its object is \"vector\""));
}

#[test]
fn sizes_that_are_none_are_refused() {
    let of = |sizes: &str| refused(GOOD.replace("3 2 2", sizes));
    for sizes in ["3 2", "3 2 2 2", "3 2 x", "3 2 -1", "3.0 2 2", "3 2 18446744073709551616"] {
        assert!(of(sizes).starts_with("line 2: rows, columns and entries"), "{sizes}");
    }
    let banner = GOOD.lines().next().unwrap();
    assert_eq!(refused(banner), "ends before the line of sizes");
    assert_eq!(refused(format!("{banner}\n%\n\n")), "ends before the line of sizes");
}

#[test]
fn a_shape_that_is_not_that_of_the_names_is_refused() {
    let of = |sizes: &str| refused(GOOD.replace("3 2 2", sizes));
    for sizes in ["3 3 2", "2 2 2", "4 2 2", "0 0 0", "18446744073709551615 2 2"] {
        assert!(of(sizes).contains("names 3 genes"), "{sizes}");
    }
    assert!(of("4 2 2").contains("has 4 rows and 2 columns") && of("4 2 2").contains("2 cells"));
}

#[test]
fn more_or_fewer_entries_than_claimed_are_refused() {
    let of = |sizes: &str| refused(GOOD.replace("3 2 2", sizes));
    assert_eq!(of("3 2 1"), "has more entries than the 1 that its head says");
    assert_eq!(of("3 2 3"), "ends after 2 of 3 entries");
    assert_eq!(of("3 2 18446744073709551615"), "ends after 2 of 18446744073709551615 entries");
    assert_eq!(of("3 2 0"), "has more entries than the 0 that its head says");
    let empty = GOOD.lines().next().unwrap().to_owned() + "\n3 2 0";
    assert_eq!(Files::new(empty).read().unwrap(), vec![(vec![], vec![]); 3]);
}

#[test]
fn an_entry_that_is_wrong_is_refused_with_its_line() {
    let of = |entry: &str| refused(with_entries(&format!("1 1 5\n% a comment\n{entry}\n1 2 3\n")));
    let rows = "must be from 1 to 3";
    assert_eq!(of("0 1 5"), format!("line 5: the row is \"0\", {rows}"));
    assert_eq!(of("4 1 5"), format!("line 5: the row is \"4\", {rows}"));
    assert_eq!(of("-1 1 5"), format!("line 5: the row is \"-1\", {rows}"));
    assert_eq!(of("1.0 1 5"), format!("line 5: the row is \"1.0\", {rows}"));
    assert_eq!(of("4294967297 1 5"), format!("line 5: the row is \"4294967297\", {rows}"));
    let huge = "18446744073709551617";
    assert_eq!(of(&format!("{huge} 1 5")), format!("line 5: the row is \"{huge}\", {rows}"));
    assert_eq!(of("1 3 5"), "line 5: the column is \"3\", must be from 1 to 2");
    for value in ["NaN", "inf", "-Infinity", "1e999", "x", "1,5", "0x10", "NA", "1d3", "--1"] {
        let expected = format!("line 5: the value is {value:?}, must be a finite number");
        assert_eq!(of(&format!("1 1 {value}")), expected);
    }
    for entry in ["1 1", "1 1 5 5", "1", "1 1 5 %", "1-1-5"] {
        assert_eq!(of(entry), "line 5: row, column and value are expected", "{entry}");
    }
    let pattern = with_entries("1 1\n3 2 7\n").replace("real", "pattern");
    assert_eq!(refused(pattern), "line 4: row and column are expected");
    let mut bytes = with_entries("1 1 5\n").into_bytes();
    *bytes.last_mut().unwrap() = 0xff;
    assert_eq!(refused(bytes), "line 3: is not text");
}

/// Lines are numbered across the parts that threads parse, and the blocks.
#[test]
fn the_first_wrong_line_is_told_wherever_it_is() {
    let mut lines = vec!["1 1 1".to_owned(); 2_000_000];
    for wrong in [1_999_999, 1_500_000, 700_000, 60_001] {
        lines[wrong] = "4 1 1".to_owned();
        let reason = pool(2).unwrap().install(|| refused(with_entries(&lines.join("\n"))));
        assert!(reason.starts_with(&format!("line {}: the row is \"4\"", wrong + 3)), "{reason}");
    }
}

#[test]
fn an_entry_that_comes_twice_is_refused() {
    let reason = refused(with_entries("1 1 5\n3 2 1\n2 1 5\n3 2 2\n"));
    assert_eq!(reason, "gene 3 and cell 2 (counted from 1) have two entries");
}

#[test]
fn what_is_cut_off_is_refused() {
    let whole = gzip(GOOD.as_bytes());
    let files = Files::new(&whole);
    files.read().unwrap();
    for length in 1..whole.len() {
        files.write("matrix.mtx", &whole[..length]);
        let reason = files.refused("matrix.mtx");
        let known = ["it is cut off, after line", "is not a MatrixMarket file"];
        assert!(known.iter().any(|known| reason.contains(known)), "{length}: {reason}");
    }
    let mut damaged = whole.clone();
    damaged[whole.len() - 6] ^= 1;
    files.write("matrix.mtx", damaged);
    assert!(files.refused("matrix.mtx").contains("after line 4"));
}

#[test]
fn names_that_are_none_are_refused() {
    let refused = |name: &str, content: &[u8]| {
        let files = Files::new(GOOD);
        files.write(name, content);
        files.refused(name)
    };
    assert_eq!(refused("barcodes.tsv", b"A\n\nB\n"), "line 2: is blank");
    assert_eq!(refused("barcodes.tsv", b"A\nB\xff\n"), "line 2: is not text in UTF-8");
    assert_eq!(refused("genes.tsv", b"A\nB\n\tC\n"), "line 3: has no name in its first column");
    let wide: Vec<u8> = "A\nB\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(refused("barcodes.tsv", &wide), "line 1: holds a zero byte, which is no text");
    assert!(refused("genes.tsv", &gzip(b"A\nB\nC\n")[..20]).contains("cut off"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    let files = Files::new(format!("\u{feff}{GOOD}"));
    files.write("barcodes.tsv", "\u{feff}AA-1\r\nAC-1\r\n");
    files.read().unwrap();
    assert_eq!(files.found().read_barcodes().unwrap(), ["AA-1", "AC-1"]);
}

#[test]
fn a_folder_without_one_of_each_is_refused() {
    let reason_of = |path: &Path| match find_mtx(path).unwrap_err() {
        Error::InputFile { reason, .. } => reason,
        error => panic!("{error}"),
    };
    let files = Files::new(GOOD);
    let folder = files.folder.path();
    files.write("matrix.mtx.gz", GOOD);
    assert_eq!(reason_of(folder), "matrix.mtx, matrix.mtx.gz are there, one of them is expected");
    // The one that is meant can be named.
    find_mtx(&files.path("matrix.mtx.gz")).unwrap();
    fs::remove_file(files.path("matrix.mtx.gz")).unwrap();
    files.write("features.tsv", "");
    assert_eq!(reason_of(folder), "features.tsv, genes.tsv are there, one of them is expected");
    fs::remove_file(files.path("features.tsv")).unwrap();
    fs::remove_file(files.path("genes.tsv")).unwrap();
    assert!(reason_of(folder).starts_with("no features.tsv, genes.tsv"));
    fs::remove_file(files.path("barcodes.tsv")).unwrap();
    assert!(reason_of(folder).starts_with("no barcodes.tsv"));
    fs::remove_file(files.path("matrix.mtx")).unwrap();
    assert!(reason_of(folder).starts_with("no matrix.mtx, "));
    assert!(reason_of(&files.path("matrix.mtx")).contains("No such file"));
}

#[test]
fn names_with_the_prefix_of_another_matrix_are_left_alone() {
    let files = Files::new(GOOD);
    for (name, prefixed) in [
        ("matrix.mtx", "GSM1_matrix.mtx"),
        ("barcodes.tsv", "GSM2_barcodes.tsv"),
        ("genes.tsv", "genes.tsv"),
    ] {
        fs::rename(files.path(name), files.path(prefixed)).unwrap();
    }
    assert_eq!(find_mtx(files.folder.path()).unwrap_err().class(), "input_file");
    files.write("GSM1_barcodes.tsv", "A\nB\n");
    let found = find_mtx(files.folder.path()).unwrap();
    assert_eq!(found.barcodes, files.path("GSM1_barcodes.tsv"));
    assert_eq!(found.features, files.path("genes.tsv"));
    // A matrix of another name, as STARsolo's, goes with what there is.
    fs::remove_file(files.path("GSM2_barcodes.tsv")).unwrap();
    files.write("UniqueAndMult-EM.mtx", GOOD);
    let found = find_mtx(&files.path("UniqueAndMult-EM.mtx")).unwrap();
    assert_eq!(found.barcodes, files.path("GSM1_barcodes.tsv"));
}

#[test]
fn stops_when_cancelled_and_leaves_nothing_behind() {
    let files = Files::new(GOOD);
    let monitor = Monitor::new();
    monitor.cancel();
    let scratch = tempdir().unwrap();
    let made = read_mtx(&files.found(), &scratch.path().join("scratch"), "", AMPLE, &monitor);
    assert_eq!(made.unwrap_err(), Error::Interrupted);
    assert!(names_in(scratch.path()).is_empty());
}
