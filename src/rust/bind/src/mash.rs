//! Multivariate adaptive shrinkage, for `mash()` and `cov_ed()`.

use crate::column::column;
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::engine::ash::Summary;
use scoria_core::engine::mash::{
    Covariance, Data, MashTable, Model, Noise, deconvolve, fit_weights, posterior,
};
use scoria_core::engine::mixture::Mixture;
use scoria_core::{Error, Monitor, Result, pool};

/// Matrices are genes x conditions. `rows`, of the genes to fit weights on, are counted
/// from one.
/// @noRd
#[extendr]
fn rust_mash(options: List, progress: Function) -> Robj {
    report(|| {
        let named = Named::of(options);
        let pool = pool(named.whole("threads")?)?;
        let data = read_data(&named)?;
        let list = named.list("Ulist")?;
        let given: Vec<Robj> = list.values().collect();
        let matrices = read_matrices(&given)?;
        let grid = named.doubles("grid")?.to_vec();
        let point_mass = named.flag("point_mass")?;
        let rows = read_rows(&named, data.genes())?;
        let prior = named.doubles("prior")?;
        let known = named.doubles_or_none("weights")?;
        let conditions = data.conditions();
        let monitor = Monitor::new();
        let (mixture, table) = listen(Some(&progress), &monitor, || {
            pool.install(|| {
                let covariances: Result<Vec<Covariance>> =
                    matrices.iter().map(|matrix| matrix.covariance(conditions)).collect();
                let model = Model::new(covariances?, grid, point_mass)?;
                let mixture = match (known, &rows) {
                    (Some(weights), _) => Mixture { weights: weights.to_vec(), excess: f64::NAN },
                    (None, Some(rows)) => fit_weights(&data.subset(rows), &model, prior, &monitor)?,
                    (None, None) => fit_weights(&data, &model, prior, &monitor)?,
                };
                let table = posterior(&data, &model, &mixture.weights, &monitor)?;
                Ok((mixture, table))
            })
        })?;
        Ok(as_list(mixture, table, conditions))
    })
}

/// @noRd
#[extendr]
fn rust_deconvolve(options: List, progress: Function) -> Robj {
    report(|| {
        let named = Named::of(options);
        let pool = pool(named.whole("threads")?)?;
        let data = read_data(&named)?;
        let list = named.list("Ulist")?;
        let given: Vec<Robj> = list.values().collect();
        let whole = |value: &Robj| value.as_real_slice().map(<[f64]>::to_vec);
        let matrices: Option<Vec<Vec<f64>>> = given.iter().map(whole).collect();
        let matrices = matrices.ok_or(Named::wrong("Ulist", "a list of matrices"))?;
        let rows = read_rows(&named, data.genes())?;
        let (tolerance, most) = (named.number("tolerance")?, named.number("iterations")?);
        let monitor = Monitor::new();
        let found = listen(Some(&progress), &monitor, || {
            pool.install(|| {
                let some = rows.map(|rows| data.subset(&rows));
                let data = some.as_ref().unwrap_or(&data);
                deconvolve(data, &matrices, tolerance, most as usize, &monitor)
            })
        })?;
        Ok(list!(
            covariances = List::from_values(found.covariances.into_iter().map(column)),
            weights = found.weights,
            log_likelihood = found.log_likelihood,
            iterations = found.iterations as f64
        ))
    })
}

fn read_data(named: &Named) -> Result<Data> {
    let conditions = named.whole("conditions")?;
    let by_gene = |name| Ok::<_, Error>(transposed(named.doubles(name)?, conditions));
    let v = named.doubles_or_none("V")?;
    let noise = match v {
        None => Noise::Independent,
        Some(v) if v.len() == conditions * conditions && !named.flag("each")? => {
            Noise::Common(v.to_vec())
        }
        Some(v) => Noise::Each(v.to_vec()),
    };
    Data::new(conditions, by_gene("bhat")?, by_gene("shat")?, noise)
}

/// A covariance of effects: whole, or of few conditions, counted from one.
enum Matrix<'a> {
    Whole(&'a [f64]),
    Block { at: Vec<usize>, values: Vec<f64> },
}

impl Matrix<'_> {
    fn covariance(&self, conditions: usize) -> Result<Covariance> {
        match self {
            Matrix::Whole(values) => Covariance::new(values, conditions),
            Matrix::Block { at, values } => Covariance::supported(at, values, conditions),
        }
    }
}

fn read_matrices(given: &[Robj]) -> Result<Vec<Matrix<'_>>> {
    let wrong = || Named::wrong("Ulist", "a list of matrices of doubles");
    let matrix = |value| -> Result<Matrix<'_>> {
        if let Some(values) = Robj::as_real_slice(value) {
            return Ok(Matrix::Whole(values));
        }
        let named = Named::of(value.as_list().ok_or_else(wrong)?);
        let at = named.integers("at")?.iter().map(|&at| at as usize - 1).collect();
        Ok(Matrix::Block { at, values: named.doubles("block")?.to_vec() })
    };
    given.iter().map(matrix).collect()
}

fn read_rows(named: &Named, genes: usize) -> Result<Option<Vec<usize>>> {
    let Some(rows) = named.integers_or_none("rows")? else { return Ok(None) };
    let row = |&row: &i32| usize::try_from(row).ok().filter(|row| (1..=genes).contains(row));
    let rows: Option<Vec<usize>> = rows.iter().map(|at| row(at).map(|row| row - 1)).collect();
    rows.ok_or(Named::wrong("rows", "row numbers")).map(Some)
}

/// From columns to rows.
fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    let rows = values.len() / columns.max(1);
    (0..rows).flat_map(|i| (0..columns).map(move |j| values[j * rows + i])).collect()
}

fn as_list(mixture: Mixture, table: MashTable, conditions: usize) -> List {
    let effects = &table.effects;
    let genes = effects.len() / conditions;
    let each = |value: fn(&Summary) -> f64| -> Robj {
        let at = |i: usize| value(&effects[(i % genes) * conditions + i / genes]);
        column((0..effects.len()).map(at).collect())
    };
    let used: Vec<i32> = table.used.iter().map(|&k| k as i32 + 1).collect();
    let n = used.len();
    let weight = |i: usize| table.weights[(i % genes) * n + i / genes];
    list!(
        pi = &mixture.weights,
        excess = mixture.excess,
        mean = each(|effect| effect.mean),
        sd = each(|effect| effect.sd),
        negative = each(|effect| effect.negative),
        lfdr = each(|effect| effect.lfdr),
        lfsr = each(|effect| effect.lfsr),
        log_likelihood = table.log_likelihood,
        null_log_likelihood = table.null_log_likelihood,
        alt_log_likelihood = table.alternative_log_likelihood,
        used = used,
        weights = column((0..genes * n).map(weight).collect())
    )
}

extendr_module! {
    mod mash;
    fn rust_mash;
    fn rust_deconvolve;
}
