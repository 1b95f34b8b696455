//! Residuals in a few bins that keep their moments.
//!
//! Cells are first put on a fine grid of relative width 1/256, at a cost per
//! cell of a few instructions; neighbours on the grid are then merged where
//! that adds least to the sum of squares within bins (Ward 1963).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Residuals that are this far below their standard deviation are told apart no
/// more.
const FLOOR: f64 = 1.0 / 4096.0;
/// Mantissa bits that the grid tells apart.
const MANTISSA: u32 = 8;
/// From the floor to 2^27 times it.
const SIDE: usize = 27 << MANTISSA;

/// Where a residual falls on a grid that is symmetric about zero and
/// logarithmic from a floor on.
pub(super) struct Grid {
    floor: f64,
}

impl Grid {
    pub fn new(sd: f64) -> Self {
        Self { floor: (sd * FLOOR).max(f64::MIN_POSITIVE) }
    }

    pub fn len() -> usize {
        2 * SIDE + 1
    }

    /// Increases with the residual.
    #[inline]
    pub fn place(&self, residual: f64) -> usize {
        let size = residual.abs();
        if size < self.floor {
            return SIDE;
        }
        let shift = 52 - MANTISSA;
        let steps = ((size.to_bits() >> shift) - (self.floor.to_bits() >> shift)) as usize;
        let steps = (steps + 1).min(SIDE);
        if residual < 0.0 { SIDE - steps } else { SIDE + steps }
    }
}

/// Some cells' number, mean, sum of squares about the mean, and range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bin {
    pub cells: f64,
    pub mean: f64,
    pub squares: f64,
    pub least: f64,
    pub most: f64,
}

impl Default for Bin {
    fn default() -> Self {
        let (least, most) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { cells: 0.0, mean: 0.0, squares: 0.0, least, most }
    }
}

impl Bin {
    pub fn of(residuals: &[f64]) -> Self {
        let one = |&mean: &f64| Self { cells: 1.0, mean, squares: 0.0, least: mean, most: mean };
        residuals.iter().map(one).fold(Self::default(), |all, cell| all.with(&cell))
    }

    /// Both bins' cells.
    pub fn with(&self, other: &Self) -> Self {
        let cells = self.cells + other.cells;
        let gap = other.mean - self.mean;
        let share = other.cells / cells;
        Self {
            cells,
            mean: self.mean + gap * share,
            squares: self.squares + other.squares + gap * gap * self.cells * share,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// Zero where it is rounding.
    pub fn variance(&self) -> f64 {
        let variance = self.squares / self.cells;
        if variance > (1e-9 * self.mean).powi(2) { variance } else { 0.0 }
    }
}

/// Neighbours that may be merged: the bin on the left, and how often each has
/// changed since.
struct Merger {
    cost: f64,
    left: usize,
    versions: (u32, u32),
}

impl PartialEq for Merger {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Merger {}

impl PartialOrd for Merger {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Merger {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cost.total_cmp(&other.cost).then(self.left.cmp(&other.left))
    }
}

/// Merges neighbours until `wanted` bins are left. `lists` are lists of bins in
/// increasing order, one after the other, the first of each flagged: across
/// lists nothing is merged. Returns for each bin which one it has become part
/// of, and the bins that are left.
///
/// Cells far from the mean count for more: tails are made of them.
pub(super) fn merge(bins: &[Bin], first: &[bool], wanted: usize) -> (Vec<usize>, Vec<Bin>) {
    let all = bins.iter().fold(Bin::default(), |all, bin| all.with(bin));
    let sd = (all.squares / all.cells).sqrt();
    let weight = |bin: &Bin| bin.cells * (1.0 + (bin.mean - all.mean).abs() / sd);
    let cost = |a: &Bin, b: &Bin| {
        let (a_weight, b_weight) = (weight(a), weight(b));
        a_weight * b_weight / (a_weight + b_weight) * (a.mean - b.mean).powi(2)
    };
    let n = bins.len();
    let mut merged = bins.to_vec();
    let mut into: Vec<usize> = (0..n).collect();
    let mut versions = vec![0u32; n];
    let mut next: Vec<usize> = (1..=n).collect();
    let mut previous: Vec<usize> = (0..n).map(|i| i.wrapping_sub(1)).collect();
    let may = |right: usize| right < n && !first[right];
    let mut heap: BinaryHeap<Reverse<Merger>> = (0..n)
        .filter(|&left| may(left + 1))
        .map(|left| Merger { cost: cost(&bins[left], &bins[left + 1]), left, versions: (0, 0) })
        .map(Reverse)
        .collect();
    let mut left_over = n;
    while left_over > wanted {
        let Some(Reverse(merger)) = heap.pop() else { break };
        let left = merger.left;
        let right = next[left];
        if into[left] != left || right >= n || merger.versions != (versions[left], versions[right])
        {
            continue;
        }
        merged[left] = merged[left].with(&merged[right]);
        versions[left] += 1;
        into[right] = left;
        next[left] = next[right];
        if next[left] < n {
            previous[next[left]] = left;
        }
        left_over -= 1;
        let before = if first[left] { None } else { Some(previous[left]) };
        let pairs = [before.map(|p| (p, left)), may(next[left]).then_some((left, next[left]))];
        for (a, b) in pairs.into_iter().flatten() {
            let versions = (versions[a], versions[b]);
            heap.push(Reverse(Merger { cost: cost(&merged[a], &merged[b]), left: a, versions }));
        }
    }
    let mut kept = vec![];
    let mut place = vec![0; n];
    for i in 0..n {
        // Merged bins follow the one that they have become part of.
        place[i] = if into[i] == i {
            kept.push(merged[i]);
            kept.len() - 1
        } else {
            kept.len() - 1
        };
    }
    (place, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skewed(n: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919 % n) as f64 / n as f64 * 6.0).exp() - 3.0).collect()
    }

    #[test]
    fn the_grid_is_monotone_and_fine() {
        let grid = Grid::new(0.1);
        let mut values = skewed(3000);
        values.extend([0.0, -0.0, 1e-9, -1e-9, 1e300, -1e300]);
        values.sort_by(f64::total_cmp);
        for pair in values.windows(2) {
            let places = (grid.place(pair[0]), grid.place(pair[1]));
            assert!(places.0 <= places.1 && places.1 < Grid::len());
            let near = pair[1] - pair[0] < 0.004 * pair[0].abs().min(pair[1].abs());
            assert!(places.0 != places.1 || near || pair[0].abs() < 1e-4 || pair[1] >= 1e300);
        }
    }

    fn moment(bin: &Bin, power: i32) -> f64 {
        let within = if power == 2 { bin.squares } else { 0.0 };
        bin.cells * bin.mean.powi(power) + within
    }

    #[test]
    fn merging_keeps_two_moments() {
        let mut values = skewed(399);
        values.push(1e3);
        values.sort_by(f64::total_cmp);
        let bins: Vec<Bin> = values.iter().map(|v| Bin::of(&[*v])).collect();
        let mut first = vec![false; 400];
        (first[0], first[150]) = (true, true);
        let (place, merged) = merge(&bins, &first, 30);
        assert_eq!(merged.len(), 30);
        assert_ne!(place[149], place[150]);
        assert!(place.windows(2).all(|p| p[1] - p[0] <= 1));
        for power in 0..=2 {
            let exact: f64 = values.iter().map(|v| v.powi(power)).sum();
            let kept: f64 = merged.iter().map(|bin| moment(bin, power)).sum();
            assert!((kept - exact).abs() < 1e-10 * exact.abs(), "{power}: {kept} {exact}");
        }
        // What is far from all others stays alone.
        assert_eq!(merged[29].cells, 1.0);
    }
}
