//! Moving an account with everything below it. Who would gain or lose by that, and whether all that
//! stays as it is can stand at the new place, is judged on commit.

use super::{AccountView, VIEW, admit_above, changed, check_etag, missing, name, record, row, save, shown};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result};
use crate::application::write::Write;
use crate::decision::AccountIndex;
use crate::domain::ids::AccountId;

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
    let old = view.snapshot.parent(account);
    let permit = admit_above(&view, MOVE, &request.id)?;
    let new = view.snapshot.find_account(request.destination.as_str()).ok_or_else(|| missing(&request.destination))?;
    view.admit(VIEW, MOVE, new, ("account", &name(&request.destination)))?;
    let is_cycle = view.snapshot.is_within(new, account);

    let before = row(&write, &request.id).await?;
    check_etag(&before, request.etag)?;
    if is_cycle {
        return Err(Error::precondition(Precondition::AccountCycle, name(&request.id)));
    }
    let kind = write.before().account(new).map(|record| record.kind);
    if !kind.is_some_and(|kind| kind.may_hold(before.kind)) {
        return Err(Error::precondition(Precondition::AccountKindNotAllowed, name(&request.id)));
    }
    let mut after = before.clone();
    after.parent = Some(request.destination);
    let after = save(&mut write, &permit, &before, after).await?;

    let text = |parent: &Option<AccountId>| parent.as_ref().map(name);
    let change = changed("parent_account", text(&before.parent), text(&after.parent));
    let parents: Vec<AccountIndex> = old.into_iter().chain([new]).collect();
    record(&mut write, &after, &parents, "accounts.move")?.changes.extend(change);
    let result = shown(&write, after).await?;
    write.commit(result).await
}
