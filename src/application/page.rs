//! Pages of lists: how they are filled, and the tokens by which they go on.
//!
//! INVARIANT: a list neither skips nor repeats what the caller may see. A page that is full goes on
//! after the last item it shows; one whose call has read enough rows goes on after the last row read,
//! which may be hidden, and therefore a place leaves this process in a sealed token only.

use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::context::{Call, Ctx, Entropy};
use super::error::{Error, Result};
use crate::crypto::page_token::{Context, PageKey};
use crate::domain::time::Timestamp;
use crate::storage::secrets::{self, Purpose};

/// How long a token is good for, in microseconds: 24 hours.
pub const TOKEN_LIFE_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// The fewest rows that are read at once: hidden ones must not make a page cost a query each.
const STEP_MIN: u64 = 64;
/// Rows read at once where the first were not enough, and the most reads for one page. A page that is
/// not full then is short, and the list goes on.
const STEP: u64 = 1000;
const READS_MAX: usize = 20;

/// A page, and the place after which the list goes on; `None` at its end.
#[derive(Debug, Clone)]
pub struct Page<T, P> {
    pub items: Vec<T>,
    pub next: Option<P>,
}

impl<T, P> Default for Page<T, P> {
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

impl<T, P> Page<T, P> {
    /// Cuts a list that was read with one item more than the page holds; that item only says that
    /// there is another page.
    #[must_use]
    pub fn cut(mut items: Vec<T>, limit: u64, place: impl Fn(&T) -> P) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_cut = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| is_cut).map(place);
        Self { items, next }
    }
}

/// Where a page starts, and how many items it holds at most.
#[derive(Debug, Clone)]
pub struct Wanted<P> {
    pub after: Option<P>,
    pub limit: usize,
}

/// Fills a page with what the caller may see of the rows.
///
/// `read` reads some number of rows after a place, in one order; fewer say that there are no more.
/// `place` tells where a row stands, and `see` what the caller sees of it, if anything.
///
/// # Errors
/// Those of `read`.
pub async fn paged<R, T, P: Clone, F: Future<Output = Result<Vec<R>>>>(
    wanted: Wanted<P>,
    mut read: impl FnMut(Option<P>, u64) -> F,
    place: impl Fn(&R) -> P,
    mut see: impl FnMut(R) -> Option<T>,
) -> Result<Page<T, P>> {
    let mut page = Page::default();
    let Wanted { after: mut read_to, limit } = wanted;
    let mut shown = None;
    let mut step = first_step(limit);
    for _ in 0..READS_MAX {
        let rows = read(read_to.clone(), step).await?;
        let is_last = (rows.len() as u64) < step;
        for row in rows {
            let here = place(&row);
            if let Some(item) = see(row) {
                // One more than the page holds says that there is another.
                if page.items.len() == limit {
                    page.next = shown;
                    return Ok(page);
                }
                page.items.push(item);
                shown = Some(here.clone());
            }
            read_to = Some(here);
        }
        if is_last {
            return Ok(page);
        }
        step = STEP;
    }
    page.next = read_to;
    Ok(page)
}

/// How many rows a page of so many items reads at first.
pub const fn first_step(limit: usize) -> u64 {
    let step = (limit as u64).saturating_add(1);
    if step < STEP_MIN { STEP_MIN } else { step }
}

/// The next rows of any of these scopes, in one order, however many scopes there are: a list that is
/// scattered over them is read without a row of anything between them.
///
/// # Errors
/// Those of `read`.
pub async fn merged<S, R, F: Future<Output = Result<Vec<R>>>>(
    scopes: impl Iterator<Item = S>,
    limit: u64,
    compare: impl Fn(&R, &R) -> Ordering,
    read: impl Fn(S) -> F,
) -> Result<Vec<R>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for scope in scopes {
        found.extend(read(scope).await?);
        // Both parts are in order, which this sort makes use of.
        found.sort_by(&compare);
        found.truncate(limit);
    }
    Ok(found)
}

/// The page tokens of one list for one caller.
#[derive(Debug)]
pub struct Tokens {
    key: PageKey,
    context: Context,
    entropy: Entropy,
    now: Timestamp,
}

impl Tokens {
    /// The tokens of the list that `query` describes, which is everything about the request but how
    /// far to read.
    ///
    /// # Errors
    /// [`Error::Store`] where the key cannot be read.
    pub async fn of(ctx: &Ctx, call: &Call, query: &[u8]) -> Result<Self> {
        let mut hasher = Sha256::new();
        hasher.update(call.caller.peer.as_uuid().as_bytes());
        hasher.update((call.method.len() as u64).to_be_bytes());
        hasher.update(call.method);
        hasher.update(query);
        let context = Context(hasher.finalize().into());
        Ok(Self { key: ctx.page_key().await?.clone(), context, entropy: ctx.entropy, now: ctx.clock.now() })
    }

    /// A token that goes on after a place; none at the end of the list.
    ///
    /// # Errors
    /// [`Error::Internal`] where there is no randomness, or the place is beyond all bounds.
    pub fn seal<P: Serialize>(&self, place: Option<&P>) -> Result<String> {
        let Some(place) = place else { return Ok(String::new()) };
        let place = serde_json::to_vec(place).map_err(|error| Error::Internal(error.into()))?;
        let end = self.now.plus_micros(TOKEN_LIFE_MICROS);
        let token = self.key.seal(self.entropy.bytes()?, &place, self.context, end);
        token.ok_or_else(|| Error::Internal(anyhow::anyhow!("a place is too long for a page token")))
    }

    /// The place in a token; `None` of an empty one, which is the beginning.
    ///
    /// # Errors
    /// [`Error::PageToken`] where the token is not of this list and caller, or is too old.
    pub fn open<P: DeserializeOwned>(&self, token: &str) -> Result<Option<P>> {
        if token.is_empty() {
            return Ok(None);
        }
        let place = self.key.open(token, self.context, self.now).ok_or(Error::PageToken)?;
        serde_json::from_slice(&place).map(Some).map_err(|_| Error::PageToken)
    }
}

/// The key of all tokens of this deployment, made by whoever needs it first.
///
/// # Errors
/// [`Error::Store`] where the database is not there.
pub(super) async fn key(ctx: &Ctx) -> Result<PageKey> {
    if let Some(key) = secrets::find(ctx.store.reader(), Purpose::PageTokens).await? {
        return Ok(PageKey::new(&key));
    }
    let transaction = ctx.store.begin().await?;
    let new = ctx.entropy.bytes()?;
    let key = secrets::keep(transaction.connection(), Purpose::PageTokens, new, ctx.clock.now()).await?;
    transaction.commit().await?;
    Ok(PageKey::new(&key))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::*;

    /// Reads pages of those numbers from 0 to `count` that are multiples of `of`.
    async fn pages(count: u64, of: u64, limit: usize) -> (Vec<Vec<u64>>, u64) {
        let read_rows = Cell::new(0);
        let read = |after: Option<u64>, limit: u64| {
            let first = after.map_or(0, |after| after + 1);
            let rows: Vec<u64> = (first..count).take(usize::try_from(limit).unwrap()).collect();
            read_rows.set(read_rows.get() + rows.len() as u64);
            ready(Ok(rows))
        };
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let see = |row: u64| row.is_multiple_of(of).then_some(row);
            let page = paged(Wanted { after, limit }, read, |row| *row, see).await.unwrap();
            pages.push(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return (pages, read_rows.get()),
            }
        }
    }

    #[tokio::test]
    async fn pages_neither_skip_nor_repeat_whatever_is_hidden_between() {
        for (count, of, limit) in [(0, 1, 3), (3, 1, 3), (4, 1, 3), (1_000, 7, 10), (5_000, 999, 2), (64, 1, 64)] {
            let (pages, _) = pages(count, of, limit).await;
            let expected: Vec<u64> = (0..count).filter(|row| row.is_multiple_of(of)).collect();
            assert_eq!(pages.concat(), expected, "{count} {of} {limit}");
            let (_, full) = pages.split_last().unwrap();
            assert!(full.iter().all(|page| page.len() == limit), "{count} {of} {limit}");
        }
    }

    #[tokio::test]
    async fn a_page_ends_when_enough_rows_were_read_and_the_list_goes_on() {
        let most = READS_MAX as u64 * STEP;
        let (pages, read) = pages(most * 3, most * 2, 10).await;
        assert_eq!(pages.concat(), [0, most * 2]);
        assert!(pages.len() > 3 && pages.iter().any(Vec::is_empty), "{pages:?}");
        assert_eq!(read, most * 3);
    }

    #[tokio::test]
    async fn scattered_rows_come_in_one_order() {
        let scopes = [vec![1, 4, 9], vec![], vec![2, 3, 10], vec![0]];
        let read = |scope: &Vec<i32>| ready(Ok(scope.iter().take(2).copied().collect()));
        let rows: Vec<i32> = merged(scopes.iter(), 2, Ord::cmp, read).await.unwrap();
        assert_eq!(rows, [0, 1]);
    }
}
