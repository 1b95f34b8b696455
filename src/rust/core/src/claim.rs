//! What a writer asks of the operating system: to be the only one, and space.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::{Error, Result};

/// Keeps other writers out until the file is closed, be it by SIGKILL.
///
/// HDF5 and others lock with `flock()`. On Linux, locks of `fcntl()` do not
/// conflict with those: whoever only reads is not kept out.
#[cfg(target_os = "linux")]
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_WRLCK, SEEK_SET, flock};

    let all =
        flock { l_type: F_WRLCK as _, l_whence: SEEK_SET as _, l_start: 0, l_len: 0, l_pid: 0 };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&all)) {
        Err(Errno::EAGAIN | Errno::EACCES) => Err(Error::OutputLocked { path: path.to_owned() }),
        // Some network file systems know no locks: there the user sees to it.
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Error::OutputLocked { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Takes all the space that the file will need, where the file system can.
/// Elsewhere a full disk is noticed when it is full.
#[cfg(target_os = "linux")]
pub(crate) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};

    let length = i64::try_from(bytes).map_err(|_| ErrorKind::FileTooLarge)?;
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, length) {
            Err(Errno::EINTR) => {}
            Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn reserve(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// What the operating system says about the file.
pub(crate) fn access_error(path: &Path, error: &io::Error) -> Error {
    Error::OutputAccess { path: path.to_owned(), reason: error.to_string() }
}

/// The same, where a file that needs so many bytes was written.
pub(crate) fn write_error(path: &Path, needed: u64, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::OutputFull { path: path.to_owned(), needed }
        }
        _ => access_error(path, error),
    }
}
