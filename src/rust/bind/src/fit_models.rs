//! Generalised linear models of every gene, for `fit_models()`.

use crate::guard::{listen, report};
use crate::input::Slots;
use extendr_api::prelude::*;
use scoria_core::design::Design;
use scoria_core::engine::glm::{Family, Options, fit_genes};
use scoria_core::result::GlmTable;
use scoria_core::source::summarise;
use scoria_core::{Error, Monitor, pool};

/// @noRd
#[extendr]
fn rust_fit_models(
    counts: S4,
    design: RMatrix<f64>,
    offset: &[f64],
    options: List,
    progress: Function,
) -> Robj {
    report(|| {
        let (options, threads) = read_options(&options)?;
        let pool = pool(threads)?;
        let slots = Slots::of(&counts)?;
        let counts = slots.csc(&pool)?;
        let monitor = Monitor::new();
        let columns = design.data();
        let (design, table) = listen(&progress, &monitor, || {
            let design = Design::new(columns, offset)?;
            let table = pool.install(|| fit_genes(&counts, &design, &options, &monitor))?;
            Ok((design, table))
        })?;
        Ok(as_list(&design, &table))
    })
}

/// @noRd
#[extendr]
fn rust_summarise(counts: S4, threads: i32) -> Robj {
    report(|| {
        let pool = pool(threads as usize)?;
        let slots = Slots::of(&counts)?;
        let counts = slots.csc(&pool)?;
        let summary = pool.install(|| summarise(&counts))?;
        Ok(list!(
            cells_expressing = summary.cells_expressing,
            genes_expressed = summary.genes_expressed,
            totals = summary.totals
        ))
    })
}

fn read_options(options: &List) -> scoria_core::Result<(Options, usize)> {
    let wrong = |name: &'static str, expected: &'static str| Error::Argument {
        name,
        value: "missing or of another type".into(),
        expected,
    };
    let held = |name: &str| options.dollar(name).ok();
    let family = held("family").and_then(|value| value.as_str().and_then(Family::from_name));
    let whole = |name| held(name).and_then(|value| value.as_integer()).map(|value| value as usize);
    let max_iterations = whole("max_iterations").ok_or(wrong("max_iterations", "an integer"))?;
    let threads = whole("threads").ok_or(wrong("threads", "an integer"))?;
    let family = family.ok_or(wrong("family", "the name of a family"))?;
    Ok((Options { family, max_iterations }, threads))
}

fn as_list(design: &Design, table: &GlmTable) -> List {
    let from_one = |indices: &[usize]| indices.iter().map(|&j| j as i32 + 1).collect::<Vec<_>>();
    list!(
        kept = from_one(design.kept()),
        status = &table.status,
        coefficients = &table.coefficients,
        separated = &table.separated,
        covariance = &table.covariance,
        theta = &table.theta,
        theta_se = &table.theta_se,
        dispersion = &table.dispersion,
        log_likelihood = &table.log_likelihood,
        deviance = &table.deviance,
        decrement = &table.decrement,
        iterations = &table.iterations
    )
}

extendr_module! {
    mod fit_models;
    fn rust_fit_models;
    fn rust_summarise;
}
