//! A name for a file until it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The name of a file that goes with it, unless that has got another one by then.
#[derive(Debug)]
pub(crate) struct DraftName(PathBuf);

impl DraftName {
    /// Makes a file beside another, under a name that nobody else has.
    pub fn beside(path: &Path) -> io::Result<(Self, File)> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(format!(".{}-{}.draft", process::id(), MADE.fetch_add(1, Relaxed)));
        let name = path.with_file_name(name);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&name)?;
        Ok((Self(name), file))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DraftName {
    fn drop(&mut self) {
        // Once it has its own name it is gone already.
        let _ = fs::remove_file(&self.0);
    }
}
