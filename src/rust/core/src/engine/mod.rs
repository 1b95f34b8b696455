//! What is computed from counts and a design.

pub mod glm;
pub mod zero_inflated;
pub mod mixed;
pub mod dispersion;
pub mod screen;
pub mod rank;
pub mod shrink;
pub mod mixture;
pub mod ash;
pub mod mash;
