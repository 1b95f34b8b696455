//! The saturated Poisson model.

use crate::design::BLOCK;
use crate::design::products::sum;
use crate::simd::{Kernel, Vector, log1p_and_inverse, run};
use crate::special::CountHistogram;
use crate::special::tally::Tally;

/// The sum over counts of y log(y) - y.
pub fn saturated_poisson(counts: &[f64], tally: &Tally) -> f64 {
    match tally.whole {
        true => saturated_poisson_of(&CountHistogram::of(tally)),
        false => run(Saturated(counts)),
    }
}

/// The same of counts that are tallied.
pub fn saturated_poisson_of(histogram: &CountHistogram) -> f64 {
    histogram.sum(|y| y * y.ln() - y)
}

struct Saturated<'a>(&'a [f64]);

impl Kernel for Saturated<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut total = 0.0;
        for counts in self.0.chunks(BLOCK) {
            let mut terms = [0.0; BLOCK];
            for (term, &y) in terms.iter_mut().zip(counts) {
                let inverse = 1.0 / y;
                let above = if y >= 1.0 { y - 1.0 } else { inverse - 1.0 };
                let (log, _) = log1p_and_inverse::<V>(above);
                *term = (if y >= 1.0 { y * log } else { -y * log }) - y;
            }
            total += sum::<V>(&terms);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special::tally::tally;

    #[test]
    fn it_is_the_sum_of_its_terms() {
        let any = [1.0, 2.0, 0.3, 1e-9, 17.0, 123_456.0, 1.5];
        let whole = [1.0, 2.0, 2.0, 512.0, 17.0, 123_456.0, 1e9];
        for counts in [any, whole] {
            let want: f64 = counts.iter().map(|y: &f64| y * y.ln() - y).sum();
            let got = saturated_poisson(&counts, &tally(&counts));
            assert!((got / want - 1.0).abs() < 1e-15);
        }
    }
}
