//! Peers that come, change and go.
//!
//! INVARIANT: whoever has a number stands in the columns under it, found by uid and user name or not.

use uuid::Uuid;

use super::apply::{out_of_step, unknown};
use super::edits::Edits;
use super::record::LoosePeer;
use super::{PeerIndex, Snapshot, SnapshotError};
use crate::domain::fact::{Fact, FactKey, PeerFact};
use crate::domain::ids::PeerId;
use crate::domain::peer::PeerStatus;
use crate::domain::time::Timestamp;

impl Snapshot {
    pub(super) fn put_peer(
        &mut self,
        before: Option<&Fact>,
        fact: &PeerFact,
        edits: &mut Edits,
    ) -> Result<(), SnapshotError> {
        let home = self.known_account(&fact.home)?;
        let index = match self.find_peer(fact.id) {
            Some(index) => {
                if let Some(Fact::Peer(before)) = before
                    && before.user_name_hash != fact.user_name_hash
                {
                    self.user_name_places.remove(&before.user_name_hash, index.0);
                }
                if let Some(name) = self.user_names.get_mut(index.place()) {
                    *name = fact.user_name_hash;
                }
                self.put_user_name(fact.user_name_hash, index);
                index
            }
            None => self.number_peer(fact.id, fact.user_name_hash)?,
        };
        match &mut edits.bulk {
            Some(bulk) => bulk.homes.push([home.0, index.0]),
            None => self.homes.insert([home.0, index.0]),
        }
        match fact.person {
            Some(person) => self.persons.insert(index, person),
            None => self.persons.remove(&index),
        };
        let peer = edits.get_or_make(self, index, || LoosePeer {
            home,
            kind: fact.kind,
            status: fact.status,
            expire: Timestamp::MAX,
            bindings: Vec::new(),
            memberships: Vec::new(),
        });
        let peer = peer.ok_or_else(|| unknown(&fact.id))?;
        (peer.home, peer.kind, peer.status) = (home, fact.kind, fact.status);
        peer.expire = fact.expire_time.unwrap_or(Timestamp::MAX);
        Ok(())
    }

    /// Gives a new peer its number, by which its uid and its user name lead to it.
    pub(super) fn number_peer(&mut self, id: PeerId, user_name_hash: u128) -> Result<PeerIndex, SnapshotError> {
        let index = PeerIndex::of(self.peer_ids.len())?;
        self.peer_ids.push(id);
        self.user_names.push(user_name_hash);
        let known = |place: u32| self.peer_ids.get(place as usize).map_or(Uuid::nil(), |id| id.as_uuid());
        self.peer_places.put(&id.as_uuid(), index.0, known);
        self.put_user_name(user_name_hash, index);
        Ok(index)
    }

    fn put_user_name(&mut self, hash: u128, index: PeerIndex) {
        let known = |place: u32| self.user_names.get(place as usize).copied().unwrap_or_default();
        self.user_name_places.put(&hash, index.0, known);
    }

    pub(super) fn drop_peer(&mut self, fact: &PeerFact, edits: &mut Edits) -> Result<(), SnapshotError> {
        let index = self.known_peer(fact.id)?;
        let home = self.known_account(&fact.home)?;
        let peer = edits.get(self, index).ok_or_else(|| unknown(&fact.id))?;
        if !peer.bindings.is_empty() || !peer.memberships.is_empty() {
            return Err(out_of_step(FactKey::Peer(fact.id)));
        }
        peer.status = PeerStatus::Deleted;
        self.peer_places.remove(&fact.id.as_uuid(), index.0);
        self.user_name_places.remove(&fact.user_name_hash, index.0);
        self.persons.remove(&index);
        self.homes.remove(&[home.0, index.0]);
        Ok(())
    }
}
