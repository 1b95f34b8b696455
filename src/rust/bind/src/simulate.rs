//! Simulated counts for `simulate_screen()`.

use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::source::{Simulation, simulate_counts};
use scoria_core::{Monitor, Result};

/// @noRd
#[extendr]
fn rust_simulate_counts(options: List, threads: i32, progress: Function) -> Robj {
    report(|| {
        let named = Named::of(options);
        let simulation = Simulation {
            size_factors: named.doubles("size_factors")?,
            means: named.doubles("means")?,
            thetas: named.doubles("thetas")?,
            design: named.doubles("design")?,
            coefficients: named.doubles("coefficients")?,
            perturbation_offsets: named.integers("perturbation_offsets")?,
            perturbed_cells: named.integers("perturbed_cells")?,
            effect_genes: named.integers("effect_genes")?,
            effect_perturbations: named.integers("effect_perturbations")?,
            effects: named.doubles("effects")?,
            seed: seed(named.integers("seed")?)?,
            threads: threads as usize,
        };
        let monitor = Monitor::new();
        let job = || simulate_counts(&simulation, &monitor);
        let counts = listen(Some(&progress), &monitor, job)?;
        Ok(list!(p = counts.offsets, i = counts.rows, x = counts.values))
    })
}

fn seed(given: &[i32]) -> Result<u64> {
    match given {
        &[seed] => Ok(i64::from(seed) as u64),
        _ => Err(Named::wrong("seed", "one integer")),
    }
}

extendr_module! {
    mod simulate;
    fn rust_simulate_counts;
}
