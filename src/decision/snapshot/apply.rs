//! One revision's changes on top of a snapshot. What is not touched is shared with the snapshot
//! before, so the cost is that of the change.
//!
//! INVARIANT: a snapshot that could not be changed is left as it was; the caller's copy is dropped.

use std::sync::Arc;

use super::edits::Edits;
use super::labels::LabelsIndex;
use super::record::LooseBinding;
use super::{
    AccountDetails, AccountIndex, AccountRecord, ApiKeyRecord, BindingRecord, GroupIndex, GroupRecord, Holder,
    PeerIndex, PermissionIndex, RoleIndex, RoleRecord, Snapshot, SnapshotError,
};
use crate::decision::compile::Compiler;
use crate::domain::account::DEPTH_MAX;
use crate::domain::binding::Principal;
use crate::domain::fact::{
    AccountFact, ApiKeyFact, BindingFact, Change, Fact, FactKey, GroupFact, Mark, MemberFact, RoleFact,
};
use crate::domain::ids::{AccountId, BindingId, GroupId, PeerId};
use crate::domain::permission::Permission;

impl Snapshot {
    /// This snapshot with the changes of the next revision.
    ///
    /// # Errors
    /// [`SnapshotError`] where the changes do not fit, or casbin cannot say what a role means.
    pub fn apply(&self, revision: i64, changes: &[Change], compiler: &mut Compiler) -> Result<Self, SnapshotError> {
        if revision != self.revision() + 1 {
            return Err(SnapshotError::Gap { current: self.revision(), next: revision });
        }
        Ok(self.with(changes, compiler)?.marked(Mark { revision, ..Mark::default() }))
    }

    /// This snapshot with changes that are not committed, at the same revision. For guards and
    /// previews.
    ///
    /// # Errors
    /// As [`Snapshot::apply`].
    pub fn with(&self, changes: &[Change], compiler: &mut Compiler) -> Result<Self, SnapshotError> {
        let mut next = self.clone();
        let mut edits = Edits::default();
        for change in changes {
            next.change(change, &mut edits, compiler)?;
        }
        edits.flush(&mut next);
        Ok(next)
    }

    /// The facts before changes that led to this snapshot, which come newest first, at the same
    /// revision. For looking back, never for deciding about the present.
    ///
    /// # Errors
    /// As [`Snapshot::apply`].
    pub fn without<'a>(
        &self,
        changes: impl IntoIterator<Item = &'a Change>,
        compiler: &mut Compiler,
    ) -> Result<Self, SnapshotError> {
        let mut earlier = self.clone();
        let mut edits = Edits::default();
        for change in changes {
            let undo = Change { before: change.after.clone(), after: change.before.clone() };
            if let (Some(Fact::Permission(fact)), None) = (&undo.before, &undo.after) {
                // Its place stays taken, so that verdicts keep theirs: nobody finds it by its name.
                Arc::make_mut(&mut earlier.catalogue).places.remove(&fact.name);
            } else {
                earlier.change(&undo, &mut edits, compiler)?;
            }
        }
        edits.flush(&mut earlier);
        Ok(earlier)
    }

    pub(super) fn change(
        &mut self,
        change: &Change,
        edits: &mut Edits,
        compiler: &mut Compiler,
    ) -> Result<(), SnapshotError> {
        match (&change.before, &change.after) {
            (_, Some(Fact::Permission(fact))) => self.put_permission(fact, compiler),
            (_, Some(Fact::Account(fact))) => self.put_account(fact),
            (_, Some(Fact::Role(fact))) => self.put_role(fact, compiler),
            (before, Some(Fact::Peer(fact))) => self.put_peer(before.as_ref(), fact, edits),
            (_, Some(Fact::Group(fact))) => self.put_group(fact),
            (_, Some(Fact::Member(fact))) => self.put_member(fact, edits),
            (before, Some(Fact::Binding(fact))) => {
                if let Some(Fact::Binding(before)) = before {
                    self.drop_binding(before, edits)?;
                }
                self.put_binding(fact, edits)
            }
            (_, Some(Fact::ApiKey(fact))) => self.put_api_key(fact),
            (Some(before), None) => self.drop_fact(before, edits),
            (None, None) => Ok(()),
        }
    }

    fn drop_fact(&mut self, before: &Fact, edits: &mut Edits) -> Result<(), SnapshotError> {
        match before {
            Fact::Account(fact) => self.drop_account(&fact.id),
            Fact::Role(fact) => self.drop_role(fact),
            Fact::Peer(fact) => self.drop_peer(fact, edits),
            Fact::Group(fact) => self.drop_group(fact.id),
            Fact::Member(fact) => self.drop_member(fact, edits),
            Fact::Binding(fact) => self.drop_binding(fact, edits),
            Fact::ApiKey(fact) => {
                self.api_keys.remove(fact.hash);
                Ok(())
            }
            // The catalogue only grows: a permission that is gone would leave grants without meaning.
            Fact::Permission(fact) => Err(out_of_step(FactKey::Permission(fact.name.clone()))),
        }
    }

    fn put_permission(&mut self, fact: &Permission, compiler: &mut Compiler) -> Result<(), SnapshotError> {
        let catalogue = Arc::make_mut(&mut self.catalogue);
        let (place, meaning_changed) = match catalogue.places.get(&fact.name) {
            Some(place) => {
                let slot = catalogue.permissions.get_mut(place.place());
                let changed = slot.as_ref().is_none_or(|old| old.flags.reserved != fact.flags.reserved);
                if let Some(slot) = slot {
                    *slot = fact.clone();
                }
                (*place, changed)
            }
            None => {
                let place = PermissionIndex::of(catalogue.permissions.len())?;
                catalogue.permissions.push(fact.clone());
                catalogue.places.insert(fact.name.clone(), place);
                (place, true)
            }
        };
        if meaning_changed {
            for role in Arc::make_mut(&mut self.roles) {
                // A role none of whose patterns can name it keeps its verdicts.
                if role.fact.grants.iter().any(|grant| grant.pattern.can_name(&fact.name)) {
                    compiler.extend(&mut role.compiled, &role.fact.grants, [(place, fact)])?;
                }
            }
        }
        Ok(())
    }

    fn put_account(&mut self, fact: &AccountFact) -> Result<(), SnapshotError> {
        let parent = match &fact.parent {
            Some(parent) => Some(self.known_account(parent)?),
            None => None,
        };
        let (index, has_moved) = match self.find_account(fact.id.as_str()) {
            Some(index) => {
                let old = self.parent(index);
                if old != parent {
                    self.drop_below(index);
                }
                if let Some(old) = old {
                    self.children.remove(&[old.0, index.0]);
                }
                (index, old != parent)
            }
            None => {
                let index = AccountIndex::of(self.accounts.len())?;
                (index, true)
            }
        };
        if let Some(parent) = parent {
            if self.is_within(parent, index) {
                return Err(out_of_step(FactKey::Account(fact.id.clone())));
            }
            self.children.insert([parent.0, index.0]);
        }
        let old = self.account(index).map_or(LabelsIndex::NONE, |old| old.labels);
        let labels = self.label_sets.replace(old, &fact.labels);
        let (record, details) = (AccountRecord::new(fact, parent, labels), AccountDetails::new(fact));
        match (self.accounts.get_mut(index.place()), self.account_details.get_mut(index.place())) {
            (Some(slot), Some(own)) => (*slot, *own) = (record, details),
            _ => {
                self.accounts.push(record);
                self.account_details.push(details);
                let name =
                    |place: u32| self.account_details.get(place as usize).map_or("", |details| details.id.as_str());
                self.account_places.put(&fact.id.as_str(), index.0, name);
            }
        }
        if self.height(index) + self.path(index).as_slice().len() - 1 > DEPTH_MAX || self.is_truncated(index) {
            return Err(SnapshotError::TooDeep { account: fact.id.clone() });
        }
        if has_moved {
            self.put_below(index);
        }
        Ok(())
    }

    /// Whether an account's path does not reach the root within the bound.
    fn is_truncated(&self, account: AccountIndex) -> bool {
        let path = self.path(account);
        path.as_slice().last().is_some_and(|last| self.parent(*last).is_some())
    }

    /// How many levels stand in an account's subtree, itself counted.
    pub(super) fn height(&self, account: AccountIndex) -> usize {
        1 + self.children(account).map(|child| self.height(child)).max().unwrap_or(0)
    }

    fn drop_account(&mut self, id: &AccountId) -> Result<(), SnapshotError> {
        let index = self.known_account(id)?;
        let is_used = self.children(index).next().is_some()
            || self.homed_at(index).next().is_some()
            || self.bound_at(index).next().is_some()
            || self.groups_at(index).next().is_some();
        if is_used {
            return Err(out_of_step(FactKey::Account(id.clone())));
        }
        self.drop_below(index);
        let record = self.accounts.get_mut(index.place()).ok_or_else(|| unknown(id))?;
        record.gone = true;
        if let Some(parent) = record.parent() {
            self.children.remove(&[parent.0, index.0]);
        }
        self.account_places.remove(id.as_str(), index.0);
        Ok(())
    }

    fn put_role(&mut self, fact: &RoleFact, compiler: &mut Compiler) -> Result<(), SnapshotError> {
        let compiled = compiler.compile(&fact.grants, &fact.rules, self.catalogue())?;
        let record = RoleRecord { fact: Arc::new(fact.clone()), compiled, gone: false };
        let roles = Arc::make_mut(&mut self.roles);
        match self.role_places.get(&fact.id).and_then(|index| roles.get_mut(index.place())) {
            Some(slot) => *slot = record,
            None => {
                let index = RoleIndex::of(roles.len())?;
                roles.push(record);
                Arc::make_mut(&mut self.role_places).insert(fact.id.clone(), index);
            }
        }
        Ok(())
    }

    fn drop_role(&mut self, fact: &RoleFact) -> Result<(), SnapshotError> {
        let index = self.find_role(&fact.id).ok_or_else(|| unknown(&fact.id))?;
        if self.bound_by_role.of(index.0).next().is_some() {
            return Err(out_of_step(FactKey::Role(fact.id.clone())));
        }
        Arc::make_mut(&mut self.role_places).remove(&fact.id);
        if let Some(slot) = Arc::make_mut(&mut self.roles).get_mut(index.place()) {
            *slot = RoleRecord { fact: Arc::clone(&slot.fact), compiled: Default::default(), gone: true };
        }
        Ok(())
    }

    fn put_group(&mut self, fact: &GroupFact) -> Result<(), SnapshotError> {
        let account = self.known_account(&fact.account)?;
        if self.find_group(fact.id).is_none() {
            let index = GroupIndex::of(self.groups.len())?;
            self.group_places.insert(fact.id, index);
            self.groups_at.insert([account.0, index.0]);
            self.groups.push(Some(GroupRecord::new(fact.id, account)));
        }
        Ok(())
    }

    fn drop_group(&mut self, id: GroupId) -> Result<(), SnapshotError> {
        let index = self.known_group(id)?;
        let is_used =
            self.members(index).next().is_some() || self.group(index).is_some_and(|group| !group.bindings().is_empty());
        if is_used {
            return Err(out_of_step(FactKey::Group(id)));
        }
        if let Some(account) = self.group(index).map(|record| record.account) {
            self.groups_at.remove(&[account.0, index.0]);
        }
        self.group_places.remove(id);
        if let Some(slot) = self.groups.get_mut(index.place()) {
            *slot = None;
        }
        Ok(())
    }

    fn put_member(&mut self, fact: &MemberFact, edits: &mut Edits) -> Result<(), SnapshotError> {
        let (group, index) = (self.known_group(fact.group)?, self.known_peer(fact.peer)?);
        match &mut edits.bulk {
            Some(bulk) => bulk.members.push([group.0, index.0]),
            None => self.members.insert([group.0, index.0]),
        }
        let peer = edits.get(self, index).ok_or_else(|| unknown(&fact.peer))?;
        peer.memberships.retain(|(own, ..)| *own != group);
        peer.memberships.push((group, fact.mode, fact.window));
        Ok(())
    }

    fn drop_member(&mut self, fact: &MemberFact, edits: &mut Edits) -> Result<(), SnapshotError> {
        let (group, index) = (self.known_group(fact.group)?, self.known_peer(fact.peer)?);
        self.members.remove(&[group.0, index.0]);
        let peer = edits.get(self, index).ok_or_else(|| unknown(&fact.peer))?;
        peer.memberships.retain(|(own, ..)| *own != group);
        Ok(())
    }

    fn put_binding(&mut self, fact: &BindingFact, edits: &mut Edits) -> Result<(), SnapshotError> {
        let account = self.known_account(&fact.account)?;
        let role = self.find_role(&fact.role).ok_or_else(|| unknown(&fact.role))?;
        let binding = LooseBinding::new(fact.id, account, role, (fact.reach, fact.mode), fact.window);
        let holder = self.edit_bindings(fact.principal, fact.id, Some(binding), edits)?;
        match &mut edits.bulk {
            Some(bulk) => bulk.bound.push([account.0, role.0, holder.code()]),
            None => {
                self.bound.insert([account.0, role.0, holder.code()]);
                self.bound_by_role.insert([role.0, account.0]);
            }
        }
        Ok(())
    }

    fn drop_binding(&mut self, fact: &BindingFact, edits: &mut Edits) -> Result<(), SnapshotError> {
        let account = self.known_account(&fact.account)?;
        let role = self.find_role(&fact.role).ok_or_else(|| unknown(&fact.role))?;
        let holder = self.edit_bindings(fact.principal, fact.id, None, edits)?;
        if !self.still_binds(holder, account, role, edits) {
            self.bound.remove(&[account.0, role.0, holder.code()]);
            if self.bound.range([account.0, role.0, 0], [account.0, role.0, u32::MAX]).next().is_none() {
                self.bound_by_role.remove(&[role.0, account.0]);
            }
        }
        Ok(())
    }

    /// Whether a holder has a binding of a role on an account.
    fn still_binds(&self, holder: Holder, account: AccountIndex, role: RoleIndex, edits: &mut Edits) -> bool {
        let is_such = |record: &BindingRecord| (record.account, record.role) == (account, role);
        match holder {
            Holder::Peer(peer) => {
                edits.get(self, peer).is_some_and(|peer| peer.bindings.iter().any(|own| is_such(&own.record)))
            }
            Holder::Group(group) => self.group(group).is_some_and(|group| group.bindings().iter().any(is_such)),
        }
    }

    fn edit_bindings(
        &mut self,
        principal: Principal,
        id: BindingId,
        binding: Option<LooseBinding>,
        edits: &mut Edits,
    ) -> Result<Holder, SnapshotError> {
        match principal {
            Principal::Peer(peer_id) => {
                let index = self.known_peer(peer_id)?;
                let peer = edits.get(self, index).ok_or_else(|| unknown(&peer_id))?;
                let before = peer.bindings.len();
                peer.bindings.retain(|own| own.record.id != id);
                peer.bindings.extend(binding);
                self.binding_count = self.binding_count + peer.bindings.len() - before;
                Ok(Holder::Peer(index))
            }
            Principal::Group(group) => {
                let index = self.known_group(group)?;
                let record =
                    self.groups.get_mut(index.place()).and_then(Option::as_mut).ok_or_else(|| unknown(&group))?;
                let before = record.bindings().len();
                record.edit(id, binding);
                self.binding_count = self.binding_count + record.bindings().len() - before;
                Ok(Holder::Group(index))
            }
        }
    }

    fn put_api_key(&mut self, fact: &ApiKeyFact) -> Result<(), SnapshotError> {
        let peer = self.known_peer(fact.peer)?;
        self.api_keys.insert(fact.hash, ApiKeyRecord { id: fact.id, peer, expire_time: fact.expire_time });
        Ok(())
    }

    pub(super) fn known_account(&self, id: &AccountId) -> Result<AccountIndex, SnapshotError> {
        self.find_account(id.as_str()).ok_or_else(|| unknown(id))
    }

    pub(super) fn known_peer(&self, id: PeerId) -> Result<PeerIndex, SnapshotError> {
        self.find_peer(id).ok_or_else(|| unknown(&id))
    }

    fn known_group(&self, id: GroupId) -> Result<GroupIndex, SnapshotError> {
        self.find_group(id).ok_or_else(|| unknown(&id))
    }
}

pub(super) fn unknown(name: &impl std::fmt::Display) -> SnapshotError {
    SnapshotError::Unknown { name: name.to_string() }
}

pub(super) fn out_of_step(key: FactKey) -> SnapshotError {
    SnapshotError::OutOfStep { key: Box::new(key) }
}
