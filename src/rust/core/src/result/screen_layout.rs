use std::ops::Range;

use bytemuck::cast_slice;

use super::ScreenBlock;
use crate::{Error, Result};

/// How many results a screen has, known before the first is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub genes: usize,
    pub pairs_of_gene: PairsOf,
    /// Whether every pair has a theta of its own.
    pub with_theta: bool,
}

/// Which pairs a gene has.
#[derive(Clone, Debug, PartialEq)]
pub enum PairsOf {
    /// One with every perturbation.
    All { perturbations: usize },
    /// Those from `first[gene]` up to `first[gene + 1]`.
    Listed { first: Vec<usize> },
}

impl Layout {
    /// # Errors
    /// Where the pairs of the genes do not follow each other.
    pub fn check(&self) -> Result<()> {
        let valid = match &self.pairs_of_gene {
            PairsOf::All { perturbations } => self.genes.checked_mul(*perturbations).is_some(),
            PairsOf::Listed { first } => {
                first.len().checked_sub(1) == Some(self.genes) && first[0] == 0 && first.is_sorted()
            }
        };
        // Also in bytes they can be counted, all columns together.
        if valid && self.pairs().max(self.genes) < usize::MAX / 256 {
            return Ok(());
        }
        Err(Error::Argument {
            name: "pairs_of_gene",
            value: "out of order".to_owned(),
            expected: "from 0 up to the number of pairs, one more than genes",
        })
    }

    pub fn pairs(&self) -> usize {
        self.pairs_of(0..self.genes).end
    }

    /// The pairs of consecutive genes.
    pub fn pairs_of(&self, genes: Range<usize>) -> Range<usize> {
        match &self.pairs_of_gene {
            PairsOf::All { perturbations } => {
                genes.start * perturbations..genes.end * perturbations
            }
            PairsOf::Listed { first } => first[genes.start]..first[genes.end],
        }
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &'static Column> {
        let with_theta = self.with_theta;
        COLUMNS.iter().filter(move |column| with_theta || column.name != "pairs/theta")
    }

    pub(super) fn entries(&self, column: &Column) -> usize {
        match column.of {
            Of::Genes => self.genes,
            Of::Pairs => self.pairs(),
        }
    }
}

/// Every status of what has not been fitted yet.
pub const UNFITTED: u8 = 255;

/// A column of the results, and where a block has its values.
pub(super) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub of: Of,
    pub bytes: fn(&ScreenBlock) -> &[u8],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    F64,
    F32,
    U8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Of {
    Genes,
    Pairs,
}

impl Kind {
    pub fn size(self) -> usize {
        match self {
            Kind::F64 => 8,
            Kind::F32 => 4,
            Kind::U8 => 1,
        }
    }
}

impl Column {
    pub fn is_status(&self) -> bool {
        self.name.ends_with("/status")
    }

    const fn of_genes(name: &'static str, kind: Kind, bytes: fn(&ScreenBlock) -> &[u8]) -> Self {
        Self { name, kind, of: Of::Genes, bytes }
    }

    const fn of_pairs(name: &'static str, kind: Kind, bytes: fn(&ScreenBlock) -> &[u8]) -> Self {
        Self { name, kind, of: Of::Pairs, bytes }
    }
}

/// In the order in which they are written: a status says that the rest is there.
static COLUMNS: [Column; 15] = [
    Column::of_pairs("pairs/estimate", Kind::F64, |block| cast_slice(&block.pairs.estimate)),
    Column::of_pairs("pairs/std_err", Kind::F64, |block| cast_slice(&block.pairs.std_err)),
    Column::of_pairs("pairs/statistic", Kind::F64, |block| cast_slice(&block.pairs.statistic)),
    Column::of_pairs("pairs/p_value", Kind::F64, |block| cast_slice(&block.pairs.p_value)),
    Column::of_pairs("pairs/theta", Kind::F64, |block| cast_slice(&block.pairs.theta)),
    Column::of_pairs("pairs/error_bound", Kind::F32, |block| cast_slice(&block.pairs.error_bound)),
    Column::of_pairs("pairs/passes", Kind::U8, |block| &block.pairs.passes),
    Column::of_pairs("pairs/refreshes", Kind::U8, |block| &block.pairs.refreshes),
    Column::of_genes("genes/mean", Kind::F64, |block| cast_slice(&block.genes.mean)),
    Column::of_genes("genes/theta", Kind::F64, |block| cast_slice(&block.genes.theta)),
    Column::of_genes("genes/dispersion", Kind::F64, |block| cast_slice(&block.genes.dispersion)),
    Column::of_genes("genes/log_likelihood", Kind::F64, |block| {
        cast_slice(&block.genes.log_likelihood)
    }),
    Column::of_genes("genes/iterations", Kind::U8, |block| &block.genes.iterations),
    Column::of_pairs("pairs/status", Kind::U8, |block| &block.pairs.status),
    Column::of_genes("genes/status", Kind::U8, |block| &block.genes.status),
];
