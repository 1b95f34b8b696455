//! Every gene of every group against a reference, for `test_groups()`.

use crate::column::column;
use crate::counts::Held;
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::engine::rank::{
    Against, Exact, Filter, Groups, Mean, Method, NO_GROUP, Normalise, Options, Scale, test_groups,
};
use scoria_core::result::{GroupTable, TestStatus};
use scoria_core::{Monitor, Result, pool};

/// Groups are counted from zero; negative for cells that are in none.
/// @noRd
#[extendr]
fn rust_test_groups(counts: Robj, group: &[i32], options: List, progress: Function) -> Robj {
    report(|| {
        let named = Named::of(options);
        let options = read_options(&named)?;
        let pool = pool(named.whole("threads")?)?;
        let held = Held::of(&counts)?;
        let opened = held.counts()?.open()?;
        let against = match named.flag("against_rest")? {
            true => Against::Rest,
            false => Against::Control,
        };
        let class = |&group: &i32| u32::try_from(group).unwrap_or(NO_GROUP);
        let class: Vec<u32> = group.iter().map(class).collect();
        let groups = Groups::new(&class, named.whole("n_groups")?, against)?;
        let monitor = Monitor::new();
        let table = listen(Some(&progress), &monitor, || {
            opened.with(&pool, |source| test_groups(source, &groups, &options, &monitor))
        })?;
        Ok(as_list(table))
    })
}

fn read_options(named: &Named) -> Result<Options> {
    let method = match named.text("method")? {
        "t" => Method::T { equal_variance: named.flag("equal_variance")? },
        "anderson" => Method::Anderson,
        _ => Method::Wilcoxon {
            continuity: named.flag("continuity")?,
            exact: match named.text("exact")? {
                "auto" => Exact::Auto,
                "always" => Exact::Always,
                _ => Exact::Never,
            },
        },
    };
    let &[share, mean, reference_share, reference_mean] = named.doubles("filter")? else {
        return Err(Named::wrong("filter", "four numbers"));
    };
    Ok(Options {
        method,
        scale: match named.text("scale")? {
            "linear" => Scale::Linear,
            "log1p" => Scale::Log1p,
            _ => Scale::Counts,
        },
        normalise: match (named.number_or_none("target_sum")?, named.doubles_or_none("factors")?) {
            (Some(target), _) => Normalise::Library(target),
            (None, Some(factors)) => Normalise::SizeFactors(factors.to_vec()),
            (None, None) => Normalise::Nothing,
        },
        log1p: named.flag("log1p")?,
        mean: match named.text("mean")? {
            "arithmetic" => Mean::Arithmetic,
            _ => Mean::Geometric,
        },
        epsilon: named.number("epsilon")?,
        filter: Filter { share, mean, reference_share, reference_mean },
        adjust_each_group: named.flag("adjust_each_group")?,
        memory_limit: named.number_or_none("memory_limit")?.map(|limit| limit as usize),
    })
}

/// Without statuses, where all are the same, as they are as a rule.
fn as_list(table: GroupTable) -> List {
    let status: Robj = match table.status.iter().all(|status| *status == TestStatus::Ok) {
        true => ().into(),
        false => table.status.iter().map(|&status| status as i32).collect_robj(),
    };
    list!(
        mean = column(table.mean),
        reference_mean = column(table.reference_mean),
        share = column(table.share),
        reference_share = column(table.reference_share),
        log2_fold_change = column(table.log2_fold_change),
        statistic = column(table.statistic),
        effect = column(table.effect),
        p_value = column(table.p_value),
        q_value = column(table.q_value),
        status = status
    )
}

extendr_module! {
    mod test_groups;
    fn rust_test_groups;
}
