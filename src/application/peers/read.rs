//! One peer, as far as the caller may see it.

use super::is_over;
use super::sight::{Onlooker, SeenPeer, Sight};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result};
use crate::application::guard::{View, peer_name};
use crate::domain::peer::PeerRef;
use crate::storage;

/// Returns one peer.
///
/// # Errors
/// [`Error::NotFound`] where it is missing or the caller may see nothing of it.
pub async fn get(ctx: &Ctx, call: &Call, peer: &PeerRef) -> Result<SeenPeer> {
    let snapshot = ctx.snapshot();
    let now = ctx.clock.now();
    let view = View::of_caller(&snapshot, &call.caller, now)?;
    let missing = || Error::not_found("peer", peer_name(peer));
    let index = view.find_peer(peer).ok_or_else(missing)?;
    let onlooker = Onlooker::new(view);
    let sight = onlooker.sight(index).ok_or_else(missing)?;
    // Who may not read a peer's user name must not learn it by guessing either.
    if sight == Sight::Restricted && matches!(peer, PeerRef::UserName(_)) {
        return Err(missing());
    }
    let id = snapshot.peer_id(index).ok_or_else(missing)?;
    let row = storage::peers::find(ctx.store.reader(), id).await?.filter(|row| !is_over(row, now));
    Ok(onlooker.describe(row.ok_or_else(missing)?, sight))
}
