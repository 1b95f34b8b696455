use super::tally::{MOST, Tally, tally};
use statrs::function::gamma::ln_gamma;

/// Counts below this are summed term by term, those above by asymptotic series.
const DIRECT: usize = MOST;

/// How often each count occurs in a gene: all that the negative binomial
/// likelihood's gamma functions depend on.
pub struct CountHistogram {
    /// Number of cells whose count is above k, for k = 0, 1, ...
    above: Vec<f64>,
    /// Distinct counts above [`DIRECT`], and their cells.
    large: Vec<(f64, f64)>,
    /// Distinct counts, and their cells.
    distinct: Vec<(f64, f64)>,
}

/// Sums over cells of `log prod_{k<y} (1 + alpha k)`, which is
/// `lgamma(y + theta) - lgamma(theta) - y log(theta)`, and its first two
/// derivatives with respect to log(alpha).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RisingSums {
    pub log: f64,
    pub first: f64,
    pub second: f64,
}

impl CountHistogram {
    /// Of whole numbers; zeros do not count.
    pub fn new<T: Copy + Into<f64>>(counts: &[T]) -> Self {
        Self::of(&tally(counts))
    }

    pub fn of(Tally { small, large, .. }: &Tally) -> Self {
        let mut left = small.iter().sum::<usize>() + large.len();
        let large: Vec<(f64, f64)> =
            large.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as f64)).collect();
        let mut above = vec![];
        for &cells in small {
            left -= cells;
            if left == 0 {
                break;
            }
            above.push(left as f64);
        }
        // Counts beyond the direct ones pass through k = 0 .. DIRECT - 1 only.
        above.truncate(DIRECT);
        let counted = small.iter().enumerate().filter(|(_, cells)| **cells > 0);
        let distinct = counted.map(|(y, &cells)| (y as f64, cells as f64));
        Self { above, distinct: distinct.chain(large.iter().copied()).collect(), large }
    }

    /// The rising factorials' sums at alpha > 0.
    pub fn rising(&self, alpha: f64) -> RisingSums {
        let mut sums = RisingSums { log: 0.0, first: 0.0, second: 0.0 };
        for (k, cells) in self.above.iter().enumerate().skip(1) {
            let ak = alpha * k as f64;
            let kept = 1.0 / (1.0 + ak);
            sums.log += cells * ak.ln_1p();
            sums.first += cells * ak * kept;
            sums.second += cells * ak * kept * kept;
        }
        for &(y, cells) in &self.large {
            let beyond = rising_beyond(alpha, DIRECT as f64, y);
            sums.log += cells * beyond.log;
            sums.first += cells * beyond.first;
            sums.second += cells * beyond.second;
        }
        sums
    }

    /// Sum over cells of log(y!).
    pub fn log_factorials(&self) -> f64 {
        self.distinct.iter().map(|&(y, cells)| cells * ln_gamma(y + 1.0)).sum()
    }

    /// Sum over cells of f(y); cells with a count of zero are left out.
    pub fn sum(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.distinct.iter().map(|&(y, cells)| cells * f(y)).sum()
    }
}

/// The part of the sum over k = from .. y - 1, by Stirling's series for the
/// differences of lgamma, digamma and trigamma at theta + from and theta + y.
/// Differences are taken before anything cancels, so that no digit is lost as
/// theta grows.
fn rising_beyond(alpha: f64, from: f64, y: f64) -> RisingSums {
    let theta = 1.0 / alpha;
    let (base, m) = (theta + from, y - from);
    let top = base + m;
    let ratio = (m / base).ln_1p();
    // 1 / top^power - 1 / base^power.
    let step = |power: i32| {
        let terms = (0..power).map(|j| top.powi(-j) * base.powi(j + 1 - power));
        -m / (top * base) * terms.sum::<f64>()
    };
    let log_base = (from / theta).ln_1p();
    let lgamma = (top - 0.5) * ratio - m + step(1) / 12.0 - step(3) / 360.0 + step(5) / 1260.0;
    let digamma = ratio - step(1) / 2.0 - step(2) / 12.0 + step(4) / 120.0 - step(6) / 252.0;
    let trigamma = -(step(1) + step(2) / 2.0 + step(3) / 6.0 - step(5) / 30.0 + step(7) / 42.0);
    let first = m - theta * digamma;
    RisingSums {
        log: lgamma + m * log_base,
        first,
        // sum of theta k / (theta + k)² = theta (sum of 1/(theta + k) - theta / (theta + k)²)
        second: theta * (digamma - theta * trigamma),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(alpha: f64, counts: &[f64]) -> RisingSums {
        let mut sums = RisingSums { log: 0.0, first: 0.0, second: 0.0 };
        for &y in counts {
            for k in 1..y as usize {
                let ak = alpha * k as f64;
                sums.log += ak.ln_1p();
                sums.first += ak / (1.0 + ak);
                sums.second += ak / (1.0 + ak).powi(2);
            }
        }
        sums
    }

    #[test]
    fn sums_equal_the_products_term_by_term() {
        let counts = [1.0, 1.0, 3.0, 511.0, 512.0, 513.0, 514.0, 700.0, 700.0, 90_000.0];
        let histogram = CountHistogram::new(&counts);
        for exponent in -9..9 {
            let alpha = 10f64.powi(exponent);
            let (got, want) = (histogram.rising(alpha), direct(alpha, &counts));
            for (g, w) in [(got.log, want.log), (got.first, want.first), (got.second, want.second)]
            {
                assert!((g - w).abs() <= 1e-9 * w.abs(), "alpha {alpha}: {g} not {w}");
            }
        }
    }

    #[test]
    fn factorials_are_summed_over_cells() {
        let histogram = CountHistogram::new(&[1.0, 4.0, 4.0, 600.0]);
        let want = 2.0 * 24f64.ln() + (1..=600).map(|k| (k as f64).ln()).sum::<f64>();
        assert!((histogram.log_factorials() - want).abs() < 1e-9);
        assert_eq!(histogram.sum(|y| y * y), 1.0 + 32.0 + 360_000.0);
    }
}
