//! Where counts come from: a source hands out one gene's counts at a time.

mod csc;
mod genes;
mod simulate;

pub use csc::Csc;
pub use genes::{CountKind, GeneBlock, GeneCounts, check_counts, count_expressed, gene_blocks};
pub use simulate::{SimulatedCounts, Simulation, simulate_counts};
