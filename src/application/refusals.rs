//! Administrative calls that were refused are audited: the first at once, repeats of the same one as
//! one event a minute with their count, so that nobody can fill a log by knocking.
//!
//! What the events say is written down in docs/audit-format.md, section 4: the action is the
//! permission that was needed, the reason the one that the caller was given. What is counted and not
//! yet recorded stands in `gathered`; a caller who varies the target gets some events of its own a
//! minute and then one that counts the rest.

mod gathered;

use std::sync::Arc;

pub use gathered::{Due, Refusals};
use gathered::{Kind, Lane, Owed};

use super::audit;
use super::context::{Call, Caller, Ctx};
use super::error::{Error, Forbidden, Result};
use crate::domain::audit::{AuditDraft, Target, Text};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;

/// The action of a refused call whose method needs no permission.
const OWN: &str = "calls.own";

/// What was refused, why, and on which account.
#[derive(Debug)]
struct Refusal {
    action: &'static str,
    reason: &'static str,
    target: Target,
    account: Option<AccountId>,
}

/// Does the work of a call, and records it where it is refused.
///
/// # Errors
/// What the work fails with; that a refusal could not be recorded is a fault of its own.
pub async fn watch<T>(ctx: &Ctx, call: &Call, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let result = work.await;
    if let Err(error) = &result {
        note_refused(ctx, call, error).await?;
    }
    result
}

/// Records an error where it is a refusal: of a call, or of an item of one that holds many.
///
/// # Errors
/// [`Error::Store`] where it could not be recorded.
pub(super) async fn note_refused(ctx: &Ctx, call: &Call, error: &Error) -> Result<()> {
    match Refusal::of(error, call.permission.unwrap_or(OWN)) {
        Some(refusal) => note(ctx, call, refusal).await,
        None => Ok(()),
    }
}

/// Records that a caller asked for a method whose permission it holds nowhere. What the request names
/// was not read, so that the method is all there is to name.
///
/// # Errors
/// [`Error::Store`] where it could not be recorded.
pub async fn note_at_gate(ctx: &Ctx, call: &Call, permission: &'static str) -> Result<()> {
    let refusal = Refusal { action: permission, reason: "PERMISSION_DENIED", target: method(call), account: None };
    note(ctx, call, refusal).await
}

impl Refusal {
    /// What there is to record of an error, if it is a refusal. The reasons are those of
    /// `error_reason.proto`.
    fn of(error: &Error, action: &'static str) -> Option<Self> {
        let on = |account: &AccountId| {
            (Target::new("account", Text::public(format!("accounts/{account}"))), Some(account.clone()))
        };
        let (action, reason, (target, account)) = match error {
            Error::Denied { permission, account, unmet } => {
                let reason = match (unmet.step_up, unmet.approval) {
                    (None, false) => "PERMISSION_DENIED",
                    (Some(_), false) => "STEP_UP_REQUIRED",
                    (_, true) => "APPROVAL_REQUIRED",
                };
                (*permission, reason, on(account))
            }
            Error::Escalation { account, .. } => (action, "ESCALATION", on(account)),
            Error::Forbidden { rule, subject } => {
                let (reason, kind) = match rule {
                    Forbidden::OwnerProtected => ("OWNER_PROTECTED", "peer"),
                    Forbidden::PartnerAccessOfOthers => ("PARTNER_ACCESS_OF_OTHERS", "account"),
                    Forbidden::OwnPersonLink => ("OWN_PERSON_LINK", "peer"),
                    Forbidden::DenialOfOthers => ("DENIAL_OF_OTHERS", "peer"),
                };
                (action, reason, (Target::new(kind, Text::public(subject.clone())), None))
            }
            // A name that leads nowhere may hold anything, a user name included.
            Error::NotFound { kind, name } => {
                let kind = kind.to_ascii_lowercase().replace(' ', "_");
                (action, "RESOURCE_NOT_FOUND", (Target::new(kind, Text::personal(name.clone())), None))
            }
            Error::Invalid(_)
            | Error::Unauthenticated(_)
            | Error::AlreadyExists { .. }
            | Error::Precondition { .. }
            | Error::GainsUnconfirmed { .. }
            | Error::EtagMismatch { .. }
            | Error::Bootstrapped
            | Error::NotEmpty
            | Error::NotReady
            | Error::Diverged { .. }
            | Error::RevisionNotReached
            | Error::RevisionNotKept
            | Error::MomentInFuture
            | Error::RequestIdReused
            | Error::PageToken
            | Error::PermissionUnknown { .. }
            | Error::LimitReached { .. }
            | Error::Overloaded
            | Error::Unimplemented
            | Error::Store(_)
            | Error::Snapshot(_)
            | Error::Internal(_) => return None,
        };
        Some(Self { action, reason, target, account })
    }
}

async fn note(ctx: &Ctx, call: &Call, refusal: Refusal) -> Result<()> {
    let now = ctx.clock.now();
    // From wherever it calls, so that many addresses are no larger budget.
    let caller = Caller { source_address: None, ..call.caller };
    let lane = Lane { caller, method: call.method };
    let target = refusal.target.name.value().unwrap_or_default().to_owned();
    let kind = Kind::One { action: refusal.action, reason: refusal.reason, target };
    let event = |kind: &Kind| match kind {
        Kind::One { .. } => entry(ctx, call, &refusal, now),
        Kind::Others => entry(ctx, call, &Refusal { target: method(call), account: None, ..refusal }, now),
    };
    let owed = ctx.refusals.gather((lane, kind), event, now);
    record(ctx, owed, now).await
}

/// The method as a target, where what the request names was not read, or was too much to tell.
fn method(call: &Call) -> Target {
    Target::new("method", Text::public(call.method.trim_start_matches('/')))
}

/// The event of a refusal, in the log of the account and in that of the caller's home.
fn entry(ctx: &Ctx, call: &Call, refusal: &Refusal, now: Timestamp) -> Option<Entry> {
    let snapshot = ctx.snapshot();
    let peer = snapshot.find_peer(call.caller.peer)?;
    let home = snapshot.peer(peer)?.home();
    let at = refusal.account.as_ref().and_then(|account| snapshot.find_account(account.as_str()));
    let mut logs: Vec<AccountId> =
        [Some(home), at].into_iter().flatten().filter_map(|account| audit::log_of(&snapshot, account)).collect();
    logs.sort();
    logs.dedup();
    let draft: AuditDraft = audit::draft(&snapshot, call, peer, now, refusal.action, refusal.target.clone());
    Some(Entry { logs, draft: draft.denied(refusal.reason) })
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
    let (store, entropy) = (ctx.store.clone(), ctx.entropy);
    let (policy, news) = (Arc::clone(&ctx.policy), Arc::clone(&ctx.news));
    let work = async move {
        let transaction = store.begin().await?;
        let revision = policy.snapshot().revision();
        let events = audit::append(entropy, transaction.connection(), owed.entries(), Some(revision), now).await?;
        transaction.commit().await?;
        news.tell(&events);
        owed.settle();
        Ok(())
    };
    ctx.policy.to_its_end(work).await
}
