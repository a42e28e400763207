//! Peers taken out of their chunks while changes are applied; each chunk is packed again once. Beside
//! them what a loader puts into the reverse indexes, which are written once, in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{self, LoosePeer, PEERS_PER_CHUNK, PeerChunk};
use super::{PeerIndex, Snapshot};

/// What is under way.
#[derive(Default)]
pub(super) struct Edits {
    chunks: BTreeMap<usize, Open>,
    /// There while facts are loaded: nothing is looked up the other way round until all are here.
    pub(super) bulk: Option<Bulk>,
}

/// Keys of reverse indexes, in any order.
#[derive(Default)]
pub(super) struct Bulk {
    pub(super) homes: Vec<[u32; 2]>,
    pub(super) members: Vec<[u32; 2]>,
    pub(super) bound: Vec<[u32; 3]>,
}

/// A chunk, and those of its peers that are taken out or new.
#[derive(Default)]
struct Open {
    base: Option<Arc<PeerChunk>>,
    len: usize,
    loose: BTreeMap<usize, LoosePeer>,
}

impl Edits {
    /// For facts that are all new.
    pub(super) fn in_bulk() -> Self {
        Self { bulk: Some(Bulk::default()), ..Self::default() }
    }

    /// How many chunks are open.
    pub(super) fn open(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn get(&mut self, snapshot: &Snapshot, peer: PeerIndex) -> Option<&mut LoosePeer> {
        let (chunk, slot) = record::place(peer);
        self.chunk(snapshot, chunk).get(slot)
    }

    pub(super) fn get_or_make(
        &mut self,
        snapshot: &Snapshot,
        peer: PeerIndex,
        make: impl FnOnce() -> LoosePeer,
    ) -> Option<&mut LoosePeer> {
        let (chunk, slot) = record::place(peer);
        let open = self.chunk(snapshot, chunk);
        // INVARIANT: numbers are given without gaps, so a peer that is not there is the next.
        if slot >= open.len {
            open.loose.insert(open.len, make());
            open.len += 1;
        }
        open.get(slot)
    }

    fn chunk(&mut self, snapshot: &Snapshot, chunk: usize) -> &mut Open {
        self.chunks.entry(chunk).or_insert_with(|| {
            let base = snapshot.peers.share(chunk);
            Open { len: base.as_ref().map_or(0, |base| base.len()), base, loose: BTreeMap::new() }
        })
    }

    /// Packs what is open.
    pub(super) fn flush(&mut self, snapshot: &mut Snapshot) {
        for (chunk, mut open) in std::mem::take(&mut self.chunks) {
            debug_assert!(open.len <= PEERS_PER_CHUNK);
            snapshot.peers.set(chunk, PeerChunk::pack(open.base.as_deref(), open.len, &mut open.loose));
        }
    }
}

impl Open {
    fn get(&mut self, slot: usize) -> Option<&mut LoosePeer> {
        if !self.loose.contains_key(&slot) {
            self.loose.insert(slot, self.base.as_ref()?.loosen(slot)?);
        }
        self.loose.get_mut(&slot)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::decision::snapshot::record::LooseBinding;
    use crate::decision::snapshot::{AccountIndex, RoleIndex};
    use crate::domain::binding::{Mode, Reach};
    use crate::domain::ids::BindingId;
    use crate::domain::peer::{PeerKind, PeerStatus};
    use crate::domain::time::{Timestamp, Window};

    fn peer(windows: i64) -> LoosePeer {
        let binding = |number: i64| {
            let window = Window::parse(None, Some(Timestamp::from_micros(number + 1))).unwrap();
            let id = BindingId::from(Uuid::from_u64_pair(number.cast_unsigned(), 1));
            LooseBinding::new(id, AccountIndex(0), RoleIndex(0), (Reach::Subtree, Mode::Active), window)
        };
        LoosePeer {
            home: AccountIndex(0),
            kind: PeerKind::Person,
            status: PeerStatus::Enabled,
            expire: Timestamp::from_micros(windows),
            bindings: (0..windows).map(binding).collect(),
            memberships: Vec::new(),
        }
    }

    #[test]
    fn more_windows_than_a_binding_can_number_are_kept_all_the_same() {
        let sizes = [3, 70_000, 5];
        let mut loose: BTreeMap<usize, LoosePeer> = (0..).zip(sizes.map(peer)).collect();
        let first = PeerChunk::pack(None, sizes.len(), &mut loose);
        // Once more, the first one alone taken out.
        let mut loose = BTreeMap::from([(0, peer(2))]);
        let again = PeerChunk::pack(Some(&first), sizes.len(), &mut loose);
        for (chunk, sizes) in [(first, sizes), (again, [2, 70_000, 5])] {
            for (slot, size) in sizes.into_iter().enumerate() {
                let (own, other) = (chunk.loosen(slot).unwrap(), peer(size));
                assert_eq!(own.expire, other.expire);
                let windows = |peer: &LoosePeer| -> BTreeMap<BindingId, Window> {
                    peer.bindings.iter().map(|binding| (binding.record.id, binding.window)).collect()
                };
                assert_eq!(windows(&own), windows(&other), "slot {slot}");
            }
        }
    }
}
