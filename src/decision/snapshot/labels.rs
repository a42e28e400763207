//! The labels of accounts, each set of them once: many accounts carry the same, and a condition on
//! labels then reads what others have just read.
//!
//! INVARIANT: a set that any account has, were it gone, keeps its number.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::decision::tree::Table;

/// Labels in order of key.
type Labels = [(Box<str>, Box<str>)];

/// The number of a set; of an account without labels it names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelsIndex(u32);

impl LabelsIndex {
    pub(super) const NONE: Self = Self(u32::MAX);
}

#[derive(Debug, Clone)]
struct Shared {
    labels: Arc<Labels>,
    accounts: usize,
}

/// All sets that some account has, those that are gone included.
#[derive(Debug, Clone, Default)]
pub(super) struct LabelSets {
    sets: Table<Shared>,
    places: OrdMap<Arc<Labels>, u32>,
    /// Places of sets that none of these has anymore, to be used again.
    free: OrdSet<u32>,
}

impl LabelSets {
    /// The labels of a set in order of key.
    #[inline]
    pub(super) fn get(&self, index: LabelsIndex) -> &Labels {
        if index == LabelsIndex::NONE {
            return &[];
        }
        self.sets.get(index.0 as usize).map_or(&[], |shared| &shared.labels)
    }

    /// The labels of an account that had others, or the same, before.
    pub(super) fn replace(&mut self, old: LabelsIndex, labels: &BTreeMap<String, String>) -> LabelsIndex {
        let own = self.get(old).iter().map(|(key, value)| (&**key, &**value));
        if own.eq(labels.iter().map(|(key, value)| (&**key, &**value))) {
            return old;
        }
        let new = self.add(labels);
        self.remove(old);
        new
    }

    /// Counts one more account with these labels.
    fn add(&mut self, labels: &BTreeMap<String, String>) -> LabelsIndex {
        if labels.is_empty() {
            return LabelsIndex::NONE;
        }
        let labels: Arc<Labels> =
            labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        if let Some(place) = self.places.get(&labels) {
            if let Some(shared) = self.sets.get_mut(*place as usize) {
                shared.accounts += 1;
            }
            return LabelsIndex(*place);
        }
        let free = self.free.get_min().copied();
        // INVARIANT: there are no more sets than accounts, and a `u32` counts these.
        let place = free.unwrap_or(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        let shared = Shared { labels: Arc::clone(&labels), accounts: 1 };
        match self.sets.get_mut(place as usize) {
            Some(slot) => *slot = shared,
            None => self.sets.push(shared),
        }
        self.free.remove(&place);
        self.places.insert(labels, place);
        LabelsIndex(place)
    }

    /// Counts one account less.
    fn remove(&mut self, index: LabelsIndex) {
        let Some(shared) = self.sets.get_mut(index.0 as usize) else { return };
        shared.accounts = shared.accounts.saturating_sub(1);
        if shared.accounts == 0 {
            self.places.remove(&shared.labels);
            self.free.insert(index.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("env".to_owned(), value.to_owned())])
    }

    #[test]
    fn equal_sets_stand_once_and_places_are_used_again() {
        let mut sets = LabelSets::default();
        assert_eq!((sets.add(&BTreeMap::new()), sets.get(LabelsIndex::NONE).len()), (LabelsIndex::NONE, 0));
        let (live, test) = (sets.add(&labels("live")), sets.add(&labels("test")));
        assert!(live != test && sets.add(&labels("live")) == live);
        let before = sets.clone();
        assert_eq!(sets.replace(live, &labels("live")), live);
        assert_eq!(sets.replace(live, &labels("test")), test);
        assert_eq!(&*sets.get(live)[0].1, "live");
        assert_eq!(sets.replace(live, &BTreeMap::new()), LabelsIndex::NONE);
        let other = sets.replace(LabelsIndex::NONE, &labels("other"));
        assert_eq!((other, &*sets.get(other)[0].1), (live, "other"));
        assert_ne!(sets.add(&labels("live")), live);
        assert_eq!(&*before.get(live)[0].1, "live");
    }
}
