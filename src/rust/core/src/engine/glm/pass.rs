//! One pass over the cells: everything that Newton's method wants to know of a
//! gene's log-likelihood at given coefficients.

use super::family::{Cells, Share};
use crate::design::products::{gram_in_lanes, predictors, products};
use crate::design::{BLOCK, Blocks};
use crate::simd::{Kernel, Lanes, Scalar, Vector, run};
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
pub enum Response<'a, T = f64> {
    Cells(GeneCounts<'a>),
    /// Every cell's, and zeros to fill the last block.
    Dense(&'a [f32]),
    /// Of a collapsed design.
    Nodes {
        weights: &'a [T],
        masses: &'a [T],
    },
}

/// A pass of a gene over a design at coefficients of the design's basis.
#[derive(Clone, Copy)]
pub struct Pass<'a, C, T = f64> {
    pub blocks: &'a Blocks<T>,
    pub cells: C,
    pub response: Response<'a, T>,
    pub coefficients: &'a [f64],
    pub curvature: Curvature,
}

impl<C: Cells, T: Scalar> Pass<'_, C, T> {
    pub fn sums(self, workspace: &Workspace) -> Sums {
        let sections = self.blocks.count().div_ceil(SECTION);
        let section = |k: usize, desk: &mut Desk<T>| {
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
            let mut desk = Desk::new();
            (0..sections).for_each(|k| total.add(section(k, &mut desk)));
        }
        total
    }
}

/// The largest change of a linear predictor that a step of the coefficients
/// makes.
pub fn largest_change<T: Scalar>(blocks: &Blocks<T>, step: &[f64]) -> f64 {
    let mut largest = 0.0f64;
    for (_, columns) in blocks.iter() {
        let mut change = [0.0; BLOCK];
        for (column, s) in columns.chunks_exact(BLOCK).zip(step) {
            change.iter_mut().zip(column).for_each(|(c, &x)| *c += s * x.into());
        }
        largest = change.iter().fold(largest, |m, c| m.max(c.abs()));
    }
    largest
}

/// How the threads of the pool share the work.
#[derive(Default)]
pub struct Workspace {
    across_cells: bool,
}

impl Workspace {
    pub fn new() -> Self {
        Self::default()
    }

    /// For a gene whose passes are to take all threads of the pool.
    pub fn across_cells() -> Self {
        Self { across_cells: true }
    }

    /// Whether this many genes and cells leave threads without a gene, which then
    /// had better share the cells.
    pub fn for_few_genes(genes: usize, cells: usize) -> Option<Self> {
        let threads = rayon::current_num_threads();
        let few = threads > 1 && genes < 8 * threads && cells >= 2 * threads * SECTION * BLOCK;
        few.then(Self::across_cells)
    }
}

/// What is kept of one block.
pub(crate) struct Desk<T = f64> {
    /// All zero between blocks, where those of a block are laid out.
    counts: [T; BLOCK],
    multiplicity: [T; BLOCK],
    pub(crate) predictor: [T; BLOCK],
    pub(crate) residual: [T; BLOCK],
    pub(crate) weight: [T; BLOCK],
    pub(crate) observed: [T; BLOCK],
    pub(crate) cross: [T; BLOCK],
}

impl<T: Scalar> Desk<T> {
    pub(crate) fn new() -> Self {
        let empty = [T::of(0.0); BLOCK];
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
            self.counts[cell as usize % BLOCK] = T::of(count);
        }
        from
    }

    /// Takes these cells' counts away.
    #[inline(always)]
    pub(crate) fn clear(&mut self, cells: &[u32]) {
        if cells.len() > BLOCK / 8 {
            self.counts.fill(T::of(0.0));
        } else {
            cells.iter().for_each(|&cell| self.counts[cell as usize % BLOCK] = T::of(0.0));
        }
    }

    /// Linear predictors of a block.
    #[inline(always)]
    pub(super) fn predict<V: Lanes<Scalar = T>>(
        &mut self,
        blocks: &Blocks<T>,
        block: usize,
        coefficients: &[f64],
    ) {
        let (offset, columns) = blocks.block(block);
        predictors::<V>(offset, columns, coefficients, &mut self.predictor);
    }

    /// Residuals and weights, expected and observed, of a block's cells.
    #[inline(always)]
    pub(crate) fn weigh<C: Cells, V: Lanes<Scalar = T>>(&mut self, cells: C, sums: &mut Sums) {
        weigh::<C, V, true, false>(cells, self, sums, |_| ());
    }

    /// Counts and linear predictors of a group of cells.
    #[inline(always)]
    pub(super) fn cell<V: Lanes<Scalar = T>>(&self, group: usize) -> (V, V) {
        // As far as `exp` goes: else a count would gain what its mean does not cost.
        let eta = V::load(&self.predictor, group).at_most(V::EXP_RANGE.1);
        (V::load(&self.counts, group), eta)
    }
}

struct Section<'a, C, T> {
    pass: Pass<'a, C, T>,
    first: usize,
    end: usize,
    desk: &'a mut Desk<T>,
}

impl<C: Cells, T: Scalar> Kernel for Section<'_, C, T> {
    type Output = Sums;

    #[inline(always)]
    fn run<V: Vector>(self) -> Sums {
        self.in_lanes::<T::Of<V>>()
    }
}

impl<C: Cells, T: Scalar> Section<'_, C, T> {
    #[inline(always)]
    fn in_lanes<V: Lanes<Scalar = T>>(self) -> Sums {
        let Self { pass, first, end, desk } = self;
        let Pass { blocks, cells, response, coefficients, curvature } = pass;
        let p = blocks.columns();
        let mut sums = Sums::new(p, curvature);
        // The cells of a section in so many lanes, which are added up at its end.
        let triangle = |wanted: bool| vec![V::zero(); if wanted { p * (p + 1) / 2 } else { 0 }];
        let mut information = triangle(curvature.expected());
        let mut observed = triangle(curvature.observed());
        let mut next = match response {
            Response::Cells(counts) => {
                counts.cells.partition_point(|&cell| (cell as usize) < first * BLOCK)
            }
            Response::Dense(_) | Response::Nodes { .. } => 0,
        };
        for block in first..end {
            let (_, columns) = blocks.block(block);
            desk.predict::<V>(blocks, block, coefficients);
            // While there is something to compute, memory would have nothing to do.
            let fetch = |group: usize| blocks.fetch_next(block, group, BLOCK / V::LANES);
            match response {
                Response::Cells(counts) => {
                    let from = desk.lay(counts, block, &mut next);
                    weigh_as::<C, V>(curvature, cells, desk, &mut sums, fetch);
                    desk.clear(&counts.cells[from..next]);
                }
                Response::Dense(counts) => {
                    for group in 0..BLOCK / V::LANES {
                        let groups = &counts[block * BLOCK..];
                        V::widen(groups, group).store(&mut desk.counts, group);
                    }
                    weigh_as::<C, V>(curvature, cells, desk, &mut sums, fetch);
                }
                Response::Nodes { weights, masses } => {
                    let here = block * BLOCK..(block + 1) * BLOCK;
                    desk.counts.copy_from_slice(&masses[here.clone()]);
                    desk.multiplicity.copy_from_slice(&weights[here]);
                    weigh::<C, V, true, true>(cells, desk, &mut sums, fetch);
                    desk.counts.fill(T::of(0.0));
                }
            }
            products::<V>(columns, &desk.residual, &mut sums.score);
            if curvature.expected() {
                gram_in_lanes::<V>(columns, &desk.weight, &mut information);
            }
            if curvature.observed() {
                products::<V>(columns, &desk.cross, &mut sums.cross);
                gram_in_lanes::<V>(columns, &desk.observed, &mut observed);
            }
        }
        sums.information = information.into_iter().map(V::total).collect();
        sums.observed = observed.into_iter().map(V::total).collect();
        sums
    }
}

#[inline(always)]
fn weigh_as<C: Cells, V: Lanes>(
    curvature: Curvature,
    cells: C,
    desk: &mut Desk<V::Scalar>,
    sums: &mut Sums,
    each: impl Fn(usize),
) {
    match curvature {
        Curvature::Expected => weigh::<C, V, false, false>(cells, desk, sums, each),
        _ => weigh::<C, V, true, false>(cells, desk, sums, each),
    }
}

/// Residuals and weights of a block's cells, and what is summed of each alone. Where they
/// are nodes, they stand for more or fewer than one. `each` is done beside it, for each group.
#[inline(always)]
fn weigh<C: Cells, V: Lanes, const OBSERVED: bool, const NODES: bool>(
    cells: C,
    desk: &mut Desk<V::Scalar>,
    sums: &mut Sums,
    each: impl Fn(usize),
) {
    let (mut log_likelihood, mut excess) = (V::zero(), V::zero());
    let (mut count_saturation, mut bend) = (V::zero(), V::zero());
    for group in 0..BLOCK / V::LANES {
        each(group);
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
        let cross = vec![0.0; if curvature.observed() { p } else { 0 }];
        Self { score: vec![0.0; p], cross, ..Self::default() }
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
