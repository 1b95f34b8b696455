//! How likely each cell was to be perturbed, given its covariates.

use crate::design::Design;
use crate::engine::glm::{Family, Options, Status, Workspace, fit_gene};
use crate::source::GeneCounts;
use crate::{Monitor, Result};

/// Probabilities of membership, one a cell of the design, from a logistic model
/// of the design's columns. The design's offset is part of the model: zero for
/// what is usually wanted.
///
/// `cells`: the perturbed ones, in increasing order. Where the model has not
/// converged, as the status says, probabilities are not numbers.
///
/// # Errors
/// [`crate::Error::Interrupted`] once the monitor is cancelled.
pub fn membership_probabilities(
    design: &Design,
    cells: &[u32],
    max_iterations: usize,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<(Status, Vec<f64>)> {
    let ones = vec![1.0; cells.len()];
    let counts = GeneCounts { cells, counts: &ones };
    let options = Options { family: Family::Binomial, max_iterations };
    let fit = fit_gene(counts, design, &options, workspace, monitor)?;
    let same = |p: f64| vec![p; design.cells()];
    let probabilities = match fit.status {
        Status::AllZero => same(0.0),
        Status::AllOne => same(1.0),
        Status::Ok => fitted(design, &fit.coefficients),
        Status::NotConverged | Status::NotBinary => same(f64::NAN),
    };
    Ok((fit.status, probabilities))
}

fn fitted(design: &Design, coefficients: &[f64]) -> Vec<f64> {
    let (blocks, coordinates) = (design.blocks(), design.basis().coordinates(coefficients));
    let of_cell = |cell: usize| {
        let terms = coordinates.iter().enumerate().map(|(k, c)| c * blocks.value(cell, k));
        1.0 / (1.0 + (-(blocks.offset(cell) + terms.sum::<f64>())).exp())
    };
    (0..design.cells()).map(of_cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_within_strata_are_reproduced() {
        // Two strata; members are 1 of 4 cells in the first, 3 of 6 in the second.
        let second: Vec<f64> = (0..10).map(|i| f64::from(u8::from(i >= 4))).collect();
        let columns = [vec![1.0; 10], second].concat();
        let design = Design::new(&columns, &[0.0; 10]).unwrap();
        let fit = |cells: &[u32]| {
            let monitor = Monitor::new();
            membership_probabilities(&design, cells, 50, &mut Workspace::new(), &monitor).unwrap()
        };
        let (status, p) = fit(&[1, 5, 6, 9]);
        assert_eq!(status, Status::Ok);
        for (cell, p) in p.iter().enumerate() {
            let share = if cell < 4 { 0.25 } else { 0.5 };
            assert!((p - share).abs() < 1e-6, "cell {cell}: {p}");
        }
        assert_eq!(fit(&[]), (Status::AllZero, vec![0.0; 10]));
        assert_eq!(fit(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), (Status::AllOne, vec![1.0; 10]));
        // No member in the first stratum: its probability is zero.
        let (status, p) = fit(&[5, 6, 9]);
        assert_eq!(status, Status::Ok);
        assert!(p[0] < 1e-6 && (p[9] - 0.5).abs() < 1e-6);
    }
}
