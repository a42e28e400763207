//! An immutable hash table of numbers, found by the keys that stand elsewhere under these numbers, in
//! shards that shares all but the changed one.
//!
//! A map that kept the keys would hold each twice. The hash is keyed by a seed drawn per process, since
//! tenants choose some of the keys.

use std::hash::{BuildHasher as _, Hash};

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::tree::Tree;

/// How many shards a table has: at a million keys a change copies some 250 numbers.
const SHARDS: usize = 4096;

/// How many numbers room is made for at most before they are there.
const ANNOUNCED_MAX: usize = 1 << 22;

/// A persistent hash table of numbers.
#[derive(Debug, Clone, Default)]
pub struct Places {
    state: RandomState,
    shards: Tree<HashTable<u32>>,
    len: usize,
}

impl Places {
    /// The shard of a hash. The table uses the top and the bottom bits, so the middle ones choose.
    #[inline]
    const fn shard(hash: u64) -> usize {
        (hash >> 24) as usize % SHARDS
    }

    /// The number of a key; `is_key` says whether a number's is the one.
    #[inline]
    pub fn find(&self, key: &(impl Hash + ?Sized), is_key: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.state.hash_one(key);
        self.shards.get(Self::shard(hash))?.find(hash, |number| is_key(*number)).copied()
    }

    /// Makes room for so many more, so that what is there need not be put elsewhere again and again. That
    /// costs memory at once, and only that is bounded: more can come than were announced.
    pub fn reserve(&mut self, more: usize) {
        let each = more.min(ANNOUNCED_MAX) / SHARDS;
        while self.shards.len() < SHARDS {
            // Some shards get a little more than their share.
            self.shards.set(self.shards.len(), HashTable::with_capacity(each + each / 8));
        }
    }

    /// Puts a number under its key in place of any other there; `key` tells the keys of those that are.
    pub fn put<K: Hash + Eq>(&mut self, own: &K, number: u32, key: impl Fn(u32) -> K) {
        while self.shards.len() < SHARDS {
            self.shards.set(self.shards.len(), HashTable::new());
        }
        let Self { state, shards, len } = self;
        let hash = state.hash_one(own);
        let Some(shard) = shards.get_mut(Self::shard(hash)) else { return };
        match shard.find_mut(hash, |there| key(*there) == *own) {
            Some(there) => *there = number,
            None => {
                shard.insert_unique(hash, number, |there| state.hash_one(key(*there)));
                *len += 1;
            }
        }
    }

    /// Takes a number away from under its key.
    pub fn remove(&mut self, key: &(impl Hash + ?Sized), number: u32) {
        let hash = self.state.hash_one(key);
        let shard = self.shards.get_mut(Self::shard(hash));
        if let Some(Ok(entry)) = shard.map(|shard| shard.find_entry(hash, |there| *there == number)) {
            entry.remove();
            self.len -= 1;
        }
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}
