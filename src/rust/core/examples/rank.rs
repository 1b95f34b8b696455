//! Times the tests of all groups of a simulated screen against its control cells:
//!
//! cargo run --release --example rank -- [cells] [genes] [groups] [threads]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scoria_core::engine::rank::{
    Against, Exact, Filter, Groups, Mean, Method, Normalise, Options, Scale, test_groups,
};
use scoria_core::source::Csc;
use scoria_core::{Monitor, Result, pool};
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("a number"));
    let mut next = |default| arguments.next().unwrap_or(default);
    let (cells, genes, groups, threads) = (next(50_000), next(5000), next(200), next(2));
    let mut rng = ChaCha8Rng::seed_from_u64(1);

    // Geometric counts; the means are spread over three decades.
    let means: Vec<f64> =
        (0..genes).map(|_| (0.0015f64.ln() + 6.9 * rng.random::<f64>()).exp()).collect();
    let above: Vec<f64> = means.iter().map(|mean| mean / (1.0 + mean)).collect();
    let (mut offsets, mut rows, mut counts) = (vec![0], vec![], vec![]);
    for _ in 0..cells {
        for (gene, above) in above.iter().enumerate() {
            let u = rng.random::<f64>();
            if u < *above {
                rows.push(gene as i32);
                counts.push((u.ln() / above.ln()).floor());
            }
        }
        offsets.push(rows.len() as i32);
    }
    let class: Vec<u32> = (0..cells).map(|_| rng.random_range(0..=groups as u32)).collect();
    println!("{:.1} million counts", counts.len() as f64 / 1e6);

    let source = Csc::new(genes, &offsets, &rows, &counts)?;
    let groups = Groups::new(&class, groups, Against::Control)?;
    let wilcoxon = Method::Wilcoxon { continuity: true, exact: Exact::Auto };
    let t = Method::T { equal_variance: false };
    let library = Normalise::Library(1e4);
    let runs = [
        ("wilcoxon, counts", wilcoxon, Normalise::Nothing),
        ("wilcoxon, log-normalised", wilcoxon, library.clone()),
        ("t, log counts", t, Normalise::Nothing),
        ("t, log-normalised", t, library),
        ("anderson, counts", Method::Anderson, Normalise::Nothing),
    ];
    for (name, method, normalise) in runs {
        let options = Options {
            method,
            scale: Scale::Counts,
            normalise,
            log1p: true,
            mean: Mean::Geometric,
            epsilon: 1e-9,
            filter: Filter::default(),
            adjust_each_group: true,
            memory_limit: None,
        };
        pool(threads)?.install(|| -> Result<()> {
            for _ in 0..3 {
                let start = Instant::now();
                let table = test_groups(&source, &groups, &options, &Monitor::new())?;
                let low = table.p_value.iter().filter(|p| **p < 0.01).count();
                println!("{name}: {:.3} s, {low} below 0.01", start.elapsed().as_secs_f64());
            }
            Ok(())
        })?;
    }
    Ok(())
}
