//! Audit events: which log they stand in, what every one of them says, and how they are read.

use std::sync::{Mutex, PoisonError};

use super::context::{Call, Ctx, Entropy};
use super::error::{Error, Result};
use super::guard::View;
use super::page::Page;
use crate::decision::{AccountIndex, PeerIndex, Snapshot};
use crate::domain::account::AccountKind;
use crate::domain::audit::{ActingPeer, Actor, AuditDraft, AuditEvent, Personal, SealedEvent, Target, open};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;
use crate::storage::{self, TransactionConnection};

/// The account in whose log an act on an account stands: departments write to their customer's.
#[must_use]
pub fn log_of(snapshot: &Snapshot, account: AccountIndex) -> Option<AccountId> {
    let path = snapshot.path(account);
    let mut records = path.as_slice().iter().filter_map(|account| snapshot.account(*account));
    records.find(|record| record.fact.kind != AccountKind::Department).map(|record| record.fact.id.clone())
}

/// An act of a caller, with all that is known about the call.
pub(super) fn draft(
    snapshot: &Snapshot,
    call: &Call,
    peer: PeerIndex,
    now: Timestamp,
    action: &str,
    target: Target,
) -> AuditDraft {
    let acting = snapshot.peer(peer).and_then(|view| {
        let home_account = snapshot.account_id(view.home())?.clone();
        Some(ActingPeer { uid: view.id(), kind: view.kind(), home_account, display_name: None })
    });
    let mut draft = AuditDraft::success(now, acting.map_or(Actor::Anonymous, Actor::Peer), action, target);
    draft.session = Some(format!("apiKeys/{}", call.caller.api_key));
    draft.source_address = call.source_address.clone().map(Personal::new);
    draft.user_agent = call.user_agent.clone().map(Personal::new);
    draft.trace_id = call.trace_id.clone();
    draft
}

/// An act of the service itself.
pub(super) fn system_draft(name: &str, now: Timestamp, action: &str, target: Target) -> AuditDraft {
    AuditDraft::success(now, Actor::System { name: name.to_owned() }, action, target)
}

/// Writes acts to their logs within a transaction.
///
/// # Errors
/// [`Error::Internal`] without randomness, [`Error::Store`] where the database could not keep them.
pub(super) async fn append(
    entropy: Entropy,
    transaction: &TransactionConnection,
    acts: &[Entry],
    revision: Option<i64>,
    now: Timestamp,
) -> Result<()> {
    // Storage draws no random numbers and its sources cannot fail, so a failure is kept until the end,
    // where it undoes the transaction.
    let failure = Mutex::new(None);
    let keep = |error: Error| *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    let mut event_id = || entropy.uuid(now).map_err(keep).unwrap_or_default();
    let mut salt = || entropy.bytes().map_err(keep).unwrap_or([0; 32]);
    let recording =
        storage::audit::Recording { revision, recorded_time: now, event_id: &mut event_id, salt: &mut salt };
    storage::audit::append(transaction, acts, recording).await?;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

/// Which events are listed.
#[derive(Debug, Clone)]
pub struct ListEvents {
    pub account: AccountId,
    pub after_seq: i64,
    pub limit: u64,
}

/// An event with the bytes that its hash is made of.
#[derive(Debug, Clone)]
pub struct ListedEvent {
    pub sealed: SealedEvent,
    pub event: AuditEvent,
}

/// The log of a deleted account stays, for those who may read the log of the nearest account above it
/// that is still there.
async fn admit(ctx: &Ctx, view: &View<'_>, account: &AccountId) -> Result<()> {
    if view.snapshot.find_account(account.as_str()).is_none()
        && let Some(above) = storage::accounts::ancestors_of_deleted(ctx.store.reader(), account).await?
    {
        let nearest = above.iter().find_map(|id| view.snapshot.find_account(id.as_str()));
        if nearest.is_some_and(|nearest| view.may("audit.view", nearest)) {
            return Ok(());
        }
    }
    view.admit_at("audit.view", account).map(|_| ())
}

/// Lists the events of an account's log, oldest first.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`] as [`View::admit_at`].
pub async fn list(ctx: &Ctx, call: &Call, request: &ListEvents) -> Result<Page<ListedEvent, i64>> {
    let snapshot = ctx.snapshot();
    admit(ctx, &View::of_caller(&snapshot, &call.caller, ctx.clock.now())?, &request.account).await?;
    let sealed =
        storage::audit::list(ctx.store.reader(), &request.account, request.after_seq, request.limit + 1).await?;
    let events: Result<Vec<ListedEvent>> = sealed
        .into_iter()
        .map(|sealed| {
            let event =
                open(&sealed.bytes, &sealed.personal).map_err(|error| Error::Internal(anyhow::Error::new(error)))?;
            Ok(ListedEvent { sealed, event })
        })
        .collect();
    Ok(Page::cut(events?, request.limit, |listed| listed.sealed.seq))
}
