//! Administrative calls that were refused are audited: the first at once, repeats of the same one as
//! one event a minute with their count, so that nobody can fill a log by knocking.
//!
//! INVARIANT: what is remembered is bounded; a caller who varies the target makes events of its own.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

use super::audit;
use super::context::{Call, Caller, Ctx};
use super::error::{Error, Result};
use crate::domain::audit::{AuditDraft, Target, Text};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;

/// How long repeats are gathered, in microseconds.
const GATHER_MICROS: i64 = 60 * 1_000_000;
/// The most refusals that are remembered at once.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    caller: Caller,
    method: &'static str,
    reason: &'static str,
    target: String,
}

#[derive(Debug)]
struct Gathered {
    since: Timestamp,
    repeats: u64,
    entry: Entry,
}

/// Refusals of the last minute.
#[derive(Debug, Default)]
pub struct Refusals {
    gathered: Mutex<HashMap<Key, Gathered>>,
}

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
        | Error::RevisionNotReached
        | Error::RequestIdReused
        | Error::PageToken
        | Error::PermissionUnknown { .. }
        | Error::LimitReached { .. }
        | Error::Overloaded
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
    let key = Key { caller: call.caller, method: call.method, reason, target };
    let Some(entry) = entry(ctx, call, &key, account, now) else { return Ok(()) };
    let entries = ctx.refusals.gather(key, entry, now);
    record(ctx, &entries, now).await
}

/// The event of a refusal, in the log of the account and in that of the caller's home.
fn entry(ctx: &Ctx, call: &Call, key: &Key, account: Option<&AccountId>, now: Timestamp) -> Option<Entry> {
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
    let name = Text::personal(key.target.clone());
    let draft: AuditDraft = audit::draft(&snapshot, call, peer, now, &action, Target::new("resource", name));
    Some(Entry { logs, draft: draft.denied(key.reason) })
}

/// Writes the repeats whose minute is over. Called by a worker.
///
/// # Errors
/// [`Error::Store`] where the database could not keep them.
pub async fn flush(ctx: &Ctx) -> Result<()> {
    let now = ctx.clock.now();
    let entries = ctx.refusals.take_over(now);
    record(ctx, &entries, now).await
}

async fn record(ctx: &Ctx, entries: &[Entry], now: Timestamp) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let transaction = ctx.store.begin().await?;
    let revision = ctx.snapshot().revision();
    audit::append(ctx, transaction.connection(), entries, Some(revision), now).await?;
    transaction.commit().await?;
    Ok(())
}

impl Refusals {
    /// What is to be written now: the first of its kind, or the repeats before it.
    fn gather(&self, key: Key, entry: Entry, now: Timestamp) -> Vec<Entry> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        match gathered.get_mut(&key) {
            Some(known) if known.since.plus_micros(GATHER_MICROS) > now => {
                known.repeats += 1;
                Vec::new()
            }
            Some(known) => {
                let repeats = std::mem::replace(known, Gathered { since: now, repeats: 0, entry: entry.clone() });
                repeats.counted().into_iter().chain([entry]).collect()
            }
            None => {
                if gathered.len() < REMEMBERED_MAX {
                    gathered.insert(key, Gathered { since: now, repeats: 0, entry: entry.clone() });
                }
                vec![entry]
            }
        }
    }

    fn take_over(&self, now: Timestamp) -> Vec<Entry> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let over = gathered.extract_if(|_, known| known.since.plus_micros(GATHER_MICROS) <= now);
        over.filter_map(|(_, known)| known.counted()).collect()
    }
}

impl Gathered {
    /// One event for all repeats, if there were any.
    fn counted(self) -> Option<Entry> {
        let count = NonZeroU64::new(self.repeats)?;
        Some(Entry { draft: AuditDraft { count: Some(count), ..self.entry.draft }, logs: self.entry.logs })
    }
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
