//! Lists of accounts: the children of one, everything below it, or all that the caller may see.
//!
//! Of what lies outside the places where the caller's rights begin, no row is read.
//!
//! INVARIANT: nothing that is hidden of an account decides where it is listed. One that is seen from
//! outside shows no times; in an order by time such accounts come last, by id.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::missing;
use super::view::{AccountView, Describer, Detail, detail, suspended_above};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::application::page::{Page, Wanted, merged, paged};
use crate::application::roles::bound_accounts;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::account::{Account, AccountKind};
use crate::domain::ids::AccountId;
use crate::domain::text;
use crate::storage;
use crate::storage::accounts::{Listing, Scope};
use crate::storage::keyset;

pub use crate::storage::accounts::SortKey;
pub use crate::storage::keyset::Order;

/// So many places are asked for in one query.
const TOPS_MAX: usize = 64;
/// So many accounts that come behind the order are read at once.
const STEP: usize = 1000;

/// Which accounts are listed.
#[derive(Debug, Clone)]
pub struct ListAccounts {
    /// The account whose children are listed; `None` lists all that the caller may see.
    pub parent: Option<AccountId>,
    pub descendants: bool,
    pub filter: AccountFilter,
    pub order: Order<SortKey>,
    pub after: Option<Place>,
    pub limit: usize,
}

/// Where a list goes on: within the order, or among the accounts that come behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    Sorted(keyset::Place<AccountId>),
    Behind(AccountId),
}

/// What listed accounts have in common. Every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    pub kind: Option<AccountKind>,
    pub is_suspended: Option<bool>,
    pub title: Option<String>,
    /// Labels of the account's own.
    pub labels: Vec<(String, String)>,
}

impl AccountFilter {
    fn holds(&self, account: &Account, is_suspended: bool, detail: Detail) -> bool {
        // From outside, labels are not seen, and a filter must not show them either.
        let label = |key: &str| account.labels.get(key).filter(|_| detail == Detail::Full);
        self.is_suspended.is_none_or(|wanted| is_suspended == wanted)
            && self.title.as_ref().is_none_or(|title| text::fold(title) == text::fold(&account.title))
            && self.labels.iter().all(|(key, value)| label(key) == Some(value))
    }
}

/// An account that the caller may see, before it is described.
struct Seen {
    account: Account,
    index: AccountIndex,
    detail: Detail,
}

/// Lists accounts.
///
/// # Errors
/// [`super::Error::NotFound`] where the parent is missing or hidden.
pub async fn list(ctx: &Ctx, call: &Call, request: &ListAccounts) -> Result<Page<AccountView, Place>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let lister = Lister { ctx, view, request, scopes: scopes(&view, request)? };
    let page = lister.page().await?;
    let mut describer = Describer::new(view);
    let mut items = Vec::with_capacity(page.items.len());
    for Seen { account, index, detail } in page.items {
        items.push(describer.describe(ctx.store.reader(), account, index, detail).await?);
    }
    Ok(Page { items, next: page.next })
}

struct Lister<'a> {
    ctx: &'a Ctx,
    view: View<'a>,
    request: &'a ListAccounts,
    scopes: Vec<Scope>,
}

impl Lister<'_> {
    async fn page(&self) -> Result<Page<Seen, Place>> {
        let (after, behind) = match &self.request.after {
            Some(Place::Behind(id)) => (None, Some(id)),
            Some(Place::Sorted(cursor)) => (Some(cursor.clone()), None),
            None => (None, None),
        };
        let mut found = match behind {
            Some(_) => Page::default(),
            None => self.sorted(after).await?,
        };
        if found.next.is_some() || !self.hides_order() {
            return Ok(found);
        }
        // One more than the page holds says that there is another.
        let room = self.request.limit.saturating_add(1).saturating_sub(found.items.len());
        found.items.extend(self.behind(behind, room).await?);
        Ok(Page::cut(found.items, self.request.limit as u64, |seen| self.place(seen)))
    }

    /// Whether the order is by what an account that is seen from outside does not show.
    const fn hides_order(&self) -> bool {
        match self.request.order.key {
            SortKey::Id | SortKey::Title => false,
            SortKey::CreateTime | SortKey::UpdateTime => true,
        }
    }

    fn place(&self, seen: &Seen) -> Place {
        if seen.detail == Detail::Outside && self.hides_order() {
            Place::Behind(seen.account.id.clone())
        } else {
            Place::Sorted(self.request.order.key.place(&seen.account))
        }
    }

    /// What the caller sees of an account of the list, if it passes the filter.
    fn see(&self, account: Account) -> Option<Seen> {
        let index = self.view.snapshot.find_account(account.id.as_str())?;
        let detail = detail(&self.view, index)?;
        let is_suspended = account.suspension.is_some() || suspended_above(self.view.snapshot, index).is_some();
        self.request.filter.holds(&account, is_suspended, detail).then_some(Seen { account, index, detail })
    }

    /// Up to a page of the accounts that have their place in the order.
    async fn sorted(&self, after: Option<keyset::Place<AccountId>>) -> Result<Page<Seen, Place>> {
        let ListAccounts { order: order @ Order { key, descending }, limit, .. } = *self.request;
        let kind = self.request.filter.kind;
        let listings: Vec<Listing> = self.scopes.iter().cloned().map(|scope| Listing { scope, kind, order }).collect();
        let compare = |left: &Account, right: &Account| key.place(left).compare(&key.place(right), descending);
        let read = async |after: Option<keyset::Place<AccountId>>, limit| {
            let (conn, after) = (self.ctx.store.reader(), after.as_ref());
            let rows = async |listing| Ok(storage::accounts::list(conn, listing, after, limit).await?);
            merged(listings.iter(), limit, compare, rows).await
        };
        let see = |account| self.see(account).filter(|seen| matches!(self.place(seen), Place::Sorted(_)));
        let page = paged(Wanted { after, limit }, read, |row| key.place(row), see).await?;
        Ok(Page { items: page.items, next: page.next.map(Place::Sorted) })
    }

    /// Some of the accounts that are seen from outside, by id.
    async fn behind(&self, after: Option<&AccountId>, most: usize) -> Result<Vec<Seen>> {
        let snapshot = self.view.snapshot;
        let is_outside = |account: &AccountIndex| detail(&self.view, *account) == Some(Detail::Outside);
        let ids = self.scopes.iter().flat_map(|scope| within(snapshot, scope)).filter(is_outside);
        let ids: BTreeSet<&AccountId> = ids.filter_map(|account| snapshot.account_id(account)).collect();
        let ids: Vec<AccountId> = ids.into_iter().filter(|id| after.is_none_or(|after| *id > after)).cloned().collect();
        let mut found = Vec::new();
        for ids in ids.chunks(STEP) {
            let mut rows = storage::accounts::find_many(self.ctx.store.reader(), ids).await?;
            rows.sort_by(|left, right| left.id.cmp(&right.id));
            let is_kind = |row: &Account| self.request.filter.kind.is_none_or(|kind| kind == row.kind);
            found.extend(rows.into_iter().filter(is_kind).filter_map(|row| self.see(row)));
            if found.len() >= most {
                found.truncate(most);
                break;
            }
        }
        Ok(found)
    }
}

/// The accounts of a scope.
fn within(snapshot: &Snapshot, scope: &Scope) -> Vec<AccountIndex> {
    let find = |id: &AccountId| snapshot.find_account(id.as_str());
    match scope {
        Scope::Children(parent) => find(parent).into_iter().flat_map(|parent| snapshot.children(parent)).collect(),
        Scope::Below(top) => find(top).into_iter().flat_map(|top| snapshot.subtree(top).into_iter().skip(1)).collect(),
        Scope::Within(tops) => tops.iter().filter_map(find).flat_map(|top| snapshot.subtree(top)).collect(),
    }
}

/// Where to read: together, all that the caller may see of what is asked for.
fn scopes(view: &View<'_>, request: &ListAccounts) -> Result<Vec<Scope>> {
    let Some(parent) = &request.parent else {
        return Ok(tops(view).chunks(TOPS_MAX).map(|tops| Scope::Within(tops.to_vec())).collect());
    };
    let index = view.snapshot.find_account(parent.as_str()).ok_or_else(|| missing(parent))?;
    detail(view, index).ok_or_else(|| missing(parent))?;
    Ok(vec![if request.descendants { Scope::Below(parent.clone()) } else { Scope::Children(parent.clone()) }])
}

/// The accounts where the caller's rights begin: what it may see lies there or below.
fn tops(view: &View<'_>) -> Vec<AccountId> {
    let snapshot = view.snapshot;
    let bound = bound_accounts(view);
    let is_top = |account: &&AccountIndex| {
        let path = snapshot.path(**account);
        !path.as_slice().iter().skip(1).any(|above| bound.contains(above))
    };
    bound.iter().filter(is_top).filter_map(|one| snapshot.account_id(*one).cloned()).collect()
}
