//! A job in a child process, which may die of it.

#![allow(unsafe_code)]

use super::rehearsal::Limits;
use crate::{Error, Result};
use hdf5_metno::sync::sync;
use nix::libc::_exit;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdout, fork};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// How it went.
#[derive(Debug)]
pub enum Ending {
    Done,
    Failed(Error),
    /// What happened to the child, in words.
    Died(String),
    /// There was no child, or it failed in a way that it has no words for.
    Untold,
}

pub fn run_in_child<T>(
    limits: Limits,
    mut wait: impl FnMut() -> Result<()>,
    job: impl Fn() -> Result<T>,
) -> Result<Ending> {
    let Ok((mut reader, writer)) = pipe() else { return Ok(Ending::Untold) };
    let most = memory("self", "VmRSS").saturating_add(limits.bytes);
    // SAFETY: the child has this thread alone. HDF5's library, which the job is about, is
    // locked by it; the system's allocator can be used after a fork; and the child ends
    // without running what was registered for the end of the process.
    let forked = sync(|| unsafe { fork() });
    let child = match forked {
        Ok(ForkResult::Parent { child }) => child,
        Ok(ForkResult::Child) => {
            drop(reader);
            perform(limits, most, job, writer)
        }
        Err(_) => return Ok(Ending::Untold),
    };
    drop(writer);
    let heard = listen(&mut reader, child, most, &mut wait);
    if !matches!(heard, Ok(Heard::All(_))) {
        // It may have ended meanwhile.
        let _ = kill(child, Signal::SIGKILL);
    }
    let status = bury(child);
    Ok(match heard? {
        Heard::All(said) if said == SWOLLEN => swollen(limits),
        Heard::All(said) => told(&said).unwrap_or_else(|| cause(status, limits)),
        Heard::Swollen => swollen(limits),
    })
}

enum Heard {
    /// Until the child ended.
    All(Vec<u8>),
    Swollen,
}

fn listen(
    reader: &mut PipeReader,
    child: Pid,
    most: u64,
    wait: &mut impl FnMut() -> Result<()>,
) -> Result<Heard> {
    let (child, mut said) = (child.to_string(), vec![]);
    loop {
        let mut listened = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut listened, POLL), Ok(1..)) {
            wait()?;
            if memory(&child, "VmHWM") > most {
                return Ok(Heard::Swollen);
            }
            continue;
        }
        let mut part = [0; 4096];
        match reader.read(&mut part) {
            Ok(0) => return Ok(Heard::All(said)),
            Ok(bytes) => said.extend_from_slice(&part[..bytes]),
            Err(_) => wait()?,
        }
    }
}

/// In milliseconds.
const POLL: u8 = 50;

/// Bytes that a process has in memory ("VmRSS"), or had at most ("VmHWM"); of that a
/// child begins with what its parent has.
///
/// The child may ask for more than its limit, and is ended once it has it: were it
/// refused, the library might do without, and take it all in the parent.
fn memory(process: &str, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let of = |line: &str| line.strip_prefix(which)?.strip_prefix(':').map(str::to_owned);
    let found = status.lines().find_map(of);
    let kilobytes = found.and_then(|said| said.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

fn swollen(limits: Limits) -> Ending {
    Ending::Died(format!("took more than {} MB of memory", limits.bytes / 1_000_000))
}

/// None where somebody else has asked how it ended.
fn bury(child: Pid) -> Option<WaitStatus> {
    loop {
        match waitpid(child, None) {
            Err(nix::Error::EINTR) => {}
            status => return status.ok(),
        }
    }
}

fn cause(status: Option<WaitStatus>, limits: Limits) -> Ending {
    Ending::Died(match status {
        Some(WaitStatus::Signaled(_, Signal::SIGXCPU, _)) => {
            format!("was not done after {} s", limits.seconds)
        }
        Some(WaitStatus::Signaled(_, signal, _)) => format!("ended with {signal}"),
        // It left by itself: the library is not to blame.
        Some(_) => return Ending::Untold,
        None => "ended".to_owned(),
    })
}

/// The child's part.
fn perform<T>(limits: Limits, most: u64, job: impl Fn() -> Result<T>, mut writer: PipeWriter) -> ! {
    let came = be_a_child(limits).is_some();
    // Its value is given back here, which may fail as well.
    let tried = || job().map(drop);
    let said = match catch_unwind(AssertUnwindSafe(tried)) {
        _ if !came => UNTOLD.to_vec(),
        _ if memory("self", "VmHWM") > most => SWOLLEN.to_vec(),
        Ok(Ok(())) => DONE.to_vec(),
        Ok(Err(error)) => say(&error),
        Err(_) => UNTOLD.to_vec(),
    };
    let _ = writer.write_all(&said);
    // SAFETY: it ends the process.
    unsafe { _exit(0) }
}

/// Dies quietly and soon, and with its parent.
fn be_a_child(limits: Limits) -> Option<()> {
    set_pdeathsig(Signal::SIGKILL).ok()?;
    for number in Signal::iterator() {
        let handler = match number {
            Signal::SIGKILL | Signal::SIGSTOP => continue,
            // The parent hears of it, and ends its child.
            Signal::SIGINT => SigHandler::SigIgn,
            _ => SigHandler::SigDfl,
        };
        // SAFETY: neither handler is code.
        unsafe { signal(number, handler) }.ok()?;
    }
    let nowhere = File::options().write(true).open("/dev/null").ok()?;
    dup2_stdout(&nowhere).ok()?;
    dup2_stderr(&nowhere).ok()?;
    limit(Resource::RLIMIT_CORE, 0)?;
    limit(Resource::RLIMIT_CPU, limits.seconds)
}

fn limit(resource: Resource, most: u64) -> Option<()> {
    let (_, hard) = getrlimit(resource).ok()?;
    setrlimit(resource, most.min(hard), hard).ok()
}

const DONE: &[u8] = b"done";
const SWOLLEN: &[u8] = b"swollen";
const UNTOLD: &[u8] = b"untold";

// Of an error it is its kind and its parts, which have no zeros, with a zero between.

fn say(error: &Error) -> Vec<u8> {
    match error {
        Error::InputFile { path: of, reason } => {
            [b"file", of.as_os_str().as_bytes(), reason.as_bytes()].join(&0)
        }
        Error::InputData { path: of, dataset, reason } => {
            [b"data", of.as_os_str().as_bytes(), dataset.as_bytes(), reason.as_bytes()].join(&0)
        }
        _ => UNTOLD.to_vec(),
    }
}

/// None where it was not able to say anything.
fn told(said: &[u8]) -> Option<Ending> {
    let parts: Vec<_> = said.split(|&byte| byte == 0).collect();
    let path = |bytes| PathBuf::from(OsStr::from_bytes(bytes));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some(match parts.as_slice() {
        &[DONE] => Ending::Done,
        &[b"file", of, reason] => {
            Ending::Failed(Error::InputFile { path: path(of), reason: text(reason) })
        }
        &[b"data", of, dataset, reason] => Ending::Failed(Error::InputData {
            path: path(of),
            dataset: text(dataset),
            reason: text(reason),
        }),
        [b""] => return None,
        _ => Ending::Untold,
    })
}
