//! Special functions that the engines need and no library has.

mod gamma_ratio;
mod legendre;
mod rising;
mod student;
pub mod tally;
mod trigamma;

pub use gamma_ratio::gamma_ratio;
pub use legendre::gauss_legendre;
pub use rising::{CountHistogram, RisingSums};
pub use student::student_two_sided;
pub use trigamma::trigamma;
