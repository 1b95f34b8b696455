//! Readers of files that anybody may have written: whatever is in them, a reader gives
//! what is there or refuses it, soon, within bounded memory and without a panic.
//!
//! Each target below gets two seconds of files that were made valid and then changed.
//! For longer, and not with nextest, which ends what takes long:
//!
//!     SCORIA_FUZZ_SECONDS=600 SCORIA_FUZZ_SEED=7 cargo test --test fuzz -- --nocapture
//!
//! `SCORIA_FUZZ_CASE=123` runs one case of a seed again. The files of the last case stay
//! in `fuzz-<target>-last` under cargo's `target/tmp`, also where a signal ended the
//! process.

#[path = "fuzz/harness.rs"]
mod harness;
#[path = "fuzz/memory.rs"]
mod memory;
#[path = "fuzz/mtx.rs"]
mod mtx;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/scratch.rs"]
mod scratch;

use harness::{Target, fuzz};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

#[test]
fn mtx() {
    fuzz(&Target { name: "mtx", build: mtx::build, run: mtx::run });
}

#[test]
fn scratch() {
    fuzz(&Target { name: "scratch", build: scratch::build, run: scratch::run });
}
