//! Likelihoods without an optimum.
//!
//! Where no cell with a count stands in the way, a likelihood keeps growing as
//! the means of some cells go to zero (or, of a binomial model, to one): the
//! coefficients go to infinity along a direction of recession. In the limit
//! these cells say nothing more, and what the others can tell is an ordinary
//! fit of fewer coefficients to fewer cells: the limiting conditional model
//! (Geyer 2009, Electronic Journal of Statistics 3:259; for counts, Correia,
//! Guimarães and Zylkin 2019, arXiv:1903.01633).
//!
//! A direction d is one of recession if x'd = 0 in every cell that stays, and
//! x'd < 0 in every cell without a count that leaves. Both are checked: an
//! ascent only suggests it.

use super::solve::{eigen, inner, solve};
use crate::Result;
use crate::design::Design;
use crate::source::GeneCounts;

/// Information below this share, in the orthonormal basis, is rounding.
const NONE: f64 = 1e-12;
/// Linear predictors below this share of their terms are rounding.
const ROUNDING: f64 = 1e-7;

/// What stays of a design in the limit.
pub struct Limit {
    /// Cells that keep a mean of their own.
    pub cells: Vec<u32>,
    /// Orthonormal directions that these cells tell apart, in the design's basis.
    pub estimable: Vec<Vec<f64>>,
    /// The direction of recession, in the design's basis.
    pub direction: Vec<f64>,
}

/// The limit that a gene's counts show without any fit: a column of one sign
/// that is zero in every cell with a count.
pub fn of_unsupported_columns(design: &Design, counts: GeneCounts<'_>) -> Option<Limit> {
    let mut direction = vec![0.0; design.rank()];
    let mut leaves = vec![];
    for (kept, share) in direction.iter_mut().enumerate() {
        let (low, high) = design.extremes(kept);
        let rounding = 1e-9 * low.abs().max(high.abs());
        let zero = |cell: usize| design.value(cell, kept).abs() <= rounding;
        let one_sided = low >= 0.0 || high <= 0.0;
        if one_sided && counts.cells.iter().all(|&cell| zero(cell as usize)) {
            *share = if low >= 0.0 { -1.0 / high } else { -1.0 / low };
            leaves.resize(design.cells(), false);
            leaves.iter_mut().enumerate().for_each(|(cell, l)| *l |= !zero(cell));
        }
    }
    if direction.iter().all(|share| *share == 0.0) {
        return None;
    }
    let direction = design.basis().coordinates(&direction);
    CellView::new(design, counts).limit(&leaves, &[direction])
}

/// The limit that an ascent points to: `at` are the coefficients it came to,
/// `moves` directions in which it went. In a binomial model cells with a count
/// can leave as well.
pub fn suggested(
    design: &Design,
    counts: GeneCounts<'_>,
    at: &[f64],
    moves: &[Vec<f64>],
    binomial: bool,
) -> Option<Limit> {
    /// How far below the others, in logarithms, a mean that goes to zero may be
    /// by now. The first guess that the check allows is taken.
    const DEPTHS: [f64; 6] = [0.5, 2.0, 4.0, 8.0, 14.0, 22.0];
    let view = CellView::new(design, counts);
    let level = if binomial { 0.0 } else { (counts.total() / design.cells() as f64).ln() };
    let height = |cell: usize| {
        let eta = view.predictor(cell, at);
        match (view.side[cell] > 0.0, binomial) {
            (false, _) => eta - level,
            (true, true) => -eta,
            (true, false) => f64::INFINITY,
        }
    };
    view.first_limit(&DEPTHS, height, moves)
}

/// The limit that an ascent points to, of a model in which any cell can leave
/// downwards, and those that may rise upwards as well: each to the side on which its
/// predictor is. What leaves is far out, for this is no proof that the likelihood
/// keeps growing.
pub fn two_sided(
    design: &Design,
    at: &[f64],
    may_rise: impl Fn(usize) -> bool,
    moves: &[Vec<f64>],
) -> Option<Limit> {
    const DEPTHS: [f64; 7] = [8.0, 12.0, 18.0, 27.0, 40.0, 80.0, 200.0];
    let mut view = CellView::towards(design, vec![-1.0; design.cells()]);
    let predictors: Vec<f64> = (0..design.cells()).map(|cell| view.predictor(cell, at)).collect();
    for (side, &predictor) in view.side.iter_mut().zip(&predictors) {
        *side = if predictor > 0.0 { 1.0 } else { -1.0 };
    }
    let height = |cell: usize| match predictors[cell] {
        up if up > 0.0 && !may_rise(cell) => f64::INFINITY,
        predictor => -predictor.abs(),
    };
    view.first_limit(&DEPTHS, height, moves)
}

/// The limit in which the predictors of all cells go to minus infinity.
pub fn all_down(design: &Design) -> Option<Limit> {
    let down: Vec<f64> = design.constant().iter().map(|c| -c).collect();
    CellView::towards(design, vec![-1.0; design.cells()])
        .limit(&vec![true; design.cells()], &[down])
}

/// What the means of all cells, in the limit, say of the coefficients of the
/// kept columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimate {
    Finite,
    /// It goes to minus (-1) or plus (1) infinity.
    Infinite(i8),
    /// The limit does not depend on it.
    None,
}

/// Which coefficients of the kept columns the cells that stay determine, and
/// where the others go as the predictors of the leaving cells go to infinity.
pub fn estimates(design: &Design, counts: GeneCounts<'_>, stays: &[u32]) -> Option<Vec<Estimate>> {
    let view = CellView::new(design, counts);
    let mut leaves = vec![true; design.cells()];
    stays.iter().for_each(|&cell| leaves[cell as usize] = false);
    view.estimates(&leaves)
}

/// The same where each leaving cell has its own side: -1, 1, or 0 where it is not
/// known.
pub fn estimates_towards(
    design: &Design,
    leaves: &[bool],
    sides: Vec<f64>,
) -> Option<Vec<Estimate>> {
    CellView::towards(design, sides).estimates(leaves)
}

/// Whether leaving cells can all go to their sides together; those of side 0 may go
/// anywhere.
pub fn can_leave(design: &Design, leaves: &[bool], sides: Vec<f64>) -> bool {
    let view = CellView::towards(design, sides);
    let Some(Spaces { null, .. }) = view.spaces(leaves) else { return false };
    let moving = (0..leaves.len()).filter(|&cell| leaves[cell] && view.side[cell] != 0.0);
    let gone: Vec<_> = moving.map(|cell| (view.across(&null, cell), view.side[cell])).collect();
    let small = |across: &Vec<f64>| inner(across, across).sqrt() <= ROUNDING;
    if null.is_empty() || gone.iter().any(|(across, _)| small(across)) {
        return false;
    }
    level_descent(&gone, null.len()).is_some_and(|a| downhill(&gone, &a))
}

/// Orthonormal directions, in the design's basis, that these cells tell apart.
pub fn estimable(design: &Design, stays: &[bool]) -> Option<Vec<Vec<f64>>> {
    let leaves: Vec<bool> = stays.iter().map(|stays| !stays).collect();
    let view = CellView::towards(design, vec![-1.0; design.cells()]);
    view.spaces(&leaves).map(|spaces| spaces.estimable)
}

impl Limit {
    /// The model that is left: its design, and the gene's counts in its cells.
    pub fn design(&self, design: &Design) -> Result<Design> {
        let (blocks, p) = (design.blocks(), design.rank());
        let rows = blocks.rows();
        let row = |cell: u32| &rows[cell as usize * p..(cell as usize + 1) * p];
        let mut columns = Vec::with_capacity(self.cells.len() * self.estimable.len());
        for direction in &self.estimable {
            columns.extend(self.cells.iter().map(|&cell| inner(row(cell), direction)));
        }
        let offset: Vec<f64> =
            self.cells.iter().map(|&cell| blocks.offset(cell as usize)).collect();
        Design::new(&columns, &offset)
    }

    /// The counts of the cells that stay, numbered anew.
    pub fn counts(&self, counts: GeneCounts<'_>) -> (Vec<u32>, Vec<f64>) {
        let place = |cell: &u32| self.cells.binary_search(cell).ok();
        let stays = counts.cells.iter().zip(counts.counts);
        stays.filter_map(|(cell, &y)| Some((place(cell)? as u32, y))).unzip()
    }
}

/// Orthonormal directions, and their complement.
struct Spaces {
    null: Vec<Vec<f64>>,
    estimable: Vec<Vec<f64>>,
}

/// A design's rows one by one, and the side to which each cell goes if it leaves.
struct CellView<'a> {
    design: &'a Design,
    rows: Vec<f64>,
    side: Vec<f64>,
}

impl<'a> CellView<'a> {
    /// Cells without a count go down, those with one up.
    fn new(design: &'a Design, counts: GeneCounts<'_>) -> Self {
        let mut side = vec![-1.0; design.cells()];
        counts.cells.iter().for_each(|&cell| side[cell as usize] = 1.0);
        Self::towards(design, side)
    }

    fn towards(design: &'a Design, side: Vec<f64>) -> Self {
        Self { design, rows: design.blocks().rows(), side }
    }

    fn predictor(&self, cell: usize, at: &[f64]) -> f64 {
        self.design.blocks().offset(cell) + inner(self.row(cell), at)
    }

    fn row(&self, cell: usize) -> &[f64] {
        let p = self.design.rank();
        &self.rows[cell * p..(cell + 1) * p]
    }

    /// A cell's row in the directions that are null.
    fn across(&self, null: &[Vec<f64>], cell: usize) -> Vec<f64> {
        null.iter().map(|direction| inner(direction, self.row(cell))).collect()
    }

    /// Directions that the cells that stay do not tell apart, and those that
    /// they do.
    fn spaces(&self, leaves: &[bool]) -> Option<Spaces> {
        let (p, n) = (self.design.rank(), self.design.cells() as f64);
        let leaving = leaves.iter().filter(|leaves| **leaves).count();
        // All cells together have the identity: the fewer are added up.
        let fewer_leave = 2 * leaving < leaves.len();
        let mut gram = vec![0.0; p * (p + 1) / 2];
        for cell in (0..leaves.len()).filter(|&cell| leaves[cell] == fewer_leave) {
            add_square(&mut gram, self.row(cell));
        }
        gram.iter_mut().for_each(|g| *g /= n);
        if fewer_leave {
            gram.iter_mut().for_each(|g| *g = -*g);
            (0..p).for_each(|j| gram[j * (j + 3) / 2] += 1.0);
        }
        let (values, vectors) = eigen(&gram, p)?;
        let mut spaces = Spaces { null: vec![], estimable: vec![] };
        for (value, vector) in values.into_iter().zip(vectors) {
            if value <= NONE { spaces.null.push(vector) } else { spaces.estimable.push(vector) }
        }
        Some(spaces)
    }

    /// The limit in which cells that leave have left, if one of the candidates
    /// (or what least squares makes of them all) is a direction of recession.
    fn limit(&self, leaves: &[bool], candidates: &[Vec<f64>]) -> Option<Limit> {
        let Spaces { null, estimable } = self.spaces(leaves)?;
        if null.is_empty() {
            return None;
        }
        // Cells whose predictor the others determine stay after all.
        let mut cells = vec![];
        let mut gone = vec![];
        for (cell, &leaves) in leaves.iter().enumerate() {
            let across = if leaves { self.across(&null, cell) } else { vec![] };
            if inner(&across, &across).sqrt() > ROUNDING {
                gone.push((across, self.side[cell]));
            } else {
                cells.push(cell as u32);
            }
        }
        let within = |a: &Vec<f64>| null.iter().map(|d| inner(d, a)).collect::<Vec<f64>>();
        let guesses = candidates.iter().map(within).chain(level_descent(&gone, null.len()));
        let found = guesses.into_iter().find(|a| downhill(&gone, a))?;
        let mut direction = vec![0.0; self.design.rank()];
        for (a, d) in found.iter().zip(&null) {
            direction.iter_mut().zip(d).for_each(|(sum, d)| *sum += a * d);
        }
        Some(Limit { cells, estimable, direction })
    }

    /// The limit of the cells lower than one of these depths: the first that there is.
    fn first_limit(
        &self,
        depths: &[f64],
        height: impl Fn(usize) -> f64,
        moves: &[Vec<f64>],
    ) -> Option<Limit> {
        let heights: Vec<f64> = (0..self.design.cells()).map(height).collect();
        depths.iter().find_map(|depth| {
            let leaves: Vec<bool> = heights.iter().map(|h| *h < -depth).collect();
            self.limit(&leaves, moves)
        })
    }

    /// What cells that stay, and the sides to which the others go, say of the
    /// coefficients of the kept columns.
    fn estimates(&self, leaves: &[bool]) -> Option<Vec<Estimate>> {
        let design = self.design;
        let null = self.spaces(leaves)?.null;
        // Each null direction as coefficients of the kept columns, scaled to their
        // columns, so that shares can be compared.
        let named: Vec<Vec<f64>> = null.iter().map(|d| design.basis().named(d)).collect();
        let shares = |kept: usize| -> Vec<f64> {
            named.iter().map(|d| d[kept] * design.basis().scale(kept)).collect()
        };
        let parallel = |a: &[f64], b: &[f64]| {
            let product = inner(a, b);
            let close = product * product >= (1.0 - 1e-9) * inner(a, a) * inner(b, b);
            close.then_some(product.signum())
        };
        let sign = |share: &[f64]| {
            (0..design.cells()).filter(|&cell| leaves[cell] && self.side[cell] != 0.0).find_map(
                |cell| {
                    let across = self.across(&null, cell);
                    let gone = inner(&across, &across).sqrt() > ROUNDING;
                    if gone {
                        parallel(share, &across).map(|sign| (self.side[cell] * sign) as i8)
                    } else {
                        None
                    }
                },
            )
        };
        let estimate = |kept: usize| {
            let share = shares(kept);
            if inner(&share, &share).sqrt() <= ROUNDING {
                return Estimate::Finite;
            }
            sign(&share).map_or(Estimate::None, Estimate::Infinite)
        };
        Some((0..design.rank()).map(estimate).collect())
    }
}

/// Whether a direction moves every leaving cell to its side.
fn downhill(gone: &[(Vec<f64>, f64)], a: &[f64]) -> bool {
    let length = inner(a, a).sqrt();
    length > 0.0
        && gone.iter().all(|(across, side)| {
            side * inner(across, a) > ROUNDING * length * inner(across, across).sqrt()
        })
}

/// The direction in which the predictors of leaving cells change alike, as
/// nearly as can be.
fn level_descent(gone: &[(Vec<f64>, f64)], p: usize) -> Option<Vec<f64>> {
    let mut gram = vec![0.0; p * (p + 1) / 2];
    let mut right = vec![0.0; p];
    for (across, side) in gone {
        right.iter_mut().zip(across).for_each(|(r, a)| *r += side * a);
        add_square(&mut gram, across);
    }
    solve(&gram, &right).map(|solution| solution.step)
}

/// Adds xx', lower triangle row after row.
fn add_square(gram: &mut [f64], x: &[f64]) {
    let mut at = 0;
    for j in 0..x.len() {
        for k in 0..=j {
            gram[at] += x[j] * x[k];
            at += 1;
        }
    }
}
