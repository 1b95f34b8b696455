//! Zero-inflated models of every gene, for `fit_models()`.

use crate::counts::Held;
use crate::fit_models::kept_columns;
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::design::Design;
use scoria_core::engine::zero_inflated::{Distribution, Options, fit_zero_inflated_genes};
use scoria_core::result::ZeroInflatedTable;
use scoria_core::source::Source;
use scoria_core::{Monitor, Result, pool};

/// @noRd
#[extendr]
fn rust_fit_zero_inflated(
    counts: Robj,
    count: RMatrix<f64>,
    zero: RMatrix<f64>,
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
        let offsets = (named.doubles("count_offset")?, named.doubles("zero_offset")?);
        let monitor = Monitor::new();
        let columns = (count.data(), zero.data());
        let (count, zero, table) = listen(Some(&progress), &monitor, || {
            let count = pool.install(|| Design::new(columns.0, offsets.0))?;
            let zero = pool.install(|| Design::new(columns.1, offsets.1))?;
            let fit = |source: &dyn Source| {
                fit_zero_inflated_genes(source, &count, &zero, &options, limit, &monitor)
            };
            let table = opened.with_divided(&pool, size_factors, fit)?;
            Ok((count, zero, table))
        })?;
        Ok(as_list(&count, &zero, &table))
    })
}

fn read_options(named: &Named) -> Result<Options> {
    let distribution = match named.text("family")? {
        "zipoisson" => Distribution::Poisson,
        "zinegbinomial" => Distribution::NegativeBinomial,
        _ => return Err(Named::wrong("family", "the name of a zero-inflated family")),
    };
    Ok(Options { distribution, max_iterations: named.whole("max_iterations")? })
}

fn as_list(count: &Design, zero: &Design, table: &ZeroInflatedTable) -> List {
    list!(
        count_kept = kept_columns(count),
        zero_kept = kept_columns(zero),
        status = &table.status,
        coefficients = &table.coefficients,
        separated = &table.separated,
        covariance = &table.covariance,
        theta = &table.theta,
        log_theta_se = &table.log_theta_se,
        log_likelihood = &table.log_likelihood,
        decrement = &table.decrement,
        iterations = &table.iterations,
        plain_cells = &table.plain_cells,
        structural_cells = &table.structural_cells,
        empty_cells = &table.empty_cells
    )
}

extendr_module! {
    mod zero_inflated;
    fn rust_fit_zero_inflated;
}
