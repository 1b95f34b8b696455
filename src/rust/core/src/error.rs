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
        "the memory limit of {limit} bytes is too low: {needed} bytes are needed at least; \
         use fewer threads, or have results written to a file"
    )]
    Memory { needed: usize, limit: usize },
    #[error("no gene has a dispersion above {least}: there is nothing to fit a trend to")]
    NoDispersion { least: f64 },
    #[error("could not start {0} threads")]
    Threads(usize),
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
            Error::NoDispersion { .. } => "dispersions",
            Error::Threads(_) => "threads",
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;
