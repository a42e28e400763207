//! Every fact that a decision reads, as of one revision: interned, immutable, shared.
//!
//! Names are numbers inside ([`AccountIndex`] and its kin); a number is never given twice, also when
//! what it named is gone; sets of labels alone are counted, and theirs given again. Peers stand in
//! chunks together with their bindings, so that a decision touches few cache lines and a change copies
//! one chunk. Copying a snapshot copies pointers.
//!
//! Nothing here knows where the facts come from; [`Snapshot::apply`] takes [`Change`]s from whoever
//! followed them.
//!
//! [`Change`]: crate::domain::fact::Change

mod accounts;
mod apply;
mod below;
mod edits;
mod groups;
mod held;
pub mod image;
mod index;
mod labels;
mod load;
mod packed;
mod peers;
mod record;
mod sizes;

use std::collections::HashMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::compile::{CompileError, CompiledRole};
use super::places::Places;
use super::shard_map::ShardMap;
use super::tree::{Table, Tree};
use crate::domain::account::DEPTH_MAX;
use crate::domain::fact::{FactKey, Mark, RoleFact};
use crate::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::permission::{CORE_PACK, Permission, PermissionName};
use crate::domain::role::RoleOrigin;
use crate::domain::time::Timestamp;

pub use accounts::{AccountDetails, AccountRecord, Path};
use below::Below;
pub use groups::GroupRecord;
pub use held::Held;
pub(super) use held::SCAN_MAX;
pub use index::{AccountIndex, GroupIndex, PeerIndex, PermissionIndex, RoleIndex};
use labels::LabelSets;
pub use load::Loader;
use packed::PackedSet;
pub use record::{BindingRecord, Membership, PeerView};
pub(super) use record::{PEERS_PER_CHUNK, PeerChunk};
pub use sizes::Sizes;

/// Facts that do not fit together: a corrupt database, or a change applied to the wrong revision.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("a fact names `{name}`, which is unknown")]
    Unknown { name: String },
    #[error("`{key:?}` is there already, or not there")]
    OutOfStep { key: Box<FactKey> },
    #[error("change of revision {next} on top of {current}")]
    Gap { current: i64, next: i64 },
    #[error("the tree is deeper than {DEPTH_MAX} levels at `{account}`")]
    TooDeep { account: AccountId },
    #[error("more than 2,147,483,647 of a kind")]
    TooMany,
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// Who holds a binding, in reverse indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    Peer(PeerIndex),
    Group(GroupIndex),
}

impl Holder {
    /// The number that stands for it in reverse indexes: groups after peers.
    const fn code(self) -> u32 {
        match self {
            Self::Peer(PeerIndex(peer)) => peer,
            Self::Group(GroupIndex(group)) => group | GROUPS,
        }
    }

    const fn of(code: u32) -> Self {
        if code < GROUPS { Self::Peer(PeerIndex(code)) } else { Self::Group(GroupIndex(code ^ GROUPS)) }
    }
}

/// The bit that tells groups from peers. INVARIANT: no number of either reaches it.
const GROUPS: u32 = 1 << 31;

/// A role with its verdicts. Copying one copies pointers.
#[derive(Debug, Clone)]
pub struct RoleRecord {
    pub fact: Arc<RoleFact>,
    pub compiled: CompiledRole,
    pub gone: bool,
}

/// A live API key.
#[derive(Debug, Clone, Copy)]
pub struct ApiKeyRecord {
    pub id: ApiKeyId,
    pub peer: PeerIndex,
    pub expire_time: Option<Timestamp>,
}

/// The catalogue of permissions.
#[derive(Debug, Clone, Default)]
struct Catalogue {
    permissions: Vec<Permission>,
    places: HashMap<PermissionName, PermissionIndex, foldhash::quality::RandomState>,
}

/// All facts at one revision.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    mark: Mark,
    catalogue: Arc<Catalogue>,
    accounts: Table<AccountRecord, 256>,
    account_details: Table<AccountDetails>,
    label_sets: LabelSets,
    account_places: Places,
    roles: Arc<Vec<RoleRecord>>,
    role_places: Arc<HashMap<RoleId, RoleIndex, foldhash::quality::RandomState>>,
    /// Those that are gone leave their place empty.
    groups: Table<Option<GroupRecord>>,
    group_places: ShardMap<GroupId, GroupIndex>,
    peers: Tree<PeerChunk>,
    peer_ids: Table<PeerId>,
    peer_places: Places,
    /// The hashes of the names that peers have or, once they are gone, had.
    user_names: Table<u128>,
    user_name_places: Places,
    persons: OrdMap<PeerIndex, PeerId>,
    api_keys: ShardMap<[u8; 32], ApiKeyRecord>,
    // Reverse indexes, for guards and lists; the hot path does not touch them. A binding stands there
    // without its id, which its holder knows.
    children: PackedSet<2>,
    below: OrdSet<Below>,
    homes: PackedSet<2>,
    /// Accounts, roles and holders, however many bindings say the same.
    bound: PackedSet<3>,
    binding_count: usize,
    /// Roles with the accounts where they are bound.
    bound_by_role: PackedSet<2>,
    members: PackedSet<2>,
    groups_at: PackedSet<2>,
}

impl Snapshot {
    /// The number of the last policy change in here.
    #[must_use]
    pub const fn revision(&self) -> i64 {
        self.mark.revision
    }

    /// Where in the history of policy this is, as far as whoever keeps that history said.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// The same facts, placed in the history.
    #[must_use]
    pub fn marked(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    #[inline]
    #[must_use]
    pub fn find_permission(&self, name: &str) -> Option<PermissionIndex> {
        // A lookup by text, so that the hot path builds no name first.
        self.catalogue.places.get(name).copied()
    }

    #[inline]
    #[must_use]
    pub fn permission(&self, index: PermissionIndex) -> Option<&Permission> {
        self.catalogue.permissions.get(index.place())
    }

    /// The catalogue in order of registration.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        &self.catalogue.permissions
    }

    /// The catalogue in order of registration, with the numbers of the permissions.
    pub fn catalogue(&self) -> impl Iterator<Item = (PermissionIndex, &Permission)> {
        (0_u32..).map(PermissionIndex).zip(self.permissions())
    }

    #[inline]
    #[must_use]
    pub fn find_account(&self, id: &str) -> Option<AccountIndex> {
        let place = self.account_places.find(id, |place| {
            self.account_details.get(place as usize).is_some_and(|details| details.id.as_str() == id)
        });
        place.map(AccountIndex)
    }

    /// The record of an account, deleted ones included.
    #[inline]
    #[must_use]
    pub fn account(&self, index: AccountIndex) -> Option<&AccountRecord> {
        self.accounts.get(index.place())
    }

    /// What an account is called, and what few have.
    #[must_use]
    pub fn account_details(&self, index: AccountIndex) -> Option<&AccountDetails> {
        self.account_details.get(index.place())
    }

    #[must_use]
    pub fn account_id(&self, index: AccountIndex) -> Option<&AccountId> {
        self.account_details(index).map(|details| &details.id)
    }

    #[must_use]
    pub fn find_role(&self, id: &RoleId) -> Option<RoleIndex> {
        self.role_places.get(id).copied()
    }

    #[inline]
    #[must_use]
    pub fn role(&self, index: RoleIndex) -> Option<&RoleRecord> {
        self.roles.get(index.place())
    }

    /// All roles that are there.
    pub fn roles(&self) -> impl Iterator<Item = (RoleIndex, &RoleRecord)> {
        (0_u32..).zip(self.roles.iter()).filter(|(_, role)| !role.gone).map(|(place, role)| (RoleIndex(place), role))
    }

    /// Whether a role may be bound at an account: its pack is switched on there, or it belongs to
    /// the account or, when inheritable, to one above.
    #[must_use]
    pub fn is_role_usable_at(&self, role: &RoleFact, account: AccountIndex) -> bool {
        let path = self.path(account);
        match &role.origin {
            RoleOrigin::BuiltIn => {
                let pack = role.id.pack().unwrap_or_default();
                pack == CORE_PACK || self.role_packs(&path).is_none_or(|packs| packs.iter().any(|on| on == pack))
            }
            RoleOrigin::Custom { owner, inheritable } => match self.find_account(owner.as_str()) {
                Some(owner) => owner == account || (*inheritable && path.contains(owner)),
                None => false,
            },
        }
    }

    #[must_use]
    pub fn find_group(&self, id: GroupId) -> Option<GroupIndex> {
        self.group_places.get(&id).copied()
    }

    #[inline]
    #[must_use]
    pub fn group(&self, index: GroupIndex) -> Option<&GroupRecord> {
        self.groups.get(index.place())?.as_ref()
    }

    /// The members of a group, standing and eligible.
    pub fn members(&self, group: GroupIndex) -> impl Iterator<Item = PeerIndex> {
        self.members.of(group.0).map(PeerIndex)
    }

    /// The first account at or after one, in order of number, where somebody holds a role.
    #[must_use]
    pub fn next_bound_by_role(&self, role: RoleIndex, account: AccountIndex) -> Option<AccountIndex> {
        let bound = self.bound_by_role.range([role.0, account.0], [role.0, u32::MAX]).next();
        bound.map(|[_, account]| AccountIndex(account))
    }

    /// The groups of an account itself.
    pub fn groups_at(&self, account: AccountIndex) -> impl Iterator<Item = GroupIndex> {
        self.groups_at.of(account.0).map(GroupIndex)
    }

    #[inline]
    #[must_use]
    pub fn find_peer(&self, id: PeerId) -> Option<PeerIndex> {
        let is_it = |place: u32| self.peer_ids.get(place as usize) == Some(&id);
        self.peer_places.find(&id.as_uuid(), is_it).map(PeerIndex)
    }

    /// The peer of a user name, by the hash of its folded form.
    #[must_use]
    pub fn find_user_name(&self, hash: u128) -> Option<PeerIndex> {
        let is_it = |place: u32| self.user_names.get(place as usize) == Some(&hash);
        self.user_name_places.find(&hash, is_it).map(PeerIndex)
    }

    #[inline]
    #[must_use]
    pub fn peer(&self, index: PeerIndex) -> Option<PeerView<'_>> {
        self.peers.get(index.place() / PEERS_PER_CHUNK)?.view(self, index)
    }

    /// The uid of a peer.
    #[must_use]
    pub fn peer_id(&self, index: PeerIndex) -> Option<PeerId> {
        self.peer_ids.get(index.place()).copied()
    }

    /// The other peer of the same human that a peer is linked to.
    #[must_use]
    pub fn person(&self, peer: PeerIndex) -> Option<PeerId> {
        self.persons.get(&peer).copied()
    }

    /// The peers homed in an account itself.
    pub fn homed_at(&self, account: AccountIndex) -> impl Iterator<Item = PeerIndex> {
        self.homes.of(account.0).map(PeerIndex)
    }

    /// Who holds bindings on an account itself.
    pub fn bound_at(&self, account: AccountIndex) -> impl Iterator<Item = (Holder, BindingId)> {
        self.bound_between([account.0, 0, 0], [account.0, u32::MAX, u32::MAX])
    }

    /// Who holds a role, anywhere.
    pub fn bound_by_role(&self, role: RoleIndex) -> impl Iterator<Item = (Holder, BindingId)> {
        self.bound_by_role.of(role.0).flat_map(move |account| self.bound_by_role_at(role, AccountIndex(account)))
    }

    /// Who holds a role on an account itself.
    pub fn bound_by_role_at(
        &self,
        role: RoleIndex,
        account: AccountIndex,
    ) -> impl Iterator<Item = (Holder, BindingId)> {
        self.bound_between([account.0, role.0, 0], [account.0, role.0, u32::MAX])
    }

    /// The bindings behind a part of the index.
    fn bound_between(&self, low: [u32; 3], high: [u32; 3]) -> impl Iterator<Item = (Holder, BindingId)> {
        self.bound.range(low, high).flat_map(move |[account, role, holder]| {
            let holder = Holder::of(holder);
            let there = self.bound_to_at(holder, AccountIndex(account));
            let same = there.filter(move |(binding, _)| binding.role == RoleIndex(role));
            same.map(move |(binding, _)| (holder, binding.id))
        })
    }

    /// One binding of a holder.
    #[must_use]
    pub fn binding(&self, holder: Holder, id: BindingId) -> Option<&BindingRecord> {
        let bindings = match holder {
            Holder::Peer(peer) => self.peer(peer)?.bindings(),
            Holder::Group(group) => self.group(group)?.bindings(),
        };
        bindings.iter().find(|binding| binding.id == id)
    }

    /// The peers behind a holder: itself, or the members.
    #[must_use]
    pub fn peers_of(&self, holder: Holder) -> Vec<PeerIndex> {
        match holder {
            Holder::Peer(peer) => vec![peer],
            Holder::Group(group) => self.members(group).collect(),
        }
    }

    /// The live API key with this SHA-256.
    #[inline]
    #[must_use]
    pub fn find_api_key(&self, hash: &[u8; 32]) -> Option<&ApiKeyRecord> {
        self.api_keys.get(hash)
    }

    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.peer_ids.len()
    }
}
