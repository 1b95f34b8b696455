//! Lambda: one square matrix a term, alike for all levels, whose product with its
//! transpose is the covariance of a level's effects.
//!
//! lme4's are lower triangles. Squares have more parameters than covariances have, and
//! a direction for each that changes nothing; but where a covariance is singular, the
//! way to the optimum is straight, and among triangles it is a narrow bend.

use super::blocks::EffectBlock;
use super::effects::{Effects, Span};
use crate::engine::glm::inner;

/// Lambda, from its parameters: the squares column after column, term after term.
pub struct Lambda<'a> {
    effects: &'a Effects,
    /// Of each term: width x width, row after row.
    squares: Vec<Vec<f64>>,
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
        (0..width * width).map(move |at| Place { term, row: at % width, column: at / width })
    };
    effects.spans().iter().enumerate().flat_map(of_term).collect()
}

impl<'a> Lambda<'a> {
    pub fn new(effects: &'a Effects, parameters: &[f64]) -> Self {
        let zero = |span: &Span| vec![0.0; span.width * span.width];
        let mut squares: Vec<Vec<f64>> = effects.spans().iter().map(zero).collect();
        for (place, &value) in places(effects).iter().zip(parameters) {
            let width = effects.spans()[place.term].width;
            squares[place.term][place.row * width + place.column] = value;
        }
        Self { effects, squares }
    }

    /// The covariance of a level's effects: width x width.
    pub fn covariance(&self, term: usize) -> Vec<f64> {
        let (width, square) = (self.effects.spans()[term].width, &self.squares[term]);
        let row = |i: usize| &square[i * width..(i + 1) * width];
        (0..width * width).map(|at| inner(row(at / width), row(at % width))).collect()
    }

    /// Lambda v.
    pub fn times(&self, v: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; v.len()];
        self.each_level(|width, square, at| {
            for a in 0..width {
                product[at + a] = (0..width).map(|b| square[a * width + b] * v[at + b]).sum();
            }
        });
        product
    }

    /// Lambda' x.
    pub fn transpose_times(&self, x: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; x.len()];
        self.each_level(|width, square, at| {
            for b in 0..width {
                product[at + b] = (0..width).map(|a| square[a * width + b] * x[at + a]).sum();
            }
        });
        product
    }

    /// Lambda' G Lambda, block by block.
    pub fn within(&self, gram: &[f64]) -> Vec<f64> {
        self.congruent(gram, |square, width, i, j| square[i * width + j])
    }

    /// Lambda S Lambda', block by block.
    pub fn around(&self, inverse: &[f64]) -> Vec<f64> {
        self.congruent(inverse, |square, width, i, j| square[j * width + i])
    }

    /// Lambda' G of a block, rows x columns.
    pub fn transpose_times_block(&self, gram: &[f64], block: &EffectBlock) -> Vec<f64> {
        let (rows, columns) = self.shape(block);
        let (square, block) = (&self.squares[block.terms.0], &gram[block.at..]);
        let entry = |i: usize, j: usize| {
            (0..rows).map(|k| square[k * rows + i] * block[k * columns + j]).sum()
        };
        (0..rows * columns).map(|at| entry(at / columns, at % columns)).collect()
    }

    /// Lambda' G' of a block: columns x rows.
    pub fn transpose_times_transposed_block(&self, gram: &[f64], block: &EffectBlock) -> Vec<f64> {
        let (rows, columns) = self.shape(block);
        let (square, block) = (&self.squares[block.terms.1], &gram[block.at..]);
        let entry = |i: usize, j: usize| {
            (0..columns).map(|k| square[k * columns + i] * block[j * columns + k]).sum()
        };
        (0..rows * columns).map(|at| entry(at / rows, at % rows)).collect()
    }

    /// Rows and columns of a block.
    pub fn shape(&self, block: &EffectBlock) -> (usize, usize) {
        let spans = self.effects.spans();
        (spans[block.terms.0].width, spans[block.terms.1].width)
    }

    /// A' B C of each block B, where A and C are what `of` makes of the squares.
    fn congruent(
        &self,
        values: &[f64],
        of: impl Fn(&[f64], usize, usize, usize) -> f64,
    ) -> Vec<f64> {
        let mut product = vec![0.0; values.len()];
        for block in self.effects.blocks().iter() {
            let (rows, columns) = self.shape(block);
            let (left, right) = (&self.squares[block.terms.0], &self.squares[block.terms.1]);
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
        for (span, square) in self.effects.spans().iter().zip(&self.squares) {
            for level in 0..span.levels as u32 {
                visit(span.width, square, span.of(level));
            }
        }
    }
}
