//! Cells whose residuals dwarf all others'. Whether each of them is drawn is
//! conditioned on; the others' distribution then has a scale of its own.

use super::Tails;

/// Cells that may be: twice as many conditions with each.
const MOST: usize = 8;
/// A cell's squared deviation over the sum of those of all cells that are left.
/// As many cells as are allowed are found one by one if they are alike.
const SHARE: f64 = 1.0 / MOST as f64;

/// Places of the outliers: one after the other, the cell that is farthest from the
/// mean of what is left of its group, `group(place)` of so many.
pub(super) fn outliers(
    residuals: &[f64],
    group: impl Fn(usize) -> usize,
    groups: usize,
) -> Vec<usize> {
    let mut found = vec![];
    let mut moments = vec![(0.0, 0.0); groups];
    while found.len() < MOST.min(residuals.len()) {
        moments.fill((0.0, 0.0));
        let out = |i: usize| found.contains(&i);
        for (i, &residual) in residuals.iter().enumerate() {
            if !out(i) {
                let (cells, mean) = &mut moments[group(i)];
                *cells += 1.0;
                *mean += residual;
            }
        }
        moments.iter_mut().for_each(|(cells, mean)| *mean /= f64::max(*cells, 1.0));
        let (mut squares, mut largest, mut at) = (0.0, 0.0, 0);
        for (i, &residual) in residuals.iter().enumerate() {
            let square = (residual - moments[group(i)].1).powi(2);
            if !out(i) {
                squares += square;
                if square > largest {
                    (largest, at) = (square, i);
                }
            }
        }
        if largest <= 0.0 {
            break;
        }
        let cells = moments[group(at)].0;
        let left = squares - largest * cells / f64::max(cells - 1.0, 1.0);
        if largest <= SHARE * left {
            break;
        }
        found.push(at);
    }
    found
}

/// Sum over all conditions of their probabilities times the tails under them.
///
/// `choose(k, drawn)` is what probability outlier k has of being drawn, given
/// which of those before it are; `tails(drawn, probability)` the tails given all
/// of them.
pub(super) fn condition(
    count: usize,
    choose: &dyn Fn(usize, u32) -> f64,
    tails: &mut dyn FnMut(u32, f64) -> Tails,
) -> Tails {
    let mut total = Tails { lower: 0.0, upper: 0.0 };
    for drawn in 0..1u32 << count {
        let mut probability = 1.0;
        for k in 0..count {
            let before = drawn & ((1 << k) - 1);
            let p = choose(k, before);
            probability *= if drawn >> k & 1 == 1 { p } else { 1.0 - p };
        }
        if probability > 0.0 {
            let given = tails(drawn, probability);
            total.lower += probability * given.lower;
            total.upper += probability * given.upper;
        }
    }
    total
}
