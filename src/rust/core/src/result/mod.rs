//! What engines leave behind, column by column.

mod dispersion_table;
mod glm_table;
mod zero_inflated_table;
mod group_table;
mod mixed_table;
mod screen_table;
mod fingerprint;
mod screen_layout;
mod screen_structure;
mod draft;
mod screen_file;
mod screen_reader;
mod h5ad_layout;
mod h5ad_structure;
mod h5ad_ranking;
mod h5ad_file;

pub use dispersion_table::DispersionTable;
pub use fingerprint::{Fingerprint, Part};
pub use glm_table::GlmTable;
pub use group_table::{GroupPair, GroupTable, MISSING, TestStatus};
pub use h5ad_file::H5adFile;
pub use h5ad_layout::{H5adLayout, Layer, LayerKind, Ranking, Setting};
pub use mixed_table::MixedTable;
pub use screen_file::ScreenFile;
pub use screen_layout::{Layout, PairsOf, UNFITTED};
pub use screen_reader::{ScreenReader, Values};
pub use screen_table::{GeneColumns, PairColumns, PairStatus, ScreenBlock, ScreenSink};
pub use zero_inflated_table::ZeroInflatedTable;
