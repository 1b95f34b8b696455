//! What lies between a core computation and R: errors and panics become
//! condition objects, and long computations leave the main thread free to
//! listen to the user.

use extendr_api::prelude::*;
use scoria_core::source::unheard;
use scoria_core::{Error, Monitor, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);

unsafe extern "C" {
    /// Defined in `init.c`: whether the user has asked to stop.
    safe fn scoria_interrupted() -> i32;
}

/// Runs `body`; a failure of any kind becomes an R condition object for
/// `rust_value()` to raise, so that R never jumps over Rust frames.
pub fn report<T: Into<Robj>>(body: impl FnOnce() -> Result<T>) -> Robj {
    match catch_unwind(AssertUnwindSafe(|| unheard(body))) {
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

/// Fails once the user has asked to stop. For R's own thread.
pub fn interrupted() -> Result<()> {
    if scoria_interrupted() == 0 { Ok(()) } else { Err(Error::Interrupted) }
}

/// Runs `job` on another thread while this one, R's own, reports progress through
/// `progress`, where there is one, and cancels the job when the user interrupts.
pub fn listen<T: Send>(
    progress: Option<&Function>,
    monitor: &Monitor,
    job: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    std::thread::scope(|scope| {
        let (finished, news) = channel::<()>();
        let worker = scope.spawn(move || {
            let _finished = finished;
            job()
        });
        while news.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
            let done = pairlist!(monitor.done() as f64);
            let failed = progress.is_some_and(|progress| progress.call(done).is_err());
            if failed || interrupted().is_err() {
                monitor.cancel();
                break;
            }
        }
        worker.join().unwrap_or_else(|payload| resume_unwind(payload))
    })
}
