//! The last full administrator of an account stays (DESIGN 8, rule 3), and a role's number of
//! holders stays within its bound.
//!
//! Both compare the facts before a change with the facts after it, so that no path of change can go
//! round them: removing, disabling, demoting, moving, giving a right an end, editing a role.

use std::collections::BTreeSet;

use super::snapshot::{AccountIndex, BindingRecord, Holder, PeerIndex, PermissionIndex, RoleIndex, Snapshot};
use crate::domain::binding::{Mode, Reach};
use crate::domain::fact::{Change, Fact};
use crate::domain::ids::{GroupId, PeerId};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::permission::Pattern;
use crate::domain::role::{Condition, Effect};
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
    let Some(view) = snapshot.peer(peer) else { return false };
    let allows = |binding: &BindingRecord, window: Window| {
        let counts = binding.mode == Mode::Active && window.contains(now);
        let Some(role) = snapshot.role(binding.role).filter(|_| counts) else { return false };
        let mut allowing = role.compiled.classes.iter().filter(|class| class.effect == Effect::Allow);
        allowing.any(|class| class.bits.contains(permission.place()))
    };
    view.bindings().iter().any(|binding| allows(binding, view.binding_window(binding)))
        || view.memberships().iter().any(|membership| {
            let is_live = membership.mode == Mode::Active && view.membership_window(membership).contains(now);
            let group = snapshot.group(membership.group).filter(|_| is_live);
            group.is_some_and(|group| {
                group.bindings.iter().any(|binding| allows(binding, group.binding_window(binding)))
            })
        })
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
    let mut visit = |binding: &BindingRecord, window: Window, membership: Mode| {
        let counts = path.contains(binding.account)
            && (binding.reach == Reach::Subtree || binding.account == view.home())
            && binding.mode == Mode::Active
            && membership == Mode::Active
            && !window.is_over(now);
        let Some(role) = snapshot.role(binding.role).filter(|_| counts) else { return };
        for class in role.compiled.classes.iter().filter(|class| class.bits.contains(permission.place())) {
            match class.effect {
                // One that begins later takes the right away without another change: an end as well.
                Effect::Deny => denied |= class.condition.as_ref().is_none_or(|known| holds(snapshot, &path, known)),
                Effect::Allow => {
                    let lasts = window.contains(now) && window.expire().is_none();
                    allowed |= lasts && class.requirements.rank() == 0 && class.condition.is_none();
                }
            }
        }
    };
    for binding in view.bindings() {
        visit(binding, view.binding_window(binding), Mode::Active);
    }
    for membership in view.memberships() {
        let Some(group) = snapshot.group(membership.group) else { continue };
        for binding in &group.bindings {
            if let Some(window) = group.binding_window(binding).intersect(view.membership_window(membership)) {
                visit(binding, window, membership.mode);
            }
        }
    }
    allowed && !denied
}

fn holds(snapshot: &Snapshot, path: &super::snapshot::Path, condition: &Condition) -> bool {
    condition
        .account_labels
        .iter()
        .all(|(key, values)| snapshot.label(path, key).is_some_and(|value| values.iter().any(|one| one == value)))
}

/// A holder of an unassignable role whom the changes would deny something new. That would do to an
/// owner what disabling does, so it takes the same standing (rule 11).
#[must_use]
pub fn owner_newly_denied(before: &Snapshot, after: &Snapshot, changes: &[Change]) -> Option<PeerIndex> {
    let mut owners = touched_peers(before, after, changes);
    owners.retain(|peer| holds_unassignable(before, *peer));
    owners.into_iter().find(|peer| !denials(after, *peer).is_subset(&denials(before, *peer)))
}

/// Whether a peer holds a role that only creation, deletion and transfer give.
#[must_use]
pub fn holds_unassignable(snapshot: &Snapshot, peer: PeerIndex) -> bool {
    let bindings = snapshot.peer(peer).map(|view| view.bindings()).unwrap_or_default();
    bindings.iter().filter_map(|binding| snapshot.role(binding.role)).any(|role| !role.fact.rules.assignable)
}

/// Every DENY of a peer, its own and its groups', whenever and under whatever condition it counts.
fn denials(snapshot: &Snapshot, peer: PeerIndex) -> BTreeSet<(AccountIndex, Pattern)> {
    let Some(view) = snapshot.peer(peer) else { return BTreeSet::new() };
    let groups = view.memberships().iter().filter_map(|membership| snapshot.group(membership.group));
    let bindings = view.bindings().iter().chain(groups.flat_map(|group| &group.bindings));
    let of_role = |binding: &BindingRecord| {
        let grants = snapshot.role(binding.role).map(|role| role.fact.grants.as_slice()).unwrap_or_default();
        let denials = grants.iter().filter(|grant| grant.effect == Effect::Deny);
        denials.map(|grant| (binding.account, grant.pattern.clone())).collect::<Vec<_>>()
    };
    bindings.flat_map(of_role).collect()
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
            // A move, a deletion or other labels change what the peers homed below hold at home.
            Fact::Account(account) => {
                for snapshot in [before, after] {
                    if let Some(account) = snapshot.find_account(account.id.as_str()) {
                        let below = snapshot.subtree(account);
                        peers.extend(below.into_iter().flat_map(|one| before.homed_at(one).collect::<Vec<_>>()));
                    }
                }
            }
            // The catalogue only grows, a group by itself holds nothing, and keys carry no rights.
            Fact::Permission(_) | Fact::Group(_) | Fact::ApiKey(_) => {}
        }
    }
    peers
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

/// How many peers hold a role on an account itself, members of bound groups counted once each.
#[must_use]
pub fn holders(snapshot: &Snapshot, role: RoleIndex, account: AccountIndex) -> usize {
    let bound = snapshot
        .bound_at(account)
        .filter(|(holder, id)| snapshot.binding(*holder, *id).is_some_and(|binding| binding.role == role));
    bound.flat_map(|(holder, _)| snapshot.peers_of(holder)).collect::<BTreeSet<_>>().len()
}
