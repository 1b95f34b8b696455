//! How likely each cell was to be perturbed, given its covariates.

use crate::design::Design;
use crate::engine::glm::{Family, Options, Status, Workspace, fit_gene};
use crate::source::GeneCounts;
use crate::{Monitor, Result};

/// A logistic model of membership on a design's columns, offsets left out.
///
/// `cells`: the perturbed ones, in increasing order. Coefficients are those of the
/// kept columns; finite ones that reproduce probabilities of zero and one, too.
/// None where the model has not converged.
///
/// # Errors
/// [`crate::Error::Interrupted`] once the monitor is cancelled.
pub fn fit_membership(
    design: &Design,
    cells: &[u32],
    max_iterations: usize,
    workspace: &mut Workspace,
    monitor: &Monitor,
) -> Result<Option<Vec<f64>>> {
    let ones = vec![1.0; cells.len()];
    let counts = GeneCounts { cells, counts: &ones };
    let options = Options { family: Family::Binomial, max_iterations };
    let fit = fit_gene(counts, design, &options, workspace, monitor)?;
    Ok((fit.status == Status::Ok).then_some(fit.coefficients))
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
            let b = fit_membership(&design, cells, 50, &mut Workspace::new(), &monitor).unwrap()?;
            let p = |eta: f64| 1.0 / (1.0 + (-eta).exp());
            Some((p(b[0]), p(b[0] + b[1])))
        };
        let (low, high) = fit(&[1, 5, 6, 9]).unwrap();
        assert!((low - 0.25).abs() < 1e-6 && (high - 0.5).abs() < 1e-6);
        // No member in the first stratum: its probability is zero.
        let (low, high) = fit(&[5, 6, 9]).unwrap();
        assert!(low < 1e-6 && (high - 0.5).abs() < 1e-6);
        assert!(fit(&[]).is_none());
    }
}
