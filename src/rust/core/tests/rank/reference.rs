//! What tests of groups are, from their definitions, and a source to try them on.

use scoria_core::engine::rank::{
    Against, Filter, Groups, Mean, Method, NO_GROUP, Normalise, Options, Scale, test_groups,
};
use scoria_core::result::{GroupTable, TestStatus};
use scoria_core::source::{Axis, Entries, Room, Source};
use scoria_core::{Monitor, Result, pool};
use std::ops::Range;

/// Values of genes x cells, gene by gene, stored by cell or by gene; some zeros are
/// stored.
#[derive(Clone, Debug)]
pub struct Dense {
    pub genes: usize,
    pub values: Vec<f64>,
    pub axis: Axis,
}

impl Dense {
    pub fn gene(&self, gene: usize) -> &[f64] {
        &self.values[gene * self.cells()..(gene + 1) * self.cells()]
    }

    pub fn turned(&self) -> Self {
        Self { axis: Axis::Genes, ..self.clone() }
    }
}

impl Source for Dense {
    fn genes(&self) -> usize {
        self.genes
    }

    fn cells(&self) -> usize {
        self.values.len() / self.genes
    }

    fn axis(&self) -> Axis {
        self.axis
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        let count = if self.axis == Axis::Cells { self.cells() } else { self.genes };
        (0..count).step_by(3).map(|from| from..(from + 3).min(count)).collect()
    }

    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
        room.clear();
        for k in range {
            let across = if self.axis == Axis::Cells { self.genes } else { self.cells() };
            for j in 0..across {
                let (gene, cell) = if self.axis == Axis::Cells { (j, k) } else { (k, j) };
                let value = self.gene(gene)[cell];
                if value != 0.0 || (gene + cell) % 5 == 0 {
                    room.indices.push(j as u32);
                    room.values.push(value);
                }
            }
            room.starts.push(room.indices.len());
        }
        Ok(room.entries())
    }
}

pub fn options(method: Method, scale: Scale) -> Options {
    Options {
        method,
        scale,
        normalise: Normalise::Nothing,
        log1p: true,
        mean: Mean::Geometric,
        epsilon: 1e-9,
        filter: Filter::default(),
        adjust_each_group: true,
        memory_limit: None,
    }
}

pub fn run(
    source: &Dense,
    groups: &Groups,
    options: &Options,
    threads: usize,
) -> Result<GroupTable> {
    pool(threads)?.install(|| test_groups(source, groups, options, &Monitor::new()))
}

/// One test of two samples, from its definition.
pub struct Reference<'a> {
    pub own: &'a [f64],
    pub other: &'a [f64],
}

impl Reference<'_> {
    /// U, pair by pair.
    pub fn u(&self) -> f64 {
        let wins = |a: f64, b: f64| if a > b { 1.0 } else { f64::from(a == b) * 0.5 };
        self.own.iter().map(|&a| self.other.iter().map(|&b| wins(a, b)).sum::<f64>()).sum()
    }

    /// |z|, with continuity correction; none where all is tied.
    fn z(&self) -> Option<f64> {
        let all = self.all();
        let (own, other, n) = (self.own.len() as f64, self.other.len() as f64, all.len() as f64);
        let ties: f64 =
            all.chunk_by(|a, b| a == b).map(|t| (t.len() as f64).powi(3) - t.len() as f64).sum();
        let variance = own * other / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
        let off = (self.u() - 0.5 * own * other).abs() - 0.5;
        (variance > 1e-9).then_some(off.max(0.0) / variance.sqrt())
    }

    fn all(&self) -> Vec<f64> {
        let mut all = [self.own, self.other].concat();
        all.sort_by(f64::total_cmp);
        all
    }

    fn t(&self, equal_variance: bool) -> f64 {
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let squares = |x: &[f64]| x.iter().map(|v| (v - mean(x)).powi(2)).sum::<f64>();
        let (own, other) = (self.own.len() as f64, self.other.len() as f64);
        let variance = match equal_variance {
            true => {
                (squares(self.own) + squares(self.other)) / (own + other - 2.0)
                    * (1.0 / own + 1.0 / other)
            }
            false => {
                squares(self.own) / (own - 1.0) / own + squares(self.other) / (other - 1.0) / other
            }
        };
        (mean(self.own) - mean(self.other)) / variance.sqrt()
    }

    /// Scholz and Stephens' criterion, both samples written out.
    fn anderson(&self) -> f64 {
        let all = self.all();
        let n = all.len() as f64;
        let distinct: Vec<(f64, f64)> =
            all.chunk_by(|a, b| a == b).map(|t| (t[0], t.len() as f64)).collect();
        let of = |sample: &[f64]| {
            let size = sample.len() as f64;
            let term = |&(value, here): &(f64, f64)| {
                let up_to = |x: &[f64]| {
                    x.iter().map(|v| f64::from(*v < value) + 0.5 * f64::from(*v == value)).sum()
                };
                let (m, b): (f64, f64) = (up_to(sample), up_to(&all));
                here / n * (n * m - size * b).powi(2) / (b * (n - b) - n * here / 4.0)
            };
            distinct.iter().map(term).sum::<f64>() / size
        };
        (n - 1.0) / n * (of(self.own) + of(self.other))
    }
}

/// The values of one pair.
pub fn samples(
    values: &[f64],
    class: &[u32],
    group: u32,
    tested: u32,
    against: Against,
) -> (Vec<f64>, Vec<f64>) {
    let pick = |wanted: &dyn Fn(u32) -> bool| {
        let cells = values.iter().zip(class).filter(|(_, k)| **k != NO_GROUP && wanted(**k));
        cells.map(|(v, _)| *v).collect::<Vec<f64>>()
    };
    let other = |k: u32| match against {
        Against::Control => k == tested,
        Against::Rest => k != group,
    };
    (pick(&|k| k == group), pick(&other))
}

pub fn near(found: f64, wanted: f64, what: &str) {
    let tolerance = 1e-10 * wanted.abs().max(1.0);
    assert!((found - wanted).abs() <= tolerance, "{what}: {found} not {wanted}");
}

/// Every pair, from definitions.
pub fn check(source: &Dense, class: &[u32], tested: u32, against: Against, options: &Options) {
    let groups = Groups::new(class, tested as usize, against).unwrap();
    let table = run(source, &groups, options, 1).unwrap();
    let logs = options.scale != Scale::Log1p && options.log1p;
    for group in 0..tested {
        for gene in 0..source.genes {
            let pair = group as usize * source.genes + gene;
            let seen: Vec<f64> =
                source.gene(gene).iter().map(|v| if logs { v.ln_1p() } else { *v }).collect();
            let (own, other) = samples(&seen, class, group, tested, against);
            let slow = Reference { own: &own, other: &other };
            let sizes = (own.len() as f64, other.len() as f64);
            let share = |x: &[f64]| x.iter().filter(|v| **v != 0.0).count() as f64 / x.len() as f64;
            near(table.share[pair], share(&own), "share");
            near(table.reference_share[pair], share(&other), "share of the reference");
            let level =
                |v: &f64| if options.scale == Scale::Log1p || logs { *v } else { v.ln_1p() };
            let mean = |x: &[f64]| (x.iter().map(level).sum::<f64>() / x.len() as f64).exp_m1();
            near(table.mean[pair], mean(&own), "mean");
            near(table.reference_mean[pair], mean(&other), "mean of the reference");
            let all_tied = own.iter().chain(&other).all(|v| *v == own[0]);
            match options.method {
                Method::Wilcoxon { .. } => {
                    assert_eq!(table.statistic[pair], slow.u());
                    near(table.effect[pair], slow.u() / (sizes.0 * sizes.1), "effect");
                    let z = slow.z().unwrap_or(0.0);
                    let p = two_sided(z);
                    near(table.p_value[pair].ln(), p.ln(), "log p");
                    assert!(!all_tied || table.p_value[pair] == 1.0);
                }
                Method::T { equal_variance } => {
                    let least = sizes.0.min(sizes.1);
                    let few = sizes.0 + sizes.1 < 3.0 || (!equal_variance && least < 2.0);
                    let t = slow.t(equal_variance);
                    match table.status[pair] {
                        TestStatus::TooFewCells => assert!(few),
                        TestStatus::NoVariance => assert!(!t.is_finite() || t.abs() > 1e12),
                        status => {
                            assert!(status == TestStatus::Ok && !few);
                            near(
                                table.statistic[pair] / t.abs().max(1.0),
                                t / t.abs().max(1.0),
                                "t",
                            );
                        }
                    }
                }
                Method::Anderson => match table.status[pair] {
                    TestStatus::TooFewCells => assert!(own.len() + other.len() < 4),
                    TestStatus::NoVariance => assert!(all_tied),
                    _ => near(table.effect[pair], slow.anderson(), "criterion"),
                },
            }
            let tested = table.status[pair] == TestStatus::Ok;
            assert_eq!(tested, !table.statistic[pair].is_nan());
            assert_eq!(tested, !table.q_value[pair].is_nan());
        }
    }
}

/// erfc(z / sqrt(2)) by its integral: Simpson's rule.
pub fn two_sided(z: f64) -> f64 {
    const STEPS: usize = 4000;
    let h = 10.0 / STEPS as f64;
    let density = |x: f64| (-0.5 * (x * x + 2.0 * x * z)).exp();
    let weights = (0..=STEPS).map(|k| match k {
        0 | STEPS => 1.0,
        k => 2.0 + 2.0 * (k % 2) as f64,
    });
    let sum: f64 = weights.enumerate().map(|(k, w)| w * density(k as f64 * h)).sum();
    sum * h / 3.0 * (-0.5 * z * z).exp() * (2.0 / std::f64::consts::PI).sqrt()
}
