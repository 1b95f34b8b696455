use std::env;
use std::fs::{self, File};
use std::ops::Range;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;
use scoria_core::{Result, pool};

use super::memory::{CEILING, Usage};
use super::mutate::{mutate, mutate_within};

/// No case may take longer.
const HANGS: Duration = Duration::from_secs(5);

/// No message may be longer, in bytes: files are quoted in them.
const LONG_MESSAGE: usize = 4000;

/// However little time there is.
const LEAST_CASES: u64 = 100;

/// A reader to try.
pub struct Target {
    pub name: &'static str,
    /// Writes files into an empty folder: valid ones as a rule, odd ones if it likes.
    pub build: fn(&Path, &mut ChaCha8Rng),
    /// Reads what is in the folder. Panics where what is read is not what is there.
    pub run: fn(&Path) -> Result<()>,
    /// Which bytes of a file that was built may be changed, where not all may.
    pub within: Option<Within>,
}

pub type Within = fn(&Path) -> Vec<Range<usize>>;

enum Outcome {
    Read,
    Refused,
    Failed(String),
}

/// Runs case after case, until the time is over. Each is determined by the seed and its
/// number.
pub fn fuzz(target: &Target) {
    let (start, pool) = (Instant::now(), pool(1).unwrap());
    let (mut read, mut refused, mut most) = (0, 0, 0);
    for_each_case(target, |folder| {
        let (outcome, bytes) = run(target, folder, &pool);
        match outcome {
            Outcome::Read => read += 1,
            Outcome::Refused => refused += 1,
            Outcome::Failed(how) => return Err(how),
        }
        most = most.max(bytes);
        Ok(())
    });
    println!(
        "{}: {} cases in {} s, {read} read, {refused} refused; {} MB at most",
        target.name,
        read + refused,
        start.elapsed().as_secs(),
        most >> 20
    );
    let is_one = number("SCORIA_FUZZ_CASE").is_some();
    assert!(is_one || (read > 0 && refused > 0), "all files are good, or all are bad");
}

/// Writes case after case until the time is over, or `take` says how one failed.
fn for_each_case(target: &Target, mut take: impl FnMut(&Path) -> std::result::Result<(), String>) {
    // Targets share the account of memory, processes the folders of a target.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let lock = File::create(path_of(target, "lock")).unwrap();
    lock.lock().unwrap();

    let seconds = number("SCORIA_FUZZ_SECONDS").unwrap_or(2);
    let seed = number("SCORIA_FUZZ_SEED").unwrap_or(1);
    let (first, start) = (number("SCORIA_FUZZ_CASE"), Instant::now());
    for case in first.unwrap_or(0).. {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(case);
        let folder = write_case(target, &mut random);
        if let Err(how) = take(&folder) {
            panic!("case {case} of seed {seed} {how}: see {folder:?}");
        }
        let is_over = start.elapsed().as_secs() >= seconds && case + 1 >= LEAST_CASES;
        if is_over || first.is_some() {
            break;
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().expect(variable))
}

/// Builds files and changes one of them, as a rule. They stay where they are, for
/// whoever asks what it was that failed.
fn write_case(target: &Target, random: &mut ChaCha8Rng) -> PathBuf {
    let folder = build(target, "last", random);
    if random.random_ratio(7, 8) {
        let files = files_in(&folder);
        let file = files.choose(random).unwrap();
        let mut bytes = fs::read(file).unwrap();
        let other = |random: &mut ChaCha8Rng| {
            let other = build(target, "other", random);
            fs::read(files_in(&other).choose(random).unwrap()).unwrap()
        };
        match target.within {
            None => mutate(&mut bytes, random, other),
            Some(within) => mutate_within(&mut bytes, &within(file), random, other),
        }
        fs::write(file, bytes).unwrap();
    }
    folder
}

fn build(target: &Target, which: &str, random: &mut ChaCha8Rng) -> PathBuf {
    let folder = path_of(target, which);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir(&folder).unwrap();
    (target.build)(&folder, random);
    folder
}

fn path_of(target: &Target, which: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-{which}", target.name))
}

/// In the same order always.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// In the one thread of a pool, which is left behind if it hangs. Also tells the bytes of
/// memory that it took.
fn run(target: &Target, folder: &Path, pool: &ThreadPool) -> (Outcome, usize) {
    let usage = Usage::start();
    let (run, of, (done, wait)) = (target.run, folder.to_owned(), channel());
    pool.spawn(move || {
        let result = catch_unwind(|| run(&of));
        // Nobody listens any more where it took too long.
        let _ = done.send(result);
    });
    let outcome = match wait.recv_timeout(HANGS) {
        Ok(Ok(Ok(()))) => Outcome::Read,
        Ok(Ok(Err(error))) if error.to_string().len() > LONG_MESSAGE => {
            Outcome::Failed("is refused with a long message".to_owned())
        }
        // For nothing else can be wrong here.
        Ok(Ok(Err(error))) if !["input_file", "input_data", "counts"].contains(&error.class()) => {
            Outcome::Failed(format!("is refused as {}: {error}", error.class()))
        }
        Ok(Ok(Err(_))) => Outcome::Refused,
        Ok(Err(_)) => Outcome::Failed("panicked".to_owned()),
        Err(_) => Outcome::Failed(format!("takes longer than {HANGS:?}")),
    };
    let bytes = usage.peak();
    match bytes > CEILING {
        true => (Outcome::Failed(format!("took {bytes} bytes of memory")), bytes),
        false => (outcome, bytes),
    }
}
