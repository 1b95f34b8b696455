use super::order::Needs;
use crate::{Error, Result};

/// How to compare two sets of cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    Wilcoxon { continuity: bool, exact: Exact },
    T { equal_variance: bool },
    Anderson,
}

impl Method {
    pub(super) fn needs(self) -> Needs {
        match self {
            Method::Wilcoxon { exact, .. } => Needs { sums: true, levels: exact == Exact::Always },
            Method::T { .. } => Needs::default(),
            Method::Anderson => Needs { sums: false, levels: true },
        }
    }
}

/// Where Wilcoxon's p-values are of the exact distribution and not of the normal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exact {
    /// With fewer than 50 cells in each of the two and no ties, as R's `wilcox.test()`.
    Auto,
    /// For every pair, with ties too.
    Always,
    Never,
}

/// What the source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 0, 1, 2, ...
    Counts,
    /// Numbers >= 0, on the scale of counts.
    Linear,
    /// log(1 + x) of such numbers.
    Log1p,
}

/// What values are divided by, before anything else.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalise {
    Nothing,
    /// Each cell's total over this.
    Library(f64),
    /// One a cell.
    SizeFactors(Vec<f64>),
}

/// What the fold change is of: means, or geometric means of 1 + x, less 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mean {
    Geometric,
    Arithmetic,
}

/// A pair is not tested where both the group's and the reference's expression is low:
/// the share of cells below `share` and the mean of the tested values below `mean`.
/// crispyx's filter; with zeros nothing is low.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Filter {
    pub share: f64,
    pub mean: f64,
    pub reference_share: f64,
    pub reference_mean: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub method: Method,
    pub scale: Scale,
    pub normalise: Normalise,
    /// Whether to test log(1 + x) where the source holds x.
    pub log1p: bool,
    pub mean: Mean,
    /// Added to both means before their ratio is taken.
    pub epsilon: f64,
    pub filter: Filter,
    /// Whether p-values are adjusted within each group, or over all pairs.
    pub adjust_each_group: bool,
    /// Bytes; what the source takes is not among them.
    pub memory_limit: Option<usize>,
}

impl Options {
    pub(super) fn check(&self, cells: usize) -> Result<()> {
        let refused = |name, value: f64, expected| {
            Err(Error::Argument { name, value: value.to_string(), expected })
        };
        if !(self.epsilon >= 0.0 && self.epsilon.is_finite()) {
            return refused("epsilon", self.epsilon, "a finite number >= 0");
        }
        match &self.normalise {
            Normalise::Nothing => return Ok(()),
            Normalise::Library(target) if !(*target > 0.0 && target.is_finite()) => {
                return refused("target_sum", *target, "a finite number > 0");
            }
            Normalise::Library(_) => {}
            Normalise::SizeFactors(factors) => {
                if factors.len() != cells {
                    let found = factors.len();
                    return Err(Error::Shape { what: "size factors", found, expected: cells });
                }
                let bad = factors.iter().find(|s| !(**s > 0.0 && s.is_finite()));
                if let Some(&bad) = bad {
                    return refused("a size factor", bad, "a finite number > 0");
                }
            }
        }
        if self.scale == Scale::Log1p {
            return Err(Error::Argument {
                name: "normalize",
                value: "asked for".into(),
                expected: "\"none\" where values are logarithms",
            });
        }
        Ok(())
    }
}
