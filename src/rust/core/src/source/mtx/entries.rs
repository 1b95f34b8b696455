use super::head::{Head, is_skipped};
use super::quoted;
use super::text::Block;
use rayon::prelude::*;

/// A number of so many digits fits into 64 bits.
const WORD_DIGITS: usize = 19;

/// What is given to a thread at least.
const SHARE_BYTES: usize = 1 << 16;

/// Entries in the order of the file; rows and columns count from 0.
#[derive(Default)]
pub(super) struct Parsed {
    pub rows: Vec<u32>,
    pub columns: Vec<u32>,
    pub values: Vec<f64>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    pub line: u64,
    pub reason: String,
}

/// Reads the entries of a block with the threads of the current pool.
pub(super) fn parse(block: &Block, head: &Head) -> Result<Vec<Parsed>, Wrong> {
    let share = block.bytes.len().div_ceil(rayon::current_num_threads()).max(SHARE_BYTES);
    let parts = parts(&block.bytes, share);
    let parsed: Vec<_> = parts.par_iter().map(|part| parse_part(part, head)).collect();
    let mut before = block.before;
    let each = parsed.into_iter().zip(&parts).map(|(parsed, part)| {
        let parsed = parsed.map_err(|Wrong { line, reason }| Wrong { line: before + line, reason });
        before += part.iter().filter(|&&byte| byte == b'\n').count() as u64;
        parsed
    });
    each.collect()
}

/// Cuts at ends of lines.
fn parts(mut bytes: &[u8], share: usize) -> Vec<&[u8]> {
    let mut parts = vec![];
    while !bytes.is_empty() {
        let from = share.min(bytes.len());
        let end = bytes[from..].iter().position(|&byte| byte == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| from + end + 1));
        parts.push(part);
        bytes = rest;
    }
    parts
}

fn parse_part(mut text: &[u8], head: &Head) -> Result<Parsed, Wrong> {
    let mut parsed = Parsed::default();
    let mut line = 0;
    while !text.is_empty() {
        line += 1;
        if let Some((entry, rest)) = usual_entry(text, head) {
            parsed.push(entry);
            text = rest;
            continue;
        }
        let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
        let (whole, rest) = (&text[..end], text.get(end + 1..).unwrap_or_default());
        if !is_skipped(whole) {
            parsed.push(any_entry(whole, head).map_err(|reason| Wrong { line, reason })?);
        }
        text = rest;
    }
    Ok(parsed)
}

/// Row, column and value; there are no more rows and columns than 32 bits count.
type Entry = (u32, u32, f64);

/// Reads a line as they are as a rule, which is digits between single blanks: in a
/// fraction of the time of [`any_entry`]. Otherwise there is none.
fn usual_entry<'a>(text: &'a [u8], head: &Head) -> Option<(Entry, &'a [u8])> {
    let (row, text) = digits(text)?;
    let (column, text) = digits(text.strip_prefix(b" ")?)?;
    let (value, text) = match head.has_values {
        true => digits(text.strip_prefix(b" ")?)?,
        false => (1, text),
    };
    let text = text.strip_prefix(b"\r").unwrap_or(text).strip_prefix(b"\n")?;
    let is_inside = (1..=head.rows).contains(&row) && (1..=head.columns).contains(&column);
    is_inside.then(|| (((row - 1) as u32, (column - 1) as u32, value as f64), text))
}

/// The number that a text begins with, if it is not too long, and the rest.
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    let mut count = 0;
    while let Some(digit) = text.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|&d| d < 10)
    {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (1..=WORD_DIGITS).contains(&count).then(|| (number, &text[count..]))
}

/// Reads any line that is allowed, or says what is wrong with it.
fn any_entry(line: &[u8], head: &Head) -> Result<Entry, String> {
    let line = str::from_utf8(line).map_err(|_| "is not text".to_owned())?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (row, column, value) = match (&words[..], head.has_values) {
        (&[row, column, value], true) => (row, column, Some(value)),
        (&[row, column], false) => (row, column, None),
        (_, true) => return Err("row, column and value are expected".to_owned()),
        (_, false) => return Err("row and column are expected".to_owned()),
    };
    let value = value.map_or(Ok(1.0), |word| match word.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("the value is {}, must be a finite number", quoted(word))),
    });
    Ok((index("row", row, head.rows)?, index("column", column, head.columns)?, value?))
}

/// From 1 in the file, from 0 here.
fn index(what: &str, word: &str, count: u64) -> Result<u32, String> {
    match word.parse() {
        Ok(index @ 1..) if index <= count => Ok((index - 1) as u32),
        _ => Err(format!("the {what} is {}, must be from 1 to {count}", quoted(word))),
    }
}

impl Parsed {
    fn push(&mut self, (row, column, value): Entry) {
        self.rows.push(row);
        self.columns.push(column);
        self.values.push(value);
    }
}
