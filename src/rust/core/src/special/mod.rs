//! Special functions that the engines need and no library has.

mod rising;

pub use rising::{CountHistogram, RisingSums};
