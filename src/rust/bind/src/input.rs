//! R's objects as slices that the core borrows.

use extendr_api::prelude::*;
use rayon::ThreadPool;
use scoria_core::source::Csc;
use scoria_core::{Error, Result};

/// The slots of a dgCMatrix, kept alive while Rust borrows their data.
pub struct Slots {
    dim: Robj,
    offsets: Robj,
    rows: Robj,
    values: Robj,
}

impl Slots {
    pub fn of(matrix: &S4) -> Result<Self> {
        let slot = |name: &str| matrix.get_slot(name).ok_or(Error::Sparse("not a dgCMatrix"));
        Ok(Self { dim: slot("Dim")?, offsets: slot("p")?, rows: slot("i")?, values: slot("x")? })
    }

    /// The matrix itself, without a copy; checked with the threads of a pool.
    pub fn csc(&self, pool: &ThreadPool) -> Result<Csc<'_>> {
        let wrong = Error::Sparse("a slot is of the wrong type");
        match (
            self.dim.as_integer_slice(),
            self.offsets.as_integer_slice(),
            self.rows.as_integer_slice(),
            self.values.as_real_slice(),
        ) {
            (Some(&[nrow, _]), Some(offsets), Some(rows), Some(values)) => {
                pool.install(|| Csc::new(nrow as usize, offsets, rows, values))
            }
            _ => Err(wrong),
        }
    }
}
