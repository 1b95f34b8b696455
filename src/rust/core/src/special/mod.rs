//! Special functions that the engines need and no library has.

mod gamma_ratio;
mod rising;
mod student;
mod trigamma;

pub use gamma_ratio::gamma_ratio;
pub use rising::{CountHistogram, RisingSums};
pub use student::student_two_sided;
pub use trigamma::trigamma;
