//! Policies in casbin's terms: what leaves in them.

mod export;

pub use export::{ExportPolicy, Exporting, Piece};
