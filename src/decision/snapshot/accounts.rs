//! The account tree: who is below whom, and what an account takes from those above it.

use std::sync::Arc;

use super::labels::LabelsIndex;
use super::{AccountIndex, Snapshot};
use crate::domain::account::{AccountKind, DEPTH_MAX, PartnerAccess, SuspensionScope};
use crate::domain::condition::Condition;
use crate::domain::fact::AccountFact;
use crate::domain::ids::AccountId;
use crate::domain::password::PasswordPolicy;

/// What every decision reads of an account: few bytes, so that the paths of many stay in the caches.
#[derive(Debug, Clone, Copy)]
pub struct AccountRecord {
    /// The number of the account above, or [`NOWHERE`].
    parent: u32,
    pub(super) labels: LabelsIndex,
    pub kind: AccountKind,
    pub suspension: Option<SuspensionScope>,
    pub partner_access: PartnerAccess,
    pub gone: bool,
}

/// INVARIANT: no account has this number.
const NOWHERE: u32 = u32::MAX;

/// The name of an account, and what few have.
#[derive(Debug, Clone)]
pub struct AccountDetails {
    pub id: AccountId,
    rest: Option<Arc<Rest>>,
}

#[derive(Debug, Clone)]
struct Rest {
    role_packs: Option<Vec<String>>,
    password_policy: PasswordPolicy,
}

impl AccountRecord {
    pub(super) fn new(fact: &AccountFact, parent: Option<AccountIndex>, labels: LabelsIndex) -> Self {
        Self {
            parent: parent.map_or(NOWHERE, |parent| parent.0),
            labels,
            kind: fact.kind,
            suspension: fact.suspension,
            partner_access: fact.partner_access,
            gone: false,
        }
    }

    /// The account above; the root has none.
    #[inline]
    #[must_use]
    pub fn parent(&self) -> Option<AccountIndex> {
        (self.parent != NOWHERE).then_some(AccountIndex(self.parent))
    }
}

impl AccountDetails {
    pub(super) fn new(fact: &AccountFact) -> Self {
        let is_plain = fact.role_packs.is_none() && fact.password_policy.is_empty();
        let rest = || Rest { role_packs: fact.role_packs.clone(), password_policy: fact.password_policy };
        Self { id: fact.id.clone(), rest: (!is_plain).then(|| Arc::new(rest())) }
    }

    /// The packs that it says can be assigned at it and below.
    #[must_use]
    pub fn role_packs(&self) -> Option<&[String]> {
        self.rest.as_ref()?.role_packs.as_deref()
    }

    #[must_use]
    pub fn password_policy(&self) -> PasswordPolicy {
        self.rest.as_ref().map_or_else(PasswordPolicy::default, |rest| rest.password_policy)
    }
}

/// The accounts from a target up to the root, the target first.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    accounts: [AccountIndex; DEPTH_MAX],
    len: usize,
}

impl Path {
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[AccountIndex] {
        self.accounts.get(..self.len).unwrap_or(&[])
    }

    #[inline]
    #[must_use]
    pub fn contains(&self, account: AccountIndex) -> bool {
        self.as_slice().contains(&account)
    }
}

impl Snapshot {
    /// The fact that an account is, were it gone or not.
    #[must_use]
    pub fn account_fact(&self, index: AccountIndex) -> Option<AccountFact> {
        let (record, details) = (self.account(index)?, self.account_details(index)?);
        let labels = self.own_labels(index).iter().map(|(key, value)| (key.to_string(), value.to_string()));
        Some(AccountFact {
            id: details.id.clone(),
            parent: record.parent().and_then(|parent| self.account_id(parent)).cloned(),
            kind: record.kind,
            suspension: record.suspension,
            partner_access: record.partner_access,
            labels: labels.collect(),
            role_packs: details.role_packs().map(<[String]>::to_vec),
            password_policy: details.password_policy(),
        })
    }

    /// The account above; the root has none.
    #[inline]
    #[must_use]
    pub fn parent(&self, account: AccountIndex) -> Option<AccountIndex> {
        self.account(account)?.parent()
    }

    /// The accounts directly below one.
    pub fn children(&self, account: AccountIndex) -> impl Iterator<Item = AccountIndex> {
        self.children.of(account.0).map(AccountIndex)
    }

    /// An account and everything below it, parents before children.
    #[must_use]
    pub fn subtree(&self, account: AccountIndex) -> Vec<AccountIndex> {
        let mut found = vec![account];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(self.children(parent));
            next += 1;
        }
        found
    }

    /// The accounts from a target up to the root.
    #[inline]
    #[must_use]
    pub fn path(&self, target: AccountIndex) -> Path {
        let mut path = Path { accounts: [target; DEPTH_MAX], len: 0 };
        let mut next = Some(target);
        // INVARIANT: apply refuses deeper trees, so that the array is large enough.
        while let (Some(account), Some(slot)) = (next, path.accounts.get_mut(path.len)) {
            *slot = account;
            path.len += 1;
            next = self.parent(account);
        }
        path
    }

    /// Whether `account` is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, account: AccountIndex, ancestor: AccountIndex) -> bool {
        self.path(account).contains(ancestor)
    }

    /// Whether an account or one above it is suspended with everything below.
    #[inline]
    #[must_use]
    pub fn is_suspended(&self, path: &Path) -> bool {
        path.as_slice().iter().any(|account| {
            self.account(*account).is_some_and(|record| record.suspension == Some(SuspensionScope::Subtree))
        })
    }

    /// Whether peers homed in the account can act: it, and no one above, is suspended.
    #[inline]
    #[must_use]
    pub fn is_home_active(&self, home: AccountIndex) -> bool {
        let own = self.account(home).and_then(|record| record.suspension);
        own != Some(SuspensionScope::OwnPeers) && !self.is_suspended(&self.path(home))
    }

    /// The strictest partner access set on the target's path that limits a peer homed at `home`: an
    /// account limits peers homed neither inside it nor at the root.
    #[inline]
    #[must_use]
    pub fn partner_access(&self, path: &Path, home: AccountIndex) -> PartnerAccess {
        let mut strictest = PartnerAccess::Allowed;
        for account in path.as_slice() {
            let Some(record) = self.account(*account) else { continue };
            if record.partner_access > strictest && !self.is_within(home, *account) {
                strictest = record.partner_access;
            }
        }
        let at_root = self.account(home).is_some_and(|record| record.parent().is_none());
        if at_root { PartnerAccess::Allowed } else { strictest }
    }

    /// The labels of an account itself, in order of key.
    #[inline]
    #[must_use]
    pub fn own_labels(&self, account: AccountIndex) -> &[(Box<str>, Box<str>)] {
        self.account(account).map_or(&[], |record| self.label_sets.get(record.labels))
    }

    /// The value of a label at an account: the nearest on the way to the root.
    #[must_use]
    pub fn label(&self, path: &Path, key: &str) -> Option<&str> {
        path.as_slice().iter().find_map(|account| {
            let own = self.own_labels(*account).iter().find(|(own, _)| **own == *key);
            own.map(|(_, value)| &**value)
        })
    }

    /// Whether what a condition demands of labels holds at the account that the path begins with: all of
    /// a condition that depends on facts alone, and so all that a change of facts can make hold or fail.
    #[inline]
    #[must_use]
    pub fn labels_hold(&self, path: &Path, condition: &Condition) -> bool {
        let labels = &condition.account_labels;
        labels.iter().all(|(key, values)| self.label(path, key).is_some_and(|value| values.contains(value)))
    }

    /// The packs whose roles can be assigned at an account: what the nearest partner says, or all.
    #[must_use]
    pub fn role_packs(&self, path: &Path) -> Option<&[String]> {
        path.as_slice().iter().find_map(|account| self.account_details(*account)?.role_packs())
    }
}
