//! Sixteen numbers of single precision in the registers of one instruction set: with
//! half of the digits, a pass takes half of the time. Every instruction set computes
//! the same bits, but for the missing fusion in [`PlainSingle`].

#![allow(unsafe_code)]

use super::vector::{Lanes, Number};

const LANES: usize = 16;
/// Of [`Number`] in single precision.
const ROUND: f64 = 12_582_912.0;
const LN2: (f64, f64) = (0.693_359_375, -2.121_944_4e-4);
/// Smaller than what single precision has above, so that products of means are in it.
const EXP_RANGE: (f64, f64) = (-87.0, 60.0);
/// The bits of sqrt(1/2), and of 2^23, whose low bits take an integer.
const SQRT_HALF: u32 = 0x3f35_04f3;
const TWO_23: u32 = 0x4b00_0000;

/// The sum of sixteen, in a fixed order.
#[inline(always)]
fn total(x: [f32; LANES]) -> f64 {
    let eight: [f32; 8] = std::array::from_fn(|l| x[l] + x[l + 8]);
    let four: [f64; 4] = std::array::from_fn(|l| f64::from(eight[l]) + f64::from(eight[l + 4]));
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Without vector instructions.
#[derive(Clone, Copy)]
pub struct PlainSingle([f32; LANES]);

impl PlainSingle {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|l| f(self.0[l], other.0[l])))
    }

    #[inline(always)]
    fn each(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }
}

impl Number for PlainSingle {
    const SINGLE: bool = true;
    const ROUND: f64 = ROUND;
    const LN2: (f64, f64) = LN2;
    const EXP_RANGE: (f64, f64) = EXP_RANGE;

    #[inline(always)]
    fn of(value: f64) -> Self {
        Self([value as f32; LANES])
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }

    #[inline(always)]
    fn times_plus(self, other: Self, sum: Self) -> Self {
        if cfg!(target_arch = "aarch64") {
            Self(std::array::from_fn(|l| self.0[l].mul_add(other.0[l], sum.0[l])))
        } else {
            self.times(other).plus(sum)
        }
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.with(other, |a, b| a / b)
    }

    #[inline(always)]
    fn at_least(self, least: f64) -> Self {
        self.each(|a| a.max(least as f32))
    }

    #[inline(always)]
    fn at_most(self, most: f64) -> Self {
        self.each(|a| a.min(most as f32))
    }

    #[inline(always)]
    fn times_power_of_two(self, shifted: Self) -> Self {
        self.with(shifted, |a, n| f32::from_bits(a.to_bits().wrapping_add(n.to_bits() << 23)))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let exponent = |a: f32| a.to_bits().wrapping_sub(SQRT_HALF) >> 23;
        let k = self.each(|a| f32::from_bits(exponent(a) | TWO_23) - f32::from_bits(TWO_23));
        let mantissa = self.each(|a| f32::from_bits(a.to_bits().wrapping_sub(exponent(a) << 23)));
        (k, mantissa)
    }

    #[inline(always)]
    fn choose(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|l| if self.0[l] >= 0.0 { a.0[l] } else { b.0[l] }))
    }
}

impl Lanes for PlainSingle {
    type Scalar = f32;
    const LANES: usize = LANES;

    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    fn load(values: &[f32], group: usize) -> Self {
        Self(values[group * LANES..][..LANES].try_into().expect("a slice of sixteen"))
    }

    #[inline(always)]
    fn widen(values: &[f32], group: usize) -> Self {
        Self::load(values, group)
    }

    #[inline(always)]
    fn store(self, values: &mut [f32], group: usize) {
        values[group * LANES..][..LANES].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn total(self) -> f64 {
        total(self.0)
    }
}

// SAFETY of the implementations below: as in `x86`.

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{EXP_RANGE, LANES, LN2, Lanes, Number, ROUND, SQRT_HALF, TWO_23, total};
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub struct Single512(__m512);

    impl Number for Single512 {
        const SINGLE: bool = true;
        const ROUND: f64 = ROUND;
        const LN2: (f64, f64) = LN2;
        const EXP_RANGE: (f64, f64) = EXP_RANGE;

        #[inline(always)]
        fn of(value: f64) -> Self {
            Self(unsafe { _mm512_set1_ps(value as f32) })
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn times(self, other: Self) -> Self {
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn times_plus(self, other: Self, sum: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, other.0, sum.0) })
        }

        #[inline(always)]
        fn over(self, other: Self) -> Self {
            Self(unsafe { _mm512_div_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn at_least(self, least: f64) -> Self {
            Self(unsafe { _mm512_max_ps(self.0, _mm512_set1_ps(least as f32)) })
        }

        #[inline(always)]
        fn at_most(self, most: f64) -> Self {
            Self(unsafe { _mm512_min_ps(self.0, _mm512_set1_ps(most as f32)) })
        }

        #[inline(always)]
        fn times_power_of_two(self, shifted: Self) -> Self {
            Self(unsafe {
                let power = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted.0));
                _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), power))
            })
        }

        #[inline(always)]
        fn split(self) -> (Self, Self) {
            unsafe {
                let bits = _mm512_castps_si512(self.0);
                let above = _mm512_sub_epi32(bits, _mm512_set1_epi32(SQRT_HALF as i32));
                let exponent = _mm512_srli_epi32::<23>(above);
                let two = _mm512_set1_epi32(TWO_23 as i32);
                let k = _mm512_castsi512_ps(_mm512_or_si512(exponent, two));
                let mantissa = _mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(exponent));
                let k = _mm512_sub_ps(k, _mm512_castsi512_ps(two));
                (Self(k), Self(_mm512_castsi512_ps(mantissa)))
            }
        }

        #[inline(always)]
        fn choose(self, a: Self, b: Self) -> Self {
            Self(unsafe {
                let chosen = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, _mm512_setzero_ps());
                _mm512_mask_blend_ps(chosen, b.0, a.0)
            })
        }
    }

    impl Lanes for Single512 {
        type Scalar = f32;
        const LANES: usize = LANES;

        #[inline(always)]
        fn zero() -> Self {
            Self(unsafe { _mm512_setzero_ps() })
        }

        #[inline(always)]
        fn load(values: &[f32], group: usize) -> Self {
            let sixteen = &values[group * LANES..][..LANES];
            Self(unsafe { _mm512_loadu_ps(sixteen.as_ptr()) })
        }

        #[inline(always)]
        fn widen(values: &[f32], group: usize) -> Self {
            Self::load(values, group)
        }

        #[inline(always)]
        fn store(self, values: &mut [f32], group: usize) {
            let sixteen = &mut values[group * LANES..][..LANES];
            unsafe { _mm512_storeu_ps(sixteen.as_mut_ptr(), self.0) };
        }

        #[inline(always)]
        fn total(self) -> f64 {
            let mut values = [0.0; LANES];
            self.store(&mut values, 0);
            total(values)
        }
    }

    /// Half of the sixteen.
    type Eight = __m256;

    #[derive(Clone, Copy)]
    pub struct Single256(Eight, Eight);

    impl Single256 {
        #[inline(always)]
        fn both(self, other: Self, f: impl Fn(Eight, Eight) -> Eight) -> Self {
            Self(f(self.0, other.0), f(self.1, other.1))
        }
    }

    impl Number for Single256 {
        const SINGLE: bool = true;
        const ROUND: f64 = ROUND;
        const LN2: (f64, f64) = LN2;
        const EXP_RANGE: (f64, f64) = EXP_RANGE;

        #[inline(always)]
        fn of(value: f64) -> Self {
            unsafe { Self(_mm256_set1_ps(value as f32), _mm256_set1_ps(value as f32)) }
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            self.both(other, |a, b| unsafe { _mm256_add_ps(a, b) })
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            self.both(other, |a, b| unsafe { _mm256_sub_ps(a, b) })
        }

        #[inline(always)]
        fn times(self, other: Self) -> Self {
            self.both(other, |a, b| unsafe { _mm256_mul_ps(a, b) })
        }

        #[inline(always)]
        fn times_plus(self, other: Self, sum: Self) -> Self {
            unsafe {
                Self(
                    _mm256_fmadd_ps(self.0, other.0, sum.0),
                    _mm256_fmadd_ps(self.1, other.1, sum.1),
                )
            }
        }

        #[inline(always)]
        fn over(self, other: Self) -> Self {
            self.both(other, |a, b| unsafe { _mm256_div_ps(a, b) })
        }

        #[inline(always)]
        fn at_least(self, least: f64) -> Self {
            self.both(Self::of(least), |a, b| unsafe { _mm256_max_ps(a, b) })
        }

        #[inline(always)]
        fn at_most(self, most: f64) -> Self {
            self.both(Self::of(most), |a, b| unsafe { _mm256_min_ps(a, b) })
        }

        #[inline(always)]
        fn times_power_of_two(self, shifted: Self) -> Self {
            self.both(shifted, |value, shifted| unsafe {
                let power = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), power))
            })
        }

        #[inline(always)]
        fn split(self) -> (Self, Self) {
            let eight = |value: Eight| unsafe {
                let bits = _mm256_castps_si256(value);
                let above = _mm256_sub_epi32(bits, _mm256_set1_epi32(SQRT_HALF as i32));
                let exponent = _mm256_srli_epi32::<23>(above);
                let two = _mm256_set1_epi32(TWO_23 as i32);
                let k = _mm256_castsi256_ps(_mm256_or_si256(exponent, two));
                let mantissa = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(exponent));
                let k = _mm256_sub_ps(k, _mm256_castsi256_ps(two));
                (k, _mm256_castsi256_ps(mantissa))
            };
            let (low, high) = (eight(self.0), eight(self.1));
            (Self(low.0, high.0), Self(low.1, high.1))
        }

        #[inline(always)]
        fn choose(self, a: Self, b: Self) -> Self {
            let eight = |value, a, b| unsafe {
                _mm256_blendv_ps(b, a, _mm256_cmp_ps::<_CMP_GE_OQ>(value, _mm256_setzero_ps()))
            };
            Self(eight(self.0, a.0, b.0), eight(self.1, a.1, b.1))
        }
    }

    impl Lanes for Single256 {
        type Scalar = f32;
        const LANES: usize = LANES;

        #[inline(always)]
        fn zero() -> Self {
            unsafe { Self(_mm256_setzero_ps(), _mm256_setzero_ps()) }
        }

        #[inline(always)]
        fn load(values: &[f32], group: usize) -> Self {
            let sixteen = &values[group * LANES..][..LANES];
            unsafe {
                Self(_mm256_loadu_ps(sixteen.as_ptr()), _mm256_loadu_ps(sixteen[8..].as_ptr()))
            }
        }

        #[inline(always)]
        fn widen(values: &[f32], group: usize) -> Self {
            Self::load(values, group)
        }

        #[inline(always)]
        fn store(self, values: &mut [f32], group: usize) {
            let sixteen = &mut values[group * LANES..][..LANES];
            unsafe {
                _mm256_storeu_ps(sixteen.as_mut_ptr(), self.0);
                _mm256_storeu_ps(sixteen[8..].as_mut_ptr(), self.1);
            }
        }

        #[inline(always)]
        fn total(self) -> f64 {
            let mut values = [0.0; LANES];
            self.store(&mut values, 0);
            total(values)
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Single256, Single512};

#[cfg(test)]
mod tests {
    use super::LANES;
    use crate::simd::{Kernel, Lanes, Level, Number, Vector, exp_of, log1p_and_inverse_of, run_at};

    type Sixteen = [f32; LANES];

    struct Functions(Sixteen);
    impl Kernel for Functions {
        type Output = ([Sixteen; 4], f64);
        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let x = V::Single::load(&self.0, 0);
            let e = exp_of(x);
            let (log, inverse) = log1p_and_inverse_of(e);
            let mut out = [[0.0; LANES]; 4];
            e.store(&mut out[0], 0);
            log.store(&mut out[1], 0);
            inverse.store(&mut out[2], 0);
            x.abs().store(&mut out[3], 0);
            (out, x.total())
        }
    }

    #[test]
    fn functions_are_as_exact_as_single_precision() {
        let near = |got: f32, want: f64| (f64::from(got) / want - 1.0).abs() < 3e-7;
        for level in [Level::Avx512, Level::Avx2, Level::Baseline] {
            for step in 0..10_000 {
                let x: Sixteen = std::array::from_fn(|l| -86.9 + 0.000_9 * (16 * step + l) as f32);
                let ([e, log, inverse, size], sum) = run_at(level, Functions(x));
                for l in 0..LANES {
                    let (eta, mean) = (f64::from(x[l].min(60.0)), f64::from(e[l]));
                    assert!(near(e[l], eta.exp()), "{level:?} exp({eta}) = {mean}");
                    assert!(near(log[l], mean.ln_1p()), "{level:?} log1p({mean}) = {}", log[l]);
                    assert!(near(inverse[l], 1.0 / (1.0 + mean)));
                    assert_eq!(size[l], x[l].abs());
                }
                let want: f64 = x.iter().map(|x| f64::from(*x)).sum();
                assert!((sum - want).abs() < 1e-6 * (1.0 + 16.0 * f64::from(size[0])));
            }
        }
    }

    #[test]
    fn the_vector_levels_agree_to_the_bit() {
        let x: Sixteen = std::array::from_fn(|l| -7.3 + 1.01 * l as f32);
        assert_eq!(run_at(Level::Avx512, Functions(x)), run_at(Level::Avx2, Functions(x)));
    }

    #[test]
    fn what_is_out_of_range_stays_finite() {
        for level in [Level::Avx512, Level::Avx2, Level::Baseline] {
            let x = [f32::MIN, -1e9, -88.0, 61.0, 1e9, f32::MAX, 0.0, -0.0];
            let x: Sixteen = std::array::from_fn(|l| x[l % 8]);
            let ([e, log, inverse, _], _) = run_at(level, Functions(x));
            assert!(e.iter().all(|e| *e > 0.0 && *e < 2e26), "{level:?} {e:?}");
            assert!(log.iter().chain(&inverse).all(|y| y.is_finite()));
            assert_eq!(e[6..8], [1.0, 1.0]);
        }
    }
}
