//! Eight doubles in registers. Only sums of products need it by name: loops
//! that treat every cell alike are vectorised by the compiler.

#![allow(unsafe_code)]

use super::LANES;

/// Eight doubles in the registers of one instruction set. Every instruction
/// set computes the same bits, but for the missing fusion in [`Plain`].
pub trait Vector: Copy {
    /// Whether a fused multiply-add is one instruction here. Where it is not,
    /// [`f64::mul_add`] would be a library call.
    const FMA: bool;
    fn zero() -> Self;
    /// Eight times the same.
    fn splat(value: f64) -> Self;
    /// The eight doubles of a group; panics where the slice is shorter.
    fn load(values: &[f64], group: usize) -> Self;
    fn times(self, other: Self) -> Self;
    /// `self * other + sum`.
    fn times_plus(self, other: Self, sum: Self) -> Self;
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

/// Without vector instructions.
#[derive(Clone, Copy)]
pub struct Plain([f64; LANES]);

impl Vector for Plain {
    const FMA: bool = cfg!(target_arch = "aarch64");

    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(values: &[f64], group: usize) -> Self {
        Self(values[group * LANES..][..LANES].try_into().expect("a slice of eight"))
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self(std::array::from_fn(|l| self.0[l] * other.0[l]))
    }

    #[inline(always)]
    fn times_plus(self, other: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|l| super::fma::<Self>(self.0[l], other.0[l], sum.0[l])))
    }

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        self.0
    }
}

// SAFETY of the two implementations below: they are private to `simd`, which
// instantiates them only inside functions that enable their instructions, and
// calls those only where the processor has been seen to have them. Pointers are
// taken from slices whose length has been checked.

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, Vector};
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub struct Wide512(__m512d);

    impl Vector for Wide512 {
        const FMA: bool = true;

        #[inline(always)]
        fn zero() -> Self {
            Self(unsafe { _mm512_setzero_pd() })
        }

        #[inline(always)]
        fn splat(value: f64) -> Self {
            Self(unsafe { _mm512_set1_pd(value) })
        }

        #[inline(always)]
        fn load(values: &[f64], group: usize) -> Self {
            let eight = &values[group * LANES..][..LANES];
            Self(unsafe { _mm512_loadu_pd(eight.as_ptr()) })
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
        fn to_array(self) -> [f64; LANES] {
            let mut values = [0.0; LANES];
            unsafe { _mm512_storeu_pd(values.as_mut_ptr(), self.0) };
            values
        }
    }

    #[derive(Clone, Copy)]
    pub struct Wide256(__m256d, __m256d);

    impl Vector for Wide256 {
        const FMA: bool = true;

        #[inline(always)]
        fn zero() -> Self {
            unsafe { Self(_mm256_setzero_pd(), _mm256_setzero_pd()) }
        }

        #[inline(always)]
        fn splat(value: f64) -> Self {
            unsafe { Self(_mm256_set1_pd(value), _mm256_set1_pd(value)) }
        }

        #[inline(always)]
        fn load(values: &[f64], group: usize) -> Self {
            let eight = &values[group * LANES..][..LANES];
            unsafe { Self(_mm256_loadu_pd(eight.as_ptr()), _mm256_loadu_pd(eight[4..].as_ptr())) }
        }

        #[inline(always)]
        fn times(self, other: Self) -> Self {
            unsafe { Self(_mm256_mul_pd(self.0, other.0), _mm256_mul_pd(self.1, other.1)) }
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
