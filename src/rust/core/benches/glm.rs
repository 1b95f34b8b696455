//! Fits at the size of the Gasperini screen: 207,324 cells, an intercept and four
//! covariates, all of few values or not.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use scoria_core::Monitor;
use scoria_core::design::Design;
use scoria_core::engine::glm::{Family, Options, Workspace, fit_gene};
use scoria_core::source::GeneCounts;
use std::hint::black_box;

const CELLS: usize = 207_324;

struct Gene {
    cells: Vec<u32>,
    counts: Vec<f64>,
}

/// Where `discrete`, cells have offsets of their own but share rows of the model matrix.
fn design(discrete: bool, rng: &mut ChaCha8Rng) -> Design {
    let mut columns = vec![1.0; CELLS];
    columns.extend((0..CELLS).map(|_| f64::from(rng.random::<f64>() < 0.005)));
    columns.extend((0..CELLS).map(|_| f64::from(rng.random::<f64>() < 0.5)));
    columns.extend((0..CELLS).map(|_| match discrete {
        true => f64::from(rng.random::<f64>() < 0.3),
        false => (28.0 * rng.random::<f64>().powi(2)).round(),
    }));
    columns.extend((0..CELLS).map(|_| match discrete {
        true => f64::from(rng.random::<f64>() < 0.3),
        false => 0.04 + 0.02 * rng.random::<f64>(),
    }));
    let offset: Vec<f64> =
        (0..CELLS).map(|_| 0.35 * rng.sample::<f64, _>(StandardNormal)).collect();
    Design::new(&columns, &offset).unwrap()
}

fn gene(design: &Design, mean: f64, theta: f64, rng: &mut ChaCha8Rng) -> Gene {
    let gamma = Gamma::new(theta, 1.0 / theta).unwrap();
    let (mut cells, mut counts) = (vec![], vec![]);
    for cell in 0..CELLS {
        let mu = mean * design.blocks().offset(cell).exp() * gamma.sample(rng);
        let y: f64 = Poisson::new(mu.max(1e-12)).unwrap().sample(rng);
        if y > 0.0 {
            cells.push(cell as u32);
            counts.push(y);
        }
    }
    Gene { cells, counts }
}

fn fits(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let dense = design(false, &mut rng);
    fits_to(c, "fit", &dense, &mut rng);
    let discrete = design(true, &mut rng);
    assert!(dense.collapsed().is_none() && discrete.collapsed().is_some());
    fits_to(c, "discrete", &discrete, &mut rng);
}

fn fits_to(c: &mut Criterion, title: &str, design: &Design, rng: &mut ChaCha8Rng) {
    let monitor = Monitor::new();
    let mut group = c.benchmark_group(title);
    group.sample_size(10).throughput(Throughput::Elements(CELLS as u64));
    for (name, mean, theta) in [("rare", 0.01, 0.5), ("middle", 0.3, 2.0), ("abundant", 10.0, 5.0)]
    {
        let gene = gene(design, mean, theta, rng);
        let counts = GeneCounts { cells: &gene.cells, counts: &gene.counts };
        for family in [Family::NegativeBinomial, Family::QuasiPoisson] {
            let options = Options { family, max_iterations: 100 };
            let mut workspace = Workspace::new();
            let fit = fit_gene(counts, design, &options, &mut workspace, &monitor).unwrap();
            eprintln!(
                "{name} {family:?}: {} passes, theta {}, decrement {:e}",
                fit.iterations, fit.theta, fit.decrement
            );
            group.bench_function(format!("{family:?}/{name}"), |b| {
                b.iter(|| fit_gene(black_box(counts), design, &options, &mut workspace, &monitor))
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fits);
criterion_main!(benches);
