//! What files hold beside counts: for `open_h5ad()` and `open_10x_h5()`.

use crate::counts::{Counts, Held, Place};
use crate::guard::{interrupted, listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::source::frame::{
    CellColumns, Column, Frame, is_10x, list_h5ad, read_10x, read_frame, read_matrix, read_names,
};
use scoria_core::source::{
    Axis, Container, Csc, Features, Scratch, Source, Watched, create_stage, find_mtx, gene_blocks,
    read_mtx, rehearse, stage_cells, transpose,
};
use scoria_core::{Error, Monitor, Result, pool};
use std::path::Path;

/// "h5ad", "10x" or neither.
/// @noRd
#[extendr]
fn rust_kind_of_file(path: &str) -> Robj {
    report(|| {
        rehearsed(path, "what it is", |held| {
            let has = |names: [&str; 2]| names.iter().all(|name| held.file.link_exists(name));
            Ok(match has(["obs", "var"]) {
                true => "h5ad",
                false if is_10x(&held.file)? => "10x",
                false => "other",
            })
        })
    })
}

/// @noRd
#[extendr]
fn rust_open_matrix(file: List) -> Robj {
    report(|| {
        let source = Place::of(&Named::of(file))?.open()?;
        Ok(list!(
            shape = [source.genes() as i32, source.cells() as i32],
            by_cell = source.axis() == Axis::Cells
        ))
    })
}

/// Makes a scratch file of all genes and cells of a file.
/// @noRd
#[extendr]
fn rust_transpose(file: List, scratch: &str, options: List, progress: Function) -> Robj {
    report(|| {
        let (file, options) = (Named::of(file), Named::of(options));
        let (place, key) = (Place::of(&file)?, file.text("key")?);
        let memory = options.number("memory")? as usize;
        let pool = pool(options.whole("threads")?)?;
        let monitor = Monitor::new();
        let source = place.open()?;
        listen(Some(&progress), &monitor, || {
            pool.install(|| transpose(&*source, Path::new(scratch), key, memory, &monitor))?;
            Ok(())
        })
    })
}

/// What the files of a folder, or beside a matrix, name.
/// @noRd
#[extendr]
fn rust_find_mtx(path: &str) -> Robj {
    report(|| {
        let files = find_mtx(Path::new(path))?;
        let Features { ids, names, types } = files.read_features()?;
        let texts = |texts| Ok::<_, Error>(Robj::from(without_nul(&files.features, texts)?));
        Ok(list!(
            matrix = files.matrix.to_string_lossy().into_owned(),
            barcodes = without_nul(&files.barcodes, files.read_barcodes()?)?,
            ids = texts(ids)?,
            names = texts(names)?,
            types = texts(types)?
        ))
    })
}

/// Makes a scratch file of a matrix in a text file.
/// @noRd
#[extendr]
fn rust_read_mtx(path: &str, scratch: &str, key: &str, options: List, progress: Function) -> Robj {
    report(|| {
        let options = Named::of(options);
        let memory = options.number("memory")? as usize;
        let pool = pool(options.whole("threads")?)?;
        let monitor = Monitor::new();
        listen(Some(&progress), &monitor, || {
            let files = find_mtx(Path::new(path))?;
            pool.install(|| read_mtx(&files, Path::new(scratch), key, memory, &monitor))?;
            Ok(())
        })
    })
}

/// Is there a scratch file of this key?
/// @noRd
#[extendr]
fn rust_has_scratch(scratch: &str, key: &str) -> Robj {
    report(|| Ok(Scratch::open(Path::new(scratch), key)?.is_some()))
}

/// Adds the cells of a dgCMatrix to a file, which is made with the first of them.
/// @noRd
#[extendr]
fn rust_stage(path: &str, block: Robj, first: bool) -> Robj {
    report(|| {
        let path = Path::new(path);
        if first {
            create_stage(path)?;
        }
        let held = Held::of(&block)?;
        match held.counts()? {
            Counts::Memory { dim, offsets, rows, values } => {
                stage_cells(path, &Csc::new(dim[0] as usize, offsets, rows, values)?)
            }
            Counts::File { .. } => Err(Error::Sparse("not a dgCMatrix")),
        }
    })
}

/// @noRd
#[extendr]
fn rust_list_h5ad(path: &str) -> Robj {
    report(|| {
        let entries = rehearsed(path, "its contents", |held| list_h5ad(&held.file))?;
        let (names, encodings): (Vec<_>, Vec<_>) =
            entries.into_iter().map(|entry| (entry.name, entry.encoding)).unzip();
        Ok(list!(name = names, encoding = encodings))
    })
}

/// @noRd
#[extendr]
fn rust_read_frame(path: &str, name: &str) -> Robj {
    report(|| {
        let frame = rehearsed(path, &format!("the data frame {name:?}"), |held| {
            read_frame(&held.file, name)
        })?;
        as_list(Path::new(path), frame)
    })
}

/// @noRd
#[extendr]
fn rust_read_10x(path: &str, genome: &str) -> Robj {
    report(|| {
        let genome = Some(genome).filter(|genome| !genome.is_empty());
        let what = format!("the barcodes and features of {}", genome.unwrap_or("its matrix"));
        let found = rehearsed(path, &what, |held| read_10x(&held.file, genome))?;
        let path = Path::new(path);
        Ok(list!(
            group = found.group,
            cells = as_list(path, found.cells)?,
            genes = as_list(path, found.genes)?
        ))
    })
}

/// @noRd
#[extendr]
fn rust_read_cell_columns(path: &str, name: &str) -> Robj {
    report(|| {
        let columns = rehearsed(path, &format!("the columns of {name:?}"), |held| {
            read_matrix(&held.file, name)
        })?;
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

/// @noRd
#[extendr]
fn rust_read_names(path: &str, name: &str) -> Robj {
    report(|| {
        let names =
            rehearsed(path, &format!("the names {name:?}"), |held| read_names(&held.file, name))?;
        without_nul(Path::new(path), names)
    })
}

/// Counts of few genes, as a matrix of cells x genes.
/// @noRd
#[extendr]
fn rust_collect_genes(counts: Robj) -> Robj {
    report(|| {
        let held = Held::of(&counts)?;
        let opened = held.counts()?.open()?;
        let pool = pool(1)?;
        let monitor = Monitor::new();
        let collect = |source: &dyn Source| {
            let source = &Watched::new(source, &monitor);
            let (mut starts, mut cells, mut values) = (vec![0], vec![], vec![]);
            for block in gene_blocks(source, usize::MAX)? {
                let block = block?;
                for gene in block.genes() {
                    let gene = block.gene(gene);
                    cells.extend(gene.cells.iter().map(|&cell| cell as i32));
                    values.extend_from_slice(gene.counts);
                    starts.push(cells.len() as i32);
                }
            }
            Ok((starts, cells, values))
        };
        let (starts, cells, values) = listen(None, &monitor, || opened.with(&pool, collect))?;
        Ok(list!(p = starts, i = cells, x = values))
    })
}

/// What is read of an HDF5 file, once a child process came through with it.
fn rehearsed<T>(path: &str, what: &str, read: impl Fn(&Container) -> Result<T>) -> Result<T> {
    let path = Path::new(path);
    rehearse(path, what, None, interrupted, || read(&Container::open(path)?))
}

/// R ends texts at a zero byte, and would be left in disarray by one.
fn without_nul(path: &Path, texts: Vec<String>) -> Result<Vec<String>> {
    match texts.iter().find(|text| text.contains('\0')) {
        None => Ok(texts),
        Some(text) => Err(Error::InputFile {
            path: path.to_owned(),
            reason: format!("it has a zero byte within the text {text:?}"),
        }),
    }
}

fn as_list(path: &Path, frame: Frame) -> Result<List> {
    let Frame { index, columns, skipped } = frame;
    let index = without_nul(path, index)?;
    let columns: Result<Vec<(String, Robj)>> =
        columns.into_iter().map(|(name, column)| Ok((name, as_robj(path, column)?))).collect();
    let (names, columns): (Vec<String>, Vec<Robj>) = columns?.into_iter().unzip();
    let names = without_nul(path, names)?;
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

fn as_robj(path: &Path, column: Column) -> Result<Robj> {
    Ok(match column {
        Column::Integers(values) => values.into_iter().collect_robj(),
        Column::Doubles(values) => values.into(),
        Column::Logicals(values) => values.into_iter().collect_robj(),
        Column::Text(values) => {
            without_nul(path, values.iter().flatten().cloned().collect())?;
            values.into_iter().collect_robj()
        }
        Column::Factor { codes, levels, ordered } => {
            let levels = without_nul(path, levels)?;
            let codes = codes.into_iter().map(|code| code.map(|code| code as i32 + 1));
            let mut factor = codes.collect_robj();
            factor.set_attrib("levels", levels).expect("a vector takes an attribute");
            let class: &[&str] = if ordered { &["ordered", "factor"] } else { &["factor"] };
            factor.set_class(class).expect("integers take a class");
            factor
        }
    })
}

extendr_module! {
    mod files;
    fn rust_kind_of_file;
    fn rust_open_matrix;
    fn rust_transpose;
    fn rust_find_mtx;
    fn rust_read_mtx;
    fn rust_has_scratch;
    fn rust_stage;
    fn rust_list_h5ad;
    fn rust_read_frame;
    fn rust_read_10x;
    fn rust_read_cell_columns;
    fn rust_read_names;
    fn rust_collect_genes;
}
