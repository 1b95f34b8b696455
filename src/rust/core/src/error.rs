use std::path::PathBuf;

use thiserror::Error;

/// Everything that can go wrong in the core.
#[derive(Debug, Error, PartialEq)]
pub enum Error {
    #[error("interrupted")]
    Interrupted,
    #[error("invalid sparse matrix: {0}")]
    Sparse(&'static str),
    #[error("{what}: {found} found, {expected} expected")]
    Shape { what: &'static str, found: usize, expected: usize },
    #[error("invalid count: {value} in gene {gene}, cell {cell} (counted from 1); {expected}")]
    Count { gene: usize, cell: usize, value: f64, expected: &'static str },
    #[error("the design has no usable column")]
    EmptyDesign,
    #[error("{what} must be finite")]
    NotFinite { what: &'static str },
    #[error("{name} is {value}, must be {expected}")]
    Argument { name: &'static str, value: String, expected: &'static str },
    #[error(
        "the memory limit of {} MB is too low: {} MB are needed at least",
        .limit / 1_000_000, .needed.div_ceil(1_000_000)
    )]
    Memory { needed: usize, limit: usize },
    #[error("all values are whole numbers: they are no logarithms of 1 + x")]
    NotLogarithms,
    #[error("no gene has a dispersion above {least}: there is nothing to fit a trend to")]
    NoDispersion { least: f64 },
    #[error(
        "the mean count of gene {gene} (counted from 1) in the reference cells is {mean}, and was \
         {expected} in the data of the fit"
    )]
    OtherData { gene: usize, mean: f64, expected: f64 },
    #[error("could not start {0} threads")]
    Threads(usize),
    #[error("can't read {path:?}: {reason}")]
    InputFile { path: PathBuf, reason: String },
    #[error("can't use {dataset:?} of {path:?}: {reason}")]
    InputData { path: PathBuf, dataset: String, reason: String },
    #[error("{path:?} exists already")]
    OutputExists { path: PathBuf },
    #[error("{path:?} is being written by another process")]
    OutputLocked { path: PathBuf },
    #[error("no space left for {path:?}, which needs {needed} bytes")]
    OutputFull { path: PathBuf, needed: u64 },
    #[error("{path:?} {reason}")]
    OutputFile { path: PathBuf, reason: String },
    #[error("{path:?} holds results of other data or arguments: {} differ", listed(.differs))]
    OutputMismatch { path: PathBuf, differs: Vec<String> },
    #[error("cannot use {path:?}: {reason}")]
    OutputAccess { path: PathBuf, reason: String },
}

impl Error {
    /// Stable name of the condition class that R users can catch.
    pub fn class(&self) -> &'static str {
        match self {
            Error::Interrupted => "interrupted",
            Error::Sparse(_) => "sparse",
            Error::Shape { .. } => "shape",
            Error::Count { .. } => "counts",
            Error::EmptyDesign => "design",
            Error::NotFinite { .. } => "not_finite",
            Error::Argument { .. } => "argument",
            Error::Memory { .. } => "memory_limit",
            Error::NotLogarithms => "scale",
            Error::NoDispersion { .. } => "dispersions",
            Error::OtherData { .. } => "other_data",
            Error::Threads(_) => "threads",
            Error::InputFile { .. } => "input_file",
            Error::InputData { .. } => "input_data",
            Error::OutputExists { .. } => "output_exists",
            Error::OutputLocked { .. } => "output_locked",
            Error::OutputFull { .. } => "output_full",
            Error::OutputFile { .. } => "output_file",
            Error::OutputMismatch { .. } => "output_mismatch",
            Error::OutputAccess { .. } => "output_access",
        }
    }
}

/// "a", "a and b", "a, b and c".
fn listed(names: &[String]) -> String {
    match names {
        [rest @ .., before, last] => {
            let rest: String = rest.iter().map(|name| format!("{name}, ")).collect();
            format!("{rest}{before} and {last}")
        }
        _ => names.concat(),
    }
}

pub type Result<T> = std::result::Result<T, Error>;
