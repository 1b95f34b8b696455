//! The Laplace approximation of a gene's log-likelihood, as lme4 has it for
//! `nAGQ = 0`, and its derivatives.
//!
//! With u = Lambda v, v standard normal, and (v, b) the joint mode of
//! `log f(y | v, b) - |v|² / 2`, it is
//!
//! ```text
//! l = log f(y | v, b) - |v|² / 2 - log det(Lambda'Z'WZ Lambda + I) / 2
//! ```
//!
//! where W has the expected weights mu / (1 + mu / theta): Bates, Mächler, Bolker and
//! Walker (2015), Journal of Statistical Software 67(1), and lme4's vignette on theory.
//! The first two terms are at their optimum, so only the determinant moves with the
//! mode; how the mode moves follows from its equations by the implicit function theorem.

use super::effects::Effects;
use super::lambda::{Lambda, Place, places};
use super::leverage::determinant_slopes;
use super::mode::{Ascent, Mode};
use super::pass::{Data, Information, Look};
use super::system::{Both, System};
use crate::engine::glm::{NegativeBinomial, Poisson, derivatives, inner};
use crate::special::CountHistogram;
use crate::{Monitor, Result};

/// The criterion of a gene as a function of the parameters of Lambda and, unless the
/// counts are Poisson, log(alpha), alpha = 1 / theta.
pub struct Criterion<'a> {
    data: Data<'a>,
    histogram: &'a CountHistogram,
    places: Vec<Place>,
    poisson: bool,
    max_passes: usize,
    monitor: &'a Monitor,
}

/// The criterion at a point.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub at: Vec<f64>,
    /// Minus the approximate log-likelihood, without what depends on the counts alone.
    pub value: f64,
    pub gradient: Vec<f64>,
    /// The mode, and how it moves with each parameter.
    pub mode: Both,
    pub moves: Vec<Both>,
    /// With lme4's weights, at the mode.
    pub expected: Information,
}

impl<'a> Criterion<'a> {
    pub fn new(
        data: Data<'a>,
        histogram: &'a CountHistogram,
        poisson: bool,
        max_passes: usize,
        monitor: &'a Monitor,
    ) -> Self {
        Self { data, histogram, places: places(data.effects), poisson, max_passes, monitor }
    }

    pub fn is_poisson(&self) -> bool {
        self.poisson
    }

    /// How many parameters it has.
    pub fn parameters(&self) -> usize {
        self.places.len() + usize::from(!self.poisson)
    }

    /// The criterion at a point, its mode sought from `start`; none where there is no
    /// mode to be found. Counts passes over the cells.
    pub fn evaluate(
        &self,
        at: &[f64],
        start: &Both,
        passes: &mut usize,
    ) -> Result<Option<Evaluation>> {
        let lambda = Lambda::new(self.data.effects, at);
        let Self { data, max_passes, monitor, .. } = *self;
        let ascent = Ascent { data, lambda: &lambda, max_passes, monitor };
        if self.poisson {
            let height = |look: &Look| look.sums.log_likelihood;
            let mode = ascent.climb(Poisson, height, start, passes)?;
            return Ok(mode.and_then(|mode| {
                let height = height(&mode.look);
                self.differentiate(at, &lambda, mode, height, None)
            }));
        }
        let alpha = at[self.places.len()].exp();
        let rising = self.histogram.rising(alpha);
        let height = |look: &Look| rising.log + look.sums.log_likelihood;
        let cells = NegativeBinomial { alpha };
        let mode = ascent.climb(cells, height, start, passes)?;
        Ok(mode.and_then(|mode| {
            let slope = derivatives(&rising, &mode.look.sums).0;
            let height = height(&mode.look);
            self.differentiate(at, &lambda, mode, height, Some(slope))
        }))
    }

    /// The covariance of the basis's coefficients, p x p: the fixed effects' block of
    /// the inverse of the joint information, with the weights of the criterion.
    pub fn covariance(&self, evaluation: &Evaluation) -> Option<Vec<f64>> {
        let lambda = Lambda::new(self.data.effects, &evaluation.at);
        let symbolic = self.data.effects.symbolic();
        System::new(symbolic, &lambda, &evaluation.expected)?.covariance()
    }

    /// `height`: log f at the mode; `slope`: its derivative with respect to log(alpha).
    fn differentiate(
        &self,
        at: &[f64],
        lambda: &Lambda<'_>,
        mode: Mode<'_>,
        height: f64,
        slope: Option<f64>,
    ) -> Option<Evaluation> {
        let effects = self.data.effects;
        let details = mode.look.details?;
        let factor = effects.symbolic().factorise(&lambda.within(&details.expected.random))?;
        let inverse = factor.inverse();
        let slopes = determinant_slopes(self.data, &details, &lambda.around(&inverse));
        let by_lambda = determinant_by_lambda(effects, lambda, &inverse, &details.expected.random);
        let by_random = lambda.transpose_times(&slopes.random);
        // How far the log-determinant moves with the mode.
        let follow =
            |step: &Both| inner(&by_random, &step.random) + inner(&slopes.fixed, &step.fixed);

        let (v, score) = (&mode.at.random, &mode.look.random_score);
        let mut sides: Vec<Both> = (self.places.iter())
            .map(|place| by_place(effects, lambda, place, &mode.look.observed, v, score))
            .collect();
        if slope.is_some() {
            sides.push(Both {
                random: lambda.transpose_times(&details.random_cross),
                fixed: mode.look.sums.cross.clone(),
            });
        }
        let moves = mode.system.solve(&sides)?;
        let mut gradient: Vec<f64> = (self.places.iter().zip(&moves))
            .map(|(place, step)| {
                let own = by_lambda[place.term][place.column * width(effects, place) + place.row];
                let shifted = 0.5 * over_levels(effects, place, v, &slopes.random);
                own + shifted + 0.5 * follow(step) - over_levels(effects, place, v, score)
            })
            .collect();
        if let Some(slope) = slope {
            gradient.push(0.5 * (slopes.log_alpha + follow(&moves[self.places.len()])) - slope);
        }
        // What the step that is left would change, to first order.
        let height = height - 0.5 * inner(v, v) + 0.5 * mode.decrement;
        let determinant = factor.log_determinant() + follow(&mode.step);
        let value = 0.5 * determinant - height;
        let finite = value.is_finite() && gradient.iter().all(|slope| slope.is_finite());
        finite.then(|| Evaluation {
            at: at.to_vec(),
            value,
            gradient,
            mode: mode.at,
            moves,
            expected: details.expected,
        })
    }
}

fn width(effects: &Effects, place: &Place) -> usize {
    effects.spans()[place.term].width
}

/// The sum over a term's levels of `x[column] * y[row]`.
fn over_levels(effects: &Effects, place: &Place, x: &[f64], y: &[f64]) -> f64 {
    let span = effects.spans()[place.term];
    let levels = (0..span.levels as u32).map(|level| span.of(level));
    levels.map(|at| x[at + place.column] * y[at + place.row]).sum()
}

/// The derivative of the mode's equations with respect to a parameter of Lambda.
fn by_place(
    effects: &Effects,
    lambda: &Lambda<'_>,
    place: &Place,
    observed: &Information,
    v: &[f64],
    score: &[f64],
) -> Both {
    let span = effects.spans()[place.term];
    let mut shift = vec![0.0; v.len()];
    let levels = || (0..span.levels as u32).map(|level| span.of(level));
    levels().for_each(|at| shift[at + place.row] = v[at + place.column]);
    let p = observed.cross.len() / v.len();
    let mut fixed = vec![0.0; p];
    for (x, row) in shift.iter().zip(observed.cross.chunks_exact(p)) {
        fixed.iter_mut().zip(row).for_each(|(sum, value)| *sum -= x * value);
    }
    let weighted = times_gram(effects, &observed.random, &shift);
    let mut random = lambda.transpose_times(&weighted);
    random.iter_mut().for_each(|value| *value = -*value);
    levels().for_each(|at| random[at + place.column] += score[at + place.row]);
    Both { random, fixed }
}

/// Z'WZ x.
fn times_gram(effects: &Effects, gram: &[f64], x: &[f64]) -> Vec<f64> {
    let spans = effects.spans();
    let mut product = vec![0.0; x.len()];
    for block in effects.blocks().iter() {
        let (rows, columns) = (spans[block.terms.0].width, spans[block.terms.1].width);
        let ((row, column), diagonal) = (block.effects, block.terms.0 == block.terms.1);
        for a in 0..rows {
            for b in 0..columns {
                let value = gram[block.at + a * columns + b];
                product[row + a] += value * x[column + b];
                if !diagonal {
                    product[column + b] += value * x[row + a];
                }
            }
        }
    }
    product
}

/// For each term, at `column * width + row`: half the derivative of the log-determinant
/// with respect to that entry of its square, weights held, which is the sum over
/// levels of `(M⁻¹ Lambda'Z'WZ)[column, row]`.
fn determinant_by_lambda(
    effects: &Effects,
    lambda: &Lambda<'_>,
    inverse: &[f64],
    gram: &[f64],
) -> Vec<Vec<f64>> {
    let spans = effects.spans();
    let mut sums: Vec<Vec<f64>> =
        spans.iter().map(|span| vec![0.0; span.width * span.width]).collect();
    for block in effects.blocks().iter() {
        let (rows, columns) = lambda.shape(block);
        let within = &inverse[block.at..block.at + rows * columns];
        let product = lambda.transpose_times_block(gram, block);
        let forward = |b: usize, j: usize| within[b * columns + j];
        let backward = |b: usize, j: usize| within[j * columns + b];
        let (row, column) = block.terms;
        if row == column {
            add_product(&mut sums[row], forward, &product);
            continue;
        }
        let across = lambda.transpose_times_transposed_block(gram, block);
        add_product(&mut sums[row], forward, &across);
        add_product(&mut sums[column], backward, &product);
    }
    sums
}

/// Adds a product of matrices whose result is square.
fn add_product(sums: &mut [f64], left: impl Fn(usize, usize) -> f64, right: &[f64]) {
    let size = sums.len().isqrt();
    for (at, sum) in sums.iter_mut().enumerate() {
        let (b, a) = (at / size, at % size);
        *sum += (0..right.len() / size).map(|j| left(b, j) * right[j * size + a]).sum::<f64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::Design;
    use crate::engine::mixed::Term;
    use crate::source::GeneCounts;

    /// Two crossed factors, one of them with slopes.
    fn effects(n: usize) -> (Design, Effects) {
        let x: Vec<f64> = (0..n).map(|i| ((i * 37) % 23) as f64 / 7.0 - 1.0).collect();
        let ones = vec![1.0; n];
        let offset: Vec<f64> = (0..n).map(|i| ((i * 13) % 11) as f64 / 20.0).collect();
        let design = Design::new(&[ones.clone(), x.clone()].concat(), &offset).unwrap();
        let level = |by: usize, levels: usize| (0..n).map(|i| ((i * by) % levels) as u32).collect();
        let terms = [
            Term { levels: 7, level: level(5, 7), columns: [ones.clone(), x].concat() },
            Term { levels: 4, level: level(3, 4), columns: ones },
        ];
        (design, Effects::new(&terms, n).unwrap())
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let n = 300;
        let (design, effects) = effects(n);
        let y: Vec<f64> = (0..n).map(|i| ((i * i + 3 * i) % 17 / 3) as f64).collect();
        let (cells, counts): (Vec<u32>, Vec<f64>) =
            y.iter().enumerate().filter(|(_, y)| **y > 0.0).map(|(i, &y)| (i as u32, y)).unzip();
        let data = Data {
            design: &design,
            effects: &effects,
            counts: GeneCounts { cells: &cells, counts: &counts },
        };
        let histogram = CountHistogram::new(&counts);
        let monitor = Monitor::new();
        let start = Both { random: vec![0.0; effects.effects()], fixed: vec![0.0; 2] };
        for poisson in [false, true] {
            let criterion = Criterion::new(data, &histogram, poisson, 100, &monitor);
            let look = |at: &[f64]| criterion.evaluate(at, &start, &mut 0).unwrap().unwrap();
            for at in [
                [0.5, 0.2, 0.0, 0.7, 0.3, -0.5],
                [1.5, -0.8, 0.4, 0.1, 0.9, 1.0],
                [0.3, 0.0, 0.0, 0.0, 0.0, -3.0],
            ] {
                let at = &at[..criterion.parameters()];
                let here = look(at);
                for k in 0..at.len() {
                    let beside = |by: f64| {
                        let mut at = at.to_vec();
                        at[k] += by;
                        look(&at)
                    };
                    let (above, below) = (beside(1e-4), beside(-1e-4));
                    let slope = (above.value - below.value) / 2e-4;
                    let off = (here.gradient[k] - slope).abs();
                    assert!(off < 1e-5 * (1.0 + slope.abs()), "{k}: {} {slope}", here.gradient[k]);
                    let moved = (above.mode.fixed[1] - below.mode.fixed[1]) / 2e-4;
                    assert!((here.moves[k].fixed[1] - moved).abs() < 1e-5, "{k}: mode");
                }
            }
        }
    }
}
