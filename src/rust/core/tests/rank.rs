//! Tests of groups against slow, obvious references, and on every way of reading.

#[path = "rank/reference.rs"]
mod reference;

use proptest::prelude::*;
use reference::{Dense, Reference, check, near, options, run};
use scoria_core::engine::rank::{
    Against, Exact, Filter, Groups, Method, NO_GROUP, Normalise, Options, Scale, test_groups,
};
use scoria_core::result::{GroupTable, TestStatus};
use scoria_core::source::{Axis, Source};
use scoria_core::{Error, Monitor, Result};

const WILCOXON: Method = Method::Wilcoxon { continuity: true, exact: Exact::Never };
const METHODS: [Method; 4] = [
    WILCOXON,
    Method::T { equal_variance: false },
    Method::T { equal_variance: true },
    Method::Anderson,
];

/// Classes of cells, each of `0..=tested` at least once, and some in no group.
fn classes(cells: usize, tested: u32) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..tested + 2, cells).prop_map(move |drawn| {
        let class = |(cell, k): (usize, u32)| match k {
            _ if cell <= tested as usize => cell as u32,
            k if k > tested => NO_GROUP,
            k => k,
        };
        drawn.into_iter().enumerate().map(class).collect()
    })
}

fn sources(
    value: impl Strategy<Value = f64> + 'static,
) -> impl Strategy<Value = (Dense, Vec<u32>, u32)> {
    (1usize..6, 1u32..5, 0usize..30).prop_flat_map({
        let value = value.boxed();
        move |(genes, tested, more)| {
            let cells = tested as usize + 1 + more;
            let values = prop::collection::vec(value.clone(), genes * cells);
            let dense = values.prop_map(move |values| Dense { genes, values, axis: Axis::Cells });
            (dense, classes(cells, tested), Just(tested))
        }
    })
}

fn count() -> impl Strategy<Value = f64> {
    prop_oneof![5 => Just(0.0), 5 => (1..9u32).prop_map(f64::from), 1 => Just(7e11), 1 => Just(513.0)]
}

/// Some of them negative; the last is not exact as f32.
fn logarithm() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => Just(0.0), 2 => Just(-0.5), 2 => Just(1.25), 2 => -3.0..5.0f64,
        2 => (0..6u32).prop_map(|v| f64::from(v).ln_1p())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn counts_are_compared_by_definition((source, class, tested) in sources(count()), log1p: bool) {
        for method in METHODS {
            for against in [Against::Control, Against::Rest] {
                let options = Options { log1p, ..options(method, Scale::Counts) };
                check(&source, &class, tested, against, &options);
            }
        }
    }

    #[test]
    fn logarithms_are_compared_by_definition((source, class, tested) in sources(logarithm())) {
        prop_assume!(source.values.iter().any(|v| v.fract() != 0.0));
        for method in METHODS {
            for against in [Against::Control, Against::Rest] {
                check(&source, &class, tested, against, &options(method, Scale::Log1p));
            }
        }
    }

    #[test]
    fn bits_depend_on_nothing_but_values((source, class, tested) in sources(count())) {
        let factors = (1..=source.cells()).map(|cell| 0.3 + 0.1 * cell as f64).collect();
        let normalised =
            [Normalise::Nothing, Normalise::Library(1e4), Normalise::SizeFactors(factors)];
        for (method, normalise) in METHODS.iter().flat_map(|m| normalised.iter().map(move |n| (m, n))) {
            for against in [Against::Control, Against::Rest] {
                let groups = Groups::new(&class, tested as usize, against).unwrap();
                let mut options =
                    Options { normalise: normalise.clone(), ..options(*method, Scale::Counts) };
                let expected = bits(&run(&source, &groups, &options, 1).unwrap());
                prop_assert_eq!(&bits(&run(&source.turned(), &groups, &options, 2).unwrap()), &expected);
                prop_assert_eq!(&bits(&run(&source, &groups, &options, 3).unwrap()), &expected);
                for source in [&source, &source.turned()] {
                    options.memory_limit = Some(0);
                    let Err(Error::Memory { needed, .. }) = run(source, &groups, &options, 1) else {
                        panic!("no memory was enough");
                    };
                    options.memory_limit = Some(needed - 1);
                    prop_assert!(run(source, &groups, &options, 1).is_err());
                    options.memory_limit = Some(needed);
                    let table = run(source, &groups, &options, 1).unwrap();
                    prop_assert_eq!(&bits(&table), &expected);
                }
            }
        }
    }

    #[test]
    fn normalised_counts_are_tested_as_if_they_were_given((source, class, tested) in sources(count())) {
        let totals: Vec<f64> = (0..source.cells())
            .map(|cell| (0..source.genes).map(|gene| source.gene(gene)[cell]).sum())
            .collect();
        let mut given = source.clone();
        let of_cells = given.values.iter_mut().zip(totals.iter().cycle());
        of_cells.filter(|(v, _)| **v != 0.0).for_each(|(v, total)| *v = *v * 1e4 / total);
        let groups = Groups::new(&class, tested as usize, Against::Rest).unwrap();
        for method in METHODS {
            let given = run(&given, &groups, &options(method, Scale::Linear), 1).unwrap();
            let normalise = Normalise::Library(1e4);
            let options = Options { normalise, ..options(method, Scale::Counts) };
            prop_assert_eq!(bits(&run(&source, &groups, &options, 1).unwrap()), bits(&given));
        }
    }

    #[test]
    fn exact_p_values_are_shares_of_all_choices(
        values in prop::collection::vec(prop_oneof![0..4u32, 0..1000u32], 2..11),
        own in 1usize..10,
    ) {
        prop_assume!(own < values.len());
        let cells = values.len();
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let class: Vec<u32> = (0..cells).map(|cell| u32::from(cell >= own)).collect();
        let groups = Groups::new(&class, 1, Against::Control).unwrap();
        let source = Dense { genes: 1, values, axis: Axis::Cells };
        let method = Method::Wilcoxon { continuity: true, exact: Exact::Always };
        let table = run(&source, &groups, &options(method, Scale::Counts), 1).unwrap();
        let (mut low, mut high, mut all) = (0.0, 0.0, 0.0);
        for chosen in (0..1u32 << cells).filter(|chosen| chosen.count_ones() as usize == own) {
            let of = |wanted: u32| -> Vec<f64> {
                (0..cells).filter(|k| chosen >> k & 1 == wanted).map(|k| source.values[k]).collect()
            };
            let u = Reference { own: &of(1), other: &of(0) }.u();
            low += f64::from(u <= table.statistic[0]);
            high += f64::from(u >= table.statistic[0]);
            all += 1.0;
        }
        near(table.p_value[0], (2.0 * f64::min(low, high) / all).min(1.0), "p-value");
    }
}

/// Columns as they are, for what is not a number equals nothing.
fn bits(table: &GroupTable) -> Vec<Vec<u64>> {
    let columns = [
        &table.mean,
        &table.reference_mean,
        &table.share,
        &table.reference_share,
        &table.log2_fold_change,
        &table.statistic,
        &table.effect,
        &table.p_value,
        &table.q_value,
    ];
    let status = table.status.iter().map(|status| *status as u64).collect();
    let bits = columns.map(|column| column.iter().map(|v| v.to_bits()).collect());
    bits.into_iter().chain([status]).collect()
}

/// Eight cells of a group and six controls.
const EXAMPLE: [f64; 14] = [0.0, 3.0, 1.0, 0.0, 4.0, 2.0, 2.0, 9.0, 0.0, 1.0, 0.0, 0.0, 2.0, 1.0];

fn example(method: Method) -> GroupTable {
    let class: Vec<u32> = (0..14).map(|cell| u32::from(cell >= 8)).collect();
    let groups = Groups::new(&class, 1, Against::Control).unwrap();
    let source = Dense { genes: 1, values: EXAMPLE.to_vec(), axis: Axis::Cells };
    let options = Options { log1p: false, ..options(method, Scale::Counts) };
    run(&source, &groups, &options, 1).unwrap()
}

#[test]
fn other_programs_find_the_same() {
    // scipy 1.17: mannwhitneyu(method="asymptotic"), ttest_ind(), anderson_ksamp();
    // R 4.2: wilcox.test(), t.test(). Statistic and p-value.
    let wilcoxon = |continuity| Method::Wilcoxon { continuity, exact: Exact::Auto };
    let t = |equal_variance| Method::T { equal_variance };
    let known = [
        (wilcoxon(true), 36.0, 0.12538735764579517),
        (wilcoxon(false), 36.0, 0.109780586764676),
        (t(false), 1.8025570779677944, 0.10732947929364074),
        (t(true), 1.5799621047284058, 0.14010008381023678),
        (Method::Anderson, 1.1876434011626087, 0.10545029748701452),
    ];
    for (method, statistic, p_value) in known {
        let table = example(method);
        near(table.statistic[0], statistic, "statistic");
        near(table.p_value[0] / p_value, 1.0, "p-value");
    }
    near(example(t(true)).effect[0], 0.7986176865170369, "Hedges' g");
}

/// One gene of some values against some others.
fn pair(own: &[f64], other: &[f64], method: Method) -> Result<GroupTable> {
    let class: Vec<u32> = (0..own.len() + other.len()).map(|k| u32::from(k >= own.len())).collect();
    let groups = Groups::new(&class, 1, Against::Control)?;
    let source = Dense { genes: 1, values: [own, other].concat(), axis: Axis::Genes };
    run(&source, &groups, &options(method, Scale::Linear), 1)
}

#[test]
fn p_values_are_exact_where_asked_for() {
    let p = |own: &[f64], other: &[f64], exact| {
        let found = pair(own, other, Method::Wilcoxon { continuity: true, exact });
        found.map(|table| table.p_value[0])
    };
    let (own, other) = ([1.5, 2.5, 9.0, 11.0], [1.0, 2.0, 3.0, 4.0, 5.0]);
    // R: wilcox.test(own, other)$p.value
    near(p(&own, &other, Exact::Auto).unwrap(), 0.5555555555555556, "exact");
    let normal = p(&own, &other, Exact::Never).unwrap();
    assert!((normal - 0.5555555555555556).abs() > 1e-3);
    // Ties, or 50 cells, are left to the normal distribution.
    let tied = [1.0, 2.5, 9.0, 11.0];
    assert_eq!(p(&tied, &other, Exact::Auto), p(&tied, &other, Exact::Never));
    let many: Vec<f64> = (0..49).map(|k| f64::from(k) * 0.9 + 0.05).collect();
    let more: Vec<f64> = (0..50).map(|k| f64::from(k) + 0.5).collect();
    assert_eq!(p(&many, &more, Exact::Auto), p(&many, &more, Exact::Never));
    // R: wilcox.test(many, more[1:49])$p.value
    near(p(&many, &more[..49], Exact::Auto).unwrap() / 0.32485489024235015, 1.0, "49 by 49");
    near(p(&many, &more[..49], Exact::Always).unwrap() / 0.32485489024235015, 1.0, "49 by 49");
    assert_eq!(
        p(&[&more[..], &more].concat(), &own, Exact::Always).unwrap_err().class(),
        "argument"
    );
}

#[test]
fn far_tails_are_not_rounded_to_zero() {
    // mpmath: erfc(z / sqrt(2)), of U = 0 without ties.
    let own: Vec<f64> = (1..=914).map(f64::from).collect();
    let other: Vec<f64> = (1001..=1914).map(f64::from).collect();
    let table = pair(&own, &other, Method::Wilcoxon { continuity: false, exact: Exact::Auto });
    near(table.unwrap().p_value[0] / 6.125_305_648_723_49e-300, 1.0, "p-value");
}

#[test]
fn values_that_are_not_as_said_are_refused() {
    let class = [0, 0, 1, 1, NO_GROUP];
    let groups = Groups::new(&class, 1, Against::Control).unwrap();
    let refused = |cell: usize, value: f64, method, scale, normalise: Normalise| {
        let mut values = vec![0.5, 1.0, 0.0, 2.0, 1.0, 3.0, 1.0, 0.0, 2.0, 1.0];
        if scale == Scale::Counts {
            values[0] = 1.0;
        }
        // The first is found, not the one that is met first.
        (values[5 + cell], values[6]) = (value, f64::NAN);
        let source = Dense { genes: 2, values, axis: Axis::Cells };
        let options = Options { normalise, ..options(method, scale) };
        let [one, other] = [&source, &source.turned()]
            .map(|source| run(source, &groups, &options, 2).unwrap_err());
        assert_eq!(format!("{one}"), format!("{other}"));
        one
    };
    for method in METHODS {
        let kinds = [
            (Scale::Counts, 1.5, Normalise::Nothing),
            (Scale::Counts, -1.0, Normalise::Library(1e4)),
            (Scale::Linear, -1.0, Normalise::Nothing),
            (Scale::Log1p, f64::INFINITY, Normalise::Nothing),
        ];
        for (scale, value, normalise) in kinds {
            let error = refused(0, value, method, scale, normalise);
            assert!(matches!(error, Error::Count { gene: 2, cell: 1, .. }), "{error}");
        }
        let huge = Dense { genes: 1, values: vec![1.0, 1e13, 0.0, 2.0, 1.0], axis: Axis::Cells };
        let error = run(&huge, &groups, &options(method, Scale::Counts), 1).unwrap_err();
        assert_eq!(error.class(), "argument");
        let whole = Dense { genes: 1, values: vec![1.0, 3.0, 0.0, 2.0, 1.0], axis: Axis::Cells };
        let error = run(&whole, &groups, &options(method, Scale::Log1p), 1).unwrap_err();
        assert_eq!(error, Error::NotLogarithms);
    }
}

#[test]
fn groups_and_options_are_checked() {
    let groups = |class: &[u32], tested, against| Groups::new(class, tested, against).map(|_| ());
    assert!(groups(&[0, 1, NO_GROUP], 1, Against::Control).is_ok());
    assert_eq!(groups(&[0, 2], 1, Against::Control).unwrap_err().class(), "argument");
    assert_eq!(groups(&[0, 0], 1, Against::Control).unwrap_err().class(), "shape");
    assert_eq!(groups(&[1, 1], 1, Against::Control).unwrap_err().class(), "shape");
    assert_eq!(groups(&[0, 0], 1, Against::Rest).unwrap_err().class(), "shape");
    assert!(groups(&[0, 1], 1, Against::Rest).is_ok());

    let class = [0, 1, 1];
    let groups = Groups::new(&class, 1, Against::Control).unwrap();
    let source = Dense { genes: 1, values: vec![1.0; 3], axis: Axis::Cells };
    let kind = |change: &dyn Fn(&mut Options), source: &Dense| {
        let mut options = options(WILCOXON, Scale::Counts);
        change(&mut options);
        run(source, &groups, &options, 1).map(|_| ()).map_err(|error| error.class())
    };
    assert_eq!(kind(&|_| {}, &source), Ok(()));
    assert_eq!(kind(&|o| o.epsilon = -1.0, &source), Err("argument"));
    assert_eq!(kind(&|o| o.normalise = Normalise::Library(0.0), &source), Err("argument"));
    let factors = |factors: &[f64]| Normalise::SizeFactors(factors.to_vec());
    assert_eq!(kind(&|o| o.normalise = factors(&[1.0; 2]), &source), Err("shape"));
    assert_eq!(kind(&|o| o.normalise = factors(&[1.0, 0.0, 1.0]), &source), Err("argument"));
    let logs = |o: &mut Options| (o.scale, o.normalise) = (Scale::Log1p, Normalise::Library(1.0));
    assert_eq!(kind(&logs, &source), Err("argument"));
    let longer = Dense { genes: 1, values: vec![1.0; 4], axis: Axis::Cells };
    assert_eq!(kind(&|_| {}, &longer), Err("shape"));
}

#[test]
fn what_is_low_in_both_is_not_tested() {
    // Expressed by a tenth of the cells: of the group in the second gene, of the
    // controls in the third, of both in the first, of neither in the last.
    let (low, high) = ([&[1.0][..], &[0.0; 9]].concat(), [1.0; 10]);
    let values = [&low[..], &low, &low, &high, &high, &low, &high, &high].concat();
    let class: Vec<u32> = (0..20).map(|cell| u32::from(cell >= 10)).collect();
    let groups = Groups::new(&class, 1, Against::Control).unwrap();
    let source = Dense { genes: 4, values, axis: Axis::Cells };
    let filter = Filter { share: 0.2, mean: 0.08, reference_share: 0.2, reference_mean: 0.08 };
    let statuses = |filter| {
        let options = Options { filter, ..options(WILCOXON, Scale::Counts) };
        run(&source, &groups, &options, 1).unwrap().status
    };
    use TestStatus::{Filtered, Ok};
    // log(2) / 10 is below 0.08, not below 0.06.
    assert_eq!(statuses(filter), [Filtered, Ok, Ok, Ok]);
    assert_eq!(statuses(Filter { reference_mean: 0.06, ..filter }), [Ok; 4]);
    assert_eq!(statuses(Filter { share: 0.1, ..filter }), [Ok; 4]);
    assert_eq!(statuses(Filter::default()), [Ok; 4]);
}

#[test]
fn a_cancelled_test_ends_and_genes_are_counted() {
    let groups = Groups::new(&[0, 1, 1], 1, Against::Control).unwrap();
    let source = Dense { genes: 7, values: vec![1.0; 21], axis: Axis::Cells };
    for (method, scale) in METHODS.iter().flat_map(|m| [(*m, Scale::Counts), (*m, Scale::Linear)]) {
        let monitor = Monitor::new();
        test_groups(&source, &groups, &options(method, scale), &monitor).unwrap();
        assert_eq!(monitor.done(), 7);
        monitor.cancel();
        let cancelled = test_groups(&source, &groups, &options(method, scale), &monitor);
        assert_eq!(cancelled.unwrap_err(), Error::Interrupted);
    }
}

#[test]
fn values_that_single_precision_does_not_tell_apart_are_apart() {
    let table = pair(&[1.0 + 1e-12, 2.0], &[1.0, 2.0, 0.5], WILCOXON).unwrap();
    assert_eq!(table.statistic[0], 4.5);
}

#[test]
fn large_counts_that_do_not_fit_are_left_for_another_pass() {
    let values: Vec<f64> = (0..8 * 60).map(|k| f64::from(100 + k * 37 % 91)).collect();
    let source = Dense { genes: 8, values, axis: Axis::Cells };
    let class: Vec<u32> = (0..60).map(|cell| cell % 2).collect();
    let groups = Groups::new(&class, 1, Against::Control).unwrap();
    let mut options = options(WILCOXON, Scale::Counts);
    let expected = bits(&run(&source, &groups, &options, 1).unwrap());
    options.memory_limit = Some(0);
    let Err(Error::Memory { needed, .. }) = run(&source, &groups, &options, 1) else {
        panic!("no memory was enough");
    };
    options.memory_limit = Some(needed);
    assert_eq!(bits(&run(&source, &groups, &options, 1).unwrap()), expected);
}
