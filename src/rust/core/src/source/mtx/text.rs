use super::wrong;
use crate::Result;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// No line may be longer: memory is bounded by it.
const LINE_BYTES: usize = 1 << 20;

/// What is read and parsed at once.
const BLOCK_BYTES: u64 = 1 << 22;

const BUFFER_BYTES: usize = 1 << 16;

/// What a file in gzip's format begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Lines of a file, compressed or not.
pub(super) struct Text {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    lines: u64,
}

/// Some consecutive lines, whole.
pub(super) struct Block {
    pub bytes: Vec<u8>,
    /// How many lines there are before it.
    pub before: u64,
}

impl Text {
    /// # Errors
    /// [`Error::InputFile`](crate::Error::InputFile), as for all of reading.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || -> io::Result<Box<dyn BufRead + Send>> {
            let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
            if !file.fill_buf()?.starts_with(&GZIP) {
                return Ok(Box::new(file));
            }
            Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file))))
        };
        let reader = open().map_err(|error| wrong(path, error.to_string()))?;
        let mut text = Self { path: path.to_owned(), reader, lines: 0 };
        let start = text.reader.fill_buf().map(|start| start.starts_with(&BYTE_ORDER_MARK));
        if start.map_err(|error| text.unreadable(&error))? {
            text.reader.consume(BYTE_ORDER_MARK.len());
        }
        Ok(text)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many lines were handed out.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The next line, without its end; none after the last. `line` is memory to use.
    pub fn next_line<'a>(&mut self, line: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>> {
        line.clear();
        self.add_line(line)?;
        let whole = line.strip_suffix(b"\n").unwrap_or(line);
        Ok((!line.is_empty()).then(|| whole.strip_suffix(b"\r").unwrap_or(whole)))
    }

    /// The next lines; none after the last.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        let (mut bytes, before) = (vec![], self.lines);
        let read = self.reader.by_ref().take(BLOCK_BYTES).read_to_end(&mut bytes);
        self.lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        read.map_err(|error| self.unreadable(&error))?;
        // It ended within a line, as a rule.
        self.add_line(&mut bytes)?;
        Ok((!bytes.is_empty()).then_some(Block { bytes, before }))
    }

    /// Adds what there is up to the next end of a line.
    fn add_line(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let read = self.reader.by_ref().take(LINE_BYTES as u64).read_until(b'\n', bytes);
        let count = read.map_err(|error| self.unreadable(&error))?;
        self.lines += u64::from(count > 0);
        if count == LINE_BYTES && bytes.last() != Some(&b'\n') {
            let reason = format!("line {} is longer than {LINE_BYTES} bytes", self.lines);
            return Err(wrong(&self.path, reason));
        }
        Ok(())
    }

    fn unreadable(&self, error: &io::Error) -> crate::Error {
        let what = match error.kind() {
            ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
            _ => error.to_string(),
        };
        wrong(&self.path, format!("{what}, after line {}", self.lines))
    }
}
