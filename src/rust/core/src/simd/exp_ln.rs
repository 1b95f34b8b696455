//! Branch-free exponential and logarithm, which the compiler turns into vector
//! code. Tested against the standard library to a few units in the last place.

use super::{Vector, fma};

/// Arguments of [`exp`] are clamped to this range, so that nothing that is
/// computed from a mean underflows to zero or overflows to infinity.
pub const EXP_RANGE: (f64, f64) = (-707.0, 300.0);

const LN2_HI: f64 = 6.931_471_803_691_238e-1;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;
/// Adding this leaves the nearest integer in the low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// exp(x), with x clamped to [`EXP_RANGE`]: 2^n e^r with |r| <= ln(2) / 2, and
/// the Taylor series of e^r.
#[inline(always)]
pub fn exp<V: Vector>(x: f64) -> f64 {
    const INVERSE_FACTORIALS: [f64; 12] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ];
    let x = x.max(EXP_RANGE.0).min(EXP_RANGE.1);
    let shifted = fma::<V>(x, std::f64::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<V>(n, -LN2_LO, fma::<V>(n, -LN2_HI, x));
    let mut series = INVERSE_FACTORIALS[0];
    for &coefficient in &INVERSE_FACTORIALS[1..] {
        series = fma::<V>(series, r, coefficient);
    }
    let value = 1.0 + fma::<V>(series * r, r, r);
    f64::from_bits(value.to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// log(1 + z) and 1 / (1 + z) for z >= 0, with one division for both.
///
/// fdlibm's log1p: 1 + z = 2^k (1 + f), log(1 + f) from a series in
/// s = f / (2 + f), and a correction for what 1 + z rounds away.
#[inline(always)]
pub fn log1p_and_inverse<V: Vector>(z: f64) -> (f64, f64) {
    const SERIES: [f64; 7] = [
        1.479_819_860_511_658_6e-1,
        1.531_383_769_920_937_3e-1,
        1.818_357_216_161_805e-1,
        2.222_219_843_214_978_4e-1,
        2.857_142_874_366_239e-1,
        3.999_999_999_940_942e-1,
        6.666_666_666_666_735e-1,
    ];
    /// The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    /// The bits of 2^52, whose low bits take an integer.
    const TWO_52: u64 = 0x4330_0000_0000_0000;
    let u = 1.0 + z;
    let exponent = u.to_bits().wrapping_sub(SQRT_HALF) >> 52;
    let k = f64::from_bits(exponent | TWO_52) - f64::from_bits(TWO_52);
    let f = f64::from_bits(u.to_bits().wrapping_sub(exponent << 52)) - 1.0;
    let divided = 1.0 / (u * (2.0 + f));
    let inverse = divided * (2.0 + f);
    let s = f * (divided * u);
    let s2 = s * s;
    let mut series = SERIES[0];
    for &coefficient in &SERIES[1..] {
        series = fma::<V>(series, s2, coefficient);
    }
    let half_square = 0.5 * f * f;
    let lost = (z - (u - 1.0)) * inverse;
    let tail = fma::<V>(s, half_square + series * s2, fma::<V>(k, LN2_LO, lost));
    (fma::<V>(k, LN2_HI, f - (half_square - tail)), inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, LANES, Level, run_at};

    type Lanes = [f64; LANES];

    const LEVELS: [Level; 3] = [Level::Avx512, Level::Avx2, Level::Baseline];

    struct Exp<'a>(&'a Lanes);
    impl Kernel for Exp<'_> {
        type Output = Lanes;
        #[inline(always)]
        fn run<V: Vector>(self) -> Lanes {
            self.0.map(exp::<V>)
        }
    }

    struct Log1p<'a>(&'a Lanes);
    impl Kernel for Log1p<'_> {
        type Output = (Lanes, Lanes);
        #[inline(always)]
        fn run<V: Vector>(self) -> (Lanes, Lanes) {
            let both = self.0.map(log1p_and_inverse::<V>);
            (both.map(|pair| pair.0), both.map(|pair| pair.1))
        }
    }

    fn ulps(got: f64, want: f64) -> f64 {
        (got - want).abs() / (want.abs() * f64::EPSILON)
    }

    #[test]
    fn exp_is_within_two_ulps() {
        for level in LEVELS {
            for step in 0..40_000 {
                let x = -707.0 + step as f64 * 0.025_173_1;
                let got = run_at(level, Exp(&[x; 8]))[3];
                assert!(ulps(got, x.min(300.0).exp()) < 2.0, "{level:?} exp({x}) = {got}");
            }
            let tiny = run_at(level, Exp(&[0.0, -0.0, 1e-300, -1e-17, 1e-9, -1e-5, 300.0, 900.0]));
            assert_eq!(&tiny[..4], &[1.0; 4]);
            assert!(ulps(tiny[7], 300f64.exp()) < 2.0);
            assert!(run_at(level, Exp(&[f64::NEG_INFINITY; 8]))[0] < 1e-306);
        }
    }

    #[test]
    fn log1p_and_its_inverse_are_within_four_ulps() {
        for level in LEVELS {
            for step in 0..40_000 {
                let z = (-300.0f64 + step as f64 * 0.016_17).exp();
                let (log, inverse) = run_at(level, Log1p(&[z; 8]));
                assert!(ulps(log[0], z.ln_1p()) < 4.0, "{level:?} log1p({z}) = {}", log[0]);
                assert!(ulps(inverse[5], 1.0 / (1.0 + z)) < 4.0, "{level:?} 1/(1+{z})");
            }
            assert_eq!(run_at(level, Log1p(&[0.0; 8])).0, [0.0; 8]);
        }
    }

    #[test]
    fn the_vector_levels_agree_to_the_bit() {
        let x: Lanes = std::array::from_fn(|l| -3.7 + 1.31 * l as f64);
        assert_eq!(run_at(Level::Avx512, Exp(&x)), run_at(Level::Avx2, Exp(&x)));
        let z: Lanes = x.map(f64::exp);
        assert_eq!(run_at(Level::Avx512, Log1p(&z)), run_at(Level::Avx2, Log1p(&z)));
    }
}
