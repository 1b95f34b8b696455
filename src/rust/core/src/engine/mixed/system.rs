//! Newton's equations of random and fixed effects together.

use super::cholesky::{Factor, Symbolic};
use super::lambda::Lambda;
use super::pass::Information;
use crate::engine::glm::{inverse, solve};
use faer::Mat;

/// The system
///
/// ```text
/// [ Lambda'Z'WZ Lambda + I   Lambda'Z'WX ] [ v ]
/// [ X'WZ Lambda              X'WX        ] [ c ]
/// ```
///
/// by the sparse factor of its first block, and the Schur complement of the second.
pub struct System<'a> {
    pub factor: Factor<'a>,
    /// Lambda'Z'WX, effects x columns.
    cross: Mat<f64>,
    /// The inverse of the first block times it.
    solved: Mat<f64>,
    /// The Schur complement: lower triangle, row after row.
    pub schur: Vec<f64>,
}

/// Of random and of fixed effects.
#[derive(Clone, Debug)]
pub struct Both {
    pub random: Vec<f64>,
    pub fixed: Vec<f64>,
}

impl<'a> System<'a> {
    /// None where the information is not finite.
    pub fn new(
        symbolic: &'a Symbolic,
        lambda: &Lambda<'_>,
        information: &Information,
    ) -> Option<Self> {
        let factor = symbolic.factorise(&lambda.within(&information.random))?;
        let effects = symbolic.effects();
        let p = information.cross.len() / effects;
        let mut cross = Mat::zeros(effects, p);
        for k in 0..p {
            let column: Vec<f64> = (0..effects).map(|i| information.cross[i * p + k]).collect();
            let column = lambda.transpose_times(&column);
            column.iter().enumerate().for_each(|(i, value)| cross[(i, k)] = *value);
        }
        let mut solved = cross.clone();
        factor.solve(&mut solved);
        let mut schur = information.fixed.clone();
        for j in 0..p {
            for k in 0..=j {
                schur[j * (j + 1) / 2 + k] -= inner(&cross, j, &solved, k);
            }
        }
        Some(Self { factor, cross, solved, schur })
    }

    /// Solves for several right sides; none where the fixed effects are not determined.
    pub fn solve(&self, sides: &[Both]) -> Option<Vec<Both>> {
        let (effects, p) = (self.cross.nrows(), self.cross.ncols());
        let mut first = Mat::from_fn(effects, sides.len(), |i, k| sides[k].random[i]);
        self.factor.solve(&mut first);
        let solution = |(k, side): (usize, &Both)| {
            let right = |j: usize| {
                side.fixed[j]
                    - (0..effects).map(|i| self.cross[(i, j)] * first[(i, k)]).sum::<f64>()
            };
            let right: Vec<f64> = (0..p).map(right).collect();
            let solution = solve(&self.schur, &right)?;
            if solution.singular {
                return None;
            }
            let fixed = solution.step;
            let random = (0..effects).map(|i| {
                first[(i, k)] - (0..p).map(|j| self.solved[(i, j)] * fixed[j]).sum::<f64>()
            });
            Some(Both { random: random.collect(), fixed })
        };
        sides.iter().enumerate().map(solution).collect()
    }

    /// The fixed effects' block of the inverse, p x p.
    pub fn covariance(&self) -> Option<Vec<f64>> {
        inverse(&self.schur, self.cross.ncols())
    }
}

fn inner(a: &Mat<f64>, j: usize, b: &Mat<f64>, k: usize) -> f64 {
    (0..a.nrows()).map(|i| a[(i, j)] * b[(i, k)]).sum()
}
