//! API keys: long-lived credentials of peers, of which only a hash is kept.

use serde::{Deserialize, Serialize};

use super::ids::{ApiKeyId, PeerId};
use super::time::Timestamp;

/// The longest title, in characters.
pub const TITLE_MAX: usize = 128;
/// The most live keys of one peer.
pub const KEYS_PER_PEER_MAX: usize = 100;

/// An API key as its holder's administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub peer: PeerId,
    pub title: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    pub creator: Option<PeerId>,
    pub create_time: Timestamp,
    pub expire_time: Option<Timestamp>,
    pub revoke_time: Option<Timestamp>,
    /// Not older than a minute before its last use, as of what was written.
    pub last_used_time: Option<Timestamp>,
    pub update_revision: i64,
}
