//! Files that are not as they must be: each is refused with its name, the dataset's, and
//! what is wrong.

use super::fixture::{
    Matrix, Packing, anndata, folder, text, write, write_10x, write_h5ad_dense, write_h5ad_sparse,
};
use hdf5_metno::types::VarLenUnicode;
use hdf5_metno::{File, Group};
use scoria_core::source::{
    Axis, CountKind, Source, check_counts, gene_blocks, open_10x, open_h5ad, summarise,
};
use scoria_core::{Error, Result};
use std::fs;
use std::path::Path;

fn matrix() -> Matrix {
    Matrix::random(6, 20, 0.5, 4)
}

/// Reads all of it, in each of the ways there are.
fn read(source: &dyn Source) -> Result<()> {
    check_counts(source, CountKind::Whole)?;
    summarise(source)?;
    gene_blocks(source, 10)?.try_for_each(|block| block.map(|_| ()))
}

fn read_h5ad(path: &Path) -> Result<()> {
    read(&*open_h5ad(path, "X")?)
}

/// A whole file, of which `change` makes another.
fn changed(axis: Axis, change: impl Fn(&File, &Group)) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    write_h5ad_sparse::<f32, i32>(&path, &matrix(), axis, Packing::Gzip);
    assert_eq!(read_h5ad(&path), Ok(()));
    let file = File::open_rw(&path).unwrap();
    let group = file.group("X").unwrap();
    change(&file, &group);
    file.close().unwrap();
    (folder, path)
}

/// Puts other values in the place of a dataset.
fn replace<T: hdf5_metno::H5Type>(group: &Group, name: &str, values: &[T]) {
    group.unlink(name).unwrap();
    write(group, name, values, Packing::Contiguous);
}

fn values<T: hdf5_metno::H5Type>(group: &Group, name: &str) -> Vec<T> {
    group.dataset(name).unwrap().read_raw().unwrap()
}

/// What is said of which dataset.
fn refusal(axis: Axis, change: impl Fn(&File, &Group)) -> (String, String) {
    let (_folder, path) = changed(axis, change);
    match read_h5ad(&path) {
        Err(Error::InputData { path: named, dataset, reason }) => {
            assert_eq!(named, path);
            (dataset, reason)
        }
        other => panic!("{other:?}"),
    }
}

fn assert_refused(axis: Axis, dataset: &str, reason: &str, change: impl Fn(&File, &Group)) {
    let found = refusal(axis, change);
    assert_eq!(found.0, dataset, "{found:?}");
    assert!(found.1.contains(reason), "{:?} does not say {reason:?}", found.1);
}

#[test]
fn indices_that_are_not_of_the_matrix_are_refused() {
    for axis in [Axis::Cells, Axis::Genes] {
        let change = |at: usize, value: i32| {
            move |_: &File, group: &Group| {
                let mut indices = values::<i32>(group, "indices");
                indices[at] = value;
                replace(group, "indices", &indices);
            }
        };
        assert_refused(axis, "X/indices", "outside of its", change(0, -1));
        assert_refused(axis, "X/indices", "outside of its", change(5, 1000));
        assert_refused(axis, "X/indices", "counted from 1", |_, group| {
            let mut indices = values::<i32>(group, "indices");
            indices.swap(0, 1);
            replace(group, "indices", &indices);
        });
        assert_refused(axis, "X/indices", "an index twice", |_, group| {
            let mut indices = values::<i32>(group, "indices");
            indices[1] = indices[0];
            replace(group, "indices", &indices);
        });
        assert_refused(axis, "X/indices", "whole numbers", |_, group| {
            let indices = values::<f64>(group, "indices");
            replace(group, "indices", &indices);
        });
    }
}

#[test]
fn offsets_that_do_not_fit_are_refused() {
    let axis = Axis::Cells;
    let change = |at: usize, value: i64| {
        move |_: &File, group: &Group| {
            let mut indptr = values::<i64>(group, "indptr");
            indptr[at] = value;
            replace(group, "indptr", &indptr);
        }
    };
    assert_refused(axis, "X/indptr", "decrease", change(3, 1000));
    assert_refused(axis, "X/indptr", "decrease", change(3, -5));
    assert_refused(axis, "X/indptr", "go from 1 to", change(0, 1));
    assert_refused(axis, "X/indptr", "go from 0 to 999", change(20, 999));
    assert_refused(axis, "X/indptr", "21", |_, group| {
        let indptr = values::<i64>(group, "indptr");
        replace(group, "indptr", &indptr[..20]);
    });
    assert_refused(axis, "X/indices", "and data has", |_, group| {
        let indices = values::<i32>(group, "indices");
        replace(group, "indices", &indices[1..]);
    });
    assert_refused(axis, "X/data", "no such dataset", |_, group| group.unlink("data").unwrap());
    assert_refused(axis, "X/data", "does not hold numbers", |_, group| {
        let text: VarLenUnicode = "one".parse().unwrap();
        replace(group, "data", &vec![text; values::<f32>(group, "data").len()]);
    });
    assert_refused(axis, "X/data", "2 dimensions", |_, group| {
        group.unlink("data").unwrap();
        group.new_dataset::<f32>().shape((2, 3)).create("data").unwrap();
    });
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let shape = |shape: [i64; 2]| {
        move |_: &File, group: &Group| {
            group.attr("shape").unwrap().write_raw(&shape).unwrap();
        }
    };
    assert_refused(Axis::Cells, "X/indptr", "there are 19 cells", shape([19, 6]));
    assert_refused(Axis::Genes, "X/indptr", "there are 7 genes", shape([20, 7]));
    assert_refused(Axis::Cells, "X/indices", "outside of its 3 genes", shape([20, 3]));
    assert_refused(Axis::Cells, "X", "a negative one", shape([-1, 6]));
    assert_refused(Axis::Cells, "X", "beyond what can be read", shape([1 << 40, 6]));
}

#[test]
fn counts_that_are_none_are_named_by_gene_and_cell() {
    for axis in [Axis::Cells, Axis::Genes] {
        for value in [-1.0f32, 0.5, f32::NAN, f32::INFINITY] {
            let (_folder, path) = changed(axis, |_, group| {
                let mut data = values::<f32>(group, "data");
                data[7] = value;
                replace(group, "data", &data);
            });
            assert!(matches!(read_h5ad(&path), Err(Error::Count { .. })), "{value}");
        }
    }
    assert_refused(Axis::Cells, "X/data", "2^53", |_, group| {
        let mut data = values::<i64>(group, "data");
        data[7] = i64::MAX;
        replace(group, "data", &data);
    });
}

#[test]
fn newer_encodings_and_other_things_are_refused() {
    let set = |location: &hdf5_metno::Location, name: &str, value: &str| {
        location.delete_attr(name).unwrap();
        text(location, name, value);
    };
    assert_refused(Axis::Cells, "X", "version 0.9.0", |_, group| {
        set(group, "encoding-version", "0.9.0");
    });
    assert_refused(Axis::Cells, "X", "awkward-array", |_, group| {
        set(group, "encoding-type", "awkward-array");
    });
    assert_refused(Axis::Cells, "X", "does not say of which encoding", |_, group| {
        group.delete_attr("encoding-type").unwrap();
    });
    assert_refused(Axis::Cells, "X", "no such matrix", |file, _| file.unlink("X").unwrap());
    let of_file = |change: &dyn Fn(&File)| {
        let (_folder, path) = changed(Axis::Cells, |file, _| change(file));
        match read_h5ad(&path) {
            Err(Error::InputFile { path: named, reason }) if named == path => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(of_file(&|file| set(file, "encoding-version", "7.0")).contains("version 7.0"));
    assert!(of_file(&|file| set(file, "encoding-type", "mudata")).contains("mudata"));
    assert!(of_file(&|file| file.delete_attr("encoding-type").unwrap()).contains("no obs and var"));
}

#[test]
fn what_is_no_hdf5_file_is_refused() {
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    let refused = |path: &Path| match (open_h5ad(path, "X").map(|_| ()), open_10x(path, "matrix")) {
        (
            Err(Error::InputFile { path: one, reason }),
            Err(Error::InputFile { path: other, .. }),
        ) => {
            assert_eq!((one.as_path(), other.as_path()), (path, path));
            reason
        }
        other => panic!("{other:?}"),
    };
    refused(&path);
    assert!(refused(folder.path()).contains("directory"));
    for content in ["", "gene,cell,count\n1,1,3\n", "\u{89}HDF\r\n\u{1a}\n"] {
        fs::write(&path, content).unwrap();
        assert!(refused(&path).contains("not an HDF5 file"));
    }
}

#[test]
fn a_file_that_is_cut_off_is_refused_wherever() {
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    let writers: [&dyn Fn(); 3] = [
        &|| write_h5ad_sparse::<f32, i32>(&path, &matrix(), Axis::Cells, Packing::Contiguous),
        &|| write_h5ad_sparse::<f32, i32>(&path, &matrix(), Axis::Genes, Packing::ShuffledGzip),
        &|| write_h5ad_dense::<f32>(&path, &matrix(), Packing::Chunked),
    ];
    for write in writers {
        write();
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(97) {
            fs::write(&path, &whole[..length]).unwrap();
            let found = read_h5ad(&path);
            let refused = matches!(found, Err(Error::InputFile { .. } | Error::InputData { .. }));
            assert!(refused, "{length} of {}: {found:?}", whole.len());
        }
    }
}

#[test]
fn chunks_that_are_damaged_or_missing_are_refused() {
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    // A chunk in the middle of the values; a checksum, or what unpacks it, tells.
    for packing in [Packing::Checked, Packing::Gzip, Packing::Lzf] {
        write_h5ad_dense::<f32>(&path, &matrix(), packing);
        let file = File::open(&path).unwrap();
        let chunk = file.dataset("X").unwrap().chunk_info(3).unwrap();
        file.close().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = chunk.addr as usize;
        bytes[at..at + chunk.size as usize].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(&path, bytes).unwrap();
        let found = read_h5ad(&path);
        assert!(
            matches!(&found, Err(Error::InputData { dataset, .. }) if dataset == "X"),
            "{found:?}"
        );
    }
    let file = anndata(&path);
    file.new_dataset::<f32>().shape((20, 6)).chunk((5, 3)).create("X").unwrap();
    file.close().unwrap();
    let found = read_h5ad(&path).unwrap_err().to_string();
    assert!(found.contains("never written"), "{found}");
}

#[test]
fn nothing_is_allocated_for_what_a_file_cannot_hold() {
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    let file = anndata(&path);
    let huge = file.new_dataset::<f64>().shape((1usize << 30, 1usize << 10)).chunk((4, 4));
    huge.deflate(1).create("X").unwrap();
    file.close().unwrap();
    let found = read_h5ad(&path).unwrap_err().to_string();
    assert!(found.contains("more than the file can"), "{found}");

    let file = anndata(&path);
    file.new_dataset::<f64>().shape((4, 4)).chunk((1usize << 14, 1usize << 14)).create("X").ok();
    file.close().unwrap();
    assert!(read_h5ad(&path).is_err());
}

#[test]
fn a_matrix_of_10x_is_checked_alike() {
    let folder = folder();
    let path = folder.path().join("x.h5");
    let refused = |change: &dyn Fn(&File)| {
        write_10x(&path, "matrix", &matrix(), Packing::Gzip);
        let file = File::open_rw(&path).unwrap();
        change(&file);
        file.close().unwrap();
        open_10x(&path, "matrix").and_then(|source| read(&source)).unwrap_err().to_string()
    };
    let group = |file: &File| file.group("matrix").unwrap();
    let shape = |shape: &'static [i32]| move |file: &File| replace(&group(file), "shape", shape);
    assert!(refused(&shape(&[6])).contains("two numbers"));
    assert!(refused(&shape(&[6, -1])).contains("beyond"));
    assert!(refused(&shape(&[2, 20])).contains("outside of its 2 genes"));
    assert!(refused(&shape(&[1 << 30, 20])).contains("claims 1073741824 genes"));
    assert!(refused(&|file| file.unlink("matrix").unwrap()).contains("no such"));
    assert!(refused(&|file| group(file).unlink("indptr").unwrap()).contains("no such"));
}

/// Each takes memory, though none of them has an entry.
#[test]
fn more_rows_or_columns_than_bytes_are_refused() {
    for (axis, shape) in [(Axis::Cells, [20, 1 << 30]), (Axis::Genes, [1 << 30, 6])] {
        assert_refused(axis, "X", "claims", |_, group| {
            group.delete_attr("shape").unwrap();
            group.new_attr::<i64>().shape(2).create("shape").unwrap().write_raw(&shape).unwrap();
        });
    }
    for shape in [(1 << 30, 0), (0, 1 << 24)] {
        assert_refused(Axis::Cells, "X", "claims", |file, _| {
            file.unlink("X").unwrap();
            file.new_dataset::<f64>().shape(shape).create("X").unwrap();
        });
    }
}
