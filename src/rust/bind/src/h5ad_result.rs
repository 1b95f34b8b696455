//! Results as an .h5ad, for `write_h5ad_result()`.

use crate::guard::report;
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::result::{H5adFile, H5adLayout, Layer, LayerKind, Ranking, Setting};
use scoria_core::source::frame::{Column, Frame};
use scoria_core::{Error, Result};
use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

/// None once the file is finished or given up.
type Writer = RefCell<Option<H5adFile>>;

/// @noRd
#[extendr]
fn rust_create_h5ad(path: &str, layout: List, overwrite: bool) -> Robj {
    report(|| {
        let file = H5adFile::create(Path::new(path), read_layout(layout)?, overwrite)?;
        let unranked: Robj = file.unranked().map_or(().into(), Into::into);
        Ok(list!(writer = ExternalPtr::new(RefCell::new(Some(file))), unranked = unranked))
    })
}

/// Layers, groups and genes are counted from one; the last of a part is in it.
/// @noRd
#[extendr]
fn rust_write_h5ad(
    writer: ExternalPtr<Writer>,
    layer: i32,
    groups: &[i32],
    genes: &[i32],
    values: &[f64],
) -> Robj {
    report(|| {
        let (groups, genes) = (part("groups", groups)?, part("genes", genes)?);
        match writer.borrow_mut().as_mut() {
            Some(file) => file.write(layer as usize - 1, groups, genes, values),
            None => Err(closed()),
        }
    })
}

/// @noRd
#[extendr]
fn rust_finish_h5ad(writer: ExternalPtr<Writer>) -> Robj {
    report(|| writer.take().ok_or_else(closed)?.finish())
}

/// Does nothing once it is finished.
/// @noRd
#[extendr]
fn rust_discard_h5ad(writer: ExternalPtr<Writer>) {
    writer.take();
}

fn closed() -> Error {
    Named::wrong("writer", "one that is not finished")
}

fn part(name: &'static str, ends: &[i32]) -> Result<Range<usize>> {
    match ends {
        &[first, last] if first > 0 && last >= first => Ok(first as usize - 1..last as usize),
        _ => Err(Named::wrong(name, "the first and the last of a part")),
    }
}

fn read_layout(list: List) -> Result<H5adLayout> {
    let named = Named::of(list);
    let layers = named.list("layers")?.iter().map(|(name, kind)| {
        let kind = match kind.as_str() {
            Some("f8") => LayerKind::F64,
            Some("f4") => LayerKind::F32,
            Some("u1") => LayerKind::U8,
            Some("bool") => LayerKind::Logical,
            _ => return Err(Named::wrong("layers", "f8, f4, u1 or bool")),
        };
        Ok(Layer { name: name.to_owned(), kind })
    });
    let ranking = match named.list_or_none("ranking")? {
        None => None,
        Some(ranking) => {
            let ranking = Named::of(ranking);
            let layer = |name| Ok::<_, Error>(ranking.whole(name)?.saturating_sub(1));
            Some(Ranking {
                scores: layer("scores")?,
                pvals: layer("pvals")?,
                pvals_adj: layer("pvals_adj")?,
                logfoldchanges: layer("logfoldchanges")?,
                params: read_settings(ranking.list("params")?)?,
            })
        }
    };
    Ok(H5adLayout {
        groups: read_frame(named.list("groups")?)?,
        genes: read_frame(named.list("genes")?)?,
        layers: layers.collect::<Result<_>>()?,
        settings: read_settings(named.list("settings")?)?,
        ranking,
    })
}

fn read_frame(list: List) -> Result<Frame> {
    let named = Named::of(list);
    let columns = named.list("columns")?;
    let columns = columns.iter().map(|(name, column)| Ok((name.to_owned(), read_column(&column)?)));
    Ok(Frame {
        index: named.texts("index")?,
        columns: columns.collect::<Result<_>>()?,
        skipped: vec![],
    })
}

fn read_column(column: &Robj) -> Result<Column> {
    let wrong = || Named::wrong("columns", "vectors");
    let whole = |&value: &i32| (value != i32::MIN).then_some(value);
    if column.inherits("factor") {
        let levels = column.get_attrib("levels").and_then(|levels| levels.as_string_vector());
        let codes = column.as_integer_slice().ok_or_else(wrong)?;
        return Ok(Column::Factor {
            codes: codes.iter().map(|code| whole(code).map(|code| code as u32 - 1)).collect(),
            levels: levels.ok_or_else(wrong)?,
            ordered: column.inherits("ordered"),
        });
    }
    if let Some(values) = column.as_integer_slice() {
        return Ok(Column::Integers(values.iter().map(whole).collect()));
    }
    if let Some(values) = column.as_real_slice() {
        return Ok(Column::Doubles(values.to_vec()));
    }
    if let Some(values) = column.as_logical_slice() {
        let known = |value: &Rbool| (!value.is_na()).then(|| value.is_true());
        return Ok(Column::Logicals(values.iter().map(known).collect()));
    }
    let texts = Strings::try_from(column).map_err(|_| wrong())?;
    let known = |text: &Rstr| (!text.is_na()).then(|| text.as_ref().to_owned());
    Ok(Column::Text(texts.iter().map(known).collect()))
}

/// Strings, one or more, or one value of another type.
fn read_settings(list: List) -> Result<Vec<(String, Setting)>> {
    let read = |(name, value): (&str, Robj)| {
        let setting = match read_column(&value)? {
            Column::Text(texts) => {
                let texts: Option<Vec<String>> = texts.into_iter().collect();
                match texts.map(<[String; 1]>::try_from) {
                    Some(Ok([text])) => Some(Setting::Text(text)),
                    Some(Err(texts)) => Some(Setting::Texts(texts)),
                    None => None,
                }
            }
            Column::Doubles(values) => only(values).map(Setting::Number),
            Column::Integers(values) => only(values).flatten().map(Setting::Integer),
            Column::Logicals(values) => only(values).flatten().map(Setting::Logical),
            Column::Factor { .. } => None,
        };
        let setting = setting.ok_or(Named::wrong("settings", "strings, or one value"))?;
        Ok((name.to_owned(), setting))
    };
    list.iter().map(read).collect()
}

fn only<T>(values: Vec<T>) -> Option<T> {
    <[T; 1]>::try_from(values).ok().map(|[value]| value)
}

extendr_module! {
    mod h5ad_result;
    fn rust_create_h5ad;
    fn rust_write_h5ad;
    fn rust_finish_h5ad;
    fn rust_discard_h5ad;
}
