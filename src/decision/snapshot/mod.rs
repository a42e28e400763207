//! Every fact that a decision reads, as of one revision: interned, immutable, shared.
//!
//! Names are numbers inside ([`AccountIndex`] and its kin); a number is never given twice, also when
//! what it named is gone. Peers stand in chunks together with their bindings, so that a decision
//! touches few cache lines and a change copies one chunk. Copying a snapshot copies pointers.
//!
//! Nothing here knows where the facts come from; [`Snapshot::apply`] takes [`Change`]s from whoever
//! followed them.
//!
//! [`Change`]: crate::domain::fact::Change

mod accounts;
mod apply;
mod below;
mod edits;
mod held;
mod index;
mod load;
mod record;
mod sizes;

use std::collections::HashMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use uuid::Uuid;

use super::compile::{CompileError, CompiledRole};
use super::shard_map::ShardMap;
use super::tree::{Table, Tree};
use crate::domain::account::DEPTH_MAX;
use crate::domain::fact::{AccountFact, FactKey, Mark, RoleFact};
use crate::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::permission::{CORE_PACK, Permission, PermissionName};
use crate::domain::role::RoleOrigin;
use crate::domain::time::Timestamp;

pub use accounts::Path;
use below::Below;
pub use held::Held;
pub use index::{AccountIndex, GroupIndex, PeerIndex, PermissionIndex, RoleIndex};
pub use load::Loader;
pub use record::{BindingRecord, GroupRecord, Membership, PeerView};
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
    #[error("more than 4,294,967,295 of a kind")]
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

/// An account and what holds for it alone.
#[derive(Debug, Clone)]
pub struct AccountRecord {
    pub fact: Arc<AccountFact>,
    pub parent: Option<AccountIndex>,
    pub gone: bool,
}

/// A role with its verdicts.
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
    accounts: Table<AccountRecord>,
    account_places: ShardMap<AccountId, AccountIndex>,
    roles: Arc<Vec<Arc<RoleRecord>>>,
    role_places: Arc<HashMap<RoleId, RoleIndex, foldhash::quality::RandomState>>,
    /// Those that are gone leave their place empty.
    groups: Table<Option<Arc<GroupRecord>>>,
    group_places: ShardMap<GroupId, GroupIndex>,
    peers: Tree<PeerChunk>,
    peer_count: usize,
    peer_places: ShardMap<Uuid, PeerIndex>,
    user_names: ShardMap<u128, PeerIndex>,
    persons: OrdMap<PeerIndex, PeerId>,
    api_keys: ShardMap<[u8; 32], ApiKeyRecord>,
    // Reverse indexes, for guards and lists; the hot path does not touch them.
    children: OrdSet<(AccountIndex, AccountIndex)>,
    below: OrdSet<Below>,
    homes: OrdSet<(AccountIndex, PeerIndex)>,
    bound_at: OrdSet<(AccountIndex, Holder, BindingId)>,
    bound_by_role: OrdSet<(RoleIndex, AccountIndex, Holder, BindingId)>,
    members: OrdSet<(GroupIndex, PeerIndex)>,
    groups_at: OrdSet<(AccountIndex, GroupIndex)>,
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
        self.account_places.get(id).copied()
    }

    /// The record of an account, deleted ones included.
    #[inline]
    #[must_use]
    pub fn account(&self, index: AccountIndex) -> Option<&AccountRecord> {
        self.accounts.get(index.place())
    }

    #[must_use]
    pub fn account_id(&self, index: AccountIndex) -> Option<&AccountId> {
        self.account(index).map(|record| &record.fact.id)
    }

    #[must_use]
    pub fn find_role(&self, id: &RoleId) -> Option<RoleIndex> {
        self.role_places.get(id).copied()
    }

    #[inline]
    #[must_use]
    pub fn role(&self, index: RoleIndex) -> Option<&RoleRecord> {
        self.roles.get(index.place()).map(Arc::as_ref)
    }

    /// All roles that are there.
    pub fn roles(&self) -> impl Iterator<Item = (RoleIndex, &RoleRecord)> {
        (0_u32..).zip(self.roles.iter()).filter(|(_, role)| !role.gone).map(|(place, role)| (RoleIndex(place), &**role))
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
        self.groups.get(index.place())?.as_deref()
    }

    /// The members of a group, standing and eligible.
    pub fn members(&self, group: GroupIndex) -> impl Iterator<Item = PeerIndex> {
        self.members.range((group, PeerIndex(0))..=(group, PeerIndex(u32::MAX))).map(|(_, peer)| *peer)
    }

    /// The first account at or after one, in order of number, where somebody holds a role.
    #[must_use]
    pub fn next_bound_by_role(&self, role: RoleIndex, account: AccountIndex) -> Option<AccountIndex> {
        let range = lowest_holder(role, account)..=highest_holder(role, AccountIndex(u32::MAX));
        self.bound_by_role.range(range).next().map(|(_, account, ..)| *account)
    }

    /// The groups of an account itself.
    pub fn groups_at(&self, account: AccountIndex) -> impl Iterator<Item = GroupIndex> {
        self.groups_at.range((account, GroupIndex(0))..=(account, GroupIndex(u32::MAX))).map(|(_, group)| *group)
    }

    #[inline]
    #[must_use]
    pub fn find_peer(&self, id: PeerId) -> Option<PeerIndex> {
        self.peer_places.get(&id.as_uuid()).copied()
    }

    /// The peer of a user name, by the hash of its folded form.
    #[must_use]
    pub fn find_user_name(&self, hash: u128) -> Option<PeerIndex> {
        self.user_names.get(&hash).copied()
    }

    #[inline]
    #[must_use]
    pub fn peer(&self, index: PeerIndex) -> Option<PeerView<'_>> {
        self.peers.get(index.place() / PEERS_PER_CHUNK)?.view(index.place() % PEERS_PER_CHUNK)
    }

    /// The uid of a peer.
    #[must_use]
    pub fn peer_id(&self, index: PeerIndex) -> Option<PeerId> {
        self.peer(index).map(|peer| peer.id())
    }

    /// The other peer of the same human that a peer is linked to.
    #[must_use]
    pub fn person(&self, peer: PeerIndex) -> Option<PeerId> {
        self.persons.get(&peer).copied()
    }

    /// The peers homed in an account itself.
    pub fn homed_at(&self, account: AccountIndex) -> impl Iterator<Item = PeerIndex> {
        self.homes.range((account, PeerIndex(0))..=(account, PeerIndex(u32::MAX))).map(|(_, peer)| *peer)
    }

    /// Who holds bindings on an account itself.
    pub fn bound_at(&self, account: AccountIndex) -> impl Iterator<Item = (Holder, BindingId)> {
        let low = (account, Holder::Peer(PeerIndex(0)), BindingId::from(Uuid::nil()));
        let high = (account, Holder::Group(GroupIndex(u32::MAX)), BindingId::from(Uuid::max()));
        self.bound_at.range(low..=high).map(|(_, holder, binding)| (*holder, *binding))
    }

    /// Who holds a role, anywhere.
    pub fn bound_by_role(&self, role: RoleIndex) -> impl Iterator<Item = (Holder, BindingId)> {
        let (low, high) = (lowest_holder(role, AccountIndex(0)), highest_holder(role, AccountIndex(u32::MAX)));
        self.bound_by_role.range(low..=high).map(|(_, _, holder, binding)| (*holder, *binding))
    }

    /// Who holds a role on an account itself.
    pub fn bound_by_role_at(
        &self,
        role: RoleIndex,
        account: AccountIndex,
    ) -> impl Iterator<Item = (Holder, BindingId)> {
        let range = lowest_holder(role, account)..=highest_holder(role, account);
        self.bound_by_role.range(range).map(|(_, _, holder, binding)| (*holder, *binding))
    }

    /// One binding of a holder.
    #[must_use]
    pub fn binding(&self, holder: Holder, id: BindingId) -> Option<&BindingRecord> {
        let bindings = match holder {
            Holder::Peer(peer) => self.peer(peer)?.bindings(),
            Holder::Group(group) => &self.group(group)?.bindings,
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
    pub const fn peer_count(&self) -> usize {
        self.peer_count
    }
}

fn lowest_holder(role: RoleIndex, account: AccountIndex) -> (RoleIndex, AccountIndex, Holder, BindingId) {
    (role, account, Holder::Peer(PeerIndex(0)), BindingId::from(Uuid::nil()))
}

fn highest_holder(role: RoleIndex, account: AccountIndex) -> (RoleIndex, AccountIndex, Holder, BindingId) {
    (role, account, Holder::Group(GroupIndex(u32::MAX)), BindingId::from(Uuid::max()))
}
