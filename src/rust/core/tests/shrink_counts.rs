//! Shrinkage by the likelihood of the counts, against likelihoods written out and
//! added up on grids.

use scoria_core::design::Membership;
use scoria_core::engine::screen::{Comparison, Reference};
use scoria_core::engine::shrink::{
    Centre, CountOptions, CountPairs, Prior, Shrunken, shrink_counts,
};
use scoria_core::source::Csc;
use scoria_core::{Error, Monitor, pool};

/// Cells in rows: a covariate, a size factor, up to three perturbations that
/// overlap; control cells have none.
struct Screen {
    cells: usize,
    columns: Vec<f64>,
    offset: Vec<f64>,
    perturbed: Vec<Vec<u32>>,
    /// Gene by gene.
    counts: Vec<Vec<f64>>,
    theta: f64,
}

/// How to shrink, and the genes' means that are expected.
struct Request<'a> {
    prior: Prior,
    centre: Centre,
    theta: f64,
    means: &'a [f64],
}

/// Numbers from zero to one that look random.
fn noise(seed: usize) -> f64 {
    let mixed = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 53) as f64
}

impl Screen {
    /// Means of genes, at effects of the perturbations.
    fn new(cells: usize, means: &[f64], effects: [f64; 3], covariate: bool) -> Self {
        let mut columns = vec![1.0; cells];
        if covariate {
            columns.extend((0..cells).map(|i| noise(i) - 0.5));
        }
        let offset: Vec<f64> = (0..cells).map(|i| 0.6 * noise(7 * i + 1)).collect();
        let perturbed: Vec<Vec<u32>> = (0..3)
            .map(|k| (0..cells as u32).filter(|i| i % 4 == k + 1 || i % 35 == k).collect())
            .collect();
        let count = |g: usize, i: usize| {
            let has = |k: usize| perturbed[k].contains(&(i as u32));
            let effect: f64 = (0..3).filter(|&k| has(k)).map(|k| effects[k]).sum();
            let tilt = if covariate { 0.7 * (noise(i) - 0.5) } else { 0.0 };
            let mean = means[g] * (offset[i] + effect + tilt).exp();
            // Overdispersed, as a mixture of two Poisson distributions would be.
            let mean = mean * if noise(31 * i + g) < 0.5 { 0.4 } else { 1.6 };
            let (mut left, mut y) = (noise(1000 * g + 13 * i), 0.0);
            let mut mass = (-mean).exp();
            while left > mass && y < 1e4 {
                left -= mass;
                y += 1.0;
                mass *= mean / y;
            }
            y
        };
        let counts = (0..means.len()).map(|g| (0..cells).map(|i| count(g, i)).collect()).collect();
        Self { cells, columns, offset, perturbed, counts, theta: 2.5 }
    }

    fn controls(&self) -> Vec<u32> {
        let has = |cell: &u32| self.perturbed.iter().any(|cells| cells.contains(cell));
        (0..self.cells as u32).filter(|cell| !has(cell)).collect()
    }

    /// Of all pairs, from starts that are none too good.
    fn shrink(&self, reference: &Reference, prior: Prior, centre: Centre) -> Shrunken {
        let means = vec![f64::NAN; self.counts.len()];
        let request = Request { prior, centre, theta: self.theta, means: &means };
        self.shrink_with(reference, &request, &Monitor::new()).unwrap()
    }

    fn shrink_with(
        &self,
        reference: &Reference,
        request: &Request<'_>,
        monitor: &Monitor,
    ) -> Result<Shrunken, Error> {
        let Request { prior, centre, theta, means } = *request;
        let (offsets, rows, values) = by_cell(&self.counts, self.cells);
        let source = Csc::new(self.counts.len(), &offsets, &rows, &values).unwrap();
        let mut members = vec![0i32];
        let all: Vec<i32> = self.perturbed.iter().flatten().map(|&cell| cell as i32).collect();
        for cells in &self.perturbed {
            members.push(members.last().unwrap() + cells.len() as i32);
        }
        let membership = Membership::new(&members, &all, self.cells).unwrap();
        let comparison =
            Comparison::new(&self.columns, &self.offset, &membership, reference, None).unwrap();
        let n = 3 * self.counts.len();
        let pairs = CountPairs {
            offsets: &(0..=self.counts.len()).map(|g| 3 * g).collect::<Vec<_>>(),
            perturbations: &(0..n as u32).map(|pair| pair % 3).collect::<Vec<_>>(),
            estimates: &vec![0.1; n],
            thetas: &vec![theta; n],
            means,
        };
        let options = CountOptions { priors: &[prior; 3], centre, memory_limit: None };
        shrink_counts(&source, &comparison, pairs, &options, monitor)
    }
}

/// A genes x cells matrix by column.
fn by_cell(counts: &[Vec<f64>], cells: usize) -> (Vec<i32>, Vec<i32>, Vec<f64>) {
    let (mut offsets, mut rows, mut values) = (vec![0], vec![], vec![]);
    for cell in 0..cells {
        for (gene, counts) in counts.iter().enumerate().filter(|(_, c)| c[cell] > 0.0) {
            rows.push(gene as i32);
            values.push(counts[cell]);
        }
        offsets.push(values.len() as i32);
    }
    (offsets, rows, values)
}

/// One pair written out, with or without a covariate.
struct Pair {
    cells: Vec<Cell>,
    theta: f64,
    prior: Prior,
}

struct Cell {
    y: f64,
    offset: f64,
    covariate: f64,
    perturbed: bool,
    /// One over the number of reference cells if it is one, else zero.
    share: f64,
}

impl Pair {
    /// Pairs are numbered gene by gene.
    fn new(screen: &Screen, at: usize, reference: &[u32], prior: Prior) -> Self {
        let Screen { columns, offset, perturbed, counts, theta, .. } = screen;
        let cell = |i: usize| {
            let is_among = |cells: &[u32]| cells.contains(&(i as u32));
            Cell {
                y: counts[at / 3][i],
                offset: offset[i],
                covariate: columns.get(screen.cells + i).copied().unwrap_or(0.0),
                perturbed: is_among(&perturbed[at % 3]),
                share: if is_among(reference) { 1.0 / reference.len() as f64 } else { 0.0 },
            }
        };
        let compared = |cell: &Cell| cell.perturbed || cell.share > 0.0;
        let cells = (0..screen.cells).map(cell).filter(compared).collect();
        Self { cells, theta: *theta, prior }
    }

    fn log_posterior(&self, b: [f64; 2], c: f64) -> f64 {
        let mut sum = self.prior.log_density(c);
        for cell in &self.cells {
            let line = b[0] + b[1] * cell.covariate;
            let eta = cell.offset + line + if cell.perturbed { c } else { 0.0 };
            let log = (eta.exp() / self.theta).ln_1p();
            sum += cell.y * eta - (cell.y + self.theta) * log - cell.share * line * line / 450.0;
        }
        sum
    }

    /// The largest over b, by turns and golden sections: slow and sure.
    fn highest_at(&self, c: f64, with_covariate: bool) -> ([f64; 2], f64) {
        let mut b = [0.0, 0.0];
        for _ in 0..if with_covariate { 12 } else { 1 } {
            b[0] = golden(-30.0, 15.0, |x| self.log_posterior([x, b[1]], c));
            if with_covariate {
                b[1] = golden(-8.0, 8.0, |x| self.log_posterior([b[0], x], c));
            }
        }
        (b, self.log_posterior(b, c))
    }
}

/// Where a function with one peak is highest.
fn golden(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    while high - low > 1e-8 {
        if fa > fb {
            (high, b, fb) = (b, a, fa);
            a = high - ratio * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + ratio * (high - low);
            fb = f(b);
        }
    }
    0.5 * (low + high)
}

/// Every kind of reference: control cells; all other cells; cells among which are
/// some of the perturbation's.
fn references(screen: &Screen) -> [Reference; 3] {
    let some = (0..screen.cells as u32).filter(|i| i % 3 != 0).collect();
    [Reference::Cells(screen.controls()), Reference::Complement, Reference::Cells(some)]
}

fn cells_of(reference: &Reference, screen: &Screen) -> Vec<u32> {
    match reference {
        Reference::Complement => (0..screen.cells as u32).collect(),
        Reference::Cells(cells) => cells.clone(),
    }
}

#[test]
fn modes_are_those_of_posteriors_written_out() {
    for covariate in [false, true] {
        let screen = Screen::new(140, &[3.0, 0.3], [-0.9, 0.2, 1.1], covariate);
        for reference in references(&screen) {
            let prior = Prior::Cauchy(0.4);
            let got = screen.shrink(&reference, prior, Centre::Mode);
            for at in 0..6 {
                let pair = Pair::new(&screen, at, &cells_of(&reference, &screen), prior);
                let height = |c: f64| pair.highest_at(c, covariate).1;
                let places = (-12..=12).map(|i| f64::from(i) / 4.0);
                let best = places.max_by(|a, b| height(*a).total_cmp(&height(*b))).unwrap();
                let want = golden(best - 0.25, best + 0.25, height);
                let (found, sd) = (got.estimate[at], got.std_err[at]);
                let what = format!("{covariate} {reference:?} {at}: {found} not {want}");
                assert!((found - want).abs() < 1e-4 * sd, "{what}");
                let h = 0.05 * sd;
                let bend = (height(found + h) + height(found - h) - 2.0 * height(found)) / h / h;
                assert!((sd * (-bend).sqrt() - 1.0).abs() < 2e-3, "{what}: {sd}");
            }
        }
    }
}

#[test]
fn posteriors_are_those_of_sums_over_a_grid() {
    let screen = Screen::new(140, &[3.0, 0.3, 0.08], [-0.9, 0.2, 1.1], false);
    let reference = Reference::Cells(screen.controls());
    for prior in [Prior::Cauchy(0.4), Prior::Cauchy(0.05), Prior::Normal(0.5)] {
        let got = screen.shrink(&reference, prior, Centre::Mean);
        for at in 0..9 {
            let pair = Pair::new(&screen, at, &screen.controls(), prior);
            // The intercept over where it can be, effects by steps that grow.
            let (centre, top) = pair.highest_at(0.0, false);
            let mut sums = [0.0; 4];
            let step = 0.04;
            for i in -150..=150 {
                let u = step * (f64::from(i) - 0.5);
                let c = prior.scale() * u.sinh();
                if c.abs() > 12.0 {
                    continue;
                }
                for j in -60..=60 {
                    let b = centre[0] + f64::from(j) / 12.0;
                    let mass = (pair.log_posterior([b, 0.0], c) - top).exp() * u.cosh();
                    sums[0] += mass;
                    sums[1] += mass * c;
                    sums[2] += mass * c * c;
                    sums[3] += if c < 0.0 { mass } else { 0.0 };
                }
            }
            let mean = sums[1] / sums[0];
            let sd = (sums[2] / sums[0] - mean * mean).sqrt();
            let negative = sums[3] / sums[0];
            let lfsr = if mean > 0.0 { negative } else { 1.0 - negative };
            let [found, found_sd, found_lfsr] = [got.estimate[at], got.std_err[at], got.lfsr[at]];
            let what =
                format!("{prior:?} {at}: {found} {found_sd} {found_lfsr}, not {mean} {sd} {lfsr}");
            // Laplace's approximation of the integral over the intercept.
            assert!((found - mean).abs() < 0.005 * sd, "{what}");
            assert!((found_sd / sd - 1.0).abs() < 0.005, "{what}");
            assert!((found_lfsr - lfsr).abs() < 0.005 * lfsr + 1e-6, "{what}");
        }
    }
}

#[test]
fn separated_pairs_have_a_mode() {
    let mut screen = Screen::new(140, &[1.0, 1.0], [0.0; 3], true);
    // No count in the first perturbation's cells, none in the reference's.
    let controls = screen.controls();
    for &cell in &screen.perturbed[0] {
        screen.counts[0][cell as usize] = 0.0;
    }
    for &cell in &controls {
        screen.counts[1][cell as usize] = 0.0;
    }
    let prior = Prior::Cauchy(0.5);
    let reference = Reference::Cells(controls.clone());
    let got = screen.shrink(&reference, prior, Centre::Mode);
    for (at, negative) in [(0, true), (3, false), (4, false)] {
        let pair = Pair::new(&screen, at, &controls, prior);
        let height = |c: f64| pair.highest_at(c, true).1;
        let places = (-40..=40).map(|i| f64::from(i) / 2.0);
        let best = places.max_by(|a, b| height(*a).total_cmp(&height(*b))).unwrap();
        let want = golden(best - 0.5, best + 0.5, height);
        let found = got.estimate[at];
        assert!((found - want).abs() < 1e-3 * got.std_err[at], "{at}: {found} not {want}");
        assert_eq!(found < 0.0, negative);
        assert!(got.std_err[at] > 0.0 && got.lfsr[at] < 0.5);
    }
    // The posterior's tail is the prior's, which has no mean.
    assert!(screen.shrink(&reference, prior, Centre::Mean).estimate[0].is_nan());
    // Without a theta of the reference it is the pair's own.
    let unknown = Request { prior, centre: Centre::Mode, theta: f64::NAN, means: &[f64::NAN; 2] };
    let own = screen.shrink_with(&reference, &unknown, &Monitor::new());
    assert!(own.unwrap().estimate[3].is_finite());
}

#[test]
fn threads_do_not_change_a_bit_and_work_can_be_cancelled() {
    let means: Vec<f64> = (1..20).map(|g| 0.2 * f64::from(g)).collect();
    let screen = Screen::new(140, &means, [-0.5, 0.5, 0.0], true);
    let shrink = |threads| {
        let run = || screen.shrink(&Reference::Complement, Prior::Cauchy(0.2), Centre::Mode);
        pool(threads).unwrap().install(run)
    };
    let (one, three) = (shrink(1), shrink(3));
    let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one.estimate), bits(&three.estimate));
    assert_eq!(bits(&one.std_err), bits(&three.std_err));
    assert_eq!(bits(&one.lfsr), bits(&three.lfsr));
    assert!(one.estimate.iter().all(|x| x.is_finite()));
    let monitor = Monitor::new();
    monitor.cancel();
    let means = [f64::NAN; 19];
    let request =
        Request { prior: Prior::Cauchy(1.0), centre: Centre::Mode, theta: 1.0, means: &means };
    let end = screen.shrink_with(&Reference::Complement, &request, &monitor);
    assert_eq!(end, Err(Error::Interrupted));
}

#[test]
fn other_data_are_told() {
    let screen = Screen::new(140, &[3.0, 0.3], [0.0; 3], false);
    let controls = screen.controls();
    let mean = |counts: &Vec<f64>| {
        controls.iter().map(|&cell| counts[cell as usize]).sum::<f64>() / controls.len() as f64
    };
    let mut means: Vec<f64> = screen.counts.iter().map(mean).collect();
    let shrink = |means: &[f64]| {
        let prior = Prior::Cauchy(1.0);
        let request = Request { prior, centre: Centre::Mode, theta: 1.0, means };
        screen.shrink_with(&Reference::Cells(controls.clone()), &request, &Monitor::new())
    };
    assert!(shrink(&means).is_ok());
    means[1] += 1.0 / controls.len() as f64;
    assert!(matches!(shrink(&means), Err(Error::OtherData { gene: 2, .. })));
    assert!(matches!(shrink(&means[..1]), Err(Error::Shape { .. })));
}

#[test]
fn counts_in_few_cells_leave_no_pair_without_a_posterior() {
    // Gene g has counts in the cells of one perturbation, or in the control cells.
    let mut screen = Screen::new(140, &[0.5, 4.0, 30.0, 0.5, 4.0, 30.0, 200.0], [0.0; 3], true);
    let controls = screen.controls();
    for (g, counts) in screen.counts.iter_mut().enumerate() {
        let kept = if g % 4 < 3 { &screen.perturbed[g % 4] } else { &controls };
        for (cell, y) in counts.iter_mut().enumerate() {
            *y *= f64::from(kept.contains(&(cell as u32)));
        }
    }
    let perturbed = (0..140).filter(|cell| !controls.contains(cell)).collect();
    for reference in
        [Reference::Cells(controls.clone()), Reference::Complement, Reference::Cells(perturbed)]
    {
        for theta in [0.02, 1.0, 50.0] {
            let request = Request {
                prior: Prior::Cauchy(0.3),
                centre: Centre::Mode,
                theta,
                means: &[f64::NAN; 7],
            };
            let got = screen.shrink_with(&reference, &request, &Monitor::new()).unwrap();
            let lost: Vec<usize> = (0..21).filter(|&at| got.estimate[at].is_nan()).collect();
            assert!(lost.is_empty(), "{reference:?} {theta}: {lost:?}");
        }
    }
}
