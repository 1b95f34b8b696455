//! Shrinkage of estimates, for `shrink_effects()`.

use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::engine::shrink::{Centre, Prior, Shrunken, prior_variances, shrink_estimates};
use scoria_core::{Monitor, Result, pool};

/// Groups are counted from zero.
/// @noRd
#[extendr]
fn rust_prior_variances(
    estimate: &[f64],
    std_err: &[f64],
    group: &[i32],
    n_groups: i32,
    threads: i32,
) -> Robj {
    report(|| {
        let monitor = Monitor::new();
        let pool = pool(threads as usize)?;
        let groups = as_groups(group);
        let count = n_groups as usize;
        let find = || prior_variances(estimate, std_err, groups, count, &monitor);
        listen(None, &monitor, || pool.install(find))
    })
}

/// Each group has its scale in `options`.
/// @noRd
#[extendr]
fn rust_shrink_estimates(
    estimate: &[f64],
    std_err: &[f64],
    group: &[i32],
    options: List,
    progress: Function,
) -> Robj {
    report(|| {
        let named = Named::of(options);
        let monitor = Monitor::new();
        let pool = pool(named.whole("threads")?)?;
        let (priors, centre) = (read_priors(&named)?, read_centre(&named)?);
        let groups = as_groups(group);
        let shrink = || shrink_estimates(estimate, std_err, groups, &priors, centre, &monitor);
        let shrunken = listen(Some(&progress), &monitor, || pool.install(shrink))?;
        Ok(as_list(shrunken))
    })
}

fn read_priors(options: &Named) -> Result<Vec<Prior>> {
    let prior = match options.text("prior")? {
        "apeglm" => Prior::Cauchy,
        "normal" => Prior::Normal,
        _ => return Err(Named::wrong("prior", "\"apeglm\" or \"normal\"")),
    };
    Ok(options.doubles("scale")?.iter().map(|&scale| prior(scale)).collect())
}

fn read_centre(options: &Named) -> Result<Centre> {
    match options.text("estimate")? {
        "mode" => Ok(Centre::Mode),
        "mean" => Ok(Centre::Mean),
        _ => Err(Named::wrong("estimate", "\"mode\" or \"mean\"")),
    }
}

fn as_groups(groups: &[i32]) -> &[u32] {
    bytemuck::cast_slice(groups)
}

fn as_list(shrunken: Shrunken) -> List {
    use crate::column::column;
    list!(
        estimate = column(shrunken.estimate),
        std_err = column(shrunken.std_err),
        lfsr = column(shrunken.lfsr)
    )
}

extendr_module! {
    mod shrink;
    fn rust_prior_variances;
    fn rust_shrink_estimates;
}
