//! One double, or eight in registers. Loops that treat every cell alike are
//! vectorised by the compiler; those that add up need the eight by name.

use super::single::PlainSingle;
use super::{EXP_RANGE, LANES};
use std::marker::PhantomData;

/// Of [`Number`] in double precision.
pub(super) const DOUBLE_ROUND: f64 = 6_755_399_441_055_744.0;
pub(super) const DOUBLE_LN2: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
/// The bits of sqrt(1/2): mantissas are taken from [sqrt(1/2), sqrt(2)).
pub(super) const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
/// The bits of 2^52, whose low bits take an integer.
pub(super) const TWO_52: u64 = 0x4330_0000_0000_0000;

/// What functions of a real variable are written with: one double, eight, or sixteen
/// numbers of single precision.
pub trait Number: Copy {
    /// Whether in single precision.
    const SINGLE: bool;
    /// Adding this leaves the nearest integer in the low bits of the sum.
    const ROUND: f64;
    /// log(2) in two parts: an integer times the first is exact.
    const LN2: (f64, f64);
    /// What an exponential's argument is clamped to.
    const EXP_RANGE: (f64, f64);
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
    /// `self * 2^n`, n being what was added to [`Number::ROUND`] to make `shifted`.
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

/// What a cell's value is stored as.
pub trait Scalar: Copy + Default + Into<f64> + Send + Sync {
    /// As many of them as lie in the registers for eight doubles, or sixteen singles.
    type Of<V: Vector>: Lanes<Scalar = Self>;
    fn of(value: f64) -> Self;
}

/// Numbers side by side, in registers.
pub trait Lanes: Number {
    type Scalar: Scalar;
    /// How many.
    const LANES: usize;
    fn zero() -> Self;
    /// The numbers of a group; panics where the slice is shorter.
    fn load(values: &[Self::Scalar], group: usize) -> Self;
    /// The same of single precision.
    fn widen(values: &[f32], group: usize) -> Self;
    /// Writes the numbers of a group; panics where the slice is shorter.
    fn store(self, values: &mut [Self::Scalar], group: usize);
    /// Their sum, in a fixed order.
    fn total(self) -> f64;
}

/// Eight doubles in the registers of one instruction set. Every instruction
/// set computes the same bits, but for the missing fusion in [`Plain`].
pub trait Vector: Lanes<Scalar = f64> {
    /// Whether a fused multiply-add is one instruction here. Where it is not,
    /// [`f64::mul_add`] would be a library call.
    const FMA: bool;
    /// Sixteen singles, in registers of the same instruction set.
    type Single: Lanes<Scalar = f32>;
    fn to_array(self) -> [f64; LANES];
}

impl Scalar for f64 {
    type Of<V: Vector> = V;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
}

impl Scalar for f32 {
    type Of<V: Vector> = V::Single;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
}

/// The sum of eight, in a fixed order.
#[inline(always)]
pub(super) fn total(x: [f64; LANES]) -> f64 {
    ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
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
    const SINGLE: bool = false;
    const ROUND: f64 = DOUBLE_ROUND;
    const LN2: (f64, f64) = DOUBLE_LN2;
    const EXP_RANGE: (f64, f64) = EXP_RANGE;

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
    const SINGLE: bool = false;
    const ROUND: f64 = DOUBLE_ROUND;
    const LN2: (f64, f64) = DOUBLE_LN2;
    const EXP_RANGE: (f64, f64) = EXP_RANGE;

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

impl Lanes for Plain {
    type Scalar = f64;
    const LANES: usize = LANES;

    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    fn load(values: &[f64], group: usize) -> Self {
        Self(values[group * LANES..][..LANES].try_into().expect("a slice of eight"))
    }

    #[inline(always)]
    fn widen(values: &[f32], group: usize) -> Self {
        let eight = &values[group * LANES..][..LANES];
        Self(std::array::from_fn(|l| f64::from(eight[l])))
    }

    #[inline(always)]
    fn store(self, values: &mut [f64], group: usize) {
        values[group * LANES..][..LANES].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn total(self) -> f64 {
        total(self.0)
    }
}

impl Vector for Plain {
    const FMA: bool = cfg!(target_arch = "aarch64");
    type Single = PlainSingle;

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        self.0
    }
}
