//! Shrinkage of effects, for `shrink_effects()`.

use crate::column::column;
use crate::counts::Held;
use crate::fit_screen::{read_pairs, read_reference};
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::design::Membership;
use scoria_core::engine::screen::Comparison;
use scoria_core::engine::shrink::{
    Centre, CountOptions, CountPairs, Prior, Shrunken, prior_variances, shrink_counts,
    shrink_estimates,
};
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

/// `screen`: as for `rust_fit_screen()`, with the pairs' estimates and thetas.
/// @noRd
#[extendr]
fn rust_shrink_counts(counts: Robj, screen: List, options: List, progress: Function) -> Robj {
    report(|| {
        let (screen, named) = (Named::of(screen), Named::of(options));
        let (priors, centre) = (read_priors(&named)?, read_centre(&named)?);
        let memory_limit = named.number_or_none("memory_limit")?.map(|limit| limit as usize);
        let options = CountOptions { priors: &priors, centre, memory_limit };
        let pool = pool(named.whole("threads")?)?;
        let held = Held::of(&counts)?;
        let opened = held.counts()?.open()?;
        let (design, offset) = (screen.doubles("design")?, screen.doubles("offset")?);
        let offsets = screen.integers("perturbation_p")?;
        let membership =
            Membership::new(offsets, screen.integers("perturbation_i")?, offset.len())?;
        let reference = read_reference(&screen)?;
        let Some((offsets, perturbations)) = read_pairs(&screen)? else {
            return Err(Named::wrong("pair_p", "a double vector"));
        };
        let pairs = CountPairs {
            offsets: &offsets,
            perturbations: &perturbations,
            estimates: screen.doubles("estimate")?,
            thetas: screen.doubles("theta")?,
            means: screen.doubles("mean")?,
        };
        let compare = || Comparison::new(design, offset, &membership, &reference, None);
        let comparison = pool.install(compare)?;
        let monitor = Monitor::new();
        let shrunken = listen(Some(&progress), &monitor, || {
            opened
                .with(&pool, |source| shrink_counts(source, &comparison, pairs, &options, &monitor))
        })?;
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
    fn rust_shrink_counts;
}
