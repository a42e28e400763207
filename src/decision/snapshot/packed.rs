//! Ordered sets of short keys, packed: what guards and lists look up the other way round.
//!
//! Neighbors differ little, so a key is written as what it differs in from the one before: a pair of a
//! few million takes about three bytes, where a tree of whole keys takes sixteen. Keys stand in leaves
//! of 64; a look-up reads one leaf, a change writes one anew and shares the others.
//!
//! INVARIANT: no leaf is empty, each stands under its first key, and keys ascend through all of them.

use std::sync::Arc;

use imbl::OrdMap;

/// How many keys a leaf holds at most.
const LEAF_MAX: usize = 64;
/// A leaf with fewer is put together with the one before, where both fit into one.
const LEAF_MIN: usize = LEAF_MAX / 4;
/// How many bits of a step say which part of the key is the first that differs.
const PART_BITS: u32 = 2;

type Leaf = Arc<[u8]>;

/// An ordered set of keys of `N` numbers, at most four. Copying it copies pointers.
#[derive(Debug, Clone)]
pub(super) struct PackedSet<const N: usize> {
    leaves: OrdMap<[u32; N], Leaf>,
}

impl<const N: usize> Default for PackedSet<N> {
    fn default() -> Self {
        Self { leaves: OrdMap::new() }
    }
}

impl<const N: usize> PackedSet<N> {
    /// The set of keys that ascend.
    pub(super) fn from_ascending(keys: &[[u32; N]]) -> Self {
        debug_assert!(keys.is_sorted_by(|one, next| one < next));
        let leaves = keys.chunks(LEAF_MAX).filter_map(|keys| Some((*keys.first()?, pack(keys))));
        Self { leaves: leaves.collect() }
    }

    pub(super) fn insert(&mut self, key: [u32; N]) {
        let Some((first, mut keys)) = self.around(&key) else {
            self.leaves.insert(key, pack(&[key]));
            return;
        };
        let Err(place) = keys.binary_search(&key) else { return };
        keys.insert(place, key);
        self.leaves.remove(&first);
        let middle = if keys.len() > LEAF_MAX { keys.len() / 2 } else { keys.len() };
        for half in [keys.get(..middle), keys.get(middle..)].into_iter().flatten() {
            if let Some(first) = half.first() {
                self.leaves.insert(*first, pack(half));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &[u32; N]) {
        let Some((first, mut keys)) = self.around(key) else { return };
        let Ok(place) = keys.binary_search(key) else { return };
        keys.remove(place);
        self.leaves.remove(&first);
        if keys.len() < LEAF_MIN
            && let Some((before, leaf)) = self.leaves.get_prev(&first)
        {
            let (before, mut joined): (_, Vec<_>) = (*before, Keys::new(leaf).collect());
            if joined.len() + keys.len() <= LEAF_MAX {
                joined.append(&mut keys);
                self.leaves.insert(before, pack(&joined));
            }
        }
        if let Some(first) = keys.first() {
            self.leaves.insert(*first, pack(&keys));
        }
    }

    /// The keys from one to another, both counted.
    pub(super) fn range(&self, low: [u32; N], high: [u32; N]) -> impl Iterator<Item = [u32; N]> + use<'_, N> {
        let from = self.leaves.get_prev(&low).map_or(low, |(first, _)| *first);
        let keys = self.leaves.range(from..).flat_map(|(_, leaf)| Keys::new(leaf));
        keys.skip_while(move |key| *key < low).take_while(move |key| *key <= high)
    }

    /// The leaf in which a key stands or would, or the first one.
    fn around(&self, key: &[u32; N]) -> Option<([u32; N], Vec<[u32; N]>)> {
        let (first, leaf) =
            self.leaves.get_prev(key).or_else(|| self.leaves.get_min().map(|(key, leaf)| (key, leaf)))?;
        let mut keys = Vec::with_capacity(LEAF_MAX + 1);
        keys.extend(Keys::new(leaf));
        Some((*first, keys))
    }
}

impl PackedSet<2> {
    /// What stands beside a first number.
    pub(super) fn of(&self, first: u32) -> impl Iterator<Item = u32> + use<'_> {
        self.range([first, 0], [first, u32::MAX]).map(|[_, second]| second)
    }
}

/// Writes ascending keys.
fn pack<const N: usize>(keys: &[[u32; N]]) -> Leaf {
    let mut bytes = Vec::with_capacity(keys.len() * N * 2);
    let mut last: Option<[u32; N]> = None;
    for key in keys {
        let differs = |last: &[u32; N]| last.iter().zip(key).position(|(last, own)| last != own).unwrap_or_default();
        let part = last.as_ref().map_or(0, differs);
        for (place, number) in key.iter().enumerate().skip(part) {
            let before = last.and_then(|last| last.get(place).copied()).unwrap_or_default();
            if place == part {
                put(&mut bytes, u64::from(number - before) << PART_BITS | part as u64);
            } else {
                put(&mut bytes, u64::from(*number));
            }
        }
        last = Some(*key);
    }
    bytes.into()
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads what [`pack`] wrote.
struct Keys<'a, const N: usize> {
    bytes: std::slice::Iter<'a, u8>,
    key: [u32; N],
}

impl<'a, const N: usize> Keys<'a, N> {
    fn new(leaf: &'a Leaf) -> Self {
        Self { bytes: leaf.iter(), key: [0; N] }
    }

    fn take(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = *self.bytes.next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

impl<const N: usize> Iterator for Keys<'_, N> {
    type Item = [u32; N];

    fn next(&mut self) -> Option<[u32; N]> {
        let step = self.take()?;
        let part = (step & ((1 << PART_BITS) - 1)) as usize;
        for place in part..N {
            // INVARIANT: what was packed were numbers of 32 bits.
            let number = if place == part { (step >> PART_BITS) as u32 } else { self.take()? as u32 };
            let slot = self.key.get_mut(place)?;
            *slot = if place == part { slot.wrapping_add(number) } else { number };
        }
        Some(self.key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A number that looks drawn.
    fn scatter(number: u64) -> u32 {
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as u32
    }

    #[test]
    fn it_holds_what_a_plain_set_holds() {
        for spread in [5, 40, 3_000, u32::MAX] {
            let (mut packed, mut plain) = (PackedSet::<3>::default(), BTreeSet::new());
            for step in 0..6_000_u64 {
                let key = [scatter(step) % 7, scatter(step + 50_000) % spread, scatter(step + 99_000) % spread];
                if step % 3 == 2 || step > 4_500 {
                    let old = *plain.iter().nth(scatter(step) as usize % plain.len().max(1)).unwrap_or(&key);
                    packed.remove(&old);
                    plain.remove(&old);
                } else {
                    packed.insert(key);
                    plain.insert(key);
                }
                if step % 500 == 0 {
                    let (low, high) = ([1, spread / 3, 0], [4, spread / 2, u32::MAX]);
                    assert!(packed.range(low, high).eq(plain.range(low..=high).copied()));
                    assert!(packed.range([0; 3], [u32::MAX; 3]).eq(plain.iter().copied()));
                }
            }
            let sorted: Vec<_> = plain.iter().copied().collect();
            assert!(PackedSet::from_ascending(&sorted).range([0; 3], [u32::MAX; 3]).eq(sorted));
            for key in &plain {
                packed.remove(key);
            }
            assert!(packed.leaves.is_empty());
        }
    }

    #[test]
    fn a_copy_keeps_what_it_saw() {
        let mut set = PackedSet::<2>::default();
        (0..1_000).for_each(|number| set.insert([number / 10, number]));
        let before = set.clone();
        set.remove(&[7, 75]);
        set.insert([7, u32::MAX]);
        assert!(before.of(7).eq(70..80));
        assert!(set.of(7).eq((70..80).filter(|number| *number != 75).chain([u32::MAX])));
    }
}
