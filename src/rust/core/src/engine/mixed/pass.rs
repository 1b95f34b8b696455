//! Passes over the cells of a gene: what Newton's method wants to know of its
//! log-likelihood, with respect to fixed and random effects.

use super::effects::Effects;
use crate::design::products::{gram, predictors, products};
use crate::design::{BLOCK, Design, PADDING};
use crate::engine::glm::{Cells, Desk, Sums};
use crate::simd::{Kernel, Vector, run};
use crate::source::GeneCounts;

/// A gene, a design and random effects.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    pub design: &'a Design,
    pub effects: &'a Effects,
    pub counts: GeneCounts<'a>,
}

/// X'WX, Z'WX and Z'WZ, X being the orthogonal basis.
#[derive(Clone, Debug, Default)]
pub struct Information {
    /// X'WX: lower triangle, row after row.
    pub fixed: Vec<f64>,
    /// Z'WX: effects x columns, row after row.
    pub cross: Vec<f64>,
    /// Z'WZ, block by block.
    pub random: Vec<f64>,
}

/// Sums over all cells, at given effects. `r` is the derivative of a cell's
/// log-likelihood with respect to its predictor.
pub struct Look {
    /// Of the fixed effects; its information is the observed one.
    pub sums: Sums,
    /// Z'r.
    pub random_score: Vec<f64>,
    pub observed: Information,
    /// Where asked for.
    pub details: Option<Details>,
}

/// What the Laplace criterion needs at the mode.
pub struct Details {
    pub expected: Information,
    /// The derivative of Z'r with respect to log(alpha).
    pub random_cross: Vec<f64>,
    /// Of each cell: the expected weight w, and s = alpha w.
    pub weights: Vec<f64>,
    pub saturations: Vec<f64>,
}

impl<'a> Data<'a> {
    /// Looks at coefficients `c` of the basis and effects `b`, with the expected
    /// information as well where `detailed`.
    pub fn look(self, cells: impl Cells, c: &[f64], b: &[f64], detailed: bool) -> Look {
        run(Pass { data: self, cells, c, b, detailed })
    }

    fn no_information(&self) -> Information {
        let p = self.design.rank();
        Information {
            fixed: vec![0.0; p * (p + 1) / 2],
            cross: vec![0.0; self.effects.effects() * p],
            random: vec![0.0; self.effects.blocks().len()],
        }
    }
}

struct Pass<'a, 'b, C> {
    data: Data<'a>,
    cells: C,
    c: &'b [f64],
    b: &'b [f64],
    detailed: bool,
}

impl<C: Cells> Kernel for Pass<'_, '_, C> {
    type Output = Look;

    #[inline(always)]
    fn run<V: Vector>(self) -> Look {
        let Self { data, cells, c, b, detailed } = self;
        let (effects, n, p) = (data.effects, data.design.cells(), data.design.rank());
        let mut sums = Sums { score: vec![0.0; p], cross: vec![0.0; p], ..Sums::default() };
        let mut random_score = vec![0.0; b.len()];
        let mut observed = data.no_information();
        let mut details = detailed.then(|| Details {
            expected: data.no_information(),
            random_cross: vec![0.0; b.len()],
            weights: Vec::with_capacity(n),
            saturations: Vec::with_capacity(n),
        });
        let (mut desk, mut next) = (Desk::new(), 0);
        for (block, (offset, columns)) in data.design.blocks().iter().enumerate() {
            let first = block * BLOCK;
            let here = BLOCK.min(n - first);
            let mut shifted = [PADDING; BLOCK];
            for (i, shifted) in shifted[..here].iter_mut().enumerate() {
                *shifted = offset[i] + predictor(effects, first + i, b);
            }
            predictors::<V>(&shifted, columns, c, &mut desk.predictor);
            let from = desk.lay(data.counts, block, &mut next);
            desk.weigh::<C, V>(cells, &mut sums);
            desk.clear(&data.counts.cells[from..next]);
            if let Some(details) = &mut details {
                let weight = &desk.weight[..here];
                gram::<V>(columns, &desk.weight, &mut details.expected.fixed);
                add_weights(effects, first, weight, columns, &mut details.expected);
                details.weights.extend_from_slice(weight);
                details.saturations.extend(weight.iter().map(|w| cells.alpha() * w));
            }
            products::<V>(columns, &desk.residual, &mut sums.score);
            gram::<V>(columns, &desk.observed, &mut observed.fixed);
            add_weights(effects, first, &desk.observed[..here], columns, &mut observed);
            add(effects, first, &desk.residual[..here], &mut random_score);
            if let Some(details) = &mut details {
                products::<V>(columns, &desk.cross, &mut sums.cross);
                add(effects, first, &desk.cross[..here], &mut details.random_cross);
            }
        }
        Look { sums, random_score, observed, details }
    }
}

/// A cell's share of Z b.
#[inline(always)]
fn predictor(effects: &Effects, cell: usize, b: &[f64]) -> f64 {
    let row = effects.row(cell);
    let mut sum = 0.0;
    for (span, &level) in effects.spans().iter().zip(effects.levels(cell)) {
        let first = span.of(level);
        for a in 0..span.width {
            sum += row[span.column + a] * b[first + a];
        }
    }
    sum
}

/// Adds Z'x of consecutive cells.
#[inline(always)]
pub fn add(effects: &Effects, first: usize, x: &[f64], sums: &mut [f64]) {
    for (i, x) in x.iter().enumerate() {
        let row = effects.row(first + i);
        for (span, &level) in effects.spans().iter().zip(effects.levels(first + i)) {
            let at = span.of(level);
            for a in 0..span.width {
                sums[at + a] += x * row[span.column + a];
            }
        }
    }
}

/// Adds Z'WX and Z'WZ of a block's cells.
#[inline(always)]
fn add_weights(
    effects: &Effects,
    first: usize,
    weight: &[f64],
    columns: &[f64],
    sums: &mut Information,
) {
    let spans = effects.spans();
    let p = columns.len() / BLOCK;
    for (i, w) in weight.iter().enumerate() {
        let cell = first + i;
        let (row, levels) = (effects.row(cell), effects.levels(cell));
        let mut places = effects.blocks().places(cell).iter();
        for (t, span) in spans.iter().enumerate() {
            let at = span.of(levels[t]);
            for a in 0..span.width {
                let weighted = w * row[span.column + a];
                let cross = &mut sums.cross[(at + a) * p..(at + a + 1) * p];
                for (k, sum) in cross.iter_mut().enumerate() {
                    *sum += weighted * columns[k * BLOCK + i];
                }
            }
            for (other, &place) in spans[..=t].iter().zip(&mut places) {
                let block = &mut sums.random[place as usize..][..span.width * other.width];
                for (a, sums) in block.chunks_exact_mut(other.width).enumerate() {
                    let weighted = w * row[span.column + a];
                    for (sum, z) in sums.iter_mut().zip(&row[other.column..]) {
                        *sum += weighted * z;
                    }
                }
            }
        }
    }
}
