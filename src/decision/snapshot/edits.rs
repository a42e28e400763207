//! Peers taken out of their chunks while changes are applied; each chunk is packed again once.

use std::collections::BTreeMap;

use super::record::{self, LoosePeer, PEERS_PER_CHUNK, PeerChunk};
use super::{PeerIndex, Snapshot};

/// The chunks that are open.
#[derive(Default)]
pub(super) struct PeerEdits {
    chunks: BTreeMap<usize, Vec<LoosePeer>>,
}

impl PeerEdits {
    /// How many chunks are open.
    pub(super) fn open(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn get(&mut self, snapshot: &Snapshot, peer: PeerIndex) -> Option<&mut LoosePeer> {
        let (chunk, slot) = record::place(peer);
        self.chunk(snapshot, chunk).get_mut(slot)
    }

    pub(super) fn get_or_make(
        &mut self,
        snapshot: &Snapshot,
        peer: PeerIndex,
        make: impl FnOnce() -> LoosePeer,
    ) -> Option<&mut LoosePeer> {
        let (chunk, slot) = record::place(peer);
        let peers = self.chunk(snapshot, chunk);
        // INVARIANT: numbers are given without gaps, so a peer that is not there is the next.
        if slot >= peers.len() {
            peers.push(make());
        }
        peers.get_mut(slot)
    }

    fn chunk(&mut self, snapshot: &Snapshot, chunk: usize) -> &mut Vec<LoosePeer> {
        self.chunks.entry(chunk).or_insert_with(|| snapshot.peers.get(chunk).map_or_else(Vec::new, PeerChunk::unpack))
    }

    pub(super) fn flush(self, snapshot: &mut Snapshot) {
        for (chunk, mut peers) in self.chunks {
            debug_assert!(peers.len() <= PEERS_PER_CHUNK);
            snapshot.peers.set(chunk, PeerChunk::pack(&mut peers));
        }
    }
}
