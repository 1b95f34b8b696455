//! Files of AnnData, in every encoding so far.

use std::path::Path;

use hdf5_metno::types::{FixedAscii, VarLenUnicode};
use hdf5_metno::{File, Group, H5Type, Location, ObjectReference1};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use scoria_core::Result;
use scoria_core::source::frame::{list_h5ad, read_frame, read_matrix};
use scoria_core::source::{Container, open_h5ad};

use super::hdf5::{Compressed, read_counts};
use super::pen::{Kind, NUMBERS, Pen, WHOLE};

pub fn build(folder: &Path, random: &mut ChaCha8Rng) {
    let pen = &mut Pen::new(random);
    let (genes, cells) = (pen.random.random_range(0..12), pen.random.random_range(0..15));
    let file = File::create(folder.join("file.h5")).unwrap();
    // Of 0.8 and later, 0.7, and before.
    let release = pen.random.random_range(6..9);
    if release == 8 {
        pen.encode(&file, "anndata", "0.1.0");
    }
    write_matrix(&file, "X", cells, genes, release, pen);
    for (name, count) in [("obs", cells), ("var", genes)] {
        match release {
            6 => write_records(&file, name, count, pen),
            _ => write_frame(&file, name, count, release, pen),
        }
    }
    if pen.one_in(2) {
        let layers = pen.group(&file, "layers");
        write_matrix(&layers, "counts", cells, genes, release, pen);
    }
    let obsm = pen.group(&file, "obsm");
    let columns = pen.random.random_range(0..6);
    write_matrix(&obsm, "guides", cells, columns, release.max(7), pen);
    if pen.one_in(2) {
        write_numbers(&obsm, "frame", cells, pen);
    }
}

/// Dense or compressed, of rows x columns.
fn write_matrix(
    group: &Group,
    name: &str,
    rows: usize,
    columns: usize,
    release: u32,
    pen: &mut Pen<'_>,
) {
    if pen.one_in(3) {
        let values: Vec<_> = (0..rows * columns).map(|_| pen.pick(&[0.0, 0.0, 1.0, 7.0])).collect();
        pen.table(group, name, &values, &[rows, columns], &NUMBERS);
        if let Ok(dataset) = group.dataset(name).as_ref()
            && release == 8
        {
            pen.encode(dataset, "array", "0.2.0");
        }
        return;
    }
    let matrix = pen.group(group, name);
    let (format, along, across) =
        if pen.one_in(2) { ("csr", rows, columns) } else { ("csc", columns, rows) };
    if release == 6 {
        pen.attribute(&matrix, "h5sparse_format", format);
        pen.extents(&matrix, "h5sparse_shape", [rows, columns]);
    } else {
        pen.encode(&matrix, &format!("{format}_matrix"), "0.1.0");
        pen.extents(&matrix, "shape", [rows, columns]);
    }
    Compressed::random(along, across, pen).write(&matrix, pen);
}

fn write_frame(file: &Group, name: &str, count: usize, release: u32, pen: &mut Pen<'_>) {
    let group = pen.group(file, name);
    pen.encode(&group, "dataframe", if release == 7 { "0.1.0" } else { "0.2.0" });
    pen.attribute(&group, "_index", "index");
    let names = labels("name", count);
    pen.texts(&group, "index", &names);
    let columns: Vec<_> =
        (0..pen.random.random_range(0..6)).map(|k| format!("column {k}")).collect();
    pen.attributes(&group, "column-order", &columns);
    for column in &columns {
        write_column(&group, column, count, release, pen);
    }
}

/// A data frame that can be read as a matrix.
fn write_numbers(group: &Group, name: &str, count: usize, pen: &mut Pen<'_>) {
    let group = pen.group(group, name);
    pen.encode(&group, "dataframe", "0.2.0");
    pen.attribute(&group, "_index", "index");
    pen.texts(&group, "index", &labels("name", count));
    let columns = labels("guide", 3);
    pen.attributes(&group, "column-order", &columns);
    for column in &columns {
        pen.numbers(&group, column, &vec![1.0; count], &[Kind::I64, Kind::F32, Kind::Logical]);
    }
}

fn write_column(group: &Group, name: &str, count: usize, release: u32, pen: &mut Pen<'_>) {
    let numbers: Vec<_> = (0..count).map(|k| (k % 5) as f64).collect();
    match pen.random.random_range(0..6) {
        0 => pen.numbers(group, name, &numbers, &[&NUMBERS[..], &WHOLE, &[Kind::Logical]].concat()),
        1 => pen.texts(group, name, &labels("text", count)),
        2 | 3 if release == 7 => write_codes(group, name, count, pen),
        2 | 3 => {
            let column = pen.group(group, name);
            pen.encode(&column, "categorical", "0.2.0");
            write_ordered(&column, pen);
            write_levels(&column, "categories", pen);
            pen.numbers(&column, "codes", &codes(count), &[Kind::I8, Kind::I16, Kind::I32]);
        }
        4 => {
            let column = pen.group(group, name);
            pen.encode(&column, "nullable-integer", "0.1.0");
            pen.numbers(&column, "values", &numbers, &WHOLE);
            pen.numbers(&column, "mask", &codes(count), &[Kind::Logical]);
        }
        _ => {
            let column = pen.group(group, name);
            pen.encode(&column, "nullable-string-array", "0.1.0");
            pen.texts(&column, "values", &labels("text", count));
            pen.numbers(&column, "mask", &codes(count), &[Kind::Logical]);
        }
    }
}

/// As in 0.7: codes refer to their categories.
fn write_codes(group: &Group, name: &str, count: usize, pen: &mut Pen<'_>) {
    let beside = match group.group("__categories") {
        Ok(beside) => beside,
        Err(_) => group.create_group("__categories").unwrap(),
    };
    write_levels(&beside, name, pen);
    pen.numbers(group, name, &codes(count), &[Kind::I8, Kind::I16]);
    let to = pen.pick(&["", "/", "/X", "/obs"]);
    let to = if pen.slips() { to.to_owned() } else { format!("__categories/{name}") };
    if let (Ok(codes), Ok(levels)) = (group.dataset(name), group.reference(&to)) {
        pen.write_attribute::<ObjectReference1>(&codes, "categories", &levels);
    }
    if let Ok(levels) = beside.dataset(name) {
        write_ordered(&levels, pen);
    }
}

fn write_ordered(place: &Location, pen: &mut Pen<'_>) {
    match pen.slips() {
        true => pen.extents(place, "ordered", [1, 1]),
        false => {
            let ordered = pen.one_in(2);
            pen.write_attribute(place, "ordered", &ordered);
        }
    }
}

fn write_levels(group: &Group, name: &str, pen: &mut Pen<'_>) {
    match pen.one_in(3) {
        true => pen.numbers(group, name, &[3.0, 7.0, 2.0], &NUMBERS),
        false => pen.texts(group, name, &labels("level", 3)),
    }
}

#[derive(H5Type, Clone)]
#[repr(C)]
struct Record {
    index: FixedAscii<9>,
    n: i64,
    guide: i8,
    half: f32,
    kept: bool,
    label: VarLenUnicode,
}

/// As until 0.6: categories are in `uns`.
fn write_records(file: &Group, name: &str, count: usize, pen: &mut Pen<'_>) {
    if pen.slips() {
        return pen.texts(file, name, &labels("name", count));
    }
    let codes = if pen.slips() { vec![9.0; count] } else { codes(count) };
    let records: Vec<_> = (codes.iter().enumerate())
        .map(|(k, &code)| Record {
            index: FixedAscii::from_ascii(&format!("name{k}")).unwrap(),
            n: 1 << (k % 60),
            guide: code as i8,
            half: k as f32 / 2.0,
            kept: k % 2 == 0,
            label: format!("label {k}").parse().unwrap(),
        })
        .collect();
    pen.write(file, name, &records, &[count]);
    if file.link_exists("uns") {
        return;
    }
    let uns = pen.group(file, "uns");
    write_levels(&uns, "guide_categories", pen);
}

fn labels(of: &str, count: usize) -> Vec<String> {
    (0..count).map(|k| format!("{of}{k}")).collect()
}

/// Of three categories and none.
fn codes(count: usize) -> Vec<f64> {
    (0..count).map(|k| (k % 4) as f64 - 1.0).collect()
}

pub fn run(folder: &Path) -> Result<()> {
    let path = folder.join("file.h5");

    let file = Container::open(&path)?.file;
    // One part may be good where another is not.
    let mut parts = vec![
        open_h5ad(&path, "X").and_then(|counts| read_counts(&*counts)),
        read_frame(&file, "obs").map(drop),
        read_frame(&file, "var").map(drop),
    ];
    match list_h5ad(&file) {
        Ok(entries) => {
            let listed = entries.iter().filter(|entry| entry.name.starts_with("obsm/"));
            parts.extend(listed.map(|entry| read_matrix(&file, &entry.name).map(drop)));
        }
        Err(error) => parts.push(Err(error)),
    }
    parts.into_iter().collect()
}
