use super::chunk::read_chunk;
use hdf5_metno::Dataset;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, ThreadId};

/// Who calls HDF5's library to read chunks: whoever wants one; or one thread for all,
/// where others than this crate use the library in the same process. R's own packages
/// do, from R's thread, and leave its lock held where they fail: then no other thread
/// ever gets in.
#[derive(Clone, Default)]
pub struct Library {
    to: Option<(ThreadId, HandOver)>,
}

type HandOver = Arc<dyn Fn(Request) + Send + Sync>;

/// A chunk that is wanted, to be served by the thread that it was handed over to.
pub struct Request {
    dataset: Arc<Dataset>,
    offset: Vec<u64>,
    most: u64,
    bytes: Vec<u8>,
    reply: Sender<(Vec<u8>, Option<u32>)>,
}

impl Library {
    /// Hands the requests of other threads over to the current one, which is to
    /// [`Request::serve`] them for as long as they read.
    pub fn here(hand_over: impl Fn(Request) + Send + Sync + 'static) -> Self {
        Self { to: Some((thread::current().id(), Arc::new(hand_over))) }
    }

    /// As [`read_chunk`].
    pub fn read_chunk(
        &self,
        dataset: &Arc<Dataset>,
        offset: &[u64],
        most: u64,
        out: &mut Vec<u8>,
    ) -> Option<u32> {
        let elsewhere = self.to.as_ref().filter(|(to, _)| *to != thread::current().id());
        let Some((_, hand_over)) = elsewhere else {
            return read_chunk(dataset, offset, most, out);
        };
        let (reply, served) = channel();
        let bytes = std::mem::take(out);
        let (dataset, offset) = (dataset.clone(), offset.to_vec());
        hand_over(Request { dataset, offset, most, bytes, reply });
        // None where nobody serves any more.
        let (bytes, skipped) = served.recv().ok()?;
        *out = bytes;
        skipped
    }
}

impl Request {
    pub fn serve(mut self) {
        let skipped = read_chunk(&self.dataset, &self.offset, self.most, &mut self.bytes);
        // Nobody waits for it where the reader was interrupted.
        let _ = self.reply.send((self.bytes, skipped));
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.to.is_some() { "one thread" } else { "each thread" };
        formatter.debug_tuple("Library").field(&whose).finish()
    }
}
