//! What files hold beside counts: for `open_h5ad()` and `open_10x_h5()`.

use crate::counts::open_file;
use crate::guard::report;
use extendr_api::prelude::*;
use scoria_core::Result;
use scoria_core::source::frame::{
    CellColumns, Column, Frame, list_h5ad, read_10x, read_frame, read_matrix,
};
use scoria_core::source::{Axis, Container};
use std::path::Path;

/// "h5ad", "10x" or neither.
/// @noRd
#[extendr]
fn rust_kind_of_file(path: &str) -> Robj {
    report(|| {
        let file = Container::open(Path::new(path))?.file;
        let has = |names: [&str; 2]| names.iter().all(|name| file.link_exists(name));
        Ok(match (has(["obs", "var"]), read_10x(&file, None)) {
            (true, _) => "h5ad",
            (false, Ok(_)) => "10x",
            (false, Err(_)) => "other",
        })
    })
}

/// @noRd
#[extendr]
fn rust_open_matrix(path: &str, kind: &str, matrix: &str) -> Robj {
    report(|| {
        let source = open_file(Path::new(path), kind, matrix)?;
        Ok(list!(
            shape = [source.genes() as i32, source.cells() as i32],
            by_cell = source.axis() == Axis::Cells
        ))
    })
}

/// @noRd
#[extendr]
fn rust_list_h5ad(path: &str) -> Robj {
    report(|| {
        let entries = list_h5ad(&Container::open(Path::new(path))?.file)?;
        let (names, encodings): (Vec<_>, Vec<_>) =
            entries.into_iter().map(|entry| (entry.name, entry.encoding)).unzip();
        Ok(list!(name = names, encoding = encodings))
    })
}

/// @noRd
#[extendr]
fn rust_read_frame(path: &str, name: &str) -> Robj {
    report(|| as_list(read_frame(&Container::open(Path::new(path))?.file, name)?))
}

/// @noRd
#[extendr]
fn rust_read_10x(path: &str, genome: &str) -> Robj {
    report(|| {
        let genome = Some(genome).filter(|genome| !genome.is_empty());
        let found = read_10x(&Container::open(Path::new(path))?.file, genome)?;
        Ok(list!(
            group = found.group,
            cells = as_list(found.cells)?,
            genes = as_list(found.genes)?
        ))
    })
}

/// @noRd
#[extendr]
fn rust_read_cell_columns(path: &str, name: &str) -> Robj {
    report(|| {
        let columns = read_matrix(&Container::open(Path::new(path))?.file, name)?;
        let CellColumns { n_cells, names, starts, cells, values } = columns;
        Ok(list!(
            n_cells = n_cells as i32,
            names = names.map_or(().into(), Robj::from),
            p = starts.into_iter().map(|start| start as i32).collect::<Vec<_>>(),
            i = cells.into_iter().map(|cell| cell as i32).collect::<Vec<_>>(),
            x = values
        ))
    })
}

fn as_list(frame: Frame) -> Result<List> {
    let Frame { index, columns, skipped } = frame;
    let (names, columns): (Vec<String>, Vec<Robj>) =
        columns.into_iter().map(|(name, column)| (name, as_robj(column))).unzip();
    let (skipped, reasons): (Vec<_>, Vec<_>) =
        skipped.into_iter().map(|skipped| (skipped.column, skipped.reason)).unzip();
    Ok(list!(
        index = index,
        names = names,
        columns = List::from_values(columns),
        skipped = skipped,
        reasons = reasons
    ))
}

fn as_robj(column: Column) -> Robj {
    match column {
        Column::Integers(values) => values.into_iter().collect_robj(),
        Column::Doubles(values) => values.into(),
        Column::Logicals(values) => values.into_iter().collect_robj(),
        Column::Text(values) => values.into_iter().collect_robj(),
        Column::Factor { codes, levels, ordered } => {
            let codes = codes.into_iter().map(|code| code.map(|code| code as i32 + 1));
            let mut factor = codes.collect_robj();
            factor.set_attrib("levels", levels).expect("a vector takes an attribute");
            let class: &[&str] = if ordered { &["ordered", "factor"] } else { &["factor"] };
            factor.set_class(class).expect("integers take a class");
            factor
        }
    }
}

extendr_module! {
    mod files;
    fn rust_kind_of_file;
    fn rust_open_matrix;
    fn rust_list_h5ad;
    fn rust_read_frame;
    fn rust_read_10x;
    fn rust_read_cell_columns;
}
