/// Scales of effects, from a tenth of the smallest standard error to twice the largest
/// effect that is no error, each `multiplier` times the one before: those of Stephens
/// (2017, Biostatistics 18:275). The largest alone where the multiplier is not above one.
/// Empty where no effect has a finite standard error above zero.
pub fn scale_grid(effects: &[f64], errors: &[f64], multiplier: f64) -> Vec<f64> {
    let known = |(b, s): &(&f64, &f64)| b.is_finite() && s.is_finite() && **s > 0.0;
    let known = || effects.iter().zip(errors).filter(known);
    let smallest = known().fold(f64::INFINITY, |least, (_, &s)| least.min(s)) / 10.0;
    if smallest.is_infinite() {
        return vec![];
    }
    let excess = known().fold(0.0, |most: f64, (b, s)| most.max((b - s) * (b + s)));
    let largest = if excess > 0.0 { 2.0 * excess.sqrt() } else { 8.0 * smallest };
    if multiplier.is_nan() || multiplier <= 1.0 {
        return vec![largest];
    }
    let steps = ((largest / smallest).log2() / multiplier.log2()).ceil().max(0.0) as i32;
    (-steps..=0).map(|step| multiplier.powi(step) * largest).collect()
}
