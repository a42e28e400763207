//! Facts by kind, as plain lists: what the naive evaluator reads and what a snapshot is loaded from.

use peerage::domain::fact::{
    AccountFact, ApiKeyFact, BindingFact, Fact, FactKey, GroupFact, MemberFact, PeerFact, RoleFact,
};
use peerage::domain::ids::AccountId;
use peerage::domain::permission::Permission;

#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) permissions: Vec<Permission>,
    pub(crate) accounts: Vec<AccountFact>,
    pub(crate) roles: Vec<RoleFact>,
    pub(crate) groups: Vec<GroupFact>,
    pub(crate) peers: Vec<PeerFact>,
    pub(crate) members: Vec<MemberFact>,
    pub(crate) bindings: Vec<BindingFact>,
    pub(crate) api_keys: Vec<ApiKeyFact>,
}

impl Facts {
    /// All facts, each after those it names.
    pub(crate) fn all(&self) -> Vec<Fact> {
        let mut sorted = self.accounts.clone();
        sorted.sort_by_key(|account| self.path(&account.id).len());
        self.with_accounts(sorted)
    }

    /// As [`Facts::all`], where every account stands behind the one above it already.
    pub(crate) fn in_order(&self) -> Vec<Fact> {
        self.with_accounts(self.accounts.clone())
    }

    fn with_accounts(&self, accounts: Vec<AccountFact>) -> Vec<Fact> {
        let mut all = Vec::new();
        all.extend(self.permissions.iter().cloned().map(Fact::Permission));
        all.extend(accounts.into_iter().map(Fact::Account));
        all.extend(self.roles.iter().cloned().map(Fact::Role));
        all.extend(self.groups.iter().cloned().map(Fact::Group));
        all.extend(self.peers.iter().cloned().map(Fact::Peer));
        all.extend(self.members.iter().cloned().map(Fact::Member));
        all.extend(self.bindings.iter().cloned().map(Fact::Binding));
        all.extend(self.api_keys.iter().cloned().map(Fact::ApiKey));
        all
    }

    /// An account and those above it, as far as they are known.
    pub(crate) fn path(&self, account: &AccountId) -> Vec<&AccountFact> {
        let mut path = Vec::new();
        let mut next = Some(account);
        while let Some(id) = next {
            let Some(found) = self.accounts.iter().find(|account| account.id == *id) else { break };
            path.push(found);
            next = found.parent.as_ref();
        }
        path
    }

    pub(crate) fn is_within(&self, account: &AccountId, ancestor: &AccountId) -> bool {
        self.path(account).iter().any(|above| above.id == *ancestor)
    }

    /// Makes a fact or puts it in the place of the one with the same key.
    pub(crate) fn put(&mut self, fact: Fact) {
        fn put<T>(list: &mut Vec<T>, fact: T, same: impl Fn(&T, &T) -> bool) {
            match list.iter_mut().find(|known| same(known, &fact)) {
                Some(slot) => *slot = fact,
                None => list.push(fact),
            }
        }
        match fact {
            Fact::Permission(fact) => put(&mut self.permissions, fact, |a, b| a.name == b.name),
            Fact::Account(fact) => put(&mut self.accounts, fact, |a, b| a.id == b.id),
            Fact::Role(fact) => put(&mut self.roles, fact, |a, b| a.id == b.id),
            Fact::Group(fact) => put(&mut self.groups, fact, |a, b| a.id == b.id),
            Fact::Peer(fact) => put(&mut self.peers, fact, |a, b| a.id == b.id),
            Fact::Member(fact) => put(&mut self.members, fact, |a, b| (a.group, a.peer) == (b.group, b.peer)),
            Fact::Binding(fact) => put(&mut self.bindings, fact, |a, b| a.id == b.id),
            Fact::ApiKey(fact) => put(&mut self.api_keys, fact, |a, b| a.id == b.id),
        }
    }

    pub(crate) fn drop(&mut self, key: &FactKey) {
        match key {
            FactKey::Permission(name) => self.permissions.retain(|fact| fact.name != *name),
            FactKey::Account(id) => self.accounts.retain(|fact| fact.id != *id),
            FactKey::Role(id) => self.roles.retain(|fact| fact.id != *id),
            FactKey::Peer(id) => self.peers.retain(|fact| fact.id != *id),
            FactKey::Group(id) => self.groups.retain(|fact| fact.id != *id),
            FactKey::Member(group, peer) => self.members.retain(|fact| (fact.group, fact.peer) != (*group, *peer)),
            FactKey::Binding(id) => self.bindings.retain(|fact| fact.id != *id),
            FactKey::ApiKey(id) => self.api_keys.retain(|fact| fact.id != *id),
        }
    }
}
