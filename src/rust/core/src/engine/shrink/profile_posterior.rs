//! The posterior of an effect whose likelihood can be looked at, one effect at a
//! time.
//!
//! A look is expensive, and the log likelihood smooth: it is looked at in both
//! directions from a start, in steps that are as long as a polynomial between two
//! looks (of fifth degree: value, slope and curvature at both) foretells a third
//! between them, until nothing of the posterior is left. The prior, which may be
//! much narrower, multiplies the polynomials. With it they are searched for modes,
//! of which the highest is found exactly by further looks, and integrated.
//!
//! The integrals are over the other coefficients too, in Laplace's approximation:
//! the profile over the root of the determinant of their information (Tierney and
//! Kadane 1986, Journal of the American Statistical Association 81:82).

use super::prior::{Posterior, Prior};
use super::quadrature::Moments;
use crate::engine::screen::profile::Height;

/// Effects are not looked at beyond; likelihoods that are not negligible there are
/// flat, for means of perturbed cells are zero or infinite.
const END: f64 = 40.0;
/// Log densities below the highest that are negligible.
const NEGLIGIBLE: f64 = -45.0;
/// By how much a polynomial may be off half way between looks, where the density is
/// highest; the two that replace it are better by 64.
const TOLERANCE: f64 = 1e-5;
/// The logarithm of how much more it may be where the density is low.
const LENIENCE: f64 = 7.0;
/// Steps, in units of effects and of standard errors; half of one is integrated at
/// once.
const LONGEST: f64 = 4.0;
const BROADEST: f64 = 3.0;
const SHORTEST: f64 = 1e-4;
const MOST_PANELS: usize = 1000;
const BISECTIONS: usize = 60;
const NEWTON_STEPS: usize = 20;
/// Standard deviations from the mode that its last step may leave.
const CONVERGED: f64 = 1e-7;
/// A share of the posterior beyond the end that leaves it without a mean.
const HEAVY: f64 = 1e-9;

/// None where a look fails, or there would be too many.
pub fn profile_posterior(
    mut look: impl FnMut(f64) -> Option<Height>,
    start: f64,
    prior: Prior,
) -> Option<Posterior> {
    let first = look(start.clamp(-END, END))?;
    let base = (first.value, first.half_log_det);
    let mut look = |effect: f64| {
        let seen = look(effect)?;
        let finite = seen.value.is_finite() && seen.slope.is_finite();
        let half_log_det = seen.half_log_det - base.1;
        finite.then_some(Height { value: seen.value - base.0, half_log_det, ..seen })
    };
    let first = Height { value: 0.0, half_log_det: 0.0, ..first };
    let mut top = prior.log_density(first.effect);
    let mut panels = vec![];
    let mut left = MOST_PANELS;
    for direction in [-1.0, 1.0] {
        let mut at = first;
        let mut length: f64 = 1.0;
        let mut far: Option<Height> = None;
        while !is_over(&at, direction, top, prior) {
            left = left.checked_sub(1)?;
            length = length.min(BROADEST / at.information.sqrt()).min(LONGEST);
            let end = (at.effect + direction * length).clamp(-END, END);
            let right = match far.take() {
                Some(seen) => seen,
                None => look(end)?,
            };
            let middle = look(0.5 * (at.effect + right.effect))?;
            let whole = Panel::between(at, right);
            let off = (whole.value(middle.effect) - middle.value).abs();
            let low = (top - middle.value - prior.log_density(middle.effect)).clamp(0.0, LENIENCE);
            if off > TOLERANCE * low.exp() && length > SHORTEST {
                length *= 0.5;
                far = Some(middle);
                continue;
            }
            for seen in [middle, right] {
                top = top.max(seen.value + prior.log_density(seen.effect));
            }
            panels.extend([Panel::between(at, middle), Panel::between(middle, right)]);
            if off < TOLERANCE / 64.0 {
                length *= 2.0;
            }
            at = right;
        }
    }
    panels.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mode = find_mode(&panels, prior, &mut look)?;
    let mode_sd = 1.0 / (mode.information + prior.information(mode.effect)).max(0.0).sqrt();
    let moments = integrate(&panels, prior, top, mode.effect);
    Some(posterior_of(&moments, &mode, mode_sd))
}

/// Whether nothing is left in this direction: the likelihood falls, and even the
/// highest density of the prior that is to come would not make up for it.
fn is_over(at: &Height, direction: f64, top: f64, prior: Prior) -> bool {
    if at.effect * direction >= END {
        return true;
    }
    let outwards = at.effect * direction >= 0.0;
    let highest = if outwards { prior.log_density(at.effect) } else { 0.0 };
    at.slope * direction <= 0.0 && at.value + highest < top + NEGLIGIBLE
}

/// The log likelihood between two looks.
struct Panel {
    from: f64,
    to: f64,
    /// Of powers of the distance from `from`, in panels' lengths.
    powers: [f64; 6],
    half_log_dets: [f64; 2],
}

impl Panel {
    /// In whichever order.
    fn between(a: Height, b: Height) -> Self {
        let (a, b) = if a.effect < b.effect { (a, b) } else { (b, a) };
        let h = b.effect - a.effect;
        let (slope, bend) = (h * a.slope, -h * h * a.information);
        // What the second degree leaves of the far end's value, slope and curvature.
        let value = b.value - a.value - slope - 0.5 * bend;
        let tilt = h * b.slope - slope - bend;
        let curl = -h * h * b.information - bend;
        Self {
            from: a.effect,
            to: b.effect,
            powers: [
                a.value,
                slope,
                0.5 * bend,
                10.0 * value - 4.0 * tilt + 0.5 * curl,
                -15.0 * value + 7.0 * tilt - curl,
                6.0 * value - 3.0 * tilt + 0.5 * curl,
            ],
            half_log_dets: [a.half_log_det, b.half_log_det],
        }
    }

    fn share(&self, effect: f64) -> f64 {
        (effect - self.from) / (self.to - self.from)
    }

    fn value(&self, effect: f64) -> f64 {
        let t = self.share(effect);
        self.powers.iter().rev().fold(0.0, |sum, power| sum * t + power)
    }

    fn slope(&self, effect: f64) -> f64 {
        let t = self.share(effect);
        let powers = self.powers.iter().zip(0..6).skip(1).rev();
        let sum = powers.fold(0.0, |sum, (power, degree)| sum * t + power * f64::from(degree));
        sum / (self.to - self.from)
    }

    fn half_log_det(&self, effect: f64) -> f64 {
        let [a, b] = self.half_log_dets;
        a + self.share(effect) * (b - a)
    }

    /// Calls `use_part` for parts of the panel, from left to right, that end at zero and
    /// are short against the distance from the prior's poles.
    fn parts(&self, scale: f64, share: f64, mut use_part: impl FnMut(f64, f64)) {
        let mut at = self.from;
        while at < self.to {
            // The far end is nearer to zero where this one is below.
            let length = share * scale.hypot(at) * if at < 0.0 { 0.5 } else { 1.0 };
            let next = (at + length).min(self.to);
            let next = if at < 0.0 && next > -0.1 * scale { self.to.min(0.0) } else { next };
            use_part(at, next);
            at = next;
        }
    }
}

/// The highest mode: where the panels have it, and then by Newton's method.
fn find_mode(
    panels: &[Panel],
    prior: Prior,
    look: &mut impl FnMut(f64) -> Option<Height>,
) -> Option<Height> {
    let mut best: Option<(f64, f64)> = None;
    for panel in panels {
        panel.parts(prior.scale(), 0.25, |mut low, mut high| {
            let slope = |effect: f64| panel.slope(effect) + prior.slope(effect);
            if !(slope(low) >= 0.0 && slope(high) <= 0.0) {
                return;
            }
            for _ in 0..BISECTIONS {
                let middle = 0.5 * (low + high);
                if slope(middle) > 0.0 { low = middle } else { high = middle }
            }
            let effect = 0.5 * (low + high);
            let height = panel.value(effect) + prior.log_density(effect);
            if best.is_none_or(|(highest, _)| height > highest) {
                best = Some((height, effect));
            }
        });
    }
    let mut seen = look(best?.1)?;
    for _ in 0..NEWTON_STEPS {
        let information = seen.information + prior.information(seen.effect);
        let step = (seen.slope + prior.slope(seen.effect)) / information;
        // A mode is known to lie here; where it is so flat, it is known no better.
        if information <= 0.0 || step.abs() * information.sqrt() <= CONVERGED {
            break;
        }
        seen = look(seen.effect + step.clamp(-1.0, 1.0))?;
    }
    Some(seen)
}

/// Moments of either sign, in units of exp(`top`); and of what lies beyond the end.
struct Sides {
    negative: Moments,
    positive: Moments,
    beyond: [f64; 2],
}

fn integrate(panels: &[Panel], prior: Prior, top: f64, centre: f64) -> Sides {
    let (mut negative, mut positive) = (Moments::default(), Moments::default());
    for panel in panels {
        let density = |effect: f64| {
            let height = panel.value(effect) - panel.half_log_det(effect) - top;
            (height + prior.log_density(effect)).exp()
        };
        panel.parts(prior.scale(), 1.5, |from, to| match to <= 0.0 {
            true => negative.add(from, to, centre, density),
            false => positive.add(from, to, centre, density),
        });
    }
    let beyond = |panel: Option<&Panel>, end: f64| match panel {
        Some(panel) if panel.from == end || panel.to == end => {
            (panel.value(end) - panel.half_log_det(end) - top).exp() * prior.tail(END)
        }
        _ => 0.0,
    };
    let beyond = [beyond(panels.first(), -END), beyond(panels.last(), END)];
    Sides { negative, positive, beyond }
}

fn posterior_of(sides: &Sides, mode: &Height, mode_sd: f64) -> Posterior {
    let Sides { negative, positive, beyond } = sides;
    let (below, above) = (negative.mass + beyond[0], positive.mass + beyond[1]);
    let mass = below + above;
    let mut moments = *negative;
    moments.add_scaled(positive, 1.0);
    let (mean, sd) = match beyond[0] + beyond[1] > HEAVY * mass {
        true => (f64::NAN, f64::NAN),
        false => moments.mean_and_sd(mode.effect),
    };
    Posterior {
        mode: mode.effect,
        mode_sd,
        mean,
        sd,
        negative: below / mass,
        positive: above / mass,
    }
}

#[cfg(test)]
mod tests {
    use super::super::normal_likelihood::posterior;
    use super::*;

    fn assert_near(got: &Posterior, want: &Posterior, tolerance: f64, what: &str) {
        let what = format!("{what}: {got:?}, not {want:?}");
        assert!((got.mode - want.mode).abs() < 1e-6 * want.mode_sd, "{what}");
        assert!((got.mode_sd / want.mode_sd - 1.0).abs() < 1e-5, "{what}");
        assert!((got.mean - want.mean).abs() < tolerance * want.sd, "{what}");
        assert!((got.sd / want.sd - 1.0).abs() < tolerance, "{what}");
        let off = (got.negative - want.negative).abs();
        assert!(off < tolerance * want.negative + 1e-15, "{what}");
    }

    #[test]
    fn normal_likelihoods_have_the_posteriors_of_their_own_code() {
        for (m, s) in [(0.5, 0.2), (-1.5, 0.4), (0.0, 0.3), (3.0, 0.9), (2.5, 0.5), (4.0, 0.05)] {
            for prior in
                [0.3, 0.02, 0.001].map(Prior::Cauchy).into_iter().chain([Prior::Normal(0.7)])
            {
                let look = |c: f64| {
                    Some(Height {
                        effect: c,
                        value: 1e4 - 0.5 * ((c - m) / s).powi(2),
                        slope: (m - c) / s / s,
                        information: 1.0 / s / s,
                        half_log_det: 3.0,
                    })
                };
                let want = posterior(m, s, prior);
                for start in [m, 0.0, m + 3.0 * s] {
                    let got = profile_posterior(look, start, prior).unwrap();
                    assert_near(&got, &want, 1e-8, &format!("{m} {s} {prior:?}"));
                }
            }
        }
    }

    #[test]
    fn likelihoods_that_are_flat_at_minus_infinity_have_no_mean_but_a_mode() {
        // No counts where 5 are expected.
        let look = |c: f64| {
            let mean = 5.0 * c.exp();
            let (value, slope) = (-mean, -mean);
            Some(Height { effect: c, value, slope, information: mean, half_log_det: 0.0 })
        };
        let got = profile_posterior(look, f64::NEG_INFINITY, Prior::Cauchy(0.5)).unwrap();
        assert!(got.mean.is_nan() && got.sd.is_nan());
        let slope = -5.0 * got.mode.exp() + Prior::Cauchy(0.5).slope(got.mode);
        assert!(slope.abs() < 1e-5 && got.mode < 0.0, "{got:?} {slope}");
        // By Riemann sums, beyond the end with nothing but the prior.
        let step = 1e-4;
        let density = |c: f64| (-5.0 * c.exp()).exp() / (1.0 + 4.0 * c * c);
        let sum = |from: f64, to: f64| {
            let n = ((to - from) / step).round() as usize;
            (0..n).map(|i| density(from + (i as f64 + 0.5) * step)).sum::<f64>() * step
        };
        let (below, above) = (sum(-500.0, 0.0) + 0.25 / 500.0, sum(0.0, 6.0));
        assert!((got.positive * (below + above) / above - 1.0).abs() < 1e-5, "{got:?}");
    }

    #[test]
    fn a_look_that_fails_ends_it() {
        assert_eq!(profile_posterior(|_| None, 0.0, Prior::Cauchy(1.0)), None);
    }
}
