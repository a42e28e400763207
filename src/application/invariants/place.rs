//! What bindings, memberships and packs need of the tree around them, where an account gets another
//! place in it or other packs. Who gains or loses by that is for the ceiling to judge.

use super::account_name;
use crate::application::error::{Error, Precondition, Result};
use crate::decision::AccountIndex;
use crate::decision::holdings::place_of;
use crate::decision::snapshot::{AccountDetails, Snapshot};
use crate::domain::fact::{AccountFact, RoleFact};
use crate::domain::role::RoleOrigin;
use crate::domain::time::Timestamp;

/// What is bound, joined and set below must be as good after the change as it was.
pub(super) fn check(
    (before, after): (&Snapshot, &Snapshot),
    old: &AccountFact,
    new: &AccountFact,
    now: Timestamp,
) -> Result<()> {
    let (is_moved, has_other_packs) = (old.parent != new.parent, old.role_packs != new.role_packs);
    let Some(top) = after.find_account(new.id.as_str()).filter(|_| is_moved || has_other_packs) else { return Ok(()) };
    packs_below(after, top)?;
    if let Some(role) = unusable(before, after, top, now) {
        let reason = match (is_moved, &role.origin) {
            (false, _) => Precondition::RolePackInUse,
            (true, RoleOrigin::BuiltIn) => Precondition::RolePackNotEnabled,
            (true, RoleOrigin::Custom { .. }) => Precondition::RoleNotUsable,
        };
        return Err(Error::precondition(reason, format!("roles/{}", role.id)));
    }
    if is_moved { members(after, top) } else { Ok(()) }
}

/// No partner below may list a pack that the accounts above it do not.
fn packs_below(after: &Snapshot, top: AccountIndex) -> Result<()> {
    for account in after.subtree(top) {
        let own = after.account_details(account).and_then(AccountDetails::role_packs);
        let above = after.parent(account).map(|parent| after.path(parent));
        let above = above.and_then(|path| after.role_packs(&path).map(<[String]>::to_vec));
        let (Some(own), Some(above)) = (own, above) else { continue };
        if own.iter().any(|pack| !above.contains(pack)) {
            return Err(Error::precondition(Precondition::SettingLoosened, account_name(after, account)));
        }
    }
    Ok(())
}

/// A role that is bound in a subtree where it could be used before and cannot be after.
fn unusable<'a>(before: &Snapshot, after: &'a Snapshot, top: AccountIndex, now: Timestamp) -> Option<&'a RoleFact> {
    let mut bound = after
        .subtree(top)
        .into_iter()
        .flat_map(|account| after.bound_at(account).map(move |(holder, id)| (account, holder, id)).collect::<Vec<_>>());
    bound.find_map(|(account, holder, id)| {
        let binding = after.binding(holder, id)?;
        let role = &*after.role(binding.role)?.fact;
        let is_over = place_of(after, holder, binding).is_none_or(|place| place.window.is_over(now));
        let is_lost = before.is_role_usable_at(role, account) && !after.is_role_usable_at(role, account);
        (is_lost && !is_over).then_some(role)
    })
}

/// Members of groups in the subtree, and groups of peers homed there, stay on one path.
fn members(after: &Snapshot, top: AccountIndex) -> Result<()> {
    let is_related = |home, group| after.is_within(home, group) || after.is_within(group, home);
    let refuse = |group| Error::precondition(Precondition::MemberHomeNotRelated, format!("groups/{group}"));
    let subtree = after.subtree(top);
    for home in &subtree {
        let peers = after.homed_at(*home).filter_map(|peer| after.peer(peer));
        let groups = peers.flat_map(|peer| peer.memberships()).filter_map(|one| after.group(one.group));
        if let Some(group) = groups.into_iter().find(|group| !is_related(*home, group.account)) {
            return Err(refuse(group.id));
        }
    }
    for account in &subtree {
        for (index, record) in after.groups_at(*account).filter_map(|index| Some((index, after.group(index)?))) {
            let homes = after.members(index).filter_map(|peer| after.peer(peer)).map(|peer| peer.home());
            if homes.into_iter().any(|home| !is_related(home, *account)) {
                return Err(refuse(record.id));
            }
        }
    }
    Ok(())
}
