use super::text::Text;
use super::{quoted, wrong, wrong_line};
use crate::Result;

/// What a MatrixMarket file says before its entries.
#[derive(Debug)]
pub(super) struct Head {
    pub rows: u64,
    pub columns: u64,
    pub entries: u64,
    /// Of a pattern, entries have no values.
    pub has_values: bool,
}

impl Head {
    /// Reads the banner, the comments and the line of sizes.
    ///
    /// # Errors
    /// [`Error::InputFile`](crate::Error::InputFile) where it is not such a file, or not
    /// of a kind that counts can be in.
    pub fn read(text: &mut Text) -> Result<Self> {
        let mut line = vec![];
        let banner = text.next_line(&mut line)?.map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
        let has_values = has_values(&banner).map_err(|reason| wrong(text.path(), reason))?;
        while let Some(line) = text.next_line(&mut line)? {
            if is_skipped(line) {
                continue;
            }
            let Some([rows, columns, entries]) = sizes(line) else {
                let reason = "rows, columns and entries are expected, three whole numbers";
                return Err(wrong_line(text.path(), text.lines(), reason));
            };
            return Ok(Self { rows, columns, entries, has_values });
        }
        Err(wrong(text.path(), "ends before the line of sizes".to_owned()))
    }
}

/// Comments and blank lines may stand anywhere after the first line.
pub(super) fn is_skipped(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'%'))
}

/// What the first line, in small letters, says about values.
fn has_values(banner: &[u8]) -> std::result::Result<bool, String> {
    let words: Vec<&[u8]> =
        banner.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).collect();
    let [b"%%matrixmarket", object, format, field, symmetry] = words[..] else {
        return Err("is not a MatrixMarket file: its first line is not \
            \"%%MatrixMarket matrix coordinate integer general\" or similar"
            .to_owned());
    };
    let is = |what: &str, found: &[u8], expected: &str| {
        let found = quoted(&String::from_utf8_lossy(found));
        Err(format!("its {what} is {found}, must be {expected}"))
    };
    match (object, format, field, symmetry) {
        (b"matrix", b"coordinate", b"integer" | b"real", b"general") => Ok(true),
        (b"matrix", b"coordinate", b"pattern", b"general") => Ok(false),
        (b"matrix", b"coordinate", b"integer" | b"real" | b"pattern", _) => {
            is("symmetry", symmetry, "\"general\"")
        }
        (b"matrix", b"coordinate", ..) => {
            is("field", field, "\"integer\", \"real\" or \"pattern\"")
        }
        (b"matrix", ..) => is("format", format, "\"coordinate\""),
        _ => is("object", object, "\"matrix\""),
    }
}

fn sizes(line: &[u8]) -> Option<[u64; 3]> {
    let words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let sizes: Vec<u64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    sizes.try_into().ok()
}
