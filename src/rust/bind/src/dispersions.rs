//! Dispersions of every gene, for `estimate_dispersions()`.

use crate::counts::Held;
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::design::Design;
use scoria_core::engine::dispersion::{Trend, estimate_dispersions};
use scoria_core::result::DispersionTable;
use scoria_core::{Monitor, pool};

/// @noRd
#[extendr]
fn rust_estimate_dispersions(
    counts: Robj,
    design: RMatrix<f64>,
    offset: &[f64],
    options: List,
    progress: Function,
) -> Robj {
    report(|| {
        let named = Named::of(options);
        let pool = pool(named.whole("threads")?)?;
        let limit = named.number_or_none("memory_limit")?.map(|limit| limit as usize);
        let held = Held::of(&counts)?;
        let opened = held.counts()?.open()?;
        let monitor = Monitor::new();
        let columns = design.data();
        let table = listen(Some(&progress), &monitor, || {
            let design = pool.install(|| Design::new(columns, offset))?;
            opened.with(&pool, |source| estimate_dispersions(source, &design, limit, &monitor))
        })?;
        Ok(as_list(&table))
    })
}

fn as_list(table: &DispersionTable) -> List {
    let coefficients: Vec<f64> = match &table.fitted_trend {
        Trend::Parametric { asymptotic, extra_poisson } => vec![*asymptotic, *extra_poisson],
        Trend::Local(_) => vec![],
        Trend::Constant(alpha) => vec![*alpha],
    };
    list!(
        mean = &table.mean,
        gene_wise = &table.gene_wise,
        trend = &table.trend,
        dispersion = &table.dispersion,
        outlier = &table.outlier,
        status = table.status.iter().map(|status| *status as i32).collect::<Vec<_>>(),
        trend_type = table.fitted_trend.name(),
        trend_coefficients = coefficients,
        residual_variance = table.spread.residual_variance,
        prior_variance = table.spread.prior_variance
    )
}

extendr_module! {
    mod dispersions;
    fn rust_estimate_dispersions;
}
