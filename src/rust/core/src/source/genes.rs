use super::Csc;
use crate::{Error, Result};
use rayon::prelude::*;
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
    parts: Vec<Part>,
}

/// As many of them as one thread transposes.
struct Part {
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
        let part = &self.parts[self.parts.partition_point(|part| part.genes.end <= gene)];
        let k = gene - part.genes.start;
        let span = part.starts[k]..part.starts[k + 1];
        GeneCounts { cells: &part.cells[span.clone()], counts: &part.counts[span] }
    }
}

/// Transposes a genes x cells matrix block by block, with the threads of the
/// current pool: no block holds more than `capacity` counts (12 bytes each),
/// unless a single gene has more.
///
/// Stored zeros are dropped. Values are assumed checked: see [`check_counts`].
pub fn gene_blocks<'a>(
    matrix: &'a Csc<'a>,
    capacity: usize,
) -> impl Iterator<Item = GeneBlock> + 'a {
    let expressed = count_stored(matrix);
    let mut next = 0;
    std::iter::from_fn(move || {
        let genes = span(&expressed, next, capacity);
        next = genes.end;
        (!genes.is_empty()).then(|| {
            let total: usize = expressed[genes.clone()].iter().sum();
            let share = total.div_ceil(rayon::current_num_threads());
            let mut spans = vec![];
            let mut from = genes.start;
            while from < genes.end {
                let part = span(&expressed[..genes.end], from, share);
                from = part.end;
                spans.push(part);
            }
            let parts = spans.into_par_iter().map(|span| transpose(matrix, span, &expressed));
            GeneBlock { genes, parts: parts.collect() }
        })
    })
}

/// The genes from `start` on that hold no more than `capacity` counts; at least
/// one, if there is one.
fn span(expressed: &[usize], start: usize, capacity: usize) -> Range<usize> {
    let mut held = 0;
    let fits = |stored: &&usize| {
        let first = held == 0;
        held += **stored;
        first || held <= capacity
    };
    start..start + expressed[start..].iter().take_while(fits).count()
}

/// How many counts other than zero each gene has.
fn count_stored(matrix: &Csc<'_>) -> Vec<usize> {
    let genes = matrix.nrow();
    let count = |mut stored: Vec<usize>, cell: usize| {
        let (genes, values) = matrix.column(cell);
        for (&gene, _) in genes.iter().zip(values).filter(|(_, v)| **v != 0.0) {
            stored[gene as usize] += 1;
        }
        stored
    };
    let cells = (0..matrix.ncol()).into_par_iter().with_min_len(1024);
    cells.fold(|| vec![0; genes], count).reduce(|| vec![0; genes], add)
}

fn transpose(matrix: &Csc<'_>, genes: Range<usize>, expressed: &[usize]) -> Part {
    let mut starts = vec![0];
    for gene in genes.clone() {
        starts.push(starts[gene - genes.start] + expressed[gene]);
    }
    let total = starts[genes.len()];
    let (mut cells, mut counts) = (vec![0u32; total], vec![0f64; total]);
    let mut ends = starts.clone();
    for cell in 0..matrix.ncol() {
        let (rows, values) = matrix.column(cell);
        let first = rows.partition_point(|&row| (row as usize) < genes.start);
        for (&row, &value) in rows[first..].iter().zip(&values[first..]) {
            if row as usize >= genes.end {
                break;
            }
            if value != 0.0 {
                let end = &mut ends[row as usize - genes.start];
                cells[*end] = cell as u32;
                counts[*end] = value;
                *end += 1;
            }
        }
    }
    Part { genes, starts, cells, counts }
}

/// Looks at every stored count.
///
/// # Errors
/// [`Error::Count`] names the first that is not of the kind asked for.
pub fn check_counts(matrix: &Csc<'_>, kind: CountKind) -> Result<()> {
    // Compiled once for each rule: there are many counts to look at.
    match kind {
        CountKind::Whole => check(matrix, is_whole, "whole numbers >= 0 are expected"),
        CountKind::NonNegative => {
            check(matrix, |v| v >= 0.0 && v.is_finite(), "finite numbers >= 0 are expected")
        }
        CountKind::Finite => check(matrix, f64::is_finite, "finite numbers are expected"),
    }
}

/// By conversion, for without SSE4.1 `f64::fract` is a function of the library.
fn is_whole(v: f64) -> bool {
    const ALL_ABOVE: f64 = 9_007_199_254_740_992.0;
    v >= 0.0 && (v as i64 as f64 == v || (v >= ALL_ABOVE && v.is_finite()))
}

fn check(
    matrix: &Csc<'_>,
    fits: impl Fn(f64) -> bool + Sync,
    expected: &'static str,
) -> Result<()> {
    let wrong = |cell: usize| {
        let (genes, values) = matrix.column(cell);
        let at = values.iter().position(|&v| !fits(v))?;
        let gene = genes[at] as usize + 1;
        Some(Error::Count { gene, cell: cell + 1, value: values[at], expected })
    };
    let cells = (0..matrix.ncol()).into_par_iter().with_min_len(1024);
    cells.find_map_first(wrong).map_or(Ok(()), Err)
}

/// How many cells have a count above zero, by gene; and how many genes do, by
/// cell. With the threads of the current pool.
pub fn count_expressed(matrix: &Csc<'_>) -> (Vec<i32>, Vec<i32>) {
    const CHUNK: usize = 4096;
    let count = |(chunk, by_cell): (usize, &mut [i32])| {
        let mut by_gene = vec![0; matrix.nrow()];
        for (within, genes_here) in by_cell.iter_mut().enumerate() {
            let (genes, values) = matrix.column(chunk * CHUNK + within);
            for (&gene, _) in genes.iter().zip(values).filter(|(_, v)| **v > 0.0) {
                by_gene[gene as usize] += 1;
                *genes_here += 1;
            }
        }
        by_gene
    };
    let mut by_cell = vec![0; matrix.ncol()];
    let chunks = by_cell.par_chunks_mut(CHUNK).enumerate();
    let by_gene = chunks.map(count).reduce(|| vec![0; matrix.nrow()], add);
    (by_gene, by_cell)
}

/// Adds two counts gene by gene.
fn add<T: std::ops::AddAssign>(mut one: Vec<T>, other: Vec<T>) -> Vec<T> {
    one.iter_mut().zip(other).for_each(|(a, b)| *a += b);
    one
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
    fn expressed_cells_and_genes_are_counted() {
        let matrix = Csc::new(4, &OFFSETS, &ROWS, &VALUES).unwrap();
        assert_eq!(count_expressed(&matrix), (vec![2, 0, 1, 2], vec![2, 1, 2]));
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
        assert_eq!(check(1e300), [true, true, true]);
        assert_eq!(check(0.5), [false, true, true]);
        assert_eq!(check(-1.0), [false, false, true]);
        assert_eq!(check(f64::NAN), [false, false, false]);
        assert_eq!(check(f64::INFINITY), [false, false, false]);
    }
}
