//! Each case in a process of its own, which may crash.
//!
//! HDF5's library crashes and hangs on some files in which what it keeps for itself was
//! changed. That is counted here; what fails is only what is ours.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio, exit};
use std::thread::sleep;
use std::time::{Duration, Instant};

use scoria_core::pool;

use super::harness::{HANGS, Outcome, Target, for_each_case, run};

/// Names the target to the child, and its folder.
const VARIABLES: [&str; 2] = ["SCORIA_FUZZ_CHILD", "SCORIA_FUZZ_FOLDER"];

/// What a child exits with. Rust's own tests exit with 101 where one fails.
const READ: i32 = 40;
const REFUSED: i32 = 41;
const HUNG: i32 = 42;
const SWOLLEN: i32 = 43;
const FAILED: i32 = 44;

#[derive(Debug, Default)]
struct Counts {
    read: u64,
    refused: u64,
    crashed: u64,
    hung: u64,
    swollen: u64,
}

pub fn fuzz_in_children(target: &Target) {
    let (start, mut counts) = (Instant::now(), Counts::default());
    for_each_case(target, |folder| {
        let said = folder.with_extension("said");
        let status = run_child(target, folder, &said);
        let said = fs::read_to_string(said).unwrap_or_default();
        match status.map(|status| status.code()) {
            Some(Some(READ)) => counts.read += 1,
            Some(Some(REFUSED)) => counts.refused += 1,
            None | Some(Some(HUNG)) => counts.hung += 1,
            Some(Some(SWOLLEN)) => counts.swollen += 1,
            // A signal; Rust says why where it is the one that aborts.
            Some(None) if !said.contains("panicked") && !said.contains("memory allocation") => {
                counts.crashed += 1;
            }
            _ => return Err(format!("fails: {said}")),
        }
        Ok(())
    });
    println!("{} in {} s: {counts:?}", target.name, start.elapsed().as_secs());
}

/// None where it was ended because it took too long.
fn run_child(target: &Target, folder: &Path, said: &Path) -> Option<ExitStatus> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(VARIABLES[0], target.name)
        .env(VARIABLES[1], folder)
        .stdout(Stdio::null())
        .stderr(File::create(said).unwrap())
        .spawn()
        .unwrap();
    // It looks at the clock itself, unless it hangs on its way out.
    let start = Instant::now();
    while start.elapsed() < 2 * HANGS {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// Does nothing where it is not one.
pub fn run_as_child(targets: &[Target]) {
    let [Ok(name), Ok(folder)] = VARIABLES.map(env::var) else { return };
    let target = targets.iter().find(|target| target.name == name).unwrap();
    let (outcome, _) = run(target, Path::new(&folder), &pool(1).unwrap());
    exit(match outcome {
        Outcome::Read => READ,
        Outcome::Refused => REFUSED,
        Outcome::Hung => HUNG,
        Outcome::Swollen => SWOLLEN,
        Outcome::Failed(how) => {
            eprintln!("{how}");
            FAILED
        }
    })
}
