use super::Likelihoods;
use rayon::prelude::*;

/// Likelihoods that are all held in memory.
pub struct Dense {
    rows: usize,
    columns: Vec<f64>,
    best: Vec<Option<usize>>,
    largest: Vec<f64>,
}

impl Dense {
    /// Of logarithms, column after column. Those that are not a number are taken for
    /// minus infinity.
    pub fn from_logarithms(rows: usize, mut logarithms: Vec<f64>) -> Self {
        let mut largest = vec![f64::NEG_INFINITY; rows];
        let mut best = vec![None; rows];
        for (k, column) in logarithms.chunks_exact(rows.max(1)).enumerate() {
            for (row, &value) in column.iter().enumerate() {
                if value > largest[row] {
                    (largest[row], best[row]) = (value, Some(k));
                }
            }
        }
        for column in logarithms.chunks_exact_mut(rows.max(1)) {
            for (row, value) in column.iter_mut().enumerate() {
                *value = match best[row] {
                    Some(_) if *value > f64::NEG_INFINITY => (*value - largest[row]).exp(),
                    _ => 0.0,
                };
            }
        }
        Self { rows, columns: logarithms, best, largest }
    }

    /// The logarithm of what each row was divided by.
    pub fn largest(&self) -> &[f64] {
        &self.largest
    }

    fn of(&self, column: usize) -> &[f64] {
        &self.columns[column * self.rows..(column + 1) * self.rows]
    }
}

impl Likelihoods for Dense {
    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns.len() / self.rows.max(1)
    }

    fn column(&self, column: usize, values: &mut [f64]) {
        values.copy_from_slice(self.of(column));
    }

    fn weighted_sums(&self, by_row: &[f64]) -> Vec<f64> {
        let sum = |k| self.of(k).iter().zip(by_row).map(|(value, by)| value * by).sum();
        (0..self.columns()).into_par_iter().map(sum).collect()
    }

    fn best(&self, row: usize) -> Option<usize> {
        self.best[row]
    }
}
