//! What engines leave behind, column by column.

mod dispersion_table;
mod glm_table;
mod screen_table;

pub use dispersion_table::DispersionTable;
pub use glm_table::GlmTable;
pub use screen_table::{GeneColumns, PairColumns, PairStatus, ScreenBlock, ScreenSink};
