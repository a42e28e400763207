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

mod apply;
mod load;
mod record;
mod sizes;

use std::collections::HashMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use uuid::Uuid;

use super::compile::{CompileError, CompiledRole};
use super::shard_map::ShardMap;
use super::tree::Tree;
use crate::domain::account::{DEPTH_MAX, PartnerAccess, SuspensionScope};
use crate::domain::fact::{AccountFact, FactKey, RoleFact};
use crate::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::permission::{Permission, PermissionName};
use crate::domain::role::RoleOrigin;
use crate::domain::time::Timestamp;

pub use record::{BindingRecord, GroupRecord, Membership, PeerView};
pub(super) use record::{PEERS_PER_CHUNK, PeerChunk};
pub use sizes::Sizes;

macro_rules! index {
    ($(#[$doc:meta] $name:ident;)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Its place among its kind.
            #[inline]
            #[must_use]
            pub const fn place(self) -> usize {
                self.0 as usize
            }

            fn of(place: usize) -> Result<Self, SnapshotError> {
                u32::try_from(place).map(Self).map_err(|_| SnapshotError::TooMany)
            }
        }
    )*};
}

index! {
    /// The number of an account in a snapshot and all that follow it.
    AccountIndex;
    /// The number of a peer.
    PeerIndex;
    /// The number of a role.
    RoleIndex;
    /// The number of a group.
    GroupIndex;
    /// The number of a permission.
    PermissionIndex;
}

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

const ACCOUNTS_PER_CHUNK: usize = 64;

/// All facts at one revision.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    revision: i64,
    catalogue: Arc<Catalogue>,
    accounts: Tree<Vec<AccountRecord>>,
    account_places: ShardMap<AccountId, AccountIndex>,
    roles: Arc<Vec<Arc<RoleRecord>>>,
    role_places: Arc<HashMap<RoleId, RoleIndex, foldhash::quality::RandomState>>,
    groups: OrdMap<GroupIndex, Arc<GroupRecord>>,
    group_places: ShardMap<GroupId, GroupIndex>,
    next_group: usize,
    peers: Tree<PeerChunk>,
    peer_count: usize,
    peer_places: ShardMap<Uuid, PeerIndex>,
    user_names: ShardMap<u128, PeerIndex>,
    persons: OrdMap<PeerIndex, PeerId>,
    api_keys: ShardMap<[u8; 32], ApiKeyRecord>,
    // Reverse indexes, for guards and lists; the hot path does not touch them.
    children: OrdSet<(AccountIndex, AccountIndex)>,
    homes: OrdSet<(AccountIndex, PeerIndex)>,
    bound_at: OrdSet<(AccountIndex, Holder, BindingId)>,
    bound_by_role: OrdSet<(RoleIndex, Holder, BindingId)>,
    members: OrdSet<(GroupIndex, PeerIndex)>,
}

/// The accounts from a target up to the root, the target first.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    accounts: [AccountIndex; DEPTH_MAX],
    len: usize,
}

impl Path {
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[AccountIndex] {
        self.accounts.get(..self.len).unwrap_or(&[])
    }

    #[inline]
    #[must_use]
    pub fn contains(&self, account: AccountIndex) -> bool {
        self.as_slice().contains(&account)
    }
}

impl Snapshot {
    /// The number of the last policy change in here.
    #[must_use]
    pub const fn revision(&self) -> i64 {
        self.revision
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

    #[inline]
    #[must_use]
    pub fn find_account(&self, id: &str) -> Option<AccountIndex> {
        self.account_places.get(id).copied()
    }

    /// The record of an account, deleted ones included.
    #[inline]
    #[must_use]
    pub fn account(&self, index: AccountIndex) -> Option<&AccountRecord> {
        self.accounts.get(index.place() / ACCOUNTS_PER_CHUNK)?.get(index.place() % ACCOUNTS_PER_CHUNK)
    }

    #[must_use]
    pub fn account_id(&self, index: AccountIndex) -> Option<&AccountId> {
        self.account(index).map(|record| &record.fact.id)
    }

    /// The accounts directly below one.
    pub fn children(&self, account: AccountIndex) -> impl Iterator<Item = AccountIndex> {
        self.children.range((account, AccountIndex(0))..=(account, AccountIndex(u32::MAX))).map(|(_, child)| *child)
    }

    /// An account and everything below it, parents before children.
    #[must_use]
    pub fn subtree(&self, account: AccountIndex) -> Vec<AccountIndex> {
        let mut found = vec![account];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(self.children(parent));
            next += 1;
        }
        found
    }

    /// The accounts from a target up to the root.
    #[inline]
    #[must_use]
    pub fn path(&self, target: AccountIndex) -> Path {
        let mut path = Path { accounts: [target; DEPTH_MAX], len: 0 };
        let mut next = Some(target);
        // INVARIANT: apply refuses deeper trees, so that the array is large enough.
        while let (Some(account), Some(slot)) = (next, path.accounts.get_mut(path.len)) {
            *slot = account;
            path.len += 1;
            next = self.account(account).and_then(|record| record.parent);
        }
        path
    }

    /// Whether `account` is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, account: AccountIndex, ancestor: AccountIndex) -> bool {
        self.path(account).contains(ancestor)
    }

    /// Whether an account or one above it is suspended with everything below.
    #[inline]
    #[must_use]
    pub fn is_suspended(&self, path: &Path) -> bool {
        path.as_slice().iter().any(|account| {
            self.account(*account).is_some_and(|record| record.fact.suspension == Some(SuspensionScope::Subtree))
        })
    }

    /// Whether peers homed in the account can act: it, and no one above, is suspended.
    #[inline]
    #[must_use]
    pub fn is_home_active(&self, home: AccountIndex) -> bool {
        let own = self.account(home).and_then(|record| record.fact.suspension);
        own != Some(SuspensionScope::OwnPeers) && !self.is_suspended(&self.path(home))
    }

    /// The strictest partner access set on the target's path that limits a peer homed at `home`: an
    /// account limits peers homed neither inside it nor at the root.
    #[inline]
    #[must_use]
    pub fn partner_access(&self, path: &Path, home: AccountIndex) -> PartnerAccess {
        let mut strictest = PartnerAccess::Allowed;
        for account in path.as_slice() {
            let Some(record) = self.account(*account) else { continue };
            if record.fact.partner_access > strictest && !self.is_within(home, *account) {
                strictest = record.fact.partner_access;
            }
        }
        let at_root = self.account(home).is_some_and(|record| record.parent.is_none());
        if at_root { PartnerAccess::Allowed } else { strictest }
    }

    /// The value of a label at an account: the nearest on the way to the root.
    #[must_use]
    pub fn label(&self, path: &Path, key: &str) -> Option<&str> {
        path.as_slice().iter().find_map(|account| self.account(*account)?.fact.labels.get(key).map(String::as_str))
    }

    /// The packs whose roles can be assigned at an account: what the nearest partner says, or all.
    #[must_use]
    pub fn role_packs(&self, path: &Path) -> Option<&[String]> {
        path.as_slice().iter().find_map(|account| self.account(*account)?.fact.role_packs.as_deref())
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
                pack == "core" || self.role_packs(&path).is_none_or(|packs| packs.iter().any(|on| on == pack))
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
        self.groups.get(&index).map(Arc::as_ref)
    }

    /// The members of a group, standing and eligible.
    pub fn members(&self, group: GroupIndex) -> impl Iterator<Item = PeerIndex> {
        self.members.range((group, PeerIndex(0))..=(group, PeerIndex(u32::MAX))).map(|(_, peer)| *peer)
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
        let low = (role, Holder::Peer(PeerIndex(0)), BindingId::from(Uuid::nil()));
        let high = (role, Holder::Group(GroupIndex(u32::MAX)), BindingId::from(Uuid::max()));
        self.bound_by_role.range(low..=high).map(|(_, holder, binding)| (*holder, *binding))
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
