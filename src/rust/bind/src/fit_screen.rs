//! Every gene against every perturbation, for `fit_screen()`.

use crate::guard::report;
use extendr_api::prelude::*;
use scoria_core::{Error, Result};

/// @noRd
#[extendr]
fn rust_fit_screen(counts: S4, screen: List, options: List, progress: Function) -> Robj {
    let _ = (counts, screen, options, progress);
    report(not_built)
}

/// @noRd
#[extendr]
fn rust_open_screen(path: &str) -> Robj {
    let _ = path;
    report(not_built)
}

/// @noRd
#[extendr]
fn rust_read_screen(path: &str, column: &str, from: f64, to: f64) -> Robj {
    let _ = (path, column, from, to);
    report(not_built)
}

fn not_built() -> Result<List> {
    Err(Error::Sparse("the screen engine is not built yet"))
}

extendr_module! {
    mod fit_screen;
    fn rust_fit_screen;
    fn rust_open_screen;
    fn rust_read_screen;
}
