//! Arithmetic on many cells at a time, in whichever instruction set the
//! processor has.
//!
//! A [`Kernel`] is written once; [`run`] compiles it for AVX-512, for AVX2 and
//! for the baseline, and picks one at run time. Lanes and the order of
//! operations are the same everywhere, and in the first two so are the bits of
//! the result.

mod exp_ln;
mod single;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use exp_ln::{EXP_RANGE, exp, exp_of, log1p_and_inverse, log1p_and_inverse_of};
pub use vector::{Lanes, Number, Scalar, Vector};

/// Cells in a vector.
pub const LANES: usize = 8;

/// Work that is compiled once for every instruction set.
///
/// `run`, and everything hot that it calls, must be `#[inline(always)]`: a
/// function that is not inlined is compiled for the baseline.
pub trait Kernel {
    type Output;
    fn run<V: Vector>(self) -> Self::Output;
}

/// The instruction sets that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    Avx512,
    Avx2,
    Baseline,
}

impl Level {
    /// The best level of this processor. The standard library caches the answer.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512dq") && has!("avx512vl") && has!("fma") {
                return Level::Avx512;
            }
            if has!("avx2") && has!("fma") {
                return Level::Avx2;
            }
        }
        Level::Baseline
    }
}

/// Runs a kernel at the processor's best level.
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    dispatch::run_at(Level::detect(), kernel)
}

/// Runs a kernel at a level of one's choice, or at the best one below it: for
/// tests and benchmarks.
pub fn run_at<K: Kernel>(level: Level, kernel: K) -> K::Output {
    match (level, Level::detect()) {
        (Level::Baseline, _) | (_, Level::Baseline) => dispatch::run_at(Level::Baseline, kernel),
        (Level::Avx2, _) => dispatch::run_at(Level::Avx2, kernel),
        (Level::Avx512, best) => dispatch::run_at(best, kernel),
    }
}

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
pub fn fma<V: Vector>(a: f64, b: f64, c: f64) -> f64 {
    if V::FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Asks for the memory of a value that will be read soon. There need not be one.
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing, and may be given any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(at).cast());
    }
}

/// The one place that says which instructions may be used.
#[allow(unsafe_code)]
mod dispatch {
    #[cfg(target_arch = "x86_64")]
    use super::x86;
    use super::{Kernel, Level, vector};

    /// `level` must not be above what [`Level::detect`] has found.
    pub(super) fn run_at<K: Kernel>(level: Level, kernel: K) -> K::Output {
        match level {
            // SAFETY: callers pass no level that this processor lacks.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2(kernel) },
            _ => kernel.run::<vector::Plain>(),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
    fn avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<x86::Wide512>()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<x86::Wide256>()
    }
}
