use super::Csc;
use crate::{Error, Result};
use std::ops::Range;

/// The counts of one gene: the cells where they are not zero, in increasing
/// order, and the counts there.
#[derive(Clone, Copy, Debug)]
pub struct GeneCounts<'a> {
    pub cells: &'a [u32],
    pub counts: &'a [f64],
}

impl GeneCounts<'_> {
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }
}

/// What a model asks of its counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CountKind {
    /// 0, 1, 2, ...
    Whole,
    /// Zero or above.
    NonNegative,
    /// Anything finite.
    Finite,
}

/// Some consecutive genes of a genes x cells matrix that is stored by cell.
pub struct GeneBlock {
    genes: Range<usize>,
    starts: Vec<usize>,
    cells: Vec<u32>,
    counts: Vec<f64>,
}

impl GeneBlock {
    pub fn genes(&self) -> Range<usize> {
        self.genes.clone()
    }

    /// The counts of one gene; `gene` counts from the matrix's first.
    pub fn gene(&self, gene: usize) -> GeneCounts<'_> {
        let k = gene - self.genes.start;
        let span = self.starts[k]..self.starts[k + 1];
        GeneCounts { cells: &self.cells[span.clone()], counts: &self.counts[span] }
    }
}

/// Transposes a genes x cells matrix block by block: no block holds more than
/// `capacity` counts (12 bytes each), unless a single gene has more.
///
/// Stored zeros are dropped. Values are assumed checked: see [`check_counts`].
pub fn gene_blocks<'a>(
    matrix: &'a Csc<'a>,
    capacity: usize,
) -> impl Iterator<Item = GeneBlock> + 'a {
    let mut expressed = vec![0usize; matrix.nrow()];
    for cell in 0..matrix.ncol() {
        let (genes, values) = matrix.column(cell);
        for (&gene, _) in genes.iter().zip(values).filter(|(_, v)| **v != 0.0) {
            expressed[gene as usize] += 1;
        }
    }
    // Where each cell's column goes on: blocks are taken in order.
    let mut cursors = vec![0usize; matrix.ncol()];
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next;
        let mut starts = vec![0];
        while next < matrix.nrow()
            && (next == start || starts[next - start] + expressed[next] <= capacity)
        {
            starts.push(starts[next - start] + expressed[next]);
            next += 1;
        }
        (next > start).then(|| transpose(matrix, start..next, starts, &mut cursors))
    })
}

fn transpose(
    matrix: &Csc<'_>,
    genes: Range<usize>,
    starts: Vec<usize>,
    cursors: &mut [usize],
) -> GeneBlock {
    let total = *starts.last().expect("starts begins with zero");
    let (mut cells, mut counts) = (vec![0u32; total], vec![0f64; total]);
    let mut ends = starts.clone();
    for (cell, cursor) in cursors.iter_mut().enumerate() {
        let (rows, values) = matrix.column(cell);
        while *cursor < rows.len() && (rows[*cursor] as usize) < genes.end {
            if values[*cursor] != 0.0 {
                let end = &mut ends[rows[*cursor] as usize - genes.start];
                cells[*end] = cell as u32;
                counts[*end] = values[*cursor];
                *end += 1;
            }
            *cursor += 1;
        }
    }
    GeneBlock { genes, starts, cells, counts }
}

/// Looks at every stored count.
///
/// # Errors
/// [`Error::Count`] names the first that is not of the kind asked for.
pub fn check_counts(matrix: &Csc<'_>, kind: CountKind) -> Result<()> {
    let (fits, expected): (fn(f64) -> bool, _) = match kind {
        CountKind::Whole => {
            (|v| v >= 0.0 && v.is_finite() && v.fract() == 0.0, "whole numbers >= 0 are expected")
        }
        CountKind::NonNegative => {
            (|v| v >= 0.0 && v.is_finite(), "finite numbers >= 0 are expected")
        }
        CountKind::Finite => (f64::is_finite, "finite numbers are expected"),
    };
    for cell in 0..matrix.ncol() {
        let (genes, values) = matrix.column(cell);
        if let Some(at) = values.iter().position(|&v| !fits(v)) {
            let gene = genes[at] as usize + 1;
            return Err(Error::Count { gene, cell: cell + 1, value: values[at], expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // 4 genes x 3 cells; the second gene has a stored zero and nothing else.
    const OFFSETS: [i32; 4] = [0, 3, 4, 6];
    const ROWS: [i32; 6] = [0, 1, 3, 3, 0, 2];
    const VALUES: [f64; 6] = [5.0, 0.0, 2.0, 7.0, 1.0, 4.0];

    #[test]
    fn blocks_hold_every_gene_once_whatever_their_size() {
        let matrix = Csc::new(4, &OFFSETS, &ROWS, &VALUES).unwrap();
        for capacity in [0, 1, 2, 3, 100] {
            let mut seen = vec![];
            for block in gene_blocks(&matrix, capacity) {
                for gene in block.genes() {
                    let counts = block.gene(gene);
                    seen.push((counts.cells.to_vec(), counts.counts.to_vec()));
                }
            }
            let expected: Vec<(Vec<u32>, Vec<f64>)> = vec![
                (vec![0, 2], vec![5.0, 1.0]),
                (vec![], vec![]),
                (vec![2], vec![4.0]),
                (vec![0, 1], vec![2.0, 7.0]),
            ];
            assert_eq!(seen, expected, "capacity {capacity}");
        }
    }

    #[test]
    fn counts_are_checked() {
        let kinds = [CountKind::Whole, CountKind::NonNegative, CountKind::Finite];
        let check = |value: f64| {
            let values = [5.0, 0.0, 2.0, value, 1.0, 4.0];
            let matrix = Csc::new(4, &OFFSETS, &ROWS, &values).unwrap();
            kinds.map(|kind| check_counts(&matrix, kind).is_ok())
        };
        assert_eq!(check(1e9), [true, true, true]);
        assert_eq!(check(0.5), [false, true, true]);
        assert_eq!(check(-1.0), [false, false, true]);
        assert_eq!(check(f64::NAN), [false, false, false]);
        assert_eq!(check(f64::INFINITY), [false, false, false]);
    }
}
