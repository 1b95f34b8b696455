//! What is compared with what: the reference cells, and every perturbation's.

use super::options::Reference;
use super::rows::Rows;
use crate::design::{Design, Membership};
use crate::source::GeneCounts;
use crate::{Error, Result};

/// A design for the reference cells, and the rows of the perturbed ones in its
/// basis. Read by every gene.
pub struct Comparison<'a> {
    columns: &'a [f64],
    offset: &'a [f64],
    membership: &'a Membership,
    /// Of the reference cells; the null model.
    base: Design,
    /// The reference cells where they are not all, and each cell's place among
    /// them.
    reference: Option<(Vec<u32>, Vec<u32>)>,
    perturbations: Vec<Members>,
    /// Largest absolute value of each column of the basis, and largest norm of a
    /// row, over the reference cells.
    reach: (Vec<f64>, f64),
    intercept_only: bool,
    strata: Option<Strata>,
}

/// Groups of cells within which permutations stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Strata {
    /// Each cell's, below `count`.
    pub of: Vec<u16>,
    pub count: usize,
}

/// The cells of one perturbation.
pub struct Members {
    /// Those among the reference cells, and the others.
    pub inside: Rows,
    pub outside: Rows,
    pub identified: Identified,
}

impl Members {
    pub fn cells(&self) -> usize {
        self.inside.cells().len() + self.outside.cells().len()
    }
}

/// The model of one perturbation, written out.
pub struct Joint {
    pub design: Design,
    /// The cells of the design that have counts, and these.
    counted: Vec<u32>,
    counts: Vec<f64>,
    /// The design's cells, by their numbers among all.
    pub cells: Vec<u32>,
}

impl Joint {
    pub fn counts(&self) -> GeneCounts<'_> {
        GeneCounts { cells: &self.counted, counts: &self.counts }
    }
}

/// Whether a model of the covariates and one perturbation has one optimum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Identified {
    Yes,
    NoCells,
    Aliased,
    /// Its cells tell more covariates apart than the reference cells do.
    Wider,
}

/// Not a place among the reference cells.
const NOWHERE: u32 = u32::MAX;

impl<'a> Comparison<'a> {
    /// `columns`: the model matrix of all cells, cells x terms, column after
    /// column. `offset`: one value a cell.
    ///
    /// # Errors
    /// Those of [`Design::new`] for the reference cells; where these are not more
    /// than the terms, or not in increasing order; and where not every cell has a
    /// stratum.
    pub fn new(
        columns: &'a [f64],
        offset: &'a [f64],
        membership: &'a Membership,
        reference: &Reference,
        strata: Option<Strata>,
    ) -> Result<Self> {
        let all = Design::new(columns, offset)?;
        let (base, reference) = match reference {
            Reference::Complement => (all, None),
            Reference::Cells(cells) => {
                let places = places(cells, offset.len())?;
                let base = restrict(columns, offset, cells)?;
                (base, Some((cells.clone(), places)))
            }
        };
        if base.cells() <= base.rank() {
            let what = "reference cells (more than columns of the design are needed)";
            let (found, expected) = (base.cells(), base.rank() + 1);
            return Err(Error::Shape { what, found, expected });
        }
        if let Some(Strata { of, count }) = &strata {
            if of.len() != offset.len() {
                let (found, expected) = (of.len(), offset.len());
                return Err(Error::Shape { what: "cells with a stratum", found, expected });
            }
            if let Some(&found) = of.iter().find(|&&stratum| usize::from(stratum) >= *count) {
                let (found, expected) = (usize::from(found), *count - 1);
                return Err(Error::Shape { what: "the number of a stratum", found, expected });
            }
        }
        let reach = reach(&base);
        let intercept_only = columns.len() == offset.len() && columns.iter().all(|&x| x == 1.0);
        let mut comparison = Self {
            intercept_only,
            columns,
            offset,
            membership,
            base,
            reference,
            perturbations: vec![],
            reach,
            strata,
        };
        comparison.perturbations =
            (0..membership.len()).map(|k| comparison.gather(k)).collect::<Result<_>>()?;
        Ok(comparison)
    }

    /// The null model's design.
    pub fn base(&self) -> &Design {
        &self.base
    }

    pub fn cells(&self) -> usize {
        self.offset.len()
    }

    /// The stratum of a cell, of all cells' numbers; and how many there are.
    pub fn stratum(&self, cell: u32) -> u16 {
        self.strata.as_ref().map_or(0, |strata| strata.of[cell as usize])
    }

    pub fn strata(&self) -> usize {
        self.strata.as_ref().map_or(1, |strata| strata.count)
    }

    /// The reference cells; none where they are all cells.
    pub fn reference_cells(&self) -> Option<&[u32]> {
        self.reference.as_ref().map(|(cells, _)| &cells[..])
    }

    /// The cells of a perturbation, by their numbers among all.
    pub fn perturbed_cells(&self, perturbation: usize) -> &[u32] {
        self.membership.cells(perturbation)
    }

    pub fn perturbations(&self) -> &[Members] {
        &self.perturbations
    }

    /// A bound on the change of any reference cell's linear predictor that a
    /// change of the coefficients makes.
    pub fn largest_change(&self, delta: &[f64]) -> f64 {
        let (columns, norm) = &self.reach;
        let by_column: f64 = columns.iter().zip(delta).map(|(reach, d)| reach * d.abs()).sum();
        by_column.min(norm * delta.iter().map(|d| d * d).sum::<f64>().sqrt())
    }

    /// A gene's counts in the reference cells, numbered as they are in the base
    /// design; `room` holds them where they are not all.
    pub fn reference_counts<'b>(
        &self,
        counts: GeneCounts<'b>,
        room: &'b mut (Vec<u32>, Vec<f64>),
    ) -> GeneCounts<'b> {
        let Some((_, places)) = &self.reference else { return counts };
        *room = select(counts, places);
        GeneCounts { cells: &room.0, counts: &room.1 }
    }

    /// Whether the model has no covariates: one column of ones.
    pub fn intercept_only(&self) -> bool {
        self.intercept_only
    }

    /// Columns of the model matrix.
    pub fn terms(&self) -> usize {
        self.columns.len() / self.offset.len()
    }

    /// A design for the reference cells and the perturbation's own, whose last
    /// column, `with_effect`, is one in the latter; and the gene's counts in these
    /// cells.
    pub fn joint(
        &self,
        perturbation: usize,
        counts: GeneCounts<'_>,
        with_effect: bool,
    ) -> Result<Joint> {
        let own = self.membership.cells(perturbation);
        let n = self.offset.len();
        let mut perturbed = vec![false; n];
        own.iter().for_each(|&cell| perturbed[cell as usize] = true);
        let used: Vec<u32> = match &self.reference {
            None => (0..n as u32).collect(),
            Some((_, places)) => {
                let is_used =
                    |&cell: &u32| perturbed[cell as usize] || places[cell as usize] != NOWHERE;
                (0..n as u32).filter(is_used).collect()
            }
        };
        let mut columns = Vec::with_capacity(used.len() * (self.terms() + 1));
        for column in self.columns.chunks_exact(n) {
            columns.extend(used.iter().map(|&cell| column[cell as usize]));
        }
        if with_effect {
            columns.extend(used.iter().map(|&cell| f64::from(perturbed[cell as usize])));
        }
        let offset: Vec<f64> = used.iter().map(|&cell| self.offset[cell as usize]).collect();
        let (counted, counts) = select(counts, &places(&used, n)?);
        Ok(Joint { design: Design::new(&columns, &offset)?, counted, counts, cells: used })
    }

    /// Bytes held beside the caller's own.
    pub fn bytes(&self) -> usize {
        let rows: usize =
            self.perturbations.iter().map(|m| m.inside.bytes() + m.outside.bytes()).sum();
        rows + 8 * self.base.cells() * (self.base.rank() + 1)
    }

    fn gather(&self, perturbation: usize) -> Result<Members> {
        let own = self.membership.cells(perturbation);
        let place = |cell: u32| match &self.reference {
            None => cell,
            Some((_, places)) => places[cell as usize],
        };
        let (inside, outside): (Vec<u32>, Vec<u32>) =
            own.iter().partition(|&&cell| place(cell) != NOWHERE);
        let rank = self.base.rank();
        let blocks = self.base.blocks();
        let inside = Rows::gather(inside, rank, |cell, values| {
            let at = place(cell) as usize;
            values.iter_mut().enumerate().for_each(|(k, x)| *x = blocks.value(at, k));
            blocks.offset(at)
        });
        let n = self.offset.len();
        let kept = self.base.kept();
        let outside = Rows::gather(outside, rank, |cell, values| {
            let named =
                kept.iter().map(|&j| self.columns[j * n + cell as usize]).collect::<Vec<_>>();
            self.base.basis().row(&named, values);
            self.offset[cell as usize]
        });
        let outside = if self.intercept_only { outside.with_sizes() } else { outside };
        let identified = self.identified(perturbation, &inside, &outside)?;
        Ok(Members { inside, outside, identified })
    }

    fn identified(&self, perturbation: usize, inside: &Rows, outside: &Rows) -> Result<Identified> {
        if inside.cells().is_empty() && outside.cells().is_empty() {
            return Ok(Identified::NoCells);
        }
        let terms = self.terms();
        if !outside.cells().is_empty() {
            // The reference cells alone determine the covariates' coefficients,
            // and any other cell the perturbation's.
            if self.base.rank() == terms {
                return Ok(Identified::Yes);
            }
            let none = GeneCounts { cells: &[], counts: &[] };
            let joint = self.joint(perturbation, none, true)?.design;
            let wider = joint.rank() > self.base.rank() + 1;
            let aliased = joint.kept().last() != Some(&terms);
            return Ok(match (aliased, wider) {
                (true, _) => Identified::Aliased,
                (false, true) => Identified::Wider,
                (false, false) => Identified::Yes,
            });
        }
        // What the basis leaves of the perturbation's column, of its square.
        let mut sums = vec![0.0; self.base.rank()];
        for (offset, columns) in inside.chunks() {
            for (sum, column) in sums.iter_mut().zip(columns.chunks_exact(offset.len())) {
                *sum += column.iter().sum::<f64>();
            }
        }
        let (n, m) = (self.base.cells() as f64, inside.cells().len() as f64);
        let left = m - sums.iter().map(|s| s * s).sum::<f64>() / n;
        Ok(if left > 1e-9 * m { Identified::Yes } else { Identified::Aliased })
    }
}

/// Each of `n` cells' place among some of them.
fn places(cells: &[u32], n: usize) -> Result<Vec<u32>> {
    let sorted = cells.windows(2).all(|w| w[0] < w[1]);
    if !sorted || cells.last().is_some_and(|&last| last as usize >= n) {
        return Err(Error::Sparse("the reference cells do not increase, or are out of range"));
    }
    let mut places = vec![NOWHERE; n];
    cells.iter().zip(0..).for_each(|(&cell, place)| places[cell as usize] = place);
    Ok(places)
}

/// The counts of cells that have a place.
fn select(counts: GeneCounts<'_>, places: &[u32]) -> (Vec<u32>, Vec<f64>) {
    let placed = counts.cells.iter().map(|&cell| places[cell as usize]).zip(counts.counts);
    placed.filter(|(place, _)| *place != NOWHERE).map(|(place, &y)| (place, y)).unzip()
}

fn restrict(columns: &[f64], offset: &[f64], cells: &[u32]) -> Result<Design> {
    let pick =
        |values: &[f64]| -> Vec<f64> { cells.iter().map(|&cell| values[cell as usize]).collect() };
    let columns: Vec<f64> = columns.chunks_exact(offset.len()).flat_map(pick).collect();
    Design::new(&columns, &pick(offset))
}

fn reach(base: &Design) -> (Vec<f64>, f64) {
    let p = base.rank();
    let mut columns = vec![0.0f64; p];
    let mut norm = 0.0f64;
    for row in base.blocks().rows().chunks_exact(p) {
        columns.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(x.abs()));
        norm = norm.max(row.iter().map(|x| x * x).sum::<f64>());
    }
    (columns, norm.sqrt())
}
