//! The numerical core of scoria: generalised linear models of the counts of
//! every gene. Knows nothing of R: built, tested and timed by plain cargo.
//!
//! Read from top to bottom, the modules follow the data.

#![deny(unsafe_code)]

pub mod source;
pub mod design;
pub mod engine;
pub mod result;

mod claim;
mod draft_name;
pub mod error;
pub mod monitor;
mod pages;
pub mod pool;
pub mod simd;
pub mod special;

pub use error::{Error, Result};
pub use monitor::Monitor;
pub use pool::pool;
