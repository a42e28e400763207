//! Lists of accounts: the children of one, everything below it, or all that the caller may see.
//!
//! Of what lies outside the places where the caller's rights begin, no row is read.

use std::cmp::Ordering;

use super::missing;
use super::view::{AccountView, Describer, Detail, detail, suspended_above};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::application::page::{Page, Wanted, merged, paged};
use crate::application::roles::bound_accounts;
use crate::decision::AccountIndex;
use crate::domain::account::{Account, AccountKind};
use crate::domain::ids::AccountId;
use crate::domain::text;
use crate::storage;
use crate::storage::accounts::{Listing, Scope};

pub use crate::storage::accounts::{Cursor, SortKey};

/// So many places are asked for in one query.
const TOPS_MAX: usize = 64;

/// Which accounts are listed.
#[derive(Debug, Clone)]
pub struct ListAccounts {
    /// The account whose children are listed; `None` lists all that the caller may see.
    pub parent: Option<AccountId>,
    pub descendants: bool,
    pub filter: AccountFilter,
    pub key: SortKey,
    pub descending: bool,
    pub after: Option<Cursor>,
    pub limit: usize,
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
pub async fn list(ctx: &Ctx, call: &Call, request: &ListAccounts) -> Result<Page<AccountView, Cursor>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let listings: Vec<Listing> = scopes(&view, request)?
        .into_iter()
        .map(|scope| Listing { scope, kind: request.filter.kind, key: request.key, descending: request.descending })
        .collect();
    let read = async |after: Option<Cursor>, limit| {
        let compare = |left: &Account, right: &Account| {
            listings.first().map_or(Ordering::Equal, |listing| listing.compare(left, right))
        };
        let after = after.as_ref();
        let rows = async |listing| Ok(storage::accounts::list(ctx.store.reader(), listing, after, limit).await?);
        merged(listings.iter(), limit, compare, rows).await
    };
    let see = |account: Account| {
        let index = snapshot.find_account(account.id.as_str())?;
        let detail = detail(&view, index)?;
        let is_suspended = account.suspension.is_some() || suspended_above(&snapshot, index).is_some();
        request.filter.holds(&account, is_suspended, detail).then_some(Seen { account, index, detail })
    };
    let wanted = Wanted { after: request.after.clone(), limit: request.limit };
    let page = paged(wanted, read, |row| Cursor::of(row, request.key), see).await?;
    let mut describer = Describer::new(view);
    let mut items = Vec::with_capacity(page.items.len());
    for Seen { account, index, detail } in page.items {
        items.push(describer.describe(ctx.store.reader(), account, index, detail).await?);
    }
    Ok(Page { items, next: page.next })
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
