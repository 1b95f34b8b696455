use super::groups::Groups;
use super::levels::Levels;
use crate::result::TestStatus;

/// The test of Anderson and Darling for two samples, in the form for ties of Scholz
/// and Stephens (1987, Journal of the American Statistical Association 82:918),
/// equation 7.
#[derive(Debug)]
pub(super) struct Anderson {
    /// Of each group, the standard deviation of its criterion; none with three cells or
    /// fewer.
    deviations: Vec<f64>,
}

impl Anderson {
    pub fn new(groups: &Groups) -> Self {
        let mut sums = Sums::default();
        let deviation = |group| {
            let (own, other) = (groups.size(group), groups.reference_size(group));
            if sums.cells != own + other {
                sums = Sums::of(own + other);
            }
            sums.variance(own, other).sqrt()
        };
        Self { deviations: (0..groups.tested()).map(deviation).collect() }
    }

    /// The standardised criterion, the criterion itself, and the p-value.
    pub fn test(
        &self,
        levels: &Levels,
        groups: &Groups,
        group: usize,
    ) -> Result<(f64, f64, f64), TestStatus> {
        let (own, other) = (groups.size(group) as f64, groups.reference_size(group) as f64);
        let cells = own + other;
        if cells < 4.0 {
            return Err(TestStatus::TooFewCells);
        }
        let (mut sum, mut own_below, mut distinct) = (0.0, 0.0, 0);
        for step in levels.steps(groups, group) {
            let here = (step.own + step.other) as f64;
            // Of the group's cells, and of all, those up to the middle of this level.
            let own_half = own_below + 0.5 * step.own as f64;
            let half = own_below + step.other_below as f64 + 0.5 * here;
            let off = cells * own_half - own * half;
            let spread = half * (cells - half) - 0.25 * cells * here;
            sum += here / cells * (off * off / spread);
            own_below += step.own as f64;
            distinct += 1;
        }
        if distinct < 2 {
            return Err(TestStatus::NoVariance);
        }
        // What the other sample adds differs by its size alone.
        let criterion = (cells - 1.0) / cells * (1.0 / own + 1.0 / other) * sum;
        let statistic = (criterion - 1.0) / self.deviations[group];
        Ok((statistic, criterion, p_value(statistic)))
    }
}

/// h and g of Scholz and Stephens, of a number of cells.
#[derive(Debug, Default)]
struct Sums {
    cells: usize,
    h: f64,
    g: f64,
}

impl Sums {
    fn of(cells: usize) -> Self {
        let (mut h, mut g) = (0.0, 0.0);
        for i in (2..cells).rev() {
            h += 1.0 / i as f64;
            g += h / (cells + 1 - i) as f64;
        }
        Self { cells, h: h + 1.0, g }
    }

    /// Equation 4, of two samples.
    fn variance(&self, own: usize, other: usize) -> f64 {
        let (h, g, n) = (self.h, self.g, self.cells as f64);
        let inverse = 1.0 / own as f64 + 1.0 / other as f64;
        let a = 4.0 * g - 6.0 + (10.0 - 6.0 * g) * inverse;
        let b = 4.0 * (2.0 * g - 4.0) + 16.0 * h + (2.0 * g - 14.0 * h - 4.0) * inverse - 8.0 * h
            + 4.0 * g
            - 6.0;
        let c = 4.0 * (6.0 * h + 2.0 * g - 2.0)
            + 2.0 * (4.0 * h - 4.0 * g + 6.0)
            + (2.0 * h - 6.0) * inverse
            + 4.0 * h;
        let d = 4.0 * (2.0 * h + 6.0) - 8.0 * h;
        (((a * n + b) * n + c) * n + d) / ((n - 1.0) * (n - 2.0) * (n - 3.0))
    }
}

/// As scipy: the logarithm of the p-value is a parabola through the critical values
/// of Scholz and Stephens' table 2 for two samples, by least squares; from 0.25, which
/// is all that is known of larger ones, to 0.001.
fn p_value(statistic: f64) -> f64 {
    if statistic < LOWEST {
        return 0.25;
    }
    if statistic > HIGHEST {
        return 0.001;
    }
    let [constant, linear, square] = PARABOLA;
    (constant + statistic * (linear + statistic * square)).exp()
}

/// The critical values at 25 % and at 0.1 %.
const LOWEST: f64 = 0.325;
const HIGHEST: f64 = 6.546;

/// By `numpy.polyfit()`, from 0.325, 1.226, 1.961, 2.718, 3.752, 4.592, 6.546 at 25, 10,
/// 5, 2.5, 1, 0.5 and 0.1 %; the constant first.
const PARABOLA: [f64; 3] = [-1.077770279820484, -1.0082265644652515, 0.01819809457411147];
