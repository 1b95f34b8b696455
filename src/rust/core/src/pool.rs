use crate::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of its own for each call: rayon's global pool belongs to nobody.
pub fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(threads).build().map_err(|_| Error::Threads(threads))
}
