//! The tilt under which the statistic is what is expected.
//!
//! K(s, t) = sum over groups j and their cells i of log(1 + exp(l_i + t_j + x_i(s))),
//! x_i(s) = s r_i + s² v_i / 2 with the atoms' means r and variances v,
//! is convex, and the tilt minimises K(s, t) - s T - sum_j m_j t_j (Skovgaard
//! 1987; Booth and Butler 1990): by Newton's method on s and all t_j, whose
//! Hessian is an arrow.

use super::atoms::Atoms;
use crate::simd::{Kernel, LANES, Lanes, Vector, exp, log1p_and_inverse, run};
use std::ops::Range;

/// A resampling scheme at work on atoms.
pub(super) struct Problem<'a> {
    pub atoms: &'a Atoms,
    pub groups: &'a [Group],
    pub statistic: f64,
    /// Of the statistic, without a tilt.
    pub mean: f64,
    pub variance: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Which of the population's groups it is.
    pub index: usize,
    pub atoms: Range<usize>,
    pub cells: f64,
    /// As many cells are drawn; each cell for itself where None.
    pub drawn: Option<f64>,
}

impl Group {
    /// Log-odds of a cell's being drawn, without a tilt.
    fn log_odds(&self) -> f64 {
        self.drawn.map_or(0.0, |m| (m / (self.cells - m)).ln())
    }

    /// min over t of K(0, t) - m t.
    pub fn untilted(&self) -> f64 {
        let m = self.drawn.unwrap_or(0.0);
        -self.cells * (-m / self.cells).ln_1p() - m * self.log_odds()
    }

    /// The log of the number of subsets to draw.
    pub fn log_subsets(&self) -> f64 {
        let m = self.drawn.unwrap_or(0.0) as u64;
        (0..m).map(|i| ((self.cells - i as f64) / (i + 1) as f64).ln()).sum()
    }

    /// Variance of the number of cells that would be drawn each for itself.
    /// None where they are.
    pub fn untilted_spread(&self) -> Option<f64> {
        self.drawn.map(|m| m * (1.0 - m / self.cells))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Saddle {
    pub s: f64,
    /// By group; 0 for free ones.
    pub t: Vec<f64>,
    /// Sums over each group at the tilt.
    pub sums: Vec<GroupSums>,
    /// log of E exp(s (T' - T)), but for the groups' square roots.
    pub exponent: f64,
    /// Of the statistic at the tilt, given the numbers drawn.
    pub variance: f64,
    /// Newton's step of t, and where it starts.
    step: Vec<f64>,
    from: Vec<f64>,
}

/// Over a group's cells, p the tilted probability of being drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GroupSums {
    pub cumulant: f64,
    /// Sum of p.
    pub drawn: f64,
    /// Sum of p x', x' = r + s v; the derivative with respect to s.
    pub statistic: f64,
    /// Sums of p (1 - p), p (1 - p) x', and p (1 - p) x'² + p v.
    pub spread: f64,
    pub cross: f64,
    pub square: f64,
}

const MAX_ITERATIONS: usize = 60;
/// Squared distance to the minimum, in standard errors: it changes the
/// exponent by half as much.
const DECREMENT: f64 = 1e-4;

impl Saddle {
    /// The tilt for the statistic; where that is nearer to zero than `least`,
    /// the tilt of that size with the statistic's sign.
    pub fn find(&mut self, problem: &Problem<'_>, least: f64) {
        let above = problem.statistic - problem.mean;
        let start = (above / problem.variance).clamp(-2.0 * least, 2.0 * least);
        self.t.clear();
        self.t.extend(problem.groups.iter().map(Group::log_odds));
        let base = base(problem);
        self.s = start;
        self.descend(problem, true);
        if self.s * above.signum() < least {
            self.s = least.copysign(above);
            self.descend(problem, false);
        }
        self.exponent -= base;
    }

    /// Newton's method with steps halved until they go down enough; t alone
    /// moves where there is no tilt to find.
    fn descend(&mut self, problem: &Problem<'_>, tilt: bool) {
        self.step.resize(self.t.len(), 0.0);
        self.exponent = self.look(problem);
        for _ in 0..MAX_ITERATIONS {
            let (ds, decrement) = self.newton(problem, tilt);
            // Not finite where the statistic is beyond what can be attained, and
            // the tilt has left one value only.
            if !decrement.is_finite() || decrement < DECREMENT {
                return;
            }
            let s = self.s;
            self.from.clone_from(&self.t);
            let mut share = 1.0;
            loop {
                self.go(s, ds, share);
                let value = self.look(problem);
                if value <= self.exponent - 0.1 * share * decrement {
                    self.exponent = value;
                    break;
                }
                share *= 0.5;
                if share < 1e-6 {
                    self.go(s, ds, 0.0);
                    self.look(problem);
                    return;
                }
            }
        }
    }

    fn go(&mut self, s: f64, ds: f64, share: f64) {
        self.s = s + share * ds;
        for ((t, from), step) in self.t.iter_mut().zip(&self.from).zip(&self.step) {
            *t = from + share * step;
        }
    }

    /// Sums at s and t. Returns what is to be minimised.
    fn look(&mut self, problem: &Problem<'_>) -> f64 {
        self.sums.clear();
        let mut value = -self.s * problem.statistic;
        for (group, &t) in problem.groups.iter().zip(&self.t) {
            let sums = group_sums(problem.atoms, &group.atoms, self.s, t);
            value += sums.cumulant - group.drawn.unwrap_or(0.0) * t;
            self.sums.push(sums);
        }
        value
    }

    /// Newton's step of s, and the squared length of the whole step in the
    /// Hessian's norm. Leaves the step of t and the variance behind.
    fn newton(&mut self, problem: &Problem<'_>, tilt: bool) -> (f64, f64) {
        let mut gradient = -problem.statistic;
        let mut variance = 0.0;
        let mut decrement = 0.0;
        for (group, sums) in problem.groups.iter().zip(&self.sums) {
            gradient += sums.statistic;
            variance += sums.square;
            if let Some(drawn) = group.drawn {
                let short = sums.drawn - drawn;
                gradient -= sums.cross / sums.spread * short;
                variance -= sums.cross * sums.cross / sums.spread;
                decrement += short * short / sums.spread;
            }
        }
        self.variance = variance.max(0.0);
        let ds = if tilt { -gradient / variance } else { 0.0 };
        if tilt {
            decrement += gradient * gradient / variance;
        }
        for ((group, sums), dt) in problem.groups.iter().zip(&self.sums).zip(&mut self.step) {
            *dt = match group.drawn {
                Some(drawn) => -(sums.drawn - drawn + sums.cross * ds) / sums.spread,
                None => 0.0,
            };
        }
        (ds, decrement)
    }
}

/// What is minimised, without a tilt.
fn base(problem: &Problem<'_>) -> f64 {
    let of_group = |group: &Group| match group.drawn {
        Some(_) => group.untilted(),
        None => group_sums(problem.atoms, &group.atoms, 0.0, 0.0).cumulant,
    };
    problem.groups.iter().map(of_group).sum()
}

pub(super) fn group_sums(atoms: &Atoms, group: &Range<usize>, s: f64, t: f64) -> GroupSums {
    run(Tilt {
        value: &atoms.value[group.clone()],
        variance: &atoms.variance[group.clone()],
        cells: &atoms.cells[group.clone()],
        log_odds: &atoms.log_odds[group.clone()],
        s,
        t,
    })
}

struct Tilt<'a> {
    value: &'a [f64],
    variance: &'a [f64],
    cells: &'a [f64],
    log_odds: &'a [f64],
    s: f64,
    t: f64,
}

impl Kernel for Tilt<'_> {
    type Output = GroupSums;

    #[inline(always)]
    fn run<V: Vector>(self) -> GroupSums {
        let mut sums = [V::zero(); 6];
        let mut share = [[0.0; LANES]; 3];
        for chunk in 0..self.value.len() / LANES {
            let at = chunk * LANES;
            let value: &[f64; LANES] = self.value[at..][..LANES].try_into().expect("a vector");
            let odds: &[f64; LANES] = self.log_odds[at..][..LANES].try_into().expect("a vector");
            let variance: &[f64; LANES] =
                self.variance[at..][..LANES].try_into().expect("a vector");
            for lane in 0..LANES {
                let half = 0.5 * self.s * variance[lane];
                let x = odds[lane] + self.t + self.s * (value[lane] + half);
                let e = exp::<V>(-x.abs());
                let (log, inverse) = log1p_and_inverse::<V>(e);
                let below = e * inverse;
                share[0][lane] = log + x.max(0.0);
                share[1][lane] = if x > 0.0 { inverse } else { below };
                share[2][lane] = below * inverse;
            }
            let [log, p, pq] = [0, 1, 2].map(|k| V::load(&share[k], 0));
            let cells = V::load(self.cells, chunk);
            let variance = V::load(self.variance, chunk);
            let value = variance.times_plus(V::of(self.s), V::load(self.value, chunk));
            let (p, pq) = (p.times(cells), pq.times(cells));
            let pqr = pq.times(value);
            let one = V::of(1.0);
            sums[0] = log.times_plus(cells, sums[0]);
            sums[1] = p.times_plus(one, sums[1]);
            sums[2] = p.times_plus(value, sums[2]);
            sums[3] = pq.times_plus(one, sums[3]);
            sums[4] = pqr.times_plus(one, sums[4]);
            sums[5] = p.times_plus(variance, pqr.times_plus(value, sums[5]));
        }
        let [cumulant, drawn, statistic, spread, cross, square] = sums.map(Lanes::total);
        GroupSums { cumulant, drawn, statistic, spread, cross, square }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two strata of 60 and 100 cells, of which 20 and 5 are drawn.
    fn problem(atoms: &mut Atoms, statistic: f64) -> (Vec<Group>, f64) {
        atoms.clear();
        for (n, scale) in [(60, 1.0), (100, 0.3)] {
            for i in 0..n {
                atoms.push(scale * f64::from(i * 7 % 11 - 5), 0.01, 1.0, 0.0);
            }
            atoms.end_group();
        }
        let group = |index: usize, cells, drawn| {
            let atoms = atoms.groups[index].clone();
            Group { index, atoms, cells, drawn: Some(drawn) }
        };
        (vec![group(0, 60.0, 20.0), group(1, 100.0, 5.0)], statistic)
    }

    #[test]
    fn the_statistic_is_expected_at_its_tilt() {
        let mut atoms = Atoms::default();
        for statistic in [-60.0, -15.0, 4.0, 33.0, 70.0] {
            let (groups, statistic) = problem(&mut atoms, statistic);
            let problem =
                Problem { atoms: &atoms, groups: &groups, statistic, mean: 0.0, variance: 150.0 };
            let mut saddle = Saddle::default();
            saddle.find(&problem, 1e-6);
            let expected: f64 = saddle.sums.iter().map(|sums| sums.statistic).sum();
            let near = 0.02 * saddle.variance.sqrt();
            assert!((expected - statistic).abs() < near, "{expected}, not {statistic}");
            for (sums, group) in saddle.sums.iter().zip(&groups) {
                let short = sums.drawn - group.drawn.unwrap();
                assert!(short.abs() < 0.02 * sums.spread.sqrt(), "{}", sums.drawn);
            }
            // Moving along s alone costs half the variance times the square.
            let at = saddle.exponent;
            saddle.find(&problem, 1.01 * saddle.s.abs());
            let cost = saddle.exponent - at;
            let want = 0.5 * saddle.variance * (0.01 * saddle.s / 1.01).powi(2);
            assert!((cost - want).abs() < 0.1 * want + 1e-4, "{cost}, not {want}");
        }
    }
}
