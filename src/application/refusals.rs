//! Administrative calls that were refused are audited: the first at once, repeats of the same one as
//! one event a minute with their count, so that nobody can fill a log by knocking.
//!
//! What is counted and not yet recorded stands in [`gathered`]; a caller who varies the target gets
//! some events of its own a minute and then one that counts the rest.

mod gathered;

use std::sync::Arc;

pub use gathered::{Due, Refusals};
use gathered::{Kind, Lane, Owed};

use super::audit;
use super::context::{Call, Ctx};
use super::error::{Error, Result};
use crate::domain::audit::{AuditDraft, Target, Text};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;

/// Does the work of a call, and records it where it is refused.
///
/// # Errors
/// What the work fails with; that a refusal could not be recorded is a fault of its own.
pub async fn watch<T>(ctx: &Ctx, call: &Call, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let result = work.await;
    if let Err(error) = &result
        && let Some((reason, target, account)) = refusal(error)
    {
        note(ctx, call, (reason, target), account).await?;
    }
    result
}

/// Records that a caller asked for a method whose permission it holds nowhere.
///
/// # Errors
/// [`Error::Store`] where it could not be recorded.
pub async fn note_at_gate(ctx: &Ctx, call: &Call, permission: &'static str) -> Result<()> {
    note(ctx, call, (permission, call.method.to_owned()), None).await
}

/// What was refused, of what, and on which account, if the error is a refusal.
fn refusal(error: &Error) -> Option<(&'static str, String, Option<&AccountId>)> {
    match error {
        Error::Denied { permission, account, .. } => Some((permission, format!("accounts/{account}"), Some(account))),
        Error::Escalation { account, .. } => Some(("ESCALATION", format!("accounts/{account}"), Some(account))),
        Error::Forbidden { subject, .. } => Some(("FORBIDDEN", subject.clone(), None)),
        Error::NotFound { name, .. } => Some(("RESOURCE_NOT_FOUND", name.clone(), None)),
        Error::Invalid(_)
        | Error::Unauthenticated(_)
        | Error::AlreadyExists { .. }
        | Error::Precondition { .. }
        | Error::EtagMismatch { .. }
        | Error::Bootstrapped
        | Error::NotReady
        | Error::Diverged { .. }
        | Error::RevisionNotReached
        | Error::RequestIdReused
        | Error::PageToken
        | Error::PermissionUnknown { .. }
        | Error::LimitReached { .. }
        | Error::Unimplemented
        | Error::Store(_)
        | Error::Snapshot(_)
        | Error::Internal(_) => None,
    }
}

async fn note(
    ctx: &Ctx,
    call: &Call,
    (reason, target): (&'static str, String),
    account: Option<&AccountId>,
) -> Result<()> {
    let now = ctx.clock.now();
    let lane = Lane { caller: call.caller, method: call.method };
    let kind = Kind::One { reason, target };
    let event = |kind: &Kind| match kind {
        Kind::One { target, .. } => entry(ctx, call, (reason, target), account, now),
        Kind::Others => entry(ctx, call, (reason, call.method), None, now),
    };
    let owed = ctx.refusals.gather((lane, kind), event, now);
    record(ctx, owed, now).await
}

/// The event of a refusal, in the log of the account and in that of the caller's home.
fn entry(
    ctx: &Ctx,
    call: &Call,
    (reason, target): (&'static str, &str),
    account: Option<&AccountId>,
    now: Timestamp,
) -> Option<Entry> {
    let snapshot = ctx.snapshot();
    let peer = snapshot.find_peer(call.caller.peer)?;
    let home = snapshot.peer(peer)?.home();
    let at = account.and_then(|account| snapshot.find_account(account.as_str()));
    let mut logs: Vec<AccountId> =
        [Some(home), at].into_iter().flatten().filter_map(|account| audit::log_of(&snapshot, account)).collect();
    logs.sort();
    logs.dedup();
    let action = format!("calls.{}", snake_case(call.method.rsplit('/').next().unwrap_or("unknown")));
    // A name that leads nowhere may hold anything, a user name included.
    let name = Text::personal(target);
    let draft: AuditDraft = audit::draft(&snapshot, call, peer, now, &action, Target::new("resource", name));
    Some(Entry { logs, draft: draft.denied(reason) })
}

/// Records what is due. Called by a worker.
///
/// # Errors
/// [`Error::Store`] where the database could not keep it; then it is still owed.
pub async fn flush(ctx: &Ctx, due: Due) -> Result<()> {
    loop {
        let now = ctx.clock.now();
        let owed = ctx.refusals.take_over(now, due);
        if owed.is_empty() {
            return Ok(());
        }
        record(ctx, owed, now).await?;
    }
}

/// Records refusals, also where the caller does not wait for it.
async fn record(ctx: &Ctx, owed: Owed, now: Timestamp) -> Result<()> {
    if owed.is_empty() {
        return Ok(());
    }
    let (store, entropy, policy) = (ctx.store.clone(), ctx.entropy, Arc::clone(&ctx.policy));
    let work = async move {
        let transaction = store.begin().await?;
        let revision = policy.snapshot().revision();
        audit::append(entropy, transaction.connection(), &owed.entries(), Some(revision), now).await?;
        transaction.commit().await?;
        owed.settle();
        Ok(())
    };
    ctx.policy.to_its_end(work).await
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}
