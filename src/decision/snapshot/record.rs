//! How peers and their bindings lie in memory.
//!
//! A chunk holds 64 peers; their bindings and memberships lie packed behind them, in order of peer,
//! and each peer's bindings in order of account, so that one with thousands is searched in halves.
//! Ends of peers and windows are rare and stand aside. What no decision reads of a peer stands in
//! columns of the snapshot, so that these records stay small.

use std::collections::{BTreeMap, HashMap};

use super::{AccountIndex, GroupIndex, PeerIndex, RoleIndex, Snapshot};
use crate::domain::binding::{Mode, Reach};
use crate::domain::ids::{BindingId, PeerId};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::time::{Timestamp, Window};

/// How many peers a chunk holds.
pub(in crate::decision) const PEERS_PER_CHUNK: usize = 64;

/// A binding as the evaluator reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingRecord {
    pub id: BindingId,
    pub account: AccountIndex,
    pub role: RoleIndex,
    pub reach: Reach,
    pub mode: Mode,
    /// Zero is "always"; otherwise one more than the place in the table of windows beside it, and
    /// [`FAR`] where that does not fit.
    window: u16,
}

/// The window of a binding whose place is looked up by the binding's id.
const FAR: u16 = u16::MAX;

/// A membership as the evaluator reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    pub group: GroupIndex,
    pub mode: Mode,
    window: u32,
}

/// A peer as it stands in a chunk.
#[derive(Debug, Clone, Copy)]
struct PeerRecord {
    home: AccountIndex,
    bindings_end: u32,
    memberships_end: u32,
    kind: PeerKind,
    status: PeerStatus,
    /// Zero is "never"; otherwise one more than the place in the chunk's list of ends.
    expire: u16,
}

impl PeerRecord {
    /// What stands in a slot that nobody has yet.
    const NOBODY: Self = Self {
        home: AccountIndex(u32::MAX),
        bindings_end: 0,
        memberships_end: 0,
        kind: PeerKind::Person,
        status: PeerStatus::Deleted,
        expire: 0,
    };
}

/// A binding with its window, outside of any chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct LooseBinding {
    pub(super) record: BindingRecord,
    pub(super) window: Window,
}

impl LooseBinding {
    pub(super) fn new(
        id: BindingId,
        account: AccountIndex,
        role: RoleIndex,
        (reach, mode): (Reach, Mode),
        window: Window,
    ) -> Self {
        Self { record: BindingRecord { id, account, role, reach, mode, window: 0 }, window }
    }
}

/// A peer with all that is its own, outside of any chunk.
#[derive(Debug, Clone)]
pub(super) struct LoosePeer {
    pub(super) home: AccountIndex,
    pub(super) kind: PeerKind,
    pub(super) status: PeerStatus,
    pub(super) expire: Timestamp,
    pub(super) bindings: Vec<LooseBinding>,
    pub(super) memberships: Vec<(GroupIndex, Mode, Window)>,
}

/// Up to 64 peers with their bindings and memberships.
#[derive(Debug, Clone)]
pub(in crate::decision) struct PeerChunk {
    /// In place and not behind another pointer, which most decisions would wait for.
    peers: [PeerRecord; PEERS_PER_CHUNK],
    len: usize,
    bindings: Box<[BindingRecord]>,
    memberships: Box<[Membership]>,
    ends: Box<[Timestamp]>,
    windows: Windows,
}

/// The windows of a chunk or a group, each kept once.
#[derive(Debug, Clone, Default)]
pub(super) struct Windows {
    list: Box<[Window]>,
    /// Places of bindings that are [`FAR`], in order of id.
    far: Box<[(BindingId, u32)]>,
}

impl Windows {
    #[inline]
    fn get(&self, place: u32) -> Window {
        if place == 0 {
            return Window::ALWAYS;
        }
        // A place that is not there is a fault; a window that is never open fails closed.
        self.list.get(place as usize - 1).copied().unwrap_or(Window::NEVER)
    }

    #[inline]
    pub(super) fn of(&self, binding: &BindingRecord) -> Window {
        match binding.window {
            0 => Window::ALWAYS,
            FAR => self.far_of(binding.id),
            place => self.get(u32::from(place)),
        }
    }

    #[cold]
    fn far_of(&self, binding: BindingId) -> Window {
        let far = self.far.binary_search_by_key(&binding, |(id, _)| *id);
        self.get(far.ok().and_then(|place| self.far.get(place)).map_or(u32::MAX, |(_, place)| *place))
    }
}

/// Windows while they are gathered.
#[derive(Default)]
pub(super) struct Gathered {
    list: Vec<Window>,
    places: HashMap<Window, u32, foldhash::fast::RandomState>,
    far: Vec<(BindingId, u32)>,
}

impl Gathered {
    fn place(&mut self, window: Window) -> u32 {
        if window == Window::ALWAYS {
            return 0;
        }
        *self.places.entry(window).or_insert_with(|| {
            self.list.push(window);
            u32::try_from(self.list.len()).unwrap_or(u32::MAX)
        })
    }

    pub(super) fn bind(&mut self, record: &BindingRecord, window: Window) -> BindingRecord {
        let place = self.place(window);
        let near = u16::try_from(place).ok().filter(|near| *near != FAR);
        if near.is_none() {
            self.far.push((record.id, place));
        }
        BindingRecord { window: near.unwrap_or(FAR), ..*record }
    }

    pub(super) fn finish(mut self) -> Windows {
        self.far.sort_unstable();
        Windows { list: self.list.into(), far: self.far.into() }
    }
}

impl PeerChunk {
    /// How many peers stand here.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn peers(&self) -> &[PeerRecord] {
        self.peers.get(..self.len).unwrap_or_default()
    }

    /// Packs so many peers: those that are loose, and of the others what a chunk has. They must be few
    /// enough that a `u32` counts their bindings.
    pub(super) fn pack(base: Option<&Self>, count: usize, loose: &mut BTreeMap<usize, LoosePeer>) -> Self {
        let own = |chunk: &Self| (chunk.bindings.len(), chunk.memberships.len());
        let (bindings, memberships) = base.map_or((0, 0), own);
        let more: usize = loose.values().map(|peer| peer.bindings.len()).sum();
        let mut packing = Packing {
            peers: [PeerRecord::NOBODY; PEERS_PER_CHUNK],
            len: 0,
            bindings: Vec::with_capacity(bindings + more),
            memberships: Vec::with_capacity(memberships),
            ends: Vec::new(),
            windows: Gathered::default(),
        };
        for slot in 0..count {
            match (loose.get_mut(&slot), base) {
                (Some(peer), _) => packing.take(peer),
                (None, Some(base)) => packing.copy(base, slot),
                (None, None) => {}
            }
        }
        Self {
            peers: packing.peers,
            len: packing.len,
            bindings: packing.bindings.into(),
            memberships: packing.memberships.into(),
            ends: packing.ends.into(),
            windows: packing.windows.finish(),
        }
    }

    #[inline]
    fn parts(&self, slot: usize) -> Option<(&PeerRecord, &[BindingRecord], &[Membership])> {
        let record = self.peers().get(slot)?;
        let (bindings_start, memberships_start) = match slot.checked_sub(1).and_then(|before| self.peers.get(before)) {
            Some(before) => (before.bindings_end, before.memberships_end),
            None => (0, 0),
        };
        let bindings = self.bindings.get(bindings_start as usize..record.bindings_end as usize)?;
        let memberships = self.memberships.get(memberships_start as usize..record.memberships_end as usize)?;
        Some((record, bindings, memberships))
    }

    /// The opposite of [`PeerChunk::pack`] for one peer.
    pub(super) fn loosen(&self, slot: usize) -> Option<LoosePeer> {
        let (record, bindings, memberships) = self.parts(slot)?;
        let loose = |record: &BindingRecord| LooseBinding { record: *record, window: self.windows.of(record) };
        let member = |one: &Membership| (one.group, one.mode, self.windows.get(one.window));
        Some(LoosePeer {
            home: record.home,
            kind: record.kind,
            status: record.status,
            expire: self.end(record),
            bindings: bindings.iter().map(loose).collect(),
            memberships: memberships.iter().map(member).collect(),
        })
    }

    #[inline]
    fn end(&self, record: &PeerRecord) -> Timestamp {
        match usize::from(record.expire).checked_sub(1) {
            None => Timestamp::MAX,
            // An end that is not there is a fault; one that is over fails closed.
            Some(place) => self.ends.get(place).copied().unwrap_or(Timestamp::from_micros(i64::MIN)),
        }
    }

    #[inline]
    pub(super) fn view<'a>(&'a self, snapshot: &'a Snapshot, index: PeerIndex) -> Option<PeerView<'a>> {
        let (record, bindings, memberships) = self.parts(place(index).1)?;
        Some(PeerView { snapshot, index, chunk: self, record, bindings, memberships })
    }
}

/// A chunk in the making.
struct Packing {
    peers: [PeerRecord; PEERS_PER_CHUNK],
    len: usize,
    bindings: Vec<BindingRecord>,
    memberships: Vec<Membership>,
    ends: Vec<Timestamp>,
    windows: Gathered,
}

impl Packing {
    fn take(&mut self, peer: &mut LoosePeer) {
        peer.bindings.sort_unstable_by_key(|binding| (binding.record.account, binding.record.id));
        for LooseBinding { record, window } in &peer.bindings {
            self.bindings.push(self.windows.bind(record, *window));
        }
        for (group, mode, window) in &peer.memberships {
            let window = self.windows.place(*window);
            self.memberships.push(Membership { group: *group, mode: *mode, window });
        }
        self.end_peer((peer.home, peer.kind, peer.status), peer.expire);
    }

    fn copy(&mut self, base: &PeerChunk, slot: usize) {
        let Some((record, bindings, memberships)) = base.parts(slot) else { return };
        for binding in bindings {
            let kept = match binding.window {
                0 => *binding,
                _ => self.windows.bind(binding, base.windows.of(binding)),
            };
            self.bindings.push(kept);
        }
        for one in memberships {
            let window = self.windows.place(base.windows.get(one.window));
            self.memberships.push(Membership { window, ..*one });
        }
        self.end_peer((record.home, record.kind, record.status), base.end(record));
    }

    fn end_peer(&mut self, (home, kind, status): (AccountIndex, PeerKind, PeerStatus), expire: Timestamp) {
        if expire != Timestamp::MAX {
            self.ends.push(expire);
        }
        // INVARIANT: a chunk has no more ends than peers.
        let place = if expire == Timestamp::MAX { 0 } else { self.ends.len() };
        // INVARIANT: no more peers are packed than a chunk has slots.
        let Some(slot) = self.peers.get_mut(self.len) else { return };
        *slot = PeerRecord {
            home,
            bindings_end: u32::try_from(self.bindings.len()).unwrap_or(u32::MAX),
            memberships_end: u32::try_from(self.memberships.len()).unwrap_or(u32::MAX),
            kind,
            status,
            expire: u16::try_from(place).unwrap_or(u16::MAX),
        };
        self.len += 1;
    }
}

/// A peer, read from its chunk.
#[derive(Clone, Copy)]
pub struct PeerView<'a> {
    snapshot: &'a Snapshot,
    index: PeerIndex,
    chunk: &'a PeerChunk,
    record: &'a PeerRecord,
    bindings: &'a [BindingRecord],
    memberships: &'a [Membership],
}

impl std::fmt::Debug for PeerView<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let record = (&self.record, self.bindings, self.memberships);
        formatter.debug_struct("PeerView").field("index", &self.index).field("record", &record).finish_non_exhaustive()
    }
}

impl<'a> PeerView<'a> {
    #[must_use]
    pub fn id(&self) -> PeerId {
        // INVARIANT: whoever stands in a chunk stands in the columns too.
        self.snapshot.peer_id(self.index).unwrap_or(PeerId::from(uuid::Uuid::nil()))
    }

    #[must_use]
    pub const fn home(&self) -> AccountIndex {
        self.record.home
    }

    #[must_use]
    pub const fn kind(&self) -> PeerKind {
        self.record.kind
    }

    #[must_use]
    pub const fn status(&self) -> PeerStatus {
        self.record.status
    }

    /// When the peer ends; [`Timestamp::MAX`] for never.
    #[inline]
    #[must_use]
    pub fn expire(&self) -> Timestamp {
        self.chunk.end(self.record)
    }

    /// Its own bindings in order of account.
    #[must_use]
    pub const fn bindings(&self) -> &'a [BindingRecord] {
        self.bindings
    }

    #[must_use]
    pub const fn memberships(&self) -> &'a [Membership] {
        self.memberships
    }

    #[inline]
    #[must_use]
    pub fn binding_window(&self, binding: &BindingRecord) -> Window {
        self.chunk.windows.of(binding)
    }

    #[inline]
    #[must_use]
    pub fn membership_window(&self, membership: &Membership) -> Window {
        self.chunk.windows.get(membership.window)
    }
}

/// The chunk and the slot of a peer.
pub(super) const fn place(peer: PeerIndex) -> (usize, usize) {
    (peer.place() / PEERS_PER_CHUNK, peer.place() % PEERS_PER_CHUNK)
}
