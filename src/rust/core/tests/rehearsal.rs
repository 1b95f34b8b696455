//! A child process that dies of a file is an error here.
#![cfg(target_os = "linux")]

use scoria_core::source::{Limits, rehearse};
use scoria_core::{Error, Result};
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{abort, id};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LIMITS: Limits = Limits { seconds: 1, bytes: 1 << 28 };

struct Tried {
    path: PathBuf,
    parent: u32,
    _folder: TempDir,
}

impl Tried {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.h5");
        fs::write(&path, "whatever").unwrap();
        Self { path, parent: id(), _folder: folder }
    }

    fn is_child(&self) -> bool {
        id() != self.parent
    }

    fn rehearse<T>(&self, job: impl Fn() -> Result<T>) -> Result<T> {
        rehearse(&self.path, "obs", Some(LIMITS), || Ok(()), job)
    }

    /// The reason for which the file is refused, where the child does something.
    fn reason(&self, deed: impl Fn()) -> String {
        let refused = self.rehearse(|| {
            assert!(self.is_child(), "the child came through");
            deed();
            Ok(())
        });
        match refused {
            Err(Error::InputFile { path, reason }) if path == self.path => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_job_runs_in_a_child_and_then_here_and_again_only_here() {
    let tried = Tried::new();
    let seen = tried.path.with_extension("seen");
    let job = || {
        if tried.is_child() {
            let before = fs::read_to_string(&seen).unwrap_or_default();
            fs::write(&seen, before + "x").unwrap();
        }
        Ok(7)
    };
    let times = || fs::read_to_string(&seen).unwrap();
    assert_eq!(tried.rehearse(job), Ok(7));
    assert_eq!(tried.rehearse(job), Ok(7));
    assert_eq!(times(), "x");
    // Something else of the file; and the file after a change.
    assert_eq!(rehearse(&tried.path, "var", None, || Ok(()), job), Ok(7));
    assert_eq!(times(), "xx");
    fs::write(&tried.path, "something else").unwrap();
    assert_eq!(tried.rehearse(job), Ok(7));
    assert_eq!(times(), "xxx");
}

#[test]
fn what_kills_the_child_is_an_error() {
    let tried = Tried::new();
    let reason = tried.reason(|| abort());
    assert_eq!(reason, "it is damaged: HDF5's library ended with SIGABRT in reading obs");
    let reason = tried.reason(|| {
        // SAFETY: none; it is to crash.
        unsafe { black_box(null_mut::<u8>()).write_volatile(1) }
    });
    assert!(reason.contains("SIGSEGV"), "{reason}");
    // It is not remembered as one that came through.
    assert!(tried.reason(|| abort()).contains("SIGABRT"));
}

#[test]
fn a_child_ends_that_takes_too_long_or_too_much() {
    let tried = Tried::new();
    let start = Instant::now();
    let reason = tried.reason(|| while black_box(true) {});
    assert_eq!(reason, "it is damaged: HDF5's library was not done after 1 s in reading obs");
    assert!(start.elapsed() < Duration::from_secs(30));
    let expected = "it is damaged: HDF5's library took more than 268 MB of memory in reading obs";
    assert_eq!(tried.reason(|| drop(black_box(vec![1u8; 1 << 29]))), expected);
    // Also while it goes on.
    let start = Instant::now();
    let keep = || {
        let _kept = black_box(vec![1u8; 1 << 29]);
        sleep(Duration::from_secs(60));
    };
    assert_eq!(tried.reason(keep), expected);
    assert!(start.elapsed() < Duration::from_secs(30));
    // What is asked for and never used is not taken.
    assert_eq!(tried.rehearse(|| Ok(black_box(vec![0u8; 1 << 33]).len())), Ok(1 << 33));
    assert_eq!(tried.rehearse(|| Ok(black_box(vec![1u8; 1 << 26]).len())), Ok(1 << 26));
}

#[test]
fn what_a_job_refuses_is_refused_in_its_words() {
    let tried = Tried::new();
    let (path, reason) = (Path::new("/a b/ä.h5").to_owned(), "für\nnichts".to_owned());
    let errors = [
        || Error::InputFile { path: "/a b/ä.h5".into(), reason: String::new() },
        || Error::InputData {
            path: "/a b/ä.h5".into(),
            dataset: "X/data".into(),
            reason: "für\nnichts".into(),
        },
    ];
    for error in errors {
        let refused = tried.rehearse(|| {
            assert!(tried.is_child(), "a job that failed is run again");
            Err::<(), _>(error())
        });
        assert_eq!(refused, Err(error()));
    }
    // What a child has no words for is found out here.
    for reason in [reason, "with a \0 in it".to_owned()] {
        let error =
            || Error::InputData { path: path.clone(), dataset: "X".into(), reason: reason.clone() };
        assert_eq!(tried.rehearse(|| Err::<(), _>(error())), Err(error()));
    }
    let other = tried.rehearse(|| Err::<(), _>(Error::EmptyDesign));
    assert_eq!(other, Err(Error::EmptyDesign));
    let none = rehearse(Path::new("/nowhere"), "obs", None, || Ok(()), || Ok(id()));
    assert_eq!(none, Ok(tried.parent));
}

#[test]
fn waiting_can_be_given_up() {
    let tried = Tried::new();
    let (start, calls) = (Instant::now(), AtomicUsize::new(0));
    let wait = || match calls.fetch_add(1, Relaxed) {
        0 | 1 => Ok(()),
        _ => Err(Error::Interrupted),
    };
    let forever = || -> Result<()> {
        loop {
            assert!(tried.is_child());
            sleep(Duration::from_secs(1));
        }
    };
    assert_eq!(rehearse(&tried.path, "obs", None, wait, forever), Err(Error::Interrupted));
    assert_eq!(calls.load(Relaxed), 3);
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn nothing_of_a_child_is_left() {
    let tried = Tried::new();
    let number = tried.path.with_extension("number");
    let remember = || fs::write(&number, id().to_string()).unwrap();
    let is_gone = || {
        let number = fs::read_to_string(&number).unwrap();
        number != tried.parent.to_string() && !Path::new("/proc").join(number).exists()
    };
    tried.reason(|| {
        remember();
        abort()
    });
    assert!(is_gone());
    let once = || {
        if tried.is_child() {
            remember();
        }
        Ok(())
    };
    assert_eq!(tried.rehearse(once), Ok(()));
    assert!(is_gone());
}
