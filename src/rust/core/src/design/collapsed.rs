//! Cells of a discrete design, collapsed: a few nodes stand for all of them.
//!
//! Cells with the same covariates differ in their offsets alone. A sum over them of a
//! smooth function of the offset is a sum over nodes: their offsets are cut into pieces,
//! and in each the function is replaced by the polynomial through its values at eight
//! Chebyshev nodes. That is linear in these values, so that a node has a weight (the sum
//! over the cells of its Lagrange polynomial) and, for sums over counts y, a mass (the sum
//! of y times that). It holds to rounding for functions of alpha e^(eta + offset) whose
//! singularities are pi from the real line, as those of log(1 + e^x) and its derivatives
//! are: the error is below rho^-8 of the function, rho = r + sqrt(r² + 1), r = pi / (half
//! the width of a piece) (Trefethen 2013, Approximation Theory and Approximation Practice,
//! theorem 8.2), which is 2e-15.

use super::masses::{Masses, Slots};
use super::{BLOCK, Blocks};
use crate::simd::LANES;
use crate::source::GeneCounts;
use crate::special::tally::{Tally, tally_by_pairs};
use std::collections::HashMap;

/// The widest piece of the offsets.
const WIDTH: f64 = 0.18;
/// Fewer cells than this for a node are not worth it.
const CELLS_FOR_A_NODE: usize = 8;
/// Fewer cells than this are not collapsed.
const FEWEST: usize = 1024;
/// Where one cell in so many has a count, sorting those of all cells takes less time than
/// adding up each by itself.
const DENSE: usize = 3;

/// A design whose rows are few.
pub struct Collapsed {
    /// Covariates and offsets of the nodes, eight a slot.
    blocks: Blocks,
    weights: Vec<f64>,
    /// Cells of the same covariates, and of the same piece of the offsets.
    slots: Slots,
    /// Whether no cell differs from another.
    alike: bool,
}

impl Collapsed {
    /// `columns` are a model matrix, column after column, `q` those of its basis. None
    /// where the nodes would not be far fewer than the cells.
    pub fn of(columns: &[f64], q: &[Vec<f64>], offset: &[f64]) -> Option<Self> {
        let cells = offset.len();
        if cells < FEWEST {
            return None;
        }
        let most = cells / (CELLS_FOR_A_NODE * LANES);
        let (groups, count) = distinct_rows(columns, cells, most)?;
        let low = offset.iter().fold(f64::INFINITY, |m, o| m.min(*o));
        let high = offset.iter().fold(f64::NEG_INFINITY, |m, o| m.max(*o));
        let pieces = ((high - low) / WIDTH).ceil().max(1.0);
        if pieces > most as f64 {
            return None;
        }
        let (pieces, half) = (pieces as usize, 0.5 * ((high - low) / pieces).max(1e-300));
        let piece = |o: f64| (((o - low) / (2.0 * half)) as usize).min(pieces - 1);
        let middle = |piece: usize| low + half * (2 * piece + 1) as f64;
        // Slots are numbered as their first cells come.
        let mut numbers = vec![u32::MAX; count * pieces];
        let mut first = vec![];
        let (mut slots, mut places) = (Vec::with_capacity(cells), Vec::with_capacity(cells));
        for (cell, &o) in offset.iter().enumerate() {
            let piece = piece(o);
            let number = &mut numbers[groups[cell] as usize * pieces + piece];
            if *number == u32::MAX {
                *number = first.len() as u32;
                first.push((cell, piece));
            }
            slots.push(*number);
            places.push((o - middle(piece)) / half);
        }
        if first.len() > most {
            return None;
        }
        let slots = Slots::new(slots, places, first.len());
        let rows = |value: &dyn Fn(usize, usize, f64) -> f64| -> Vec<f64> {
            let nodes = |&(cell, piece): &(usize, usize)| {
                slots.nodes().map(|x| value(cell, piece, x)).into_iter()
            };
            first.iter().flat_map(nodes).collect()
        };
        let columns: Vec<Vec<f64>> =
            q.iter().map(|column| rows(&|cell, _, _| column[cell])).collect();
        let offset = rows(&|_, piece, x| middle(piece) + half * x);
        let mut collapsed = Self {
            weights: vec![],
            blocks: Blocks::new(&columns, &offset),
            slots,
            alike: first.len() == 1 && low == high,
        };
        let every: Vec<u32> = (0..cells as u32).collect();
        let once = vec![1.0; cells];
        collapsed.weights =
            collapsed.condense(GeneCounts { cells: &every, counts: &once }, false).masses;
        Some(collapsed)
    }

    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Cells that each node stands for; zero where blocks are filled up.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    pub fn bytes(&self) -> usize {
        self.blocks.bytes() + self.slots.bytes() + 8 * self.weights.len()
    }

    /// A gene's counts at the nodes, and their squares if asked for.
    pub fn condense(&self, counts: GeneCounts<'_>, squares: bool) -> Condensed {
        let many = !self.alike && counts.cells.len() >= self.slots.cells().div_ceil(DENSE);
        let sorted = if many { self.slots.sort(counts) } else { None };
        let Masses { counts: masses, squares } = match &sorted {
            Some(sorted) => self.slots.of_sorted(sorted, squares),
            None if self.alike => self.of_alike(counts, squares),
            None => self.slots.of_stored(counts, squares),
        };
        Condensed {
            tally: sorted.as_deref().map(tally_by_pairs),
            masses: self.filled(masses),
            squares: squares.map(|squares| self.filled(squares)),
        }
    }

    /// By slot, the slot of a design of the same cells whose rows are fewer; none where it
    /// is not that.
    pub fn within(&self, coarser: &Self) -> Option<Vec<u32>> {
        self.slots.within(&coarser.slots)
    }

    /// The counts of a design whose slots are `within` those of this one.
    pub fn merge(&self, condensed: &Condensed, within: &[u32]) -> Condensed {
        let mut masses = vec![0.0; self.weights.len()];
        for (part, &slot) in condensed.masses.chunks_exact(LANES).zip(within) {
            let merged = &mut masses[slot as usize * LANES..][..LANES];
            merged.iter_mut().zip(part).for_each(|(sum, mass)| *sum += mass);
        }
        Condensed { tally: None, masses, squares: None }
    }

    /// All where the first cell is.
    fn of_alike(&self, counts: GeneCounts<'_>, squares: bool) -> Masses {
        let of = |total: f64| {
            self.slots.of_stored(GeneCounts { cells: &[0], counts: &[total] }, false).counts
        };
        let of_squares = || of(counts.counts.iter().map(|y| y * y).sum());
        Masses { counts: of(counts.total()), squares: squares.then(of_squares) }
    }

    /// With nothing at the nodes that fill the last block.
    fn filled(&self, mut masses: Vec<f64>) -> Vec<f64> {
        masses.resize(self.blocks.count() * BLOCK, 0.0);
        masses
    }
}

/// A gene's counts, at the nodes of a collapsed design.
pub struct Condensed {
    /// How often each count occurs, where that is known.
    pub tally: Option<Tally>,
    /// A count's share in each node.
    pub masses: Vec<f64>,
    /// That of its square, where asked for.
    pub squares: Option<Vec<f64>>,
}

/// The number of each cell's row among the distinct rows of a matrix, and how many there
/// are; none where there are more than `most`.
fn distinct_rows(columns: &[f64], cells: usize, most: usize) -> Option<(Vec<u32>, usize)> {
    let mut groups = vec![0u32; cells];
    let mut count = 1;
    for column in columns.chunks_exact(cells) {
        let mut numbers: HashMap<(u32, u64), u32> = HashMap::new();
        let mut last = ((u32::MAX, 0), 0);
        for (group, value) in groups.iter_mut().zip(column) {
            // Zero has two signs.
            let key = (*group, (value + 0.0).to_bits());
            if key != last.0 {
                let next = numbers.len() as u32;
                last = (key, *numbers.entry(key).or_insert(next));
                if numbers.len() > most {
                    return None;
                }
            }
            *group = last.1;
        }
        count = numbers.len();
    }
    Some((groups, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells with two covariates of few values, and any offset.
    fn design(cells: usize) -> (Vec<f64>, Vec<f64>) {
        let random = |i: usize| ((i * 7_919 + 13) % 10_007) as f64 / 10_007.0;
        let columns = [
            vec![1.0; cells],
            (0..cells).map(|i| f64::from(random(i) < 0.1)).collect(),
            (0..cells).map(|i| (3.0 * random(i + 5)).floor()).collect(),
        ];
        (columns.concat(), (0..cells).map(|i| 4.0 * random(i + 9) - 2.5).collect())
    }

    /// One cell in so many has a count: some to be sorted, some to be added up as they are.
    const EVERY: [usize; 2] = [DENSE - 1, DENSE + 2];
    const FUNCTIONS: [fn(f64) -> f64; 4] = [
        |x| x.exp().ln_1p(),
        |x| 1.0 / (1.0 + (-x).exp()),
        |x| 1.0 / ((1.0 + (-x).exp()) * (1.0 + x.exp())),
        |x| x,
    ];

    fn collapse(columns: &[f64], offset: &[f64]) -> Collapsed {
        let q: Vec<Vec<f64>> = columns.chunks_exact(offset.len()).map(<[f64]>::to_vec).collect();
        Collapsed::of(columns, &q, offset).unwrap()
    }

    fn counts(cells: &[u32], unit: f64) -> Vec<f64> {
        cells.iter().map(|i| unit * f64::from(1 + i % 7)).collect()
    }

    fn predictor(value: &dyn Fn(usize) -> f64, offset: f64, level: f64) -> f64 {
        level + offset + 0.7 * value(1) - 0.2 * value(2)
    }

    /// The sum over nodes of a function, and that of its size.
    fn over_nodes(of: &Collapsed, masses: &[f64], level: f64, f: fn(f64) -> f64) -> (f64, f64) {
        let (mut sum, mut size) = (0.0, 0.0);
        for ((offset, columns), masses) in of.blocks().iter().zip(masses.chunks(BLOCK)) {
            for (i, mass) in masses.iter().enumerate().filter(|(_, mass)| **mass != 0.0) {
                let term = mass * f(predictor(&|k| columns[k * BLOCK + i], offset[i], level));
                sum += term;
                size += term.abs();
            }
        }
        (sum, size)
    }

    #[test]
    fn sums_over_nodes_are_sums_over_cells() {
        let n = 20_000;
        let (columns, offset) = design(n);
        let collapsed = collapse(&columns, &offset);
        let check = |masses: &[f64], cells: &[u32], counts: &[f64]| {
            for level in [-30.0, -6.0, -1.0, 0.5, 8.0] {
                for f in FUNCTIONS {
                    let direct =
                        |cell: usize| f(predictor(&|k| columns[k * n + cell], offset[cell], level));
                    let (sum, size) = over_nodes(&collapsed, masses, level, f);
                    let want: f64 =
                        cells.iter().zip(counts).map(|(c, y)| y * direct(*c as usize)).sum();
                    assert!((sum - want).abs() < 3e-14 * size, "{sum} {want} at {level}");
                }
            }
        };
        let all: Vec<u32> = (0..n as u32).collect();
        check(collapsed.weights(), &all, &vec![1.0; n]);
        // Counts that are not whole are not sorted.
        for (every, unit) in [(EVERY[0], 1.0), (EVERY[1], 1.0), (EVERY[0], 0.1)] {
            let cells: Vec<u32> = all.iter().copied().step_by(every).collect();
            let counts = counts(&cells, unit);
            let gene = GeneCounts { cells: &cells, counts: &counts };
            let condensed = collapsed.condense(gene, true);
            assert_eq!(condensed.tally.is_some(), every < DENSE && unit == 1.0);
            check(&condensed.masses, &cells, &counts);
            let squares: Vec<f64> = counts.iter().map(|y| y * y).collect();
            check(&condensed.squares.unwrap(), &cells, &squares);
            let without = collapsed.condense(gene, false);
            assert!(without.squares.is_none() && without.masses == condensed.masses);
        }
    }

    #[test]
    fn nodes_of_fewer_rows_have_what_those_of_more_have() {
        let n = 20_000;
        let (columns, offset) = design(n);
        let (full, null) = (collapse(&columns, &offset), collapse(&vec![1.0; n], &offset));
        let within = full.within(&null).unwrap();
        for every in EVERY {
            let cells: Vec<u32> = (0..n as u32).step_by(every).collect();
            let counts = counts(&cells, 1.0);
            let gene = GeneCounts { cells: &cells, counts: &counts };
            let (merged, own) =
                (null.merge(&full.condense(gene, false), &within), null.condense(gene, false));
            let size: f64 = own.masses.iter().map(|mass| mass.abs()).sum();
            assert_eq!(merged.masses.len(), own.masses.len());
            for (merged, own) in merged.masses.iter().zip(&own.masses) {
                assert!((merged - own).abs() < 1e-15 * size, "{merged} {own}");
            }
        }
        // Rows that are not fewer, and other offsets.
        assert!(null.within(&full).is_none());
        let further: Vec<f64> = offset.iter().map(|o| 1.5 * o).collect();
        assert!(full.within(&collapse(&vec![1.0; n], &further)).is_none());
        let mut nudged = offset.clone();
        nudged[7] += 1e-9;
        assert!(full.within(&collapse(&vec![1.0; n], &nudged)).is_none());
    }

    #[test]
    fn designs_with_many_rows_are_left_alone() {
        let n = 20_000;
        let (mut columns, offset) = design(n);
        let q = |columns: &[f64]| columns.chunks_exact(n).map(<[f64]>::to_vec).collect::<Vec<_>>();
        assert!(Collapsed::of(&columns, &q(&columns), &offset).is_some());
        columns.extend((0..n).map(|i| (i as f64).sqrt()));
        assert!(Collapsed::of(&columns, &q(&columns), &offset).is_none());
        let (columns, offset) = design(1000);
        let q: Vec<Vec<f64>> = columns.chunks_exact(1000).map(<[f64]>::to_vec).collect();
        assert!(Collapsed::of(&columns, &q, &offset).is_none());
    }

    #[test]
    fn one_offset_and_wide_ones_are_no_trouble() {
        let n = 8192;
        let ones = vec![1.0; n];
        let q = vec![ones.clone()];
        let same = Collapsed::of(&ones, &q, &vec![0.3; n]).unwrap();
        assert!((same.weights().iter().sum::<f64>() - n as f64).abs() < 1e-9);
        let mut wide = vec![0.0; n];
        wide[17] = 1e6;
        assert!(Collapsed::of(&ones, &q, &wide).is_none());
    }
}
