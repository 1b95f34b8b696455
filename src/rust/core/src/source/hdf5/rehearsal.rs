//! Whatever HDF5's library is asked of a file, a child process asks first.
//!
//! On some damaged files the library crashes, never ends, or takes all memory there is.
//! In a child that is an error to report, and not the end of somebody's session.

use crate::Result;
use std::path::Path;
#[cfg(target_os = "linux")]
use {
    super::child::{Ending, run_in_child},
    crate::Error,
    std::collections::HashSet,
    std::env::var_os,
    std::fs,
    std::os::unix::fs::MetadataExt,
    std::sync::{Mutex, PoisonError},
};

/// What a child may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of computing: to wait for a disk takes none.
    pub seconds: u64,
    /// Of memory, beyond what the process has.
    pub bytes: u64,
}

impl Limits {
    /// More than what any sound file of that many bytes takes.
    pub fn of(bytes: u64) -> Self {
        Self { seconds: 60 + bytes / 20_000_000, bytes: (2 << 30) + bytes.saturating_mul(8) }
    }
}

/// Runs `job` in a child process, and, where the child comes through, here. The child is
/// spared where one has come through with `what` of the file as it is now; on systems other
/// than Linux; and where the environment variable `SCORIA_TRUST_FILES` is set.
///
/// `job` must neither use threads, for the child has but one, nor rehearse. While the child
/// is at it `wait` is called, every 50 ms; where it fails, the child is ended.
///
/// # Errors
/// [`Error::InputFile`](crate::Error::InputFile) where the child dies, or uses up more than
/// the limits (`None`: those for the file's size); those of `job` and of `wait`.
#[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
pub fn rehearse<T>(
    path: &Path,
    what: &str,
    limits: Option<Limits>,
    wait: impl FnMut() -> Result<()>,
    job: impl Fn() -> Result<T>,
) -> Result<T> {
    #[cfg(target_os = "linux")]
    come_through(path, what, limits, wait, &job)?;
    job()
}

#[cfg(target_os = "linux")]
fn come_through<T>(
    path: &Path,
    what: &str,
    limits: Option<Limits>,
    wait: impl FnMut() -> Result<()>,
    job: impl Fn() -> Result<T>,
) -> Result<()> {
    /// Those that came through: device, inode, bytes and time of change of the file, and
    /// what was read of it.
    static KNOWN: Mutex<Option<HashSet<(Key, String)>>> = Mutex::new(None);
    type Key = (u64, u64, u64, i64, i64);

    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    let state = (found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec());
    let key = (state, what.to_owned());
    // Locked all along: of two children at once, the later would keep the earlier's pipe.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if known.contains(&key) || var_os("SCORIA_TRUST_FILES").is_some() {
        return Ok(());
    }
    match run_in_child(limits.unwrap_or(Limits::of(found.len())), wait, job)? {
        Ending::Done => {
            known.insert(key);
            Ok(())
        }
        Ending::Untold => Ok(()),
        Ending::Failed(error) => Err(error),
        Ending::Died(how) => {
            let reason = format!("it is damaged: HDF5's library {how} in reading {what}");
            Err(Error::InputFile { path: path.to_owned(), reason })
        }
    }
}
