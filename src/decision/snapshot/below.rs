//! What lies below each account, at any depth, in order of name.
//!
//! A list of the accounts below one is read here a page at a time: a page costs a page, however large
//! the subtree and the world are, and nothing outside of the subtree is touched. `children` could not
//! serve that, since its order is that of numbers, and names are ordered across levels here.
//!
//! INVARIANT: an account stands here once for each account above it, which is seven times at most, and
//! nowhere when it is gone. All its entries share one copy of its name. A new account costs its own
//! entries; a move costs those of what moves.

use std::ops::Bound;
use std::sync::Arc;

use super::{AccountIndex, Snapshot};
use crate::domain::ids::AccountId;

/// An account below another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Below {
    above: AccountIndex,
    name: Arc<str>,
    account: AccountIndex,
}

impl Snapshot {
    /// The accounts below one, at any depth, in order of name, with their names; after a name where
    /// one is given.
    pub fn below<'a>(
        &'a self,
        account: AccountIndex,
        after: Option<&AccountId>,
    ) -> impl Iterator<Item = (&'a str, AccountIndex)> + use<'a> {
        let name = Arc::from(after.map_or("", AccountId::as_str));
        let place = Below { above: account, name, account: AccountIndex(u32::MAX) };
        let rest = self.below.range((Bound::Excluded(place), Bound::Unbounded));
        rest.take_while(move |entry| entry.above == account).map(|entry| (&*entry.name, entry.account))
    }

    /// Puts an account and everything below it where the tree has them now.
    pub(super) fn put_below(&mut self, top: AccountIndex) {
        for entry in self.entries(top) {
            self.below.insert(entry);
        }
    }

    /// The opposite of [`Snapshot::put_below`], while the tree still is as it was then.
    pub(super) fn drop_below(&mut self, top: AccountIndex) {
        for entry in self.entries(top) {
            self.below.remove(&entry);
        }
    }

    /// The entries of everything in a subtree below accounts that are not in it, and, which a move
    /// leaves alone and a new account lacks, none else.
    fn entries(&self, top: AccountIndex) -> Vec<Below> {
        let path = self.path(top);
        let outside = path.as_slice().get(1..).unwrap_or_default();
        let subtree = self.subtree(top).into_iter();
        let named = subtree.filter_map(|account| Some((account, Arc::<str>::from(self.account_id(account)?.as_str()))));
        let entries = |(account, name): (AccountIndex, Arc<str>)| {
            let entry = move |above: &AccountIndex| Below { above: *above, name: Arc::clone(&name), account };
            outside.iter().map(entry).collect::<Vec<_>>()
        };
        named.flat_map(entries).collect()
    }
}
