//! Dispersions against slow, obvious references: the adjusted profile likelihood
//! from textbook fits, searched on a grid and by bisection.

mod reference;

use proptest::prelude::*;
use reference::Problem;
use scoria_core::design::Design;
use scoria_core::engine::dispersion::{
    Prior, Spread, Trend, base_mean, estimate_dispersions, fit_trend, gene_wise, map,
};
use scoria_core::engine::glm::{Estimate, GeneFit, Status, Workspace};
use scoria_core::result::DispersionTable;
use scoria_core::source::{Csc, GeneCounts};
use scoria_core::{Error, Monitor, pool};

fn with<T>(problem: &Problem, f: impl FnOnce(GeneCounts<'_>, &Design) -> T) -> T {
    let design = Design::new(&problem.columns, &problem.offset).unwrap();
    let (cells, counts) = problem.sparse();
    f(GeneCounts { cells: &cells, counts: &counts }, &design)
}

fn own(problem: &Problem) -> GeneFit {
    with(problem, |counts, design| {
        gene_wise(counts, design, &mut Workspace::new(), &Monitor::new()).unwrap()
    })
}

fn shrunken(problem: &Problem, prior: &Prior) -> GeneFit {
    let own = own(problem);
    with(problem, |counts, design| {
        map(counts, design, prior, &own, &mut Workspace::new(), &Monitor::new()).unwrap()
    })
}

fn posterior(problem: &Problem, prior: Option<&Prior>, log_alpha: f64) -> f64 {
    let off = |prior: &Prior| (log_alpha - prior.alpha.ln()).powi(2) / (2.0 * prior.variance);
    problem.adjusted_profile((-log_alpha).exp()) - prior.map_or(0.0, off)
}

/// The highest place from -9 to 6: on a grid, then by bisection of the slope, in
/// differences that are exact to the fourth order.
fn highest(f: impl Fn(f64) -> f64) -> f64 {
    const H: f64 = 0.02;
    let places: Vec<f64> = (0..61).map(|k| -9.0 + 0.25 * f64::from(k)).collect();
    let best = places.iter().map(|x| f(*x)).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let best = places[best.unwrap().0];
    let (mut low, mut high) = (best - 0.25, best + 0.25);
    while high - low > 1e-8 {
        let x = 0.5 * (low + high);
        let (near, far) = (f(x + H) - f(x - H), f(x + 2.0 * H) - f(x - 2.0 * H));
        if 8.0 * near - far > 0.0 { low = x } else { high = x }
    }
    0.5 * (low + high)
}

/// log(alpha) within 1e-6, coefficients within 1e-6 standard errors.
fn assert_highest(got: &GeneFit, problem: &Problem, prior: Option<&Prior>) {
    assert_eq!(got.status, Status::Ok);
    let want = highest(|x| posterior(problem, prior, x));
    assert!((-got.theta.ln() - want).abs() < 1e-6, "log(alpha) {} not {want}", -got.theta.ln());
    let fit = problem.negative_binomial_at(got.theta);
    for k in 0..fit.coefficients.len() {
        let off = (got.coefficients[k] - fit.coefficients[k]).abs() / fit.standard_errors[k];
        assert!(off < 1e-6, "coefficient {k}: {} not {}", got.coefficients[k], fit.coefficients[k]);
    }
}

/// Cells, columns, dispersion, logarithm of the mean: from a dozen cells to many,
/// from one column to half as many as cells.
const PROBLEMS: [(usize, usize, f64, f64); 8] = [
    (300, 1, 0.5, 0.5),
    (300, 4, 0.2, 2.0),
    (800, 3, 1.0, -1.0),
    (60, 8, 0.5, 3.0),
    (12, 3, 0.8, 4.0),
    (14, 7, 0.5, 4.0),
    (40, 2, 5.0, 1.0),
    (500, 12, 0.05, 4.0),
];

#[test]
fn own_dispersions_agree_with_a_grid_search() {
    for (seed, (cells, columns, alpha, level)) in PROBLEMS.into_iter().enumerate() {
        let problem = Problem::random(seed as u64, cells, columns, alpha).with_level(level, 1);
        assert_highest(&own(&problem), &problem, None);
    }
}

#[test]
fn shrunken_dispersions_agree_with_a_grid_search() {
    for (seed, (cells, columns, alpha, level)) in PROBLEMS.into_iter().enumerate() {
        let problem = Problem::random(seed as u64, cells, columns, alpha).with_level(level, 1);
        for prior in [(0.01, 0.25), (0.5, 0.5), (20.0, 2.0)] {
            let prior = Prior { alpha: prior.0, variance: prior.1 };
            assert_highest(&shrunken(&problem, &prior), &problem, Some(&prior));
        }
    }
}

#[test]
fn the_adjustment_takes_degrees_of_freedom_into_account() {
    // Two cells a group: maximum likelihood is far too low.
    let problem = Problem::groups(100, 200, 100.0, 4);
    let design = |f: &dyn Fn(GeneCounts<'_>, &Design) -> f64| with(&problem, f);
    let adjusted = 1.0 / own(&problem).theta;
    let plain = design(&|counts, design| {
        use scoria_core::engine::glm::{Family, Options, fit_gene};
        let options = Options { family: Family::NegativeBinomial, max_iterations: 100 };
        let mut workspace = Workspace::new();
        1.0 / fit_gene(counts, design, &options, &mut workspace, &Monitor::new()).unwrap().theta
    });
    assert!((0.4..0.65).contains(&adjusted), "{adjusted}, drawn with 0.5");
    assert!(plain < 0.3, "{plain}");
}

#[test]
fn a_gene_less_variable_than_poisson_has_no_dispersion_until_shrunken() {
    let mut problem = Problem::groups(2, 100, 1.0, 1);
    problem.counts.iter_mut().enumerate().for_each(|(cell, y)| *y = 2.0 + (cell % 3) as f64);
    let got = own(&problem);
    assert_eq!((got.status, got.theta), (Status::Ok, f64::INFINITY));
    let want = problem.poisson();
    for k in 0..2 {
        assert!((got.coefficients[k] - want.coefficients[k]).abs() < 1e-9);
    }
    let prior = Prior { alpha: 0.3, variance: 0.5 };
    assert_highest(&shrunken(&problem, &prior), &problem, Some(&prior));
}

#[test]
fn an_optimum_beyond_the_poisson_limit_is_found() {
    // As in the tests of `fit_gene()`: at alpha = 0 the likelihood falls, and has
    // its maximum far away.
    let mut problem = Problem::groups(1, 520, 1.0, 1);
    for cell in 0..520 {
        let bright = cell < 20;
        problem.offset[cell] = if bright { 1000f64.ln() } else { 0.0 };
        problem.counts[cell] = match bright {
            true => 400.0,
            false => f64::from(cell % 20 == 0) * 3.0,
        };
    }
    assert_highest(&own(&problem), &problem, None);
}

#[test]
fn a_group_without_counts_changes_nothing() {
    let mut problem = Problem::groups(3, 90, 2.0, 1);
    for cell in (2..90).step_by(3) {
        problem.counts[cell] = 0.0;
    }
    let rest = problem.without_cells(|cell| cell % 3 == 2).without_column(2);
    let prior = Prior { alpha: 0.1, variance: 0.3 };
    for (got, want) in
        [(own(&problem), own(&rest)), (shrunken(&problem, &prior), shrunken(&rest, &prior))]
    {
        let down = Estimate::Infinite(-1);
        assert_eq!(got.estimates, [Estimate::Finite, Estimate::Finite, down]);
        assert!((got.theta / want.theta - 1.0).abs() < 1e-9);
    }
}

#[test]
fn hard_genes_have_an_answer_or_a_status() {
    // One count only.
    let mut problem = Problem::groups(1, 2000, 1.0, 1);
    problem.counts.fill(0.0);
    assert_eq!(own(&problem).status, Status::AllZero);
    problem.counts[77] = 5000.0;
    let got = own(&problem);
    assert_eq!(got.status, Status::Ok);
    assert!(got.theta < 1e-3 && got.theta > 0.0);
    let prior = Prior { alpha: 0.5, variance: 0.25 };
    assert_highest(&shrunken(&problem, &prior), &problem, Some(&prior));

    // Two cells with counts, eight columns: the adjusted profile has no maximum.
    let mut problem = Problem::random(3, 200, 8, 0.5);
    problem.counts.fill(0.0);
    problem.counts[5] = 3.0;
    problem.counts[50] = 1.0;
    let got = own(&problem);
    assert!(got.status == Status::NotConverged && got.theta.is_nan(), "{got:?}");
    let got = shrunken(&problem, &prior);
    assert!(got.status == Status::Ok && got.theta > 0.0 && got.theta.is_finite());
}

#[test]
fn huge_counts_agree_too() {
    let mut problem = Problem::random(9, 200, 3, 0.5);
    problem.counts.iter_mut().for_each(|y| *y = (*y * 1e5).round());
    assert_highest(&own(&problem), &problem, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// No alpha near what is reported, nor any of a few far away, has a higher
    /// adjusted profile.
    #[test]
    fn what_is_reported_is_an_optimum(
        seed in 0u64..10_000,
        cells in 20usize..300,
        columns in 1usize..6,
        dispersion in 0.0f64..4.0,
        level in -3.0f64..6.0,
        shrink: bool,
    ) {
        let problem = Problem::random(seed, cells, columns, dispersion).with_level(level, seed);
        let prior = shrink.then_some(Prior { alpha: 0.3, variance: 0.4 });
        let got = prior.map_or_else(|| own(&problem), |prior| shrunken(&problem, &prior));
        prop_assume!(got.status != Status::AllZero);
        prop_assume!(got.estimates.iter().all(|e| *e == Estimate::Finite));
        if got.status == Status::NotConverged {
            let counted = problem.counts.iter().filter(|y| **y > 0.0).count();
            prop_assert!(!shrink && 2 * counted <= columns + 2, "{} with counts", counted);
            return Ok(());
        }
        let at = |alpha: f64| posterior(&problem, prior.as_ref(), alpha.ln());
        let alpha = if got.theta.is_finite() { 1.0 / got.theta } else { 1e-7 / (1.0 + level.exp()) };
        let reached = at(alpha);
        let slack = 1e-8 * reached.abs().max(1.0);
        let factors: &[f64] = if got.theta.is_finite() { &[0.5, 0.95, 1.05, 2.0] } else { &[1e3, 1e5] };
        for other in factors.iter().map(|f| f * alpha).chain([0.03, 0.3, 3.0]) {
            prop_assert!(at(other) <= reached + slack, "{} better than {}", other, alpha);
        }
    }
}

// Trend and spread ---------------------------------------------------------------

/// Means from 0.01 to 100, and dispersions about a trend: log-normal with this
/// standard deviation.
fn scattered(genes: usize, trend: impl Fn(f64) -> f64, sd: f64) -> (Vec<f64>, Vec<f64>) {
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    (0..genes)
        .map(|_| {
            let mean = 0.01 * 1e4f64.powf(rng.random::<f64>());
            let off = sd * rng.sample::<f64, _>(StandardNormal);
            (mean, trend(mean) * off.exp())
        })
        .unzip()
}

#[test]
fn the_parametric_trend_is_the_gamma_regressions_maximum() {
    let (means, mut alphas) = scattered(3000, |mean| 0.2 + 0.6 / mean, 0.3);
    // Neither wild nor negligible dispersions have a say.
    (alphas[0], alphas[1], alphas[2]) = (1e9, 1e-9, f64::NAN);
    let Trend::Parametric { asymptotic, extra_poisson } = fit_trend(&means, &alphas).unwrap()
    else {
        panic!("not parametric");
    };
    assert!((asymptotic / 0.2 / (0.045f64).exp() - 1.0).abs() < 0.05, "{asymptotic}");
    assert!((extra_poisson / 0.6 / (0.045f64).exp() - 1.0).abs() < 0.05, "{extra_poisson}");
    // The score of the gamma family: sum of x (y - m) / m².
    let (mut score, mut information) = ([0.0; 2], [0.0; 2]);
    for (mean, alpha) in means.iter().zip(&alphas).skip(3) {
        let m = asymptotic + extra_poisson / mean;
        for (k, x) in [1.0, 1.0 / mean].into_iter().enumerate() {
            score[k] += x * (alpha - m) / (m * m);
            information[k] += x * x / (m * m);
        }
    }
    for k in 0..2 {
        assert!((score[k] / information[k].sqrt()).abs() < 1e-6, "{score:?}");
    }
}

#[test]
fn where_dispersions_grow_with_the_mean_the_trend_is_local() {
    let (means, alphas) = scattered(2000, |mean| 0.1 * mean.powf(0.5), 0.1);
    let trend = fit_trend(&means, &alphas).unwrap();
    assert_eq!(trend.name(), "local");
    for mean in [0.02f64, 1.0, 50.0] {
        assert!((trend.at(mean) / (0.1 * mean.sqrt())).ln().abs() < 0.1, "{}", trend.at(mean));
    }
    assert_eq!(trend.at(1e-9), trend.at(1e-3));
}

#[test]
fn few_genes_have_their_mean_and_none_an_error() {
    let trend = fit_trend(&[1.0, 10.0, 100.0], &[0.1, 0.3, 0.5]).unwrap();
    assert_eq!(trend.name(), "mean");
    assert!((trend.at(5.0) - 0.3).abs() < 1e-12);
    let none = fit_trend(&[1.0, 2.0], &[0.0, f64::NAN]);
    assert_eq!(none, Err(Error::NoDispersion { least: 1e-6 }));
}

#[test]
fn the_prior_has_the_variance_of_the_truth() {
    // Log-normal about the trend with variance 0.7, then chi-squared estimates:
    // here with many degrees of freedom.
    let (means, alphas) = scattered(20_000, |_| 0.5, 0.7f64.sqrt());
    let spread = Spread::about(&Trend::Constant(0.5), &means, &alphas, 1000);
    assert!((spread.residual_variance - 0.7).abs() < 0.03);
    assert!((spread.residual_variance - spread.prior_variance - 0.002_002).abs() < 1e-6);
}

// Whole matrices -----------------------------------------------------------------

const GENES: usize = 60;

fn matrix() -> (Vec<Problem>, Problem) {
    let shared = Problem::random(50, 300, 3, 0.0);
    let gene = |k: u64| {
        let alpha = 0.1 + 0.02 * (k % 10) as f64;
        let drawn = Problem::random(k, 300, 1, alpha).with_level(0.1 * k as f64 - 2.0, k);
        Problem { counts: drawn.counts, ..shared.clone() }
    };
    let mut genes: Vec<Problem> = (0..GENES as u64).map(gene).collect();
    genes[7].counts.fill(0.0);
    // Most cells alike, a few extreme: an outlier.
    genes[40].counts.iter_mut().enumerate().for_each(|(cell, y)| {
        *y = if cell % 60 == 0 { 3000.0 } else { 1.0 };
    });
    // Two counts: their likelihood is largest far above the trend, and says nothing.
    genes[20].counts.iter_mut().enumerate().for_each(|(cell, y)| {
        *y = if cell % 150 == 4 { 1.0 } else { 0.0 };
    });
    (genes, shared)
}

fn estimate(threads: usize) -> DispersionTable {
    let (genes, shared) = matrix();
    let (p, i, x) = reference::by_cell(&genes, 300);
    let counts = Csc::new(genes.len(), &p, &i, &x).unwrap();
    let design = Design::new(&shared.columns, &shared.offset).unwrap();
    let job = || estimate_dispersions(&counts, &design, None, &Monitor::new()).unwrap();
    pool(threads).unwrap().install(job)
}

fn loss(problem: &Problem, own: &GeneFit, alpha: f64) -> f64 {
    let at = |theta: f64| problem.negative_binomial_at(theta).log_likelihood;
    if own.theta.is_finite() { at(own.theta) - at(1.0 / alpha) } else { 0.0 }
}

#[test]
fn the_steps_follow_one_another() {
    let table = estimate(1);
    let (genes, _) = matrix();
    for (k, gene) in genes.iter().enumerate().filter(|(k, _)| *k != 7) {
        let fit = own(gene);
        assert_eq!(table.gene_wise[k], 1.0 / fit.theta);
        assert_eq!(table.mean[k], with(gene, base_mean));
        let n = gene.counts.len() as f64;
        let scaled = gene.counts.iter().zip(&gene.offset).map(|(y, o)| y / o.exp());
        assert!((table.mean[k] / (scaled.sum::<f64>() / n) - 1.0).abs() < 1e-12);
        let trend = table.fitted_trend.at(table.mean[k]);
        assert_eq!(table.trend[k], trend);
        let prior = Prior { alpha: trend, variance: table.spread.prior_variance };
        let far = 2.0 * table.spread.residual_variance.sqrt();
        let outlier = (table.gene_wise[k] / trend).ln() > far && loss(gene, &fit, trend) > 2.0;
        assert_eq!(table.outlier[k], outlier);
        let want = if outlier { fit } else { shrunken(gene, &prior) };
        assert_eq!(table.dispersion[k], 1.0 / want.theta, "gene {k}");
    }
    assert!(table.outlier[40]);
    assert!(table.gene_wise[20] > 10.0 * table.trend[20] && !table.outlier[20]);
    assert_eq!(table.fitted_trend, fit_trend(&table.mean, &table.gene_wise).unwrap());
    assert_eq!(table.status[7], Status::AllZero);
    assert_eq!((table.mean[7], table.outlier[7]), (0.0, false));
    assert!(table.gene_wise[7].is_nan() && table.trend[7].is_nan() && table.dispersion[7].is_nan());
}

#[test]
fn threads_do_not_change_a_bit() {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let (one, two) = (estimate(1), estimate(2));
    assert_eq!(bits(&one.dispersion), bits(&two.dispersion));
    assert_eq!(bits(&one.gene_wise), bits(&two.gene_wise));
}

#[test]
fn what_cannot_be_estimated_is_an_error() {
    let (genes, shared) = matrix();
    let design = Design::new(&shared.columns, &shared.offset).unwrap();
    let (p, i, x) = reference::by_cell(&genes[..2], 300);
    let counts = Csc::new(2, &p, &i, &x).unwrap();
    let monitor = Monitor::new();
    let other = Csc::new(2, &p[..2], &i[..p[1] as usize], &x[..p[1] as usize]).unwrap();
    let refused = estimate_dispersions(&other, &design, None, &monitor).unwrap_err();
    assert_eq!(refused.class(), "shape");
    let halves: Vec<f64> = x.iter().map(|x| x / 2.0).collect();
    let other = Csc::new(2, &p, &i, &halves).unwrap();
    assert_eq!(
        estimate_dispersions(&other, &design, None, &monitor).unwrap_err().class(),
        "counts"
    );
    monitor.cancel();
    assert_eq!(estimate_dispersions(&counts, &design, None, &monitor), Err(Error::Interrupted));
}
