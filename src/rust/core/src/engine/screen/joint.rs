//! The model of one pair written out, and fitted as any other model of one gene:
//! slow, and right where an expansion about the null fit has nothing to go by
//! (separation, covariates that only perturbed cells tell apart, no null fit).

use super::cholesky::{backward, factor, form};
use super::comparison::{Comparison, Joint};
use super::expansion::{Expansion, Order};
use super::options::{Dispersion, Family, Options, StdErr, Test};
use super::p_value::Tail;
use super::pair::PairFit;
use super::resampling::{NullFit, Resampler};
use crate::design::Design;
use crate::engine::glm::{self, Estimate, GeneFit, Status, Workspace, fit_gene, fit_gene_at};
use crate::result::PairStatus;
use crate::source::GeneCounts;
use crate::{Monitor, Result};

/// What the model takes from the gene.
pub struct JointModel<'a> {
    pub comparison: &'a Comparison<'a>,
    /// In all cells.
    pub counts: GeneCounts<'a>,
    pub alpha: f64,
    pub dispersion: f64,
    pub tail: Tail,
    pub options: &'a Options,
    pub resampler: Option<&'a Resampler<'a>>,
    pub monitor: &'a Monitor,
}

impl JointModel<'_> {
    /// Fits and tests.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] once the monitor is cancelled.
    pub fn fit(&self, perturbation: usize, workspace: &mut Workspace) -> Result<PairFit> {
        let joint = self.comparison.joint(perturbation, self.counts, true)?;
        let (design, counts) = (&joint.design, joint.counts());
        if counts.cells.is_empty() {
            return Ok(PairFit::without(PairStatus::AllZero));
        }
        let place = design.rank() - 1;
        if design.kept()[place] != self.comparison.terms() {
            return Ok(PairFit::without(PairStatus::Aliased));
        }
        let with = self.fit_model(counts, design, workspace)?;
        if with.status != Status::Ok {
            return Ok(PairFit::without(PairStatus::NotConverged));
        }
        let mut fit = PairFit::without(PairStatus::Ok);
        fit.passes = with.iterations;
        fit.theta = with.theta;
        fit.estimate = match with.estimates[place] {
            Estimate::Finite => with.coefficients[place],
            Estimate::Infinite(sign) => f64::from(sign) * f64::INFINITY,
            Estimate::None => f64::NAN,
        };
        if fit.estimate.is_finite() {
            fit.error_bound = with.decrement.max(0.0).sqrt();
            fit.std_err = self.std_err(&with, design, counts);
            let few = self.comparison.perturbations()[perturbation].cells() < 2;
            if few && self.options.std_err == StdErr::Sandwich {
                fit.std_err = f64::NAN;
            }
        } else {
            fit.status = PairStatus::Separated;
        }
        let tail = match (self.tail, self.options.dispersion) {
            (Tail::Student(_), Dispersion::Pair) => {
                Tail::Student((design.cells() - design.rank()) as f64)
            }
            (tail, _) => tail,
        };
        fit.statistic = match self.options.test {
            Test::Wald if fit.status == PairStatus::Ok => fit.estimate / fit.std_err,
            Test::Wald | Test::LikelihoodRatio => {
                let (_, null) = self.null(perturbation, workspace)?;
                self.signed_root(&with, &null)
            }
            Test::Score | Test::Calibrated => {
                let (model, null) = self.null(perturbation, workspace)?;
                if let (Some(resampler), Status::Ok) = (self.resampler, null.status) {
                    let fitted = NullFit {
                        model: &model,
                        coefficients: &null.coefficients,
                        alpha: self.alpha_of(&null),
                    };
                    fit.p_value =
                        resampler.written_out(perturbation, &fitted, workspace, self.monitor)?;
                }
                match all_finite(&null) {
                    true => self.score(&null, design, counts),
                    false => self.signed_root(&with, &null),
                }
            }
        };
        if self.resampler.is_none() {
            fit.p_value = tail.two_sided(fit.statistic);
        }
        Ok(fit)
    }

    fn fit_model(
        &self,
        counts: GeneCounts<'_>,
        design: &Design,
        workspace: &mut Workspace,
    ) -> Result<GeneFit> {
        let max_iterations = self.options.max_iterations;
        let family = match (self.options.family, self.options.dispersion) {
            (Family::NegativeBinomial, Dispersion::Pair) => glm::Family::NegativeBinomial,
            // Reference cells without a count say nothing of theta.
            (Family::NegativeBinomial, _) if self.alpha.is_nan() => glm::Family::NegativeBinomial,
            (Family::QuasiPoisson, _) => glm::Family::QuasiPoisson,
            _ => {
                let alpha = self.alpha;
                return fit_gene_at(counts, design, alpha, max_iterations, workspace, self.monitor);
            }
        };
        let options = glm::Options { family, max_iterations };
        fit_gene(counts, design, &options, workspace, self.monitor)
    }

    fn null(&self, perturbation: usize, workspace: &mut Workspace) -> Result<(Joint, GeneFit)> {
        let joint = self.comparison.joint(perturbation, self.counts, false)?;
        let fit = self.fit_model(joint.counts(), &joint.design, workspace)?;
        Ok((joint, fit))
    }

    /// What a model was fitted with.
    fn alpha_of(&self, fit: &GeneFit) -> f64 {
        if fit.theta > 0.0 { 1.0 / fit.theta } else { self.alpha }
    }

    /// What scales variances in this pair.
    fn dispersion(&self, with: &GeneFit) -> f64 {
        match (self.options.family, self.options.dispersion) {
            (Family::QuasiPoisson, Dispersion::Pair) => with.dispersion,
            // Reference cells without a count say nothing of it.
            _ if self.dispersion.is_nan() => with.dispersion,
            _ => self.dispersion,
        }
    }

    /// Not a number where coefficients are infinite and the information is to be
    /// the observed one or a sandwich's.
    fn std_err(&self, with: &GeneFit, design: &Design, counts: GeneCounts<'_>) -> f64 {
        let scale = self.dispersion(with);
        if self.options.std_err == StdErr::Expected {
            let variance = with.covariance[with.covariance.len() - 1];
            return (variance * scale / with.dispersion).sqrt();
        }
        if !all_finite(with) {
            return f64::NAN;
        }
        let meat = self.options.std_err == StdErr::Sandwich;
        let alpha = self.alpha_of(with);
        let centre = design.basis().coordinates(&with.coefficients);
        let seen = Expansion::at(centre, alpha, design.blocks(), counts, Order::Second, meat);
        let p = design.rank();
        let mut triangle = if meat { seen.expected } else { seen.information };
        if !factor(&mut triangle, p) {
            return f64::NAN;
        }
        let last = p * (p - 1) / 2;
        let sigma = 1.0 / triangle[last + p - 1];
        let unscaled = if meat {
            let mut direction = triangle[last..last + p - 1].to_vec();
            backward(&triangle, &mut direction);
            direction.iter_mut().for_each(|d| *d = -*d);
            direction.push(1.0);
            sigma * sigma * form(&seen.meat, &direction).max(0.0).sqrt()
        } else {
            sigma
        };
        unscaled * scale.sqrt() * design.basis().last_share()
    }

    fn signed_root(&self, with: &GeneFit, null: &GeneFit) -> f64 {
        let gain = match self.options.family {
            Family::QuasiPoisson => 0.5 * (null.deviance - with.deviance),
            _ => with.log_likelihood - null.log_likelihood,
        };
        let last = with.coefficients.len() - 1;
        let sign = match with.estimates[last] {
            Estimate::Finite => with.coefficients[last].signum(),
            Estimate::Infinite(sign) => f64::from(sign),
            Estimate::None => f64::NAN,
        };
        sign * (2.0 * gain.max(0.0) / self.dispersion(with)).sqrt()
    }

    /// At the null fit, in the basis of the whole model, of which the null model's
    /// is all but the last column.
    fn score(&self, null: &GeneFit, design: &Design, counts: GeneCounts<'_>) -> f64 {
        let mut named = null.coefficients.clone();
        named.push(0.0);
        let alpha = self.alpha_of(null);
        let centre = design.basis().coordinates(&named);
        let mut seen = Expansion::at(centre, alpha, design.blocks(), counts, Order::Second, false);
        let p = design.rank();
        match factor(&mut seen.expected, p) {
            true => {
                let pivot = seen.expected[p * (p + 1) / 2 - 1];
                seen.score[p - 1] / pivot / self.dispersion(null).sqrt()
            }
            false => f64::NAN,
        }
    }
}

fn all_finite(fit: &GeneFit) -> bool {
    fit.status == Status::Ok && fit.estimates.iter().all(|e| *e == Estimate::Finite)
}
