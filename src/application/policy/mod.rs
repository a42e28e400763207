//! Policies in casbin's terms: what leaves in them, and what is taken from them.

mod export;
pub mod form;
mod import;

pub use export::{ExportPolicy, Exporting, Piece};
pub use import::{ImportPolicy, Imported, Skipped, WrongLines, import};
