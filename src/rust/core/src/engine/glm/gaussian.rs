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

/// Q'r and r'r of the residuals r.
pub fn residuals(design: &Design, counts: GeneCounts<'_>, coefficients: &[f64]) -> (Vec<f64>, f64) {
    let mut products = vec![0.0; coefficients.len()];
    let (mut squares, mut next) = (0.0, 0);
    for (block, (offset, columns)) in design.blocks().iter().enumerate() {
        let used = BLOCK.min(design.cells() - block * BLOCK);
        let mut residual = [0.0; BLOCK];
        residual[..used].iter_mut().zip(offset).for_each(|(r, o)| *r = -o);
        while next < counts.cells.len() && (counts.cells[next] as usize) < (block + 1) * BLOCK {
            residual[counts.cells[next] as usize % BLOCK] += counts.counts[next];
            next += 1;
        }
        for (column, c) in columns.chunks_exact(BLOCK).zip(coefficients) {
            residual.iter_mut().zip(column).for_each(|(r, x)| *r -= c * x);
        }
        for (column, sum) in columns.chunks_exact(BLOCK).zip(&mut products) {
            *sum += column.iter().zip(&residual).map(|(x, r)| x * r).sum::<f64>();
        }
        squares += residual.iter().map(|r| r * r).sum::<f64>();
    }
    (products, squares)
}
