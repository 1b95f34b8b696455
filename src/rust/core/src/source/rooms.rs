use super::Room;
use std::sync::{Mutex, PoisonError};

/// A room for each thread of the current pool, to be used again and again.
#[derive(Debug)]
pub(crate) struct Rooms(Vec<Mutex<Room>>);

impl Rooms {
    pub fn of_pool() -> Self {
        Self((0..rayon::current_num_threads()).map(|_| Mutex::default()).collect())
    }

    /// Lends the current thread its room; `job` does not share out work.
    pub fn lend<T>(&self, job: impl FnOnce(&mut Room) -> T) -> T {
        let own = rayon::current_thread_index().unwrap_or(0);
        // Where a thread panicked it left a room like any other: what is read replaces all.
        job(&mut self.0[own].lock().unwrap_or_else(PoisonError::into_inner))
    }
}
