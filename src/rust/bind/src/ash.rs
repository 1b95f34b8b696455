//! Adaptive shrinkage, for `ash()`.

use crate::column::column;
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::engine::ash::running_means;
use scoria_core::engine::ash::{AshFit, Component, Options, Shape, Summary, ash, components};
use scoria_core::engine::mixture::scale_grid;
use scoria_core::{Monitor, Result, pool};

/// @noRd
#[extendr]
fn rust_scale_grid(effects: &[f64], errors: &[f64], multiplier: f64) -> Vec<f64> {
    scale_grid(effects, errors, multiplier)
}

/// Columns of two numbers: lower and upper ends, or means and standard deviations.
/// @noRd
#[extendr]
fn rust_ash_components(shape: &str, scales: &[f64], point_mass: bool) -> Robj {
    let shape = match shape {
        "uniform" => Shape::Uniform,
        "halfuniform" => Shape::HalfUniform,
        _ => Shape::Normal,
    };
    let pair = |component: Component| match component {
        Component::Point => (0.0, 0.0),
        Component::Normal { sd } => (0.0, sd),
        Component::Uniform { lower, upper } => (lower, upper),
    };
    let pairs = components(shape, scales, point_mass).into_iter().map(pair);
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.unzip();
    list!(first = first, second = second).into()
}

/// @noRd
#[extendr]
fn rust_ash(options: List, progress: Function) -> Robj {
    report(|| {
        let named = Named::of(options);
        let pool = pool(named.whole("threads")?)?;
        let (estimates, errors) = (named.doubles("betahat")?, named.doubles("sebetahat")?);
        let components = read_components(&named)?;
        let options = Options {
            components: &components,
            prior: named.doubles("prior")?,
            freedom: named.number_or_none("df")?,
            weights: named.doubles_or_none("weights")?,
        };
        let monitor = Monitor::new();
        let fit = listen(Some(&progress), &monitor, || {
            pool.install(|| ash(estimates, errors, &options, &monitor))
        })?;
        Ok(as_list(fit))
    })
}

fn read_components(named: &Named) -> Result<Vec<Component>> {
    let normal = named.flag("normal")?;
    let pairs = named.doubles("first")?.iter().zip(named.doubles("second")?);
    let component = |(&first, &second): (&f64, &f64)| match (normal, first == second) {
        (true, _) if second == 0.0 => Component::Point,
        (true, _) => Component::Normal { sd: second },
        (false, true) => Component::Point,
        (false, false) => Component::Uniform { lower: first, upper: second },
    };
    Ok(pairs.map(component).collect())
}

fn as_list(fit: AshFit) -> List {
    let each = |value: fn(&Summary) -> f64| fit.effects.iter().map(value).collect::<Vec<f64>>();
    let (lfsr, lfdr) = (each(|effect| effect.lfsr), each(|effect| effect.lfdr));
    list!(
        pi = &fit.mixture.weights,
        excess = fit.mixture.excess,
        log_likelihood = fit.log_likelihood.iter().sum::<f64>(),
        null_log_likelihood = fit.null_log_likelihood.iter().sum::<f64>(),
        negative = column(each(|effect| effect.negative)),
        positive = column(each(|effect| effect.positive)),
        svalue = column(running_means(&lfsr)),
        qvalue = column(running_means(&lfdr)),
        lfsr = column(lfsr),
        lfdr = column(lfdr),
        mean = column(each(|effect| effect.mean)),
        sd = column(each(|effect| effect.sd))
    )
}

extendr_module! {
    mod ash;
    fn rust_scale_grid;
    fn rust_ash_components;
    fn rust_ash;
}
