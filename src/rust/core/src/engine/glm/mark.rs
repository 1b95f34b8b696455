//! A number that tells a gene's counts from others.

use crate::design::BLOCK;
use crate::design::products::sum;
use crate::simd::{Kernel, Vector, run};
use crate::source::GeneCounts;

/// The sum of the counts, each times a weight in [1, 2) of its cell: the same only for the
/// same counts, but by accident. So two models can be known to be of the same counts when
/// these are gone.
pub fn mark(counts: GeneCounts<'_>) -> f64 {
    run(Mark(counts))
}

struct Mark<'a>(GeneCounts<'a>);

impl Kernel for Mark<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let GeneCounts { cells, counts } = self.0;
        let mut mark = 0.0;
        for (cells, counts) in cells.chunks(BLOCK).zip(counts.chunks(BLOCK)) {
            let mut terms = [0.0; BLOCK];
            for ((term, &cell), y) in terms.iter_mut().zip(cells).zip(counts) {
                // Multiples of the golden ratio, without their whole part; as integers with a
                // sign, for which there is a vector instruction.
                let fraction = (cell.wrapping_mul(0x9e37_79b9) >> 1) as i32;
                *term = y * (1.0 + f64::from(fraction) / 2_147_483_648.0);
            }
            mark += sum::<V>(&terms);
        }
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_counts_and_other_cells_have_another_mark() {
        let of = |cells: &[u32], counts: &[f64]| mark(GeneCounts { cells, counts });
        assert_eq!(of(&[], &[]), 0.0);
        assert_eq!(of(&[0], &[7.0]), 7.0);
        let here = of(&[3, 8], &[1.0, 2.0]);
        assert_eq!(here, of(&[3, 8], &[1.0, 2.0]));
        for (cells, counts) in [([3, 8], [2.0, 1.0]), ([3, 9], [1.0, 2.0]), ([3, 8], [1.0, 3.0])] {
            assert!((here - of(&cells, &counts)).abs() > 0.01);
        }
    }
}
