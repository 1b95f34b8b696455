use super::anderson::Anderson;
use super::groups::{Against, Groups};
use super::moments::Sample;
use super::options::{Mean, Method, Options};
use super::order::Order;
use super::student::StudentT;
use super::wilcoxon::Wilcoxon;
use crate::Result;
use crate::result::{GroupPair, MISSING, TestStatus};

/// Every group against its reference, one gene at a time.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    groups: &'a Groups<'a>,
    options: &'a Options,
    test: Test,
}

/// With what depends on the numbers of cells alone.
#[derive(Debug)]
enum Test {
    Wilcoxon(Wilcoxon),
    T(StudentT),
    Anderson(Anderson),
}

impl<'a> Comparison<'a> {
    pub fn new(groups: &'a Groups<'a>, options: &'a Options) -> Result<Self> {
        let test = match options.method {
            Method::Wilcoxon { continuity, exact } => {
                Test::Wilcoxon(Wilcoxon::new(groups, continuity, exact)?)
            }
            Method::T { equal_variance } => Test::T(StudentT::new(groups, equal_variance)),
            Method::Anderson => Test::Anderson(Anderson::new(groups)),
        };
        Ok(Self { groups, options, test })
    }

    /// One pair after the other, from each class's own cells; `order` is that of the same
    /// gene, and not looked at by a t test.
    pub fn compare(&self, own: &[Sample], order: &Order, mut found: impl FnMut(GroupPair)) {
        let tested = self.groups.tested();
        match self.groups.against() {
            Against::Control => {
                let control = own[tested];
                for (group, own) in own[..tested].iter().enumerate() {
                    found(self.pair(group, own, &control, order));
                }
            }
            Against::Rest => {
                // What comes after each, so that nothing has to be subtracted.
                let mut after = vec![Sample::default(); own.len()];
                for class in (1..own.len()).rev() {
                    after[class - 1] = after[class].with(own[class]);
                }
                let mut before = Sample::default();
                for (group, (own, after)) in own[..tested].iter().zip(&after).enumerate() {
                    found(self.pair(group, own, &before.with(*after), order));
                    before = before.with(*own);
                }
            }
        }
    }

    fn pair(&self, group: usize, own: &Sample, other: &Sample, order: &Order) -> GroupPair {
        let (mean, reference_mean) = (self.mean(own), self.mean(other));
        let epsilon = self.options.epsilon;
        let change = ((mean + epsilon) / (reference_mean + epsilon)).log2();
        let mut pair = GroupPair {
            mean,
            reference_mean,
            share: own.share(),
            reference_share: other.share(),
            log2_fold_change: if change.is_nan() { MISSING } else { change },
            statistic: MISSING,
            effect: MISSING,
            p_value: MISSING,
            status: TestStatus::Ok,
        };
        let tested = match self.is_low(own, other) {
            true => Err(TestStatus::Filtered),
            false => match &self.test {
                Test::Wilcoxon(test) => Ok(test.test(order, self.groups, group)),
                Test::T(test) => test.test(&own.moments, &other.moments, group),
                Test::Anderson(test) => test.test(&order.levels, self.groups, group),
            },
        };
        match tested {
            Ok((statistic, effect, p_value)) => {
                pair = GroupPair { statistic, effect, p_value, ..pair };
            }
            Err(status) => pair.status = status,
        }
        pair
    }

    fn mean(&self, sample: &Sample) -> f64 {
        match self.options.mean {
            Mean::Geometric => sample.level().exp_m1(),
            Mean::Arithmetic => sample.level(),
        }
    }

    fn is_low(&self, own: &Sample, other: &Sample) -> bool {
        let filter = &self.options.filter;
        own.share() < filter.share
            && own.moments.mean < filter.mean
            && other.share() < filter.reference_share
            && other.moments.mean < filter.reference_mean
    }
}
