//! Role bindings: who holds which role, where, how far down and for how long.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use super::time::{Timestamp, Window};
use super::words::words;

/// The longest justification, in characters.
pub const JUSTIFICATION_MAX: usize = 1024;

/// How far a binding reaches from its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reach {
    /// The account and everything below it, now and later.
    Subtree,
    AccountOnly,
}

/// Whether a binding or membership counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    Active,
    /// Counts only while an elevation raises it.
    Eligible,
}

/// Who holds a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    Peer(PeerId),
    Group(GroupId),
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => write!(formatter, "peers/{peer}"),
            Self::Group(group) => write!(formatter, "groups/{group}"),
        }
    }
}

/// A role binding as its administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    pub id: BindingId,
    pub principal: Principal,
    pub role: RoleId,
    pub account: AccountId,
    pub reach: Reach,
    pub mode: Mode,
    pub window: Window,
    pub justification: String,
    /// Who made it; `None` for those made by bootstrap.
    pub creator: Option<PeerId>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub version: i64,
    pub update_revision: i64,
}

words! {
    Reach { Subtree = "SUBTREE", AccountOnly = "ACCOUNT_ONLY" }
    Mode { Active = "ACTIVE", Eligible = "ELIGIBLE" }
}
