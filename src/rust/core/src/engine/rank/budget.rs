use super::Job;
use super::fill::fill_bytes;
use crate::result::GroupTable;
use crate::source::Axis;
use crate::{Error, Result};

/// What a pass over the source may take where no limit is given.
const FREE: usize = 112 << 20;

/// What is read of cells at a time, and what is made of it, for each thread.
const READ: usize = 12 << 20;

/// The memory that is left for passes over the source, once the results have theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    limit: Option<usize>,
    fixed: usize,
}

impl Budget {
    /// `more` is taken all the time, too.
    pub fn new(job: &Job, more: usize) -> Self {
        let tested = job.groups.tested();
        let table = job.source.genes() * tested * GroupTable::PAIR;
        let read = match job.source.axis() {
            Axis::Cells => READ * rayon::current_num_threads(),
            Axis::Genes => 0,
        };
        let fixed = table + fill_bytes(tested) + read + more;
        Self { limit: job.options.memory_limit, fixed }
    }

    /// Bytes for a pass, which needs at least so many.
    ///
    /// # Errors
    /// [`Error::Memory`] where the limit does not allow it.
    pub fn for_pass(&self, least: usize) -> Result<usize> {
        match self.limit {
            None => Ok(FREE.max(least)),
            Some(limit) if limit < self.fixed + least => {
                Err(Error::Memory { needed: self.fixed + least, limit })
            }
            Some(limit) => Ok(FREE.min(limit - self.fixed).max(least)),
        }
    }
}
