//! The peers of an account, sorted, filtered and searched, as far as the caller may see them.
//!
//! A list has two parts. First come the peers that are seen in full, in the order asked for. Of the
//! others, those that are only seen to be there come last, by id, whatever the order.
//!
//! INVARIANT: nothing that is hidden of a peer decides whether or where it is listed. A restricted peer
//! is judged by what is shown of it, its kind and home: a comparison with anything else is neither
//! true nor false of it, a search does not find it, and its place is that of its id.
//!
//! The snapshot says who may see whom and how large an account is; the database sorts and filters.

mod count;
mod judge;
mod restricted;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sight::{Onlooker, SeenPeer, Sight, VIEW};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::application::page::{Page, Wanted, first_step, paged};
use crate::decision::{AccountIndex, PeerIndex, administrators};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::peer::{PURGE_AFTER_MICROS, PeerStatus};
use crate::storage;
use crate::storage::peers::list::{Matching, Source, WithAccess};

pub use crate::storage::peers::list::{
    Comparison, Condition, Key, Order, Place, QUERY_MAX, Search, SortKey, Test, TimeColumn,
};

/// An account with at most so many peers is gathered and sorted; of a larger one the order's index
/// meets enough on its way.
const NEAR_SCOPE: usize = 8_000;
/// The same for what a search finds, and for what passes one test.
const NEAR_SEARCH: u64 = 20_000;
const NEAR_TEST: u64 = 5_000;
/// More administrators than these are not named one by one.
const ADMINISTRATORS_MAX: usize = 64_000;
/// Where so many entries of the order for each row that is read hold enough of what a search finds, nothing
/// is counted: counting a text that is in nearly all peers takes far longer than the page.
const ENTRIES_TRIED: u64 = 10;
/// And no more of them than this.
const ENTRIES_TRIED_MAX: u64 = 2_000;
/// How many tests of a filter are counted to find a near one.
const TESTS_COUNTED: usize = 3;
/// After so many rows of an order's index the list is gathered after all: its rows stand together
/// somewhere else in the order. Fewer than one page may read, so that what is gathered fills it.
const WALK_MAX: u64 = 8_000;

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
    pub condition: Condition,
    /// Whether the peers administer an account now.
    pub administrator: Option<bool>,
    pub search: Option<Search>,
    pub show_deleted: bool,
    pub order: Order,
    pub after: Option<Cursor>,
    pub limit: usize,
    /// Whether the whole list is counted too.
    pub count: bool,
}

/// Where a list goes on: after a place among the peers that are seen in full, or after one of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    Full(Place),
    Restricted(PeerId),
}

/// A page, and how long the whole list is where that was asked.
#[derive(Debug, Clone)]
pub struct Listed {
    pub page: Page<SeenPeer, Cursor>,
    pub total: Option<u64>,
}

/// Lists the peers of an account.
///
/// # Errors
/// [`crate::application::Error::NotFound`] and [`crate::application::Error::Denied`] as
/// [`View::admit_at`].
pub async fn list(ctx: &Ctx, call: &Call, request: &ListPeers) -> Result<Listed> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let account = view.admit_at(VIEW, &request.account)?.account();
    let lister = Lister::new(ctx, view, request, account);
    let mut homes = Homes { view, seen: HashMap::new() };
    let found = lister.page(&mut homes).await?;
    let total = if request.count { Some(lister.count(&mut homes).await?) } else { None };
    let page = Page { items: lister.describe(&found.items).await?, next: found.next };
    Ok(Listed { page, total })
}

struct Lister<'a> {
    ctx: &'a Ctx,
    view: View<'a>,
    onlooker: Onlooker<'a>,
    request: &'a ListPeers,
    account: AccountIndex,
    matching: Matching,
}

/// Where the caller may view peers, each account asked about once.
struct Homes<'a> {
    view: View<'a>,
    seen: HashMap<AccountIndex, bool>,
}

impl Homes<'_> {
    /// Whether the caller may view the peers homed in an account.
    fn may_view(&mut self, account: AccountIndex) -> bool {
        let view = self.view;
        *self.seen.entry(account).or_insert_with(|| view.may(VIEW, account))
    }
}

impl<'a> Lister<'a> {
    fn new(ctx: &'a Ctx, view: View<'a>, request: &'a ListPeers, account: AccountIndex) -> Self {
        let is_gone = if request.show_deleted {
            Test::DeletedUntil(view.now.plus_micros(-PURGE_AFTER_MICROS))
        } else {
            Test::Status(PeerStatus::Deleted)
        };
        let mut parts = request.condition.clone().into_parts();
        parts.push(Condition::Not(Box::new(Condition::Is(is_gone))));
        let path = view.snapshot.path(account);
        let branch = match (request.view, path.as_slice()) {
            (ListView::HomeSubtree, [.., branch, _root]) => view.snapshot.account_id(*branch).cloned(),
            (ListView::HomeSubtree | ListView::WithAccess, _) => None,
        };
        let matching = Matching { branch, condition: Condition::All(parts), search: request.search.clone() };
        Self { ctx, view, onlooker: Onlooker::new(view), request, account, matching }
    }

    /// The places of a page: of peers that are seen in full, and behind the last of them the others.
    async fn page(&self, homes: &mut Homes<'_>) -> Result<Page<Cursor, Cursor>> {
        let limit = self.request.limit;
        let (mut found, behind) = match &self.request.after {
            Some(Cursor::Restricted(id)) => (Page::default(), Some(*id)),
            Some(Cursor::Full(place)) => (self.full(homes, Some(place.clone())).await?, None),
            None => (self.full(homes, None).await?, None),
        };
        if found.next.is_some() {
            return Ok(found);
        }
        let rest = self.restricted(homes).into_iter().filter(|id| behind.is_none_or(|behind| *id > behind));
        // One more than the page holds says that there is another.
        let room = limit.saturating_add(1).saturating_sub(found.items.len());
        found.items.extend(rest.take(room).map(Cursor::Restricted));
        Ok(Page::cut(found.items, limit as u64, Clone::clone))
    }

    /// Up to a page of the peers that are seen in full.
    async fn full(&self, homes: &mut Homes<'_>, after: Option<Place>) -> Result<Page<Cursor, Cursor>> {
        let source = if self.is_dense(after.as_ref()).await? { Source::Order } else { self.source().await? };
        let mut source = Arc::new(source);
        let mut is_walk = matches!(*source, Source::Order);
        let mut walked = 0;
        let read = |after: Option<Place>, limit: u64| {
            if is_walk && walked > WALK_MAX {
                is_walk = false;
                source = self.gathered().map_or_else(|| Arc::clone(&source), Arc::new);
            }
            walked += limit;
            let (source, conn) = (Arc::clone(&source), self.ctx.store.reader());
            let (matching, order) = (&self.matching, self.request.order);
            async move { Ok(storage::peers::list::places(conn, &source, matching, order, after.as_ref(), limit).await?) }
        };
        let wanted = Wanted { after, limit: self.request.limit };
        let see = |place: Place| self.shows(homes, place.id).then_some(Cursor::Full(place));
        let Page { items, next } = paged(wanted, read, Clone::clone, see).await?;
        Ok(Page { items, next: next.map(Cursor::Full) })
    }

    /// Where to read the list from: the nearest of what it is narrowed by, or else its order.
    async fn source(&self) -> Result<Source> {
        let conn = self.ctx.store.reader();
        let count = async |source: &Source, most: u64| {
            storage::peers::list::count_to(conn, source, &self.matching, most).await.map(|count| count <= most)
        };
        if self.request.view == ListView::WithAccess {
            return Ok(Source::WithAccess(self.with_access()));
        }
        if self.is_near() {
            return Ok(Source::Subtree(self.request.account.clone()));
        }
        if self.request.search.is_some() && count(&Source::Search, NEAR_SEARCH).await? {
            return Ok(Source::Search);
        }
        for test in self.matching.condition.demands().filter(|test| test.is_indexed()).take(TESTS_COUNTED) {
            let source = Source::Test(test.clone());
            if count(&source, NEAR_TEST).await? {
                return Ok(source);
            }
        }
        Ok(Source::Order)
    }

    /// Whether the next few entries of the order hold a page of what a search finds.
    async fn is_dense(&self, after: Option<&Place>) -> Result<bool> {
        let is_walked = self.request.view == ListView::HomeSubtree && !self.is_part_of_branch() && !self.is_near();
        if self.request.search.is_none() || !is_walked {
            return Ok(false);
        }
        // All that the walk reads at first: for any more it could go on to the order's end.
        let wanted = first_step(self.request.limit);
        let tried = (wanted * ENTRIES_TRIED).min(ENTRIES_TRIED_MAX);
        let (conn, order) = (self.ctx.store.reader(), self.request.order);
        let found = storage::peers::list::count_next(conn, &self.matching, order, after, tried).await?;
        Ok(found >= wanted)
    }

    /// What to gather where the order led nowhere.
    fn gathered(&self) -> Option<Source> {
        if self.request.administrator == Some(true) {
            let administrators = administrators::administering(self.view.snapshot, self.view.now);
            let is_within = |peer: &PeerIndex| {
                let home = self.view.snapshot.peer(*peer).map(|peer| peer.home());
                home.is_some_and(|home| self.view.snapshot.is_within(home, self.account))
            };
            let within = administrators.into_iter().filter(is_within);
            let ids: Vec<PeerId> = within.filter_map(|peer| self.view.snapshot.peer_id(peer)).collect();
            if ids.len() <= ADMINISTRATORS_MAX {
                return Some(Source::Ids(ids));
            }
        }
        self.is_part_of_branch().then(|| Source::Subtree(self.request.account.clone()))
    }

    /// Whether a walk passes others too. Of all and of a whole branch it passes nothing but the list.
    fn is_part_of_branch(&self) -> bool {
        self.matching.branch.as_ref().is_some_and(|branch| *branch != self.request.account)
    }

    /// Whether few enough peers are homed in the account and below to sort them all.
    fn is_near(&self) -> bool {
        let snapshot = self.view.snapshot;
        let (mut accounts, mut peers) = (vec![self.account], 0);
        while let Some(account) = accounts.pop() {
            peers += snapshot.homed_at(account).take(NEAR_SCOPE + 1).count();
            accounts.extend(snapshot.children(account).take(NEAR_SCOPE + 1));
            if peers > NEAR_SCOPE || accounts.len() > NEAR_SCOPE {
                return false;
            }
        }
        true
    }

    /// Everyone homed in the account and below.
    fn homed(&self) -> impl Iterator<Item = PeerIndex> {
        let snapshot = self.view.snapshot;
        snapshot.subtree(self.account).into_iter().flat_map(|account| snapshot.homed_at(account))
    }

    fn with_access(&self) -> WithAccess {
        let snapshot = self.view.snapshot;
        let path = snapshot.path(self.account);
        let above = path.as_slice().iter().skip(1).filter_map(|account| snapshot.account_id(*account));
        WithAccess { account: self.request.account.clone(), ancestors: above.cloned().collect(), now: self.view.now }
    }

    fn administers(&self, peer: PeerIndex) -> bool {
        administrators::administers(self.view.snapshot, peer, self.view.now)
    }

    /// Whether a matching row is of this list, and seen in full.
    fn shows(&self, homes: &mut Homes<'_>, id: PeerId) -> bool {
        let Some(index) = self.view.snapshot.find_peer(id) else { return false };
        let Some(home) = self.view.snapshot.peer(index).map(|peer| peer.home()) else { return false };
        let is_within = self.request.view == ListView::WithAccess || self.view.snapshot.is_within(home, self.account);
        let is_asked = |wanted: bool| wanted == self.administers(index);
        is_within && self.request.administrator.is_none_or(is_asked) && homes.may_view(home)
    }

    /// The peers of a page with their rows. One that was purged meanwhile is left out.
    async fn describe(&self, page: &[Cursor]) -> Result<Vec<SeenPeer>> {
        let listed: Vec<(PeerId, Sight)> = page
            .iter()
            .map(|cursor| match cursor {
                Cursor::Full(place) => (place.id, Sight::Full),
                Cursor::Restricted(id) => (*id, Sight::Restricted),
            })
            .collect();
        let ids: Vec<PeerId> = listed.iter().map(|(id, _)| *id).collect();
        let rows = storage::peers::find_many(self.ctx.store.reader(), &ids).await?;
        let mut rows: HashMap<PeerId, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        let described =
            listed.into_iter().filter_map(|(id, sight)| rows.remove(&id).map(|row| self.onlooker.describe(row, sight)));
        Ok(described.collect())
    }
}
