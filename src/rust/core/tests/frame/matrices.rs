//! Matrices of cells x columns, such as guides.

use super::fixture::*;
use hdf5_metno::Group;
use scoria_core::source::frame::{CellColumns, read_matrix};

/// 3 cells x 4 columns, the last without an entry.
fn expected(names: Option<&[&str]>) -> CellColumns {
    CellColumns {
        n_cells: 3,
        names: names.map(texts),
        starts: vec![0, 2, 3, 4, 4],
        cells: vec![0, 2, 1, 0],
        values: vec![1.0, 5.0, 2.0, 3.0],
    }
}

const DENSE: [[f64; 4]; 3] = [[1.0, 0.0, 3.0, 0.0], [0.0, 2.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0]];

fn read(fixture: &Fixture) -> scoria_core::Result<CellColumns> {
    fixture.file.flush().unwrap();
    read_matrix(&fixture.file, "obsm/guides")
}

#[test]
fn arrays_are_read_without_their_zeros() {
    let fixture = Fixture::new();
    fixture.file.create_group("obsm").unwrap();
    let array = fixture.file.new_dataset::<f64>().shape((3, 4)).create("obsm/guides").unwrap();
    array.write_raw(DENSE.as_flattened()).unwrap();
    assert_eq!(read(&fixture).unwrap(), expected(None));
    array.write_slice(&[f64::NAN], (1..2, 3)).unwrap();
    assert_eq!(told(read(&fixture).unwrap_err()).1, "it has no value for cell 1 and column 3");

    let fixture = Fixture::new();
    fixture.file.create_group("obsm").unwrap();
    let array = fixture.file.new_dataset::<bool>().shape((2, 2)).create("obsm/guides").unwrap();
    array.write_raw(&[true, false, true, true]).unwrap();
    let found = read(&fixture).unwrap();
    assert_eq!(
        (found.starts, found.cells, found.values),
        (vec![0, 2, 3], vec![0, 1, 1], vec![1.0; 3])
    );
}

#[test]
fn frames_name_their_columns() {
    let fixture = Fixture::new();
    let guides = fixture.file.create_group("obsm/guides").unwrap();
    encode(&guides, "dataframe", "0.2.0");
    write_text_attribute(&guides, "_index", "index");
    write_texts_attribute(&guides, "column-order", &["g1", "g2", "g3", "g4"]);
    write_texts(&guides, "index", &["a", "b", "c"]);
    for (k, name) in ["g1", "g2", "g3"].iter().enumerate() {
        write(&guides, name, &DENSE.map(|row| row[k] as i32));
    }
    write(&guides, "g4", &[false; 3]);
    assert_eq!(read(&fixture).unwrap(), expected(Some(&["g1", "g2", "g3", "g4"])));
    guides.unlink("g4").unwrap();
    write_texts(&guides, "g4", &["", "", ""]);
    assert_eq!(
        told(read(&fixture).unwrap_err()),
        ("obsm/guides/g4".into(), "it holds no numbers".into())
    );
}

fn sparse(encoding: &str, shape: [i64; 2]) -> (Fixture, Group) {
    let fixture = Fixture::new();
    let guides = fixture.file.create_group("obsm/guides").unwrap();
    encode(&guides, encoding, "0.1.0");
    guides.new_attr_builder().with_data(&shape).create("shape").unwrap();
    (fixture, guides)
}

#[test]
fn sparse_matrices_are_turned_to_columns() {
    let (fixture, guides) = sparse("csr_matrix", [3, 4]);
    write(&guides, "indptr", &[0i32, 3, 4, 5]);
    // Not in order, and with a zero.
    write(&guides, "indices", &[2i32, 0, 3, 1, 0]);
    write(&guides, "data", &[3f32, 1.0, 0.0, 2.0, 5.0]);
    assert_eq!(read(&fixture).unwrap(), expected(None));

    let (fixture, guides) = sparse("csc_matrix", [3, 4]);
    write(&guides, "indptr", &[0i64, 2, 3, 4, 4]);
    write(&guides, "indices", &[0i64, 2, 1, 0]);
    write(&guides, "data", &[1i64, 5, 2, 3]);
    assert_eq!(read(&fixture).unwrap(), expected(None));
}

#[test]
fn sparse_matrices_must_belong_together() {
    let refused = |shape, starts: &[i64], indices: &[i64], data: &[f64]| {
        let (fixture, guides) = sparse("csr_matrix", shape);
        write(&guides, "indptr", starts);
        write(&guides, "indices", indices);
        write(&guides, "data", data);
        told(read(&fixture).unwrap_err()).1
    };
    let together = "its indptr, indices and data do not belong together";
    assert_eq!(refused([2, 4], &[0, 1], &[0], &[1.0]), together);
    assert_eq!(refused([2, 4], &[0, 2, 1], &[0], &[1.0]), together);
    assert_eq!(refused([2, 4], &[1, 1, 1], &[0], &[1.0]), together);
    assert_eq!(refused([2, 4], &[0, 1, 2], &[0, 1], &[1.0]), together);
    assert_eq!(refused([2, 4], &[0, 1, 2], &[0], &[1.0, 2.0]), together);
    assert_eq!(
        refused([2, 4], &[0, 1, 2], &[0, 4], &[1.0, 2.0]),
        "it has index 4, and a shape of 4"
    );
    assert_eq!(
        refused([2, 4], &[0, 1, 2], &[0, -1], &[1.0, 2.0]),
        "it has index -1, and a shape of 4"
    );
    assert_eq!(
        refused([2, 4], &[0, 2, 2], &[3, 3], &[1.0, 2.0]),
        "it has two entries for cell 0 and column 3"
    );
    assert_eq!(
        refused([2, 1 << 50], &[0, 1, 2], &[0, 1], &[1.0, 2.0]),
        "it claims 2 rows and 1125899906842624 columns"
    );
}
