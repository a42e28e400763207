//! Rules that hold after every change of policy, whoever made it and by whatever method (DESIGN 1
//! and 8): the tree, the use of roles, owners, and the last full administrator.

mod place;

use std::collections::BTreeSet;

use super::ceiling::{holder, peer_name};
use super::error::{Error, Forbidden, Precondition, Result};
use crate::decision::administrators::{NewlyDenied, account_left_alone, holders, holds_unassignable, newly_denied};
use crate::decision::snapshot::{RoleRecord, Snapshot};
use crate::decision::{AccountIndex, SnapshotError};
use crate::domain::account::AccountKind;
use crate::domain::binding::Principal;
use crate::domain::fact::{AccountFact, BindingFact, Change, Fact, MemberFact, PeerFact, RoleFact};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::role::RoleOrigin;
use crate::domain::time::Timestamp;

/// By what right bindings of unassignable roles may be touched (rule 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Not at all.
    Fixed,
    /// By creation or deletion of the account, and TransferOwnership.
    Changing,
}

/// Whether the holder of an unassignable role may be disabled or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Operator,
    Other,
}

/// Checks changes against every rule.
///
/// # Errors
/// [`Error::Precondition`] names the first rule that is broken.
pub fn check(
    before: &Snapshot,
    after: &Snapshot,
    changes: &[Change],
    (ownership, standing): (Ownership, Standing),
    now: Timestamp,
) -> Result<()> {
    for change in changes {
        match (&change.before, &change.after) {
            (before_fact, Some(Fact::Account(fact))) => {
                tree(after, before_fact.as_ref(), fact)?;
                if let Some(Fact::Account(old)) = before_fact {
                    place::check((before, after), old, fact, now)?;
                }
            }
            (before_fact, Some(Fact::Binding(fact))) => {
                let is_first = before_fact.is_none();
                binding(after, fact, ownership, is_first, now)?;
            }
            (Some(Fact::Role(old)), Some(Fact::Role(fact))) => role(after, old, fact, now)?,
            // Those of a deleted account go with it.
            (Some(Fact::Binding(fact)), None)
                if ownership == Ownership::Fixed && after.find_account(fact.account.as_str()).is_some() =>
            {
                assignable(before, fact)?;
            }
            (_, Some(Fact::Member(fact))) => member(after, fact, ownership, now)?,
            (Some(Fact::Member(fact)), None) if ownership == Ownership::Fixed => member_assignable(before, fact)?,
            (Some(Fact::Peer(old)), after_fact) => peer((before, after), old, after_fact.as_ref(), standing)?,
            _ => {}
        }
    }
    // To deny an owner something would do what disabling does, so it takes the same standing (rule 11).
    let is_owner = |denied: &NewlyDenied| holds_unassignable(before, denied.peer);
    if standing == Standing::Other
        && let Some(owner) = newly_denied(before, after, changes, now).into_iter().find(is_owner)
    {
        return Err(Error::Forbidden { rule: Forbidden::OwnerProtected, subject: peer_name(before, owner.peer) });
    }
    if let Some(account) = account_left_alone(before, after, changes, now) {
        return Err(Error::precondition(Precondition::LastAdministrator, account_name(after, account)));
    }
    Ok(())
}

/// The error of a snapshot that could not take the changes, where a rule explains it.
#[must_use]
pub fn explain(error: SnapshotError) -> Error {
    match error {
        SnapshotError::TooDeep { account } => {
            Error::precondition(Precondition::AccountTooDeep, format!("accounts/{account}"))
        }
        other @ (SnapshotError::Unknown { .. }
        | SnapshotError::OutOfStep { .. }
        | SnapshotError::Gap { .. }
        | SnapshotError::TooMany
        | SnapshotError::Compile(_)) => Error::Snapshot(other),
    }
}

fn tree(after: &Snapshot, before: Option<&Fact>, fact: &AccountFact) -> Result<()> {
    let name = || format!("accounts/{}", fact.id);
    let Some(parent) = &fact.parent else {
        let is_root = fact.kind == AccountKind::Platform;
        return if is_root { Ok(()) } else { Err(Error::precondition(Precondition::AccountKindNotAllowed, name())) };
    };
    let kind = after.find_account(parent.as_str()).and_then(|parent| after.account(parent)).map(|one| one.kind);
    if !kind.is_some_and(|kind| kind.may_hold(fact.kind)) {
        return Err(Error::precondition(Precondition::AccountKindNotAllowed, name()));
    }
    // Only a place in the tree or a wish of its own can make an account looser than its parent.
    let is_judged = match before {
        Some(Fact::Account(old)) => {
            old.parent != fact.parent || old.partner_access != fact.partner_access || old.role_packs != fact.role_packs
        }
        _ => true,
    };
    if is_judged && is_looser(after, fact) {
        return Err(Error::precondition(Precondition::SettingLoosened, name()));
    }
    Ok(())
}

/// Whether an account's packs go beyond those of the accounts above. Partner access needs no check:
/// the strictest on the path decides anyway, so that looser below has no effect.
fn is_looser(after: &Snapshot, fact: &AccountFact) -> bool {
    let Some(packs) = &fact.role_packs else { return false };
    let above = fact.parent.as_ref().and_then(|parent| after.find_account(parent.as_str()));
    let Some(above) = above else { return false };
    after.role_packs(&after.path(above)).is_some_and(|on| packs.iter().any(|pack| !on.contains(pack)))
}

fn binding(after: &Snapshot, fact: &BindingFact, ownership: Ownership, is_first: bool, now: Timestamp) -> Result<()> {
    let name = || format!("roles/{}", fact.role);
    let index = after.find_role(&fact.role).ok_or_else(|| Error::not_found("role", name()))?;
    let role = after.role(index).ok_or_else(|| Error::not_found("role", name()))?;
    let account = after.find_account(fact.account.as_str());
    let account = account.ok_or_else(|| Error::not_found("account", format!("accounts/{}", fact.account)))?;
    if !role.fact.rules.assignable && ownership == Ownership::Fixed {
        return Err(Error::precondition(Precondition::RoleUnassignable, name()));
    }
    // A pack that was switched off later takes no role away that is held already.
    if is_first && !after.is_role_usable_at(&role.fact, account) {
        let reason = match role.fact.origin {
            RoleOrigin::BuiltIn => Precondition::RolePackNotEnabled,
            RoleOrigin::Custom { .. } => Precondition::RoleNotUsable,
        };
        return Err(Error::precondition(reason, name()));
    }
    let rules = &role.fact.rules;
    let kind = after.account(account).map(|record| record.kind);
    if !allows(&rules.account_kinds, kind) {
        return Err(Error::precondition(Precondition::AccountKindNotAllowed, name()));
    }
    if !allows(&rules.reaches, Some(fact.reach)) {
        return Err(Error::precondition(Precondition::ReachNotAllowed, name()));
    }
    if let Some(holder) = holder(after, fact.principal) {
        for peer in after.peers_of(holder) {
            peer_kind(role, after.peer(peer).map(|peer| peer.kind()))?;
        }
    }
    if let Some(most) = rules.max_holders
        && holders(after, index, account, now) > most as usize
    {
        return Err(Error::precondition(Precondition::MaxHoldersReached, name()));
    }
    Ok(())
}

/// Bindings that exist must be such as could be made under a custom role's new rules. Built-in roles
/// change with a release, which must not fail for what tenants did.
fn role(after: &Snapshot, old: &RoleFact, fact: &RoleFact, now: Timestamp) -> Result<()> {
    let is_judged =
        matches!(fact.origin, RoleOrigin::Custom { .. }) && (old.rules != fact.rules || old.origin != fact.origin);
    let Some(index) = after.find_role(&fact.id).filter(|_| is_judged) else { return Ok(()) };
    let rules = &fact.rules;
    let mut accounts = BTreeSet::new();
    let fits = after.bound_by_role(index).all(|(holder, id)| {
        let Some(binding) = after.binding(holder, id) else { return true };
        accounts.insert(binding.account);
        let kind = after.account(binding.account).map(|record| record.kind);
        let peer_kind = |peer| after.peer(peer).map(|peer| peer.kind());
        rules.assignable
            && after.is_role_usable_at(fact, binding.account)
            && allows(&rules.account_kinds, kind)
            && allows(&rules.reaches, Some(binding.reach))
            && after.peers_of(holder).into_iter().all(|peer| allows(&rules.peer_kinds, peer_kind(peer)))
    });
    let is_full = |most: u32| accounts.iter().any(|account| holders(after, index, *account, now) > most as usize);
    if fits && !rules.max_holders.is_some_and(is_full) {
        return Ok(());
    }
    Err(Error::precondition(Precondition::RoleRulesViolated, format!("roles/{}", fact.id)))
}

/// Whether a rule of use allows one; an empty list allows all.
fn allows<T: PartialEq>(allowed: &[T], one: Option<T>) -> bool {
    allowed.is_empty() || one.is_some_and(|one| allowed.contains(&one))
}

fn peer_kind(role: &RoleRecord, kind: Option<PeerKind>) -> Result<()> {
    if allows(&role.fact.rules.peer_kinds, kind) {
        return Ok(());
    }
    Err(Error::precondition(Precondition::PeerKindNotAllowed, format!("roles/{}", role.fact.id)))
}

fn member(after: &Snapshot, fact: &MemberFact, ownership: Ownership, now: Timestamp) -> Result<()> {
    let Some(group) = after.find_group(fact.group).and_then(|group| after.group(group)) else { return Ok(()) };
    for record in group.bindings() {
        let Some(role) = after.role(record.role) else { continue };
        let Some(account) = after.account_id(record.account) else { continue };
        let given = BindingFact {
            id: record.id,
            principal: Principal::Peer(fact.peer),
            role: role.fact.id.clone(),
            account: account.clone(),
            reach: record.reach,
            mode: record.mode,
            window: fact.window,
        };
        binding(after, &given, ownership, false, now)?;
    }
    let home = |peer| after.peer(peer).map(|peer| peer.home());
    let home = after.find_peer(fact.peer).and_then(home);
    let is_related =
        home.is_some_and(|home| after.is_within(home, group.account) || after.is_within(group.account, home));
    if is_related {
        Ok(())
    } else {
        Err(Error::precondition(Precondition::MemberHomeNotRelated, format!("groups/{}", fact.group)))
    }
}

fn assignable(before: &Snapshot, fact: &BindingFact) -> Result<()> {
    let role = before.find_role(&fact.role).and_then(|role| before.role(role));
    if role.is_some_and(|role| !role.fact.rules.assignable) {
        return Err(Error::precondition(Precondition::RoleUnassignable, format!("roles/{}", fact.role)));
    }
    Ok(())
}

fn member_assignable(before: &Snapshot, fact: &MemberFact) -> Result<()> {
    let group = before.find_group(fact.group).and_then(|group| before.group(group));
    let roles = group.into_iter().flat_map(|group| group.bindings()).filter_map(|binding| before.role(binding.role));
    match roles.into_iter().find(|role| !role.fact.rules.assignable) {
        Some(role) => Err(Error::precondition(Precondition::RoleUnassignable, format!("roles/{}", role.fact.id))),
        None => Ok(()),
    }
}

/// Only the operator may disable or delete who holds an unassignable role.
fn peer((before, after): (&Snapshot, &Snapshot), old: &PeerFact, new: Option<&Fact>, standing: Standing) -> Result<()> {
    let is_stopped = match new {
        Some(Fact::Peer(new)) => {
            let is_disabled = old.status == PeerStatus::Enabled && new.status != PeerStatus::Enabled;
            is_disabled || new.status == PeerStatus::Deleted || new.expire_time != old.expire_time
        }
        Some(_) | None => true,
    };
    if standing == Standing::Operator || !is_stopped || old.status == PeerStatus::Deleted {
        return Ok(());
    }
    // Who goes with a deleted account loses that account's ownership alone: bindings elsewhere are
    // judged for themselves.
    if new.is_none() && after.find_account(old.home.as_str()).is_none() {
        return Ok(());
    }
    if before.find_peer(old.id).is_some_and(|peer| holds_unassignable(before, peer)) {
        return Err(Error::Forbidden { rule: Forbidden::OwnerProtected, subject: format!("peers/{}", old.id) });
    }
    Ok(())
}

fn account_name(snapshot: &Snapshot, account: AccountIndex) -> String {
    snapshot.account_id(account).map_or_else(|| "accounts/?".to_owned(), |id| format!("accounts/{id}"))
}
