//! What engines leave behind, column by column.

mod dispersion_table;
mod glm_table;
mod group_table;
mod screen_table;
mod fingerprint;
mod screen_layout;
mod screen_structure;
mod screen_file;
mod screen_reader;

pub use dispersion_table::DispersionTable;
pub use fingerprint::{Fingerprint, Part};
pub use glm_table::GlmTable;
pub use group_table::{GroupPair, GroupTable, TestStatus};
pub use screen_file::ScreenFile;
pub use screen_layout::{Layout, PairsOf, UNFITTED};
pub use screen_reader::{ScreenReader, Values};
pub use screen_table::{GeneColumns, PairColumns, PairStatus, ScreenBlock, ScreenSink};
