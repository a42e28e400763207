//! The account tree: who is below whom, and what an account takes from those above it.

use std::sync::Arc;

use super::{AccountIndex, Snapshot};
use crate::domain::account::{AccountKind, DEPTH_MAX, PartnerAccess, SuspensionScope};
use crate::domain::condition::Condition;
use crate::domain::fact::AccountFact;
use crate::domain::ids::AccountId;
use crate::domain::password::PasswordPolicy;

/// An account and what holds for it alone.
#[derive(Debug, Clone)]
pub struct AccountRecord {
    pub id: AccountId,
    pub parent: Option<AccountIndex>,
    pub kind: AccountKind,
    pub suspension: Option<SuspensionScope>,
    pub partner_access: PartnerAccess,
    pub gone: bool,
    /// What few accounts have.
    rest: Option<Arc<Rest>>,
}

#[derive(Debug, Clone)]
struct Rest {
    /// In order of key.
    labels: Box<[(Box<str>, Box<str>)]>,
    role_packs: Option<Vec<String>>,
    password_policy: PasswordPolicy,
}

impl AccountRecord {
    pub(super) fn new(fact: &AccountFact, parent: Option<AccountIndex>) -> Self {
        let is_plain = fact.labels.is_empty() && fact.role_packs.is_none() && fact.password_policy.is_empty();
        let label = |(key, value): (&String, &String)| (key.as_str().into(), value.as_str().into());
        let rest = || Rest {
            labels: fact.labels.iter().map(label).collect(),
            role_packs: fact.role_packs.clone(),
            password_policy: fact.password_policy,
        };
        Self {
            id: fact.id.clone(),
            parent,
            kind: fact.kind,
            suspension: fact.suspension,
            partner_access: fact.partner_access,
            gone: false,
            rest: (!is_plain).then(|| Arc::new(rest())),
        }
    }

    /// Its own labels in order of key.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.rest.iter().flat_map(|rest| rest.labels.iter());
        labels.map(|(key, value)| (&**key, &**value))
    }

    /// The value of a label of its own.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels().find(|(own, _)| *own == key).map(|(_, value)| value)
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
        let record = self.account(index)?;
        let labels = record.labels().map(|(key, value)| (key.to_owned(), value.to_owned()));
        Some(AccountFact {
            id: record.id.clone(),
            parent: record.parent.and_then(|parent| self.account_id(parent)).cloned(),
            kind: record.kind,
            suspension: record.suspension,
            partner_access: record.partner_access,
            labels: labels.collect(),
            role_packs: record.role_packs().map(<[String]>::to_vec),
            password_policy: record.password_policy(),
        })
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
            next = self.account(account).and_then(|record| record.parent);
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
        let at_root = self.account(home).is_some_and(|record| record.parent.is_none());
        if at_root { PartnerAccess::Allowed } else { strictest }
    }

    /// The value of a label at an account: the nearest on the way to the root.
    #[must_use]
    pub fn label(&self, path: &Path, key: &str) -> Option<&str> {
        path.as_slice().iter().find_map(|account| self.account(*account)?.label(key))
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
        path.as_slice().iter().find_map(|account| self.account(*account)?.role_packs())
    }
}
