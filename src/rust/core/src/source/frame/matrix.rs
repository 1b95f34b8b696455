use super::encoding::encoding;
use super::node::{Folder, Node};
use super::table::Table;
use super::{Column, Frame, Read, Unread, read_frame};
use crate::Result;
use hdf5_metno::File;

/// What cells have of each of some columns, such as guides: entries other than zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellColumns {
    pub n_cells: usize,
    /// Where the file names them with the values.
    pub names: Option<Vec<String>>,
    /// The entries of column k are those from `starts[k]` to `starts[k + 1]`.
    pub starts: Vec<usize>,
    /// Counted from zero, strictly increasing within a column.
    pub cells: Vec<u32>,
    pub values: Vec<f64>,
}

/// Reads a matrix of cells x columns, such as `obsm/guides`: an array, a sparse matrix,
/// or a data frame of numbers or logicals. What is not zero is all that is held.
///
/// # Errors
/// [`Error::InputData`](crate::Error::InputData) where there is none, or it contradicts
/// itself or has missing values.
pub fn read_matrix(file: &File, name: &str) -> Result<CellColumns> {
    let root = Folder::root(file)?;
    match root.node(name)? {
        Node::Table(table) => read_dense(file, &table),
        Node::Folder(folder) => match encoding(folder.location(), &folder.at)?.0.as_deref() {
            Some("csr_matrix") => read_sparse(file, &folder, Stored::ByCell),
            Some("csc_matrix") => read_sparse(file, &folder, Stored::ByColumn),
            _ => of_frame(file, &folder, read_frame(file, name)?),
        },
    }
}

/// Entries of the columns, as they are found.
struct Collected {
    n_cells: usize,
    columns: Vec<Vec<(u32, f64)>>,
}

impl Collected {
    /// # Errors
    /// Where there are too many rows; or columns, which take no space where all are empty.
    fn new(file: &File, n_cells: usize, n_columns: usize) -> std::result::Result<Self, String> {
        if u32::try_from(n_cells).is_err() || n_columns as u64 > file.size() {
            return Err(format!("it claims {n_cells} rows and {n_columns} columns"));
        }
        Ok(Self { n_cells, columns: vec![vec![]; n_columns] })
    }

    /// # Errors
    /// Of values that are missing.
    fn add(&mut self, cell: usize, column: usize, value: f64) -> std::result::Result<(), String> {
        if value.is_nan() {
            return Err(format!("it has no value for cell {cell} and column {column}"));
        }
        if value != 0.0 {
            self.columns[column].push((cell as u32, value));
        }
        Ok(())
    }

    /// # Errors
    /// Of entries that are there twice.
    fn finish(mut self, names: Option<Vec<String>>) -> std::result::Result<CellColumns, String> {
        let mut found = CellColumns { n_cells: self.n_cells, names, ..Default::default() };
        found.starts.push(0);
        for (k, column) in self.columns.iter_mut().enumerate() {
            column.sort_unstable_by_key(|&(cell, _)| cell);
            if let Some(twice) = column.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(format!("it has two entries for cell {} and column {k}", twice[0].0));
            }
            found.cells.extend(column.iter().map(|&(cell, _)| cell));
            found.values.extend(column.iter().map(|&(_, value)| value));
            found.starts.push(found.cells.len());
            *column = vec![];
        }
        Ok(found)
    }
}

fn read_dense(file: &File, table: &Table) -> Result<CellColumns> {
    let at = &table.at;
    let &[n_cells, n_columns] = table.shape() else {
        return Err(at.wrong(format!("it has {} dimensions, not two", table.shape().len())));
    };
    let mut collected =
        Collected::new(file, n_cells, n_columns).map_err(|reason| at.wrong(reason))?;
    let at_once = (AT_ONCE / n_columns.max(1)).max(1);
    for from in (0..n_cells).step_by(at_once) {
        let rows = from..n_cells.min(from + at_once);
        let values = table.rows(rows).map_err(|unread| at.refused(unread))?;
        for (k, &value) in values.iter().enumerate() {
            let (cell, column) = (from + k / n_columns, k % n_columns);
            collected.add(cell, column, value).map_err(|reason| at.wrong(reason))?;
        }
    }
    collected.finish(None).map_err(|reason| at.wrong(reason))
}

/// Values of an array that are read at once.
const AT_ONCE: usize = 1 << 20;

enum Stored {
    ByCell,
    ByColumn,
}

fn read_sparse(file: &File, folder: &Folder, stored: Stored) -> Result<CellColumns> {
    let at = &folder.at;
    let Some(&[n_cells, n_columns]) = folder.attribute_shape()?.as_deref() else {
        return Err(at.wrong("it does not say what shape it has"));
    };
    let whole = |name: &str| {
        let table = folder.table(name)?;
        table.wholes().map_err(|unread| table.at.refused(unread))
    };
    let (starts, indices) = (whole("indptr")?, whole("indices")?);
    let data = folder.table("data")?;
    let values = data.values().and_then(as_doubles).map_err(|unread| data.at.refused(unread))?;
    let (outer, inner) = match stored {
        Stored::ByCell => (n_cells, n_columns),
        Stored::ByColumn => (n_columns, n_cells),
    };
    let in_order = starts.len() == outer + 1
        && starts[0] == 0
        && starts.is_sorted()
        && starts[outer] == values.len() as i64
        && indices.len() == values.len();
    if !in_order {
        return Err(at.wrong("its indptr, indices and data do not belong together"));
    }
    let mut collected =
        Collected::new(file, n_cells, n_columns).map_err(|reason| at.wrong(reason))?;
    for k in 0..outer {
        for entry in starts[k] as usize..starts[k + 1] as usize {
            let other = usize::try_from(indices[entry]).unwrap_or(usize::MAX);
            if other >= inner {
                let index = indices[entry];
                return Err(at.wrong(format!("it has index {index}, and a shape of {inner}")));
            }
            let (cell, column) = match stored {
                Stored::ByCell => (k, other),
                Stored::ByColumn => (other, k),
            };
            let added = collected.add(cell, column, values[entry]);
            added.map_err(|reason| at.wrong(reason))?;
        }
    }
    collected.finish(None).map_err(|reason| at.wrong(reason))
}

fn of_frame(file: &File, folder: &Folder, frame: Frame) -> Result<CellColumns> {
    if let Some(skipped) = frame.skipped.first() {
        return Err(folder.at.under(&skipped.column).wrong(skipped.reason.as_str()));
    }
    let n_cells = frame.index.len();
    let mut collected = Collected::new(file, n_cells, frame.columns.len())
        .map_err(|reason| folder.at.wrong(reason))?;
    let mut names = vec![];
    for (k, (name, column)) in frame.columns.into_iter().enumerate() {
        let at = folder.at.under(&name);
        let values = as_doubles(column).map_err(|unread| at.refused(unread))?;
        for (cell, value) in values.into_iter().enumerate() {
            collected.add(cell, k, value).map_err(|reason| at.wrong(reason))?;
        }
        names.push(name);
    }
    collected.finish(Some(names)).map_err(|reason| folder.at.wrong(reason))
}

fn as_doubles(column: Column) -> Read<Vec<f64>> {
    match column {
        Column::Doubles(values) => Ok(values),
        Column::Integers(values) => {
            Ok(values.into_iter().map(|value| value.map_or(f64::NAN, f64::from)).collect())
        }
        Column::Logicals(values) => {
            let number =
                |value: Option<bool>| value.map_or(f64::NAN, |value| f64::from(u8::from(value)));
            Ok(values.into_iter().map(number).collect())
        }
        Column::Text(_) | Column::Factor { .. } => {
            Err(Unread::Unknown("it holds no numbers".to_owned()))
        }
    }
}
