//! Eight doubles of AVX-512 and of AVX2.

#![allow(unsafe_code)]

use super::single::{Single256, Single512};
use super::vector::{DOUBLE_LN2, DOUBLE_ROUND, Lanes, Number, SQRT_HALF, TWO_52, Vector, total};
use super::{EXP_RANGE, LANES};
use std::arch::x86_64::*;

// SAFETY: these types are private to `simd`, which instantiates them only inside
// functions that enable their instructions, and calls those only where the processor
// has been seen to have them. Pointers are taken from slices whose length has been
// checked.

#[derive(Clone, Copy)]
pub struct Wide512(__m512d);

impl Number for Wide512 {
    const SINGLE: bool = false;
    const ROUND: f64 = DOUBLE_ROUND;
    const LN2: (f64, f64) = DOUBLE_LN2;
    const EXP_RANGE: (f64, f64) = EXP_RANGE;

    #[inline(always)]
    fn of(value: f64) -> Self {
        Self(unsafe { _mm512_set1_pd(value) })
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn times_plus(self, other: Self, sum: Self) -> Self {
        Self(unsafe { _mm512_fmadd_pd(self.0, other.0, sum.0) })
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        Self(unsafe { _mm512_div_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn at_least(self, least: f64) -> Self {
        Self(unsafe { _mm512_max_pd(self.0, _mm512_set1_pd(least)) })
    }

    #[inline(always)]
    fn at_most(self, most: f64) -> Self {
        Self(unsafe { _mm512_min_pd(self.0, _mm512_set1_pd(most)) })
    }

    #[inline(always)]
    fn times_power_of_two(self, shifted: Self) -> Self {
        Self(unsafe {
            let power = _mm512_slli_epi64::<52>(_mm512_castpd_si512(shifted.0));
            _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(self.0), power))
        })
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        unsafe {
            let bits = _mm512_castpd_si512(self.0);
            let above = _mm512_sub_epi64(bits, _mm512_set1_epi64(SQRT_HALF as i64));
            let exponent = _mm512_srli_epi64::<52>(above);
            let two = _mm512_set1_epi64(TWO_52 as i64);
            let k = _mm512_castsi512_pd(_mm512_or_si512(exponent, two));
            let mantissa = _mm512_sub_epi64(bits, _mm512_slli_epi64::<52>(exponent));
            let k = _mm512_sub_pd(k, _mm512_castsi512_pd(two));
            (Self(k), Self(_mm512_castsi512_pd(mantissa)))
        }
    }

    #[inline(always)]
    fn choose(self, a: Self, b: Self) -> Self {
        Self(unsafe {
            let chosen = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(self.0, _mm512_setzero_pd());
            _mm512_mask_blend_pd(chosen, b.0, a.0)
        })
    }
}

impl Lanes for Wide512 {
    type Scalar = f64;
    const LANES: usize = LANES;

    #[inline(always)]
    fn zero() -> Self {
        Self(unsafe { _mm512_setzero_pd() })
    }

    #[inline(always)]
    fn load(values: &[f64], group: usize) -> Self {
        let eight = &values[group * LANES..][..LANES];
        Self(unsafe { _mm512_loadu_pd(eight.as_ptr()) })
    }

    #[inline(always)]
    fn widen(values: &[f32], group: usize) -> Self {
        let eight = &values[group * LANES..][..LANES];
        Self(unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(eight.as_ptr())) })
    }

    #[inline(always)]
    fn store(self, values: &mut [f64], group: usize) {
        values[group * LANES..][..LANES].copy_from_slice(&self.to_array());
    }

    #[inline(always)]
    fn total(self) -> f64 {
        total(self.to_array())
    }
}

impl Vector for Wide512 {
    const FMA: bool = true;
    type Single = Single512;

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        let mut values = [0.0; LANES];
        unsafe { _mm512_storeu_pd(values.as_mut_ptr(), self.0) };
        values
    }
}

/// Half of the eight.
type Four = __m256d;

#[derive(Clone, Copy)]
pub struct Wide256(Four, Four);

impl Wide256 {
    #[inline(always)]
    fn both(self, other: Self, f: impl Fn(Four, Four) -> Four) -> Self {
        Self(f(self.0, other.0), f(self.1, other.1))
    }
}

impl Number for Wide256 {
    const SINGLE: bool = false;
    const ROUND: f64 = DOUBLE_ROUND;
    const LN2: (f64, f64) = DOUBLE_LN2;
    const EXP_RANGE: (f64, f64) = EXP_RANGE;

    #[inline(always)]
    fn of(value: f64) -> Self {
        unsafe { Self(_mm256_set1_pd(value), _mm256_set1_pd(value)) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.both(other, |a, b| unsafe { _mm256_add_pd(a, b) })
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.both(other, |a, b| unsafe { _mm256_sub_pd(a, b) })
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.both(other, |a, b| unsafe { _mm256_mul_pd(a, b) })
    }

    #[inline(always)]
    fn times_plus(self, other: Self, sum: Self) -> Self {
        unsafe {
            Self(_mm256_fmadd_pd(self.0, other.0, sum.0), _mm256_fmadd_pd(self.1, other.1, sum.1))
        }
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.both(other, |a, b| unsafe { _mm256_div_pd(a, b) })
    }

    #[inline(always)]
    fn at_least(self, least: f64) -> Self {
        self.both(Self::of(least), |a, b| unsafe { _mm256_max_pd(a, b) })
    }

    #[inline(always)]
    fn at_most(self, most: f64) -> Self {
        self.both(Self::of(most), |a, b| unsafe { _mm256_min_pd(a, b) })
    }

    #[inline(always)]
    fn times_power_of_two(self, shifted: Self) -> Self {
        self.both(shifted, |value, shifted| unsafe {
            let power = _mm256_slli_epi64::<52>(_mm256_castpd_si256(shifted));
            _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(value), power))
        })
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let four = |value: Four| unsafe {
            let bits = _mm256_castpd_si256(value);
            let above = _mm256_sub_epi64(bits, _mm256_set1_epi64x(SQRT_HALF as i64));
            let exponent = _mm256_srli_epi64::<52>(above);
            let two = _mm256_set1_epi64x(TWO_52 as i64);
            let k = _mm256_castsi256_pd(_mm256_or_si256(exponent, two));
            let mantissa = _mm256_sub_epi64(bits, _mm256_slli_epi64::<52>(exponent));
            let k = _mm256_sub_pd(k, _mm256_castsi256_pd(two));
            (k, _mm256_castsi256_pd(mantissa))
        };
        let (low, high) = (four(self.0), four(self.1));
        (Self(low.0, high.0), Self(low.1, high.1))
    }

    #[inline(always)]
    fn choose(self, a: Self, b: Self) -> Self {
        let four = |value, a, b| unsafe {
            _mm256_blendv_pd(b, a, _mm256_cmp_pd::<_CMP_GE_OQ>(value, _mm256_setzero_pd()))
        };
        Self(four(self.0, a.0, b.0), four(self.1, a.1, b.1))
    }
}

impl Lanes for Wide256 {
    type Scalar = f64;
    const LANES: usize = LANES;

    #[inline(always)]
    fn zero() -> Self {
        unsafe { Self(_mm256_setzero_pd(), _mm256_setzero_pd()) }
    }

    #[inline(always)]
    fn load(values: &[f64], group: usize) -> Self {
        let eight = &values[group * LANES..][..LANES];
        unsafe { Self(_mm256_loadu_pd(eight.as_ptr()), _mm256_loadu_pd(eight[4..].as_ptr())) }
    }

    #[inline(always)]
    fn widen(values: &[f32], group: usize) -> Self {
        let eight = &values[group * LANES..][..LANES];
        let four = |from: &[f32]| unsafe { _mm256_cvtps_pd(_mm_loadu_ps(from[..4].as_ptr())) };
        Self(four(eight), four(&eight[4..]))
    }

    #[inline(always)]
    fn store(self, values: &mut [f64], group: usize) {
        values[group * LANES..][..LANES].copy_from_slice(&self.to_array());
    }

    #[inline(always)]
    fn total(self) -> f64 {
        total(self.to_array())
    }
}

impl Vector for Wide256 {
    const FMA: bool = true;
    type Single = Single256;

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        let mut values = [0.0; LANES];
        unsafe {
            _mm256_storeu_pd(values.as_mut_ptr(), self.0);
            _mm256_storeu_pd(values[4..].as_mut_ptr(), self.1);
        }
        values
    }
}
