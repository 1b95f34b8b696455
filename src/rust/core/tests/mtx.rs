//! MatrixMarket text: however it is written, what is read is the matrix; and what is
//! wrong is refused.
//!
//! The reference is the matrix that the text was written of.

mod matrix;
#[path = "mtx/fixture.rs"]
mod fixture;
#[path = "mtx/manner.rs"]
mod manner;
#[path = "mtx/refusal.rs"]
mod refusal;

use std::fs;

use fixture::{AMPLE, Files, GOOD, read, with_entries};
use manner::manners;
use matrix::{by_gene, matrices, names_in};
use proptest::prelude::*;
use scoria_core::source::{find_mtx, read_mtx};
use scoria_core::{Error, Monitor, pool};
use tempfile::tempdir;

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
        ("9999999999999999999", 1e19),
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
        ("123456789012345678901234567890", 123_456_789_012_345_678_901_234_567_890.0),
        ("1e-320", 1e-320),
    ] {
        assert_eq!(of(text), [value], "{text}");
    }
    assert_eq!(of("0"), [0.0; 0]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    let files = Files::new(format!("\u{feff}{GOOD}"));
    files.write("barcodes.tsv", "\u{feff}AA-1\r\nAC-1\r\n");
    files.read().unwrap();
    assert_eq!(files.found().read_barcodes().unwrap(), ["AA-1", "AC-1"]);
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
