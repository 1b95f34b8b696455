use crate::design::{BLOCK, Design};
use crate::source::GeneCounts;

/// Least squares of counts minus offsets: coefficients of the design's basis,
/// and the residual sum of squares.
pub fn least_squares(design: &Design, counts: GeneCounts<'_>) -> (Vec<f64>, f64) {
    let mut coefficients = vec![0.0; design.rank()];
    // The basis is orthogonal: one step solves, and a second takes out the
    // rounding of the first.
    for _ in 0..2 {
        let (products, _) = residuals(design, counts, &coefficients);
        let n = design.cells() as f64;
        coefficients.iter_mut().zip(products).for_each(|(c, sum)| *c += sum / n);
    }
    let (_, squares) = residuals(design, counts, &coefficients);
    (coefficients, squares)
}

/// The sum of squares of counts minus offsets, about their mean or about zero.
pub fn null_squares(design: &Design, counts: GeneCounts<'_>, about_mean: bool) -> f64 {
    let sum = |f: &dyn Fn(f64) -> f64| {
        let mut sum = 0.0;
        each_block(design, counts, |residual, used, _| {
            sum += residual[..used].iter().map(|&r| f(r)).sum::<f64>();
        });
        sum
    };
    let mean = if about_mean { sum(&|r| r) / design.cells() as f64 } else { 0.0 };
    sum(&|r| (r - mean).powi(2))
}

/// Q'r and r'r of the residuals r.
fn residuals(design: &Design, counts: GeneCounts<'_>, coefficients: &[f64]) -> (Vec<f64>, f64) {
    let mut products = vec![0.0; coefficients.len()];
    let mut squares = 0.0;
    each_block(design, counts, |mut residual, _, columns| {
        for (column, c) in columns.chunks_exact(BLOCK).zip(coefficients) {
            residual.iter_mut().zip(column).for_each(|(r, x)| *r -= c * x);
        }
        for (column, sum) in columns.chunks_exact(BLOCK).zip(&mut products) {
            *sum += column.iter().zip(&residual).map(|(x, r)| x * r).sum::<f64>();
        }
        squares += residual.iter().map(|r| r * r).sum::<f64>();
    });
    (products, squares)
}

/// Counts minus offsets block after block (zero beyond the last cell), with how many cells
/// there are and the block's columns.
fn each_block(
    design: &Design,
    counts: GeneCounts<'_>,
    mut visit: impl FnMut([f64; BLOCK], usize, &[f64]),
) {
    let mut next = 0;
    for (block, (offset, columns)) in design.blocks().iter().enumerate() {
        let used = BLOCK.min(design.cells() - block * BLOCK);
        let mut residual = [0.0; BLOCK];
        residual[..used].iter_mut().zip(offset).for_each(|(r, o)| *r = -o);
        while next < counts.cells.len() && (counts.cells[next] as usize) < (block + 1) * BLOCK {
            residual[counts.cells[next] as usize % BLOCK] += counts.counts[next];
            next += 1;
        }
        visit(residual, used, columns);
    }
}
