//! Changes to the bytes of a file.

use std::ops::Range;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

/// At the borders of what integers hold.
const INTEGERS: [u64; 12] = [
    0,
    1,
    u64::MAX,
    0x7f,
    0xff,
    0xffff,
    i32::MAX as u64,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
];

const TOKENS: [&str; 21] = [
    "",
    "0",
    "1",
    "-1",
    "2",
    "255",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e308",
    "1e309",
    "-0.5",
    "nan",
    "inf",
    "%",
    "\"",
    "\0",
];

/// Makes one change or some; `other` gives the bytes of another file.
pub fn mutate(
    bytes: &mut Vec<u8>,
    random: &mut ChaCha8Rng,
    mut other: impl FnMut(&mut ChaCha8Rng) -> Vec<u8>,
) {
    let is_text = str::from_utf8(bytes).is_ok();
    for _ in 0..random.random_range(1..=4) {
        if is_text && random.random_bool(0.6) {
            change_text(bytes, random);
            continue;
        }
        match random.random_range(0..9) {
            0 | 1 => flip(bytes, random),
            2 | 3 => overwrite_integer(bytes, random),
            4 => {
                let at = random.random_range(0..=bytes.len());
                let mut inserted = vec![0; random.random_range(1..16)];
                random.fill_bytes(&mut inserted);
                bytes.splice(at..at, inserted);
            }
            5 => drop(bytes.drain(span(bytes.len(), random))),
            6 => duplicate(bytes, random),
            7 => bytes.truncate(random.random_range(0..=bytes.len())),
            _ => {
                let other = other(random);
                let spliced = other[span(other.len(), random)].to_vec();
                bytes.splice(span(bytes.len(), random), spliced);
            }
        }
    }
}

/// Changes some of the ranges, each without moving what lies behind it; or cuts the file
/// off.
pub fn mutate_within(
    bytes: &mut Vec<u8>,
    ranges: &[Range<usize>],
    random: &mut ChaCha8Rng,
    mut other: impl FnMut(&mut ChaCha8Rng) -> Vec<u8>,
) {
    if ranges.is_empty() || random.random_ratio(1, 8) {
        return bytes.truncate(random.random_range(0..=bytes.len()));
    }
    for _ in 0..random.random_range(1..=3) {
        let range = ranges.choose(random).unwrap().clone();
        let mut changed = bytes[range.clone()].to_vec();
        mutate(&mut changed, random, &mut other);
        changed.resize(range.len(), 0);
        bytes[range].copy_from_slice(&changed);
    }
}

/// As often short as long.
fn span(length: usize, random: &mut ChaCha8Rng) -> Range<usize> {
    let start = random.random_range(0..=length);
    let most = if random.random() { 16 } else { length };
    start..length.min(start + random.random_range(0..=most))
}

fn flip(bytes: &mut [u8], random: &mut ChaCha8Rng) {
    if !bytes.is_empty() {
        bytes[random.random_range(0..bytes.len())] ^= 1 << random.random_range(0..8);
    }
}

/// Of 1, 2, 4 or 8 bytes, of which files have most at multiples of their size.
fn overwrite_integer(bytes: &mut [u8], random: &mut ChaCha8Rng) {
    let size = 1 << random.random_range(0..4);
    if bytes.len() < size {
        return;
    }
    let mut at = random.random_range(0..=bytes.len() - size);
    if random.random() {
        at -= at % size;
    }
    let integer = INTEGERS.choose(random).unwrap().to_le_bytes();
    bytes[at..at + size].copy_from_slice(&integer[..size]);
}

fn duplicate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let copied = bytes[span(bytes.len(), random)].to_vec();
    let at = random.random_range(0..=bytes.len());
    bytes.splice(at..at, copied);
}

/// Changes words and lines.
fn change_text(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let words = between(bytes, |byte| b" \t\r\n,".contains(&byte));
    let lines = between(bytes, |byte| byte == b'\n');
    let (Some(word), Some(line)) = (words.choose(random), lines.choose(random)) else { return };
    match random.random_range(0..6) {
        0 | 1 => {
            let token = TOKENS.choose(random).unwrap().bytes();
            bytes.splice(word.clone(), token);
        }
        2 => {
            let other = bytes[words.choose(random).unwrap().clone()].to_vec();
            bytes.splice(word.clone(), other);
        }
        3 => {
            let copied = [b"\n", &bytes[line.clone()]].concat();
            bytes.splice(line.end..line.end, copied);
        }
        4 => drop(bytes.drain(line.start..bytes.len().min(line.end + 1))),
        _ => {
            let blanks: &[u8] = [&b" "[..], b"\t", b"\n", b"\r\n", b"\n\n"].choose(random).unwrap();
            bytes.splice(word.end..word.end, blanks.iter().copied());
        }
    }
}

/// What lies between separators; nothing of no length.
fn between(bytes: &[u8], is_separator: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut spans = vec![];
    let mut start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| is_separator(**byte)) {
        spans.push(start..at);
        start = at + 1;
    }
    spans.push(start..bytes.len());
    spans.retain(|span| !span.is_empty());
    spans
}
