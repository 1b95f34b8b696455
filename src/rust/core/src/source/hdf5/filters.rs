//! What HDF5 packs chunks with.

use flate2::{Decompress, FlushDecompress, Status};
use hdf5_metno::filters::Filter as Stored;

/// One step of unpacking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    Deflate,
    Shuffle,
    Fletcher32,
    Lzf,
}

/// Nothing is packed more tightly than deflate packs zeros.
pub const TIGHTEST: u64 = 1032;

impl Filter {
    /// # Errors
    /// A name of the filter, where it is another.
    pub fn of(stored: &Stored) -> Result<Self, String> {
        // By HDF5's register of filters: which of them `Stored` has a name for depends
        // on how it was compiled.
        Err(match stored.id() {
            1 => return Ok(Filter::Deflate),
            2 => return Ok(Filter::Shuffle),
            3 => return Ok(Filter::Fletcher32),
            32000 => return Ok(Filter::Lzf),
            4 => "SZIP".into(),
            5 => "N-bit".into(),
            6 => "scale-offset".into(),
            32001 => "Blosc".into(),
            32004 => "LZ4".into(),
            32015 => "Zstandard".into(),
            other => format!("HDF5's filter {other}"),
        })
    }
}

/// Unpacks `chunk` in place, with `spare` to turn over: the filters in the order in
/// which they were applied, but for those of `skipped` (one bit each).
///
/// # Errors
/// Where the result is not of `size` bytes of `width` each.
pub fn unpack(
    filters: &[Filter],
    skipped: u32,
    chunk: &mut Vec<u8>,
    spare: &mut Vec<u8>,
    size: usize,
    width: usize,
) -> Result<(), &'static str> {
    for (place, filter) in filters.iter().enumerate().rev() {
        if skipped & 1u32.checked_shl(place as u32).unwrap_or(0) != 0 {
            continue;
        }
        // A checksum that was applied before packing comes with what is unpacked.
        let sums = filters[..place].iter().filter(|&&before| before == Filter::Fletcher32);
        let unpacked = size + 4 * sums.count();
        match filter {
            Filter::Deflate => {
                inflate(chunk, spare, unpacked)?;
                std::mem::swap(chunk, spare);
            }
            Filter::Lzf => {
                unpack_lzf(chunk, spare, unpacked)?;
                std::mem::swap(chunk, spare);
            }
            Filter::Shuffle => {
                unshuffle(chunk, spare, width);
                std::mem::swap(chunk, spare);
            }
            Filter::Fletcher32 => {
                let data = chunk.len().checked_sub(4).ok_or("a chunk is cut off")?;
                let sum = chunk[data..].try_into().expect("four bytes");
                if fletcher32(&chunk[..data]) != u32::from_le_bytes(sum) {
                    return Err("a checksum is wrong: it is damaged");
                }
                chunk.truncate(data);
            }
        }
    }
    match chunk.len() == size {
        true => Ok(()),
        false => Err("a chunk is not of its size: it is damaged"),
    }
}

fn inflate(packed: &[u8], out: &mut Vec<u8>, size: usize) -> Result<(), &'static str> {
    const DAMAGED: &str = "a chunk cannot be unpacked: it is damaged";
    out.clear();
    out.resize(size, 0);
    let mut inflate = Decompress::new(true);
    let status = inflate.decompress(packed, out, FlushDecompress::Finish).map_err(|_| DAMAGED)?;
    match status == Status::StreamEnd && inflate.total_out() == size as u64 {
        true => Ok(()),
        false => Err(DAMAGED),
    }
}

/// The format of liblzf: a control byte below 32 announces so many literals and one
/// more; others a length in the upper three bits (7: the next byte adds to it) and a
/// distance of 13 bits.
fn unpack_lzf(packed: &[u8], out: &mut Vec<u8>, size: usize) -> Result<(), &'static str> {
    const DAMAGED: &str = "a chunk cannot be unpacked: it is damaged";
    out.clear();
    out.reserve(size);
    let mut rest = packed.iter();
    while let Some(&control) = rest.next() {
        let control = usize::from(control);
        if control < 32 {
            if out.len() + control >= size {
                return Err(DAMAGED);
            }
            let literals = rest.as_slice().get(..=control).ok_or(DAMAGED)?;
            out.extend_from_slice(literals);
            rest = rest.as_slice()[control + 1..].iter();
            continue;
        }
        let mut next = || rest.next().map(|&byte| usize::from(byte)).ok_or(DAMAGED);
        let mut length = control >> 5;
        if length == 7 {
            length += next()?;
        }
        length += 2;
        let distance = ((control & 31) << 8) + next()? + 1;
        let from = out.len().checked_sub(distance).ok_or(DAMAGED)?;
        if out.len() + length > size {
            return Err(DAMAGED);
        }
        // What is copied may be what this copy writes.
        for at in from..from + length {
            out.push(out[at]);
        }
    }
    Ok(())
}

/// From all first bytes, all second bytes, ... back to numbers. Bytes beyond a whole
/// number of them were left as they are.
fn unshuffle(shuffled: &[u8], out: &mut Vec<u8>, width: usize) {
    let count = shuffled.len() / width;
    out.clear();
    out.resize(shuffled.len(), 0);
    for byte in 0..width {
        let from = &shuffled[byte * count..(byte + 1) * count];
        for (&value, number) in from.iter().zip(out.chunks_exact_mut(width)) {
            number[byte] = value;
        }
    }
    out[count * width..].copy_from_slice(&shuffled[count * width..]);
}

/// HDF5's: of pairs of bytes, the first the higher one.
fn fletcher32(data: &[u8]) -> u32 {
    let (mut sum, mut sums) = (0u32, 0u32);
    // 360 words can be added before 32 bits run over.
    for words in data.chunks(720) {
        for word in words.chunks(2) {
            let low = word.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([word[0], low]));
            sums += sum;
        }
        sum = (sum & 0xffff) + (sum >> 16);
        sums = (sums & 0xffff) + (sums >> 16);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sums = (sums & 0xffff) + (sums >> 16);
    (sums << 16) | sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lzf_is_unpacked_and_damage_seen() {
        let lzf = |packed: &[u8], size| {
            let mut out = vec![];
            unpack_lzf(packed, &mut out, size).map(|()| out)
        };
        // "ab", then 2 + 1 + 7 + 2 bytes from two back.
        assert_eq!(lzf(&[1, b'a', b'b', 7 << 5, 3, 1], 14), Ok(b"ababababababab".to_vec()));
        assert!(lzf(&[1, b'a'], 2).is_err());
        assert!(lzf(&[1, b'a', b'b', 7 << 5, 3], 14).is_err());
        assert!(lzf(&[1, b'a', b'b', 7 << 5, 3, 2], 14).is_err());
        assert!(lzf(&[1, b'a', b'b', 7 << 5, 3, 1], 13).is_err());
        assert!(lzf(&[1, b'a', b'b'], 1).is_err());
    }

    #[test]
    fn shuffled_bytes_go_back() {
        let mut out = vec![];
        unshuffle(&[1, 4, 2, 5, 3, 6, 9], &mut out, 3);
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 9]);
    }

    #[test]
    fn a_filter_that_was_skipped_is_not_undone() {
        let (mut chunk, mut spare) = (vec![1, 2, 3, 4], vec![]);
        let filters = [Filter::Shuffle, Filter::Deflate];
        unpack(&filters, 0b10, &mut chunk, &mut spare, 4, 2).unwrap();
        assert_eq!(chunk, [1, 3, 2, 4]);
        assert!(unpack(&filters, 0, &mut chunk, &mut spare, 4, 2).is_err());
    }
}
