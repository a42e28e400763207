//! May this peer do this, on this account, now? And who may ask.
//!
//! Everyone may ask about themselves; about others one needs `access.check` on the account, and
//! without it neither the account nor the peer is there. No I/O, unless the caller demands a state of
//! the policy that is not here yet.

use std::time::Duration;

use super::context::Ctx;
use super::error::{Error, Result};
use super::guard::View;
use super::refresh;
use crate::crypto::api_key::hash_presented;
use crate::decision::{AccountIndex, Decision, PeerIndex, Query, Reason, Snapshot, evaluate};
use crate::domain::context::Context;
use crate::domain::ids::AccountId;
use crate::domain::peer::PeerRef;

/// What lets a caller ask about others.
pub(super) const CHECK: &str = "access.check";
/// The longest wait for a revision where the call itself has no shorter deadline.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The most that is kept of a call's time for its answer.
const WAY_BACK_MAX: Duration = Duration::from_millis(250);
/// How long a wait lasts before it looks at the database again, at first and at most.
const STEP_MIN: Duration = Duration::from_millis(20);
const STEP_MAX: Duration = Duration::from_secs(1);

/// Who would act.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The presented credential.
    Caller,
    Peer(PeerRef),
    /// The text of a credential.
    Token(String),
}

/// How fresh the policy must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// What is here.
    #[default]
    MinimizeLatency,
    /// At least this revision.
    AtLeast(i64),
    /// All that was committed when the call arrived.
    Latest,
}

/// One check.
#[derive(Debug, Clone)]
pub struct Check<'a> {
    pub subject: &'a Subject,
    pub permission: &'a str,
    pub account: &'a AccountId,
    pub context: &'a Context,
}

/// The answer to a check, and the revision it was decided at.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub decision: Decision,
    pub revision: i64,
}

/// What an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The policy as it is about the subject.
    Policy,
    /// A caller that asks about itself and holds nothing on the way to the root: whether the account is
    /// suspended is not for it to know.
    CallerUnbound,
    /// The same, where there is no such account.
    AccountMissing,
    /// The subject holds nothing here, and the caller may not know that it is there.
    SubjectHidden,
    /// What was presented for the subject is over.
    CredentialEnded,
}

/// An answer, whom it is about, and what it came from.
#[derive(Debug, Clone, Copy)]
pub struct Decided {
    pub answer: Answer,
    /// Who was asked about, whether or not the caller may know of it.
    pub subject: Option<PeerIndex>,
    pub basis: Basis,
}

/// Waits until the policy here is as fresh as demanded. A call that has `time` is answered before that
/// is over, so that its caller learns what it waited for.
///
/// # Errors
/// [`Error::RevisionNotReached`] where it is not in time, rather than an answer from the past.
pub async fn await_revision(ctx: &Ctx, consistency: Consistency, time: Option<Duration>) -> Result<()> {
    let is_here = match consistency {
        Consistency::MinimizeLatency => true,
        Consistency::AtLeast(revision) => ctx.snapshot_guard().revision() >= revision,
        Consistency::Latest => false,
    };
    // What waits for nothing needs no timer.
    if is_here {
        return Ok(());
    }
    let wait = async {
        match consistency {
            Consistency::MinimizeLatency => Ok(()),
            Consistency::AtLeast(revision) => reach(ctx, revision).await,
            Consistency::Latest => refresh::catch_up(ctx, Duration::ZERO).await,
        }
    };
    let patience = time.map_or(WAIT_MAX, |time| time.saturating_sub(way_back(time)).min(WAIT_MAX));
    tokio::time::timeout(patience, wait).await.unwrap_or(Err(Error::RevisionNotReached))
}

/// What an answer may need to reach its caller: a fifth of its time, within bounds.
fn way_back(time: Duration) -> Duration {
    (time / 5).min(WAY_BACK_MAX)
}

/// Waits for a revision. All who wait share their looks at the database, so that asking for the far
/// future costs it nothing, and are woken by whoever publishes.
async fn reach(ctx: &Ctx, wanted: i64) -> Result<()> {
    let mut revisions = ctx.policy.revisions();
    let mut step = STEP_MIN;
    loop {
        refresh::catch_up(ctx, STEP_MIN).await?;
        match tokio::time::timeout(step, revisions.wait_for(|revision| *revision >= wanted)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(_)) => return Err(Error::NotReady),
            Err(_) => step = STEP_MAX.min(step * 2),
        }
    }
}

/// Decides one check, of a caller who was let in, on one snapshot.
///
/// # Errors
/// [`Error::PermissionUnknown`]; [`Error::NotFound`] where the caller may not ask, or the account is
/// missing for one who may know.
pub fn decide(ctx: &Ctx, view: &View<'_>, check: &Check<'_>) -> Result<Decided> {
    let (snapshot, now, context) = (view.snapshot, view.now, check.context);
    let permission = snapshot.find_permission(check.permission).ok_or_else(|| Error::PermissionUnknown {
        field: "permission".to_owned(),
        name: check.permission.to_owned(),
    })?;
    let (subject, has_ended) = match find_subject(ctx, view, check.subject) {
        Found::Peer(peer) => (Some(peer), false),
        Found::Ended => (None, true),
        Found::Nobody => (None, false),
    };
    let decided = |decision, basis| {
        let answer = Answer { decision, revision: snapshot.revision() };
        Ok(Decided { answer, subject, basis })
    };
    let account = snapshot.find_account(check.account.as_str());
    let missing = || Error::not_found("account", format!("accounts/{}", check.account));
    let is_self = subject == Some(view.actor);
    let account = match account {
        Some(account) if is_self || view.may(CHECK, account) => account,
        None if is_self && !may_check_everywhere(view) => {
            return decided(Decision::deny(Reason::NoMatchingGrant), Basis::AccountMissing);
        }
        _ => return Err(missing()),
    };
    if has_ended {
        return decided(Decision::deny(Reason::SubjectSessionEnded), Basis::CredentialEnded);
    }
    let query = Query { peer: subject, permission, account, now, context };
    let decision = evaluate(snapshot, &query);
    // A binding that decides says that there is one, so that only other answers need another look.
    let is_bound = || subject.is_some_and(|subject| is_bound_on_path(snapshot, subject, account));
    if decision.deciding.is_some() || is_bound() {
        ctx.shadow.offer(snapshot, &query, decision.outcome);
        return decided(decision, Basis::Policy);
    }
    match subject {
        Some(_) if is_self => decided(Decision::deny(Reason::NoMatchingGrant), Basis::CallerUnbound),
        // One who holds nothing here and is not the caller's to see is as unknown as one who is not.
        Some(peer) if !is_visible(view, peer) => decided(Decision::deny(Reason::SubjectUnknown), Basis::SubjectHidden),
        Some(_) | None => decided(decision, Basis::Policy),
    }
}

/// Who a subject is, as far as the facts know.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    /// Whether or not it can act.
    Peer(PeerIndex),
    /// The key was one, and is over. Of revoked ones the facts know nothing.
    Ended,
    Nobody,
}

pub(super) fn find_subject(ctx: &Ctx, view: &View<'_>, subject: &Subject) -> Found {
    let peer = match subject {
        Subject::Caller => Some(view.actor),
        Subject::Peer(peer) => view.find_peer(peer),
        Subject::Token(text) => {
            let record = hash_presented(text).and_then(|hash| view.snapshot.find_api_key(&hash));
            if record.is_some_and(|record| record.expire_time.is_some_and(|end| end <= view.now)) {
                return Found::Ended;
            }
            // Whoever holds the key presented it to the caller.
            record.map(|record| {
                ctx.uses.note(record.id, view.now);
                record.peer
            })
        }
    };
    peer.map_or(Found::Nobody, Found::Peer)
}

pub(super) fn may_check_everywhere(view: &View<'_>) -> bool {
    let root = view.snapshot.find_account(AccountId::platform().as_str());
    root.is_some_and(|root| view.may(CHECK, root))
}

/// Whether the caller may know of a peer at all: by viewing it, or by checking access at its home.
pub(super) fn is_visible(view: &View<'_>, peer: PeerIndex) -> bool {
    let home = view.snapshot.peer(peer).map(|peer| peer.home());
    home.is_some_and(|home| view.may("peers.view", home) || view.may(CHECK, home))
}

/// Whether a peer holds any binding on the way from the account to the root. A caller who holds none
/// learns nothing about the account, not even that it is suspended.
pub(super) fn is_bound_on_path(snapshot: &Snapshot, peer: PeerIndex, account: AccountIndex) -> bool {
    snapshot.holds_on(peer, &snapshot.path(account))
}
