//! What other services did and report.
//!
//! A report is a claim: its event names the caller as reporter, and everything else in it is what the
//! caller says. What is checked is that the caller may record there, and that the peers it names are
//! ones it may know. Reports change no policy, and so wait for nobody who does; they lock their logs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{acting_peer, append, log_of};
use crate::application::authorize::{CHECK, is_bound_on_path, is_visible};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result, Violation};
use crate::application::guard::View;
use crate::application::requests;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::audit::{ActingPeer, Actor, AuditDraft, Change, Outcome, Personal, SealedEvent, Target};
use crate::domain::ids::AccountId;
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerRef;
use crate::domain::permission::{CORE_PACK, Permission, PermissionOwner};
use crate::domain::time::Timestamp;
use crate::storage;
use crate::storage::audit::Entry;
use crate::storage::requests::{RequestKey, StoredRequest};
use crate::storage::{Constraint, StoreError};

const RECORD: &str = "audit.record";
/// What Peerage itself does without a permission.
const SESSIONS: &str = "sessions";
/// How far a report's clock may be ahead of this one, in microseconds.
const AHEAD_MICROS: i64 = 60 * 1_000_000;

/// One reported act.
#[derive(Debug, Clone)]
pub struct Report {
    pub account: AccountId,
    pub occurred_time: Option<Timestamp>,
    /// Who did it; the caller where nobody is named.
    pub actor: Option<PeerRef>,
    pub on_behalf_of: Option<PeerRef>,
    pub action: String,
    pub target: Target,
    pub outcome: Outcome,
    pub justification: Option<Personal>,
    pub source_address: Option<Personal>,
    pub user_agent: Option<Personal>,
    pub trace_id: Option<String>,
    pub changes: Vec<Change>,
}

/// Where a report stands in the log of its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    pub account: AccountId,
    pub seq: i64,
    pub event_id: Uuid,
}

/// Records reports, all or none, in their order. A rehearsal records nothing and names no events.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`] as [`View::admit_at`]; [`Error::Invalid`] with every peer
/// that the caller may not name and every time that has not come; [`Error::RequestIdReused`];
/// [`Error::Store`] where the database could not keep them, and then nothing of them is there.
pub async fn record(ctx: &Ctx, call: &Call, reports: Vec<Report>) -> Result<Vec<Reported>> {
    let key = requests::key(call);
    if let Some(done) = repeated(ctx, call, key.as_ref()).await? {
        return Ok(done);
    }
    let entries = entries(ctx, call, reports)?;
    if call.validate_only {
        return Ok(Vec::new());
    }
    let places: Vec<AccountId> = entries.iter().map(|(place, _)| place.clone()).collect();
    let acts: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
    let request = key.clone().map(|key| (key, call.body_hash));
    let (store, entropy, now) = (ctx.store.clone(), ctx.entropy, ctx.clock.now());
    let (policy, news) = (Arc::clone(&ctx.policy), Arc::clone(&ctx.news));
    let caller = call.caller;
    let work = async move {
        let transaction = store.begin().await?;
        let revision = policy.snapshot().revision();
        let widths: Vec<usize> = acts.iter().map(|act| act.logs.len()).collect();
        let events = append(entropy, transaction.connection(), acts, Some(revision), now).await?;
        let reported = reported(&events, places.iter().zip(widths))?;
        if let Some((key, body_hash)) = request {
            let response = serde_json::to_vec(&reported).map_err(|error| Error::Internal(error.into()))?;
            let request = StoredRequest { key, body_hash, response, create_time: now };
            storage::requests::save(transaction.connection(), &request, requests::oldest(now)).await?;
        }
        // The logs may have been locked for a while, and the key revoked meanwhile.
        View::of_caller(&policy.snapshot(), &caller, now)?;
        transaction.commit().await?;
        news.tell(&events);
        Ok(reported)
    };
    match ctx.policy.to_its_end(work).await {
        // The same request was under way twice, and the other one was first.
        Err(Error::Store(StoreError::UniqueViolation { constraint: Constraint::Request })) => {
            repeated(ctx, call, key.as_ref()).await?.ok_or_else(|| Error::Store(StoreError::Conflict(None)))
        }
        done => done,
    }
}

/// The event of each report in the log of its own, by that log and in how many the report stands.
fn reported<'p>(events: &[SealedEvent], places: impl Iterator<Item = (&'p AccountId, usize)>) -> Result<Vec<Reported>> {
    let mut rest = events;
    let mut found = Vec::new();
    for (place, width) in places {
        let (own, behind) = rest.split_at(width.min(rest.len()));
        rest = behind;
        let event = own.iter().find(|event| event.account == *place);
        let event = event.ok_or_else(|| Error::Internal(anyhow::anyhow!("a report has no event")))?;
        found.push(Reported { account: event.account.clone(), seq: event.seq, event_id: event.event_id });
    }
    Ok(found)
}

/// What an earlier call with the same request id returned.
async fn repeated(ctx: &Ctx, call: &Call, key: Option<&RequestKey>) -> Result<Option<Vec<Reported>>> {
    let Some(key) = key else { return Ok(None) };
    let found = storage::requests::find(ctx.store.reader(), key).await?;
    let oldest = requests::oldest(ctx.clock.now());
    let Some(found) = found.filter(|found| found.create_time > oldest) else { return Ok(None) };
    if found.body_hash != call.body_hash {
        return Err(Error::RequestIdReused);
    }
    serde_json::from_slice(&found.response).map(Some).map_err(|error| Error::Internal(error.into()))
}

/// The acts with the log that each belongs to.
fn entries(ctx: &Ctx, call: &Call, reports: Vec<Report>) -> Result<Vec<(AccountId, Entry)>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let mut violations = Vec::new();
    let mut entries = Vec::with_capacity(reports.len());
    for (place, report) in reports.into_iter().enumerate() {
        let account = view.admit_at(RECORD, &report.account)?.account();
        let reporter = acting_peer(&snapshot, view.actor).ok_or_else(|| Error::not_found("peer", "peers/me"))?;
        let named = Namer { view: &view, account };
        let at = |field: &str| format!("events[{place}].{field}");
        let mut peer = |field: &str, peer: &Option<PeerRef>| -> Option<Option<ActingPeer>> {
            let found = peer.as_ref().map(|peer| named.find(peer)).transpose();
            found.map_err(|why| violations.push(Violation::new(at(field), why))).ok()
        };
        let (actor, on_behalf_of) = (peer("actor", &report.actor), peer("on_behalf_of", &report.on_behalf_of));
        if is_own(&snapshot, &report.action) {
            let why = "acts of this service are recorded by itself";
            violations.push(Violation::new(at("action"), Invalid::NotAllowed { why }));
        }
        let occurred_time = report.occurred_time.unwrap_or(view.now);
        if occurred_time > view.now.plus_micros(AHEAD_MICROS) {
            let form = "a time that is at most a minute ahead";
            violations.push(Violation::new(at("occur_time"), Invalid::Form { form }));
        }
        let (Some(actor), Some(on_behalf_of)) = (actor, on_behalf_of) else { continue };
        let actor = actor.unwrap_or_else(|| reporter.clone());
        let own = log_of(&snapshot, account)
            .ok_or_else(|| Error::not_found("account", format!("accounts/{}", report.account)))?;
        let mut logs = vec![own.clone()];
        // The log of the actor's home hears of it only from those who may record there too.
        if let Some(home) = snapshot.find_account(actor.home_account.as_str()).filter(|home| view.may(RECORD, *home)) {
            logs.extend(log_of(&snapshot, home));
        }
        logs.sort();
        logs.dedup();
        let mut draft = AuditDraft::success(occurred_time, Actor::Peer(actor), report.action, report.target);
        draft.target.account = Some(report.account);
        draft.on_behalf_of = on_behalf_of;
        draft.reporter = Some(reporter);
        draft.session = Some(format!("apiKeys/{}", call.caller.api_key));
        draft.outcome = report.outcome;
        draft.justification = report.justification;
        draft.source_address = report.source_address;
        draft.user_agent = report.user_agent;
        draft.trace_id = report.trace_id.or_else(|| call.trace_id.clone());
        draft.changes = report.changes;
        entries.push((own, Entry { logs, draft }));
    }
    if violations.is_empty() { Ok(entries) } else { Err(Error::Invalid(violations)) }
}

/// Whether an action is one of Peerage's own, which nobody reports: its event would tell what never was.
fn is_own(snapshot: &Snapshot, action: &str) -> bool {
    let resource = action.split_once('.').map_or(action, |(resource, _)| resource);
    let is_core = |permission: &Permission| {
        permission.owner == PermissionOwner::Pack(CORE_PACK.to_owned()) && permission.name.resource() == resource
    };
    resource == SESSIONS || snapshot.permissions().iter().any(is_core)
}

/// Finds the peers that reports about an account name.
struct Namer<'a> {
    view: &'a View<'a>,
    account: AccountIndex,
}

impl Namer<'_> {
    /// The peer, if there is one that the caller may know of: one that it may view or ask about at home,
    /// or one that holds something on the account, by its uid, or by its user name for who may ask about
    /// anybody there. An event tells its readers who a uid is.
    fn find(&self, peer: &PeerRef) -> std::result::Result<ActingPeer, Invalid> {
        const NOBODY: Invalid = Invalid::NotAllowed { why: "there is no such peer that the caller may name" };
        let index = self.view.find_peer(peer).ok_or(NOBODY)?;
        let acts_here = || is_bound_on_path(self.view.snapshot, index, self.account);
        let is_known = match peer {
            PeerRef::Me => true,
            PeerRef::Id(_) => is_visible(self.view, index) || acts_here(),
            PeerRef::UserName(_) => is_visible(self.view, index) || (self.view.may(CHECK, self.account) && acts_here()),
        };
        if is_known { acting_peer(self.view.snapshot, index).ok_or(NOBODY) } else { Err(NOBODY) }
    }
}
