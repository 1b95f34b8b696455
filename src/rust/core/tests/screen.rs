//! Pairs of gene and perturbation against their models written out and fitted
//! by textbook iterations.

mod reference;

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{Problem, by_cell};
use scoria_core::design::Membership;
use scoria_core::engine::screen::{
    Comparison, Dispersion, Family, Options, Pairs, Reference, Resampling, StdErr, Strata, Test,
    fit_screen,
};
use scoria_core::result::{PairStatus, ScreenBlock};
use scoria_core::source::Csc;
use scoria_core::{Monitor, pool};

const OPTIONS: Options = Options {
    family: Family::NegativeBinomial,
    dispersion: Dispersion::Null,
    test: Test::Wald,
    resampling: Resampling::Permutation,
    std_err: StdErr::Expected,
    tolerance: 5e-6,
    max_iterations: 100,
    memory_limit: None,
};

/// A screen of some genes, and which cells are compared.
struct Screen {
    genes: Vec<Problem>,
    perturbed: Vec<Vec<u32>>,
    reference: Reference,
}

impl Screen {
    /// `kind`: 0 all other cells, 1 control cells, 2 all perturbed cells.
    fn random(seed: u64, n: usize, p: usize, sizes: &[usize], kind: u8, level: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xace);
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        // The last third are the controls, where there are any.
        let held = if kind == 0 { n } else { n - n / 3 };
        let mut perturbed: Vec<Vec<u32>> = vec![];
        for &size in sizes {
            let size = size.clamp(1, held / 2);
            let start = rng.random_range(0..=held - size);
            perturbed.push(sorted(&order[start..start + size]));
        }
        let reference = match kind {
            0 => Reference::Complement,
            1 => Reference::Cells(sorted(&order[held..])),
            _ => Reference::Cells(sorted(&order[..held])),
        };
        let alphas = [0.0, 0.3, 3.0];
        let genes = (0..3).map(|g| {
            let mut problem = Problem::random(seed, n, p, alphas[g]).with_level(level, seed);
            // The first perturbation has an effect.
            for &cell in &perturbed[0] {
                let y = &mut problem.counts[cell as usize];
                *y = if g == 1 { (*y / 4.0).floor() } else { 3.0 * *y };
            }
            problem
        });
        Self { genes: genes.collect(), perturbed, reference }
    }

    fn fit(&self, options: &Options, threads: usize) -> ScreenBlock {
        self.fit_in_strata(options, threads, None)
    }

    fn fit_in_strata(
        &self,
        options: &Options,
        threads: usize,
        strata: Option<Strata>,
    ) -> ScreenBlock {
        let n = self.genes[0].offset.len();
        let (offsets, rows, values) = by_cell(&self.genes, n);
        let counts = Csc::new(self.genes.len(), &offsets, &rows, &values).unwrap();
        let membership = self.membership();
        let first = &self.genes[0];
        let comparison =
            Comparison::new(&first.columns, &first.offset, &membership, &self.reference, strata)
                .unwrap();
        let mut block = ScreenBlock::default();
        let monitor = Monitor::new();
        let fit = || fit_screen(&counts, &comparison, Pairs::All, options, &monitor, &mut block);
        pool(threads).unwrap().install(fit).unwrap();
        block
    }

    fn membership(&self) -> Membership {
        let mut offsets = vec![0];
        self.perturbed
            .iter()
            .for_each(|cells| offsets.push(offsets.last().unwrap() + cells.len() as i32));
        let cells: Vec<i32> = self.perturbed.iter().flatten().map(|&cell| cell as i32).collect();
        Membership::new(&offsets, &cells, self.genes[0].offset.len()).unwrap()
    }

    /// The model of a pair, its last column one in perturbed cells; and the null
    /// model of the same cells.
    fn written_out(&self, gene: usize, k: usize) -> (Problem, Problem) {
        let whole = &self.genes[gene];
        let n = whole.offset.len();
        let own = |i: usize| self.perturbed[k].binary_search(&(i as u32)).is_ok();
        let dropped = |i: usize| match &self.reference {
            Reference::Complement => false,
            Reference::Cells(cells) => !own(i) && cells.binary_search(&(i as u32)).is_err(),
        };
        let mut with = whole.clone();
        with.columns.extend((0..n).map(|i| f64::from(own(i))));
        (with.without_cells(dropped), whole.without_cells(dropped))
    }
}

fn sorted(cells: &[u32]) -> Vec<u32> {
    let mut cells = cells.to_vec();
    cells.sort_unstable();
    cells
}

/// The optimum at a given theta, and three standard errors of the last
/// coefficient: Newton's method on the model written out, in long form.
struct Optimum {
    estimate: f64,
    std_err: [f64; 3],
    log_likelihood: f64,
}

/// None where covariates go to infinity.
fn optimum(problem: &Problem, theta: f64) -> Option<Optimum> {
    let n = problem.offset.len();
    let p = problem.columns.len() / n;
    let column = |j: usize| &problem.columns[j * n..(j + 1) * n];
    let gram = |w: &[f64]| {
        Mat::from_fn(p, p, |j, k| (0..n).map(|i| w[i] * column(j)[i] * column(k)[i]).sum::<f64>())
    };
    let mut b = problem.negative_binomial_at(theta).coefficients;
    let weights = |b: &[f64]| {
        let cells = problem.predictors(b).into_iter().zip(&problem.counts);
        let (mut r, mut expected, mut observed) = (vec![], vec![], vec![]);
        for (eta, y) in cells {
            let shrink = 1.0 / (1.0 + eta.exp() / theta);
            r.push((y - eta.exp()) * shrink);
            expected.push(eta.exp() * shrink);
            observed.push(eta.exp() * shrink * shrink * (1.0 + y / theta));
        }
        (r, expected, observed)
    };
    let mut score = f64::INFINITY;
    for _ in 0..20 {
        let (r, _, observed) = weights(&b);
        let u = Mat::from_fn(p, 1, |j, _| (0..n).map(|i| column(j)[i] * r[i]).sum::<f64>());
        let step = gram(&observed).llt(Side::Lower).ok()?.solve(&u);
        (0..p).for_each(|j| b[j] += step[(j, 0)]);
        score = (0..p).map(|j| (u[(j, 0)] * step[(j, 0)]).abs()).sum::<f64>();
    }
    if b.iter().any(|b| b.abs() > 25.0) {
        return None;
    }
    assert!(score < 1e-14, "the reference has not converged: {score:e}");
    let (r, expected, observed) = weights(&b);
    let unit = Mat::from_fn(p, 1, |j, _| f64::from(j == p - 1));
    let row = |w: &[f64]| gram(w).llt(Side::Lower).unwrap().solve(&unit);
    let (expected, observed) = (row(&expected), row(&observed));
    let meat = gram(&r.iter().map(|r| r * r).collect::<Vec<_>>());
    let sandwich = (expected.transpose() * &meat * &expected)[(0, 0)].sqrt();
    Some(Optimum {
        estimate: b[p - 1],
        std_err: [expected[(p - 1, 0)].sqrt(), observed[(p - 1, 0)].sqrt(), sandwich],
        log_likelihood: problem.nb_log_likelihood(&b, theta),
    })
}

/// Every pair that has an optimum; how many there were.
fn agrees(screen: &Screen, block: &ScreenBlock, options: &Options) -> usize {
    let pairs = &block.pairs;
    let mut compared = 0;
    for gene in 0..screen.genes.len() {
        for k in 0..screen.perturbed.len() {
            let at = gene * screen.perturbed.len() + k;
            if pairs.status[at] != PairStatus::Ok as u8 {
                continue;
            }
            let (with, without) = screen.written_out(gene, k);
            let theta = match pairs.theta.get(at) {
                Some(&own) => own,
                None => block.genes.theta[gene],
            };
            let Some(fit) = optimum(&with, theta) else { continue };
            let (estimate, std_err) = (fit.estimate, fit.std_err[options.std_err as usize]);
            let distance = (pairs.estimate[at] - estimate).abs() / std_err;
            let what = format!(
                "gene {gene}, perturbation {k} ({} cells, theta {theta}, {} refreshes, bound {:e})",
                screen.perturbed[k].len(),
                pairs.refreshes[at],
                pairs.error_bound[at],
            );
            assert!(distance < 1e-5, "{what}: {} not {estimate}", pairs.estimate[at]);
            let bound = f64::from(pairs.error_bound[at]);
            assert!(distance <= bound + 3e-7, "{what}: off by {distance:e}");
            if options.std_err == StdErr::Sandwich && screen.perturbed[k].len() == 1 {
                assert!(pairs.std_err[at].is_nan(), "{what}");
                continue;
            }
            let ratio = pairs.std_err[at] / std_err;
            let near = if options.std_err == StdErr::Sandwich { 3e-5 } else { 1e-5 };
            assert!(
                (ratio - 1.0).abs() < near,
                "{what}: std_err {} not {std_err}",
                pairs.std_err[at]
            );
            if options.test == Test::LikelihoodRatio {
                let null = optimum(&without, theta).unwrap();
                let gain = 0.5 * pairs.statistic[at].powi(2);
                let want = fit.log_likelihood - null.log_likelihood;
                let tolerance = 1e-6 + 1e-12 * fit.log_likelihood.abs();
                assert!((gain - want).abs() < tolerance, "{what}: gain {gain} not {want}");
                let signs = pairs.statistic[at] * estimate;
                assert!(signs >= 0.0 || want < 1e-6, "{what}");
            }
            compared += 1;
        }
    }
    compared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn estimates_are_those_of_the_joint_optimum(
        seed in 0u64..1_000_000,
        n in 60usize..500,
        p in 1usize..=12,
        sizes in prop::collection::vec(1usize..250, 3),
        kind in 0u8..3,
        level in -2.0f64..4.0,
        test in prop::sample::select(vec![Test::LikelihoodRatio, Test::Wald]),
        std_err in prop::sample::select(vec![
            StdErr::Expected, StdErr::Observed, StdErr::Sandwich,
        ]),
    ) {
        let n = n.max(12 * p);
        let screen = Screen::random(seed, n, p, &sizes, kind, level);
        let options = Options { test, std_err, ..OPTIONS };
        agrees(&screen, &screen.fit(&options, 1), &options);
    }
}

fn cases() -> u32 {
    std::env::var("SCORIA_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60)
}

#[test]
fn small_and_large_perturbations_of_many_cells_agree() {
    let n = 6000;
    for kind in 0..3 {
        let sizes = [3000, 1, 2, 30, 300];
        let screen = Screen::random(77 + u64::from(kind), n, 4, &sizes, kind, 0.5);
        let options = Options { test: Test::LikelihoodRatio, ..OPTIONS };
        let compared = agrees(&screen, &screen.fit(&options, 2), &options);
        assert!(compared >= 12, "{compared} of 15 pairs have an optimum");
    }
}

/// What a score test of a pair looks at: null residuals, the perturbed cells, and
/// the columns and strata of the cells compared.
struct NullModel {
    residuals: Vec<f64>,
    own: Vec<usize>,
    problem: Problem,
    score: f64,
}

fn null_model(screen: &Screen, gene: usize, k: usize, theta: f64) -> NullModel {
    let (with, without) = screen.written_out(gene, k);
    let n = with.offset.len();
    let p = without.columns.len() / n;
    let own: Vec<usize> = (0..n).filter(|i| with.columns[p * n + i] == 1.0).collect();
    let b = without.negative_binomial_at(theta).coefficients;
    let (mut residuals, mut weights) = (vec![], vec![]);
    for (eta, y) in without.predictors(&b).into_iter().zip(&without.counts) {
        let shrink = 1.0 / (1.0 + eta.exp() / theta);
        residuals.push((y - eta.exp()) * shrink);
        weights.push(eta.exp() * shrink);
    }
    let column = |j: usize| &with.columns[j * n..(j + 1) * n];
    let information = Mat::from_fn(p + 1, p + 1, |j, l| {
        (0..n).map(|i| weights[i] * column(j)[i] * column(l)[i]).sum::<f64>()
    });
    let unit = Mat::from_fn(p + 1, 1, |j, _| f64::from(j == p));
    let variance = information.llt(Side::Lower).unwrap().solve(&unit)[(p, 0)];
    let score = own.iter().map(|&i| residuals[i]).sum::<f64>() * variance.sqrt();
    NullModel { residuals, own, problem: without, score }
}

#[test]
fn scores_and_their_calibration_are_those_of_resampling() {
    const DRAWS: usize = 100_000;
    for kind in 0..3u8 {
        let screen = Screen::random(5 + u64::from(kind), 300, 3, &[40, 15], kind, -0.5);
        // The binary covariate divides the cells.
        let of: Vec<u16> = screen.genes[0].columns[600..].iter().map(|&x| x as u16).collect();
        for (resampling, strata) in [
            (Resampling::Permutation, None),
            (Resampling::Permutation, Some(Strata { of: of.clone(), count: 2 })),
            (Resampling::Conditional, None),
        ] {
            let options = Options { test: Test::Calibrated, resampling, ..OPTIONS };
            let block = screen.fit_in_strata(&options, 1, strata.clone());
            for (gene, k) in [(0, 0), (1, 0), (2, 1), (1, 1)] {
                let at = 2 * gene + k;
                let null = null_model(&screen, gene, k, block.genes.theta[gene]);
                let z = block.pairs.statistic[at];
                assert!((z - null.score).abs() < 1e-5, "score {z} not {}", null.score);
                let p = brute_force(&null, resampling, strata.is_some(), DRAWS);
                let got = block.pairs.p_value[at];
                let slack = 5.0 * (p.max(1e-4) / DRAWS as f64).sqrt() * 2.0 + 0.03 * p;
                assert!((got - p).abs() < slack, "{kind} {resampling:?} {gene} {k}: {got} not {p}");
            }
        }
    }
}

/// The share of draws whose sums of residuals are farther from their mean, what is as
/// far counted half.
fn brute_force(null: &NullModel, resampling: Resampling, strata: bool, draws: usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let n = null.residuals.len();
    let sum = |cells: &[usize]| cells.iter().map(|&i| null.residuals[i]).sum::<f64>();
    let observed = sum(&null.own);
    let stratum = |i: usize| if strata { null.problem.columns[2 * n + i] as usize } else { 0 };
    let members: Vec<Vec<usize>> =
        (0..2).map(|s| (0..n).filter(|&i| stratum(i) == s).collect()).collect();
    let is_own: Vec<bool> = (0..n).map(|i| null.own.contains(&i)).collect();
    let logistic = Problem {
        counts: is_own.iter().map(|&o| f64::from(o)).collect(),
        offset: vec![0.0; n],
        ..null.problem.clone()
    };
    let model = logistic.binomial().coefficients;
    let chance: Vec<f64> =
        logistic.predictors(&model).iter().map(|eta| 1.0 / (1.0 + (-eta).exp())).collect();
    let mut sums = vec![];
    for _ in 0..draws {
        let mut drawn = vec![];
        match resampling {
            Resampling::Conditional => {
                drawn.extend((0..n).filter(|&i| rng.random::<f64>() < chance[i]));
            }
            Resampling::Permutation => {
                for cells in &members {
                    let mut cells = cells.clone();
                    let m = cells.iter().filter(|&&i| is_own[i]).count();
                    for j in 0..m {
                        let with = rng.random_range(j..cells.len());
                        cells.swap(j, with);
                    }
                    drawn.extend_from_slice(&cells[..m]);
                }
            }
        }
        sums.push(sum(&drawn));
    }
    let mean = match resampling {
        Resampling::Conditional => chance.iter().zip(&null.residuals).map(|(p, r)| p * r).sum(),
        Resampling::Permutation => members
            .iter()
            .map(|cells| {
                let m = cells.iter().filter(|&&i| is_own[i]).count();
                m as f64 * sum(cells) / cells.len().max(1) as f64
            })
            .sum::<f64>(),
    };
    let farther = |sum: &f64| match (sum - mean).abs() - (observed - mean).abs() {
        off if off > 1e-9 => 1.0,
        off if off < -1e-9 => 0.0,
        _ => 0.5,
    };
    sums.iter().map(farther).sum::<f64>() / draws as f64
}
