//! Writing a snapshot's facts in the one order there is.

use std::io::{self, Write};

use serde::Serialize;

use super::{term, trait_of_peer};
use crate::decision::snapshot::{
    AccountIndex, BindingRecord, GroupIndex, GroupRecord, Membership, PeerIndex, PeerView, RoleIndex, Snapshot,
};
use crate::domain::binding::{Mode, Reach};
use crate::domain::ids::PeerId;
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::time::{Timestamp, Window};

impl Snapshot {
    /// Writes all facts. The mark is not among them.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn write_image(&self, to: &mut impl Write) -> io::Result<()> {
        let mut image = Image { snapshot: self, to, accounts: Vec::new(), roles: Vec::new(), groups: Vec::new() };
        image.permissions()?;
        image.accounts()?;
        image.roles()?;
        image.groups()?;
        let peers = image.peers()?;
        image.keys(&peers)
    }
}

/// What is being written, with the places of what may be named again, by number.
struct Image<'a, W> {
    snapshot: &'a Snapshot,
    to: &'a mut W,
    accounts: Vec<u32>,
    roles: Vec<u32>,
    groups: Vec<u32>,
}

impl<'a, W: Write> Image<'a, W> {
    fn permissions(&mut self) -> io::Result<()> {
        let snapshot = self.snapshot;
        let known = |name: &str| snapshot.find_permission(name).is_some();
        let mut all: Vec<_> = snapshot.permissions().iter().filter(|one| known(one.name.as_str())).collect();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        self.count(all.len())?;
        all.into_iter().try_for_each(|permission| self.json(permission))
    }

    /// Parents before what is below them.
    fn accounts(&mut self) -> io::Result<()> {
        let snapshot = self.snapshot;
        let mut all = Vec::with_capacity(snapshot.account_places.len());
        for place in 0..snapshot.accounts.len() {
            let index = AccountIndex::of(place).map_err(io::Error::other)?;
            let is_there = snapshot.account(index).is_some_and(|record| !record.gone);
            let Some(id) = snapshot.account_id(index).filter(|_| is_there) else { continue };
            all.push((snapshot.path(index).as_slice().len(), id, index));
        }
        all.sort_unstable();
        self.accounts = places(snapshot.accounts.len(), all.iter().map(|(.., index)| index.place()));
        self.count(all.len())?;
        all.into_iter().filter_map(|(.., index)| snapshot.account_fact(index)).try_for_each(|fact| self.json(&fact))
    }

    fn roles(&mut self) -> io::Result<()> {
        let snapshot = self.snapshot;
        let mut all: Vec<_> = snapshot.roles().collect();
        all.sort_unstable_by(|(_, one), (_, other)| one.fact.id.cmp(&other.fact.id));
        self.roles = places(snapshot.roles.len(), all.iter().map(|(index, _)| index.place()));
        self.count(all.len())?;
        all.into_iter().try_for_each(|(_, role)| self.json(&*role.fact))
    }

    fn groups(&mut self) -> io::Result<()> {
        let snapshot = self.snapshot;
        let record = |place| GroupIndex::of(place).ok().and_then(|index| snapshot.group(index)).map(|one| (one, place));
        let mut all: Vec<(&GroupRecord, usize)> = (0..snapshot.groups.len()).filter_map(record).collect();
        all.sort_unstable_by_key(|(group, _)| group.id);
        self.groups = places(snapshot.groups.len(), all.iter().map(|(_, place)| *place));
        self.count(all.len())?;
        for (group, _) in all {
            self.to.write_all(group.id.as_uuid().as_bytes())?;
            self.account(group.account)?;
            self.bindings(group.bindings(), |binding| group.binding_window(binding))?;
        }
        Ok(())
    }

    /// Returns the places of the peers.
    fn peers(&mut self) -> io::Result<Vec<u32>> {
        let snapshot = self.snapshot;
        let mut all: Vec<(PeerId, PeerIndex)> = Vec::with_capacity(snapshot.peer_places.len());
        for place in 0..snapshot.peer_ids.len() {
            let index = PeerIndex::of(place).map_err(io::Error::other)?;
            // Who is gone, or was made anew under the same uid, is not found under this number.
            all.extend(
                snapshot.peer_id(index).filter(|id| snapshot.find_peer(*id) == Some(index)).map(|id| (id, index)),
            );
        }
        all.sort_unstable();
        self.count(all.len())?;
        for (id, index) in &all {
            if let Some(peer) = snapshot.peer(*index) {
                self.peer(*id, *index, &peer)?;
            }
        }
        Ok(places(snapshot.peer_ids.len(), all.iter().map(|(_, index)| index.place())))
    }

    fn peer(&mut self, id: PeerId, index: PeerIndex, peer: &PeerView<'_>) -> io::Result<()> {
        let person = self.snapshot.person(index);
        let has_end = peer.expire() != Timestamp::MAX;
        let kind = match peer.kind() {
            PeerKind::Person => 0,
            PeerKind::Device => 1,
            PeerKind::Integration => 2,
        };
        let status = match peer.status() {
            PeerStatus::Enabled => 0,
            PeerStatus::Disabled => 1,
            PeerStatus::Deleted => 2,
        };
        let ends = if has_end { trait_of_peer::EXPIRES } else { 0 };
        let linked = if person.is_some() { trait_of_peer::HAS_PERSON } else { 0 };
        self.to.write_all(id.as_uuid().as_bytes())?;
        let name = self.snapshot.user_names.get(index.place()).copied().unwrap_or_default();
        self.to.write_all(&name.to_be_bytes())?;
        self.to.write_all(&[kind | status << trait_of_peer::STATUS_SHIFT | linked | ends])?;
        self.account(peer.home())?;
        if has_end {
            self.time(peer.expire())?;
        }
        if let Some(person) = person {
            self.to.write_all(person.as_uuid().as_bytes())?;
        }
        self.memberships(peer)?;
        self.bindings(peer.bindings(), |binding| peer.binding_window(binding))
    }

    fn memberships(&mut self, peer: &PeerView<'_>) -> io::Result<()> {
        let place = |one: &Membership| self.groups.get(one.group.place()).copied().unwrap_or(NOWHERE);
        let mut all: Vec<(u32, &Membership)> = peer.memberships().iter().map(|one| (place(one), one)).collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        self.count(all.len())?;
        for (place, membership) in all {
            self.number(u64::from(place))?;
            self.terms(membership.mode, Reach::Subtree, peer.membership_window(membership))?;
        }
        Ok(())
    }

    fn bindings(&mut self, all: &[BindingRecord], window: impl Fn(&BindingRecord) -> Window) -> io::Result<()> {
        self.count(all.len())?;
        // They lie in order of the account's number.
        let mut all: Vec<&BindingRecord> = all.iter().collect();
        all.sort_unstable_by_key(|binding| binding.id);
        for binding in all {
            self.to.write_all(binding.id.as_uuid().as_bytes())?;
            self.account(binding.account)?;
            self.role(binding.role)?;
            self.terms(binding.mode, binding.reach, window(binding))?;
        }
        Ok(())
    }

    fn keys(&mut self, peers: &[u32]) -> io::Result<()> {
        let mut all: Vec<_> = self.snapshot.api_keys.iter().collect();
        all.sort_unstable_by_key(|(hash, _)| *hash);
        self.count(all.len())?;
        for (hash, key) in all {
            self.to.write_all(hash)?;
            self.to.write_all(key.id.as_uuid().as_bytes())?;
            self.number(u64::from(peers.get(key.peer.place()).copied().unwrap_or(NOWHERE)))?;
            self.to.write_all(&[u8::from(key.expire_time.is_some())])?;
            if let Some(end) = key.expire_time {
                self.time(end)?;
            }
        }
        Ok(())
    }

    fn terms(&mut self, mode: Mode, reach: Reach, window: Window) -> io::Result<()> {
        let mut flags = 0;
        if mode == Mode::Eligible {
            flags |= term::ELIGIBLE;
        }
        if reach == Reach::AccountOnly {
            flags |= term::ACCOUNT_ONLY;
        }
        if window.start().is_some() {
            flags |= term::STARTS;
        }
        if window.expire().is_some() {
            flags |= term::EXPIRES;
        }
        self.to.write_all(&[flags])?;
        [window.start(), window.expire()].into_iter().flatten().try_for_each(|time| self.time(time))
    }

    fn account(&mut self, index: AccountIndex) -> io::Result<()> {
        self.number(u64::from(self.accounts.get(index.place()).copied().unwrap_or(NOWHERE)))
    }

    fn role(&mut self, index: RoleIndex) -> io::Result<()> {
        self.number(u64::from(self.roles.get(index.place()).copied().unwrap_or(NOWHERE)))
    }

    fn time(&mut self, time: Timestamp) -> io::Result<()> {
        self.to.write_all(&time.as_micros().to_be_bytes())
    }

    fn json(&mut self, fact: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(fact).map_err(io::Error::other)?;
        self.count(text.len())?;
        self.to.write_all(&text)
    }

    fn count(&mut self, count: usize) -> io::Result<()> {
        self.number(count as u64)
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self, mut number: u64) -> io::Result<()> {
        let (mut bytes, mut len) = ([0; 10], 0);
        for slot in &mut bytes {
            len += 1;
            *slot = (number & 0x7f) as u8;
            number >>= 7;
            if number == 0 {
                break;
            }
            *slot |= 0x80;
        }
        self.to.write_all(bytes.get(..len).unwrap_or(&bytes))
    }
}

/// The place of what is not there: no reader takes it.
const NOWHERE: u32 = u32::MAX;

/// For each number its place in an order.
fn places(count: usize, order: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut places = vec![NOWHERE; count];
    for (place, number) in (0..).zip(order) {
        if let Some(slot) = places.get_mut(number) {
            *slot = place;
        }
    }
    places
}
