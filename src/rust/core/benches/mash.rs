//! Multivariate shrinkage with canonical covariances and independent errors.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use scoria_core::Monitor;
use scoria_core::engine::mash::{Covariance, Data, Model, Noise, fit_weights, posterior};

const GENES: usize = 500;

fn data(conditions: usize) -> Data {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut normal = || rng.sample::<f64, _>(StandardNormal);
    let mut estimates = vec![];
    for gene in 0..GENES {
        let shared = if gene % 4 == 0 { normal() } else { 0.0 };
        estimates.extend((0..conditions).map(|_| shared + 0.3 * normal()));
    }
    let errors = vec![0.3; GENES * conditions];
    Data::new(conditions, estimates, errors, Noise::Independent).unwrap()
}

fn canonical(r: usize) -> Model {
    let alike = |shared: f64| -> Vec<f64> {
        (0..r * r).map(|cell| if cell / r == cell % r { 1.0 } else { shared }).collect()
    };
    let alone = |at: usize| (0..r * r).map(|cell| f64::from(cell == at * (r + 1))).collect();
    let mut matrices: Vec<Vec<f64>> = [0.0, 0.25, 0.5, 0.75, 1.0].map(alike).to_vec();
    matrices.extend((0..r).map(alone));
    let covariances = matrices.iter().map(|u| Covariance::new(u, r).unwrap()).collect();
    let grid = (0..20).map(|step| 0.03 * 2.0_f64.sqrt().powi(step)).collect();
    Model::new(covariances, grid, true).unwrap()
}

fn fits(c: &mut Criterion) {
    let mut group = c.benchmark_group("mash");
    group.sample_size(10);
    for conditions in [8, 50] {
        let (data, model) = (data(conditions), canonical(conditions));
        let mut prior = vec![1.0; model.components()];
        prior[0] = 10.0;
        let monitor = Monitor::new();
        group.bench_function(BenchmarkId::new("weights", conditions), |b| {
            b.iter(|| fit_weights(&data, &model, &prior, &monitor).unwrap())
        });
        let weights = fit_weights(&data, &model, &prior, &monitor).unwrap().weights;
        group.bench_function(BenchmarkId::new("posterior", conditions), |b| {
            b.iter(|| posterior(&data, &model, &weights, &monitor).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, fits);
criterion_main!(benches);
