//! What a pass over the cells must cost at least: for each cell one exponential,
//! one division and 25 multiply-adds (five for the linear predictor, five for
//! the score, fifteen for the information of five columns), on cells that stay
//! in the first cache. Prints nanoseconds per cell; those of the exponential
//! and the division alone; and those of the engine's passes of the negative binomial,
//! which has a logarithm too, over five columns, and what share of them the floor is.

use scoria_core::design::{BLOCK, Blocks, Design};
use scoria_core::engine::glm::{Curvature, NegativeBinomial, Pass, Response, Workspace};
use scoria_core::simd::{Kernel, LANES, Level, Scalar, Vector, exp, fma, run};
use std::hint::black_box;
use std::time::Instant;

const COLUMNS: usize = 5;
const PASSES: usize = 2_000;
const ROUNDS: usize = 50;

fn main() {
    let columns: [[f64; BLOCK]; COLUMNS] =
        std::array::from_fn(|j| std::array::from_fn(|i| ((i * (j + 3)) % 17) as f64 / 17.0 - 0.5));
    let columns = black_box(&columns);
    let floor = nanoseconds(Floor { columns });
    println!("{floor:.3} ns per cell and pass ({:?})", Level::detect());
    println!("{:.3} ns of it exponential and division", nanoseconds(Division { etas: columns }));
    for cells in [4_096, 207_360] {
        let design = design(cells);
        let rough = design.rough().expect("there are many cells");
        engine("double", design.blocks(), floor);
        engine("single", rough.blocks(), floor);
    }
}

/// A constant and four covariates.
fn design(cells: usize) -> Design {
    let columns: Vec<f64> = (0..COLUMNS * cells)
        .map(|i| if i < cells { 1.0 } else { (i as f64 * 0.754_877_7).fract() })
        .collect();
    let offset: Vec<f64> = (0..cells).map(|i| (i as f64 * 0.569_840_3).fract()).collect();
    Design::new(&columns, &offset).expect("columns are independent")
}

/// Passes that the engine takes: with expected information, with observed, and with both.
fn engine<T: Scalar>(precision: &str, blocks: &Blocks<T>, floor: f64) {
    let counts: Vec<f32> = (0..blocks.count() * BLOCK).map(|i| ((i * i) % 3) as f32).collect();
    for curvature in [Curvature::Expected, Curvature::Observed, Curvature::Both] {
        let pass = Pass {
            blocks,
            cells: NegativeBinomial { alpha: 0.5 },
            response: Response::Dense(&counts),
            coefficients: &[0.1, 0.2, -0.1, 0.05, 0.3],
            curvature,
        };
        let passes = (1 << 22) / blocks.cells();
        let fastest = fastest(|| {
            (0..passes).for_each(|_| drop(black_box(black_box(pass).sums(&Workspace::new()))));
        });
        let taken = fastest * 1e9 / (passes * blocks.cells()) as f64;
        println!(
            "{taken:.3} ns of the engine's, {precision} precision, {curvature:?}, {} cells: {:.0} %",
            blocks.cells(),
            100.0 * floor / taken
        );
    }
}

/// Seconds of some rounds' fastest.
fn fastest(mut run: impl FnMut()) -> f64 {
    (0..ROUNDS).fold(f64::INFINITY, |fastest, _| {
        let start = Instant::now();
        run();
        fastest.min(start.elapsed().as_secs_f64())
    })
}

/// Per cell and pass, the fastest of some rounds.
fn nanoseconds<K: Kernel<Output = f64> + Copy>(kernel: K) -> f64 {
    let fastest = fastest(|| {
        black_box(run(black_box(kernel)));
    });
    fastest * 1e9 / (PASSES * BLOCK) as f64
}

#[derive(Clone, Copy)]
struct Floor<'a> {
    columns: &'a [[f64; BLOCK]; COLUMNS],
}

impl Kernel for Floor<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut coefficients = [0.1; COLUMNS];
        let mut weight = [0.0; BLOCK];
        for _ in 0..PASSES {
            weights::<V>(self.columns, &coefficients, &mut weight);
            let (score, information) = sums::<V>(self.columns, &weight);
            // As in Newton's method, the next pass needs the sums of this one.
            for j in 0..COLUMNS {
                coefficients[j] = 0.1 + 1e-9 * (score[j] + information);
            }
        }
        coefficients.iter().sum()
    }
}

/// The exponential and the division of [`Floor`], of linear predictors that are
/// there.
#[derive(Clone, Copy)]
struct Division<'a> {
    etas: &'a [[f64; BLOCK]; COLUMNS],
}

impl Kernel for Division<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut weight = [0.0; BLOCK];
        for pass in 0..PASSES {
            for (w, &eta) in weight.iter_mut().zip(&self.etas[pass % COLUMNS]) {
                let mu = exp::<V>(eta);
                *w = mu / fma::<V>(0.3, mu, 1.0);
            }
            black_box(&mut weight);
        }
        weight[0]
    }
}

/// mu / (1 + alpha mu), mu the exponential of the linear predictor.
#[inline(always)]
fn weights<V: Vector>(
    columns: &[[f64; BLOCK]; COLUMNS],
    coefficients: &[f64; COLUMNS],
    weight: &mut [f64; BLOCK],
) {
    for i in 0..BLOCK {
        let mut eta = 0.0;
        for (column, &c) in columns.iter().zip(coefficients) {
            eta = fma::<V>(c, column[i], eta);
        }
        let mu = exp::<V>(eta);
        weight[i] = mu / fma::<V>(0.3, mu, 1.0);
    }
}

/// X'w, and the sum of the lower triangle of X'WX.
#[inline(always)]
fn sums<V: Vector>(
    columns: &[[f64; BLOCK]; COLUMNS],
    weight: &[f64; BLOCK],
) -> ([f64; COLUMNS], f64) {
    let mut score = [V::zero(); COLUMNS];
    let mut information = [[V::zero(); COLUMNS]; COLUMNS];
    for group in 0..BLOCK / LANES {
        let w = V::load(weight, group);
        let mut x = [V::zero(); COLUMNS];
        for j in 0..COLUMNS {
            x[j] = V::load(&columns[j], group);
            score[j] = x[j].times_plus(w, score[j]);
            let weighted = x[j].times(w);
            for k in 0..=j {
                information[j][k] = weighted.times_plus(x[k], information[j][k]);
            }
        }
    }
    let triangle = information.iter().enumerate().flat_map(|(j, row)| &row[..=j]);
    (score.map(V::total), triangle.map(|part| part.total()).sum())
}
