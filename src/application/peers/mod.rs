//! Peers: made with a role and the accounts they are for, seen, changed, stopped and brought back.
//!
//! Whether a change gives anyone more than the caller holds, and whether an account keeps its last
//! administrator, is judged on commit; here stands only what no fact shows.

pub mod create;
pub mod list;
mod profile;
mod purge;
mod read;
mod sight;
mod state;
mod update;

pub(super) use create::already_exists;
pub use create::{Access, CreatePeer, NewPeer, create, create_many, make};
pub use profile::{PROFILE_FIELDS, ProfileField};
pub use purge::purge_expired;
pub use read::get;
pub(super) use sight::is_sighted;
pub use sight::{Action, SeenPeer, Sight, TenantAccess};
pub use state::{ChangeState, StateChange, change_state};
pub use update::{Patch, UpdatePeer, update};

use super::error::{Error, Result};
use super::guard::View;
use super::write::Write;
use crate::domain::audit::{Change, Personal, Target, Text};
use crate::domain::ids::PeerId;
use crate::domain::peer::{PURGE_AFTER_MICROS, Peer, PeerRef};
use crate::domain::time::Timestamp;

/// The first moment at which a deleted peer can no longer be brought back.
#[must_use]
pub fn purge_time(peer: &Peer) -> Option<Timestamp> {
    peer.delete_time.map(|deleted| deleted.plus_micros(PURGE_AFTER_MICROS))
}

/// Whether a peer is as good as purged. It counts as gone from that moment on, not from when a worker
/// finds the time.
pub(super) fn is_over(peer: &Peer, now: Timestamp) -> bool {
    purge_time(peer).is_some_and(|purge| purge <= now)
}

/// The other peer of the same human that a request names.
///
/// # Errors
/// [`Error::NotFound`] where the caller may not view it.
pub fn find_person(view: &View<'_>, person: &PeerRef) -> Result<PeerId> {
    let (index, _) = view.admit_peer("peers.view", person)?;
    view.snapshot.peer_id(index).ok_or_else(|| Error::not_found("peer", super::guard::peer_name(person)))
}

pub(super) fn check_etag(etag: Option<i64>, peer: &Peer) -> Result<()> {
    match etag {
        Some(version) if version != peer.version => Err(Error::EtagMismatch { name: format!("peers/{}", peer.id) }),
        Some(_) | None => Ok(()),
    }
}

/// A peer as it will be seen after the changes so far, which is what the caller is told of.
/// A rehearsal shows no revision, also where there was nothing to change.
pub(super) fn seen_after(write: &Write<'_>, mut peer: Peer) -> Result<SeenPeer> {
    if write.is_rehearsal() {
        peer.update_revision = 0;
    }
    let after = write.after()?;
    let view = View { snapshot: &after, ..write.view()? };
    Ok(sight::Onlooker::new(view).describe(peer, Sight::Full))
}

/// The target of an event about a peer.
pub(super) fn target(peer: &Peer) -> Target {
    let mut target = Target::new("peer", Text::public(format!("peers/{}", peer.id)));
    let name = peer.profile.full_name();
    let shown = if name.is_empty() { peer.user_name.as_str() } else { &name };
    target.display_name = Some(Personal::new(shown));
    target
}

/// What differs between two states of a peer, or all that a new one has.
fn changes(before: Option<&Peer>, after: &Peer) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut note = |field: &str, old: Option<Text>, new: Option<Text>| {
        if old != new {
            changes.push(Change { field: field.to_owned(), before: old, after: new });
        }
    };
    let user_name = |peer: &Peer| Text::personal(peer.user_name.as_str());
    note("user_name", before.map(user_name), Some(user_name(after)));
    note("kind", before.map(|peer| Text::public(peer.kind.as_str())), Some(Text::public(after.kind.as_str())));
    let state = |peer: &Peer| Text::public(peer.status.as_str());
    note("state", before.map(state), Some(state(after)));
    for field in PROFILE_FIELDS {
        note(field.path, before.and_then(|peer| field.text(&peer.profile)), field.text(&after.profile));
    }
    let time = |peer: &Peer| peer.expire_time.map(|time| Text::public(time.to_rfc3339()));
    note("expire_time", before.and_then(time), time(after));
    let person = |peer: &Peer| peer.person.map(|person| Text::public(format!("peers/{person}")));
    note("person", before.and_then(person), person(after));
    changes
}
