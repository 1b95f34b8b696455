use crate::simd::{Kernel, Vector, run};
use hdf5_metno::Datatype;
use hdf5_metno::datatype::ByteOrder;
use hdf5_metno::types::{FloatSize, IntSize, TypeDescriptor};

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    kind: Kind,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

/// Whole numbers up to here are doubles.
const EXACT: u64 = 1 << 53;

impl Number {
    /// None where it is not a number, or one of another width.
    pub fn of(datatype: &Datatype) -> Option<Self> {
        let kind = match datatype.to_descriptor().ok()? {
            TypeDescriptor::Integer(IntSize::U1) => Kind::I8,
            TypeDescriptor::Integer(IntSize::U2) => Kind::I16,
            TypeDescriptor::Integer(IntSize::U4) => Kind::I32,
            TypeDescriptor::Integer(IntSize::U8) => Kind::I64,
            TypeDescriptor::Unsigned(IntSize::U1) | TypeDescriptor::Boolean => Kind::U8,
            TypeDescriptor::Unsigned(IntSize::U2) => Kind::U16,
            TypeDescriptor::Unsigned(IntSize::U4) => Kind::U32,
            TypeDescriptor::Unsigned(IntSize::U8) => Kind::U64,
            TypeDescriptor::Float(FloatSize::U4) => Kind::F32,
            TypeDescriptor::Float(FloatSize::U8) => Kind::F64,
            _ => return None,
        };
        let big_endian = match datatype.byte_order() {
            ByteOrder::LittleEndian | ByteOrder::None => false,
            ByteOrder::BigEndian => true,
            _ => return None,
        };
        Some(Self { kind, big_endian })
    }

    pub fn is_integer(self) -> bool {
        !matches!(self.kind, Kind::F32 | Kind::F64)
    }

    /// Bytes of one.
    pub fn size(self) -> usize {
        match self.kind {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }

    /// Adds the numbers in `bytes` to `out`.
    ///
    /// # Errors
    /// Where one is too large to be exact.
    pub fn doubles(self, bytes: &[u8], out: &mut Vec<f64>) -> Result<(), &'static str> {
        let start = out.len();
        self.each(bytes, out, |v| v as f64, |v| v as f64, |v| v);
        let may_be_inexact = matches!(self.kind, Kind::I64 | Kind::U64);
        if may_be_inexact && out[start..].iter().any(|v| v.abs() > EXACT as f64) {
            return Err("it holds whole numbers above 2^53");
        }
        Ok(())
    }

    /// Adds the whole numbers in `bytes` to `out`. Those that are negative, or beyond 32
    /// bits, are above `i32::MAX`: no matrix has so many rows or columns.
    pub fn indices(self, bytes: &[u8], out: &mut Vec<u32>) {
        let signed = |v: i64| if v > i64::from(i32::MAX) { u32::MAX } else { v.max(-1) as u32 };
        self.each(bytes, out, signed, |v| u32::try_from(v).unwrap_or(u32::MAX), |_| u32::MAX);
    }

    /// Adds the whole numbers in `bytes` to `out`; negative ones are `u64::MAX`.
    pub fn offsets(self, bytes: &[u8], out: &mut Vec<u64>) {
        self.each(bytes, out, |v| u64::try_from(v).unwrap_or(u64::MAX), |v| v, |_| u64::MAX);
    }

    fn each<T>(
        self,
        bytes: &[u8],
        out: &mut Vec<T>,
        signed: impl Fn(i64) -> T,
        unsigned: impl Fn(u64) -> T,
        float: impl Fn(f64) -> T,
    ) {
        run(Widen { number: self, bytes, out, signed, unsigned, float });
    }
}

/// Numbers to be added to `out`, each by the function for its kind.
struct Widen<'a, T, S, U, F> {
    number: Number,
    bytes: &'a [u8],
    out: &'a mut Vec<T>,
    signed: S,
    unsigned: U,
    float: F,
}

impl<T, S: Fn(i64) -> T, U: Fn(u64) -> T, F: Fn(f64) -> T> Kernel for Widen<'_, T, S, U, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { number, bytes, out, signed, unsigned, float } = self;
        // One loop for each type: they run as fast as the memory.
        macro_rules! extend {
            ($type:ty, $with:ident as $wide:ty) => {{
                const SIZE: usize = size_of::<$type>();
                let arrays = bytes.chunks_exact(SIZE).map(|b| b.try_into().expect("SIZE bytes"));
                match number.big_endian {
                    true => out.extend(arrays.map(|b| $with(<$type>::from_be_bytes(b) as $wide))),
                    false => out.extend(arrays.map(|b| $with(<$type>::from_le_bytes(b) as $wide))),
                }
            }};
        }
        match number.kind {
            Kind::I8 => extend!(i8, signed as i64),
            Kind::I16 => extend!(i16, signed as i64),
            Kind::I32 => extend!(i32, signed as i64),
            Kind::I64 => extend!(i64, signed as i64),
            Kind::U8 => extend!(u8, unsigned as u64),
            Kind::U16 => extend!(u16, unsigned as u64),
            Kind::U32 => extend!(u32, unsigned as u64),
            Kind::U64 => extend!(u64, unsigned as u64),
            Kind::F32 => extend!(f32, float as f64),
            Kind::F64 => extend!(f64, float as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_kind_are_widened() {
        let number = |kind, big_endian| Number { kind, big_endian };
        let doubles = |number: Number, bytes: &[u8]| {
            let mut out = vec![];
            number.doubles(bytes, &mut out).map(|()| out)
        };
        assert_eq!(doubles(number(Kind::I8, false), &[255, 1]), Ok(vec![-1.0, 1.0]));
        assert_eq!(doubles(number(Kind::U8, false), &[255]), Ok(vec![255.0]));
        assert_eq!(doubles(number(Kind::I16, true), &[255, 254]), Ok(vec![-2.0]));
        assert_eq!(doubles(number(Kind::U16, false), &[1, 2]), Ok(vec![513.0]));
        assert_eq!(doubles(number(Kind::I32, false), &(-7i32).to_le_bytes()), Ok(vec![-7.0]));
        assert_eq!(doubles(number(Kind::U32, true), &7u32.to_be_bytes()), Ok(vec![7.0]));
        assert_eq!(doubles(number(Kind::F32, true), &0.5f32.to_be_bytes()), Ok(vec![0.5]));
        assert_eq!(doubles(number(Kind::F64, false), &1e300f64.to_le_bytes()), Ok(vec![1e300]));
        let exact = (EXACT as i64).to_le_bytes();
        assert_eq!(doubles(number(Kind::I64, false), &exact), Ok(vec![EXACT as f64]));
        assert!(doubles(number(Kind::I64, false), &i64::MIN.to_le_bytes()).is_err());
        assert!(doubles(number(Kind::U64, false), &u64::MAX.to_le_bytes()).is_err());
    }

    #[test]
    fn indices_that_do_not_fit_are_out_of_range() {
        let kind = |kind| Number { kind, big_endian: false };
        let indices = |number: Number, bytes: &[u8]| {
            let mut out = vec![];
            number.indices(bytes, &mut out);
            out
        };
        assert_eq!(indices(kind(Kind::I32), &(-1i32).to_le_bytes()), [u32::MAX]);
        assert_eq!(indices(kind(Kind::I64), &(1i64 << 40).to_le_bytes()), [u32::MAX]);
        assert_eq!(indices(kind(Kind::U16), &[3, 0]), [3]);
        let mut out = vec![];
        kind(Kind::I64).offsets(&(-1i64).to_le_bytes(), &mut out);
        assert_eq!(out, [u64::MAX]);
    }
}
