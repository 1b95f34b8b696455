//! Times the fits of all pairs of a simulated screen of high multiplicity:
//!
//! cargo run --release --example screen -- [cells] [genes] [perturbations] [cells each] [threads]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use scoria_core::design::Membership;
use scoria_core::engine::screen::{
    Comparison, Dispersion, Family, Options, Pairs, Reference, Resampling, StdErr, Test, fit_screen,
};
use scoria_core::result::ScreenBlock;
use scoria_core::source::{Csc, Simulation, simulate_counts};
use scoria_core::{Monitor, Result, pool};
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("a number"));
    let mut next = |default| arguments.next().unwrap_or(default);
    let (cells, genes, perturbations) = (next(207_324), next(20), next(1000));
    let (each, threads) = (next(900), next(1));
    let mut rng = ChaCha8Rng::seed_from_u64(1);

    // An intercept, two covariates and two batches of two.
    let mut columns = vec![1.0; cells];
    columns.extend((0..2 * cells).map(|_| rng.sample::<f64, _>(StandardNormal)));
    columns.extend((0..2 * cells).map(|_| f64::from(rng.random::<bool>())));
    let size_factors: Vec<f64> =
        (0..cells).map(|_| (0.4 * rng.sample::<f64, _>(StandardNormal)).exp()).collect();
    let (mut offsets, mut members) = (vec![0], vec![]);
    for _ in 0..perturbations {
        let mut own: Vec<i32> = (0..each).map(|_| rng.random_range(0..cells as i32)).collect();
        own.sort_unstable();
        own.dedup();
        members.extend(own);
        offsets.push(members.len() as i32);
    }
    let level = rand_distr::Uniform::new(0.01f64.ln(), 10f64.ln()).expect("a range");
    let means: Vec<f64> = (0..genes).map(|_| level.sample(&mut rng).exp()).collect();
    let thetas: Vec<f64> = means.iter().map(|mean| 1.0 / (0.1 + 0.1 / mean)).collect();
    let effects: Vec<(i32, i32)> = (0..genes as i32)
        .flat_map(|g| (0..perturbations as i32).map(move |k| (g, k)))
        .filter(|_| rng.random::<f64>() < 0.05)
        .collect();
    let simulated = simulate_counts(
        &Simulation {
            size_factors: &size_factors,
            means: &means,
            thetas: &thetas,
            design: &columns[cells..],
            coefficients: &vec![0.1; 4 * genes],
            perturbation_offsets: &offsets,
            perturbed_cells: &members,
            effect_genes: &effects.iter().map(|e| e.0).collect::<Vec<_>>(),
            effect_perturbations: &effects.iter().map(|e| e.1).collect::<Vec<_>>(),
            effects: &vec![-0.7; effects.len()],
            seed: 1,
            threads: 2,
        },
        &Monitor::new(),
    )?;

    let options = Options {
        family: Family::NegativeBinomial,
        dispersion: Dispersion::Null,
        test: Test::Wald,
        resampling: Resampling::Permutation,
        std_err: StdErr::Expected,
        tolerance: std::env::var("TOL").map_or(5e-6, |t| t.parse().unwrap()),
        max_iterations: 100,
        memory_limit: None,
    };
    let offset: Vec<f64> = size_factors.iter().map(|s| s.ln()).collect();
    let membership = Membership::new(&offsets, &members, cells)?;
    pool(threads)?.install(|| {
        let counts = Csc::new(genes, &simulated.offsets, &simulated.rows, &simulated.values)?;
        let start = Instant::now();
        let comparison = Comparison::new(&columns, &offset, &membership, &Reference::Complement, None)?;
        println!("gathered {:.2} s, {} MB", start.elapsed().as_secs_f64(), comparison.bytes() >> 20);
        for _ in 0..3 {
            let (mut none, mut block) = (ScreenBlock::default(), ScreenBlock::default());
            let start = Instant::now();
            let nothing = Pairs::Some { offsets: &vec![0; genes + 1], perturbations: &[] };
            fit_screen(&counts, &comparison, nothing, &options, &Monitor::new(), &mut none)?;
            let nulls = start.elapsed().as_secs_f64();
            let start = Instant::now();
            fit_screen(&counts, &comparison, Pairs::All, &options, &Monitor::new(), &mut block)?;
            let all = start.elapsed().as_secs_f64();
            let pairs = (genes * perturbations) as f64;
            let mean = |values: &[u8]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / pairs;
            let status = |s: u8| block.pairs.status.iter().filter(|&&found| found == s).count();
            println!(
                "{:.2} us a pair and thread, null fits {:.1} ms a gene; {:.2} passes, {:.4} refreshes \
                 a pair; {:?} ok, separated, other",
                1e6 * (all - nulls) * threads as f64 / pairs,
                1e3 * nulls * threads as f64 / genes as f64,
                mean(&block.pairs.passes),
                mean(&block.pairs.refreshes),
                [status(0), status(1), pairs as usize - status(0) - status(1)],
            );
        }
        Ok(())
    })
}
