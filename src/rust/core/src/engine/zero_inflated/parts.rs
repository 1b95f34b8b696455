//! What is left of a gene's model in the limit.
//!
//! Where the likelihood keeps growing as coefficients go to infinity, some cells have
//! a share of structural zeros that goes to zero: what they say of the count part is
//! that of a model without a zero part. Others, without a count, have a mean that goes
//! to zero, or a share that goes to one: they are explained, and say no more.

use crate::Result;
use crate::design::{Blocks, Design, Orthogonal};
use crate::engine::glm::{Limit, estimable, inner};
use crate::source::GeneCounts;
use std::rc::Rc;

/// Offset of the zero part in cells that have none: it is below the logarithm of any
/// probability of a zero.
const NO_ZERO_PART: f64 = -1e200;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    Count,
    Zero,
}

/// A direction in which the likelihood grows without end.
#[derive(Clone)]
pub struct Recession {
    pub part: Side,
    /// In the basis of the part's whole design.
    pub direction: Vec<f64>,
    /// Cells whose predictors go with it to minus (-1) or plus (1) infinity.
    pub gone: Vec<(u32, f64)>,
}

/// A gene, and what is left of its two designs.
pub struct Parts<'a> {
    pub whole: Model<'a>,
    /// Cells of the whole that stay.
    pub cells: Vec<u32>,
    /// Whether these still have a zero part.
    pub mixed: Vec<bool>,
    /// The gene's counts, by position among the cells that stay.
    counts: (Vec<u32>, Vec<f64>),
    pub count: Rc<Part<'a>>,
    pub zero: Rc<Part<'a>>,
    pub recessions: Vec<Recession>,
}

/// The designs of both parts.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    pub count: &'a Design,
    pub zero: &'a Design,
    /// Whether each kind of cells has a coefficient of its own in the zero part.
    pub(super) saturated: bool,
}

impl<'a> Model<'a> {
    /// Of the same cells.
    pub fn new(count: &'a Design, zero: &'a Design) -> Self {
        Self { count, zero, saturated: is_saturated(zero) }
    }
}

/// Whether a design has no more kinds of cells than coefficients.
fn is_saturated(design: &Design) -> bool {
    let mut kinds: Vec<Vec<f64>> = vec![];
    for row in design.blocks().rows().chunks_exact(design.rank()) {
        let same = |kind: &Vec<f64>| kind.iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-9);
        if !kinds.iter().any(same) {
            if kinds.len() == design.rank() {
                return false;
            }
            kinds.push(row.to_vec());
        }
    }
    true
}

/// What is left of a design.
pub struct Part<'a> {
    held: Held<'a>,
    /// Its basis's columns in the whole design's basis.
    pub directions: Vec<Vec<f64>>,
}

enum Held<'a> {
    Whole(&'a Design),
    Rest(Box<Design>),
    Nothing(Blocks),
}

impl<'a> Part<'a> {
    fn whole(design: &'a Design) -> Self {
        let rank = design.rank();
        let unit = |k: usize| (0..rank).map(|j| f64::from(j == k)).collect();
        Self { held: Held::Whole(design), directions: (0..rank).map(unit).collect() }
    }

    /// None where no coefficient is left.
    pub fn design(&self) -> Option<&Design> {
        match &self.held {
            Held::Whole(design) => Some(design),
            Held::Rest(design) => Some(design),
            Held::Nothing(_) => None,
        }
    }

    pub fn blocks(&self) -> &Blocks {
        match &self.held {
            Held::Whole(design) => design.blocks(),
            Held::Rest(design) => design.blocks(),
            Held::Nothing(blocks) => blocks,
        }
    }

    pub fn rank(&self) -> usize {
        self.directions.len()
    }

    /// Coefficients of this basis, in the whole design's.
    pub fn in_whole(&self, coefficients: &[f64], rank: usize) -> Vec<f64> {
        let mut sum = vec![0.0; rank];
        for (c, direction) in coefficients.iter().zip(&self.directions) {
            sum.iter_mut().zip(direction).for_each(|(s, d)| *s += c * d);
        }
        sum
    }

    /// A cell's predictor less its offset.
    pub(super) fn predictor(&self, cell: usize, coefficients: &[f64]) -> f64 {
        let blocks = self.blocks();
        coefficients.iter().enumerate().map(|(k, c)| blocks.value(cell, k) * c).sum()
    }

    /// The coefficients whose predictors are nearest to these, by position.
    pub fn nearest(&self, predictor: impl Fn(usize) -> f64, cells: usize) -> Vec<f64> {
        let blocks = self.blocks();
        let targets: Vec<f64> = (0..cells).map(predictor).collect();
        let product = |k| (0..cells).map(|cell| blocks.value(cell, k) * targets[cell]).sum::<f64>();
        (0..self.rank()).map(|k| product(k) / cells as f64).collect()
    }

    /// The same part in some of its cells; those not informative have a row of zeros
    /// and this offset.
    fn restricted(&self, stays: &[u32], informative: &[bool], hidden: f64) -> Result<Self> {
        let old = self.blocks();
        let offset: Vec<f64> = stays
            .iter()
            .map(
                |&cell| if informative[cell as usize] { old.offset(cell as usize) } else { hidden },
            )
            .collect();
        let estimable = self.design().and_then(|design| estimable(design, informative));
        let estimable = estimable.unwrap_or_default();
        let nothing = |offset: &[f64]| Self {
            held: Held::Nothing(Blocks::new(&[], offset)),
            directions: vec![],
        };
        if estimable.is_empty() {
            return Ok(nothing(&offset));
        }
        let mut columns = Vec::with_capacity(stays.len() * estimable.len());
        for direction in &estimable {
            columns.extend(stays.iter().map(|&cell| match informative[cell as usize] {
                true => self.predictor(cell as usize, direction),
                false => 0.0,
            }));
        }
        let design = Design::new(&columns, &offset)?;
        let directions = basis_columns(design.basis(), &estimable)
            .iter()
            .map(|column| self.in_whole(column, self.directions[0].len()))
            .collect();
        Ok(Self { held: Held::Rest(Box::new(design)), directions })
    }
}

/// Columns of an orthogonal basis, as combinations of the directions it was made from.
fn basis_columns(basis: &Orthogonal, directions: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let rank = basis.kept.len();
    let column = |k: usize| {
        let unit: Vec<f64> = (0..rank).map(|j| f64::from(j == k)).collect();
        let mut sum = vec![0.0; directions[0].len()];
        for (share, &from) in basis.named(&unit).iter().zip(&basis.kept) {
            sum.iter_mut().zip(&directions[from]).for_each(|(s, d)| *s += share * d);
        }
        sum
    };
    (0..rank).map(column).collect()
}

impl<'a> Parts<'a> {
    pub fn whole(whole: Model<'a>, counts: GeneCounts<'_>) -> Self {
        let cells = whole.count.cells();
        Self {
            whole,
            cells: (0..cells as u32).collect(),
            mixed: vec![true; cells],
            counts: (counts.cells.to_vec(), counts.counts.to_vec()),
            count: Rc::new(Part::whole(whole.count)),
            zero: Rc::new(Part::whole(whole.zero)),
            recessions: vec![],
        }
    }

    pub fn counts(&self) -> GeneCounts<'_> {
        GeneCounts { cells: &self.counts.0, counts: &self.counts.1 }
    }

    /// Positions without a count that still have a zero part.
    pub fn doubtful_zeros(&self) -> Vec<u32> {
        let mut doubtful = self.mixed.clone();
        self.counts.0.iter().for_each(|&cell| doubtful[cell as usize] = false);
        (0..self.cells.len() as u32).filter(|&cell| doubtful[cell as usize]).collect()
    }

    /// What is left when the means of some cells have gone to zero.
    pub fn without_means(&self, limit: &Limit) -> Result<Self> {
        let gone = self.leaving(limit).into_iter().map(|cell| (cell, -1.0)).collect();
        self.after(Side::Count, limit, gone)
    }

    /// What is left when the shares of structural zeros of some cells have gone to
    /// zero or one: `rises` says which.
    pub fn without_shares(&self, limit: &Limit, rises: impl Fn(usize) -> bool) -> Result<Self> {
        let side = |cell: u32| if rises(cell as usize) { 1.0 } else { -1.0 };
        let gone = self.leaving(limit).into_iter().map(|cell| (cell, side(cell))).collect();
        self.after(Side::Zero, limit, gone)
    }

    /// What is left when no cell has a structural zero.
    pub fn without_zero_part(&self, limit: &Limit) -> Result<Self> {
        self.without_shares(limit, |_| false)
    }

    fn leaving(&self, limit: &Limit) -> Vec<u32> {
        let positions = 0..self.cells.len() as u32;
        positions.filter(|cell| limit.cells.binary_search(cell).is_err()).collect()
    }

    /// `gone`: positions, and to which side they go.
    fn after(&self, part: Side, limit: &Limit, gone: Vec<(u32, f64)>) -> Result<Self> {
        let mut mixed = self.mixed.clone();
        let mut explained = vec![false; self.cells.len()];
        let mut seen = vec![];
        for (cell, side) in gone {
            // Of the zero part, rows of cells that have none are zero: they do not go.
            mixed[cell as usize] = false;
            explained[cell as usize] = part == Side::Count || side > 0.0;
            seen.push((self.cells[cell as usize], side));
        }
        let positions = 0..self.cells.len() as u32;
        let stays: Vec<u32> = positions.filter(|&cell| !explained[cell as usize]).collect();
        let informative: Vec<bool> = explained.iter().map(|explained| !explained).collect();
        let count = match stays.len() == self.cells.len() {
            true => self.count.clone(),
            false => Rc::new(self.count.restricted(&stays, &informative, 0.0)?),
        };
        let zero = Rc::new(self.zero.restricted(&stays, &mixed, NO_ZERO_PART)?);
        let place = |cell: &u32| stays.binary_search(cell).ok();
        let counts = self.counts.0.iter().zip(&self.counts.1);
        let held = match part {
            Side::Count => &self.count,
            Side::Zero => &self.zero,
        };
        let mut recessions = self.recessions.clone();
        let direction = held.in_whole(&limit.direction, held.directions[0].len());
        recessions.push(Recession { part, direction, gone: seen });
        Ok(Self {
            whole: self.whole,
            cells: stays.iter().map(|&cell| self.cells[cell as usize]).collect(),
            mixed: stays.iter().map(|&cell| mixed[cell as usize]).collect(),
            counts: counts.filter_map(|(cell, &y)| Some((place(cell)? as u32, y))).unzip(),
            count,
            zero,
            recessions,
        })
    }

    /// The parameters that come nearest to these of `other`, a model of more cells.
    pub fn project(&self, other: &Self, point: &[f64]) -> Vec<f64> {
        let place =
            |cell: usize| other.cells.binary_search(&self.cells[cell]).expect("cells only leave");
        let (count, rest) = point.split_at(other.count.rank());
        let (zero, shape) = rest.split_at(other.zero.rank());
        let cells = self.cells.len();
        let mut projected =
            self.count.nearest(|cell| other.count.predictor(place(cell), count), cells);
        projected.extend(self.zero.nearest(
            |cell| if self.mixed[cell] { other.zero.predictor(place(cell), zero) } else { 0.0 },
            cells,
        ));
        projected.extend(shape);
        projected
    }

    /// The mean count.
    pub fn mean(&self) -> f64 {
        self.counts().total() / self.cells.len() as f64
    }

    /// The mean of the counts that are not zero.
    pub fn mean_above_zero(&self) -> f64 {
        self.counts().total() / self.counts.0.len() as f64
    }
}

/// A cell's row of a design, times a vector.
pub fn along(design: &Design, cell: u32, vector: &[f64]) -> f64 {
    let row: Vec<f64> =
        (0..vector.len()).map(|k| design.blocks().value(cell as usize, k)).collect();
    inner(&row, vector)
}
