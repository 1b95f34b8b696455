//! Simulated counts for `simulate_screen()`.

use crate::guard::{listen, report};
use extendr_api::prelude::*;
use scoria_core::source::{Simulation, simulate_counts};
use scoria_core::{Error, Monitor, Result};
use std::collections::HashMap;

/// @noRd
#[extendr]
fn rust_simulate_counts(options: List, threads: i32, progress: Function) -> Robj {
    report(|| {
        // Held here, because the core borrows the vectors themselves.
        let held: HashMap<&str, Robj> = options.try_into().expect("a list of R values");
        let doubles = |name: &'static str| {
            held.get(name).and_then(Robj::as_real_slice).ok_or(missing(name, "a double vector"))
        };
        let integers = |name: &'static str| {
            let slice = held.get(name).and_then(Robj::as_integer_slice);
            slice.ok_or(missing(name, "an integer vector"))
        };
        let simulation = Simulation {
            size_factors: doubles("size_factors")?,
            means: doubles("means")?,
            thetas: doubles("thetas")?,
            design: doubles("design")?,
            coefficients: doubles("coefficients")?,
            perturbation_offsets: integers("perturbation_offsets")?,
            perturbed_cells: integers("perturbed_cells")?,
            effect_genes: integers("effect_genes")?,
            effect_perturbations: integers("effect_perturbations")?,
            effects: doubles("effects")?,
            seed: seed(integers("seed")?)?,
            threads: threads as usize,
        };
        let monitor = Monitor::new();
        let counts = listen(&progress, &monitor, || simulate_counts(&simulation, &monitor))?;
        Ok(list!(p = counts.offsets, i = counts.rows, x = counts.values))
    })
}

fn seed(given: &[i32]) -> Result<u64> {
    match given {
        &[seed] => Ok(i64::from(seed) as u64),
        _ => Err(missing("seed", "one integer")),
    }
}

fn missing(name: &'static str, expected: &'static str) -> Error {
    Error::Argument { name, value: "missing or of another type".into(), expected }
}

extendr_module! {
    mod simulate;
    fn rust_simulate_counts;
}
