use super::head::Head;
use super::names::count_names;
use super::wrong;
use crate::Result;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A matrix and the names of its cells and genes.
#[derive(Clone, Debug, PartialEq)]
pub struct MtxFiles {
    pub matrix: PathBuf,
    pub barcodes: PathBuf,
    pub features: PathBuf,
}

/// Which of rows and columns are genes.
pub(super) struct Shape {
    pub genes: usize,
    pub cells: usize,
    /// Whether cells are rows.
    pub turned: bool,
}

/// What files are called, but for a prefix as in "GSM1_matrix.mtx" and ".gz" at the end,
/// by Cell Ranger and STARsolo, kallisto, alevin and Parse.
const MATRIX: &[&str] =
    &["matrix.mtx", "cells_x_genes.mtx", "quants_mat.mtx", "count_matrix.mtx", "DGE.mtx"];
const BARCODES: &[&str] =
    &[GENES_BY_CELLS, "cells_x_genes.barcodes.txt", "quants_mat_rows.txt", "cell_metadata.csv"];
const FEATURES: &[&str] = &[
    "features.tsv",
    "genes.tsv",
    "cells_x_genes.genes.txt",
    "quants_mat_cols.txt",
    "all_genes.csv",
];

/// Beside this a matrix is genes x cells; the others have cells in rows.
const GENES_BY_CELLS: &str = "barcodes.tsv";

/// Finds the files of a matrix: in a folder that has one of each, or beside the matrix
/// that `path` names. They are called as Cell Ranger calls them (`matrix.mtx`,
/// `barcodes.tsv`, `features.tsv` or `genes.tsv`), or as kallisto, alevin or Parse do;
/// each may end in `.gz`, and have a prefix as in `GSM1_matrix.mtx.gz`.
///
/// # Errors
/// [`Error::InputFile`](crate::Error::InputFile) where there is none of a kind, or more.
pub fn find_mtx(path: &Path) -> Result<MtxFiles> {
    let is_folder = fs::metadata(path).map_err(|error| wrong(path, error.to_string()))?.is_dir();
    let folder = match path.parent() {
        _ if is_folder => path,
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let names = names_in(folder)?;
    let (matrix, prefix) = if is_folder {
        let Named { name, prefix } = only_one(folder, MATRIX, named(&names, MATRIX))?;
        (folder.join(name), Some(prefix))
    } else {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        (path.to_owned(), prefix_of(name, MATRIX))
    };
    let beside = |kinds: &[&str]| {
        let all = named(&names, kinds);
        let found = match prefix {
            Some(prefix) => of_prefix(&all, prefix),
            // A matrix that is called otherwise goes with whatever there is.
            None => all,
        };
        Ok(folder.join(only_one(folder, kinds, found)?.name))
    };
    Ok(MtxFiles { matrix, barcodes: beside(BARCODES)?, features: beside(FEATURES)? })
}

/// The name of a file, and what stands before that of its kind.
#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'a str,
    prefix: &'a str,
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string()));
        // A name that is no text is none of those that are looked for.
        names.filter_map(|name| name.map(std::result::Result::ok).transpose()).collect()
    };
    read().map_err(|error| wrong(folder, error.to_string()))
}

fn named<'a>(names: &'a [String], kinds: &[&str]) -> Vec<Named<'a>> {
    let each = names.iter().map(String::as_str);
    each.filter_map(|name| Some(Named { name, prefix: prefix_of(name, kinds)? })).collect()
}

fn prefix_of<'a>(name: &'a str, kinds: &[&str]) -> Option<&'a str> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let prefixes = kinds.iter().filter_map(|kind| plain.strip_suffix(kind));
    // The shortest: "count_matrix.mtx" ends in "matrix.mtx".
    prefixes
        .filter(|prefix| prefix.is_empty() || prefix.ends_with(['_', '-', '.']))
        .min_by_key(|prefix| prefix.len())
}

/// Those of a prefix, or without any: but never what bears the prefix of another matrix.
fn of_prefix<'a>(all: &[Named<'a>], prefix: &str) -> Vec<Named<'a>> {
    let of = |wanted| all.iter().filter(|named| named.prefix == wanted).copied().collect();
    let own: Vec<_> = of(prefix);
    if own.is_empty() { of("") } else { own }
}

fn only_one<'a>(folder: &Path, kinds: &[&str], found: Vec<Named<'a>>) -> Result<Named<'a>> {
    match found[..] {
        [one] => Ok(one),
        [] => Err(wrong(folder, format!("no {} is there", kinds.join(" or ")))),
        _ => {
            let mut names: Vec<_> = found.iter().map(|named| named.name).collect();
            names.sort_unstable();
            let reason = format!("{} are there, one of them is expected", names.join(", "));
            Err(wrong(folder, reason))
        }
    }
}

impl MtxFiles {
    /// Which way the matrix lies, by the numbers of names.
    pub(super) fn shape(&self, head: &Head) -> Result<Shape> {
        let (genes, cells) = (count_names(&self.features)?, count_names(&self.barcodes)?);
        let fits = |rows, columns| (head.rows, head.columns) == (rows, columns);
        let (straight, turned) = (fits(genes, cells), fits(cells, genes));
        if !straight && !turned {
            let reason = format!(
                "has {} rows and {} columns, but {:?} names {genes} genes and {:?} {cells} cells",
                head.rows, head.columns, self.features, self.barcodes
            );
            return Err(wrong(&self.matrix, reason));
        }
        let by_custom = self.barcodes.file_name().and_then(|name| name.to_str());
        let straight_by_custom =
            by_custom.is_none_or(|n| prefix_of(n, &[GENES_BY_CELLS]).is_some());
        let turned = if straight && turned { !straight_by_custom } else { turned };
        Ok(Shape { genes: genes as usize, cells: cells as usize, turned })
    }
}
