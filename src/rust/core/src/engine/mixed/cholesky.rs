//! The sparse Cholesky factor of Lambda'Z'WZ Lambda + I, whose pattern all genes share.

use super::blocks::EffectBlocks;
use super::effects::Span;
use crate::{Error, Result};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::linalg::amd;
use faer::sparse::linalg::cholesky::simplicial::{
    SimplicialLltRef, SymbolicSimplicialCholesky, factorize_simplicial_numeric_llt,
    factorize_simplicial_numeric_llt_scratch, factorize_simplicial_symbolic_cholesky,
    factorize_simplicial_symbolic_cholesky_scratch, prefactorize_symbolic_cholesky,
    prefactorize_symbolic_cholesky_scratch,
};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMat, SymbolicSparseColMatRef};
use faer::{Conj, Mat, Par};

/// The pattern of the matrix and of its factor, in an order with little fill.
pub struct Symbolic {
    /// Where each effect stands in that order.
    place: Vec<u32>,
    /// The pattern's upper triangle.
    upper: SymbolicSparseColMat<u32>,
    factor: SymbolicSimplicialCholesky<u32>,
    /// Where the values of the blocks stand in the upper triangle, and in the factor.
    upper_at: Vec<u32>,
    factor_at: Vec<u32>,
}

impl Symbolic {
    pub fn new(blocks: &EffectBlocks, spans: &[Span], effects: usize) -> Result<Self> {
        let mut entries = vec![(0, 0); blocks.len()];
        for block in blocks.iter() {
            let (rows, columns) = (spans[block.terms.0].width, spans[block.terms.1].width);
            for (k, entry) in entries[block.at..block.at + rows * columns].iter_mut().enumerate() {
                *entry = (block.effects.0 + k / columns, block.effects.1 + k % columns);
            }
        }
        let place = order(&entries, effects)?;
        let placed = |&(i, j): &(usize, usize)| {
            let (a, b) = (place[i], place[j]);
            (a.max(b), a.min(b))
        };
        let placed: Vec<(u32, u32)> = entries.iter().map(placed).collect();
        let (upper, upper_at) = upper_triangle(&placed, effects);
        let factor = symbolic_factor(upper.as_ref(), effects)?;
        let (starts, rows) = (factor.col_ptr(), factor.row_idx());
        let in_factor = |&(row, column): &(u32, u32)| {
            let (from, to) = (starts[column as usize], starts[column as usize + 1]);
            let among = &rows[from as usize..to as usize];
            from + among.partition_point(|&r| r < row) as u32
        };
        let factor_at = placed.iter().map(in_factor).collect();
        Ok(Self { place, upper, factor, upper_at, factor_at })
    }

    /// Rows of the matrix.
    pub fn effects(&self) -> usize {
        self.place.len()
    }

    pub fn bytes(&self) -> usize {
        let indices = self.place.len() * 3 + self.upper.row_idx().len() + self.upper_at.len() * 2;
        (indices + self.factor.len_val()) * size_of::<u32>()
    }

    /// How many values the factor has.
    pub fn factor_len(&self) -> usize {
        self.factor.len_val()
    }

    /// The factor of the matrix with these values of its blocks, plus I; none where it
    /// is not positive definite.
    pub fn factorise(&self, values: &[f64]) -> Option<Factor<'_>> {
        let mut upper = vec![0.0; self.upper.row_idx().len()];
        self.upper_at.iter().zip(values).for_each(|(&at, value)| upper[at as usize] = *value);
        // The diagonal is the last of each column's upper triangle.
        self.upper.col_ptr()[1..].iter().for_each(|&end| upper[end as usize - 1] += 1.0);
        let matrix = SparseColMatRef::new(self.upper.as_ref(), &upper);
        let scratch = factorize_simplicial_numeric_llt_scratch::<u32, f64>(self.place.len());
        let mut memory = MemBuffer::new(scratch);
        let mut factor = vec![0.0; self.factor.len_val()];
        let done = factorize_simplicial_numeric_llt(
            &mut factor,
            matrix,
            Default::default(),
            &self.factor,
            MemStack::new(&mut memory),
        );
        let finite = || factor.iter().all(|value| value.is_finite());
        (done.is_ok() && finite()).then_some(Factor { symbolic: self, values: factor })
    }
}

/// A Cholesky factor.
pub struct Factor<'a> {
    symbolic: &'a Symbolic,
    values: Vec<f64>,
}

impl Factor<'_> {
    /// Of the matrix.
    pub fn log_determinant(&self) -> f64 {
        let starts = &self.symbolic.factor.col_ptr()[..self.symbolic.place.len()];
        2.0 * starts.iter().map(|&start| self.values[start as usize].ln()).sum::<f64>()
    }

    /// Solves for several right sides, effects x sides, in place.
    pub fn solve(&self, sides: &mut Mat<f64>) {
        let place = &self.symbolic.place;
        let mut placed = Mat::zeros(sides.nrows(), sides.ncols());
        for k in 0..sides.ncols() {
            place.iter().enumerate().for_each(|(i, &at)| placed[(at as usize, k)] = sides[(i, k)]);
        }
        let factor = SimplicialLltRef::new(&self.symbolic.factor, &self.values);
        let memory = &mut MemBuffer::new(self.symbolic.factor.solve_in_place_scratch::<f64>(1));
        factor.solve_in_place_with_conj(Conj::No, placed.as_mut(), Par::Seq, MemStack::new(memory));
        for k in 0..sides.ncols() {
            place.iter().enumerate().for_each(|(i, &at)| sides[(i, k)] = placed[(at as usize, k)]);
        }
    }

    /// The inverse where the matrix has blocks, in their layout.
    ///
    /// Takahashi, Fagan and Chen (1973): with S = (LL')⁻¹, column by column from the
    /// last, `S[i, j] = [i = j] / L[j, j]² - sum over k > j of S[i, k] L[k, j] / L[j, j]`,
    /// which needs S in the pattern of L only.
    pub fn inverse(&self) -> Vec<f64> {
        let (starts, rows) = (self.symbolic.factor.col_ptr(), self.symbolic.factor.row_idx());
        let mut inverse = vec![0.0; self.values.len()];
        let n = self.symbolic.place.len();
        // Where a row is among those of the current column, and of which it was said.
        let (mut index, mut of) = (vec![0; n], vec![usize::MAX; n]);
        let mut sums = vec![];
        for j in (0..n).rev() {
            let (start, end) = (starts[j] as usize, starts[j + 1] as usize);
            let below = &rows[start + 1..end];
            for (k, &row) in below.iter().enumerate() {
                (index[row as usize], of[row as usize]) = (k, j);
            }
            sums.clear();
            sums.resize(below.len(), 0.0);
            for (k, &column) in below.iter().enumerate() {
                let own = self.values[start + 1 + k];
                let span = starts[column as usize] as usize..starts[column as usize + 1] as usize;
                for at in span {
                    let row = rows[at] as usize;
                    if of[row] != j {
                        continue;
                    }
                    sums[index[row]] += inverse[at] * own;
                    if row != column as usize {
                        sums[k] += inverse[at] * self.values[start + 1 + index[row]];
                    }
                }
            }
            let pivot = 1.0 / self.values[start];
            let mut diagonal = pivot * pivot;
            for (k, sum) in sums.iter().enumerate() {
                inverse[start + 1 + k] = -sum * pivot;
                diagonal += sum * pivot * self.values[start + 1 + k] * pivot;
            }
            inverse[start] = diagonal;
        }
        self.symbolic.factor_at.iter().map(|&at| inverse[at as usize]).collect()
    }
}

/// Where each effect is to stand: approximate minimum degree.
fn order(entries: &[(usize, usize)], effects: usize) -> Result<Vec<u32>> {
    let as_given: Vec<(u32, u32)> =
        entries.iter().map(|&(i, j)| (i.max(j) as u32, i.min(j) as u32)).collect();
    let (pattern, _) = upper_triangle(&as_given, effects);
    let (mut forward, mut place) = (vec![0; effects], vec![0; effects]);
    let mut memory = MemBuffer::new(amd::order_scratch::<u32>(effects, pattern.row_idx().len()));
    let stack = MemStack::new(&mut memory);
    let control = amd::Control::default();
    amd::order(&mut forward, &mut place, pattern.as_ref(), control, stack).map_err(too_large)?;
    Ok(place)
}

/// The pattern of (larger, smaller) pairs as an upper triangle, and where each is in it.
fn upper_triangle(pairs: &[(u32, u32)], effects: usize) -> (SymbolicSparseColMat<u32>, Vec<u32>) {
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut starts = vec![0u32; effects + 1];
    sorted.iter().for_each(|&(column, _)| starts[column as usize + 1] += 1);
    (0..effects).for_each(|j| starts[j + 1] += starts[j]);
    let find = |pair: &(u32, u32)| sorted.partition_point(|other| other < pair) as u32;
    let at = pairs.iter().map(find).collect();
    let rows = sorted.iter().map(|&(_, row)| row).collect();
    (SymbolicSparseColMat::new_checked(effects, effects, starts, None, rows), at)
}

fn symbolic_factor(
    upper: SymbolicSparseColMatRef<'_, u32>,
    effects: usize,
) -> Result<SymbolicSimplicialCholesky<u32>> {
    let (mut tree, mut counts) = (vec![0i32; effects], vec![0u32; effects]);
    let scratch = prefactorize_symbolic_cholesky_scratch::<u32>(effects, upper.row_idx().len());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    let tree = prefactorize_symbolic_cholesky(&mut tree, &mut counts, upper, stack);
    if counts.iter().map(|&count| u64::from(count)).sum::<u64>() > u64::from(u32::MAX / 2) {
        return Err(too_large(()));
    }
    let mut memory = MemBuffer::new(factorize_simplicial_symbolic_cholesky_scratch::<u32>(effects));
    let stack = MemStack::new(&mut memory);
    factorize_simplicial_symbolic_cholesky(upper, tree, &counts, stack).map_err(too_large)
}

fn too_large<E>(_: E) -> Error {
    Error::Argument {
        name: "the random effects",
        value: "too many that are crossed".into(),
        expected: "such that their Cholesky factor has less than 2^31 entries",
    }
}
