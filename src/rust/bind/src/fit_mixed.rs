//! Mixed models of every gene, for `fit_models()`.

use crate::counts::Held;
use crate::fit_models::glm_columns;
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::design::Design;
use scoria_core::engine::mixed::{Effects, Options, Term, fit_mixed_genes};
use scoria_core::source::Source;
use scoria_core::{Error, Monitor, Result, pool};

/// `terms`: a list with the cells' `level` (counted from one), the number of `levels` and
/// the `columns` of each random-effects term.
/// @noRd
#[extendr]
fn rust_fit_mixed(
    counts: Robj,
    design: RMatrix<f64>,
    offset: &[f64],
    terms: List,
    options: List,
    progress: Function,
) -> Robj {
    report(|| {
        let named = Named::of(options);
        let options = Options { max_iterations: named.whole("max_iterations")? };
        let pool = pool(named.whole("threads")?)?;
        let held = Held::of(&counts)?;
        let opened = held.counts()?.open()?;
        let size_factors = named.doubles_or_none("divide")?;
        let limit = named.number_or_none("memory_limit")?.map(|limit| limit as usize);
        let terms: Result<Vec<Term>> = terms.values().map(read_term).collect();
        let terms = terms?;
        let monitor = Monitor::new();
        let columns = design.data();
        let (design, table) = listen(Some(&progress), &monitor, || {
            let design = pool.install(|| Design::new(columns, offset))?;
            let effects = pool.install(|| Effects::new(&terms, design.cells()))?;
            let fit = |source: &dyn Source| {
                fit_mixed_genes(source, &design, &effects, &options, limit, &monitor)
            };
            let table = opened.with_divided(&pool, size_factors, fit)?;
            Ok((design, table))
        })?;
        Ok(list!(
            fixed = glm_columns(&design, &table.fixed),
            covariances = &table.covariances,
            singular = &table.singular
        ))
    })
}

fn read_term(term: Robj) -> Result<Term> {
    let named = Named::of(term.as_list().ok_or(Named::wrong("terms", "a list of lists"))?);
    let from_zero = |&level: &i32| u32::try_from(i64::from(level) - 1).ok();
    let level: Option<Vec<u32>> = named.integers("level")?.iter().map(from_zero).collect();
    let level = level.ok_or_else(|| Error::Argument {
        name: "a level of a grouping factor",
        value: "below one".into(),
        expected: "a number from one",
    })?;
    Ok(Term { levels: named.whole("levels")?, level, columns: named.doubles("columns")?.to_vec() })
}

extendr_module! {
    mod fit_mixed;
    fn rust_fit_mixed;
}
