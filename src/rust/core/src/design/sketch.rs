use super::BLOCK;
use crate::{Error, Result};

/// Rows of a sketch.
pub const SKETCH_ROWS: usize = 2048;
/// Rows that each cell is added to.
const EACH: usize = 2;

/// S X for a fixed sparse random S, [`SKETCH_ROWS`] x terms: every cell's row of the model
/// matrix is added to two rows of the sketch, each time with a random weight.
///
/// S is linear, so columns that depend on one another do so in the sketch; and being
/// random, it takes no other dependence into it (Clarkson and Woodruff 2013, STOC '13 81),
/// as long as there are fewer columns than rows. So two models of the same cells, whose
/// matrices are long gone, still tell whether the columns of one are in the span of the
/// other's. S depends on the position of a cell alone.
///
/// `columns`: the model matrix, cells x terms, column after column.
///
/// # Errors
/// Where the length of `columns` is no multiple of `cells`.
pub fn sketch(columns: &[f64], cells: usize) -> Result<Vec<f64>> {
    if cells == 0 || !columns.len().is_multiple_of(cells) {
        let found = columns.len();
        return Err(Error::Shape { what: "values of the model matrix", found, expected: cells });
    }
    let mut sums = vec![0.0; columns.len() / cells * SKETCH_ROWS];
    for first in (0..cells).step_by(BLOCK) {
        let block = first..cells.min(first + BLOCK);
        let places: Vec<(usize, f64)> =
            block.clone().flat_map(|cell| (0..EACH).map(move |turn| place(cell, turn))).collect();
        for (column, sums) in columns.chunks_exact(cells).zip(sums.chunks_exact_mut(SKETCH_ROWS)) {
            for (x, places) in column[block.clone()].iter().zip(places.chunks_exact(EACH)) {
                places.iter().for_each(|&(row, weight)| sums[row] += weight * x);
            }
        }
    }
    Ok(sums)
}

/// A row, and a weight in [-1, 1): by the generator SplitMix64 (Steele, Lea and Flood 2014,
/// OOPSLA '14 453) at a number of the cell's.
fn place(cell: usize, turn: usize) -> (usize, f64) {
    let mut bits = ((cell * EACH + turn) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // The lowest bits are the row, the 53 highest the weight.
    let row = bits as usize % SKETCH_ROWS;
    (row, (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_linear_and_keeps_what_is_independent() {
        let n = 5000;
        let a: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let b: Vec<f64> = (0..n).map(|i| f64::from(i == 4321)).collect();
        let both: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 2.0 * a - 3.0 * b).collect();
        let got = sketch(&[a, b, both].concat(), n).unwrap();
        let (a, rest) = got.split_at(SKETCH_ROWS);
        let (b, both) = rest.split_at(SKETCH_ROWS);
        for row in 0..SKETCH_ROWS {
            assert!((2.0 * a[row] - 3.0 * b[row] - both[row]).abs() < 1e-12);
        }
        // One cell is in two rows, with weights of its own.
        let weights: Vec<f64> = b.iter().copied().filter(|w| *w != 0.0).collect();
        assert_eq!(weights.len(), EACH);
        assert!(weights.iter().all(|w| w.abs() < 1.0));
        let squares: f64 = a.iter().map(|w| w * w).sum();
        let expected = EACH as f64 / 3.0 * 0.5 * n as f64;
        assert!((squares / expected - 1.0).abs() < 0.2, "{squares} not {expected}");
    }

    #[test]
    fn shapes_are_checked() {
        assert!(matches!(sketch(&[1.0; 5], 2), Err(Error::Shape { .. })));
    }
}
