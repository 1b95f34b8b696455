//! Readers of files that anybody may have written: whatever is in them, a reader gives
//! what is there or refuses it, soon, within bounded memory and without a panic.
//!
//! Each target below gets two seconds of files that were made valid and then changed.
//! For longer, and not with nextest, which ends what takes long:
//!
//!     SCORIA_FUZZ_SECONDS=600 SCORIA_FUZZ_SEED=7 cargo test --test fuzz -- --nocapture
//!
//! Of HDF5 files only values are changed, by which HDF5's own library cannot be hurt, or
//! the end is cut off; where they are changed anywhere, a child process reads them first, as
//! it does for R.
//!
//! `SCORIA_FUZZ_CASE=123` runs one case of a seed again. The files of the last case stay
//! in `fuzz-<target>-last` under cargo's `target/tmp`, also where a signal ended the
//! process.

#[path = "fuzz/h5ad.rs"]
mod h5ad;
#[path = "fuzz/harness.rs"]
mod harness;
#[path = "fuzz/hdf5.rs"]
mod hdf5;
#[path = "fuzz/memory.rs"]
mod memory;
#[path = "fuzz/mtx.rs"]
mod mtx;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/pen.rs"]
mod pen;
#[path = "fuzz/scratch.rs"]
mod scratch;
#[path = "fuzz/tenx.rs"]
mod tenx;

use harness::{Target, fuzz};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

const H5AD: Target =
    Target { name: "h5ad", build: h5ad::build, run: h5ad::run, within: Some(hdf5::values) };
const TENX: Target =
    Target { name: "tenx", build: tenx::build, run: tenx::run, within: Some(hdf5::values) };
const MTX: Target = Target { name: "mtx", build: mtx::build, run: mtx::run, within: None };
const SCRATCH: Target =
    Target { name: "scratch", build: scratch::build, run: scratch::run, within: None };
const H5AD_ANYWHERE: Target = Target {
    name: "h5ad-anywhere",
    run: |folder| hdf5::rehearsed(folder, h5ad::run),
    within: None,
    ..H5AD
};
const TENX_ANYWHERE: Target = Target {
    name: "tenx-anywhere",
    run: |folder| hdf5::rehearsed(folder, tenx::run),
    within: None,
    ..TENX
};

#[test]
fn h5ad() {
    fuzz(&H5AD);
}

#[test]
fn tenx() {
    fuzz(&TENX);
}

#[test]
fn mtx() {
    fuzz(&MTX);
}

#[test]
fn scratch() {
    fuzz(&SCRATCH);
}

#[test]
fn anywhere_in_h5ad() {
    fuzz(&H5AD_ANYWHERE);
}

#[test]
fn anywhere_in_tenx() {
    fuzz(&TENX_ANYWHERE);
}
