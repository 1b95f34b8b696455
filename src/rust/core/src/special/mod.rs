//! Special functions that the engines need and no library has.

mod rising;
mod trigamma;

pub use rising::{CountHistogram, RisingSums};
pub use trigamma::trigamma;
