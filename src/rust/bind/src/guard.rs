//! What lies between a core computation and R: errors and panics become
//! condition objects, and long computations leave the main thread free to
//! listen to the user.

use extendr_api::prelude::*;
use scoria_core::source::{Library, Request};
use scoria_core::{Monitor, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(50);

unsafe extern "C" {
    /// Defined in `init.c`: whether the user has asked to stop.
    safe fn scoria_interrupted() -> i32;
}

/// Runs `body`; a failure of any kind becomes an R condition object for
/// `rust_value()` to raise, so that R never jumps over Rust frames.
pub fn report<T: Into<Robj>>(body: impl FnOnce() -> Result<T>) -> Robj {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value.into(),
        Ok(Err(error)) => condition(error.class(), &error.to_string()),
        Err(payload) => condition("panic", &panic_message(&*payload)),
    }
}

fn condition(class: &str, message: &str) -> Robj {
    let mut list = list!(message = message, kind = class);
    list.set_class(["scoria_failure"]).expect("a list takes a class");
    list.into()
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("unknown panic").to_string()
}

/// R's own thread, which others ask for what it alone can do while they work.
pub struct Listener {
    sender: Sender<News>,
    news: Receiver<News>,
}

enum News {
    /// Something of a file.
    Wanted(Request),
    Finished,
}

/// Tells even where the job has panicked.
struct Finish(Sender<News>);

impl Drop for Finish {
    fn drop(&mut self) {
        // Nobody listens where R's thread has given up itself.
        let _ = self.0.send(News::Finished);
    }
}

impl Listener {
    pub fn new() -> Self {
        let (sender, news) = channel();
        Self { sender, news }
    }

    /// For files that the job reads.
    pub fn library(&self) -> Library {
        let sender = self.sender.clone();
        Library::here(move |request| {
            // A request that nobody takes is dropped, which its reader sees.
            let _ = sender.send(News::Wanted(request));
        })
    }

    /// Runs `job` on another thread while this one, R's own, reports progress through
    /// `progress`, where there is one, reads what the job wants, and cancels the job when the user
    /// interrupts.
    pub fn run<T: Send>(
        self,
        progress: Option<&Function>,
        monitor: &Monitor,
        job: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let Self { sender, news } = self;
        std::thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let _finish = Finish(sender);
                job()
            });
            let mut told = Instant::now();
            let mut cancelled = false;
            loop {
                match news.recv_timeout(POLL) {
                    Ok(News::Wanted(request)) => request.serve(),
                    Ok(News::Finished) | Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                if !cancelled && told.elapsed() >= POLL {
                    told = Instant::now();
                    let done = pairlist!(monitor.done() as f64);
                    let failed = progress.is_some_and(|progress| progress.call(done).is_err());
                    cancelled = failed || scoria_interrupted() != 0;
                    if cancelled {
                        monitor.cancel();
                    }
                }
            }
            worker.join().unwrap_or_else(|payload| resume_unwind(payload))
        })
    }
}
