//! Sets of accounts below one, as few places as say them: whole subtrees, and accounts alone.

use std::collections::HashMap;

use crate::decision::snapshot::{AccountIndex, Snapshot};
use crate::domain::binding::Reach;

/// A part of a set of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An account without those below it.
    Alone(AccountIndex),
    /// An account and everything below it.
    Whole(AccountIndex),
}

impl Place {
    pub(super) fn name(self, snapshot: &Snapshot) -> Option<String> {
        match self {
            Self::Alone(account) => snapshot.account_id(account).map(|id| format!("account:{id}")),
            Self::Whole(account) => snapshot.account_id(account).map(|id| format!("subtree:{id}")),
        }
    }
}

/// The accounts of which sets are made, parents before children.
#[derive(Debug)]
pub(super) struct Regions {
    accounts: Vec<AccountIndex>,
    /// The place of each one's parent among them.
    parents: Vec<Option<usize>>,
    reach: Reach,
}

impl Regions {
    pub(super) fn new(snapshot: &Snapshot, accounts: Vec<AccountIndex>, reach: Reach) -> Self {
        let places: HashMap<AccountIndex, usize> =
            accounts.iter().enumerate().map(|(place, account)| (*account, place)).collect();
        let parent = |account: &AccountIndex| places.get(&snapshot.parent(*account)?).copied();
        let parents = accounts.iter().map(parent).collect();
        Self { accounts, parents, reach }
    }

    /// The accounts of which something is true.
    pub(super) fn region(&self, holds: impl Fn(AccountIndex) -> bool) -> Vec<Place> {
        let held: Vec<bool> = self.accounts.iter().map(|account| holds(*account)).collect();
        let mut whole = held.clone();
        if self.reach == Reach::AccountOnly {
            whole.fill(false);
        }
        let at = |bits: &[bool], place: usize| bits.get(place).copied().unwrap_or_default();
        for (place, parent) in self.parents.iter().enumerate().rev() {
            if !at(&whole, place)
                && let Some(bit) = parent.and_then(|parent| whole.get_mut(parent))
            {
                *bit = false;
            }
        }
        let mut region = Vec::new();
        for (place, (account, parent)) in self.accounts.iter().zip(&self.parents).enumerate() {
            // Where the parent is whole, so is all below it.
            if parent.is_some_and(|parent| at(&whole, parent)) {
                continue;
            }
            if at(&whole, place) {
                region.push(Place::Whole(*account));
            } else if at(&held, place) {
                region.push(Place::Alone(*account));
            }
        }
        region
    }
}
