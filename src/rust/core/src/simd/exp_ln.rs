//! Branch-free exponential and logarithm: of eight numbers, or of one in loops that
//! the compiler turns into vector code, with the same bits. Tested against the
//! standard library to a few units in the last place.

use super::Vector;
use super::vector::{Number, One};

/// Arguments of [`exp`] are clamped to this range, so that nothing that is
/// computed from a mean underflows to zero or overflows to infinity.
pub const EXP_RANGE: (f64, f64) = (-707.0, 300.0);

/// exp(x), with x clamped to [`EXP_RANGE`]: 2^n e^r with |r| <= ln(2) / 2, and
/// the Taylor series of e^r.
#[inline(always)]
pub fn exp<V: Vector>(x: f64) -> f64 {
    exp_of(One::<V>::of(x)).value()
}

/// log(1 + z) and 1 / (1 + z) for z >= 0, with one division for both.
#[inline(always)]
pub fn log1p_and_inverse<V: Vector>(z: f64) -> (f64, f64) {
    let (log, inverse) = log1p_and_inverse_of(One::<V>::of(z));
    (log.value(), inverse.value())
}

/// As [`exp`], of any numbers; in single precision with as many terms as that needs,
/// and the range that it has.
#[inline(always)]
pub fn exp_of<N: Number>(x: N) -> N {
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
    let terms = if N::SINGLE { &INVERSE_FACTORIALS[6..] } else { &INVERSE_FACTORIALS[..] };
    let x = x.at_least(N::EXP_RANGE.0).at_most(N::EXP_RANGE.1);
    let shifted = x.times_plus(N::of(std::f64::consts::LOG2_E), N::of(N::ROUND));
    let n = shifted.minus(N::of(N::ROUND));
    let r = n.times_plus(N::of(-N::LN2.1), n.times_plus(N::of(-N::LN2.0), x));
    let mut series = N::of(terms[0]);
    for &coefficient in &terms[1..] {
        series = series.times_plus(r, N::of(coefficient));
    }
    let value = N::of(1.0).plus(series.times(r).times_plus(r, r));
    value.times_power_of_two(shifted)
}

/// As [`log1p_and_inverse`], of any numbers.
///
/// fdlibm's log1p: 1 + z = 2^k (1 + f), log(1 + f) from a series in
/// s = f / (2 + f), and a correction for what 1 + z rounds away.
#[inline(always)]
pub fn log1p_and_inverse_of<N: Number>(z: N) -> (N, N) {
    const SERIES: [f64; 7] = [
        1.479_819_860_511_658_6e-1,
        1.531_383_769_920_937_3e-1,
        1.818_357_216_161_805e-1,
        2.222_219_843_214_978_4e-1,
        2.857_142_874_366_239e-1,
        3.999_999_999_940_942e-1,
        6.666_666_666_666_735e-1,
    ];
    /// What fdlibm has for single precision.
    const SINGLE: [f64; 4] =
        [0.242_790_788_41, 0.284_987_867_88, 0.400_009_721_52, 0.666_666_626_93];
    let terms = if N::SINGLE { &SINGLE[..] } else { &SERIES[..] };
    let (one, two, half) = (N::of(1.0), N::of(2.0), N::of(0.5));
    let u = one.plus(z);
    let (k, mantissa) = u.split();
    let f = mantissa.minus(one);
    let beyond = two.plus(f);
    let divided = one.over(u.times(beyond));
    let inverse = divided.times(beyond);
    let s = f.times(divided.times(u));
    let s2 = s.times(s);
    let mut series = N::of(terms[0]);
    for &coefficient in &terms[1..] {
        series = series.times_plus(s2, N::of(coefficient));
    }
    let half_square = half.times(f).times(f);
    let lost = z.minus(u.minus(one)).times(inverse);
    let correction = k.times_plus(N::of(N::LN2.1), lost);
    let tail = s.times_plus(half_square.plus(series.times(s2)), correction);
    (k.times_plus(N::of(N::LN2.0), f.minus(half_square.minus(tail))), inverse)
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

    struct Eight<'a>(&'a Lanes);
    impl Kernel for Eight<'_> {
        type Output = [Lanes; 3];
        #[inline(always)]
        fn run<V: Vector>(self) -> [Lanes; 3] {
            let e = exp_of(V::load(self.0, 0));
            let (log, inverse) = log1p_and_inverse_of(e);
            [e.to_array(), log.to_array(), inverse.to_array()]
        }
    }

    #[test]
    fn eight_at_once_are_the_same_to_the_bit() {
        for level in LEVELS {
            for step in 0..10_000 {
                let x: Lanes = std::array::from_fn(|l| -720.0 + (8 * step + l) as f64 * 0.012_9);
                let [e, log, inverse] = run_at(level, Eight(&x));
                assert_eq!(e, run_at(level, Exp(&x)));
                assert_eq!((log, inverse), run_at(level, Log1p(&e)));
            }
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
