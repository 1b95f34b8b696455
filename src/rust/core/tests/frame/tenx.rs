//! Barcodes and features of 10x files.

use super::fixture::*;
use hdf5_metno::Group;
use hdf5_metno::types::FixedAscii;
use scoria_core::source::frame::{Column, read_10x};

/// As Cell Ranger writes text.
fn write_fixed(group: &Group, name: &str, texts: &[&str]) {
    let fixed: Vec<_> =
        texts.iter().map(|text| FixedAscii::<20>::from_ascii(text).unwrap()).collect();
    write(group, name, &fixed);
}

fn text(values: &[&str]) -> Column {
    Column::Text(some(&texts(values)))
}

#[test]
fn version_3_says_of_what_kind_features_are() {
    let fixture = Fixture::new();
    let matrix = fixture.file.create_group("matrix").unwrap();
    write_fixed(&matrix, "barcodes", &["AA-1", "CC-1", "GG-1"]);
    write(&matrix, "shape", &[2i32, 3]);
    let features = matrix.create_group("features").unwrap();
    write_fixed(&features, "id", &["ENSG1", "guide1"]);
    write_fixed(&features, "name", &["ACTB", "guide one"]);
    write_fixed(&features, "feature_type", &["Gene Expression", "CRISPR Guide Capture"]);
    write_fixed(&features, "genome", &["GRCh38", ""]);

    let found = read_10x(&fixture.file, None).unwrap();
    assert_eq!(found.group, "matrix");
    assert_eq!(found.cells.index, ["AA-1", "CC-1", "GG-1"]);
    assert_eq!(found.genes.index, ["ENSG1", "guide1"]);
    let expected = [
        ("name", text(&["ACTB", "guide one"])),
        ("feature_type", text(&["Gene Expression", "CRISPR Guide Capture"])),
        ("genome", text(&["GRCh38", ""])),
    ];
    assert_eq!(found.genes.columns, expected.map(|(name, column)| (name.to_owned(), column)));

    features.unlink("name").unwrap();
    write_fixed(&features, "name", &["ACTB"]);
    let (of, reason) = told(read_10x(&fixture.file, None).unwrap_err());
    assert_eq!(of, "matrix/features/name");
    assert_eq!(reason, "it has 1 entries, where there are 2 features");
    matrix.unlink("shape").unwrap();
    write(&matrix, "shape", &[3i32, 2]);
    let reason = told(read_10x(&fixture.file, None).unwrap_err()).1;
    assert_eq!(reason, "it says [3, 2], where there are 2 features and 3 barcodes");
}

#[test]
fn version_2_has_a_group_for_every_genome() {
    let fixture = Fixture::new();
    let reason = told(read_10x(&fixture.file, None).unwrap_err()).1;
    assert_eq!(reason, "it is no 10x file: it has no group \"matrix\", nor one of a genome");
    for genome in ["hg19", "mm10"] {
        let group = fixture.file.create_group(genome).unwrap();
        write_fixed(&group, "barcodes", &["AA-1"]);
        write_fixed(&group, "genes", &["ENSG1", "ENSG2"]);
        write_fixed(&group, "gene_names", &["ACTB", "TP53"]);
        write(&group, "shape", &[2i32, 1]);
        let found = read_10x(&fixture.file, Some(genome)).unwrap();
        assert_eq!((found.group.as_str(), found.genes.index.len()), (genome, 2));
        assert_eq!(found.genes.columns, [("name".to_owned(), text(&["ACTB", "TP53"]))]);
        if genome == "hg19" {
            assert_eq!(read_10x(&fixture.file, None).unwrap(), found);
        }
    }
    let reason = |genome| told(read_10x(&fixture.file, genome).unwrap_err()).1;
    assert_eq!(reason(None), "it has the genomes [\"hg19\", \"mm10\"]: one must be asked for");
    assert_eq!(reason(Some("rn6")), "it has the genomes [\"hg19\", \"mm10\"], not \"rn6\"");
}
