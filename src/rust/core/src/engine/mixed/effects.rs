//! Random effects: which cells share which, and what of the model matrix they
//! multiply.

use super::blocks::EffectBlocks;
use super::cholesky::Symbolic;
use crate::design::{Orthogonal, orthogonalise};
use crate::{Error, Result};

/// A random-effects term as `(x | g)` gives it: each level of the grouping factor has
/// one effect for each column.
#[derive(Clone, Debug)]
pub struct Term {
    pub levels: usize,
    /// The level of each cell, counted from zero.
    pub level: Vec<u32>,
    /// What the effects are multiplied with: cells x width, column after column.
    pub columns: Vec<f64>,
}

/// Where the effects of a term are among all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub width: usize,
    pub levels: usize,
    /// Its first effect; those of a level are next to each other.
    pub first: usize,
    /// Its first column among those of all terms.
    pub column: usize,
}

impl Span {
    /// The first effect of a level.
    pub fn of(&self, level: u32) -> usize {
        self.first + level as usize * self.width
    }
}

/// The random effects of a model: Z, row after row, with each term's columns in an
/// orthogonal basis of their span (Q'Q = n I), so that their variances are of one
/// scale.
pub struct Effects {
    cells: usize,
    spans: Vec<Span>,
    bases: Vec<Orthogonal>,
    /// cells x terms.
    levels: Vec<u32>,
    /// cells x columns.
    values: Vec<f64>,
    blocks: EffectBlocks,
    symbolic: Symbolic,
}

impl Effects {
    /// # Errors
    /// Where there is no term, lengths disagree with `cells`, a level is out of range, a
    /// value is not finite, columns of a term are linearly dependent, or there are more
    /// effects than can be numbered.
    pub fn new(terms: &[Term], cells: usize) -> Result<Self> {
        let expected = "one or more";
        if terms.is_empty() {
            let name = "the number of random-effects terms";
            return Err(Error::Argument { name, value: "0".into(), expected });
        }
        let mut spans = vec![];
        let (mut bases, mut columns) = (vec![], vec![]);
        let (mut first, mut column) = (0, 0);
        for term in terms {
            term.check(cells)?;
            let (basis, q) = orthogonalise(&term.columns, cells);
            if !basis.aliased.is_empty() {
                return Err(Error::Argument {
                    name: "a random-effects term",
                    value: "of linearly dependent columns".into(),
                    expected: "of independent ones",
                });
            }
            let (width, levels) = (q.len(), term.levels);
            spans.push(Span { width, levels, first, column });
            first += width * levels;
            column += width;
            bases.push(basis);
            columns.extend(q);
        }
        if i32::try_from(first).is_err() {
            let expected = i32::MAX as usize;
            return Err(Error::Shape { what: "random effects", found: first, expected });
        }
        let by_cell = |cell: usize| terms.iter().map(move |term| term.level[cell]);
        let levels: Vec<u32> = (0..cells).flat_map(by_cell).collect();
        let columns = &columns;
        let row = |cell: usize| columns.iter().map(move |column: &Vec<f64>| column[cell]);
        let values: Vec<f64> = (0..cells).flat_map(row).collect();
        Self::assemble(spans, bases, levels, values)
    }

    fn assemble(
        spans: Vec<Span>,
        bases: Vec<Orthogonal>,
        levels: Vec<u32>,
        values: Vec<f64>,
    ) -> Result<Self> {
        let blocks = EffectBlocks::new(&spans, &levels)?;
        let symbolic = Symbolic::new(&blocks, &spans, effects(&spans))?;
        let cells = levels.len() / spans.len();
        Ok(Self { cells, spans, bases, levels, values, blocks, symbolic })
    }

    /// The same effects for some of the cells, in the same bases.
    pub(super) fn of_cells(&self, cells: &[u32]) -> Result<Self> {
        let levels = cells.iter().flat_map(|&cell| self.levels(cell as usize)).copied().collect();
        let values = cells.iter().flat_map(|&cell| self.row(cell as usize)).copied().collect();
        Self::assemble(self.spans.clone(), self.bases.clone(), levels, values)
    }

    pub fn cells(&self) -> usize {
        self.cells
    }

    /// How many random effects there are.
    pub fn effects(&self) -> usize {
        effects(&self.spans)
    }

    /// How many parameters their covariances have.
    pub fn parameters(&self) -> usize {
        self.spans.iter().map(|span| span.width * (span.width + 1) / 2).sum()
    }

    /// Bytes of the effects, and of what each thread of the current pool has of a gene.
    pub fn bytes(&self, rank: usize) -> usize {
        const OF_NUMBERS: usize = size_of::<f64>();
        let own = size_of_val(self.levels.as_slice())
            + size_of_val(self.values.as_slice())
            + self.blocks.bytes()
            + self.symbolic.bytes();
        let of_gene = 2 * self.cells
            + 6 * self.blocks.len()
            + 3 * self.symbolic.factor_len()
            + self.effects() * (4 * rank + 8 * self.parameters() + 16);
        own + rayon::current_num_threads() * OF_NUMBERS * of_gene
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn basis(&self, term: usize) -> &Orthogonal {
        &self.bases[term]
    }

    pub(super) fn blocks(&self) -> &EffectBlocks {
        &self.blocks
    }

    pub(super) fn symbolic(&self) -> &Symbolic {
        &self.symbolic
    }

    /// The levels of a cell, one a term.
    pub(super) fn levels(&self, cell: usize) -> &[u32] {
        let terms = self.spans.len();
        &self.levels[cell * terms..(cell + 1) * terms]
    }

    /// The values of a cell, one a column.
    pub(super) fn row(&self, cell: usize) -> &[f64] {
        let columns = self.values.len() / self.cells;
        &self.values[cell * columns..(cell + 1) * columns]
    }
}

fn effects(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.width * span.levels).sum()
}

impl Term {
    fn check(&self, cells: usize) -> Result<()> {
        if self.level.len() != cells {
            let what = "the cells of a grouping factor";
            return Err(Error::Shape { what, found: self.level.len(), expected: cells });
        }
        if self.columns.is_empty() || !self.columns.len().is_multiple_of(cells) {
            let what = "the values of a random-effects term";
            return Err(Error::Shape { what, found: self.columns.len(), expected: cells });
        }
        if self.columns.iter().any(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "a random-effects term" });
        }
        match self.level.iter().find(|&&level| level as usize >= self.levels) {
            None => Ok(()),
            Some(level) => Err(Error::Argument {
                name: "a level of a grouping factor",
                value: level.to_string(),
                expected: "below their number",
            }),
        }
    }
}
