//! What engines leave behind, column by column.

mod glm_table;

pub use glm_table::GlmTable;
