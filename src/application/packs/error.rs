//! What can be wrong with a pack, always with the pack and the place in it.

use crate::decision::SnapshotError;
use crate::decision::matrix::Scope;
use crate::domain::invalid::Invalid;

/// Why the packs cannot be used. The service does not start then.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("pack `{pack}` cannot be read")]
    Yaml {
        pack: String,
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    #[error("pack `{pack}`, {place}: `{value}` {why}")]
    Value { pack: String, place: String, value: String, why: Invalid },
    #[error("pack `{pack}`, {place}: `{name}` is unknown")]
    Unknown { pack: String, place: String, name: String },
    #[error("pack `{pack}`, {place}: {why}")]
    Rule { pack: String, place: String, why: &'static str },
    #[error("pack `{pack}` lists `{permission}` otherwise than pack `{owner}`, which owns it")]
    Different { pack: String, permission: String, owner: String },
    #[error("pack `{pack}`, matrix column `{column}`: the engine could not be asked")]
    Engine {
        pack: String,
        column: String,
        #[source]
        source: SnapshotError,
    },
    #[error("pack `{pack}`, matrix row `{row}`, column `{column}`: the pack says {wanted}, the engine {got}")]
    Cell { pack: String, row: String, column: String, wanted: String, got: String },
    #[error("pack `{pack}`, matrix column `{column}`: the pack says scope {wanted:?}, the role's rules {got:?}")]
    Scope { pack: String, column: String, wanted: Scope, got: Scope },
}
