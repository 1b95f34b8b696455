//! One double, or eight in registers. Loops that treat every cell alike are
//! vectorised by the compiler; those that add up need the eight by name.

#![allow(unsafe_code)]

use super::LANES;
use std::marker::PhantomData;

/// The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
/// The bits of 2^52, whose low bits take an integer.
const TWO_52: u64 = 0x4330_0000_0000_0000;

/// What functions of a real variable are written with: one double or eight.
pub trait Number: Copy {
    fn of(value: f64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// `self * other + sum`.
    fn times_plus(self, other: Self, sum: Self) -> Self;
    fn over(self, other: Self) -> Self;
    /// The larger one; `least` in the place of what is not a number.
    fn at_least(self, least: f64) -> Self;
    /// The smaller one; `most` in the place of what is not a number.
    fn at_most(self, most: f64) -> Self;
    /// `self * 2^n`, n being what was added to 1.5 * 2^52 to make `shifted`.
    fn times_power_of_two(self, shifted: Self) -> Self;
    /// k and a mantissa in [sqrt(1/2), sqrt(2)), of 2^k times the mantissa > 0.
    fn split(self) -> (Self, Self);
    /// `a` where this is zero or above, else `b`.
    fn choose(self, a: Self, b: Self) -> Self;

    #[inline(always)]
    fn abs(self) -> Self {
        self.choose(self, Self::of(0.0).minus(self))
    }
}

/// Eight doubles in the registers of one instruction set. Every instruction
/// set computes the same bits, but for the missing fusion in [`Plain`].
pub trait Vector: Number {
    /// Whether a fused multiply-add is one instruction here. Where it is not,
    /// [`f64::mul_add`] would be a library call.
    const FMA: bool;
    fn zero() -> Self;
    /// The eight doubles of a group; panics where the slice is shorter.
    fn load(values: &[f64], group: usize) -> Self;
    fn to_array(self) -> [f64; LANES];

    /// Writes the eight doubles of a group; panics where the slice is shorter.
    #[inline(always)]
    fn store(self, values: &mut [f64], group: usize) {
        values[group * LANES..][..LANES].copy_from_slice(&self.to_array());
    }

    /// The sum of eight lanes, in a fixed order.
    #[inline(always)]
    fn total(self) -> f64 {
        let x = self.to_array();
        ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
    }
}

/// One double, with the arithmetic of an instruction set.
#[derive(Clone, Copy)]
pub struct One<V>(f64, PhantomData<V>);

impl<V> One<V> {
    #[inline(always)]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl<V: Vector> Number for One<V> {
    #[inline(always)]
    fn of(value: f64) -> Self {
        Self(value, PhantomData)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self::of(self.0 + other.0)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self::of(self.0 - other.0)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self::of(self.0 * other.0)
    }

    #[inline(always)]
    fn times_plus(self, other: Self, sum: Self) -> Self {
        Self::of(super::fma::<V>(self.0, other.0, sum.0))
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        Self::of(self.0 / other.0)
    }

    #[inline(always)]
    fn at_least(self, least: f64) -> Self {
        Self::of(self.0.max(least))
    }

    #[inline(always)]
    fn at_most(self, most: f64) -> Self {
        Self::of(self.0.min(most))
    }

    #[inline(always)]
    fn times_power_of_two(self, shifted: Self) -> Self {
        Self::of(f64::from_bits(self.0.to_bits().wrapping_add(shifted.0.to_bits() << 52)))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let exponent = self.0.to_bits().wrapping_sub(SQRT_HALF) >> 52;
        let k = f64::from_bits(exponent | TWO_52) - f64::from_bits(TWO_52);
        let mantissa = f64::from_bits(self.0.to_bits().wrapping_sub(exponent << 52));
        (Self::of(k), Self::of(mantissa))
    }

    #[inline(always)]
    fn choose(self, a: Self, b: Self) -> Self {
        if self.0 >= 0.0 { a } else { b }
    }
}

/// Without vector instructions.
#[derive(Clone, Copy)]
pub struct Plain([f64; LANES]);

impl Plain {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> One<Plain>) -> Self {
        Self(std::array::from_fn(|l| f(l).value()))
    }

    #[inline(always)]
    fn lane(self, l: usize) -> One<Plain> {
        One::of(self.0[l])
    }
}

impl Number for Plain {
    #[inline(always)]
    fn of(value: f64) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self::each(|l| self.lane(l).plus(other.lane(l)))
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self::each(|l| self.lane(l).minus(other.lane(l)))
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self::each(|l| self.lane(l).times(other.lane(l)))
    }

    #[inline(always)]
    fn times_plus(self, other: Self, sum: Self) -> Self {
        Self::each(|l| self.lane(l).times_plus(other.lane(l), sum.lane(l)))
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        Self::each(|l| self.lane(l).over(other.lane(l)))
    }

    #[inline(always)]
    fn at_least(self, least: f64) -> Self {
        Self::each(|l| self.lane(l).at_least(least))
    }

    #[inline(always)]
    fn at_most(self, most: f64) -> Self {
        Self::each(|l| self.lane(l).at_most(most))
    }

    #[inline(always)]
    fn times_power_of_two(self, shifted: Self) -> Self {
        Self::each(|l| self.lane(l).times_power_of_two(shifted.lane(l)))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        (Self::each(|l| self.lane(l).split().0), Self::each(|l| self.lane(l).split().1))
    }

    #[inline(always)]
    fn choose(self, a: Self, b: Self) -> Self {
        Self::each(|l| self.lane(l).choose(a.lane(l), b.lane(l)))
    }
}

impl Vector for Plain {
    const FMA: bool = cfg!(target_arch = "aarch64");

    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    fn load(values: &[f64], group: usize) -> Self {
        Self(values[group * LANES..][..LANES].try_into().expect("a slice of eight"))
    }

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        self.0
    }
}

// SAFETY of the implementations below: they are private to `simd`, which
// instantiates them only inside functions that enable their instructions, and
// calls those only where the processor has been seen to have them. Pointers are
// taken from slices whose length has been checked.

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, Number, SQRT_HALF, TWO_52, Vector};
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub struct Wide512(__m512d);

    impl Number for Wide512 {
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

    impl Vector for Wide512 {
        const FMA: bool = true;

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
                Self(
                    _mm256_fmadd_pd(self.0, other.0, sum.0),
                    _mm256_fmadd_pd(self.1, other.1, sum.1),
                )
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

    impl Vector for Wide256 {
        const FMA: bool = true;

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
        fn to_array(self) -> [f64; LANES] {
            let mut values = [0.0; LANES];
            unsafe {
                _mm256_storeu_pd(values.as_mut_ptr(), self.0);
                _mm256_storeu_pd(values[4..].as_mut_ptr(), self.1);
            }
            values
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Wide256, Wide512};
