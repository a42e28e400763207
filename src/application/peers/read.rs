//! One peer, and the peers of an account, as far as the caller may see them.

use super::is_over;
use super::sight::{Onlooker, SeenPeer, Sight, VIEW};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result};
use crate::application::guard::{View, peer_name};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::peer::{Peer, PeerKind, PeerRef, PeerStatus};
use crate::storage;
use crate::storage::peers::{Filter, WithAccess};

/// The fewest rows that are read at once: hidden ones must not make a page cost a query each.
const CHUNK_MIN: u64 = 64;
/// How often rows are read for one page. A page that is still not full then is short, and its token
/// goes on.
const READS_MAX: usize = 32;

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

/// A page of peers, and where the next one starts, if there is one.
#[derive(Debug, Clone)]
pub struct PeerPage {
    pub peers: Vec<SeenPeer>,
    pub next: Option<PeerId>,
}

/// Lists the peers of an account by id.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`] as [`View::admit_at`].
pub async fn list(ctx: &Ctx, call: &Call, request: &ListPeers) -> Result<PeerPage> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    view.admit_at(VIEW, &request.account)?;
    let filter = filter(&view, request);
    let onlooker = Onlooker::new(view);
    let mut page: Vec<SeenPeer> = Vec::new();
    let mut after = request.after;
    for _ in 0..READS_MAX {
        // One more than fits tells whether there is another page.
        let wanted = u64::try_from(request.limit - page.len()).unwrap_or(0) + 1;
        let chunk = wanted.max(CHUNK_MIN);
        let rows = storage::peers::list(ctx.store.reader(), &filter, after, chunk).await?;
        let is_last = u64::try_from(rows.len()).unwrap_or(u64::MAX) < chunk;
        for row in rows {
            after = Some(row.id);
            let Some(seen) = see(&view, &onlooker, request, row) else { continue };
            if page.len() == request.limit {
                // The token names a peer that was shown, never one that may be hidden.
                let next = page.last().map(|last| last.peer.id);
                return Ok(PeerPage { peers: page, next });
            }
            page.push(seen);
        }
        if is_last {
            return Ok(PeerPage { peers: page, next: None });
        }
    }
    Ok(PeerPage { peers: page, next: after })
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
