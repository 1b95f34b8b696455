use super::exact::{tied, untied};
use super::groups::Groups;
use super::options::Exact;
use super::order::Order;
use crate::{Error, Result};
use libm::erfc;

/// As R's `wilcox.test()`.
const AUTO_BELOW: usize = 50;

/// More cells than this in a pair take too long where values are tied.
const MOST_ALWAYS: usize = 100;

/// The test of Wilcoxon (1945), and Mann and Whitney (1947), of each group.
#[derive(Debug)]
pub(super) struct Wilcoxon {
    continuity: bool,
    exact: Exact,
    /// Of each group: the probabilities of U = 0, 1, ... or less without ties; empty
    /// where they are not asked for.
    distributions: Vec<Vec<f64>>,
}

impl Wilcoxon {
    /// # Errors
    /// Where exact probabilities of too many cells are asked for.
    pub fn new(groups: &Groups, continuity: bool, exact: Exact) -> Result<Self> {
        let mut distributions = vec![];
        for group in 0..groups.tested() {
            let (own, other) = (groups.size(group), groups.reference_size(group));
            let wanted = match exact {
                Exact::Never => false,
                Exact::Auto => own.max(other) < AUTO_BELOW,
                Exact::Always if own + other > MOST_ALWAYS => {
                    return Err(Error::Argument {
                        name: "exact",
                        value: format!("\"always\", with {} cells in a pair", own + other),
                        expected: "another where there are more than 100",
                    });
                }
                Exact::Always => true,
            };
            distributions.push(if wanted { untied(own, other) } else { vec![] });
        }
        Ok(Self { continuity, exact, distributions })
    }

    /// U, the number of pairs of cells in which the group's value is the larger, ties
    /// counting one half; U over the number of pairs; and its two-sided p-value.
    pub fn test(&self, order: &Order, groups: &Groups, group: usize) -> (f64, f64, f64) {
        let (own, other) = (groups.size(group), groups.reference_size(group));
        let pairs = own as f64 * other as f64;
        let (twice_u, ties) = (order.sums.twice_u(group), order.sums.ties(group));
        let u = 0.5 * twice_u as f64;
        let distribution = &self.distributions[group];
        let p_value = if !distribution.is_empty() && ties == 0 {
            let low = (twice_u / 2) as usize;
            let far = low.min(own * other - low);
            (2.0 * distribution[far]).min(1.0)
        } else if self.exact == Exact::Always {
            tied(order.levels.steps(groups, group), own, twice_u)
        } else {
            let off = (u - 0.5 * pairs).abs() - if self.continuity { 0.5 } else { 0.0 };
            normal(off.max(0.0), pairs, (own + other) as u64, ties)
        };
        (u, u / pairs, p_value)
    }
}

/// The two-sided probability that U is so far off its mean: its variance is
/// n1 n2 (N³ - N - ties) / (12 N (N - 1)), a difference of integers.
fn normal(off: f64, pairs: f64, cells: u64, ties: u128) -> f64 {
    let cells = u128::from(cells);
    let uneven = cells * cells * cells - cells - ties;
    if uneven == 0 {
        return 1.0;
    }
    let variance = pairs / 12.0 * (uneven as f64 / (cells * (cells - 1)) as f64);
    erfc(off / variance.sqrt() * std::f64::consts::FRAC_1_SQRT_2)
}
