//! Fits at the size of the Gasperini screen: 207,324 cells, an intercept and four
//! covariates, all of few values or not; and how many times as fast the first are.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use scoria_core::Monitor;
use scoria_core::design::Design;
use scoria_core::engine::glm::{Family, Options, Workspace, fit_gene};
use scoria_core::source::GeneCounts;
use std::hint::black_box;
use std::time::Instant;

const CELLS: usize = 207_324;

struct Gene {
    cells: Vec<u32>,
    counts: Vec<f64>,
}

/// Where `discrete`, cells have offsets of their own but share rows of the model matrix.
fn design(discrete: bool, rng: &mut ChaCha8Rng) -> Design {
    let mut columns = shared(rng);
    columns.extend((0..CELLS).map(|_| match discrete {
        true => f64::from(rng.random::<f64>() < 0.3),
        false => (28.0 * rng.random::<f64>().powi(2)).round(),
    }));
    columns.extend((0..CELLS).map(|_| match discrete {
        true => f64::from(rng.random::<f64>() < 0.3),
        false => 0.04 + 0.02 * rng.random::<f64>(),
    }));
    Design::new(&columns, &offset(rng)).unwrap()
}

/// The intercept, a rare covariate and a common one.
fn shared(rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut columns = vec![1.0; CELLS];
    columns.extend((0..CELLS).map(|_| f64::from(rng.random::<f64>() < 0.005)));
    columns.extend((0..CELLS).map(|_| f64::from(rng.random::<f64>() < 0.5)));
    columns
}

fn offset(rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..CELLS).map(|_| 0.35 * rng.sample::<f64, _>(StandardNormal)).collect()
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
    both_paths(&mut rng);
}

/// The same model by both paths: one of its covariates of few values is nudged by less than
/// the eighth digit, so that no two cells are alike.
fn both_paths(rng: &mut ChaCha8Rng) {
    const GENES: usize = 40;
    const ROUNDS: usize = 3;
    let (mut columns, offset) = (shared(rng), offset(rng));
    columns.extend((0..2 * CELLS).map(|_| f64::from(rng.random::<f64>() < 0.3)));
    let collapsed = Design::new(&columns, &offset).unwrap();
    columns[2 * CELLS..3 * CELLS].iter_mut().for_each(|x| *x += 1e-9 * rng.random::<f64>());
    let dense = Design::new(&columns, &offset).unwrap();
    assert!(dense.collapsed().is_none() && collapsed.collapsed().is_some());
    // Means are those of the genes in bench/fit-models.R.
    let mean = |k: usize| 0.005 * 6000f64.powf((k as f64 + 0.5) / GENES as f64);
    let genes: Vec<Gene> = (0..GENES).map(|k| gene(&dense, mean(k), 2.0, rng)).collect();
    let (monitor, mut workspace) = (Monitor::new(), Workspace::new());
    for family in [Family::NegativeBinomial, Family::QuasiPoisson] {
        let options = Options { family, max_iterations: 100 };
        let mut seconds = |design: &Design| {
            let start = Instant::now();
            for Gene { cells, counts } in &genes {
                let counts = GeneCounts { cells, counts };
                black_box(fit_gene(counts, design, &options, &mut workspace, &monitor).unwrap());
            }
            start.elapsed().as_secs_f64()
        };
        let mut fastest = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            for (fastest, design) in fastest.iter_mut().zip([&dense, &collapsed]) {
                *fastest = fastest.min(seconds(design));
            }
        }
        let [dense, collapsed] = fastest.map(|seconds| 1e3 * seconds / GENES as f64);
        let times = dense / collapsed;
        let bar = if times >= 10.0 { "met" } else { "MISSED" };
        eprintln!(
            "{GENES} genes of means from 0.005 to 30, {family:?}: dense {dense:.3} ms a gene, \
             collapsed {collapsed:.3}: {times:.1} times as fast (bar: 10, {bar})"
        );
    }
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
