//! Suspending accounts and ending that again, judged on the parent.

use super::{AccountView, admit_above, changed, check_etag, name, record, row, save, shown};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result};
use crate::application::write::Write;
use crate::domain::account::{Suspension, SuspensionScope};
use crate::domain::audit::Personal;
use crate::domain::ids::AccountId;

/// A wish to suspend an account.
#[derive(Debug, Clone)]
pub struct Suspend {
    pub id: AccountId,
    pub scope: SuspensionScope,
    pub reason: String,
    pub etag: Option<i64>,
}

/// A wish to end an account's own suspension.
#[derive(Debug, Clone)]
pub struct Resume {
    pub id: AccountId,
    pub reason: String,
    pub etag: Option<i64>,
}

/// Suspends an account.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`]; [`Error::Precondition`] where it is the root or suspended
/// already, by itself or from above.
pub async fn suspend(ctx: &Ctx, call: &Call, request: Suspend) -> Result<AccountView> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let permit = admit_above(&write.view()?, "accounts.suspend", &request.id)?;
    let before = row(&write, &request.id).await?;
    check_etag(&before, request.etag)?;
    if before.suspension.is_some() {
        return Err(Error::precondition(Precondition::AccountSuspended, name(&request.id)));
    }
    let mut after = before.clone();
    let (scope, reason) = (request.scope, request.reason);
    after.suspension = Some(Suspension { scope, reason: reason.clone(), suspend_time: write.now() });
    let after = save(&mut write, &permit, &before, after).await?;
    let change = changed("suspension.scope", None, Some(scope.as_str().to_owned()));
    let draft = record(&mut write, &after, &[permit.account()], "accounts.suspend")?;
    draft.justification = Some(Personal::new(reason));
    draft.changes.extend(change);
    let result = shown(&write, after).await?;
    write.commit(result).await
}

/// Ends an account's own suspension; one that it inherits stays.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`]; [`Error::Precondition`] where it is not suspended itself.
pub async fn resume(ctx: &Ctx, call: &Call, request: Resume) -> Result<AccountView> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let permit = admit_above(&write.view()?, "accounts.resume", &request.id)?;
    let before = row(&write, &request.id).await?;
    check_etag(&before, request.etag)?;
    let Some(suspension) = &before.suspension else {
        return Err(Error::precondition(Precondition::AccountNotSuspended, name(&request.id)));
    };
    let change = changed("suspension.scope", Some(suspension.scope.as_str().to_owned()), None);
    let mut after = before.clone();
    after.suspension = None;
    let after = save(&mut write, &permit, &before, after).await?;
    let draft = record(&mut write, &after, &[permit.account()], "accounts.resume")?;
    draft.justification = (!request.reason.is_empty()).then(|| Personal::new(request.reason));
    draft.changes.extend(change);
    let result = shown(&write, after).await?;
    write.commit(result).await
}
