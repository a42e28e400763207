//! All that goes with an account and everything below it.
//!
//! INVARIANT: what names a thing goes before the thing: bindings and memberships, then groups, roles
//! and peers, then accounts, children first. A deleted peer keeps its row until it is purged; it is no
//! fact any more, since it has no home to come back to, and its user name goes to whoever asks for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::application::error::Result;
use crate::application::guard::Permit;
use crate::application::write::Write;
use crate::decision::snapshot::{GroupIndex, Holder};
use crate::decision::{AccountIndex, PeerIndex, Snapshot};
use crate::domain::account::Account;
use crate::domain::binding::Principal;
use crate::domain::fact::{BindingFact, Fact, MemberFact};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::peer::{Peer, PeerStatus};
use crate::domain::role::RoleOrigin;
use crate::storage::{self, facts};

/// Accounts whose groups are read at once.
const ACCOUNTS_STEP: usize = 500;

/// An account with all that goes with it.
pub(super) struct Teardown {
    /// Parents before children.
    pub(super) accounts: Vec<Account>,
    pub(super) peers: Vec<Peer>,
    pub(super) groups: Vec<Group>,
    pub(super) roles: Vec<RoleId>,
    bindings: BTreeMap<BindingId, BindingFact>,
    members: BTreeMap<(GroupId, PeerId), MemberFact>,
}

impl Teardown {
    /// Collects what goes with an account.
    pub(super) async fn plan(write: &Write<'_>, top: AccountIndex) -> Result<Self> {
        let before = write.before();
        let subtree = before.subtree(top);
        let ids: Vec<AccountId> = subtree.iter().filter_map(|one| before.account_id(*one).cloned()).collect();
        let mut rows: BTreeMap<AccountId, Account> = storage::accounts::find_many(write.connection(), &ids)
            .await?
            .into_iter()
            .map(|one| (one.id.clone(), one))
            .collect();
        let accounts = ids.iter().filter_map(|id| rows.remove(id)).collect();
        let mut groups = Vec::new();
        for ids in ids.chunks(ACCOUNTS_STEP) {
            groups.extend(storage::groups::all(write.connection(), ids).await?);
        }
        let homed: Vec<PeerIndex> = subtree.iter().flat_map(|one| before.homed_at(*one)).collect();
        let uids: Vec<PeerId> = homed.iter().filter_map(|peer| before.peer_id(*peer)).collect();
        let peers = storage::peers::find_many(write.connection(), &uids).await?;
        let mut plan =
            Self { accounts, peers, groups, roles: Vec::new(), bindings: BTreeMap::new(), members: BTreeMap::new() };
        plan.collect(before, &subtree, &homed);
        Ok(plan)
    }

    fn collect(&mut self, before: &Snapshot, subtree: &[AccountIndex], homed: &[PeerIndex]) {
        let gone: BTreeSet<&AccountId> = subtree.iter().filter_map(|one| before.account_id(*one)).collect();
        let mut held: BTreeSet<(Holder, BindingId)> = subtree.iter().flat_map(|one| before.bound_at(*one)).collect();
        for peer in homed {
            let Some(view) = before.peer(*peer) else { continue };
            held.extend(view.bindings().iter().map(|binding| (Holder::Peer(*peer), binding.id)));
            for membership in view.memberships() {
                self.member(before, membership.group, *peer);
            }
        }
        for id in self.groups.iter().map(|group| group.id).collect::<Vec<_>>() {
            let Some(index) = before.find_group(id) else { continue };
            let bindings = before.group(index).into_iter().flat_map(|group| group.bindings());
            held.extend(bindings.map(|binding| (Holder::Group(index), binding.id)));
            for peer in before.members(index) {
                self.member(before, index, peer);
            }
        }
        for (index, role) in before.roles() {
            let is_owned = matches!(&role.fact.origin, RoleOrigin::Custom { owner, .. } if gone.contains(owner));
            if is_owned {
                held.extend(before.bound_by_role(index));
                self.roles.push(role.fact.id.clone());
            }
        }
        self.bindings = held.into_iter().filter_map(|(holder, id)| Some((id, binding(before, holder, id)?))).collect();
    }

    fn member(&mut self, before: &Snapshot, group: GroupIndex, peer: PeerIndex) {
        let (Some(record), Some(view)) = (before.group(group), before.peer(peer)) else { return };
        let Some(membership) = view.memberships().iter().find(|one| one.group == group) else { return };
        let fact = MemberFact {
            group: record.id,
            peer: view.id(),
            mode: membership.mode,
            window: view.membership_window(membership),
        };
        self.members.insert((fact.group, fact.peer), fact);
    }

    /// Whether the account holds nothing: no accounts, peers, groups or roles, and nobody is bound to it.
    /// What deleted peers keep until they are purged is inert and does not count.
    pub(super) fn is_empty(&self) -> bool {
        let is_live = |peer: &Peer| peer.status != PeerStatus::Deleted;
        let deleted: BTreeSet<PeerId> = self.peers.iter().filter(|peer| !is_live(peer)).map(|peer| peer.id).collect();
        let is_inert = |principal| matches!(principal, Principal::Peer(peer) if deleted.contains(&peer));
        self.accounts.len() == 1
            && self.groups.is_empty()
            && self.roles.is_empty()
            && deleted.len() == self.peers.len()
            && self.bindings.values().all(|binding| is_inert(binding.principal))
    }

    /// Bindings on accounts that stay.
    pub(super) fn bindings_elsewhere(&self) -> impl Iterator<Item = &BindingFact> {
        let gone: BTreeSet<&AccountId> = self.accounts.iter().map(|account| &account.id).collect();
        self.bindings.values().filter(move |binding| !gone.contains(&binding.account))
    }

    /// Memberships in groups that stay.
    pub(super) fn members_elsewhere(&self) -> impl Iterator<Item = &MemberFact> {
        let gone: BTreeSet<GroupId> = self.groups.iter().map(|group| group.id).collect();
        self.members.values().filter(move |member| !gone.contains(&member.group))
    }

    /// Takes everything away.
    pub(super) async fn carry_out(&self, write: &mut Write<'_>, permit: &Permit) -> Result<()> {
        let (now, revision) = (write.now(), write.revision());
        let live = self.peers.iter().filter(|peer| peer.status != PeerStatus::Deleted).map(|peer| peer.id);
        let (live, all): (Vec<PeerId>, Vec<PeerId>) = (live.collect(), self.peers.iter().map(|peer| peer.id).collect());
        let bindings: Vec<BindingId> = self.bindings.keys().copied().collect();
        let accounts: Vec<AccountId> = self.accounts.iter().map(|account| account.id.clone()).collect();
        let keys = storage::api_keys::revoke_all_of_peers(write.connection(), &all, now, revision).await?;
        for key in &keys {
            write.change(permit, Some(Fact::ApiKey(facts::api_key(key))), None);
        }
        // After the keys, which are their peers': whoever undoes this needs the peers to be there first.
        self.note(write, permit);
        let conn = write.connection();
        storage::bindings::delete_many(conn, &bindings).await?;
        for (group, peer) in self.members.keys() {
            storage::groups::members::delete(conn, *group, *peer).await?;
        }
        for group in &self.groups {
            storage::groups::delete(conn, group.id).await?;
        }
        for role in &self.roles {
            storage::roles::delete(conn, role).await?;
        }
        let deleted =
            storage::peers::StatusChange { status: PeerStatus::Deleted, now, delete_time: Some(now), revision };
        storage::passwords::wipe(conn, &all).await?;
        storage::peers::set_status(conn, &live, deleted).await?;
        Ok(storage::accounts::tombstone(conn, &accounts, now, revision).await?)
    }

    fn note(&self, write: &mut Write<'_>, permit: &Permit) {
        let bindings = self.bindings.values().cloned().map(Fact::Binding);
        let members = self.members.values().cloned().map(Fact::Member);
        let groups = self.groups.iter().map(|group| Fact::Group(facts::group(group)));
        let before = std::sync::Arc::clone(write.before());
        let role =
            |id: &RoleId| before.find_role(id).and_then(|index| before.role(index)).map(|role| (*role.fact).clone());
        let roles = self.roles.iter().filter_map(role).map(Fact::Role);
        let peers = self.peers.iter().map(|peer| Fact::Peer(facts::peer(peer)));
        let accounts = self.accounts.iter().rev().map(|account| Fact::Account(facts::account(account)));
        for fact in bindings.chain(members).chain(groups).chain(roles).chain(peers).chain(accounts) {
            write.change(permit, Some(fact), None);
        }
    }
}

fn binding(before: &Snapshot, holder: Holder, id: BindingId) -> Option<BindingFact> {
    let record = before.binding(holder, id)?;
    let (principal, window) = match holder {
        Holder::Peer(peer) => {
            let view = before.peer(peer)?;
            (Principal::Peer(view.id()), view.binding_window(record))
        }
        Holder::Group(group) => {
            let group = before.group(group)?;
            (Principal::Group(group.id), group.binding_window(record))
        }
    };
    Some(BindingFact {
        id,
        principal,
        role: before.role(record.role)?.fact.id.clone(),
        account: before.account_id(record.account)?.clone(),
        reach: record.reach,
        mode: record.mode,
        window,
    })
}
