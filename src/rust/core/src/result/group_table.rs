use crate::pages::in_large_pages;
use rayon::prelude::*;
use std::ops::Range;

/// Whether a pair was tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum TestStatus {
    #[default]
    Ok,
    /// Expressed too little in both.
    Filtered,
    /// A variance needs two.
    TooFewCells,
    /// No value differs from another within the two, or within all.
    NoVariance,
}

/// Where there is no number to be told: R's own `NA`, which is one of the values that are
/// not a number.
pub const MISSING: f64 = f64::from_bits(0x7ff0_0000_0000_07a2);

/// One group's gene.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupPair {
    pub mean: f64,
    pub reference_mean: f64,
    /// Shares of the cells that express the gene, from 0 to 1.
    pub share: f64,
    pub reference_share: f64,
    pub log2_fold_change: f64,
    /// [`MISSING`], as the two below, where there was no test.
    pub statistic: f64,
    pub effect: f64,
    pub p_value: f64,
    pub status: TestStatus,
}

/// All pairs of groups and genes, by column; all genes of the first group come first.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTable {
    genes: usize,
    pub mean: Vec<f64>,
    pub reference_mean: Vec<f64>,
    pub share: Vec<f64>,
    pub reference_share: Vec<f64>,
    pub log2_fold_change: Vec<f64>,
    pub statistic: Vec<f64>,
    pub effect: Vec<f64>,
    pub p_value: Vec<f64>,
    pub q_value: Vec<f64>,
    pub status: Vec<TestStatus>,
}

impl GroupTable {
    /// Bytes that a pair takes.
    pub const PAIR: usize = 9 * size_of::<f64>() + size_of::<TestStatus>();

    /// All of it is to be filled.
    pub fn new(genes: usize, groups: usize) -> Self {
        let column = || {
            // Zeros, for which the system has no memory to be written.
            let mut column = vec![0.0; genes * groups];
            in_large_pages(&mut column);
            column
        };
        Self {
            genes,
            mean: column(),
            reference_mean: column(),
            share: column(),
            reference_share: column(),
            log2_fold_change: column(),
            statistic: column(),
            effect: column(),
            p_value: column(),
            q_value: column(),
            status: vec![TestStatus::default(); genes * groups],
        }
    }

    pub fn genes(&self) -> usize {
        self.genes
    }

    /// Takes over some consecutive genes' pairs, which lie group by group, with the
    /// threads of the current pool.
    pub fn place(&mut self, genes: Range<usize>, pairs: &[GroupPair]) {
        place(&mut self.mean, self.genes, &genes, pairs, |pair| pair.mean);
        place(&mut self.reference_mean, self.genes, &genes, pairs, |pair| pair.reference_mean);
        place(&mut self.share, self.genes, &genes, pairs, |pair| pair.share);
        place(&mut self.reference_share, self.genes, &genes, pairs, |pair| pair.reference_share);
        place(&mut self.log2_fold_change, self.genes, &genes, pairs, |pair| pair.log2_fold_change);
        place(&mut self.statistic, self.genes, &genes, pairs, |pair| pair.statistic);
        place(&mut self.effect, self.genes, &genes, pairs, |pair| pair.effect);
        place(&mut self.p_value, self.genes, &genes, pairs, |pair| pair.p_value);
        place(&mut self.status, self.genes, &genes, pairs, |pair| pair.status);
    }

    /// Adjusts the p-values after Benjamini and Hochberg (1995): of each group, or of
    /// all together. Pairs without a test do not count,
    /// and are [`MISSING`].
    pub fn adjust(&mut self, each_group: bool) {
        let size = if each_group { self.genes } else { self.p_value.len() };
        let adjusted = self.q_value.par_chunks_mut(size.max(1));
        // Threads share one group's values where there are too few groups to share.
        let sort = match adjusted.len() < 2 * rayon::current_num_threads() {
            true => <[_]>::par_sort_unstable,
            false => <[_]>::sort_unstable,
        };
        adjusted.zip(self.p_value.par_chunks(size.max(1))).for_each(|(q, p)| adjust(p, q, sort));
    }
}

fn place<T: Send>(
    column: &mut [T],
    of_group: usize,
    genes: &Range<usize>,
    pairs: &[GroupPair],
    value: impl Fn(&GroupPair) -> T + Sync,
) {
    let own = column.par_chunks_mut(of_group).zip(pairs.par_chunks(genes.len()));
    own.with_min_len(16).for_each(|(column, pairs)| {
        column[genes.clone()].iter_mut().zip(pairs).for_each(|(to, pair)| *to = value(pair));
    });
}

/// p times their number over their rank, made monotone from the largest down.
fn adjust(p_values: &[f64], adjusted: &mut [f64], sort: impl Fn(&mut [(u64, usize)])) {
    adjusted.fill(MISSING);
    // What is not negative sorts as its bits do.
    let tested = p_values.iter().enumerate().filter(|(_, p)| !p.is_nan());
    let mut order: Vec<(u64, usize)> = tested.map(|(k, p)| (p.to_bits(), k)).collect();
    sort(&mut order);
    let count = order.len() as f64;
    let mut least = 1.0f64;
    for (rank, &(bits, k)) in order.iter().enumerate().rev() {
        least = least.min(count / (rank + 1) as f64 * f64::from_bits(bits));
        adjusted[k] = least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_adjusted_as_by_r() {
        // R: p.adjust(c(0.01, NA, 0.04, 0.03, 1e-300), "BH")
        let mut table = GroupTable::new(5, 2);
        table.p_value.fill(MISSING);
        table.p_value[..5].copy_from_slice(&[0.01, f64::NAN, 0.04, 0.03, 1e-300]);
        let mut overall = table.clone();
        table.p_value[5..].fill(0.5);
        overall.adjust(false);
        table.adjust(true);
        let bits = |table: &GroupTable| [0, 1, 2, 3, 4].map(|k| table.q_value[k].to_bits());
        assert_eq!(bits(&table), bits(&overall));
        assert_eq!(table.q_value[1].to_bits(), MISSING.to_bits());
        let want = [0.02, 0.04, 0.04, 4e-300];
        let got = [0, 2, 3, 4].map(|k| table.q_value[k]);
        assert!(got.iter().zip(want).all(|(got, want)| (got / want - 1.0).abs() < 1e-15));
        assert_eq!(table.q_value[5..], [0.5; 5]);
    }
}
