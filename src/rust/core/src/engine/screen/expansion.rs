//! A gene's log-likelihood over the reference cells, as a polynomial.
//!
//! Of one cell, as a function of its linear predictor eta and with
//! s = alpha mu / (1 + alpha mu),
//!
//! l' = (y - mu) / (1 + alpha mu),  -l'' = h = (1 + alpha y) mu / (1 + alpha mu)²,
//! -l''' = h (1 - 2s),     -l'''' = h (1 - 6s(1 - s)),
//! |l'''''| = h |(1 - 2s) (1 - 12s(1 - s))| <= h,
//!
//! so that |l'''''(eta + u)| <= h(eta) exp(|u|): what an expansion to fourth order
//! leaves out is bounded by what it has (the bound of generalised
//! self-concordance, Bach 2010, Electronic Journal of Statistics 4:384). The same
//! holds of the expected weight w = mu / (1 + alpha mu), with w' = w (1 - s) and
//! w'' = w (1 - s) (1 - 2s).

use crate::design::products::{gram, predictors, products, quadruples, sum, triples};
use crate::design::{BLOCK, Blocks};
use crate::simd::{Kernel, Vector, exp, fma, log1p_and_inverse, run};
use crate::source::GeneCounts;

/// How far a log-likelihood is expanded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Score and information.
    Second,
    /// Also their first and second derivatives.
    Fourth,
}

/// The log-likelihood f about a centre, in coefficients of the design's basis.
/// Triangles stand row after row; a slope holds, for each entry of a triangle,
/// its derivatives with respect to the p coefficients, and a bend, for each entry,
/// the triangle of its second derivatives; zero, and empty, to second order.
#[derive(Clone, Debug)]
pub struct Expansion {
    pub centre: Vec<f64>,
    pub order: Order,
    /// Up to what depends on the counts and alpha alone.
    pub log_likelihood: f64,
    pub score: Vec<f64>,
    /// Observed information, -f''.
    pub information: Vec<f64>,
    pub information_slope: Vec<f64>,
    pub information_bend: Vec<f64>,
    /// Expected information.
    pub expected: Vec<f64>,
    pub expected_slope: Vec<f64>,
    pub expected_bend: Vec<f64>,
    /// Sum of squared residuals times x x'; empty where not asked for.
    pub meat: Vec<f64>,
    pub meat_slope: Vec<f64>,
}

impl Expansion {
    /// Looks at every reference cell once. `alpha` = 1 / theta, zero for Poisson
    /// counts.
    pub fn at(
        centre: Vec<f64>,
        alpha: f64,
        blocks: &Blocks,
        counts: GeneCounts<'_>,
        order: Order,
        with_meat: bool,
    ) -> Self {
        let sums = run(Look { blocks, counts, centre: &centre, alpha, order, with_meat });
        let p = centre.len();
        Self {
            order,
            log_likelihood: sums.log_likelihood,
            score: sums.score,
            information: sums.information,
            information_slope: slopes(&sums.information_triples, p),
            information_bend: bends(&sums.information_quadruples, p),
            expected: sums.expected,
            expected_slope: slopes(&sums.expected_triples, p),
            expected_bend: bends(&sums.expected_quadruples, p),
            meat: sums.meat,
            meat_slope: slopes(&sums.meat_triples, p),
            centre,
        }
    }

    /// With the logarithm of a normal density of the coefficients, about zero and
    /// with this precision, added: of second order, so nothing is left out of it.
    pub fn with_prior(mut self, precision: f64) -> Self {
        for (j, b) in self.centre.iter().enumerate() {
            self.log_likelihood -= 0.5 * precision * b * b;
            self.score[j] -= precision * b;
            self.information[j * (j + 3) / 2] += precision;
        }
        self
    }

    /// f(centre + delta) - f(centre).
    pub fn gain(&self, delta: &[f64]) -> f64 {
        let squares = squares(delta);
        let (mut gain, mut at) = (dot(&self.score, delta), 0);
        for j in 0..delta.len() {
            for k in 0..=j {
                let slope = slope_at(&self.information_slope, at, delta);
                let bend = slope_at(&self.information_bend, at, &squares);
                let mean = self.information[at] + slope / 3.0 + bend / 12.0;
                let twice = if j == k { 0.5 } else { 1.0 };
                gain -= twice * mean * delta[j] * delta[k];
                at += 1;
            }
        }
        gain
    }

    /// Adds f' at centre + delta.
    pub fn add_score(&self, delta: &[f64], score: &mut [f64]) {
        let squares = squares(delta);
        let mut at = 0;
        for j in 0..delta.len() {
            score[j] += self.score[j];
            for k in 0..=j {
                let slope = slope_at(&self.information_slope, at, delta);
                let bend = slope_at(&self.information_bend, at, &squares);
                let mean = self.information[at] + slope / 2.0 + bend / 6.0;
                score[j] -= mean * delta[k];
                if k < j {
                    score[k] -= mean * delta[j];
                }
                at += 1;
            }
        }
    }

    /// Adds -f'' at centre + delta, as a triangle.
    pub fn add_information(&self, delta: &[f64], triangle: &mut [f64]) {
        let bend = &self.information_bend;
        add_expanded(&self.information, &self.information_slope, bend, delta, triangle);
    }

    /// Adds the expected information at centre + delta.
    pub fn add_expected(&self, delta: &[f64], triangle: &mut [f64]) {
        add_expanded(&self.expected, &self.expected_slope, &self.expected_bend, delta, triangle);
    }

    /// Adds the sum of squared residuals times x x' at centre + delta.
    pub fn add_meat(&self, delta: &[f64], triangle: &mut [f64]) {
        add_expanded(&self.meat, &self.meat_slope, &[], delta, triangle);
    }
}

fn add_expanded(value: &[f64], slope: &[f64], bend: &[f64], delta: &[f64], triangle: &mut [f64]) {
    let squares = squares(delta);
    for (at, (sum, value)) in triangle.iter_mut().zip(value).enumerate() {
        *sum += value + slope_at(slope, at, delta) + 0.5 * slope_at(bend, at, &squares);
    }
}

/// Products of two entries as a triangle, those of different ones twice: what a
/// bend is multiplied with.
fn squares(delta: &[f64]) -> Vec<f64> {
    let twice = |j, k| if j == k { 1.0 } else { 2.0 };
    let pairs = (0..delta.len()).flat_map(|j| (0..=j).map(move |k| (j, k)));
    pairs.map(|(j, k)| twice(j, k) * delta[j] * delta[k]).collect()
}

fn slope_at(slopes: &[f64], at: usize, by: &[f64]) -> f64 {
    if slopes.is_empty() {
        return 0.0;
    }
    dot(&slopes[at * by.len()..(at + 1) * by.len()], by)
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

/// For each entry (j, k) of a triangle its p values: from those of j >= k >= l.
fn slopes(triples: &[f64], p: usize) -> Vec<f64> {
    if triples.is_empty() {
        return vec![];
    }
    let pairs = (0..p).flat_map(|j| (0..=j).map(move |k| (j, k)));
    pairs.flat_map(|(j, k)| (0..p).map(move |l| triples[place([j, k, l])])).collect()
}

/// For each entry (j, k) of a triangle the triangle of its values, likewise.
fn bends(quadruples: &[f64], p: usize) -> Vec<f64> {
    if quadruples.is_empty() {
        return vec![];
    }
    let pairs = || (0..p).flat_map(|j| (0..=j).map(move |k| (j, k)));
    let entry = |j, k, (l, m)| quadruples[place([j, k, l, m])];
    pairs().flat_map(|(j, k)| pairs().map(move |lm| entry(j, k, lm))).collect()
}

/// Where a symmetric tensor's entry stands that is kept for decreasing indices,
/// the last fastest: the sum over ranks r of the entries with smaller index there,
/// binomial(index + r - 1, r).
fn place<const R: usize>(mut index: [usize; R]) -> usize {
    index.sort_unstable();
    let below =
        |(at, &i): (usize, &usize)| (0..=at).fold(1, |product, r| product * (i + r) / (r + 1));
    index.iter().enumerate().map(below).sum()
}

#[derive(Default)]
struct Sums {
    log_likelihood: f64,
    score: Vec<f64>,
    information: Vec<f64>,
    information_triples: Vec<f64>,
    information_quadruples: Vec<f64>,
    expected: Vec<f64>,
    expected_triples: Vec<f64>,
    expected_quadruples: Vec<f64>,
    meat: Vec<f64>,
    meat_triples: Vec<f64>,
}

struct Look<'a> {
    blocks: &'a Blocks,
    counts: GeneCounts<'a>,
    centre: &'a [f64],
    alpha: f64,
    order: Order,
    with_meat: bool,
}

impl Kernel for Look<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<V: Vector>(self) -> Sums {
        let p = self.centre.len();
        let fourth = self.order == Order::Fourth;
        let triangle = p * (p + 1) / 2;
        let cube = if fourth { triangle * (p + 2) / 3 } else { 0 };
        let tesseract = cube * (p + 3) / 4;
        let mut sums = Sums {
            score: vec![0.0; p],
            information: vec![0.0; triangle],
            information_triples: vec![0.0; cube],
            information_quadruples: vec![0.0; tesseract],
            expected: vec![0.0; triangle],
            expected_triples: vec![0.0; cube],
            expected_quadruples: vec![0.0; tesseract],
            ..Sums::default()
        };
        if self.with_meat {
            sums.meat = vec![0.0; triangle];
            sums.meat_triples = vec![0.0; cube];
        }
        let empty = [0.0; BLOCK];
        let (mut y, mut eta) = (empty, empty);
        let (mut residual, mut bend, mut bend_slope) = (empty, empty, empty);
        let (mut weight, mut weight_slope) = (empty, empty);
        let (mut bend_bend, mut weight_bend) = (empty, empty);
        let mut log_likelihood = empty;
        let poisson = self.alpha == 0.0;
        let theta = if poisson { 0.0 } else { 1.0 / self.alpha };
        let mut next = 0;
        for (block, (offset, columns)) in self.blocks.iter().enumerate() {
            predictors::<V>(offset, columns, self.centre, &mut eta);
            y.fill(0.0);
            let end = block * BLOCK + BLOCK;
            while next < self.counts.cells.len() && (self.counts.cells[next] as usize) < end {
                y[self.counts.cells[next] as usize % BLOCK] = self.counts.counts[next];
                next += 1;
            }
            for i in 0..BLOCK {
                let mean = exp::<V>(eta[i]);
                let (log, inverse) = log1p_and_inverse::<V>(self.alpha * mean);
                let cost = if poisson { mean } else { (y[i] + theta) * log };
                log_likelihood[i] = y[i] * eta[i] - cost;
                let saturation = self.alpha * mean * inverse;
                residual[i] = (y[i] - mean) * inverse;
                weight[i] = mean * inverse;
                weight_slope[i] = weight[i] * inverse;
                bend[i] = weight_slope[i] * fma::<V>(self.alpha, y[i], 1.0);
                let tilt = fma::<V>(-2.0, saturation, 1.0);
                bend_slope[i] = bend[i] * tilt;
                bend_bend[i] = bend[i] * fma::<V>(-6.0 * saturation, inverse, 1.0);
                weight_bend[i] = weight_slope[i] * tilt;
            }
            sums.log_likelihood += sum::<V>(&log_likelihood);
            products::<V>(columns, &residual, &mut sums.score);
            gram::<V>(columns, &bend, &mut sums.information);
            gram::<V>(columns, &weight, &mut sums.expected);
            if fourth {
                triples::<V>(columns, &bend_slope, &mut sums.information_triples);
                triples::<V>(columns, &weight_slope, &mut sums.expected_triples);
                quadruples::<V>(columns, &bend_bend, &mut sums.information_quadruples);
                quadruples::<V>(columns, &weight_bend, &mut sums.expected_quadruples);
            }
            if self.with_meat {
                for i in 0..BLOCK {
                    weight[i] = residual[i] * residual[i];
                    weight_slope[i] = -2.0 * residual[i] * bend[i];
                }
                gram::<V>(columns, &weight, &mut sums.meat);
                if fourth {
                    triples::<V>(columns, &weight_slope, &mut sums.meat_triples);
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three columns, not orthogonal: an expansion does not ask for it.
    fn example() -> (Blocks, Vec<u32>, Vec<f64>) {
        let n = 300;
        let columns = vec![
            vec![1.0; n],
            (0..n).map(|i| ((i * 37) % 101) as f64 / 50.0 - 1.0).collect(),
            (0..n).map(|i| f64::from(i % 3 == 0)).collect(),
        ];
        let offset: Vec<f64> = (0..n).map(|i| ((i * 13) % 7) as f64 / 7.0 - 0.5).collect();
        let cells: Vec<u32> = (0..n as u32).filter(|i| i % 4 != 1).collect();
        let counts = cells.iter().map(|i| f64::from(i * 7 % 5 + 1)).collect();
        (Blocks::new(&columns, &offset), cells, counts)
    }

    #[test]
    fn polynomials_are_those_of_differences() {
        let (blocks, cells, counts) = example();
        let counts = GeneCounts { cells: &cells, counts: &counts };
        for alpha in [0.0, 0.4, 20.0] {
            let at =
                |b: &[f64]| Expansion::at(b.to_vec(), alpha, &blocks, counts, Order::Fourth, true);
            let centre = [0.3, -0.2, 0.1];
            let here = at(&centre);
            let delta = [2e-3, -1e-3, 3e-3];
            let there = at(&[centre[0] + delta[0], centre[1] + delta[1], centre[2] + delta[2]]);
            let near = |got: &[f64], want: &[f64], tolerance: f64, what: &str| {
                for (g, w) in got.iter().zip(want) {
                    let scale = tolerance * (1.0 + w.abs());
                    assert!((g - w).abs() < scale, "{what}, alpha {alpha}: {g} not {w}");
                }
            };
            let mut score = vec![0.0; 3];
            here.add_score(&delta, &mut score);
            near(&score, &there.score, 1e-9, "score");
            let linear = |add: fn(&Expansion, &[f64], &mut [f64])| {
                let mut sum = vec![0.0; 6];
                add(&here, &delta, &mut sum);
                sum
            };
            near(&linear(Expansion::add_information), &there.information, 1e-6, "information");
            near(&linear(Expansion::add_expected), &there.expected, 1e-6, "expected");
            near(&linear(Expansion::add_meat), &there.meat, 1e-3, "meat");
            let gain = there.log_likelihood - here.log_likelihood;
            assert!((here.gain(&delta) - gain).abs() < 1e-10, "{} {gain}", here.gain(&delta));
            // The gain's own derivative is the score.
            let step = 1e-6;
            for k in 0..3 {
                let moved = |by: f64| {
                    let mut d = delta;
                    d[k] += by;
                    here.gain(&d)
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                assert!((slope - score[k]).abs() < 1e-5 * (1.0 + score[k].abs()));
            }
        }
    }
}
