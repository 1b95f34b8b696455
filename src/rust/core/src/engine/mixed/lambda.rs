//! Lambda: one lower triangle a term, alike for all levels, whose product with its
//! transpose is the covariance of a level's effects.

use super::blocks::EffectBlock;
use super::effects::{Effects, Span};

/// Lambda, from its parameters: the triangles column after column, term after term, as
/// lme4 has them.
pub struct Lambda<'a> {
    effects: &'a Effects,
    /// Of each term: width x width, row after row, zero above the diagonal.
    triangles: Vec<Vec<f64>>,
}

/// A parameter's place: term, row and column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub term: usize,
    pub row: usize,
    pub column: usize,
}

/// The places of the parameters, in their order.
pub fn places(effects: &Effects) -> Vec<Place> {
    let of_term = |(term, span): (usize, &Span)| {
        let width = span.width;
        (0..width)
            .flat_map(move |column| (column..width).map(move |row| Place { term, row, column }))
    };
    effects.spans().iter().enumerate().flat_map(of_term).collect()
}

impl<'a> Lambda<'a> {
    pub fn new(effects: &'a Effects, parameters: &[f64]) -> Self {
        let zero = |span: &Span| vec![0.0; span.width * span.width];
        let mut triangles: Vec<Vec<f64>> = effects.spans().iter().map(zero).collect();
        for (place, &value) in places(effects).iter().zip(parameters) {
            let width = effects.spans()[place.term].width;
            triangles[place.term][place.row * width + place.column] = value;
        }
        Self { effects, triangles }
    }

    /// Lambda v.
    pub fn times(&self, v: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; v.len()];
        self.each_level(|width, triangle, at| {
            for a in 0..width {
                product[at + a] = (0..=a).map(|b| triangle[a * width + b] * v[at + b]).sum();
            }
        });
        product
    }

    /// Lambda' x.
    pub fn transpose_times(&self, x: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; x.len()];
        self.each_level(|width, triangle, at| {
            for b in 0..width {
                product[at + b] = (b..width).map(|a| triangle[a * width + b] * x[at + a]).sum();
            }
        });
        product
    }

    /// Lambda' G Lambda, block by block.
    pub fn within(&self, gram: &[f64]) -> Vec<f64> {
        self.congruent(gram, |triangle, width, i, j| triangle[i * width + j])
    }

    /// Lambda S Lambda', block by block.
    pub fn around(&self, inverse: &[f64]) -> Vec<f64> {
        self.congruent(inverse, |triangle, width, i, j| triangle[j * width + i])
    }

    /// Lambda' G of a block, rows x columns.
    pub fn transpose_times_block(&self, gram: &[f64], block: &EffectBlock) -> Vec<f64> {
        let (rows, columns) = self.shape(block);
        let (triangle, block) = (&self.triangles[block.terms.0], &gram[block.at..]);
        let entry = |i: usize, j: usize| {
            (i..rows).map(|k| triangle[k * rows + i] * block[k * columns + j]).sum()
        };
        (0..rows * columns).map(|at| entry(at / columns, at % columns)).collect()
    }

    /// Lambda' G' of a block: columns x rows.
    pub fn transpose_times_transposed_block(&self, gram: &[f64], block: &EffectBlock) -> Vec<f64> {
        let (rows, columns) = self.shape(block);
        let (triangle, block) = (&self.triangles[block.terms.1], &gram[block.at..]);
        let entry = |i: usize, j: usize| {
            (i..columns).map(|k| triangle[k * columns + i] * block[j * columns + k]).sum()
        };
        (0..rows * columns).map(|at| entry(at / rows, at % rows)).collect()
    }

    /// Rows and columns of a block.
    pub fn shape(&self, block: &EffectBlock) -> (usize, usize) {
        let spans = self.effects.spans();
        (spans[block.terms.0].width, spans[block.terms.1].width)
    }

    /// A' B C of each block B, where A and C are what `of` makes of the triangles.
    fn congruent(
        &self,
        values: &[f64],
        of: impl Fn(&[f64], usize, usize, usize) -> f64,
    ) -> Vec<f64> {
        let mut product = vec![0.0; values.len()];
        for block in self.effects.blocks().iter() {
            let (rows, columns) = self.shape(block);
            let (left, right) = (&self.triangles[block.terms.0], &self.triangles[block.terms.1]);
            let span = block.at..block.at + rows * columns;
            let (given, room) = (&values[span.clone()], &mut product[span]);
            if rows * columns == 1 {
                room[0] = left[0] * given[0] * right[0];
                continue;
            }
            for i in 0..rows {
                for j in 0..columns {
                    room[i * columns + j] = (0..rows * columns)
                        .map(|at| {
                            let (k, l) = (at / columns, at % columns);
                            of(left, rows, k, i) * given[at] * of(right, columns, l, j)
                        })
                        .sum();
                }
            }
        }
        product
    }

    fn each_level(&self, mut visit: impl FnMut(usize, &[f64], usize)) {
        for (span, triangle) in self.effects.spans().iter().zip(&self.triangles) {
            for level in 0..span.levels as u32 {
                visit(span.width, triangle, span.of(level));
            }
        }
    }
}
