//! How peers, groups and their bindings lie in memory.
//!
//! A chunk holds 256 peers; their bindings and memberships lie packed behind them, in order of peer,
//! and each peer's bindings in order of account, so that one with thousands is searched in halves.
//! Windows are rare and stand aside.

use std::collections::HashMap;

use super::{AccountIndex, GroupIndex, PeerIndex, RoleIndex};
use crate::domain::binding::{Mode, Reach};
use crate::domain::ids::{BindingId, PeerId};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::time::{Timestamp, Window};

/// How many peers a chunk holds.
pub(in crate::decision) const PEERS_PER_CHUNK: usize = 256;

/// A binding as the evaluator reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingRecord {
    pub id: BindingId,
    pub account: AccountIndex,
    pub role: RoleIndex,
    pub reach: Reach,
    pub mode: Mode,
    /// Zero is "always"; otherwise one more than the place in the table of windows beside it.
    window: u32,
}

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
    id: PeerId,
    home: AccountIndex,
    kind: PeerKind,
    status: PeerStatus,
    expire: Timestamp,
    bindings_end: u32,
    memberships_end: u32,
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
    pub(super) id: PeerId,
    pub(super) home: AccountIndex,
    pub(super) kind: PeerKind,
    pub(super) status: PeerStatus,
    pub(super) expire: Timestamp,
    pub(super) bindings: Vec<LooseBinding>,
    pub(super) memberships: Vec<(GroupIndex, Mode, Window)>,
}

/// Up to 256 peers with their bindings and memberships.
#[derive(Debug, Clone, Default)]
pub(in crate::decision) struct PeerChunk {
    peers: Box<[PeerRecord]>,
    bindings: Box<[BindingRecord]>,
    memberships: Box<[Membership]>,
    windows: Box<[Window]>,
}

/// The windows of a chunk while it is packed, each kept once.
#[derive(Default)]
struct Windows {
    list: Vec<Window>,
    places: HashMap<Window, u32>,
}

impl Windows {
    fn place(&mut self, window: Window) -> u32 {
        if window == Window::ALWAYS {
            return 0;
        }
        *self.places.entry(window).or_insert_with(|| {
            self.list.push(window);
            u32::try_from(self.list.len()).unwrap_or(u32::MAX)
        })
    }
}

#[inline]
fn window(windows: &[Window], place: u32) -> Window {
    if place == 0 {
        return Window::ALWAYS;
    }
    // A place that is not there is a fault; a window that is never open fails closed.
    windows.get(place as usize - 1).copied().unwrap_or(Window::NEVER)
}

impl PeerChunk {
    /// Packs peers. They must be few enough that a `u32` counts their bindings.
    pub(super) fn pack(peers: &mut [LoosePeer]) -> Self {
        let mut records = Vec::with_capacity(peers.len());
        let mut bindings = Vec::with_capacity(peers.iter().map(|peer| peer.bindings.len()).sum());
        let mut memberships = Vec::with_capacity(peers.iter().map(|peer| peer.memberships.len()).sum());
        let mut windows = Windows::default();
        for peer in peers {
            peer.bindings.sort_unstable_by_key(|binding| (binding.record.account, binding.record.id));
            for binding in &peer.bindings {
                bindings.push(BindingRecord { window: windows.place(binding.window), ..binding.record });
            }
            for (group, mode, window) in &peer.memberships {
                memberships.push(Membership { group: *group, mode: *mode, window: windows.place(*window) });
            }
            records.push(PeerRecord {
                id: peer.id,
                home: peer.home,
                kind: peer.kind,
                status: peer.status,
                expire: peer.expire,
                bindings_end: u32::try_from(bindings.len()).unwrap_or(u32::MAX),
                memberships_end: u32::try_from(memberships.len()).unwrap_or(u32::MAX),
            });
        }
        Self {
            peers: records.into(),
            bindings: bindings.into(),
            memberships: memberships.into(),
            windows: windows.list.into(),
        }
    }

    /// The opposite of [`PeerChunk::pack`].
    pub(super) fn unpack(&self) -> Vec<LoosePeer> {
        (0..self.peers.len()).filter_map(|slot| self.view(slot)).map(|view| view.loosen()).collect()
    }

    #[inline]
    pub(in crate::decision) fn view(&self, slot: usize) -> Option<PeerView<'_>> {
        let record = self.peers.get(slot)?;
        let (bindings_start, memberships_start) = match slot.checked_sub(1).and_then(|before| self.peers.get(before)) {
            Some(before) => (before.bindings_end, before.memberships_end),
            None => (0, 0),
        };
        Some(PeerView {
            record,
            bindings: self.bindings.get(bindings_start as usize..record.bindings_end as usize)?,
            memberships: self.memberships.get(memberships_start as usize..record.memberships_end as usize)?,
            windows: &self.windows,
        })
    }
}

/// A peer, read from its chunk.
#[derive(Debug, Clone, Copy)]
pub struct PeerView<'a> {
    record: &'a PeerRecord,
    bindings: &'a [BindingRecord],
    memberships: &'a [Membership],
    windows: &'a [Window],
}

impl<'a> PeerView<'a> {
    #[must_use]
    pub const fn id(&self) -> PeerId {
        self.record.id
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
    #[must_use]
    pub const fn expire(&self) -> Timestamp {
        self.record.expire
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
        window(self.windows, binding.window)
    }

    #[inline]
    #[must_use]
    pub fn membership_window(&self, membership: &Membership) -> Window {
        window(self.windows, membership.window)
    }

    fn loosen(&self) -> LoosePeer {
        LoosePeer {
            id: self.record.id,
            home: self.record.home,
            kind: self.record.kind,
            status: self.record.status,
            expire: self.record.expire,
            bindings: self
                .bindings
                .iter()
                .map(|record| LooseBinding { record: *record, window: self.binding_window(record) })
                .collect(),
            memberships: self
                .memberships
                .iter()
                .map(|membership| (membership.group, membership.mode, self.membership_window(membership)))
                .collect(),
        }
    }
}

/// A group as the evaluator reads it.
#[derive(Debug, Clone)]
pub struct GroupRecord {
    pub id: crate::domain::ids::GroupId,
    pub account: AccountIndex,
    /// Its bindings in order of account.
    pub bindings: Vec<BindingRecord>,
    windows: Vec<Window>,
}

impl GroupRecord {
    pub(super) fn new(id: crate::domain::ids::GroupId, account: AccountIndex) -> Self {
        Self { id, account, bindings: Vec::new(), windows: Vec::new() }
    }

    #[inline]
    #[must_use]
    pub fn binding_window(&self, binding: &BindingRecord) -> Window {
        window(&self.windows, binding.window)
    }

    /// Puts a binding in place of one with the same id, or takes that one away.
    pub(super) fn edit(&mut self, id: BindingId, binding: Option<LooseBinding>) {
        let mut kept: Vec<LooseBinding> = self
            .bindings
            .iter()
            .filter(|own| own.id != id)
            .map(|own| LooseBinding { record: *own, window: self.binding_window(own) })
            .collect();
        kept.extend(binding);
        kept.sort_unstable_by_key(|binding| (binding.record.account, binding.record.id));
        let mut windows = Windows::default();
        self.bindings = kept
            .iter()
            .map(|binding| BindingRecord { window: windows.place(binding.window), ..binding.record })
            .collect();
        self.windows = windows.list;
    }
}

/// The chunk and the slot of a peer.
pub(super) const fn place(peer: PeerIndex) -> (usize, usize) {
    (peer.place() / PEERS_PER_CHUNK, peer.place() % PEERS_PER_CHUNK)
}
