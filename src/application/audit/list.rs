//! Lists of events: of one log, or of all logs below an account that the caller may view.
//!
//! INVARIANT: a list neither skips nor repeats what was there when it began: its order never changes, and
//! a page that read enough goes on after the last row it read. What one call reads is bounded, whatever
//! the filter.
//!
//! An act that stands in several of the listed logs is shown where the log's account comes first.

use std::collections::{BTreeMap, HashMap};

use super::show::{ListedEvent, opened, shown};
use super::{VIEW, admit};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::application::page::Page;
use crate::decision::AccountIndex;
use crate::domain::account::AccountKind;
use crate::domain::audit::{AuditEvent, SealedEvent};
use crate::domain::ids::AccountId;
use crate::storage;
use crate::storage::audit::list as stored;

pub use crate::storage::audit::list::{
    Comparison, Condition, Direction, Matching, Place, QUERY_MAX, Search, Test, TimeColumn,
};
use crate::storage::audit::list::{Logs, Reading, Row, Source};

/// So many logs are read side by side; where there are more, all events are read, of which they are
/// then no small part.
const LOGS_MAX: usize = 256;
/// The rows that one read may touch, the most and the fewest that it asks of each log, and the most reads
/// for one page.
const ROWS_READ: u64 = 16_000;
const STEP: (u64, u64) = (64, 1000);
const READS_MAX: usize = 20;
/// A text that so many events have is gathered and sorted; one that more have is met often enough.
const NEAR: u64 = 2_000;
/// How many events are fetched at once, and the bytes after which a page is full.
const FETCHED: usize = 100;
const PAGE_BYTES: usize = 1024 * 1024;

/// Which events are listed.
#[derive(Debug, Clone)]
pub struct ListEvents {
    pub account: AccountId,
    pub reach: Reach,
    pub matching: Matching,
    pub direction: Direction,
    /// The first number, where the list does not begin at its end.
    pub start_seq: Option<i64>,
    pub after: Option<Place>,
    pub limit: usize,
}

/// Whose logs are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Account,
    Subtree,
}

/// Lists events.
///
/// # Errors
/// [`crate::application::Error::NotFound`] and [`crate::application::Error::Denied`] as
/// [`View::admit_at`]; [`crate::application::Error::Invalid`] of an account without a log.
pub async fn list(ctx: &Ctx, call: &Call, request: &ListEvents) -> Result<Page<ListedEvent, Place>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    admit(ctx, &view, &request.account).await?;
    let mut sight = Sight { ctx, view, request, seen: HashMap::new() };
    let after = match (&request.after, request.start_seq) {
        (Some(after), _) => Some(after.clone()),
        (None, Some(seq)) => {
            let place = stored::place_before(ctx.store.reader(), &request.account, seq, request.direction).await?;
            let Some(place) = place else { return Ok(Page::default()) };
            Some(place)
        }
        (None, None) => None,
    };
    let (found, next) = sight.places(after).await?;
    sight.page(found, next).await
}

/// What the caller sees of the logs.
struct Sight<'a> {
    ctx: &'a Ctx,
    view: View<'a>,
    request: &'a ListEvents,
    /// Whether the log of an account is listed, each account asked about once.
    seen: HashMap<AccountId, bool>,
}

impl Sight<'_> {
    /// The places of matching events that the caller may see, one more than the page holds at most, and
    /// the place after which the list goes on where more is to be read.
    async fn places(&mut self, after: Option<Place>) -> Result<(Vec<Place>, Option<Place>)> {
        let logs = self.logs().await?;
        let source = self.source(&logs).await?;
        let (most, count) = match &logs {
            Logs::These(these) => (ROWS_READ / (these.len() as u64).max(1), these.len()),
            Logs::All => (ROWS_READ, LOGS_MAX),
        };
        let (least, most) = (STEP.0, most.clamp(STEP.0, STEP.1));
        let mut step = (self.request.limit as u64 + 1).clamp(least, most);
        let reading =
            Reading { logs: &logs, matching: &self.request.matching, direction: self.request.direction, source };
        let (mut found, mut read_to) = (Vec::new(), after);
        if count == 0 {
            return Ok((found, None));
        }
        for _ in 0..READS_MAX {
            let rows = stored::rows(self.ctx.store.reader(), &reading, read_to.as_ref(), step).await?;
            let is_last = (rows.len() as u64) < step;
            for Row { place, matches } in rows {
                if matches && self.sees(&place.account).await? {
                    found.push(place.clone());
                    if found.len() > self.request.limit {
                        return Ok((found, None));
                    }
                }
                read_to = Some(place);
            }
            if is_last {
                return Ok((found, None));
            }
            step = most;
        }
        Ok((found, read_to))
    }

    /// The events of places, as many as fit on a page. `read_to` is where the reading stopped, unless it
    /// came to an end or found more than the page holds.
    async fn page(&mut self, mut places: Vec<Place>, read_to: Option<Place>) -> Result<Page<ListedEvent, Place>> {
        let is_cut = places.len() > self.request.limit;
        places.truncate(self.request.limit);
        let mut next = if is_cut { places.last().cloned() } else { read_to };
        let (mut events, mut bytes, mut passed) = (Vec::new(), 0, None);
        'page: for places in places.chunks(FETCHED) {
            let mut fetched = self.fetched(places).await?;
            for place in places {
                let Some(sealed) = fetched.remove(&(place.account.clone(), place.seq)) else { continue };
                let size = sealed.bytes.len() + sealed.personal.iter().map(|value| value.value.len()).sum::<usize>();
                if bytes + size > PAGE_BYTES && !events.is_empty() {
                    next = passed;
                    break 'page;
                }
                passed = Some(place.clone());
                let event = opened(&sealed)?;
                if self.is_shown(&event).await? {
                    bytes += size;
                    events.push((sealed, event));
                }
            }
        }
        Ok(Page { items: shown(self.ctx, &self.view, events).await?, next })
    }

    async fn fetched(&self, places: &[Place]) -> Result<HashMap<(AccountId, i64), SealedEvent>> {
        let mut by_log: BTreeMap<AccountId, Vec<i64>> = BTreeMap::new();
        for place in places {
            by_log.entry(place.account.clone()).or_default().push(place.seq);
        }
        let events = storage::audit::get(self.ctx.store.reader(), &by_log).await?;
        Ok(events.into_iter().map(|event| ((event.account.clone(), event.seq), event)).collect())
    }

    /// Whether an event is the one of its act that is shown.
    async fn is_shown(&mut self, event: &AuditEvent) -> Result<bool> {
        let is_one_log = self.request.reach == Reach::Account;
        if is_one_log || self.request.matching.condition.has(|test| matches!(test, Test::Account(_))) {
            return Ok(true);
        }
        for link in &event.position.linked {
            if link.account < event.position.account && self.sees(&link.account).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The logs to read.
    async fn logs(&mut self) -> Result<Logs> {
        let own = &self.request.account;
        if self.request.reach == Reach::Account {
            return Ok(Logs::These(vec![own.clone()]));
        }
        let mut logs = Vec::new();
        match self.view.snapshot.find_account(own.as_str()) {
            Some(top) => {
                for account in self.view.snapshot.subtree(top) {
                    if self.is_viewed(account)
                        && let Some(id) = self.view.snapshot.account_id(account)
                    {
                        logs.push(id.clone());
                    }
                    if logs.len() > LOGS_MAX {
                        return Ok(Logs::All);
                    }
                }
            }
            None => logs.push(own.clone()),
        }
        let room = (LOGS_MAX - logs.len()) as u64;
        let deleted = storage::accounts::deleted_below(self.ctx.store.reader(), own, room + 1).await?;
        if deleted.len() as u64 > room {
            return Ok(Logs::All);
        }
        logs.extend(deleted.into_iter().filter(|(_, above)| self.is_viewed_above(above)).map(|(id, _)| id));
        Ok(Logs::These(logs))
    }

    async fn source(&self, logs: &Logs) -> Result<Source> {
        let Some(search) = self.request.matching.search.as_ref().filter(|search| search.is_indexed()) else {
            return Ok(Source::Walk);
        };
        let count = stored::count_gathered(self.ctx.store.reader(), logs, search, NEAR).await?;
        Ok(if count <= NEAR { Source::Gather } else { Source::Walk })
    }

    /// Whether the log of an account is one of the list.
    async fn sees(&mut self, account: &AccountId) -> Result<bool> {
        if self.request.reach == Reach::Account || *account == self.request.account {
            return Ok(*account == self.request.account);
        }
        if let Some(known) = self.seen.get(account) {
            return Ok(*known);
        }
        let snapshot = self.view.snapshot;
        let top = snapshot.find_account(self.request.account.as_str());
        let sees = match snapshot.find_account(account.as_str()) {
            Some(live) => top.is_some_and(|top| snapshot.is_within(live, top)) && self.is_viewed(live),
            None => {
                let above = storage::accounts::ancestors_of_deleted(self.ctx.store.reader(), account).await?;
                above.is_some_and(|above| above.contains(&self.request.account) && self.is_viewed_above(&above))
            }
        };
        self.seen.insert(account.clone(), sees);
        Ok(sees)
    }

    fn is_viewed(&self, account: AccountIndex) -> bool {
        let record = self.view.snapshot.account(account);
        record.is_some_and(|record| record.kind != AccountKind::Department) && self.view.may(VIEW, account)
    }

    /// The same of an account that was deleted, by those that were above it, the nearest first.
    fn is_viewed_above(&self, above: &[AccountId]) -> bool {
        let nearest = above.iter().find_map(|id| self.view.snapshot.find_account(id.as_str()));
        nearest.is_some_and(|nearest| self.view.may(VIEW, nearest))
    }
}
