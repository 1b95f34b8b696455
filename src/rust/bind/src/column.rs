//! Columns of results as vectors of R that share their memory: `column.c` has the other
//! half.

use extendr_api::prelude::*;
use std::ffi::c_void;

/// Shorter ones are copied: R is faster with vectors of its own.
const SHORT: usize = 1 << 12;

unsafe extern "C" {
    fn scoria_column(column: *mut c_void) -> *mut c_void;
}

/// Hands a column over to R, which frees it.
pub fn column(values: Vec<f64>) -> Robj {
    if values.len() < SHORT {
        return values.into();
    }
    let owned = Box::into_raw(Box::new(values));
    // SAFETY: this is R's own thread, as everywhere in this crate where values of R are
    // made, and `owned` is given away.
    unsafe { Robj::from_sexp(scoria_column(owned.cast()).cast()) }
}

/// # Safety
/// `column` is one that was given to `scoria_column()`, and was not freed.
#[unsafe(no_mangle)]
unsafe extern "C" fn scoria_column_data(column: *mut c_void) -> *mut f64 {
    // SAFETY: as this function asks of its caller.
    unsafe { &mut *column.cast::<Vec<f64>>() }.as_mut_ptr()
}

/// # Safety
/// As [`scoria_column_data`].
#[unsafe(no_mangle)]
unsafe extern "C" fn scoria_column_length(column: *mut c_void) -> usize {
    // SAFETY: as this function asks of its caller.
    unsafe { &*column.cast::<Vec<f64>>() }.len()
}

/// # Safety
/// As [`scoria_column_data`]; nobody may use the column after.
#[unsafe(no_mangle)]
unsafe extern "C" fn scoria_column_free(column: *mut c_void) {
    // SAFETY: as this function asks of its caller.
    drop(unsafe { Box::from_raw(column.cast::<Vec<f64>>()) });
}
