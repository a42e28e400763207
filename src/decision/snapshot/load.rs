//! A snapshot from all facts, one by one, for start-up and for generated worlds.
//!
//! The same as applying each fact as a change, only that chunks are packed when enough of them are
//! open: beside the snapshot itself only those are held. Facts of peers that come in the order of
//! their peers open each chunk once; any other order is right too, and slower.

use super::edits::{Bulk, Edits};
use super::packed::PackedSet;
use super::record::LoosePeer;
use super::{Snapshot, SnapshotError};
use crate::decision::compile::Compiler;
use crate::domain::fact::{Change, Fact, Mark};
use crate::domain::ids::PeerId;

/// How many chunks of peers may be open.
const OPEN_MAX: usize = if cfg!(test) { 1 } else { 64 };

/// A peer that nobody knows yet.
pub(super) struct NewPeer {
    pub(super) id: PeerId,
    pub(super) user_name_hash: u128,
    pub(super) person: Option<PeerId>,
}

/// A snapshot in the making.
pub struct Loader<'a> {
    snapshot: Snapshot,
    edits: Edits,
    compiler: &'a mut Compiler,
}

impl<'a> Loader<'a> {
    #[must_use]
    pub fn new(compiler: &'a mut Compiler) -> Self {
        Self { snapshot: Snapshot::default(), edits: Edits::in_bulk(), compiler }
    }

    /// Takes a fact in. Each kind comes after those it names: permissions, accounts (parents first),
    /// roles, groups, peers, members, bindings, API keys.
    ///
    /// # Errors
    /// [`SnapshotError`] where it does not fit to the facts before it.
    pub fn take(&mut self, fact: Fact) -> Result<(), SnapshotError> {
        self.snapshot.change(&Change::made(fact), &mut self.edits, self.compiler)?;
        self.flush_some();
        Ok(())
    }

    /// Says how many peers will come.
    pub(super) fn expect_peers(&mut self, count: u64) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.snapshot.peer_places.reserve(count);
        self.snapshot.user_name_places.reserve(count);
    }

    /// Takes a peer in with all that is its own, under numbers that the caller knows.
    pub(super) fn take_peer(&mut self, new: NewPeer, peer: LoosePeer) -> Result<(), SnapshotError> {
        let NewPeer { id, user_name_hash, person } = new;
        let Self { snapshot, edits, .. } = self;
        let index = snapshot.number_peer(id, user_name_hash)?;
        snapshot.persons.extend(person.map(|person| (index, person)));
        if let Some(bulk) = &mut edits.bulk {
            bulk.homes.push([peer.home.0, index.0]);
            bulk.members.extend(peer.memberships.iter().map(|(group, ..)| [group.0, index.0]));
            let records = peer.bindings.iter().map(|binding| &binding.record);
            bulk.bound.extend(records.map(|record| [record.account.0, record.role.0, index.0]));
        }
        snapshot.binding_count += peer.bindings.len();
        edits.get_or_make(snapshot, index, || peer);
        self.flush_some();
        Ok(())
    }

    fn flush_some(&mut self) {
        if self.edits.open() > OPEN_MAX {
            self.edits.flush(&mut self.snapshot);
        }
    }

    /// What was taken so far, to be asked by name and number alone.
    pub(super) const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The snapshot of all facts taken.
    #[must_use]
    pub fn finish(mut self, mark: Mark) -> Snapshot {
        self.edits.flush(&mut self.snapshot);
        let Bulk { homes, members, bound } = self.edits.bulk.unwrap_or_default();
        self.snapshot.homes = set(homes);
        self.snapshot.members = set(members);
        self.snapshot.bound_by_role = set(bound.iter().map(|[account, role, _]| [*role, *account]).collect());
        self.snapshot.bound = set(bound);
        self.snapshot.marked(mark)
    }
}

fn set<const N: usize>(mut keys: Vec<[u32; N]>) -> PackedSet<N> {
    keys.sort_unstable();
    keys.dedup();
    PackedSet::from_ascending(&keys)
}

impl std::fmt::Debug for Loader<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Loader").field("open", &self.edits.open()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Loads facts, in the order of [`Loader::take`].
    ///
    /// # Errors
    /// [`SnapshotError`] where they do not fit together.
    pub fn load(
        revision: i64,
        facts: impl IntoIterator<Item = Fact>,
        compiler: &mut Compiler,
    ) -> Result<Self, SnapshotError> {
        let mut loader = Loader::new(compiler);
        for fact in facts {
            loader.take(fact)?;
        }
        Ok(loader.finish(Mark { revision, ..Mark::default() }))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::decision::snapshot::PEERS_PER_CHUNK;
    use crate::domain::binding::{Mode, Principal, Reach};
    use crate::domain::fact::{AccountFact, BindingFact, PeerFact, RoleFact};
    use crate::domain::ids::{AccountId, BindingId, RoleId};
    use crate::domain::peer::{PeerKind, PeerStatus};
    use crate::domain::role::{RoleOrigin, RoleRules};
    use crate::domain::time::Window;

    const PEERS: u128 = 3 * PEERS_PER_CHUNK as u128;

    fn peer(number: u128) -> PeerId {
        PeerId::from(Uuid::from_u128(number + 1))
    }

    /// Peers of several chunks, and two rounds of bindings over all of them.
    fn facts() -> Vec<Fact> {
        let (platform, role) = (AccountId::platform(), RoleId::parse("core.any").unwrap());
        let mut facts = vec![
            Fact::Account(AccountFact::root()),
            Fact::Role(RoleFact {
                id: role.clone(),
                origin: RoleOrigin::BuiltIn,
                grants: Vec::new(),
                rules: RoleRules::default(),
            }),
        ];
        facts.extend((0..PEERS).map(|number| {
            Fact::Peer(PeerFact {
                id: peer(number),
                user_name_hash: number,
                kind: PeerKind::Person,
                home: platform.clone(),
                status: PeerStatus::Enabled,
                expire_time: None,
                person: None,
            })
        }));
        facts.extend((0..2 * PEERS).map(|number| {
            Fact::Binding(BindingFact {
                id: BindingId::from(Uuid::from_u128(number + 1)),
                principal: Principal::Peer(peer(number * 7 % PEERS)),
                role: role.clone(),
                account: platform.clone(),
                reach: Reach::Subtree,
                mode: Mode::Active,
                window: Window::ALWAYS,
            })
        }));
        facts
    }

    #[test]
    fn chunks_that_are_packed_on_the_way_lose_nothing() {
        let mut compiler = Compiler::new().unwrap();
        let mark = Mark { revision: 7, digest: [3; 32] };
        let mut loader = Loader::new(&mut compiler);
        for fact in facts() {
            loader.take(fact).unwrap();
            assert!(loader.edits.open() <= OPEN_MAX);
        }
        let loaded = loader.finish(mark);
        assert_eq!(loaded.mark(), mark);
        let changes: Vec<Change> = facts().into_iter().map(Change::made).collect();
        let at_once = Snapshot::default().with(&changes, &mut compiler).unwrap();
        for number in 0..PEERS {
            let bindings = |snapshot: &Snapshot| {
                let peer = snapshot.peer(snapshot.find_peer(peer(number)).unwrap()).unwrap();
                peer.bindings().iter().map(|binding| binding.id).collect::<Vec<_>>()
            };
            assert_eq!(bindings(&loaded).len(), 2);
            assert_eq!(bindings(&loaded), bindings(&at_once), "peer {number}");
        }
    }
}
