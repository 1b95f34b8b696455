//! What anndata wrote before 0.8.

use super::fixture::*;
use hdf5_metno::types::{FixedAscii, VarLenUnicode};
use hdf5_metno::{H5Type, ObjectReference1};
use scoria_core::source::frame::Column;

/// anndata 0.7: categories lie beside, and the codes refer to them.
#[test]
fn codes_refer_to_their_categories() {
    let fixture = Fixture::new();
    let obs = fixture.file.create_group("obs").unwrap();
    encode(&obs, "dataframe", "0.1.0");
    write_text_attribute(&obs, "_index", "index");
    write_texts_attribute(&obs, "column-order", &["guide", "n"]);
    write_texts(&obs, "index", &["a", "b", "c"]);
    let codes = write(&obs, "guide", &[1i8, -1, 0]);
    write(&obs, "n", &[1u8, 2, 3]);
    let beside = obs.create_group("__categories").unwrap();
    let levels = write_texts(&beside, "guide", &["g1", "g2"]);
    levels.new_attr::<bool>().create("ordered").unwrap().write_scalar(&true).unwrap();
    let reference: ObjectReference1 = obs.reference("__categories/guide").unwrap();
    let attribute = codes.new_attr::<ObjectReference1>().create("categories").unwrap();
    attribute.write_scalar(&reference).unwrap();

    let frame = fixture.read("obs").unwrap();
    assert_eq!(frame.skipped, []);
    let (codes, levels) = (vec![Some(1), None, Some(0)], texts(&["g1", "g2"]));
    assert_eq!(frame.columns[0].1, Column::Factor { codes, levels, ordered: true });
    assert_eq!(frame.columns[1].1, Column::Integers(some(&[1, 2, 3])));
}

#[test]
fn references_must_lead_to_categories() {
    for target in ["obs", "unwritten"] {
        let (fixture, obs) = Fixture::with_obs(&["guide"]);
        let codes = write(&obs, "guide", &[0i8, 0, 0]);
        write_texts(&fixture.file, "unwritten", &["g1"]);
        let reference: ObjectReference1 = fixture.file.reference(target).unwrap();
        let attribute = codes.new_attr::<ObjectReference1>().create("categories").unwrap();
        attribute.write_scalar(&reference).unwrap();
        if target == "unwritten" {
            fixture.file.unlink(target).unwrap();
        }
        let expected = "its categories are not where it says".to_owned();
        assert_eq!(fixture.refusal(), ("obs/guide".into(), expected), "{target}");
    }
    let (fixture, obs) = Fixture::with_obs(&["guide"]);
    let codes = write(&obs, "guide", &[0i8, 0, 0]);
    codes.new_attr::<u64>().create("categories").unwrap().write_scalar(&4096).unwrap();
    assert_eq!(fixture.refusal().1, "its categories are not where it says");
}

#[derive(H5Type, Clone)]
#[repr(C)]
struct Cell {
    index: FixedAscii<9>,
    n: i64,
    guide: i8,
    half: f32,
    kept: bool,
    label: VarLenUnicode,
}

/// anndata 0.6: records, with categories in `uns`.
#[test]
fn records_are_read_field_by_field() {
    let fixture = Fixture::new();
    let cell = |index: &str, n, guide, half, kept, label| Cell {
        index: FixedAscii::from_ascii(index).unwrap(),
        n,
        guide,
        half,
        kept,
        label: unicode(label),
    };
    let cells = [
        cell("a", 1, 1, 0.5, true, "é"),
        cell("longer", 1 << 40, -1, -1.0, false, ""),
        cell("c", 3, 0, 2.0, true, "z"),
    ];
    fixture.file.new_dataset_builder().deflate(3).chunk(2).with_data(&cells).create("obs").unwrap();
    write(&fixture.file, "raw.var", &cells[..1]);
    let uns = fixture.file.create_group("uns").unwrap();
    write(
        &uns,
        "guide_categories",
        &[FixedAscii::<2>::from_ascii("g1").unwrap(), FixedAscii::from_ascii("g2").unwrap()],
    );

    let frame = fixture.read("obs").unwrap();
    assert_eq!(frame.index, ["a", "longer", "c"]);
    assert_eq!(frame.skipped, []);
    let (codes, levels) = (vec![Some(1), None, Some(0)], texts(&["g1", "g2"]));
    let expected = [
        ("n", Column::Doubles(vec![1.0, 2f64.powi(40), 3.0])),
        ("guide", Column::Factor { codes, levels, ordered: false }),
        ("half", Column::Doubles(vec![0.5, -1.0, 2.0])),
        ("kept", Column::Logicals(some(&[true, false, true]))),
        ("label", Column::Text(some(&texts(&["é", "", "z"])))),
    ];
    assert_eq!(frame.columns, expected.map(|(name, column)| (name.to_owned(), column)));
    assert_eq!(fixture.read("raw.var").unwrap().index, ["a"]);
}

#[derive(H5Type, Clone)]
#[repr(C)]
struct Coded {
    index: FixedAscii<2>,
    guide: i8,
    pair: [f64; 2],
}

#[test]
fn records_are_held_to_the_same_rules() {
    let fixture = Fixture::new();
    let cell = |guide| Coded { index: FixedAscii::new(), guide, pair: [0.0; 2] };
    write(&fixture.file, "obs", &[cell(0), cell(2)]);
    let frame = fixture.read("obs").unwrap();
    assert_eq!(frame.columns, [("guide".into(), Column::Integers(some(&[0, 2])))]);
    assert_eq!(frame.skipped[0].column, "pair");

    let uns = fixture.file.create_group("uns").unwrap();
    write_texts(&uns, "guide_categories", &["g1", "g2"]);
    assert_eq!(fixture.refusal(), ("obs/guide".into(), "it has code 2 of 2 categories".into()));
}

/// HDF5 does not look whether they do, and reads on in its own memory.
#[test]
fn fields_must_lie_within_their_records() {
    let fixture = Fixture::new();
    let cell = Coded { index: FixedAscii::new(), guide: 0, pair: [0.0; 2] };
    write(&fixture.file, "obs", &[cell.clone(), cell]);
    let frame = fixture.read_changed("obs", |bytes| {
        // A field's name is followed by its place in the record.
        let places: Vec<_> =
            (0..bytes.len() - 8).filter(|&k| bytes[k..].starts_with(b"guide\0\0\0")).collect();
        assert_eq!(places.len(), 1);
        bytes[places[0] + 8..][..4].copy_from_slice(&(1u32 << 30).to_le_bytes());
    });
    let reason = told(frame.unwrap_err()).1;
    assert!(reason.contains("its records are smaller than their fields"), "{reason}");
}
