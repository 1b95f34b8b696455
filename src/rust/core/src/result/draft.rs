use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::claim::{access_error, reserve, write_error};
use crate::draft_name::DraftName;
use crate::{Error, Result};

/// A file under another name, until its structure is whole; removed if it never
/// becomes so.
#[derive(Debug)]
pub(super) struct Draft {
    name: DraftName,
}

impl Draft {
    /// Fails as the file itself would, and with the system's own words.
    pub fn beside(path: &Path) -> Result<Self> {
        let denied = |error: io::Error| access_error(path, &error);
        let (name, _) = DraftName::beside(path).map_err(denied)?;
        // HDF5 makes it anew.
        fs::remove_file(name.path()).map_err(denied)?;
        Ok(Self { name })
    }

    pub fn path(&self) -> &Path {
        self.name.path()
    }

    pub fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path())
    }

    /// Why it could not be made. HDF5 does not tell a full disk from other failures;
    /// the system does.
    pub fn cause(&self, path: &Path, needed: u64, reason: String) -> Error {
        let needed = needed.max(1);
        match File::create(self.path()).and_then(|file| reserve(&file, needed)) {
            Err(cause) => write_error(path, needed, &cause),
            Ok(()) => Error::OutputAccess { path: path.to_owned(), reason },
        }
    }

    /// Gives it the name, unless a file has that by now.
    pub fn publish(self, path: &Path) -> Result<()> {
        match fs::hard_link(self.path(), path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::OutputExists { path: path.to_owned() });
            }
            // A file system without links.
            Err(_) => fs::rename(self.path(), path),
            Ok(()) => fs::remove_file(self.path()),
        }
        .and_then(|()| File::open(folder_of(path))?.sync_all())
        .map_err(|error| access_error(path, &error))
    }

    /// Gives it the name, whatever has that by now.
    pub fn replace(self, path: &Path) -> Result<()> {
        fs::rename(self.path(), path)
            .and_then(|()| File::open(folder_of(path))?.sync_all())
            .map_err(|error| access_error(path, &error))
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
