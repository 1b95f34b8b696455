//! What HDF5's library knows of a dataset and does not tell: where the index of its
//! chunks begins. "Data object headers" of the HDF5 file format specification.

use super::bytes::Bytes;

/// How a dataset is stored: the message of its header.
#[derive(Debug)]
pub struct Layout(Vec<u8>);

const OF_LAYOUT: u16 = 8;
const CONTINUATION: u16 = 16;

/// Parts that a header may be in: more lead around in circles.
const MOST_PARTS: usize = 64;

/// None where the header is of no version that is known here.
pub fn find_layout(bytes: &Bytes, address: u64) -> Option<Layout> {
    let head = bytes.get(address, 16)?;
    let mut parts = vec![];
    let (message, order) = match &head[..] {
        [1, ..] => {
            parts.push((address + 16, u64::from(u32_at(&head, 8)?)));
            (8, 0)
        }
        [b'O', b'H', b'D', b'R', 2, flags, ..] => {
            let times = if flags & 32 != 0 { 16 } else { 0 };
            let limits = if flags & 16 != 0 { 4 } else { 0 };
            let (skip, width) = (6 + times + limits, 1 << (flags & 3));
            let mut size = [0; 8];
            size[..width].copy_from_slice(&bytes.get(address + skip, width)?);
            parts.push((address + skip + width as u64, u64::from_le_bytes(size)));
            (4, if flags & 4 != 0 { 2 } else { 0 })
        }
        _ => return None,
    };
    let is_old = message == 8;
    let mut next = 0;
    while next < parts.len().min(MOST_PARTS) {
        let (at, size) = parts[next];
        next += 1;
        let part = bytes.get(at, usize::try_from(size).ok()?)?;
        let mut rest = &part[..];
        if next > 1 && !is_old {
            // A signature and a checksum.
            rest = rest.strip_prefix(b"OCHK")?.split_last_chunk::<4>()?.0;
        }
        while let Some((head, after)) = rest.split_at_checked(message + order) {
            let (kind, size) = match is_old {
                true => (u16_at(head, 0)?, u16_at(head, 2)?),
                false => (u16::from(head[0]), u16_at(head, 1)?),
            };
            let Some((data, after)) = after.split_at_checked(usize::from(size)) else { break };
            rest = after;
            match kind {
                OF_LAYOUT => return Some(Layout(data.to_vec())),
                CONTINUATION => parts.push((u64_at(data, 0)?, u64_at(data, 8)?)),
                _ => {}
            }
        }
    }
    None
}

impl Layout {
    /// Where a tree of version 1 begins, if that is the index of the chunks.
    pub fn tree(&self, dimensions: usize) -> Option<u64> {
        const CHUNKED: u8 = 2;
        match &self.0[..] {
            &[3, CHUNKED, of_entries, ..] if usize::from(of_entries) == dimensions + 1 => {
                u64_at(&self.0, 3)
            }
            _ => None,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
