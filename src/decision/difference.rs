//! What changes would do to decisions: who gains and who loses what, and where.
//!
//! Two snapshots are compared, the facts before and after the changes, by [`evaluate()`] itself. Only
//! what a change can reach is looked at: the peers whose bindings, memberships or own state it touches,
//! the accounts below those bindings, and the permissions that a role there names. Whatever else is
//! asked of Authorize is answered alike before and after.
//!
//! Below an account nothing changes for a peer until the tree says something new: a binding of that
//! peer, a suspension, a partner access, a label, a moved branch. Accounts in between share the answers
//! of the nearest such one above them, so that a role at the root of a large tree is judged a few times
//! and not once for each account.
//!
//! INVARIANT: a superset may be looked at, never less. Windows are judged at one moment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::evaluate::{Outcome, Query, evaluate};
use super::snapshot::{AccountIndex, AccountRecord, Held, Holder, PeerIndex, PermissionIndex, RoleIndex, Snapshot};
use crate::domain::account::PartnerAccess;
use crate::domain::binding::{Principal, Reach};
use crate::domain::context::Context;
use crate::domain::fact::{AccountFact, BindingFact, Change, Fact, MemberFact};
use crate::domain::ids::PeerId;
use crate::domain::time::Timestamp;

/// The facts before and after changes, and for when and what they are judged.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    pub before: &'a Snapshot,
    pub after: &'a Snapshot,
    pub now: Timestamp,
    pub context: &'a Context,
}

/// A part of the tree where a change may make a difference to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Touch {
    pub root: AccountIndex,
    pub reach: Reach,
    /// The role by which it does; without one, all that the peer holds there.
    role: Option<RoleIndex>,
}

/// A decision that turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    pub permission: PermissionIndex,
    pub before: Outcome,
    pub after: Outcome,
}

/// Where the changes may make a difference, by peer.
#[must_use]
pub fn touched(sides: &Sides<'_>, changes: &[Change]) -> BTreeMap<PeerId, (PeerIndex, BTreeSet<Touch>)> {
    let mut touches = Touches { before: sides.before, after: sides.after, found: BTreeMap::new() };
    for change in changes {
        for fact in change.before.iter().chain(&change.after) {
            touches.fact(fact);
        }
    }
    let id = |peer| sides.before.peer_id(peer).or_else(|| sides.after.peer_id(peer));
    touches.found.into_iter().filter_map(|(peer, found)| Some((id(peer)?, (peer, found)))).collect()
}

/// What is gathered while changes are read.
struct Touches<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    found: BTreeMap<PeerIndex, BTreeSet<Touch>>,
}

impl<'a> Touches<'a> {
    const fn sides(&self) -> [&'a Snapshot; 2] {
        [self.before, self.after]
    }

    fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Binding(fact) => self.binding(fact),
            Fact::Member(fact) => self.member(fact),
            Fact::Role(fact) => {
                let role = self.sides().into_iter().find_map(|side| side.find_role(&fact.id));
                role.into_iter().for_each(|role| self.role(role));
            }
            Fact::Peer(fact) => {
                let peer = self.sides().into_iter().find_map(|side| side.find_peer(fact.id));
                peer.into_iter().for_each(|peer| self.all_of(peer));
            }
            Fact::Account(fact) => self.account(fact),
            Fact::Permission(fact) => {
                let permission = self.sides().into_iter().find_map(|side| side.find_permission(fact.name.as_str()));
                let Some(permission) = permission else { return };
                let naming = |side: &Snapshot| -> Vec<RoleIndex> {
                    let roles = side.roles().filter(|(_, role)| role.compiled.names(permission));
                    roles.map(|(role, _)| role).collect()
                };
                let roles: BTreeSet<RoleIndex> = self.sides().into_iter().flat_map(naming).collect();
                roles.into_iter().for_each(|role| self.role(role));
            }
            // A group by itself holds nothing, and rights hang on no key.
            Fact::Group(_) | Fact::ApiKey(_) => {}
        }
    }

    fn touch(&mut self, peer: PeerIndex, touch: Touch) {
        self.found.entry(peer).or_default().insert(touch);
    }

    fn binding(&mut self, fact: &BindingFact) {
        for side in self.sides() {
            let root = side.find_account(fact.account.as_str());
            let role = side.find_role(&fact.role);
            let (Some(root), Some(role)) = (root, role) else { continue };
            let touch = Touch { root, reach: fact.reach, role: Some(role) };
            for side in self.sides() {
                let holder = match fact.principal {
                    Principal::Peer(peer) => side.find_peer(peer).map(Holder::Peer),
                    Principal::Group(group) => side.find_group(group).map(Holder::Group),
                };
                let peers = holder.map(|holder| side.peers_of(holder)).unwrap_or_default();
                peers.into_iter().for_each(|peer| self.touch(peer, touch));
            }
        }
    }

    fn member(&mut self, fact: &MemberFact) {
        let Some(peer) = self.sides().into_iter().find_map(|side| side.find_peer(fact.peer)) else { return };
        for side in self.sides() {
            let group = side.find_group(fact.group).and_then(|group| side.group(group));
            for binding in group.into_iter().flat_map(|group| group.bindings()) {
                let touch = Touch { root: binding.account, reach: binding.reach, role: Some(binding.role) };
                self.touch(peer, touch);
            }
        }
    }

    fn role(&mut self, role: RoleIndex) {
        for side in self.sides() {
            for (holder, id) in side.bound_by_role(role) {
                let Some(binding) = side.binding(holder, id) else { continue };
                let touch = Touch { root: binding.account, reach: binding.reach, role: Some(role) };
                side.peers_of(holder).into_iter().for_each(|peer| self.touch(peer, touch));
            }
        }
    }

    /// Everything that a peer holds anywhere.
    fn all_of(&mut self, peer: PeerIndex) {
        for side in self.sides() {
            for Held { binding, .. } in side.held(peer) {
                self.touch(peer, Touch { root: binding.account, reach: binding.reach, role: None });
            }
        }
    }

    fn account(&mut self, fact: &AccountFact) {
        let Some(account) = self.sides().into_iter().find_map(|side| side.find_account(fact.id.as_str())) else {
            return;
        };
        let of = |side: &Snapshot| {
            let is_there = side.account(account).is_some_and(|record| !record.gone);
            side.account_fact(account).filter(|_| is_there).map(decisive)
        };
        let (old, new) = (of(self.before), of(self.after));
        if old == new {
            return;
        }
        let below: BTreeSet<AccountIndex> = self.sides().into_iter().flat_map(|side| side.subtree(account)).collect();
        let above = self.sides().into_iter().flat_map(|side| side.path(account).as_slice().to_vec());
        let around: BTreeSet<AccountIndex> = below.iter().copied().chain(above).collect();
        // On the account and below it: for whoever holds something there or above.
        for side in self.sides() {
            let holders: BTreeSet<Holder> =
                around.iter().flat_map(|one| side.bound_at(*one).map(|(holder, _)| holder)).collect();
            for peer in holders.into_iter().flat_map(|holder| side.peers_of(holder)) {
                self.touch(peer, Touch { root: account, reach: Reach::Subtree, role: None });
            }
        }
        // Anywhere: for whoever is at home there, where that says whether they can act, and what they
        // are no strangers to.
        let is_home_same = match (&old, &new) {
            (Some(old), Some(new)) => (&old.parent, old.suspension) == (&new.parent, new.suspension),
            (None, _) | (_, None) => false,
        };
        if !is_home_same {
            let homed: BTreeSet<PeerIndex> =
                self.sides().into_iter().flat_map(|side| below.iter().flat_map(|one| side.homed_at(*one))).collect();
            homed.into_iter().for_each(|peer| self.all_of(peer));
        }
    }
}

/// An account but for what no decision reads.
fn decisive(fact: AccountFact) -> AccountFact {
    AccountFact { role_packs: None, password_policy: Default::default(), ..fact }
}

/// The accounts that touches reach, each once, in no order.
#[must_use]
pub fn reached(sides: &Sides<'_>, touches: &BTreeSet<Touch>) -> BTreeSet<AccountIndex> {
    let mut found = BTreeSet::new();
    for touch in touches {
        match touch.reach {
            Reach::AccountOnly => {
                found.insert(touch.root);
            }
            Reach::Subtree => {
                found.extend(sides.before.subtree(touch.root));
                found.extend(sides.after.subtree(touch.root));
            }
        }
    }
    found
}

/// The differences of one peer, account by account.
#[derive(Debug)]
pub struct PeerDifferences<'a> {
    sides: Sides<'a>,
    peer: PeerIndex,
    touches: &'a BTreeSet<Touch>,
    /// What the peer holds on either side.
    held: BTreeSet<Touch>,
    /// Where something of the peer's begins, and where that is for one account alone.
    roots: HashSet<AccountIndex>,
    lone: HashSet<AccountIndex>,
    known: HashMap<AccountIndex, Arc<[Turn]>>,
    work: usize,
}

impl<'a> PeerDifferences<'a> {
    #[must_use]
    pub fn of(sides: Sides<'a>, peer: PeerIndex, touches: &'a BTreeSet<Touch>) -> Self {
        let all = |side: &Snapshot| -> Vec<Touch> {
            let touch = |held: Held<'_>| Touch {
                root: held.binding.account,
                reach: held.binding.reach,
                role: Some(held.binding.role),
            };
            side.held(peer).map(touch).collect()
        };
        let held: BTreeSet<Touch> = [sides.before, sides.after].into_iter().flat_map(all).collect();
        let both = || held.iter().chain(touches);
        let roots = both().map(|touch| touch.root).collect();
        let lone = both().filter(|touch| touch.reach == Reach::AccountOnly).map(|touch| touch.root).collect();
        Self { sides, peer, touches, held, roots, lone, known: HashMap::new(), work: 0 }
    }

    /// How many decisions were compared so far.
    #[must_use]
    pub const fn work(&self) -> usize {
        self.work
    }

    /// The decisions that turn on an account that the touches reach, in the order of their permissions'
    /// names.
    pub fn at(&mut self, account: AccountIndex) -> Arc<[Turn]> {
        let place = self.same_above(account);
        if let Some(known) = self.known.get(&place) {
            return Arc::clone(known);
        }
        let turns: Arc<[Turn]> = self.compare(place).into();
        self.known.insert(place, Arc::clone(&turns));
        turns
    }

    /// The highest account above this one on which every decision of the peer is the same.
    fn same_above(&self, account: AccountIndex) -> AccountIndex {
        let mut place = account;
        while let Some(parent) = self.same_parent(place) {
            place = parent;
        }
        place
    }

    /// The parent, where the account says nothing new to any decision of the peer.
    fn same_parent(&self, account: AccountIndex) -> Option<AccountIndex> {
        let Sides { before, after, .. } = self.sides;
        let (old, new) = (before.account(account)?, after.account(account)?);
        let parent = old.parent().filter(|_| old.parent() == new.parent())?;
        let is_plain = |side: &Snapshot, record: &AccountRecord| {
            !record.gone
                && record.suspension.is_none()
                && record.partner_access == PartnerAccess::Allowed
                && side.own_labels(account).is_empty()
        };
        let is_same = is_plain(before, old)
            && is_plain(after, new)
            && !self.roots.contains(&account)
            && !self.lone.contains(&parent);
        is_same.then_some(parent)
    }

    fn covers(&self, touch: &Touch, account: AccountIndex) -> bool {
        match touch.reach {
            Reach::AccountOnly => touch.root == account,
            Reach::Subtree => {
                self.sides.before.is_within(account, touch.root) || self.sides.after.is_within(account, touch.root)
            }
        }
    }

    fn compare(&mut self, account: AccountIndex) -> Vec<Turn> {
        let here = |touches: &BTreeSet<Touch>| -> BTreeSet<Option<RoleIndex>> {
            touches.iter().filter(|touch| self.covers(touch, account)).map(|touch| touch.role).collect()
        };
        let mut roles = here(self.touches);
        if roles.remove(&None) {
            roles.extend(here(&self.held));
        }
        let Sides { before, after, now, context } = self.sides;
        let of = |side: &'a Snapshot| roles.iter().flatten().filter_map(move |role| side.role(*role));
        let roles = of(before).chain(of(after)).collect::<Vec<_>>();
        let catalogue = if after.permissions().len() > before.permissions().len() { after } else { before };
        let mut turns = Vec::new();
        for permission in catalogue.permissions() {
            let Some(index) = catalogue.find_permission(permission.name.as_str()) else { continue };
            if !roles.iter().any(|role| role.compiled.names(index)) {
                continue;
            }
            self.work += 1;
            let query = Query { peer: Some(self.peer), permission: index, account, now, context };
            let (old, new) = (evaluate(before, &query).outcome, evaluate(after, &query).outcome);
            if old != new {
                turns.push((&permission.name, Turn { permission: index, before: old, after: new }));
            }
        }
        turns.sort_unstable_by_key(|(name, _)| *name);
        turns.into_iter().map(|(_, turn)| turn).collect()
    }
}
