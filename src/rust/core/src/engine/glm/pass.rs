//! One pass over the cells: everything that Newton's method wants to know of a
//! gene's log-likelihood at given coefficients.

use super::family::{Cells, Share};
use crate::design::products::{gram, predictors, products};
use crate::design::{BLOCK, Blocks};
use crate::simd::{EXP_RANGE, Kernel, LANES, Vector, run};
use crate::source::GeneCounts;
use rayon::prelude::*;

/// Blocks in a section: sums are added up section by section, in their order,
/// whichever threads they come from.
const SECTION: usize = 64;

/// Which second derivatives a pass adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Curvature {
    /// Expected information: what standard errors are made of.
    Expected,
    /// Observed information, and its cross term with the shape.
    Observed,
    Both,
}

impl Curvature {
    pub fn expected(self) -> bool {
        self != Curvature::Observed
    }

    pub fn observed(self) -> bool {
        self != Curvature::Expected
    }
}

/// Sums over all cells; p columns. With mu the mean, s = alpha mu / (1 + alpha mu),
/// w = mu / (1 + alpha mu), r the derivative of a cell's log-likelihood with respect
/// to its linear predictor eta, and K its cumulant:
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Sum of y eta - (1 + alpha y) K.
    pub log_likelihood: f64,
    /// Q'r.
    pub score: Vec<f64>,
    /// Q'WQ, lower triangle, row after row; empty where it was not asked for.
    pub information: Vec<f64>,
    /// The same of observed weights W + r s.
    pub observed: Vec<f64>,
    /// Derivative of the score with respect to log(alpha), with the observed.
    pub cross: Vec<f64>,
    /// Sum of K - w.
    pub excess: f64,
    /// Sum of y s.
    pub count_saturation: f64,
    /// Sum of r s.
    pub bend: f64,
}

/// What a gene's counts are given for.
#[derive(Clone, Copy)]
pub enum Response<'a> {
    Cells(GeneCounts<'a>),
    /// Of a collapsed design.
    Nodes {
        weights: &'a [f64],
        masses: &'a [f64],
    },
}

/// A pass of a gene over a design at coefficients of the design's basis.
#[derive(Clone, Copy)]
pub struct Pass<'a, C> {
    pub blocks: &'a Blocks,
    pub cells: C,
    pub response: Response<'a>,
    pub coefficients: &'a [f64],
    pub curvature: Curvature,
}

impl<C: Cells> Pass<'_, C> {
    pub fn sums(self, workspace: &mut Workspace) -> Sums {
        let sections = self.blocks.count().div_ceil(SECTION);
        let section = |k: usize, desk: &mut Desk| {
            let blocks = k * SECTION..self.blocks.count().min((k + 1) * SECTION);
            run(Section { pass: self, first: blocks.start, end: blocks.end, desk })
        };
        let mut total = Sums::default();
        if workspace.across_cells {
            let sections = (0..sections).into_par_iter().with_max_len(1);
            let sums: Vec<Sums> =
                sections.map_init(Desk::new, |desk, k| section(k, desk)).collect();
            sums.into_iter().for_each(|sums| total.add(sums));
        } else {
            (0..sections).for_each(|k| total.add(section(k, &mut workspace.desk)));
        }
        total
    }
}

/// The largest change of a linear predictor that a step of the coefficients
/// makes.
pub fn largest_change(blocks: &Blocks, step: &[f64]) -> f64 {
    let mut largest = 0.0f64;
    for (_, columns) in blocks.iter() {
        let mut change = [0.0; BLOCK];
        for (column, s) in columns.chunks_exact(BLOCK).zip(step) {
            change.iter_mut().zip(column).for_each(|(c, x)| *c += s * x);
        }
        largest = change.iter().fold(largest, |m, c| m.max(c.abs()));
    }
    largest
}

/// What a thread works with.
pub struct Workspace {
    desk: Desk,
    across_cells: bool,
}

impl Workspace {
    pub fn new() -> Self {
        Self { desk: Desk::new(), across_cells: false }
    }

    /// For a gene whose passes are to take all threads of the pool.
    pub fn across_cells() -> Self {
        Self { across_cells: true, ..Self::new() }
    }

    /// Whether this many genes and cells leave threads without a gene, which then
    /// had better share the cells.
    pub fn for_few_genes(genes: usize, cells: usize) -> Option<Self> {
        let threads = rayon::current_num_threads();
        let few = threads > 1 && genes < 8 * threads && cells >= 2 * threads * SECTION * BLOCK;
        few.then(Self::across_cells)
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

/// What is kept of one block.
pub(crate) struct Desk {
    /// All zero between blocks.
    counts: [f64; BLOCK],
    multiplicity: [f64; BLOCK],
    pub(crate) predictor: [f64; BLOCK],
    pub(crate) residual: [f64; BLOCK],
    pub(crate) weight: [f64; BLOCK],
    pub(crate) observed: [f64; BLOCK],
    pub(crate) cross: [f64; BLOCK],
}

impl Desk {
    pub(crate) fn new() -> Self {
        let empty = [0.0; BLOCK];
        Self {
            counts: empty,
            multiplicity: empty,
            predictor: empty,
            residual: empty,
            weight: empty,
            observed: empty,
            cross: empty,
        }
    }

    /// Lays out the counts of a block, of which `next` is the first; gives back where
    /// it was, and moves it on.
    #[inline(always)]
    pub(crate) fn lay(&mut self, counts: GeneCounts<'_>, block: usize, next: &mut usize) -> usize {
        let from = *next;
        let most = counts.cells.len().min(from + BLOCK);
        let end = (block + 1) * BLOCK;
        let here = counts.cells[from..most].partition_point(|&cell| (cell as usize) < end);
        *next += here;
        for (&cell, &count) in counts.cells[from..*next].iter().zip(&counts.counts[from..*next]) {
            self.counts[cell as usize % BLOCK] = count;
        }
        from
    }

    /// Takes these cells' counts away.
    #[inline(always)]
    pub(crate) fn clear(&mut self, cells: &[u32]) {
        if cells.len() > BLOCK / 8 {
            self.counts.fill(0.0);
        } else {
            cells.iter().for_each(|&cell| self.counts[cell as usize % BLOCK] = 0.0);
        }
    }

    /// Linear predictors of a block.
    #[inline(always)]
    pub(super) fn predict<V: Vector>(
        &mut self,
        blocks: &Blocks,
        block: usize,
        coefficients: &[f64],
    ) {
        let (offset, columns) = blocks.block(block);
        predictors::<V>(offset, columns, coefficients, &mut self.predictor);
    }

    /// Residuals and weights, expected and observed, of a block's cells.
    #[inline(always)]
    pub(crate) fn weigh<C: Cells, V: Vector>(&mut self, cells: C, sums: &mut Sums) {
        weigh::<C, V, true, false>(cells, self, sums);
    }

    /// Counts and linear predictors of eight cells.
    #[inline(always)]
    pub(super) fn cell<V: Vector>(&self, group: usize) -> (V, V) {
        // As far as `exp` goes: else a count would gain what its mean does not cost.
        let eta = V::load(&self.predictor, group).at_most(EXP_RANGE.1);
        (V::load(&self.counts, group), eta)
    }
}

struct Section<'a, C> {
    pass: Pass<'a, C>,
    first: usize,
    end: usize,
    desk: &'a mut Desk,
}

impl<C: Cells> Kernel for Section<'_, C> {
    type Output = Sums;

    #[inline(always)]
    fn run<V: Vector>(self) -> Sums {
        let Self { pass, first, end, desk } = self;
        let Pass { blocks, cells, response, coefficients, curvature } = pass;
        let mut sums = Sums::new(blocks.columns(), curvature);
        let mut next = match response {
            Response::Cells(counts) => {
                counts.cells.partition_point(|&cell| (cell as usize) < first * BLOCK)
            }
            Response::Nodes { .. } => 0,
        };
        for block in first..end {
            let (_, columns) = blocks.block(block);
            desk.predict::<V>(blocks, block, coefficients);
            match response {
                Response::Cells(counts) => {
                    let from = desk.lay(counts, block, &mut next);
                    match curvature {
                        Curvature::Expected => {
                            weigh::<C, V, false, false>(cells, desk, &mut sums);
                        }
                        _ => weigh::<C, V, true, false>(cells, desk, &mut sums),
                    }
                    desk.clear(&counts.cells[from..next]);
                }
                Response::Nodes { weights, masses } => {
                    let here = block * BLOCK..(block + 1) * BLOCK;
                    desk.counts.copy_from_slice(&masses[here.clone()]);
                    desk.multiplicity.copy_from_slice(&weights[here]);
                    weigh::<C, V, true, true>(cells, desk, &mut sums);
                    desk.counts.fill(0.0);
                }
            }
            products::<V>(columns, &desk.residual, &mut sums.score);
            if curvature.expected() {
                gram::<V>(columns, &desk.weight, &mut sums.information);
            }
            if curvature.observed() {
                products::<V>(columns, &desk.cross, &mut sums.cross);
                gram::<V>(columns, &desk.observed, &mut sums.observed);
            }
        }
        sums
    }
}

/// Residuals and weights of a block's cells, and what is summed of each alone. Where they
/// are nodes, they stand for more or fewer than one.
#[inline(always)]
fn weigh<C: Cells, V: Vector, const OBSERVED: bool, const NODES: bool>(
    cells: C,
    desk: &mut Desk,
    sums: &mut Sums,
) {
    let (mut log_likelihood, mut excess) = (V::zero(), V::zero());
    let (mut count_saturation, mut bend) = (V::zero(), V::zero());
    for group in 0..BLOCK / LANES {
        let (y, eta) = desk.cell::<V>(group);
        let Share { mut residual, slope, mut weight, mut cumulant, saturation } = cells.share(eta);
        let count_cumulant = y.times(V::of(cells.alpha())).times(cumulant);
        if NODES {
            let multiplicity = V::load(&desk.multiplicity, group);
            residual = residual.times(multiplicity);
            weight = weight.times(multiplicity);
            cumulant = cumulant.times(multiplicity);
        }
        let residual = y.times_plus(slope, residual);
        residual.store(&mut desk.residual, group);
        weight.store(&mut desk.weight, group);
        log_likelihood = y.times_plus(eta, log_likelihood).minus(cumulant);
        if C::SHAPE {
            log_likelihood = log_likelihood.minus(count_cumulant);
            excess = excess.plus(cumulant.minus(weight));
            count_saturation = y.times_plus(saturation, count_saturation);
            bend = residual.times_plus(saturation, bend);
        }
        if OBSERVED {
            // - dr/deta = W + r s, and dr/dlog(alpha) = - r s.
            let turn = residual.times(saturation);
            weight.plus(turn).store(&mut desk.observed, group);
            V::zero().minus(turn).store(&mut desk.cross, group);
        }
    }
    sums.log_likelihood += log_likelihood.total();
    sums.excess += excess.total();
    sums.count_saturation += count_saturation.total();
    sums.bend += bend.total();
}

impl Sums {
    fn new(p: usize, curvature: Curvature) -> Self {
        let triangle = |wanted: bool| vec![0.0; if wanted { p * (p + 1) / 2 } else { 0 }];
        Self {
            score: vec![0.0; p],
            information: triangle(curvature.expected()),
            observed: triangle(curvature.observed()),
            cross: vec![0.0; if curvature.observed() { p } else { 0 }],
            ..Self::default()
        }
    }

    fn add(&mut self, section: Sums) {
        if self.score.is_empty() {
            *self = section;
            return;
        }
        let pairs = [
            (&mut self.score, section.score),
            (&mut self.information, section.information),
            (&mut self.observed, section.observed),
            (&mut self.cross, section.cross),
        ];
        for (total, part) in pairs {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        self.log_likelihood += section.log_likelihood;
        self.excess += section.excess;
        self.count_saturation += section.count_saturation;
        self.bend += section.bend;
    }
}
