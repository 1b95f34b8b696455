//! Draws counts from the model that the engines fit, so that an estimate can be
//! held against the truth.

use crate::{Error, Monitor, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson};
use rayon::prelude::*;

/// The generating model, borrowed from the caller. The count of gene g in cell
/// i is negative binomial with size `thetas[g]` and mean
///
/// s_i * mu_g * exp(x_i' b_g + sum of the effects on g of what perturbs i).
///
/// Perturbations, cells and genes are counted from zero.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// s, one a cell.
    pub size_factors: &'a [f64],
    /// mu, one a gene.
    pub means: &'a [f64],
    /// theta = 1 / dispersion, one a gene; infinite for a Poisson gene.
    pub thetas: &'a [f64],
    /// x, cells x covariates by column; may have no column.
    pub design: &'a [f64],
    /// b, covariates x genes by column, natural logarithm.
    pub coefficients: &'a [f64],
    /// The cells of perturbation k are
    /// `perturbed_cells[perturbation_offsets[k]..perturbation_offsets[k + 1]]`.
    pub perturbation_offsets: &'a [i32],
    pub perturbed_cells: &'a [i32],
    /// The true effects: three parallel lists, effects as natural logarithms.
    pub effect_genes: &'a [i32],
    pub effect_perturbations: &'a [i32],
    pub effects: &'a [f64],
    /// With it, every draw is fixed, whatever the number of threads.
    pub seed: u64,
    pub threads: usize,
}

/// Counts as a matrix of genes x cells, compressed by cell: the slots p, i and
/// x of R's dgCMatrix.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedCounts {
    pub offsets: Vec<i32>,
    pub rows: Vec<i32>,
    pub values: Vec<f64>,
}

/// What was drawn for one gene, zeros left out, cells in order.
type GeneDraws = Vec<(i32, f64)>;

/// Draws the counts of every gene in every cell; one tick a gene.
///
/// # Errors
/// Where lengths disagree, an index is out of range, a parameter is not finite
/// or not positive, a mean is beyond what a Poisson draw can take, or the
/// result has more entries than a dgCMatrix can hold.
pub fn simulate_counts(simulation: &Simulation, monitor: &Monitor) -> Result<SimulatedCounts> {
    simulation.check()?;
    let by_gene = simulation.effects_by_gene();
    let cells = simulation.size_factors.len();
    let draws: Vec<GeneDraws> = crate::pool(simulation.threads)?.install(|| {
        (0..simulation.means.len())
            .into_par_iter()
            .map_init(
                || vec![0.0; cells],
                |means, gene| {
                    simulation.cell_means(gene, &by_gene[gene], means);
                    let drawn = simulation.draw(gene, means)?;
                    monitor.tick()?;
                    Ok(drawn)
                },
            )
            .collect::<Result<_>>()
    })?;
    by_cell(draws, cells)
}

impl Simulation<'_> {
    fn check(&self) -> Result<()> {
        let (cells, genes) = (self.size_factors.len(), self.means.len());
        let same = |what, found, expected| {
            if found == expected { Ok(()) } else { Err(Error::Shape { what, found, expected }) }
        };
        let covariates = self.design.len() / cells.max(1);
        same("gene dispersions", self.thetas.len(), genes)?;
        same("entries of the design", self.design.len(), cells * covariates)?;
        same("coefficients", self.coefficients.len(), covariates * genes)?;
        same("genes of the effects", self.effect_genes.len(), self.effects.len())?;
        same("perturbations of the effects", self.effect_perturbations.len(), self.effects.len())?;

        positive("a size factor", self.size_factors)?;
        positive("a gene's mean", self.means)?;
        let bad = self.thetas.iter().find(|theta| theta.is_nan() || **theta <= 0.0);
        if let Some(theta) = bad {
            return Err(argument("theta", theta, "above 0"));
        }
        finite("the design", self.design)?;
        finite("the coefficients", self.coefficients)?;
        finite("the effects", self.effects)?;

        let offsets = self.perturbation_offsets;
        let covered = offsets.first() == Some(&0)
            && offsets.last().copied() == i32::try_from(self.perturbed_cells.len()).ok();
        if !covered || offsets.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(Error::Sparse("the offsets do not divide the perturbed cells"));
        }
        below("a perturbed cell", self.perturbed_cells, cells)?;
        below("the gene of an effect", self.effect_genes, genes)?;
        below("the perturbation of an effect", self.effect_perturbations, offsets.len() - 1)
    }

    /// For each gene, the positions of its effects, in the caller's order: the
    /// order of summation is part of the result.
    fn effects_by_gene(&self) -> Vec<Vec<usize>> {
        let mut by_gene = vec![Vec::new(); self.means.len()];
        for (position, &gene) in self.effect_genes.iter().enumerate() {
            by_gene[gene as usize].push(position);
        }
        by_gene
    }

    /// Fills `means` with the expected count of one gene in every cell.
    fn cell_means(&self, gene: usize, effects: &[usize], means: &mut [f64]) {
        let cells = means.len();
        let covariates = self.design.len() / cells.max(1);
        means.fill(self.means[gene].ln());
        for j in 0..covariates {
            let slope = self.coefficients[gene * covariates + j];
            let column = &self.design[j * cells..(j + 1) * cells];
            means.iter_mut().zip(column).for_each(|(eta, x)| *eta += slope * x);
        }
        for &position in effects {
            let k = self.effect_perturbations[position] as usize;
            let span =
                self.perturbation_offsets[k] as usize..self.perturbation_offsets[k + 1] as usize;
            for &cell in &self.perturbed_cells[span] {
                means[cell as usize] += self.effects[position];
            }
        }
        means.iter_mut().zip(self.size_factors).for_each(|(eta, size)| *eta = size * eta.exp());
    }

    /// Draws one gene from its own stream, so that neither the order of the
    /// genes nor the thread they run on can be seen in the result.
    fn draw(&self, gene: usize, means: &[f64]) -> Result<GeneDraws> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(gene as u64);
        let theta = self.thetas[gene];
        let spread = if theta.is_finite() {
            let gamma = Gamma::new(theta, theta.recip());
            Some(gamma.map_err(|_| argument("theta", &theta, "a number that has a reciprocal"))?)
        } else {
            None
        };
        let mut drawn = GeneDraws::new();
        for (cell, mean) in means.iter().enumerate() {
            let rate = mean * spread.map_or(1.0, |gamma| gamma.sample(&mut rng));
            // A gamma draw can underflow; a Poisson rate of zero draws zero.
            if rate == 0.0 {
                continue;
            }
            let poisson = Poisson::new(rate)
                .map_err(|_| argument("the mean of a count", mean, "below about 1e19"))?;
            let count = poisson.sample(&mut rng);
            if count > 0.0 {
                drawn.push((cell as i32, count));
            }
        }
        drawn.shrink_to_fit();
        Ok(drawn)
    }
}

/// Turns lists by gene into a matrix compressed by cell.
fn by_cell(draws: Vec<GeneDraws>, cells: usize) -> Result<SimulatedCounts> {
    let total: usize = draws.iter().map(Vec::len).sum();
    if total > i32::MAX as usize {
        let expected = "at most 2147483647: simulate fewer cells or genes";
        return Err(argument("the number of non-zero counts", &total, expected));
    }
    let mut offsets = vec![0; cells + 1];
    for &(cell, _) in draws.iter().flatten() {
        offsets[cell as usize + 1] += 1;
    }
    for cell in 0..cells {
        offsets[cell + 1] += offsets[cell];
    }
    let (mut rows, mut values) = (vec![0; total], vec![0.0; total]);
    let mut next = offsets.clone();
    // Genes come in order and are freed as they are placed.
    for (gene, drawn) in draws.into_iter().enumerate() {
        for (cell, count) in drawn {
            let place = &mut next[cell as usize];
            rows[*place as usize] = gene as i32;
            values[*place as usize] = count;
            *place += 1;
        }
    }
    Ok(SimulatedCounts { offsets, rows, values })
}

fn argument(name: &'static str, value: &impl ToString, expected: &'static str) -> Error {
    Error::Argument { name, value: value.to_string(), expected }
}

fn positive(name: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().find(|value| !value.is_finite() || **value <= 0.0) {
        Some(value) => Err(argument(name, value, "finite and above 0")),
        None => Ok(()),
    }
}

fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(Error::NotFinite { what })
    }
}

fn below(name: &'static str, indices: &[i32], limit: usize) -> Result<()> {
    match indices.iter().find(|index| **index < 0 || **index as usize >= limit) {
        Some(index) => Err(argument(name, index, "an index within range, counted from 0")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One gene, equal cells, nothing perturbed.
    fn plain<'a>(sizes: &'a [f64], means: &'a [f64], thetas: &'a [f64]) -> Simulation<'a> {
        Simulation {
            size_factors: sizes,
            means,
            thetas,
            design: &[],
            coefficients: &[],
            perturbation_offsets: &[0],
            perturbed_cells: &[],
            effect_genes: &[],
            effect_perturbations: &[],
            effects: &[],
            seed: 7,
            threads: 1,
        }
    }

    fn draw(simulation: &Simulation) -> SimulatedCounts {
        simulate_counts(simulation, &Monitor::new()).unwrap()
    }

    /// The counts of one gene, zeros included.
    fn dense(counts: &SimulatedCounts, gene: usize) -> Vec<f64> {
        let columns = counts.offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize);
        columns
            .map(|span| {
                let place = counts.rows[span.clone()].binary_search(&(gene as i32));
                place.map_or(0.0, |place| counts.values[span.start + place])
            })
            .collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn variance(values: &[f64]) -> f64 {
        let centre = mean(values);
        values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / values.len() as f64
    }

    /// Fourth central moment of a negative binomial over its squared variance.
    fn kurtosis(mu: f64, theta: f64) -> f64 {
        3.0 + 6.0 / theta + 1.0 / (mu * (1.0 + mu / theta))
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        let sizes: Vec<f64> = (0..500).map(|i| 0.5 + f64::from(i % 7) / 4.0).collect();
        let means: Vec<f64> = (0..40).map(|g| 0.01 * 1.25f64.powi(g)).collect();
        let thetas: Vec<f64> = (0..40).map(|g| 0.1 * f64::from(1 + g % 5)).collect();
        let one = plain(&sizes, &means, &thetas);
        let drawn = draw(&one);
        assert_eq!(drawn, draw(&Simulation { threads: 2, ..one }));
        assert_ne!(drawn, draw(&Simulation { seed: 8, ..one }));
        crate::source::Csc::new(40, &drawn.offsets, &drawn.rows, &drawn.values).unwrap();
    }

    #[test]
    fn a_gene_is_drawn_the_same_beside_any_other_genes() {
        let sizes = vec![1.0; 300];
        let alone = draw(&plain(&sizes, &[0.7], &[2.0]));
        let among = draw(&plain(&sizes, &[0.7, 30.0, 0.1], &[2.0, 1.0, f64::INFINITY]));
        assert_eq!(dense(&alone, 0), dense(&among, 0));
    }

    /// The allowance is five standard errors of the sample moments.
    #[test]
    fn moments_are_those_of_the_negative_binomial() {
        let (mus, thetas) = ([0.02, 0.5, 8.0, 60.0, 3.0], [0.2, 0.5, 1.0, 6.0, f64::INFINITY]);
        let n = 200_000;
        let drawn = draw(&plain(&vec![1.0; n], &mus, &thetas));
        for (gene, (mu, theta)) in mus.into_iter().zip(thetas).enumerate() {
            let counts = dense(&drawn, gene);
            let expected = mu + mu * mu / theta;
            let off_mean = (mean(&counts) - mu) / (expected / n as f64).sqrt();
            assert!(off_mean.abs() < 5.0, "gene {gene}: the mean is {off_mean} errors off");
            let error = expected * ((kurtosis(mu, theta) - 1.0) / n as f64).sqrt();
            let off_variance = (variance(&counts) - expected) / error;
            assert!(off_variance.abs() < 5.0, "gene {gene}: variance {off_variance} errors off");
        }
    }

    #[test]
    fn an_infinite_theta_is_poisson() {
        use statrs::distribution::{Discrete, Poisson as Exact};
        let n = 100_000;
        let drawn = draw(&plain(&vec![2.0; n], &[0.9], &[f64::INFINITY]));
        let counts = dense(&drawn, 0);
        let exact = Exact::new(1.8).unwrap();
        for k in 0..8 {
            let share = counts.iter().filter(|count| **count == k as f64).count() as f64 / n as f64;
            let expected = exact.pmf(k);
            let error = (expected * (1.0 - expected) / n as f64).sqrt();
            assert!((share - expected).abs() < 5.0 * error, "{k}: {share}, {expected} expected");
        }
    }

    #[test]
    fn covariates_and_effects_multiply_the_mean() {
        // The first half has the covariate; even cells carry perturbation 0,
        // every fourth cell perturbation 1 as well, and nobody perturbation 2.
        let n = 80_000;
        let design: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i < n / 2))).collect();
        let mut cells: Vec<i32> = (0..n as i32).step_by(2).collect();
        let split = cells.len() as i32;
        cells.extend((0..n as i32).step_by(4));
        let sizes = vec![1.5; n];
        let simulation = Simulation {
            design: &design,
            coefficients: &[0.0, 0.3],
            perturbation_offsets: &[0, split, cells.len() as i32, cells.len() as i32],
            perturbed_cells: &cells,
            effect_genes: &[1, 1, 1],
            effect_perturbations: &[0, 1, 2],
            effects: &[-1.2, 0.6, 5.0],
            ..plain(&sizes, &[2.0, 4.0], &[f64::INFINITY, 50.0])
        };
        let drawn = draw(&simulation);
        let (unmoved, moved) = (dense(&drawn, 0), dense(&drawn, 1));
        let observed = |counts: &[f64], half: bool, step: usize| {
            let wanted = |i: &usize| (*i < n / 2) == half && i % 4 == step;
            let chosen: Vec<f64> = (0..n).filter(wanted).map(|i| counts[i]).collect();
            mean(&chosen).ln()
        };
        for half in [true, false] {
            let shift = if half { 0.3 } else { 0.0 };
            for (step, effect) in [(0, -0.6), (1, 0.0), (2, -1.2), (3, 0.0)] {
                // 10 000 cells of mean above 1.8: a log mean within 0.008.
                let expected = 6.0f64.ln() + shift + effect;
                assert!((observed(&moved, half, step) - expected).abs() < 0.04);
                assert!((observed(&unmoved, half, step) - 3.0f64.ln()).abs() < 0.04);
            }
        }
    }

    #[test]
    fn refuses_what_it_cannot_draw_from() {
        let sizes = [1.0, 1.0];
        let good = plain(&sizes, &[1.0], &[1.0]);
        let class = |simulation: Simulation| {
            simulate_counts(&simulation, &Monitor::new()).unwrap_err().class()
        };
        assert_eq!(class(Simulation { thetas: &[], ..good }), "shape");
        assert_eq!(class(Simulation { design: &[1.0; 3], ..good }), "shape");
        assert_eq!(class(Simulation { coefficients: &[1.0], ..good }), "shape");
        assert_eq!(class(Simulation { effects: &[1.0], ..good }), "shape");
        assert_eq!(class(Simulation { thetas: &[0.0], ..good }), "argument");
        assert_eq!(class(Simulation { thetas: &[f64::NAN], ..good }), "argument");
        assert_eq!(class(Simulation { means: &[-1.0], ..good }), "argument");
        assert_eq!(class(Simulation { means: &[1e300], ..good }), "argument");
        assert_eq!(class(Simulation { size_factors: &[f64::INFINITY; 2], ..good }), "argument");
        assert_eq!(class(Simulation { perturbation_offsets: &[], ..good }), "sparse");
        assert_eq!(class(Simulation { perturbation_offsets: &[0, 1], ..good }), "sparse");
        let carried = Simulation { perturbation_offsets: &[0, 1], ..good };
        assert_eq!(class(Simulation { perturbed_cells: &[2], ..carried }), "argument");
        let moved = Simulation {
            perturbed_cells: &[0],
            effect_genes: &[0],
            effect_perturbations: &[0],
            effects: &[1.0],
            ..carried
        };
        assert_eq!(draw(&moved).offsets.len(), 3);
        assert_eq!(class(Simulation { effect_genes: &[-1], ..moved }), "argument");
        assert_eq!(class(Simulation { effect_perturbations: &[1], ..moved }), "argument");
        assert_eq!(class(Simulation { effects: &[f64::NAN], ..moved }), "not_finite");
    }

    #[test]
    fn stops_when_cancelled() {
        let monitor = Monitor::new();
        monitor.cancel();
        let stopped = simulate_counts(&plain(&[1.0], &[1.0], &[1.0]), &monitor);
        assert_eq!(stopped, Err(Error::Interrupted));
    }
}
