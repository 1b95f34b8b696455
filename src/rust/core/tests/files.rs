//! Matrices in files, in every way that they are stored, against the same matrix in
//! memory; and what must be refused.

#[path = "files/fixture.rs"]
mod fixture;
#[path = "files/refusal.rs"]
mod refusal;

use fixture::{Matrix, Packing, folder, seen, write_10x, write_h5ad_dense, write_h5ad_sparse};
use proptest::prelude::*;
use scoria_core::source::{
    Axis, CountKind, Selected, Source, check_counts, open_10x, open_h5ad, summarise,
};

const PACKINGS: [Packing; 7] = [
    Packing::Contiguous,
    Packing::Compact,
    Packing::Chunked,
    Packing::Gzip,
    Packing::ShuffledGzip,
    Packing::Lzf,
    Packing::Checked,
];

fn matrices() -> impl Strategy<Value = Matrix> {
    (1usize..40, 1usize..60, 0.0..0.9f64, any::<u64>())
        .prop_map(|(genes, cells, density, seed)| Matrix::random(genes, cells, density, seed))
}

fn agrees(matrix: &Matrix, source: &dyn Source) -> Result<(), TestCaseError> {
    prop_assert_eq!((source.genes(), source.cells()), (matrix.genes, matrix.cells));
    let expected = seen(&matrix.csc());
    for threads in [1, 3] {
        let pool = scoria_core::pool(threads).unwrap();
        let found = pool
            .install(|| (seen(source), summarise(source), check_counts(source, CountKind::Whole)));
        prop_assert_eq!(&found.0, &expected);
        prop_assert_eq!(found.1.unwrap(), summarise(&matrix.csc()).unwrap());
        prop_assert!(found.2.is_ok());
    }
    let some: Vec<u32> = (0..matrix.cells as u32).step_by(3).collect();
    let selected = seen(&Selected::new(source, None, Some(&some)).unwrap());
    prop_assert_eq!(selected, seen(&Selected::new(&matrix.csc(), None, Some(&some)).unwrap()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn sparse_matrices_of_h5ad_files_are_those_in_memory(matrix in matrices()) {
        let folder = folder();
        let path = folder.path().join("x.h5ad");
        for axis in [Axis::Cells, Axis::Genes] {
            for packing in PACKINGS {
                write_h5ad_sparse::<f32, i32>(&path, &matrix, axis, packing);
                agrees(&matrix, &*open_h5ad(&path, "X").unwrap())?;
            }
        }
    }

    #[test]
    fn dense_matrices_of_h5ad_files_are_those_in_memory(matrix in matrices()) {
        let folder = folder();
        let path = folder.path().join("x.h5ad");
        for packing in PACKINGS {
            write_h5ad_dense::<f64>(&path, &matrix, packing);
            agrees(&matrix, &*open_h5ad(&path, "X").unwrap())?;
        }
    }

    #[test]
    fn matrices_of_10x_files_are_those_in_memory(matrix in matrices()) {
        let folder = folder();
        let path = folder.path().join("x.h5");
        for (group, packing) in [("matrix", Packing::Gzip), ("GRCh38", Packing::Contiguous)] {
            write_10x(&path, group, &matrix, packing);
            agrees(&matrix, &open_10x(&path, group).unwrap())?;
        }
    }
}

#[test]
fn numbers_of_every_type_are_read() {
    let matrix = Matrix::random(7, 11, 0.5, 1);
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    macro_rules! check {
        ($($value:ty, $index:ty;)*) => {$({
            write_h5ad_sparse::<$value, $index>(&path, &matrix, Axis::Cells, Packing::Gzip);
            agrees(&matrix, &*open_h5ad(&path, "X").unwrap()).unwrap();
            write_h5ad_dense::<$value>(&path, &matrix, Packing::Chunked);
            agrees(&matrix, &*open_h5ad(&path, "X").unwrap()).unwrap();
        })*};
    }
    check! {
        i8, i64; u8, u32; i16, u16; u16, i16; i32, u64; u32, u8; i64, i32; u64, i32; f32, i32; f64, i64;
    }
}

#[test]
fn the_matrices_of_the_older_encoding_are_read() {
    let matrix = Matrix::random(7, 11, 0.5, 2);
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    for axis in [Axis::Cells, Axis::Genes] {
        fixture::write_h5sparse(&path, &matrix, axis);
        agrees(&matrix, &*open_h5ad(&path, "X").unwrap()).unwrap();
    }
}

#[test]
fn layers_and_raw_are_found_by_name() {
    let matrix = Matrix::random(5, 9, 0.5, 3);
    let folder = folder();
    let path = folder.path().join("x.h5ad");
    for name in ["layers/counts", "raw/X"] {
        fixture::write_h5ad_at::<f32, i32>(&path, name, &matrix, Axis::Cells, Packing::Contiguous);
        agrees(&matrix, &*open_h5ad(&path, name).unwrap()).unwrap();
        assert!(open_h5ad(&path, "X").is_err());
    }
}
