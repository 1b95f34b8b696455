//! What engines leave behind, column by column.

mod glm_table;
mod screen_table;

pub use glm_table::GlmTable;
pub use screen_table::{GeneColumns, PairColumns, PairStatus, ScreenBlock, ScreenSink};
