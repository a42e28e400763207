//! Which facts stored resources are: the same mapping for the feed and for loading everything.
//!
//! A deleted account is no fact, and neither is a key that is revoked or over; a deleted peer is
//! one until it is purged or its account is deleted, so that decisions can tell it from one that never
//! was.

use crate::domain::account::Account;
use crate::domain::api_key::ApiKey;
use crate::domain::binding::Binding;
use crate::domain::fact::{AccountFact, ApiKeyFact, BindingFact, GroupFact, MemberFact, PeerFact, RoleFact};
use crate::domain::group::{Group, Member};
use crate::domain::peer::{Peer, user_name_hash};
use crate::domain::role::Role;

#[must_use]
pub fn account(account: &Account) -> AccountFact {
    AccountFact {
        id: account.id.clone(),
        parent: account.parent.clone(),
        kind: account.kind,
        suspension: account.suspension.as_ref().map(|suspension| suspension.scope),
        partner_access: account.settings.partner_access.unwrap_or_default(),
        labels: account.labels.clone(),
        role_packs: account.settings.role_packs.clone(),
        password_policy: account.settings.password_policy,
    }
}

#[must_use]
pub fn peer(peer: &Peer) -> PeerFact {
    PeerFact {
        id: peer.id,
        user_name_hash: user_name_hash(&peer.user_name.key()),
        kind: peer.kind,
        home: peer.home.clone(),
        status: peer.status,
        expire_time: peer.expire_time,
        person: peer.person,
    }
}

#[must_use]
pub fn role(role: &Role) -> RoleFact {
    RoleFact {
        id: role.id.clone(),
        origin: role.origin.clone(),
        grants: role.grants.clone(),
        rules: role.rules.clone(),
    }
}

#[must_use]
pub fn binding(binding: &Binding) -> BindingFact {
    BindingFact {
        id: binding.id,
        principal: binding.principal,
        role: binding.role.clone(),
        account: binding.account.clone(),
        reach: binding.reach,
        mode: binding.mode,
        window: binding.window,
    }
}

#[must_use]
pub fn group(group: &Group) -> GroupFact {
    GroupFact { id: group.id, account: group.account.clone() }
}

#[must_use]
pub fn member(member: &Member) -> MemberFact {
    MemberFact { group: member.group, peer: member.peer, mode: member.mode, window: member.window }
}

#[must_use]
pub fn api_key(key: &ApiKey) -> ApiKeyFact {
    ApiKeyFact { id: key.id, peer: key.peer, hash: key.hash, expire_time: key.expire_time }
}
