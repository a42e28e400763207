//! What a caller sees of a peer: all of it, that it is there, or nothing; and what the caller may do
//! with it now.
//!
//! A peer is seen in full by itself and by those who may view peers at its home. One homed elsewhere that has
//! access to an account whose peers the caller may view is there, and nothing more is said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::application::guard::View;
use crate::decision::administrators;
use crate::decision::holdings::Holdings;
use crate::decision::snapshot::{BindingRecord, Held, Snapshot};
use crate::decision::{AccountIndex, PeerIndex};
use crate::domain::binding::{Mode, Reach};
use crate::domain::peer::{Peer, PeerStatus};
use crate::domain::time::Timestamp;

/// The permission by which peers are seen.
pub(super) const VIEW: &str = "peers.view";

/// How much of a peer is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    Full,
    /// Name, kind and home only.
    Restricted,
}

/// Something that a caller may do with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    Update,
    Delete,
    Undelete,
    Enable,
    Disable,
    SetPassword,
    SetPhoto,
}

/// How many accounts a peer has access to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantAccess {
    /// Everything below its home.
    pub all: bool,
    pub accounts: usize,
}

/// A peer as a caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenPeer {
    pub peer: Peer,
    pub sight: Sight,
    pub tenant_access: TenantAccess,
    pub actions: Vec<Action>,
}

/// Whether the caller sees anything of a peer.
pub(in crate::application) fn is_sighted(view: &View<'_>, peer: PeerIndex) -> bool {
    Onlooker::new(*view).sight(peer).is_some()
}

/// A caller who looks at peers, with what is worth computing once for all of them.
pub(super) struct Onlooker<'a> {
    view: View<'a>,
    holdings: Holdings<'a>,
    /// The accounts where the caller is bound and may view peers, and all above them.
    above: BTreeSet<AccountIndex>,
    /// What the caller may do with the peers of each home that was looked at: the rows of a page have
    /// few homes between them.
    rights: Mutex<BTreeMap<AccountIndex, Rights>>,
}

/// What a caller may do with the peers of one home, before anything of the peer itself is asked.
#[derive(Debug, Clone, Copy)]
struct Rights {
    update: bool,
    delete: bool,
    undelete: bool,
    enable: bool,
    disable: bool,
    reset_password: bool,
}

impl<'a> Onlooker<'a> {
    pub(super) fn new(view: View<'a>) -> Self {
        let bound: BTreeSet<AccountIndex> = view.snapshot.held(view.actor).map(|held| held.binding.account).collect();
        let seen = bound.into_iter().filter(|account| view.may(VIEW, *account));
        let above = seen.flat_map(|account| view.snapshot.path(account).as_slice().to_vec()).collect();
        Self { view, holdings: view.holdings(view.snapshot), above, rights: Mutex::default() }
    }

    /// How much of a peer the caller sees, if anything.
    pub(super) fn sight(&self, peer: PeerIndex) -> Option<Sight> {
        let record = self.view.snapshot.peer(peer)?;
        if peer == self.view.actor || self.view.may(VIEW, record.home()) {
            return Some(Sight::Full);
        }
        (record.status() != PeerStatus::Deleted && self.shares_an_account(peer)).then_some(Sight::Restricted)
    }

    /// Whether the peer has access to an account whose peers the caller may view.
    fn shares_an_account(&self, peer: PeerIndex) -> bool {
        let open = self.view.snapshot.held(peer).filter(|held| !held.window.is_over(self.view.now));
        open.map(|held| held.binding).any(|binding| {
            let from_above = binding.reach == Reach::Subtree && self.above.contains(&binding.account);
            from_above || self.view.may(VIEW, binding.account)
        })
    }

    /// A peer with what the caller is told beside its row.
    pub(super) fn describe(&self, mut peer: Peer, sight: Sight) -> SeenPeer {
        // A link outlives the peer that it leads to, which is of no use to anybody.
        peer.person = peer.person.filter(|person| self.view.snapshot.find_peer(*person).is_some());
        let index = self.view.snapshot.find_peer(peer.id);
        let (tenant_access, actions) = match (index, sight) {
            (Some(index), Sight::Full) => {
                (tenant_access(self.view.snapshot, index, self.view.now), self.actions(index, &peer))
            }
            (_, Sight::Restricted) | (None, Sight::Full) => (TenantAccess::default(), Vec::new()),
        };
        SeenPeer { peer, sight, tenant_access, actions }
    }

    /// What the caller may do with the peer now: only what would not be refused.
    fn actions(&self, index: PeerIndex, peer: &Peer) -> Vec<Action> {
        let Some(record) = self.view.snapshot.peer(index) else { return Vec::new() };
        let rights = self.rights(record.home());
        let (is_deleted, is_enabled) = (peer.status == PeerStatus::Deleted, peer.status == PeerStatus::Enabled);
        let may_stop = !is_deleted && (rights.delete || (rights.disable && is_enabled)) && self.may_stop(index);
        let resets = rights.reset_password && !is_deleted;
        let may_reset =
            resets && index != self.view.actor && !peer.profile.require_external_login && !self.is_protected(index);
        let revives = if is_deleted { rights.undelete } else { rights.enable && !is_enabled };
        let may_become = (may_reset || revives) && self.holdings.may_become(index).is_ok();
        let actions = [
            (Action::Update, rights.update && !is_deleted),
            (Action::Delete, rights.delete && may_stop),
            (Action::Undelete, revives && may_become && is_deleted),
            (Action::Enable, revives && may_become && !is_deleted),
            (Action::Disable, rights.disable && is_enabled && may_stop),
            (Action::SetPassword, may_reset && may_become),
            (Action::SetPhoto, rights.update && !is_deleted),
        ];
        actions.into_iter().filter(|(_, is_allowed)| *is_allowed).map(|(action, _)| action).collect()
    }

    /// What the caller may do at a home, asked once.
    fn rights(&self, home: AccountIndex) -> Rights {
        let mut known = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(home).or_insert_with(|| {
            let may = |permission| self.view.may(permission, home);
            Rights {
                update: may("peers.update"),
                delete: may("peers.delete"),
                undelete: may("peers.undelete"),
                enable: may("peers.enable"),
                disable: may("peers.disable"),
                reset_password: may("peers.reset_password"),
            }
        })
    }

    fn may_stop(&self, index: PeerIndex) -> bool {
        let is_last = administrators::is_last_full_administrator(self.view.snapshot, index, self.view.now);
        !self.is_protected(index) && !is_last
    }

    /// Whether the peer is an owner, whom only the operator stops or signs in as.
    fn is_protected(&self, index: PeerIndex) -> bool {
        administrators::holds_unassignable(self.view.snapshot, index) && !self.view.is_operator()
    }
}

fn tenant_access(snapshot: &Snapshot, peer: PeerIndex, now: Timestamp) -> TenantAccess {
    let Some(record) = snapshot.peer(peer) else { return TenantAccess::default() };
    let home = snapshot.path(record.home());
    let counts = |held: &Held<'_>| held.mode == Mode::Active && held.window.contains(now);
    let counting: Vec<&BindingRecord> = snapshot.held(peer).filter(counts).map(|held| held.binding).collect();
    if counting.iter().any(|one| one.reach == Reach::Subtree && home.contains(one.account)) {
        return TenantAccess { all: true, accounts: 0 };
    }
    let accounts: BTreeSet<AccountIndex> = counting.into_iter().map(|one| one.account).collect();
    TenantAccess { all: false, accounts: accounts.len() }
}
