//! The facts a decision reads, and how they change.
//!
//! A [`Change`] is one line of the feed: what replicas follow, what the guards judge before a commit,
//! and what a replay of the past reads. Facts hold no personal data; user names appear hashed, only
//! so that `peers/@name` can be resolved without a database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::{AccountKind, PartnerAccess, SuspensionScope};
use super::binding::{Mode, Principal, Reach};
use super::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use super::password::PasswordPolicy;
use super::peer::{PeerKind, PeerStatus};
use super::permission::{Permission, PermissionName};
use super::role::{Grant, RoleOrigin, RoleRules};
use super::time::{Timestamp, Window};

/// What decisions read of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFact {
    pub id: AccountId,
    pub parent: Option<AccountId>,
    pub kind: AccountKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<SuspensionScope>,
    #[serde(default)]
    pub partner_access: PartnerAccess,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_packs: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "PasswordPolicy::is_empty")]
    pub password_policy: PasswordPolicy,
}

impl AccountFact {
    /// The root, as it is before anything is set on it.
    #[must_use]
    pub fn root() -> Self {
        Self::new(AccountId::platform(), None, AccountKind::Platform)
    }

    /// An account on which nothing is set.
    #[must_use]
    pub fn new(id: AccountId, parent: Option<AccountId>, kind: AccountKind) -> Self {
        Self {
            id,
            parent,
            kind,
            suspension: None,
            partner_access: PartnerAccess::default(),
            labels: BTreeMap::new(),
            role_packs: None,
            password_policy: PasswordPolicy::default(),
        }
    }
}

/// What decisions read of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFact {
    pub id: PeerId,
    /// The first 16 bytes of the SHA-256 of the folded user name.
    pub user_name_hash: u128,
    pub kind: PeerKind,
    pub home: AccountId,
    pub status: PeerStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PeerId>,
}

/// What decisions read of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleFact {
    pub id: RoleId,
    pub origin: RoleOrigin,
    pub grants: Vec<Grant>,
    pub rules: RoleRules,
}

/// What decisions read of a binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingFact {
    pub id: BindingId,
    pub principal: Principal,
    pub role: RoleId,
    pub account: AccountId,
    pub reach: Reach,
    pub mode: Mode,
    pub window: Window,
}

/// What decisions read of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupFact {
    pub id: GroupId,
    pub account: AccountId,
}

/// What decisions read of a membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberFact {
    pub group: GroupId,
    pub peer: PeerId,
    pub mode: Mode,
    pub window: Window,
}

/// What authentication reads of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyFact {
    pub id: ApiKeyId,
    pub peer: PeerId,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Timestamp>,
}

/// One fact of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Permission(Permission),
    Account(AccountFact),
    Role(RoleFact),
    Peer(PeerFact),
    Group(GroupFact),
    Member(MemberFact),
    Binding(BindingFact),
    ApiKey(ApiKeyFact),
}

/// Which fact a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKey {
    Permission(PermissionName),
    Account(AccountId),
    Role(RoleId),
    Peer(PeerId),
    Group(GroupId),
    Member(GroupId, PeerId),
    Binding(BindingId),
    ApiKey(ApiKeyId),
}

impl Fact {
    /// The peer, where it is one.
    #[must_use]
    pub fn as_peer(&self) -> Option<&PeerFact> {
        if let Self::Peer(fact) = self { Some(fact) } else { None }
    }

    /// The binding, where it is one.
    #[must_use]
    pub fn as_binding(&self) -> Option<&BindingFact> {
        if let Self::Binding(fact) = self { Some(fact) } else { None }
    }

    #[must_use]
    pub fn key(&self) -> FactKey {
        match self {
            Self::Permission(fact) => FactKey::Permission(fact.name.clone()),
            Self::Account(fact) => FactKey::Account(fact.id.clone()),
            Self::Role(fact) => FactKey::Role(fact.id.clone()),
            Self::Peer(fact) => FactKey::Peer(fact.id),
            Self::Group(fact) => FactKey::Group(fact.id),
            Self::Member(fact) => FactKey::Member(fact.group, fact.peer),
            Self::Binding(fact) => FactKey::Binding(fact.id),
            Self::ApiKey(fact) => FactKey::ApiKey(fact.id),
        }
    }
}

/// A place in the history of policy. Two histories that differ anywhere have no mark in common after
/// that, whatever their revisions are called: a database that was restored shows itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// The number of the last policy change.
    pub revision: i64,
    /// The hash over all changes up to it.
    pub digest: [u8; 32],
}

/// One fact made, changed or gone. At least one side is there, and both have the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub before: Option<Fact>,
    pub after: Option<Fact>,
}

impl Change {
    #[must_use]
    pub fn made(fact: Fact) -> Self {
        Self { before: None, after: Some(fact) }
    }

    #[must_use]
    pub fn gone(fact: Fact) -> Self {
        Self { before: Some(fact), after: None }
    }

    #[must_use]
    pub fn changed(before: Fact, after: Fact) -> Self {
        Self { before: Some(before), after: Some(after) }
    }

    /// The key of the fact, or `None` of a change without sides.
    #[must_use]
    pub fn key(&self) -> Option<FactKey> {
        self.after.as_ref().or(self.before.as_ref()).map(Fact::key)
    }
}
