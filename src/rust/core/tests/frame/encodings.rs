//! What anndata writes since 0.8.

use super::fixture::*;
use hdf5_metno::types::{FixedAscii, FixedUnicode, VarLenAscii};
use hdf5_metno::{Group, H5Type};
use scoria_core::source::frame::{Column, Skipped, list_h5ad, read_names};

fn of_values<T: H5Type>(values: &[T]) -> Column {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    encode(&write(&obs, "x", values), "array", "0.2.0");
    fixture.column()
}

#[test]
fn numbers_of_every_type_keep_their_values() {
    let small = Column::Integers(some(&[1, 100, 0]));
    assert_eq!(of_values::<u8>(&[1, 100, 0]), small);
    assert_eq!(of_values::<u16>(&[1, 100, 0]), small);
    assert_eq!(of_values::<u32>(&[1, 100, 0]), small);
    assert_eq!(of_values::<u64>(&[1, 100, 0]), small);
    let small = Column::Integers(some(&[1, -100, 0]));
    assert_eq!(of_values::<i8>(&[1, -100, 0]), small);
    assert_eq!(of_values::<i16>(&[1, -100, 0]), small);
    assert_eq!(of_values::<i32>(&[1, -100, 0]), small);
    assert_eq!(of_values::<i64>(&[1, -100, 0]), small);
    assert_eq!(
        of_values::<f32>(&[0.5, -1.0, 0.1]),
        Column::Doubles(vec![0.5, -1.0, 0.1f32.into()])
    );
    assert_eq!(
        of_values::<f64>(&[0.1, f64::INFINITY, -0.0]),
        Column::Doubles(vec![0.1, f64::INFINITY, -0.0])
    );
    let Column::Doubles(missing) = of_values(&[f64::NAN, 1.0, 2.0]) else { panic!() };
    assert!(missing[0].is_nan());
}

#[test]
fn numbers_in_the_other_byte_order_keep_their_values() {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    write(&obs, "x", &[0x0100u16, 0x0201, 0xff00]);
    // HDF5's words for whole numbers of 16 bits without a sign: a bit is their order.
    const STORED: [u8; 12] = [0x10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 16, 0];
    let frame = fixture.read_changed("obs", |bytes| {
        let places: Vec<_> =
            (0..bytes.len() - 12).filter(|&k| bytes[k..k + 12] == STORED).collect();
        assert_eq!(places.len(), 1);
        bytes[places[0] + 1] = 1;
    });
    assert_eq!(frame.unwrap().columns[0].1, Column::Integers(some(&[1, 0x0102, 0xff])));
}

#[test]
fn whole_numbers_that_are_no_i32_become_doubles() {
    assert_eq!(
        of_values::<u32>(&[1, 2, u32::MAX]),
        Column::Doubles(vec![1.0, 2.0, 4_294_967_295.0])
    );
    assert_eq!(
        of_values::<i64>(&[1, 2, -(1 << 40)]),
        Column::Doubles(vec![1.0, 2.0, -1_099_511_627_776.0])
    );
    assert_eq!(of_values::<u64>(&[1, 2, 1 << 63]), Column::Doubles(vec![1.0, 2.0, 2f64.powi(63)]));
    // Missing values are the least integer where integers have any.
    assert_eq!(
        of_values::<i32>(&[1, 2, i32::MIN]),
        Column::Doubles(vec![1.0, 2.0, -2_147_483_648.0])
    );
    assert_eq!(
        of_values::<i32>(&[1, 2, i32::MIN + 1]),
        Column::Integers(some(&[1, 2, i32::MIN + 1]))
    );
}

#[test]
fn whole_numbers_that_no_double_holds_are_skipped() {
    let (fixture, obs) = Fixture::with_obs(&["x", "y"]);
    write(&obs, "x", &[1i64, 2, (1 << 53) + 1]);
    write(&obs, "y", &[1i64, 2, 1 << 53]);
    let frame = fixture.read("obs").unwrap();
    assert_eq!(frame.columns, [("y".into(), Column::Doubles(vec![1.0, 2.0, 2f64.powi(53)]))]);
    let reason = "it has whole numbers that no double holds".to_owned();
    assert_eq!(frame.skipped, [Skipped { column: "x".into(), reason }]);
}

#[test]
fn logicals_are_an_enumeration() {
    assert_eq!(of_values(&[true, false, true]), Column::Logicals(some(&[true, false, true])));
}

#[test]
fn strings_of_every_kind_are_text() {
    let expected = Column::Text(some(&texts(&["x", "", "a longer one"])));
    assert_eq!(of_values(&unicodes(&["x", "", "a longer one"])), expected);
    let ascii = |text| VarLenAscii::from_ascii(text).unwrap();
    assert_eq!(of_values(&[ascii("x"), ascii(""), ascii("a longer one")]), expected);
    let fixed = |text| FixedAscii::<12>::from_ascii(text).unwrap();
    assert_eq!(of_values(&[fixed("x"), fixed(""), fixed("a longer one")]), expected);
    let fixed = |text: &str| text.parse::<FixedUnicode<300>>().unwrap();
    assert_eq!(of_values(&[fixed("x"), fixed(""), fixed("a longer one")]), expected);
    assert_eq!(
        of_values(&unicodes(&["é", "基因", "🧬"])),
        Column::Text(some(&texts(&["é", "基因", "🧬"])))
    );
}

fn write_categorical<T: H5Type>(obs: &Group, codes: &[i8], levels: &[T]) -> Group {
    let group = obs.create_group("x").unwrap();
    encode(&group, "categorical", "0.2.0");
    write(&group, "codes", codes);
    write(&group, "categories", levels);
    group
}

#[test]
fn categories_are_factors_with_missing_values() {
    for ordered in [true, false] {
        let (fixture, obs) = Fixture::with_obs(&["x"]);
        let group = write_categorical(&obs, &[1, -1, 0], &unicodes(&["lo", "hi", "none"]));
        group.new_attr::<bool>().create("ordered").unwrap().write_scalar(&ordered).unwrap();
        let levels = texts(&["lo", "hi", "none"]);
        let codes = vec![Some(1), None, Some(0)];
        assert_eq!(fixture.column(), Column::Factor { codes, levels, ordered });
    }
}

#[test]
fn categories_may_be_numbers_and_logicals() {
    let levels_of = |write: &dyn Fn(&Group)| {
        let (fixture, obs) = Fixture::with_obs(&["x"]);
        write(&obs);
        let Column::Factor { levels, ordered: false, .. } = fixture.column() else { panic!() };
        levels
    };
    let found = levels_of(&|obs| {
        write_categorical(obs, &[0, 1, 1], &[10i64, -20]);
    });
    assert_eq!(found, ["10", "-20"]);
    let found = levels_of(&|obs| {
        write_categorical(obs, &[0, 1, 1], &[1.5, 2.0]);
    });
    assert_eq!(found, ["1.5", "2"]);
    let found = levels_of(&|obs| {
        write_categorical(obs, &[0, 1, 1], &[false, true]);
    });
    assert_eq!(found, ["FALSE", "TRUE"]);
}

#[test]
fn masked_values_are_missing() {
    let of_masked = |encoding, write_values: &dyn Fn(&Group)| {
        let (fixture, obs) = Fixture::with_obs(&["x"]);
        let group = obs.create_group("x").unwrap();
        encode(&group, encoding, "0.1.0");
        write_values(&group);
        write(&group, "mask", &[false, true, false]);
        fixture.column()
    };
    let found = of_masked("nullable-integer", &|group| {
        write(group, "values", &[7i64, 1, 8]);
    });
    assert_eq!(found, Column::Integers(vec![Some(7), None, Some(8)]));
    let found = of_masked("nullable-boolean", &|group| {
        write(group, "values", &[true, true, false]);
    });
    assert_eq!(found, Column::Logicals(vec![Some(true), None, Some(false)]));
    let found = of_masked("nullable-string-array", &|group| {
        write_texts(group, "values", &["p", "", "q"]);
    });
    assert_eq!(found, Column::Text(vec![Some("p".into()), None, Some("q".into())]));
    let found = of_masked("nullable-integer", &|group| {
        write(group, "values", &[1u64 << 40, 1, 8]);
    });
    let Column::Doubles(values) = found else { panic!() };
    assert!(values[0] == 2f64.powi(40) && values[1].is_nan() && values[2] == 8.0);
}

#[test]
fn packed_and_long_columns_are_read_whole() {
    let fixture = Fixture::new();
    let obs = fixture.file.create_group("obs").unwrap();
    encode(&obs, "dataframe", "0.2.0");
    write_text_attribute(&obs, "_index", "_index");
    write_texts_attribute(&obs, "column-order", &["zero", "guide"]);
    let names: Vec<String> = (0..200_000).map(|i| format!("cell {i}")).collect();
    let stored: Vec<_> = names.iter().map(|name| unicode(name)).collect();
    let guides: Vec<_> = (0..200_000)
        .map(|i| FixedAscii::<9>::from_ascii(&format!("g{}", i % 77)).unwrap())
        .collect();
    let packed = || obs.new_dataset_builder().deflate(9);
    packed().chunk(3000).with_data(&stored).create("_index").unwrap();
    packed().chunk(200_000).with_data(&vec![0i64; 200_000]).create("zero").unwrap();
    packed().chunk(70_000).with_data(&guides).create("guide").unwrap();

    let frame = fixture.read("obs").unwrap();
    assert_eq!(frame.index, names);
    assert_eq!(frame.columns[0].1, Column::Integers(vec![Some(0); 200_000]));
    let guides: Vec<String> = (0..200_000).map(|i| format!("g{}", i % 77)).collect();
    assert_eq!(frame.columns[1].1, Column::Text(some(&guides)));
}

#[test]
fn an_index_alone_is_a_frame() {
    let fixture = Fixture::new();
    let var = fixture.file.create_group("raw/var").unwrap();
    encode(&var, "dataframe", "0.2.0");
    write_text_attribute(&var, "_index", "index");
    // As h5py writes an empty list.
    var.new_attr::<f64>().shape(0).create("column-order").unwrap();
    write_texts(&var, "index", &[]);
    let frame = fixture.read("raw/var").unwrap();
    assert!(frame.index.is_empty() && frame.columns.is_empty() && frame.skipped.is_empty());
}

#[test]
fn a_column_may_have_a_slash_in_its_name() {
    let (fixture, obs) = Fixture::with_obs(&["a/b"]);
    obs.create_group("a").unwrap();
    write(&obs, "a/b", &[1i32, 2, 3]);
    let frame = fixture.read("obs").unwrap();
    assert_eq!(frame.columns, [("a/b".into(), Column::Integers(some(&[1, 2, 3])))]);
}

#[test]
fn columns_that_are_not_known_are_skipped_and_the_index_must_be() {
    let (fixture, obs) = Fixture::with_obs(&["newer", "odd", "bare", "square", "good"]);
    encode(&write(&obs, "newer", &[1, 2, 3]), "array", "0.3.0");
    encode(&obs.create_group("odd").unwrap(), "awkward-array", "0.1.0");
    obs.create_group("bare").unwrap();
    obs.new_dataset::<f64>().shape((3, 2)).create("square").unwrap().write_raw(&[0.0; 6]).unwrap();
    write(&obs, "good", &[1, 2, 3]);
    let frame = fixture.read("obs").unwrap();
    let skipped: Vec<_> =
        frame.skipped.iter().map(|one| (one.column.as_str(), one.reason.as_str())).collect();
    assert_eq!(
        skipped,
        [
            ("newer", "its encoding \"array\" 0.3.0 is not read here"),
            ("odd", "its encoding \"awkward-array\" 0.1.0 is not read here"),
            ("bare", "it is a group that is not encoded"),
            ("square", "it has 2 dimensions, not one"),
        ]
    );
    assert_eq!(frame.columns.len(), 1);

    encode(&obs.dataset("cell").unwrap(), "string-array", "9.0.0");
    let (of, reason) = fixture.refusal();
    assert_eq!(of, "obs/cell");
    assert_eq!(reason, "its encoding \"string-array\" 9.0.0 is not read here");
}

#[test]
fn a_file_lists_what_it_has() {
    let (fixture, _) = Fixture::with_obs(&[]);
    let file = &fixture.file;
    let x = file.create_group("X").unwrap();
    encode(&x, "csr_matrix", "0.1.0");
    x.new_attr_builder().with_data(&[3i64, 2]).create("shape").unwrap();
    file.create_group("layers").unwrap();
    file.new_dataset::<f32>()
        .shape((3, 2))
        .create("layers/scaled")
        .unwrap()
        .write_raw(&[0f32; 6])
        .unwrap();
    let uns = file.create_group("uns").unwrap();
    encode(&write_texts(&uns, "guides", &["g1", "g2"]), "string-array", "0.2.0");
    uns.link_soft("/obs", "elsewhere").unwrap();
    let found: Vec<_> = (list_h5ad(file).unwrap().into_iter())
        .map(|entry| (entry.name, entry.encoding, entry.shape))
        .collect();
    let entry = |name: &str, encoding: &str, shape: &[usize]| {
        (name.to_owned(), encoding.to_owned(), shape.to_vec())
    };
    assert_eq!(
        found,
        [
            entry("X", "csr_matrix", &[3, 2]),
            entry("layers/scaled", "dataset", &[3, 2]),
            entry("obs", "dataframe", &[]),
            entry("uns/elsewhere", "unreadable", &[]),
            entry("uns/guides", "string-array", &[2]),
        ]
    );
    assert_eq!(read_names(file, "uns/guides").unwrap(), ["g1", "g2"]);
    assert_eq!(told(read_names(file, "uns/nothing").unwrap_err()).1, "it is not there");
}
