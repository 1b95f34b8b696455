//! Writers that are killed, and disks that are full. The writer is this test
//! binary, started again.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scoria_core::Result;
use scoria_core::result::{Layout, ScreenFile, ScreenReader, ScreenSink};
use tempfile::tempdir;

use super::fixture::{assert_holds, block, fingerprint, uniform};

const KILLS: usize = 20;

#[test]
fn a_writer_killed_again_and_again_leaves_what_one_would_have_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut done = Vec::new();
    for _ in 0..KILLS {
        let mut writer = writer(&path, 1000).spawn().unwrap();
        sleep(Duration::from_micros(random.random_range(0..100_000)));
        writer.kill().unwrap();
        writer.wait().unwrap();
        if path.exists() {
            let genes = ScreenReader::open(&path).unwrap().genes_done();
            assert_holds(&path, &layout(), genes);
            assert!(done.last() <= Some(&genes));
            done.push(genes);
        }
    }
    eprintln!("genes done at each kill: {done:?}");
    assert!(writer(&path, 0).status().unwrap().success());
    assert_holds(&path, &layout(), layout().genes);

    let straight = folder.path().join("straight.h5");
    assert!(writer(&straight, 0).status().unwrap().success());
    assert_eq!(values(&path), values(&straight));
}

#[test]
fn a_writer_killed_at_the_start_leaves_nothing_or_a_whole_file() {
    let folder = tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for round in 0..KILLS {
        let path = folder.path().join(format!("screen-{round}.h5"));
        let mut writer = writer(&path, 1000).spawn().unwrap();
        sleep(Duration::from_micros(random.random_range(0..20_000)));
        writer.kill().unwrap();
        writer.wait().unwrap();
        if path.exists() {
            let genes = ScreenReader::open(&path).unwrap().genes_done();
            assert_holds(&path, &layout(), genes);
            ScreenFile::resume(&path, &layout(), &fingerprint()).unwrap();
        }
    }
}

#[test]
fn no_file_is_made_where_it_cannot_grow() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let output = limited(&mut writer(&path, 0), 100).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "output_full");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_write_that_does_not_fit_leaves_a_file_to_resume() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let mut file = ScreenFile::create(&path, &layout(), &fingerprint(), b"").unwrap();
    file.append(block(&layout(), 0..7)).unwrap();
    drop(file);

    let output = limited(&mut writer(&path, 0), 100).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "output_full");
    assert_holds(&path, &layout(), 7);
    assert!(writer(&path, 0).status().unwrap().success());
    assert_holds(&path, &layout(), layout().genes);
}

#[test]
fn a_full_disk_is_called_so() {
    let folder = tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg(r#"mount -t tmpfs -o size=1m none "$0" || exit 77; exec "$@""#);
    command.arg(&disk);
    let Ok(output) = within(&mut command, &writer(&disk.join("screen.h5"), 0)).output() else {
        eprintln!("SKIPPED: there is no unshare to mount a small disk with");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || said.starts_with("unshare:") {
        eprintln!("SKIPPED: a small disk may not be mounted here: {said}");
        return;
    }
    assert_eq!(said, "output_full");
}

/// What [`writer`] runs. Says on standard error what went wrong, and no more.
#[test]
#[ignore = "the other tests run it, in processes of their own"]
fn write() {
    let Some(path) = env::var_os("SCORIA_TEST_WRITE") else { return };
    let pause = env::var("SCORIA_TEST_PAUSE").unwrap().parse().unwrap();
    if let Err(error) = write_all(Path::new(&path), Duration::from_micros(pause)) {
        eprint!("{}", error.class());
        std::process::exit(1);
    }
}

fn write_all(path: &Path, pause: Duration) -> Result<()> {
    let layout = layout();
    let mut file = if path.exists() {
        ScreenFile::resume(path, &layout, &fingerprint())?
    } else {
        ScreenFile::create(path, &layout, &fingerprint(), b"")?
    };
    while file.genes_done() < layout.genes {
        let gene = file.genes_done();
        file.append(block(&layout, gene..gene + 1))?;
        sleep(pause);
    }
    file.finish()
}

/// Hash of all but the structure, which holds the time when it was made.
fn values(path: &Path) -> Vec<(String, u64, u64)> {
    let file = hdf5_metno::File::open(path).unwrap();
    let whole = std::fs::read(path).unwrap();
    let datasets = ["pairs", "genes"].map(|group| file.group(group).unwrap().datasets().unwrap());
    (datasets.iter().flatten())
        .map(|dataset| {
            let start = dataset.offset().unwrap() as usize;
            let end = start + dataset.size() * dataset.dtype().unwrap().size();
            let mut hasher = DefaultHasher::new();
            whole[start..end].hash(&mut hasher);
            (dataset.name(), start as u64, hasher.finish())
        })
        .collect()
}

/// More than the killed writers get done; some 3 MB.
fn layout() -> Layout {
    uniform(600, 100, true)
}

fn writer(path: &Path, pause: usize) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "interruption::write", "--nocapture", "--quiet"]);
    command.env("SCORIA_TEST_WRITE", path).env("SCORIA_TEST_PAUSE", pause.to_string());
    command.stdout(Stdio::null());
    command
}

/// Runs it where no file may be written beyond so many blocks of 512 or 1024 bytes.
fn limited(command: &mut Command, blocks: usize) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!(r#"trap '' XFSZ; ulimit -f {blocks}; exec "$0" "$@""#));
    within(&mut shell, command);
    shell
}

fn within<'a>(outer: &'a mut Command, inner: &Command) -> &'a mut Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.stdout(Stdio::null())
}
