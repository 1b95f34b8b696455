//! p-values of calibrated tests, and what is prepared for each gene.

#[path = "../tests/resampling/mod.rs"]
mod resampling;
#[path = "../tests/residuals/mod.rs"]
mod residuals;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use resampling::{Fast, permuted, probabilities};
use residuals::residuals;
use scoria_core::engine::screen::{BinnedResiduals, Population, Scratch};
use std::hint::black_box;

const CELLS: usize = 200_000;

fn calibrate(c: &mut Criterion) {
    for mean in [0.01, 0.1, 1.0, 10.0] {
        let residuals = residuals(mean, CELLS, 0.4, 11);
        prepare(c, mean, &residuals);
        p_values(c, mean, &residuals);
    }
}

fn prepare(c: &mut Criterion, mean: f64, residuals: &[f64]) {
    let mut group = c.benchmark_group("prepare");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("permutation", mean), |b| {
        b.iter(|| Population::new(black_box(residuals), None));
    });
    group.bench_function(BenchmarkId::new("conditional", mean), |b| {
        b.iter(|| BinnedResiduals::new(black_box(residuals)));
    });
}

/// Statistics of permuted memberships; of 30 strata, as many cells of each.
fn p_values(c: &mut Criterion, mean: f64, residuals: &[f64]) {
    let mut group = c.benchmark_group("p-value");
    let (mut rng, mut pool) = (Fast(5), residuals.to_vec());
    let mut scratch = Scratch::new();
    let population = Population::new(residuals, None);
    for m in [30, 500, 2000] {
        group.bench_function(BenchmarkId::new(format!("permutation of {m}"), mean), |b| {
            b.iter(|| {
                let statistic = permuted(&mut pool, m, &mut rng);
                population.two_sided(&[m], statistic, &mut scratch)
            });
        });
    }
    let stratum: Vec<u16> = (0..CELLS).map(|i| (i % 30) as u16).collect();
    let strata = Population::new(residuals, Some((&stratum, 30)));
    group.bench_function(BenchmarkId::new("permutation of 480 in 30 strata", mean), |b| {
        b.iter(|| {
            let statistic = permuted(&mut pool, 480, &mut rng);
            strata.two_sided(&[16; 30], statistic, &mut scratch)
        });
    });
    let binned = BinnedResiduals::new(residuals);
    let probabilities = probabilities(CELLS, 500, 0.5, 3);
    group.bench_function(BenchmarkId::new("conditional of 500", mean), |b| {
        b.iter(|| binned.two_sided(&probabilities, 1.0, &mut scratch));
    });
}

criterion_group!(benches, calibrate);
criterion_main!(benches);
