//! The last full administrator of an account stays (DESIGN 8, rule 3), and a role's number of
//! holders stays within its bound. Also whom a change would deny something, since that can lock out as
//! well as disabling does.
//!
//! All compare the facts before a change with the facts after it, so that no path of change can go
//! round them: removing, disabling, demoting, moving, giving a right an end, editing a role.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::condition::Prepared;
use super::holdings::place_of;
use super::snapshot::{AccountIndex, Held, Holder, PeerIndex, PermissionIndex, RoleIndex, RoleRecord, Snapshot};
use crate::domain::binding::{Mode, Reach};
use crate::domain::fact::{AccountFact, Change, Fact};
use crate::domain::ids::{BindingId, GroupId, PeerId, RoleId};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::role::{Effect, Grant};
use crate::domain::time::{Timestamp, Window};

/// The permission that marks full administration.
pub const ADMINISTER: &str = "accounts.administer";

/// An account whose last full administrator the changes would take away.
///
/// Accounts that are gone after the changes do not count: deleting one takes its administrators.
#[must_use]
pub fn account_left_alone(
    before: &Snapshot,
    after: &Snapshot,
    changes: &[Change],
    now: Timestamp,
) -> Option<AccountIndex> {
    let permission = before.find_permission(ADMINISTER)?;
    let mut checked = BTreeSet::new();
    for peer in touched_peers(before, after, changes) {
        let Some(home) = before.peer(peer).map(|view| view.home()) else { continue };
        if checked.contains(&home) || after.account(home).is_none_or(|account| account.gone) {
            continue;
        }
        if is_full_administrator(before, peer, permission, now) && !is_full_administrator(after, peer, permission, now)
        {
            checked.insert(home);
            if !after.homed_at(home).any(|other| is_full_administrator(after, other, permission, now)) {
                return Some(home);
            }
        }
    }
    None
}

/// Whether an account has a full administrator.
#[must_use]
pub fn has_full_administrator(snapshot: &Snapshot, account: AccountIndex, now: Timestamp) -> bool {
    snapshot.find_permission(ADMINISTER).is_some_and(|permission| {
        snapshot.homed_at(account).any(|peer| is_full_administrator(snapshot, peer, permission, now))
    })
}

/// Whether a peer is the only full administrator of its home, so that it must stay one.
#[must_use]
pub fn is_last_full_administrator(snapshot: &Snapshot, peer: PeerIndex, now: Timestamp) -> bool {
    let Some(permission) = snapshot.find_permission(ADMINISTER) else { return false };
    let Some(view) = snapshot.peer(peer) else { return false };
    is_full_administrator(snapshot, peer, permission, now)
        && !snapshot
            .homed_at(view.home())
            .any(|other| other != peer && is_full_administrator(snapshot, other, permission, now))
}

/// Whether a role that the peer holds now, by itself or by a group, allows to administer an account.
/// It says who is to be looked at, not what Authorize answers: other roles may deny.
#[must_use]
pub fn administers(snapshot: &Snapshot, peer: PeerIndex, now: Timestamp) -> bool {
    let Some(permission) = snapshot.find_permission(ADMINISTER) else { return false };
    snapshot.held(peer).filter(|held| held.mode == Mode::Active && held.window.contains(now)).any(|held| {
        let role = snapshot.role(held.binding.role);
        let mut namings = role.into_iter().flat_map(|role| role.compiled.namings(permission));
        namings.any(|naming| naming.effect == Effect::Allow)
    })
}

/// Everyone of whom [`administers`] is true.
#[must_use]
pub fn administering(snapshot: &Snapshot, now: Timestamp) -> BTreeSet<PeerIndex> {
    let Some(permission) = snapshot.find_permission(ADMINISTER) else { return BTreeSet::new() };
    let roles = snapshot.roles().filter(|(_, role)| role.compiled.names(permission));
    let holders: BTreeSet<Holder> =
        roles.flat_map(|(role, _)| snapshot.bound_by_role(role).map(|(holder, _)| holder)).collect();
    let peers: BTreeSet<PeerIndex> = holders.into_iter().flat_map(|holder| snapshot.peers_of(holder)).collect();
    peers.into_iter().filter(|peer| administers(snapshot, *peer, now)).collect()
}

/// Whether an enabled person may administer its home without requirement, condition or end.
fn is_full_administrator(snapshot: &Snapshot, peer: PeerIndex, permission: PermissionIndex, now: Timestamp) -> bool {
    let Some(view) = snapshot.peer(peer) else { return false };
    let is_lasting_person =
        view.kind() == PeerKind::Person && view.status() == PeerStatus::Enabled && view.expire() == Timestamp::MAX;
    if !is_lasting_person {
        return false;
    }
    let path = snapshot.path(view.home());
    let (mut allowed, mut denied) = (false, false);
    for Held { binding, window, mode, .. } in snapshot.held(peer) {
        let counts = path.contains(binding.account)
            && (binding.reach == Reach::Subtree || binding.account == view.home())
            && mode == Mode::Active
            && !window.is_over(now);
        let Some(role) = snapshot.role(binding.role).filter(|_| counts) else { continue };
        for class in role.compiled.classes_naming(permission) {
            match class.effect {
                // One that begins later takes the right away without another change: an end as well.
                // One that counts at some times or from some addresses alone is a condition all the same.
                Effect::Deny => {
                    let can_hold = |known: &Arc<Prepared>| snapshot.labels_hold(&path, known.condition());
                    denied |= class.condition.as_ref().is_none_or(can_hold);
                }
                Effect::Allow => {
                    let lasts = window.contains(now) && window.expire().is_none();
                    allowed |= lasts && class.requirements.rank() == 0 && class.condition.is_none();
                }
            }
        }
    }
    allowed && !denied
}

/// A peer that changes would deny something, and the account on which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewlyDenied {
    pub peer: PeerIndex,
    pub account: AccountIndex,
}

/// Whom the changes would deny something that no DENY takes away yet, by bindings, memberships or what
/// a role says.
#[must_use]
pub fn newly_denied(before: &Snapshot, after: &Snapshot, changes: &[Change], now: Timestamp) -> Vec<NewlyDenied> {
    let denies = |role: &RoleId| after.find_role(role).and_then(|role| after.role(role)).is_some_and(denies_any);
    let mut peers = BTreeSet::new();
    for change in changes {
        match &change.after {
            Some(Fact::Binding(fact)) if denies(&fact.role) => peers.extend(principal_peers(after, fact.principal)),
            Some(Fact::Member(fact)) => peers.extend(after.find_peer(fact.peer)),
            Some(Fact::Role(fact)) if denies(&fact.id) => {
                let role = after.find_role(&fact.id);
                let holders = role.into_iter().flat_map(|role| after.bound_by_role(role).map(|(holder, _)| holder));
                peers.extend(holders.collect::<BTreeSet<_>>().into_iter().flat_map(|holder| after.peers_of(holder)));
            }
            _ => {}
        }
    }
    let denied = |peer: PeerIndex| {
        let old = denials(before, peer);
        let new = denials(after, peer).into_iter().filter(move |new| !old.iter().any(|old| old.covers(new, now)));
        new.map(move |denial| NewlyDenied { peer, account: denial.account })
    };
    peers.into_iter().flat_map(denied).collect()
}

fn denies_any(role: &RoleRecord) -> bool {
    role.fact.grants.iter().any(|grant| grant.effect == Effect::Deny)
}

/// Whether a peer holds a role that only creation, deletion and transfer give.
#[must_use]
pub fn holds_unassignable(snapshot: &Snapshot, peer: PeerIndex) -> bool {
    let bindings = snapshot.peer(peer).map(|view| view.bindings()).unwrap_or_default();
    bindings.iter().filter_map(|binding| snapshot.role(binding.role)).any(|role| !role.fact.rules.assignable)
}

/// A DENY that a peer is under, with all that says where and when.
struct Denial<'a> {
    grant: &'a Grant,
    account: AccountIndex,
    reach: Reach,
    window: Window,
    mode: Mode,
}

impl Denial<'_> {
    /// Whether everything that `other` takes away from now on is taken away by this one.
    fn covers(&self, other: &Self, now: Timestamp) -> bool {
        self.account == other.account
            && (self.reach == Reach::Subtree || self.reach == other.reach)
            && self.grant.pattern.covers(&other.grant.pattern)
            && (self.grant.pattern == other.grant.pattern || other.grant.pattern.literal().is_none())
            && (self.grant.condition.is_empty() || self.grant.condition == other.grant.condition)
            && self.mode <= other.mode
            && self.window.covers(other.window, now)
    }
}

fn denials(snapshot: &Snapshot, peer: PeerIndex) -> Vec<Denial<'_>> {
    let of_role = |Held { binding, window, mode, .. }: Held<'_>| {
        let grants = snapshot.role(binding.role).map(|role| role.fact.grants.as_slice()).unwrap_or_default();
        let denials = grants.iter().filter(|grant| grant.effect == Effect::Deny);
        let (account, reach) = (binding.account, binding.reach);
        denials.map(move |grant| Denial { grant, account, reach, window, mode })
    };
    snapshot.held(peer).flat_map(of_role).collect()
}

/// The peers whose rights at home the changes can touch.
fn touched_peers(before: &Snapshot, after: &Snapshot, changes: &[Change]) -> BTreeSet<PeerIndex> {
    let mut peers = BTreeSet::new();
    for fact in changes.iter().flat_map(|change| change.before.iter().chain(&change.after)) {
        match fact {
            Fact::Peer(peer) => peers.extend(before.find_peer(peer.id)),
            Fact::Member(member) => peers.extend(before.find_peer(member.peer)),
            Fact::Binding(binding) => peers.extend(principal_peers(before, binding.principal)),
            Fact::Role(role) => {
                if let Some(role) = before.find_role(&role.id) {
                    peers.extend(before.bound_by_role(role).flat_map(|(holder, _)| before.peers_of(holder)));
                }
            }
            Fact::Account(account) => account_touches(before, after, account, &mut peers),
            // The catalogue only grows, a group by itself holds nothing, and keys carry no rights.
            Fact::Permission(_) | Fact::Group(_) | Fact::ApiKey(_) => {}
        }
    }
    peers
}

/// A move or a deletion changes what the peers homed below hold at home; other labels can only make a
/// DENY under a condition count, since full administration knows no condition. Nothing else of an
/// account has to do with it.
fn account_touches(before: &Snapshot, after: &Snapshot, account: &AccountFact, peers: &mut BTreeSet<PeerIndex>) {
    let of = |snapshot: &Snapshot| snapshot.account_fact(snapshot.find_account(account.id.as_str())?);
    let (old, new) = (of(before), of(after));
    let parent = |fact: &Option<AccountFact>| fact.as_ref().map(|fact| fact.parent.clone());
    if parent(&old) != parent(&new) {
        for account in [before, after].into_iter().filter_map(|one| one.find_account(account.id.as_str())) {
            let below = before.subtree(account).into_iter().chain(after.subtree(account));
            peers.extend(below.flat_map(|one| before.homed_at(one).collect::<Vec<_>>()));
        }
    } else if old.map(|fact| fact.labels.clone()) != new.map(|fact| fact.labels.clone()) {
        let denies_on_labels =
            |grant: &Grant| grant.effect == Effect::Deny && !grant.condition.account_labels.is_empty();
        let roles = before.roles().filter(|(_, role)| role.fact.grants.iter().any(denies_on_labels));
        let holders = roles.flat_map(|(role, _)| before.bound_by_role(role).map(|(holder, _)| holder));
        peers.extend(holders.collect::<BTreeSet<_>>().into_iter().flat_map(|holder| before.peers_of(holder)));
    }
}

fn principal_peers(snapshot: &Snapshot, principal: crate::domain::binding::Principal) -> Vec<PeerIndex> {
    use crate::domain::binding::Principal;
    let of_group = |group: GroupId| snapshot.find_group(group).map(|group| snapshot.peers_of(Holder::Group(group)));
    let of_peer = |peer: PeerId| snapshot.find_peer(peer).map(|peer| vec![peer]);
    match principal {
        Principal::Peer(peer) => of_peer(peer),
        Principal::Group(group) => of_group(group),
    }
    .unwrap_or_default()
}

/// How many peers hold a role on an account itself, members of bound groups counted once each, and
/// those no longer whose time is over.
#[must_use]
pub fn holders(snapshot: &Snapshot, role: RoleIndex, account: AccountIndex, now: Timestamp) -> usize {
    let is_open = |(holder, id): &(Holder, BindingId)| {
        let place = snapshot.binding(*holder, *id).and_then(|binding| place_of(snapshot, *holder, binding));
        place.is_some_and(|place| !place.window.is_over(now))
    };
    let bound = snapshot.bound_by_role_at(role, account).filter(is_open);
    bound.flat_map(|(holder, _)| snapshot.peers_of(holder)).collect::<BTreeSet<_>>().len()
}
