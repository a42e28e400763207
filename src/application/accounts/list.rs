//! Lists of accounts: the children of one, everything below it, or all that the caller may see.
//!
//! INVARIANT: a page ends where the database's order ends it, so that pages neither skip nor repeat;
//! one call reads a bounded number of rows, and a page may be short while the list goes on.

use std::collections::BTreeSet;

use super::missing;
use super::view::{AccountView, Describer, Detail, detail};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::decision::AccountIndex;
use crate::domain::account::AccountKind;
use crate::domain::ids::AccountId;
use crate::domain::text;
use crate::storage;
use crate::storage::accounts::{Listing, Scope};

pub use crate::storage::accounts::{Cursor, SortKey};

/// Rows read at once, and the most reads of one call.
const STEP: u64 = 500;
const STEPS_MAX: usize = 40;
/// More places than these are not asked for one by one.
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
    fn holds(&self, shown: &AccountView) -> bool {
        let account = &shown.account;
        // From outside, labels are not seen, and a filter must not show them either.
        let label = |key: &str| account.labels.get(key).filter(|_| shown.detail == Detail::Full);
        self.is_suspended.is_none_or(|wanted| shown.suspension.is_some() == wanted)
            && self.title.as_ref().is_none_or(|title| text::fold(title) == text::fold(&account.title))
            && self.labels.iter().all(|(key, value)| label(key) == Some(value))
    }
}

/// A page, and where the list goes on.
#[derive(Debug)]
pub struct Listed {
    pub accounts: Vec<AccountView>,
    pub next: Option<Cursor>,
}

/// Lists accounts.
///
/// # Errors
/// [`super::Error::NotFound`] where the parent is missing or hidden.
pub async fn list(ctx: &Ctx, call: &Call, request: &ListAccounts) -> Result<Listed> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let scope = scope(&view, request)?;
    let listing = Listing { scope, kind: request.filter.kind, key: request.key, descending: request.descending };
    let mut describer = Describer::new(view);
    let mut accounts: Vec<AccountView> = Vec::new();
    let mut after = request.after.clone();
    for _ in 0..STEPS_MAX {
        let rows = storage::accounts::list(ctx.store.reader(), &listing, after.as_ref(), STEP).await?;
        let is_last = (rows.len() as u64) < STEP;
        for row in rows {
            after = Some(Cursor::of(&row, request.key));
            let Some(index) = snapshot.find_account(row.id.as_str()) else { continue };
            let Some(detail) = detail(&view, index) else { continue };
            let shown = describer.describe(ctx.store.reader(), row, index, detail).await?;
            if !request.filter.holds(&shown) {
                continue;
            }
            // One more than the page holds says that there is another.
            if accounts.len() == request.limit {
                let next = accounts.last().map(|last| Cursor::of(&last.account, request.key));
                return Ok(Listed { accounts, next });
            }
            accounts.push(shown);
        }
        if is_last {
            return Ok(Listed { accounts, next: None });
        }
    }
    Ok(Listed { accounts, next: after })
}

fn scope(view: &View<'_>, request: &ListAccounts) -> Result<Scope> {
    let Some(parent) = &request.parent else { return Ok(Scope::Within(tops(view))) };
    let index = view.snapshot.find_account(parent.as_str()).ok_or_else(|| missing(parent))?;
    detail(view, index).ok_or_else(|| missing(parent))?;
    Ok(if request.descendants { Scope::Below(parent.clone()) } else { Scope::Children(parent.clone()) })
}

/// The accounts where the caller's rights begin: what it may see lies there or below.
fn tops(view: &View<'_>) -> Vec<AccountId> {
    let snapshot = view.snapshot;
    let Some(peer) = snapshot.peer(view.actor) else { return Vec::new() };
    let groups = peer.memberships().iter().filter_map(|membership| snapshot.group(membership.group));
    let by_group = groups.flat_map(|group| &group.bindings);
    let bound: BTreeSet<AccountIndex> = peer.bindings().iter().chain(by_group).map(|binding| binding.account).collect();
    let is_top = |account: &&AccountIndex| {
        let path = snapshot.path(**account);
        !path.as_slice().iter().skip(1).any(|above| bound.contains(above))
    };
    let tops: Vec<AccountId> =
        bound.iter().filter(is_top).filter_map(|one| snapshot.account_id(*one).cloned()).collect();
    if tops.len() > TOPS_MAX { vec![AccountId::platform()] } else { tops }
}
