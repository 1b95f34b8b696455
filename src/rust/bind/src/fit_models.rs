//! Generalised linear models of every gene, for `fit_models()`.

use crate::counts::Held;
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::design::{Design, sketch};
use scoria_core::engine::glm::{Family, Options, fit_genes};
use scoria_core::result::GlmTable;
use scoria_core::source::{Source, Watched, summarise};
use scoria_core::{Monitor, Result, pool};

/// @noRd
#[extendr]
fn rust_fit_models(
    counts: Robj,
    design: RMatrix<f64>,
    offset: &[f64],
    options: List,
    progress: Function,
) -> Robj {
    report(|| {
        let named = Named::of(options);
        let options = read_options(&named)?;
        let pool = pool(named.whole("threads")?)?;
        let held = Held::of(&counts)?;
        let opened = held.counts()?.open()?;
        let size_factors = named.doubles_or_none("divide")?;
        let limit = named.number_or_none("memory_limit")?.map(|limit| limit as usize);
        let monitor = Monitor::new();
        let intercept = named.flag("intercept")?;
        let columns = design.data();
        let (design, table) = listen(Some(&progress), &monitor, || {
            let design = pool.install(|| Design::new(columns, offset)?.with_null(intercept))?;
            let fit = |source: &dyn Source| fit_genes(source, &design, &options, limit, &monitor);
            let table = opened.with_divided(&pool, size_factors, fit)?;
            Ok((design, table))
        })?;
        Ok(glm_columns(&design, &table))
    })
}

/// @noRd
#[extendr]
fn rust_sketch(design: RMatrix<f64>) -> Robj {
    report(|| sketch(design.data(), design.nrows()))
}

/// @noRd
#[extendr]
fn rust_summarise(counts: Robj, threads: i32) -> Robj {
    report(|| {
        let pool = pool(threads as usize)?;
        let held = Held::of(&counts)?;
        let opened = held.counts()?.open()?;
        let monitor = Monitor::new();
        let watched = |source: &dyn Source| summarise(&Watched::new(source, &monitor));
        let summary = listen(None, &monitor, || opened.with(&pool, watched))?;
        Ok(list!(
            cells_expressing = summary.cells_expressing,
            genes_expressed = summary.genes_expressed,
            totals = summary.totals
        ))
    })
}

fn read_options(named: &Named) -> Result<Options> {
    let family = Family::from_name(named.text("family")?);
    let family = family.ok_or(Named::wrong("family", "the name of a family"))?;
    Ok(Options { family, max_iterations: named.whole("max_iterations")? })
}

/// The columns of a table, and which of the design's have a coefficient.
pub fn glm_columns(design: &Design, table: &GlmTable) -> List {
    list!(
        kept = kept_columns(design),
        status = &table.status,
        coefficients = &table.coefficients,
        separated = &table.separated,
        covariance = &table.covariance,
        theta = &table.theta,
        theta_se = &table.theta_se,
        dispersion = &table.dispersion,
        log_likelihood = &table.log_likelihood,
        deviance = &table.deviance,
        null_deviance = &table.null_deviance,
        mark = &table.mark,
        decrement = &table.decrement,
        iterations = &table.iterations
    )
}

/// The columns of a design that have a coefficient, counted from one.
pub fn kept_columns(design: &Design) -> Vec<i32> {
    design.kept().iter().map(|&j| j as i32 + 1).collect()
}

extendr_module! {
    mod fit_models;
    fn rust_fit_models;
    fn rust_sketch;
    fn rust_summarise;
}
