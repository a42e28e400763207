//! What a permit is good for: facts of its account, and of all below.
//!
//! A permit says where its holder may do something. That the change which it is shown for happens
//! there, and not on another account, is checked for every change, so that no use case can mix two up.

use super::guard::Permit;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::binding::Principal;
use crate::domain::fact::{Change, Fact};
use crate::domain::ids::{AccountId, GroupId, PeerId};
use crate::domain::role::RoleOrigin;

/// Whether a permit is good for a change, which comes after others of the same write.
pub(super) fn covers(permit: &Permit, before: &Snapshot, earlier: &[Change], change: &Change) -> bool {
    let scope = Scope { top: permit.account(), before, earlier };
    let is_gone = change.after.is_none();
    change.before.iter().chain(&change.after).all(|fact| scope.holds(fact, is_gone))
}

struct Scope<'a> {
    top: AccountIndex,
    before: &'a Snapshot,
    earlier: &'a [Change],
}

impl Scope<'_> {
    fn holds(&self, fact: &Fact, is_gone: bool) -> bool {
        match fact {
            // The catalogue and what packs bring belong to the platform.
            Fact::Permission(_) => self.is_root(),
            Fact::Role(role) => match &role.origin {
                RoleOrigin::BuiltIn => self.is_root(),
                RoleOrigin::Custom { owner, .. } => self.has(owner),
            },
            // A new account is made by whoever may do so above it.
            Fact::Account(account) => self.has(&account.id) || account.parent.as_ref().is_some_and(|one| self.has(one)),
            Fact::Peer(peer) => self.has(&peer.home),
            Fact::ApiKey(key) => self.has_peer(key.peer),
            Fact::Group(group) => self.has(&group.account),
            // What a peer or a group holds elsewhere goes with it. To give it something, its home is
            // not enough.
            Fact::Member(member) => self.has_group(member.group) || is_gone && self.has_peer(member.peer),
            Fact::Binding(binding) => {
                self.has(&binding.account)
                    || is_gone
                        && match binding.principal {
                            Principal::Peer(peer) => self.has_peer(peer),
                            Principal::Group(group) => self.has_group(group),
                        }
            }
        }
    }

    fn is_root(&self) -> bool {
        self.before.account(self.top).is_some_and(|account| account.parent().is_none())
    }

    fn has(&self, account: &AccountId) -> bool {
        match self.before.find_account(account.as_str()) {
            Some(index) => self.before.is_within(index, self.top),
            // One that the same write made lies where its parent does.
            None => self.earlier.iter().any(|change| match &change.after {
                Some(Fact::Account(made)) if made.id == *account => {
                    made.parent.as_ref().is_some_and(|one| self.has(one))
                }
                _ => false,
            }),
        }
    }

    fn has_peer(&self, peer: PeerId) -> bool {
        match self.before.find_peer(peer).and_then(|index| self.before.peer(index)) {
            Some(known) => self.before.is_within(known.home(), self.top),
            None => self.earlier.iter().any(|change| match &change.after {
                Some(Fact::Peer(made)) if made.id == peer => self.has(&made.home),
                _ => false,
            }),
        }
    }

    fn has_group(&self, group: GroupId) -> bool {
        let known = self.before.find_group(group).and_then(|index| self.before.group(index));
        known.is_some_and(|known| self.before.is_within(known.account, self.top))
    }
}
