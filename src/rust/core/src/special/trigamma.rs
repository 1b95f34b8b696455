/// The second derivative of log Gamma at x > 0: by recurrence to where its
/// asymptotic series (Abramowitz and Stegun 6.4.12) is exact to rounding.
pub fn trigamma(x: f64) -> f64 {
    let mut x = x;
    let mut sum = 0.0;
    while x < 12.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    const BERNOULLI: [f64; 6] =
        [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0];
    let square = x * x;
    let series = BERNOULLI.iter().rev().fold(0.0, |rest, b| (rest + b) / square);
    sum + 1.0 / x + 0.5 / square + series / x
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn known_values_are_met() {
        let known = [(0.5, PI * PI / 2.0), (1.0, PI * PI / 6.0), (2.0, PI * PI / 6.0 - 1.0)];
        for (x, value) in known {
            assert!((trigamma(x) - value).abs() < 1e-14 * value, "at {x}");
        }
        // As 1/x + 1/(2 x²) far out.
        assert!((trigamma(1e6) - 1e-6 - 5e-13).abs() < 1e-18);
    }
}
