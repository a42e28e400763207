//! One peer, and the peers of an account, as far as the caller may see them.

use super::is_over;
use super::sight::{Onlooker, SeenPeer, Sight, VIEW};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result};
use crate::application::guard::{View, peer_name};
use crate::application::page::{Page, Wanted, paged};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::peer::{Peer, PeerKind, PeerRef, PeerStatus};
use crate::storage;
use crate::storage::peers::{Filter, WithAccess};

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

/// Which peers of an account are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListView {
    /// Those homed in it or below.
    HomeSubtree,
    /// Those with a binding that applies to it.
    WithAccess,
}

/// A list of peers.
#[derive(Debug, Clone)]
pub struct ListPeers {
    pub account: AccountId,
    pub view: ListView,
    pub kind: Option<PeerKind>,
    pub status: Option<PeerStatus>,
    pub show_deleted: bool,
    pub after: Option<PeerId>,
    pub limit: usize,
}

/// Lists the peers of an account by id.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`] as [`View::admit_at`].
pub async fn list(ctx: &Ctx, call: &Call, request: &ListPeers) -> Result<Page<SeenPeer, PeerId>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    view.admit_at(VIEW, &request.account)?;
    let filter = filter(&view, request);
    let onlooker = Onlooker::new(view);
    let read = async |after, limit| Ok(storage::peers::list(ctx.store.reader(), &filter, after, limit).await?);
    let wanted = Wanted { after: request.after, limit: request.limit };
    paged(wanted, read, |row| row.id, |row| see(&view, &onlooker, request, row)).await
}

/// A row as the caller sees it, if at all. A filter on what is not shown must not tell it.
fn see(view: &View<'_>, onlooker: &Onlooker<'_>, request: &ListPeers, row: Peer) -> Option<SeenPeer> {
    if is_over(&row, view.now) {
        return None;
    }
    let sight = onlooker.sight(view.snapshot.find_peer(row.id)?)?;
    let is_hidden = sight == Sight::Restricted && (request.status.is_some() || row.status == PeerStatus::Deleted);
    (!is_hidden).then(|| onlooker.describe(row, sight))
}

fn filter(view: &View<'_>, request: &ListPeers) -> Filter {
    let mut filter =
        Filter { kind: request.kind, status: request.status, show_deleted: request.show_deleted, ..Filter::default() };
    match request.view {
        ListView::HomeSubtree => filter.home_subtree = Some(request.account.clone()),
        ListView::WithAccess => {
            let path = view.snapshot.find_account(request.account.as_str()).map(|account| view.snapshot.path(account));
            let above = path.iter().flat_map(|path| path.as_slice()).skip(1);
            let ancestors = above.filter_map(|account| view.snapshot.account_id(*account)).cloned().collect();
            filter.with_access = Some(WithAccess { account: request.account.clone(), ancestors, now: view.now });
        }
    }
    filter
}
