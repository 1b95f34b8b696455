//! What is wrong is refused, with the file and the line.

use std::fs;
use std::path::Path;

use scoria_core::source::find_mtx;
use scoria_core::{Error, pool};

use super::fixture::{Files, GOOD, refused, with_entries};
use super::manner::gzip;

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
    let long = "7é".repeat(1000);
    assert!(of(&format!("1 1 {long}")).len() < 200 && of(&format!("{long} 1 5")).len() < 200);
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
    assert!(reason_of(folder).starts_with("no features.tsv or genes.tsv"));
    fs::remove_file(files.path("barcodes.tsv")).unwrap();
    assert!(reason_of(folder).starts_with("no barcodes.tsv"));
    fs::remove_file(files.path("matrix.mtx")).unwrap();
    assert!(reason_of(folder).starts_with("no matrix.mtx or "));
    assert!(reason_of(&files.path("matrix.mtx")).contains("No such file"));
}
