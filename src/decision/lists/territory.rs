//! The part of the tree that bindings reach: some subtrees, and some accounts alone.
//!
//! It is kept as its tops, of which there are no more than bindings, and walked in order of name by
//! merging what lies below each. The walk begins anywhere, stops anywhere, and touches nothing else.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::allows;
use crate::decision::snapshot::{AccountIndex, PeerIndex, PermissionIndex, Snapshot};
use crate::domain::binding::{Mode, Reach};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

/// A part of the tree.
///
/// INVARIANT: no top lies within another, so that a walk comes to each account once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Territory {
    subtrees: BTreeSet<AccountIndex>,
    alone: BTreeSet<AccountIndex>,
}

impl Territory {
    /// Where a peer may be allowed to do something. Outside of it nothing that could allow it applies,
    /// and every answer is DENY; within it there are requirements, DENY grants, partner access,
    /// conditions and suspensions to look at.
    ///
    /// INVARIANT: whatever makes a binding count in `evaluate` makes it count here. What is left out
    /// here would be left out of lists.
    #[must_use]
    pub fn of(snapshot: &Snapshot, peer: PeerIndex, permission: PermissionIndex, now: Timestamp) -> Self {
        let counts = |role| snapshot.role(role).is_some_and(|role| allows(role, permission));
        let mut found = Self::default();
        for held in snapshot.held(peer) {
            if held.mode == Mode::Active && held.window.contains(now) && counts(held.binding.role) {
                match held.binding.reach {
                    Reach::Subtree => found.subtrees.insert(held.binding.account),
                    Reach::AccountOnly => found.alone.insert(held.binding.account),
                };
            }
        }
        found.settled(snapshot)
    }

    /// Everything at and below the accounts where a peer holds any binding, whether or not it counts.
    #[must_use]
    pub fn bound(snapshot: &Snapshot, peer: PeerIndex) -> Self {
        let subtrees = snapshot.held(peer).map(|held| held.binding.account).collect();
        Self { subtrees, alone: BTreeSet::new() }.settled(snapshot)
    }

    /// An account and everything below it.
    #[must_use]
    pub fn within(top: AccountIndex) -> Self {
        Self { subtrees: BTreeSet::from([top]), alone: BTreeSet::new() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subtrees.is_empty() && self.alone.is_empty()
    }

    /// What is part of both.
    #[must_use]
    pub fn common(&self, snapshot: &Snapshot, other: &Self) -> Self {
        let mut found = Self::default();
        for (one, other) in [(self, other), (other, self)] {
            found.subtrees.extend(one.subtrees.iter().filter(|top| other.reaches_down_to(snapshot, **top)));
            let is_there =
                |account: &&AccountIndex| other.alone.contains(*account) || other.reaches_down_to(snapshot, **account);
            found.alone.extend(one.alone.iter().filter(is_there));
        }
        found.settled(snapshot)
    }

    /// The accounts in order of name, after a name where one is given.
    pub fn walk<'a>(
        &self,
        snapshot: &'a Snapshot,
        after: Option<&AccountId>,
    ) -> impl Iterator<Item = AccountIndex> + use<'a> {
        let tops = self.subtrees.iter().chain(&self.alone);
        let named = tops.filter_map(|top| snapshot.account_id(*top).map(|id| (id, *top)));
        let rest = named.filter(|(id, _)| after.is_none_or(|after| *id > after));
        let mut heads: BinaryHeap<_> = rest.map(|(id, top)| Reverse((id.as_str(), top, None))).collect();
        let mut streams: Vec<_> = self.subtrees.iter().map(|top| snapshot.below(*top, after)).collect();
        for (place, stream) in streams.iter_mut().enumerate() {
            heads.extend(stream.next().map(|(name, account)| Reverse((name, account, Some(place)))));
        }
        std::iter::from_fn(move || {
            let Reverse((_, account, place)) = heads.pop()?;
            let next = place.and_then(|place| streams.get_mut(place)).and_then(Iterator::next);
            heads.extend(next.map(|(name, account)| Reverse((name, account, place))));
            Some(account)
        })
    }

    fn reaches_down_to(&self, snapshot: &Snapshot, account: AccountIndex) -> bool {
        !self.subtrees.is_empty() && snapshot.path(account).as_slice().iter().any(|top| self.subtrees.contains(top))
    }

    /// Without tops that lie within others.
    fn settled(self, snapshot: &Snapshot) -> Self {
        let is_covered = |account: AccountIndex, from: usize| {
            snapshot.path(account).as_slice().iter().skip(from).any(|above| self.subtrees.contains(above))
        };
        Self {
            subtrees: self.subtrees.iter().copied().filter(|top| !is_covered(*top, 1)).collect(),
            alone: self.alone.iter().copied().filter(|account| !is_covered(*account, 0)).collect(),
        }
    }
}
