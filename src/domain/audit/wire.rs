//! The members of an event as they stand in the canonical bytes.
//!
//! There are objects, arrays and strings only: numbers are decimal strings, and members without a
//! value are left out. This leaves RFC 8785 no number to format and a verifier no choice to make.
//!
//! Unknown members are read over, because later releases may add optional ones.
//!
//! Deliberately not here: what the strings mean. `seal` and `open` see to that.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
pub(super) struct Wire {
    pub(super) version: String,
    pub(super) account: String,
    pub(super) seq: String,
    pub(super) event_id: Uuid,
    pub(super) prev_hash: String,
    pub(super) occurred_time: String,
    pub(super) recorded_time: String,
    pub(super) actor: WireActor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) on_behalf_of: Option<WireActor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reporter: Option<WireActor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    pub(super) action: String,
    pub(super) target: WireTarget,
    pub(super) outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) elevations: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) approvals: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) justification: Option<WireCommitment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source_address: Option<WireCommitment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<WireCommitment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<WireChange>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) linked: Vec<WireLinked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WireActor {
    Person(WirePeer),
    Device(WirePeer),
    Integration(WirePeer),
    System { name: String },
    Anonymous,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WirePeer {
    pub(super) uid: Uuid,
    pub(super) home_account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<WireCommitment>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireTarget {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: WireText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<WireCommitment>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireChange {
    pub(super) field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<WireText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<WireText>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireLinked {
    pub(super) account: String,
    pub(super) seq: String,
    pub(super) event_id: Uuid,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum WireText {
    Public(String),
    Committed(WireCommitment),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireCommitment {
    pub(super) hmac_sha256: String,
}
