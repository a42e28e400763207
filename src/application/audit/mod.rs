//! Audit events: which log they stand in, what every one of them says, how they are read, watched and
//! reported by others.

pub mod list;
pub mod news;
pub mod record;
mod show;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

pub use list::{ListEvents, list};
pub use record::{Report, Reported, record};
pub use show::ListedEvent;
pub use watch::{Begin, Watch, WatchEvents};

use super::context::{Call, Ctx, Entropy};
use super::error::{Error, Result};
use super::guard::View;
use crate::decision::{AccountIndex, PeerIndex, Snapshot};
use crate::domain::account::AccountKind;
use crate::domain::audit::{ActingPeer, Actor, AuditDraft, Personal, SealedEvent, Target};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::invalid::Invalid;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;
use crate::storage::{self, TransactionConnection};

/// The account in whose log an act on an account stands: departments write to their customer's.
#[must_use]
pub fn log_of(snapshot: &Snapshot, account: AccountIndex) -> Option<AccountId> {
    let path = snapshot.path(account);
    let keeps_one = |account: &&AccountIndex| {
        snapshot.account(**account).is_some_and(|record| record.kind != AccountKind::Department)
    };
    path.as_slice().iter().find(keeps_one).and_then(|account| snapshot.account_id(*account)).cloned()
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
    let acting = acting_peer(snapshot, peer);
    let mut draft = AuditDraft::success(now, acting.map_or(Actor::Anonymous, Actor::Peer), action, target);
    draft.session = Some(format!("apiKeys/{}", call.caller.api_key));
    draft.source_address = call.caller.source_address.map(|address| Personal::new(address.to_string()));
    draft.user_agent = call.user_agent.clone().map(Personal::new);
    draft.trace_id = call.trace_id.clone();
    draft
}

/// A peer as it acts. Its name is filled in where the event is written.
fn acting_peer(snapshot: &Snapshot, peer: PeerIndex) -> Option<ActingPeer> {
    let view = snapshot.peer(peer)?;
    let home_account = snapshot.account_id(view.home())?.clone();
    Some(ActingPeer { uid: view.id(), kind: view.kind(), home_account, display_name: None })
}

/// An act of the service itself.
pub(super) fn system_draft(name: &str, now: Timestamp, action: &str, target: Target) -> AuditDraft {
    AuditDraft::success(now, Actor::System { name: name.to_owned() }, action, target)
}

/// Writes acts to their logs within a transaction, with the names that acting peers have now. Returns
/// the events act by act, those of one act in the order of its logs.
///
/// # Errors
/// [`Error::Internal`] without randomness, [`Error::Store`] where the database could not keep them.
pub(super) async fn append(
    entropy: Entropy,
    transaction: &TransactionConnection,
    mut acts: Vec<Entry>,
    revision: Option<i64>,
    now: Timestamp,
) -> Result<Vec<SealedEvent>> {
    name_peers(transaction, &mut acts).await?;
    // Storage draws no random numbers and its sources cannot fail, so a failure is kept until the end,
    // where it undoes the transaction.
    let failure = Mutex::new(None);
    let keep = |error: Error| *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    let mut event_id = || entropy.uuid(now).map_err(keep).unwrap_or_default();
    let mut salt = || entropy.bytes().map_err(keep).unwrap_or([0; 32]);
    let recording =
        storage::audit::Recording { revision, recorded_time: now, event_id: &mut event_id, salt: &mut salt };
    let sealed = storage::audit::append(transaction, &acts, recording).await?;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(sealed),
        Some(error) => Err(error),
    }
}

/// Fills in what acting peers are called, for people who read the log when a peer is renamed or gone.
async fn name_peers(transaction: &TransactionConnection, acts: &mut [Entry]) -> Result<()> {
    let unnamed = |peer: &&mut ActingPeer| peer.display_name.is_none();
    let ids: BTreeSet<PeerId> = acts.iter_mut().flat_map(acting_peers).filter(unnamed).map(|peer| peer.uid).collect();
    let ids: Vec<PeerId> = ids.into_iter().collect();
    let mut names = BTreeMap::new();
    for peer in storage::peers::find_many(transaction, &ids).await? {
        let name = peer.profile.full_name();
        names.insert(peer.id, if name.is_empty() { peer.user_name.as_str().to_owned() } else { name });
    }
    for peer in acts.iter_mut().flat_map(acting_peers).filter(unnamed) {
        peer.display_name = names.get(&peer.uid).cloned().map(Personal::new);
    }
    Ok(())
}

/// The peers that an act names as acting.
fn acting_peers(entry: &mut Entry) -> impl Iterator<Item = &mut ActingPeer> {
    let AuditDraft { actor, on_behalf_of, reporter, .. } = &mut entry.draft;
    let actor = match actor {
        Actor::Peer(peer) => Some(peer),
        Actor::System { .. } | Actor::Anonymous => None,
    };
    [actor, on_behalf_of.as_mut(), reporter.as_mut()].into_iter().flatten()
}

/// The permission to read a log.
const VIEW: &str = "audit.view";

/// The caller may read an account's log. That of a deleted account stays, for those who may read the log
/// of the nearest account above it that is still there.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`] as [`View::admit_at`]; [`Error::Invalid`] where the account
/// has no log.
async fn admit(ctx: &Ctx, view: &View<'_>, account: &AccountId) -> Result<()> {
    let Some(index) = view.snapshot.find_account(account.as_str()) else {
        let above = storage::accounts::ancestors_of_deleted(ctx.store.reader(), account).await?;
        let nearest = above.iter().flatten().find_map(|id| view.snapshot.find_account(id.as_str()));
        if nearest.is_some_and(|nearest| view.may(VIEW, nearest)) {
            return Ok(());
        }
        return view.admit_at(VIEW, account).map(|_| ());
    };
    view.admit_at(VIEW, account)?;
    let is_department = view.snapshot.account(index).is_some_and(|record| record.kind == AccountKind::Department);
    if is_department {
        let why = "a department has no log; its events stand in that of its customer";
        return Err(Error::invalid("account", Invalid::NotAllowed { why }));
    }
    Ok(())
}
