use super::component::{Component, Estimate, Moments};

/// An effect's posterior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub mean: f64,
    pub sd: f64,
    /// Probabilities to be below zero, above zero, and zero.
    pub negative: f64,
    pub positive: f64,
    pub lfdr: f64,
    /// The local false sign rate: the probability that the likelier sign is wrong.
    pub lfsr: f64,
}

/// A running average over components. The variance is that of West (1979, CACM 22:532):
/// no squares of means are subtracted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Average {
    weight: f64,
    mean: f64,
    spread: f64,
    negative: f64,
    positive: f64,
    zero: f64,
}

impl Average {
    pub fn add(&mut self, weight: f64, moments: &Moments) {
        self.weight += weight;
        let off = moments.mean - self.mean;
        self.mean += off * weight / self.weight;
        self.spread += weight * (moments.variance + off * (moments.mean - self.mean));
        self.negative += weight * moments.below;
        self.positive += weight * moments.above;
    }

    /// A component in which the effect is zero.
    pub fn add_zero(&mut self, weight: f64) {
        self.weight += weight;
        let off = -self.mean;
        self.mean += off * weight / self.weight;
        self.spread -= weight * off * self.mean;
        self.zero += weight;
    }

    pub fn summary(&self) -> Summary {
        let share = |part: f64| (part / self.weight).clamp(0.0, 1.0);
        let (negative, positive, lfdr) =
            (share(self.negative), share(self.positive), share(self.zero));
        Summary {
            mean: self.mean,
            sd: (self.spread / self.weight).max(0.0).sqrt(),
            negative,
            positive,
            lfdr,
            lfsr: (negative.min(positive) + lfdr).min(1.0),
        }
    }
}

/// One effect's posterior, and the log-likelihood of its estimate.
pub(super) fn summarise(
    estimate: &Estimate,
    components: &[Component],
    weights: &[f64],
    log_density: impl Fn(usize) -> f64,
) -> (Summary, f64) {
    let used = || (0..components.len()).filter(|&k| weights[k] > 0.0);
    let largest = used().map(&log_density).fold(f64::NEG_INFINITY, f64::max);
    let known = largest > f64::NEG_INFINITY;
    let share = |k: usize| match known {
        true => weights[k] * (log_density(k) - largest).exp(),
        false => weights[k],
    };
    let mut average = Average::default();
    let mut total = 0.0;
    for k in used() {
        let share = share(k);
        total += share;
        if share == 0.0 {
            continue;
        }
        match (components[k], known) {
            (Component::Point, _) => average.add_zero(share),
            (component, true) => average.add(share, &component.posterior(estimate)),
            (component, false) => average.add(share, &component.prior()),
        }
    }
    (average.summary(), if known { largest + total.ln() } else { 0.0 })
}
