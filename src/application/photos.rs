//! Photos of peers: set, removed and read.
//!
//! INVARIANT: a picture is decoded before the transaction begins, on a thread for that, and only for
//! callers who may set it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::context::{Call, Ctx};
use super::error::{Error, Precondition, Result};
use super::guard::{View, peer_name};
use super::peers::{self, SeenPeer, Sight};
use super::write::Write;
use crate::domain::audit::{Change, Text};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{Peer, PeerRef, PeerStatus, PhotoReference};
use crate::domain::photo::{self, Photo, Size};
use crate::domain::time::Timestamp;
use crate::storage;

/// A photo for a peer, or none.
#[derive(Debug)]
pub struct SetPhoto {
    pub peer: PeerRef,
    /// The picture as it came; empty removes the photo.
    pub picture: Vec<u8>,
    pub etag: Option<i64>,
}

/// Sets or removes a peer's photo.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`]; [`Error::Invalid`] where the picture is none;
/// [`Error::EtagMismatch`]; [`Error::Precondition`] where the peer is deleted; [`Error::Overloaded`].
pub async fn set(ctx: &Ctx, call: &Call, request: SetPhoto) -> Result<SeenPeer> {
    let SetPhoto { peer, picture, etag } = request;
    View::of_caller(&ctx.snapshot(), &call.caller, ctx.clock.now())?.admit_peer("peers.update", &peer)?;
    let photo = if picture.is_empty() { None } else { Some(square(ctx, picture).await?) };
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (index, permit) = write.view()?.admit_peer("peers.update", &peer)?;
    let missing = || Error::not_found("peer", peer_name(&peer));
    let id = write.before().peer_id(index).ok_or_else(missing)?;
    let before = storage::peers::find(write.connection(), id).await?;
    let before = before.filter(|row| !peers::is_over(row, write.now())).ok_or_else(missing)?;
    peers::check_etag(etag, &before)?;
    if before.status == PeerStatus::Deleted {
        return Err(Error::precondition(Precondition::PeerDeleted, format!("peers/{id}")));
    }
    let mut after = before.clone();
    after.photo = photo.as_ref().map(|photo| reference(photo, write.now()));
    if etag_of(&before) != etag_of(&after) {
        storage::photos::set(write.connection(), id, photo).await?;
        after.version += 1;
        after.update_time = write.now();
        after.update_revision = write.revision();
        storage::peers::update(write.connection(), &after).await?;
        let text = |peer: &Peer| etag_of(peer).map(Text::personal);
        let change = Change { field: "photo".to_owned(), before: text(&before), after: text(&after) };
        write.act(permit.account(), "peers.update", peers::target(&after))?.changes = vec![change];
    } else {
        // The same picture again changes nothing, not even since when it is there.
        after = before;
    }
    let seen = peers::seen_after(&write, after)?;
    write.commit(seen).await
}

async fn square(ctx: &Ctx, picture: Vec<u8>) -> Result<Photo> {
    let made = ctx.pools.pictures.run(move || photo::square(&picture)).await?;
    made.map_err(|fault| Error::invalid("photo", Invalid::Photo(fault)))
}

fn etag_of(peer: &Peer) -> Option<&str> {
    peer.photo.as_ref().map(|photo| photo.etag.as_str())
}

/// The etag is the first half of the picture's SHA-256.
fn reference(photo: &Photo, now: Timestamp) -> PhotoReference {
    let hash = Sha256::digest(&photo.large);
    let mut etag = String::with_capacity(32);
    for byte in hash.iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(etag, "{byte:02x}");
    }
    PhotoReference { etag, update_time: now }
}

/// A photo in one size.
#[derive(Debug)]
pub struct ShownPhoto {
    pub picture: Vec<u8>,
    pub etag: String,
}

/// Returns a peer's photo to whoever sees the peer in full.
///
/// # Errors
/// [`Error::NotFound`] where the peer is missing or hidden, or has no photo for the caller.
pub async fn get(ctx: &Ctx, call: &Call, peer: &PeerRef, size: Size) -> Result<ShownPhoto> {
    let none = || Error::not_found("photo", format!("{}/photo", peer_name(peer)));
    let seen = peers::get(ctx, call, peer).await?;
    if seen.sight == Sight::Restricted {
        return Err(none());
    }
    let reference = seen.peer.photo.ok_or_else(none)?;
    let picture = storage::photos::find(ctx.store.reader(), seen.peer.id, size).await?.ok_or_else(none)?;
    Ok(ShownPhoto { picture, etag: reference.etag })
}
