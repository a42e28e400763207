//! Changes of a peer's state: deleted, brought back, enabled, disabled.
//!
//! INVARIANT: a peer that is disabled or deleted has no live key, and one that is deleted no password:
//! they die in the same write, so that nothing brings them back.

use super::{SeenPeer, changes, check_etag, is_over, seen_after, target};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result};
use crate::application::guard::{Permit, peer_name};
use crate::application::write::Write;
use crate::domain::fact::Fact;
use crate::domain::peer::{Peer, PeerRef, PeerStatus};
use crate::storage::{self, facts};

/// What is to become of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    Delete,
    Undelete,
    Enable,
    Disable,
}

impl StateChange {
    /// The permission it takes, which is also what the audit log calls it.
    const fn permission(self) -> &'static str {
        match self {
            Self::Delete => "peers.delete",
            Self::Undelete => "peers.undelete",
            Self::Enable => "peers.enable",
            Self::Disable => "peers.disable",
        }
    }

    const fn target(self) -> PeerStatus {
        match self {
            Self::Delete => PeerStatus::Deleted,
            Self::Undelete | Self::Disable => PeerStatus::Disabled,
            Self::Enable => PeerStatus::Enabled,
        }
    }

    /// Whether a peer in this state can be brought into the other.
    fn check(self, peer: &Peer) -> Result<()> {
        let reason = match (self, peer.status) {
            (Self::Undelete, PeerStatus::Deleted)
            | (Self::Delete, PeerStatus::Enabled | PeerStatus::Disabled)
            | (Self::Enable, PeerStatus::Disabled)
            | (Self::Disable, PeerStatus::Enabled) => return Ok(()),
            (Self::Undelete, PeerStatus::Enabled | PeerStatus::Disabled) => Precondition::PeerNotDeleted,
            (Self::Delete | Self::Enable | Self::Disable, PeerStatus::Deleted) => Precondition::PeerDeleted,
            (Self::Enable, PeerStatus::Enabled) | (Self::Disable, PeerStatus::Disabled) => Precondition::PeerState,
        };
        Err(Error::precondition(reason, format!("peers/{}", peer.id)))
    }
}

/// A change of one peer's state.
#[derive(Debug, Clone)]
pub struct ChangeState {
    pub peer: PeerRef,
    pub etag: Option<i64>,
}

/// Changes the state of a peer.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`]; [`Error::Forbidden`] where only the
/// operator may; [`Error::EtagMismatch`]; [`Error::Precondition`] where the state does not allow it
/// or the peer is the last full administrator.
pub async fn change_state(ctx: &Ctx, call: &Call, what: StateChange, request: ChangeState) -> Result<SeenPeer> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (index, permit) = write.view()?.admit_peer(what.permission(), &request.peer)?;
    let missing = || Error::not_found("peer", peer_name(&request.peer));
    let id = write.before().peer_id(index).ok_or_else(missing)?;
    let before = storage::peers::find(write.connection(), id).await?;
    let before = before.filter(|peer| !is_over(peer, write.now())).ok_or_else(missing)?;
    check_etag(request.etag, &before)?;
    what.check(&before)?;
    let after = apply(&mut write, &permit, &before, what.target()).await?;
    let draft = write.act(permit.account(), what.permission(), target(&after))?;
    draft.changes = changes(Some(&before), &after);
    let seen = seen_after(&write, after)?;
    write.commit(seen).await
}

async fn apply(write: &mut Write<'_>, permit: &Permit, before: &Peer, status: PeerStatus) -> Result<Peer> {
    let mut after = before.clone();
    after.status = status;
    after.delete_time = (status == PeerStatus::Deleted).then_some(write.now());
    write.change(permit, Some(Fact::Peer(facts::peer(before))), Some(Fact::Peer(facts::peer(&after))));
    after.version += 1;
    after.update_time = write.now();
    after.update_revision = write.revision();
    storage::peers::update(write.connection(), &after).await?;
    if status == PeerStatus::Deleted {
        storage::passwords::wipe(write.connection(), &[after.id]).await?;
    }
    if status != PeerStatus::Enabled {
        let keys =
            storage::api_keys::revoke_all_of_peer(write.connection(), after.id, write.now(), after.update_revision);
        for key in keys.await? {
            write.change(permit, Some(Fact::ApiKey(facts::api_key(&key))), None);
        }
    }
    Ok(after)
}
