use super::groups::Groups;
use super::moments::Moments;
use crate::result::{MISSING, TestStatus};
use crate::special::{gamma_ratio, student_two_sided};

/// The t test of Student (1908) or, where variances may differ, of Welch (1947).
#[derive(Debug)]
pub(super) struct StudentT {
    equal_variance: bool,
    /// Of each group, what makes Cohen's d Hedges' g.
    unbiased: Vec<f64>,
}

impl StudentT {
    pub fn new(groups: &Groups, equal_variance: bool) -> Self {
        let unbiased = |group| {
            let freedom = (groups.size(group) + groups.reference_size(group)) as f64 - 2.0;
            hedges(freedom)
        };
        Self { equal_variance, unbiased: (0..groups.tested()).map(unbiased).collect() }
    }

    /// t, g and the two-sided p-value.
    pub fn test(
        &self,
        own: &Moments,
        other: &Moments,
        group: usize,
    ) -> Result<(f64, f64, f64), TestStatus> {
        let freedom = own.count + other.count - 2.0;
        let least = own.count.min(other.count);
        if freedom < 1.0 || (least < 2.0 && !self.equal_variance) {
            return Err(TestStatus::TooFewCells);
        }
        let pooled = (own.squares + other.squares) / freedom;
        // What rounding leaves of a variance is none.
        let largest = own.mean.abs().max(other.mean.abs());
        if pooled.sqrt() <= 1e-14 * largest || pooled == 0.0 {
            return Err(TestStatus::NoVariance);
        }
        let difference = own.mean - other.mean;
        let effect = self.unbiased[group] * difference / pooled.sqrt();
        let (variance, freedom) = match self.equal_variance {
            true => (pooled * (1.0 / own.count + 1.0 / other.count), freedom),
            false => welch(own, other),
        };
        let statistic = difference / variance.sqrt();
        Ok((statistic, effect, student_two_sided(statistic, freedom)))
    }
}

/// The variance of the difference of two means, and its degrees of freedom, after
/// Satterthwaite (1946).
fn welch(own: &Moments, other: &Moments) -> (f64, f64) {
    let of_mean = |m: &Moments| m.squares / (m.count - 1.0) / m.count;
    let (own_part, other_part) = (of_mean(own), of_mean(other));
    let variance = own_part + other_part;
    let (own_share, other_share) = (own_part / variance, other_part / variance);
    let inverse =
        own_share * own_share / (own.count - 1.0) + other_share * other_share / (other.count - 1.0);
    (variance, 1.0 / inverse)
}

/// Hedges (1981): Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2)) with m degrees of
/// freedom. With one of them d has no mean that could be corrected.
fn hedges(freedom: f64) -> f64 {
    match freedom > 1.0 {
        true => gamma_ratio(0.5 * (freedom - 1.0)) / (0.5 * freedom).sqrt(),
        false => MISSING,
    }
}
