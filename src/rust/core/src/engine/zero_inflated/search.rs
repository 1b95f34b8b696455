//! One ascent after another, from a start to an optimum, in the limit where there is
//! none.

use super::ascent::{End, Patience, Summit, advance, ascend};
use super::likelihood::{Distribution, Likelihood, View};
use super::parts::Parts;
use super::pass::{Curvature, Room};
use crate::engine::glm::{inner, suggested, two_sided};
use crate::special::CountHistogram;
use crate::{Monitor, Result};
use std::rc::Rc;

/// Signs that there is no optimum, in a row, after which to look for the limit; and
/// more of them each time in vain.
const SIGNS: usize = 2;
const MORE_SIGNS: usize = 3;
/// A step towards infinity is tried so many times over.
const LEAP: f64 = 6.0;
/// The smallest alpha, times the mean of the counts above zero, that an ascent
/// follows downhill: below it the Poisson distribution is looked at.
pub const SMALL: f64 = 1e-3;
/// Above this alpha no data tell one from another.
const LARGEST: f64 = 1e12;

/// An optimum of what is left of a model.
pub struct Solution<'a> {
    pub parts: Rc<Parts<'a>>,
    pub distribution: Distribution,
    pub point: Vec<f64>,
    pub view: View,
    /// Squared distance to the optimum, in standard errors.
    pub decrement: f64,
}

/// Where a search ended.
pub enum Outcome<'a> {
    Found(Solution<'a>),
    /// The Poisson distribution is as good.
    Poisson,
    /// An optimum, but lower than another one.
    Lower,
    /// At this log-likelihood.
    Lost(f64),
}

/// A gene's searches.
pub struct Search<'a> {
    pub histogram: CountHistogram,
    pub factorials: f64,
    /// Passes that one search may take.
    pub patience: usize,
    /// The log-likelihood of the best optimum so far.
    pub highest: f64,
    /// Passes taken so far.
    pub passes: usize,
    pub room: &'a mut Room,
    pub monitor: &'a Monitor,
}

impl Search<'_> {
    pub fn likelihood<'b>(
        &'b mut self,
        parts: &'b Parts<'b>,
        distribution: Distribution,
    ) -> Likelihood<'b> {
        let Self { histogram, factorials, room, monitor, .. } = self;
        Likelihood { parts, distribution, histogram, factorials: *factorials, room, monitor }
    }

    /// What is seen of a point.
    pub fn look(&mut self, parts: &Parts<'_>, what: Distribution, at: &[f64]) -> Result<View> {
        self.passes += 1;
        self.likelihood(parts, what).view(at, Curvature::Observed)
    }

    /// Goes a few passes from `start`; where that led, and how high.
    pub fn advance(
        &mut self,
        parts: &Parts<'_>,
        what: Distribution,
        start: Vec<f64>,
        passes: usize,
    ) -> Result<(f64, Vec<f64>)> {
        let patience = Patience { passes, signs: usize::MAX, enough: f64::NEG_INFINITY };
        let mut likelihood = self.likelihood(parts, what);
        let summit = ascend(&mut likelihood, start, patience, &|_, _| false)?;
        self.passes += summit.passes;
        Ok((summit.view.log_likelihood, summit.point))
    }

    /// Climbs from `start` until there is an optimum, of the whole model or of a limit.
    /// Down to `smallest`, alpha is followed wherever it goes.
    pub fn climb<'b>(
        &mut self,
        mut parts: Rc<Parts<'b>>,
        what: Distribution,
        start: Vec<f64>,
        smallest: f64,
    ) -> Result<Outcome<'b>> {
        let has_shape = what == Distribution::NegativeBinomial;
        let small = (smallest / parts.mean_above_zero()).ln();
        let leave = |at: &[f64], view: &View| {
            let (shape, slope) = (at[at.len() - 1], view.gradient[at.len() - 1]);
            has_shape && ((shape < small && slope < 0.0) || shape > LARGEST.ln())
        };
        let (mut from, mut origin) = (start.clone(), start);
        let mut patience = Patience { passes: self.patience, signs: SIGNS, enough: self.highest };
        loop {
            let mut likelihood = self.likelihood(&parts, what);
            let mut summit = ascend(&mut likelihood, from, patience, &leave)?;
            if summit.end == End::Endless {
                leap(&mut likelihood, &mut summit)?;
            }
            self.passes += summit.passes;
            patience.passes = patience.passes.saturating_sub(summit.passes);
            match summit.end {
                End::Converged => {
                    self.highest = self.highest.max(summit.view.log_likelihood);
                    return Ok(found(parts, what, summit));
                }
                End::Lower => return Ok(Outcome::Lower),
                End::Left if summit.point[summit.point.len() - 1] < small => {
                    return Ok(Outcome::Poisson);
                }
                End::Left => return Ok(Outcome::Lost(summit.view.log_likelihood)),
                End::Endless | End::NotConverged => {}
            }
            if let Some(rest) = limit(&parts, &summit, &origin)? {
                let projected = rest.project(&parts, &summit.point);
                let seen = self.look(&rest, what, &projected)?;
                let slack = 1e-9 + summit.view.rounding;
                if seen.log_likelihood >= summit.view.log_likelihood - slack {
                    parts = Rc::new(rest);
                    origin.clone_from(&projected);
                    from = projected;
                    patience.signs = SIGNS;
                    continue;
                }
            }
            if patience.passes == 0 || summit.end == End::NotConverged {
                return Ok(Outcome::Lost(summit.view.log_likelihood));
            }
            patience.signs += MORE_SIGNS;
            from = summit.point;
        }
    }
}

fn found<'b>(parts: Rc<Parts<'b>>, distribution: Distribution, summit: Summit) -> Outcome<'b> {
    let Summit { point, view, decrement, .. } = summit;
    Outcome::Found(Solution { parts, distribution, point, view, decrement })
}

/// Goes on where a step goes, as far as the likelihood grows.
fn leap(likelihood: &mut Likelihood<'_>, summit: &mut Summit) -> Result<()> {
    let most = summit.step.iter().fold(0.0f64, |most, s| most.max(s.abs()));
    let far = advance(&summit.point, &summit.step, LEAP.min(1e3 / most));
    let view = likelihood.view(&far, Curvature::Observed)?;
    summit.passes += 1;
    if view.log_likelihood > summit.view.log_likelihood {
        (summit.point, summit.view) = (far, view);
    }
    Ok(())
}

/// What is left in the limit that an ascent points to.
fn limit<'b>(parts: &Parts<'b>, summit: &Summit, origin: &[f64]) -> Result<Option<Parts<'b>>> {
    let (p, q) = (parts.count.rank(), parts.zero.rank());
    let way: Vec<f64> = summit.point.iter().zip(origin).map(|(to, from)| to - from).collect();
    let of = |values: &[f64], part: std::ops::Range<usize>| values[part].to_vec();
    if let Some(design) = parts.count.design() {
        let moves = [of(&way, 0..p), of(&summit.step, 0..p)];
        let at = &summit.point[..p];
        if let Some(limit) = suggested(design, parts.counts(), at, &moves, false) {
            return parts.without_means(&limit).map(Some);
        }
    }
    let Some(design) = parts.zero.design() else { return Ok(None) };
    let at = &summit.point[p..p + q];
    let mut may_rise = vec![true; parts.cells.len()];
    parts.counts().cells.iter().for_each(|&cell| may_rise[cell as usize] = false);
    let moves = [of(&way, p..p + q), of(&summit.step, p..p + q)];
    let Some(limit) = two_sided(design, at, |cell| may_rise[cell], &moves) else {
        return Ok(None);
    };
    let rises = |cell: usize| {
        let row: Vec<f64> = (0..q).map(|k| design.blocks().value(cell, k)).collect();
        inner(&row, &limit.direction) > 0.0
    };
    parts.without_shares(&limit, rises).map(Some)
}
