//! Moving an account with everything below it, and what has to hold at the new place.
//!
//! Who would gain or lose by a move is judged on commit. Here stands what bindings and memberships
//! that stay as they are need of the tree around them.

use super::{AccountView, VIEW, admit_above, changed, check_etag, missing, name, record, row, save, shown};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result};
use crate::application::write::Write;
use crate::decision::holdings::place_of;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::fact::RoleFact;
use crate::domain::ids::AccountId;
use crate::domain::role::RoleOrigin;
use crate::domain::time::Timestamp;

const MOVE: &str = "accounts.move";

/// A wish to move an account.
#[derive(Debug, Clone)]
pub struct MoveAccount {
    pub id: AccountId,
    pub destination: AccountId,
    pub etag: Option<i64>,
}

/// Moves an account below another parent.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`], [`Error::EtagMismatch`];
/// [`Error::Precondition`] where a rule forbids it.
pub async fn move_account(ctx: &Ctx, call: &Call, request: MoveAccount) -> Result<AccountView> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let view = write.view()?;
    let account = super::find(&view, &request.id)?;
    let old = view.snapshot.account(account).and_then(|record| record.parent);
    let permit = admit_above(&view, MOVE, &request.id)?;
    let new = view.snapshot.find_account(request.destination.as_str()).ok_or_else(|| missing(&request.destination))?;
    view.admit(VIEW, MOVE, new, ("account", &name(&request.destination)))?;
    let is_cycle = view.snapshot.is_within(new, account);

    let before = row(&write, &request.id).await?;
    check_etag(&before, request.etag)?;
    if is_cycle {
        return Err(Error::precondition(Precondition::AccountCycle, name(&request.id)));
    }
    let kind = write.before().account(new).map(|record| record.fact.kind);
    if !kind.is_some_and(|kind| kind.may_hold(before.kind)) {
        return Err(Error::precondition(Precondition::AccountKindNotAllowed, name(&request.id)));
    }
    let mut after = before.clone();
    after.parent = Some(request.destination);
    let after = save(&mut write, &permit, &before, after).await?;
    check_place(&write, account)?;

    let text = |parent: &Option<AccountId>| parent.as_ref().map(name);
    let change = changed("parent_account", text(&before.parent), text(&after.parent));
    let parents: Vec<AccountIndex> = old.into_iter().chain([new]).collect();
    record(&mut write, &after, &parents, "accounts.move")?.changes.extend(change);
    let result = shown(&write, after).await?;
    write.commit(result).await
}

/// What is bound and joined below must be as usable at the new place as it was.
fn check_place(write: &Write<'_>, account: AccountIndex) -> Result<()> {
    let after = write.after()?;
    check_packs_below(&after, account)?;
    if let Some((role, _)) = unusable_bindings(write.before(), &after, account, write.now()).next() {
        let reason = match role.origin {
            RoleOrigin::BuiltIn => Precondition::RolePackNotEnabled,
            RoleOrigin::Custom { .. } => Precondition::RoleNotUsable,
        };
        return Err(Error::precondition(reason, format!("roles/{}", role.id)));
    }
    check_members(&after, account)
}

/// Bindings in a subtree whose roles can be used there before and not after.
pub(super) fn unusable_bindings<'a>(
    before: &'a Snapshot,
    after: &'a Snapshot,
    top: AccountIndex,
    now: Timestamp,
) -> impl Iterator<Item = (&'a RoleFact, AccountIndex)> {
    let bound = after
        .subtree(top)
        .into_iter()
        .flat_map(|account| after.bound_at(account).map(move |(holder, id)| (account, holder, id)).collect::<Vec<_>>());
    bound.filter_map(move |(account, holder, id)| {
        let binding = after.binding(holder, id)?;
        let role = &*after.role(binding.role)?.fact;
        let is_over = place_of(after, holder, binding).is_none_or(|place| place.window.is_over(now));
        let is_lost = before.is_role_usable_at(role, account) && !after.is_role_usable_at(role, account);
        (is_lost && !is_over).then_some((role, account))
    })
}

/// No partner below may list a pack that the accounts above it do not.
pub(super) fn check_packs_below(after: &Snapshot, top: AccountIndex) -> Result<()> {
    for account in after.subtree(top) {
        let Some(record) = after.account(account) else { continue };
        let above = record
            .parent
            .map(|parent| after.path(parent))
            .and_then(|path| after.role_packs(&path).map(<[String]>::to_vec));
        let (Some(own), Some(above)) = (&record.fact.role_packs, above) else { continue };
        if own.iter().any(|pack| !above.contains(pack)) {
            return Err(Error::precondition(Precondition::SettingLoosened, name(&record.fact.id)));
        }
    }
    Ok(())
}

/// Members of groups in the subtree, and groups of peers homed there, stay on one path.
fn check_members(after: &Snapshot, top: AccountIndex) -> Result<()> {
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
