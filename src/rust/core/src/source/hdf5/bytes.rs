use std::os::unix::fs::FileExt;
use std::{fs, io};

/// A file without HDF5, to be read in many threads at once.
#[derive(Debug)]
pub struct Bytes {
    file: fs::File,
    len: u64,
}

impl Bytes {
    pub fn of(file: fs::File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are so many from `at` on.
    pub fn has(&self, at: u64, count: u64) -> bool {
        at.checked_add(count).is_some_and(|end| end <= self.len)
    }

    pub fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// None where there are not so many.
    pub fn get(&self, at: u64, count: usize) -> Option<Vec<u8>> {
        if !self.has(at, count as u64) {
            return None;
        }
        let mut bytes = vec![0; count];
        self.read(at, &mut bytes).ok().map(|()| bytes)
    }
}
