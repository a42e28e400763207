//! What an audit event says, and where it stands in its account's log.
//!
//! Application code fills in an [`AuditDraft`]; whoever holds the log head turns it into the exact
//! bytes that are stored and hashed with [`seal`], and readers turn these back with [`open`].
//!
//! INVARIANT: personal data is a [`Personal`] and never a plain string, so that the sealed bytes
//! hold only a commitment to it; its value can be erased later without breaking any proof.
//! INVARIANT: what a sealed event of a given version means never changes. New members may be added
//! if they are optional; everything else needs a new [`FORMAT_VERSION`]. docs/audit-format.md is
//! the norm, and docs/audit-vectors.json holds this code to it.
//!
//! Deliberately not here: the clock, random salts and event ids (all injected), storage, the
//! Merkle tree over the leaves, and the export format.

mod hash;
mod open;
mod seal;
pub mod sentence;
#[cfg(test)]
mod vectors;
mod wire;

use std::fmt;
use std::num::NonZeroU64;

use uuid::Uuid;

use crate::domain::ids::{AccountId, PeerId};
use crate::domain::peer::PeerKind;
use crate::domain::time::Timestamp;

pub use hash::{GENESIS, Hash, commitment, leaf_hash};
pub use open::{OpenError, open};
pub use seal::{SealError, seal};

/// The version that [`seal`] writes and [`open`] reads.
pub const FORMAT_VERSION: &str = "1";

/// Personal data: readable until it is erased, and only committed to in the sealed bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Personal {
    Value(String),
    /// The value is gone; the commitment to it is all that remains.
    Erased(Hash),
}

impl Personal {
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self::Value(value.into())
    }

    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Erased(_) => None,
        }
    }
}

/// Redacted, because drafts and events end up in log lines and test failures.
impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(<redacted>)"),
            Self::Erased(commitment) => write!(f, "Erased({})", hash::to_hex(commitment)),
        }
    }
}

/// A text that is personal in some events and not in others, such as the value of a changed field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Public(String),
    Personal(Personal),
}

impl Text {
    #[must_use]
    pub fn public(value: impl Into<String>) -> Self {
        Self::Public(value.into())
    }

    #[must_use]
    pub fn personal(value: impl Into<String>) -> Self {
        Self::Personal(Personal::new(value))
    }

    /// The value, or `None` where it was erased.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Public(value) => Some(value),
            Self::Personal(personal) => personal.value(),
        }
    }
}

/// A peer as it was when it acted. The display name is kept because an export is read by people
/// who cannot look the peer up, and because peers are renamed and purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingPeer {
    pub uid: PeerId,
    pub kind: PeerKind,
    pub home_account: AccountId,
    pub display_name: Option<Personal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    Peer(ActingPeer),
    /// The service itself, by the name of the part that acted, such as `bootstrap`.
    System {
        name: String,
    },
    /// Nobody that could be identified, as in a sign-in with an unknown user name.
    Anonymous,
}

/// What the act was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The kind of thing in snake case, such as `peer` or `role_binding`.
    pub kind: String,
    /// The resource name, or a personal text where the target is no resource of this service.
    pub name: Text,
    /// The account the act applied to. Sealing drops it where it is the log's own account.
    pub account: Option<AccountId>,
    pub display_name: Option<Personal>,
}

impl Target {
    #[must_use]
    pub fn new(kind: impl Into<String>, name: Text) -> Self {
        Self { kind: kind.into(), name, account: None, display_name: None }
    }
}

/// How the act ended; an act that did not succeed always says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Denied { reason: String },
    Failed { reason: String },
}

impl Outcome {
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Denied { .. } => "DENIED",
            Self::Failed { .. } => "FAILED",
        }
    }

    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Denied { reason } | Self::Failed { reason } => Some(reason),
        }
    }
}

/// One changed field. `before` is absent where the field had no value, `after` where it has none
/// now. Secrets are never recorded, not even as commitments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub field: String,
    pub before: Option<Text>,
    pub after: Option<Text>,
}

/// The event in another account's log that records the same act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedEvent {
    pub account: AccountId,
    pub seq: i64,
    pub event_id: Uuid,
}

/// Everything about an act that is known before it has a place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDraft {
    pub occurred_time: Timestamp,
    pub actor: Actor,
    /// The peer for whom the actor acted.
    pub on_behalf_of: Option<ActingPeer>,
    /// The service that reported an act it did itself; absent for acts that happened here.
    pub reporter: Option<ActingPeer>,
    /// The resource name of the session, account session or API key that was presented.
    pub session: Option<String>,
    /// `resource.action`, as permissions are written.
    pub action: String,
    pub target: Target,
    pub outcome: Outcome,
    pub elevations: Vec<Uuid>,
    pub approvals: Vec<Uuid>,
    pub justification: Option<Personal>,
    pub source_address: Option<Personal>,
    /// As the client sent it. Browser and operating system are derived when it is read.
    pub user_agent: Option<Personal>,
    /// The W3C trace id, 32 lower-case hexadecimal digits.
    pub trace_id: Option<String>,
    pub changes: Vec<Change>,
    /// How many repeats of an earlier event this one stands for; absent for a single act.
    pub count: Option<NonZeroU64>,
}

impl AuditDraft {
    /// An act that succeeded, with what every event has; the rest is set on its fields.
    #[must_use]
    pub fn success(occurred_time: Timestamp, actor: Actor, action: impl Into<String>, target: Target) -> Self {
        Self {
            occurred_time,
            actor,
            on_behalf_of: None,
            reporter: None,
            session: None,
            action: action.into(),
            target,
            outcome: Outcome::Success,
            elevations: Vec::new(),
            approvals: Vec::new(),
            justification: None,
            source_address: None,
            user_agent: None,
            trace_id: None,
            changes: Vec::new(),
            count: None,
        }
    }

    /// The same act, not permitted for the reason with this stable code.
    #[must_use]
    pub fn denied(self, reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Denied { reason: reason.into() }, ..self }
    }

    /// The same act, which failed although it was permitted, or because a credential was wrong.
    #[must_use]
    pub fn failed(self, reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed { reason: reason.into() }, ..self }
    }
}

/// The place of an event in one log, fixed while the log's head is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    pub account: AccountId,
    /// 1 for the first event of a log, then one more for each.
    pub seq: i64,
    pub event_id: Uuid,
    pub recorded_time: Timestamp,
    /// The policy revision that the act made, or at which it was decided.
    pub revision: Option<i64>,
    /// The leaf hash of the event before, [`GENESIS`] for the first one.
    pub prev_hash: Hash,
    /// The events in other logs that record the same act.
    pub linked: Vec<LinkedEvent>,
}

/// A sealed event as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub position: LogPosition,
    pub body: AuditDraft,
}

/// A personal value with what proves that the sealed bytes speak of it. Erasing it means deleting
/// value and salt both: without the 256-bit salt, the commitment says nothing about the value.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalValue {
    /// The JSON Pointer (RFC 6901) of the commitment in the event.
    pub path: String,
    pub value: String,
    pub salt: [u8; 32],
    pub commitment: Hash,
}

impl fmt::Debug for PersonalValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonalValue")
            .field("path", &self.path)
            .field("commitment", &hash::to_hex(&self.commitment))
            .finish_non_exhaustive()
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEvent {
    pub account: AccountId,
    pub seq: i64,
    pub event_id: Uuid,
    pub prev_hash: Hash,
    /// The canonical bytes. They are stored as they are and never written anew.
    pub bytes: Vec<u8>,
    pub leaf_hash: Hash,
    pub personal: Vec<PersonalValue>,
}
