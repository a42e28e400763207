//! Audit events: which log they stand in, what every one of them says, and how they are read.

use sea_orm::ConnectionTrait;

use super::context::{Call, Ctx};
use super::error::{Error, Result};
use super::write::Act;
use crate::decision::{AccountIndex, PeerIndex, Snapshot};
use crate::domain::account::AccountKind;
use crate::domain::audit::{ActingPeer, Actor, AuditDraft, Personal, Target};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage;

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
pub(super) async fn append(
    ctx: &Ctx,
    connection: &impl ConnectionTrait,
    acts: &[Act],
    revision: Option<i64>,
    now: Timestamp,
) -> Result<()> {
    let _ = (ctx, connection, acts, revision, now);
    Err(Error::Unimplemented)
}
