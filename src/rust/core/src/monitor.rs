use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Shared by the workers, which report progress and poll for cancellation, and
/// by the one thread that may talk to the user.
#[derive(Debug, Default)]
pub struct Monitor {
    done: AtomicUsize,
    cancelled: AtomicBool,
}

impl Monitor {
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one finished unit; fails once the user has cancelled.
    pub fn tick(&self) -> Result<()> {
        self.done.fetch_add(1, Relaxed);
        self.check()
    }

    /// Fails once the user has cancelled. For long units of work.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Units finished so far.
    pub fn done(&self) -> usize {
        self.done.load(Relaxed)
    }

    /// Asks the workers to stop at their next look.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }
}
