//! An immutable hash map in shards that shares all but the changed one.
//!
//! The hash is keyed by a seed drawn per process, since tenants choose some of the keys.

use std::borrow::Borrow;
use std::hash::{BuildHasher as _, Hash};

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::tree::Tree;

/// How many shards a map has: at a million keys a change copies some 250 of them.
const SHARDS: usize = 4096;

type Shard<K, V> = HashTable<(K, V)>;

/// A persistent hash map.
#[derive(Debug, Clone)]
pub struct ShardMap<K, V> {
    state: RandomState,
    shards: Tree<Shard<K, V>>,
    len: usize,
}

impl<K, V> Default for ShardMap<K, V> {
    fn default() -> Self {
        Self { state: RandomState::default(), shards: Tree::default(), len: 0 }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> ShardMap<K, V> {
    /// The shard of a hash. The table uses the top and the bottom bits, so the middle ones choose.
    #[inline]
    const fn shard(hash: u64) -> usize {
        (hash >> 24) as usize % SHARDS
    }

    /// What stands under a key.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let hash = self.state.hash_one(key);
        self.shards.get(Self::shard(hash))?.find(hash, |(own, _)| own.borrow() == key).map(|(_, value)| value)
    }

    /// Puts a value under a key.
    pub fn insert(&mut self, key: K, value: V) {
        self.edit(key, Some(value));
    }

    /// Takes a key away.
    pub fn remove(&mut self, key: K) {
        self.edit(key, None);
    }

    /// All pairs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter().map(|(key, value)| (key, value)))
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn edit(&mut self, key: K, value: Option<V>) {
        while self.shards.len() < SHARDS {
            self.shards.set(self.shards.len(), Shard::new());
        }
        let hash = self.state.hash_one(&key);
        let Some(shard) = self.shards.get_mut(Self::shard(hash)) else { return };
        match value {
            Some(value) => self.len += usize::from(put(shard, &self.state, hash, key, value)),
            None => {
                if let Ok(entry) = shard.find_entry(hash, |(own, _)| *own == key) {
                    entry.remove();
                    self.len -= 1;
                }
            }
        }
    }
}

/// Puts a pair into a shard; true where the key is new.
fn put<K: Hash + Eq, V>(shard: &mut Shard<K, V>, state: &RandomState, hash: u64, key: K, value: V) -> bool {
    if let Some(pair) = shard.find_mut(hash, |(own, _)| *own == key) {
        pair.1 = value;
        return false;
    }
    shard.insert_unique(hash, (key, value), |(key, _)| state.hash_one(key));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_saw() {
        let mut map = ShardMap::default();
        for key in 0..10_000_u32 {
            map.insert(key, key + 1);
        }
        let before = map.clone();
        map.insert(7, 0);
        map.insert(20_000, 1);
        map.remove(8);
        assert_eq!((before.get(&7), map.get(&7)), (Some(&8), Some(&0)));
        assert_eq!((before.get(&8), map.get(&8)), (Some(&9), None));
        assert_eq!((before.len(), map.len()), (10_000, 10_000));
    }
}
