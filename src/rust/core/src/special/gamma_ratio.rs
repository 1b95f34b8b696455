/// Gamma(x + 1/2) / Gamma(x) for x > 0: by recurrence to where its asymptotic series
/// (DLMF 5.11.13) is exact to rounding. A difference of two logarithms would lose the
/// digits that they have in common.
pub fn gamma_ratio(x: f64) -> f64 {
    let (mut x, mut below) = (x, 1.0);
    while x < 25.0 {
        below *= x / (x + 0.5);
        x += 1.0;
    }
    const SERIES: [f64; 8] = [
        1.0,
        -1.0 / 8.0,
        1.0 / 128.0,
        5.0 / 1024.0,
        -21.0 / 32_768.0,
        -399.0 / 262_144.0,
        869.0 / 4_194_304.0,
        39_325.0 / 33_554_432.0,
    ];
    below * x.sqrt() * SERIES.iter().rev().fold(0.0, |rest, term| rest / x + term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_met() {
        let root = std::f64::consts::PI.sqrt();
        // mpmath: gamma(x + 0.5) / gamma(x).
        let known = [
            (0.3, 0.389_170_271_023_976_7),
            (0.5, 1.0 / root),
            (1.0, root / 2.0),
            (24.9, 4.965_004_275_459_753),
            (25.3, 5.005_122_098_975_915),
            (1e6, 999.999_875_000_007_8),
        ];
        for (x, value) in known {
            assert!((gamma_ratio(x) / value - 1.0).abs() < 1e-14, "at {x}");
        }
    }
}
