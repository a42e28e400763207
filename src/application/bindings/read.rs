//! Reading role bindings: only those on accounts where the caller may view them.

use std::collections::HashSet;

use super::{PrincipalRef, missing};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::decision::AccountIndex;
use crate::domain::binding::{Binding, Mode, Principal, Reach};
use crate::domain::ids::{AccountId, BindingId, RoleId};
use crate::domain::peer::PeerRef;
use crate::storage;

/// The permission to see bindings.
pub(in crate::application) const VIEW: &str = "role_bindings.view";

/// Up to so many accounts are named in a query; beyond, rows are read and judged one by one.
const ACCOUNTS_MAX: usize = 1000;
/// How many rows are read at once, and how often for one page. A page that is not full then goes on
/// where it stopped.
const STEP: u64 = 1000;
const STEPS_MAX: usize = 20;

/// Gets a binding.
///
/// # Errors
/// [`Error::NotFound`](crate::application::Error::NotFound) where it is missing or hidden.
pub async fn get(ctx: &Ctx, call: &Call, id: BindingId) -> Result<Binding> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let binding = storage::bindings::find(ctx.store.reader(), id).await?.ok_or_else(|| missing(id))?;
    let account = snapshot.find_account(binding.account.as_str()).ok_or_else(|| missing(id))?;
    view.admit(VIEW, VIEW, account, ("role binding", &format!("roleBindings/{id}")))?;
    Ok(binding)
}

/// Which bindings are listed.
#[derive(Debug, Clone)]
pub struct ListBindings {
    pub account: AccountId,
    pub include_descendants: bool,
    pub principal: Option<PrincipalRef>,
    pub role: Option<RoleId>,
    pub mode: Option<Mode>,
    pub reach: Option<Reach>,
    pub after: Option<BindingId>,
    pub limit: usize,
}

/// A page of bindings.
#[derive(Debug, Clone, Default)]
pub struct BindingPage {
    pub bindings: Vec<Binding>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<BindingId>,
}

/// Lists bindings by id.
///
/// # Errors
/// [`Error::NotFound`](crate::application::Error::NotFound) and
/// [`Error::Denied`](crate::application::Error::Denied).
pub async fn list(ctx: &Ctx, call: &Call, request: &ListBindings) -> Result<BindingPage> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let account = view.admit_at(VIEW, &request.account)?.account();
    let principal = match &request.principal {
        None => None,
        Some(named) => match named_principal(&view, named) {
            Some(principal) => Some(principal),
            None => return Ok(BindingPage::default()),
        },
    };
    let accounts = if request.include_descendants { viewable_below(&view, account) } else { vec![account] };
    let ids = accounts.iter().filter_map(|account| snapshot.account_id(*account).cloned());
    let few: Option<Vec<AccountId>> = (accounts.len() <= ACCOUNTS_MAX).then(|| ids.clone().collect());
    let all: HashSet<AccountId> = if few.is_some() { HashSet::new() } else { ids.collect() };
    let filter = storage::bindings::Filter { principal, role: request.role.clone(), accounts: few.clone() };
    let wanted = |binding: &Binding| {
        (few.is_some() || all.contains(&binding.account))
            && request.mode.is_none_or(|mode| mode == binding.mode)
            && request.reach.is_none_or(|reach| reach == binding.reach)
    };
    let step = if few.is_some() { STEP.min(request.limit as u64 + 1) } else { STEP };
    let mut page = BindingPage { bindings: Vec::new(), next: request.after };
    let mut read_to = request.after;
    for _ in 0..STEPS_MAX {
        let rows = storage::bindings::list(ctx.store.reader(), &filter, read_to, step).await?;
        let is_last = (rows.len() as u64) < step;
        read_to = rows.last().map(|binding| binding.id).or(read_to);
        for binding in rows.into_iter().filter(wanted) {
            if page.bindings.len() == request.limit {
                return Ok(page);
            }
            page.next = Some(binding.id);
            page.bindings.push(binding);
        }
        if is_last {
            page.next = None;
            return Ok(page);
        }
        if page.bindings.len() < request.limit {
            page.next = read_to;
        }
    }
    Ok(page)
}

/// The accounts at and below one where the caller may view bindings.
fn viewable_below(view: &View<'_>, account: AccountIndex) -> Vec<AccountIndex> {
    view.snapshot.subtree(account).into_iter().filter(|one| view.may(VIEW, *one)).collect()
}

/// The principal that a filter names. A user name leads to its peer only where the caller may view
/// that peer, since a binding shows the uid alone.
fn named_principal(view: &View<'_>, named: &PrincipalRef) -> Option<Principal> {
    match named {
        PrincipalRef::Group(group) => Some(Principal::Group(*group)),
        PrincipalRef::Peer(PeerRef::Id(id)) => Some(Principal::Peer(*id)),
        PrincipalRef::Peer(peer @ (PeerRef::Me | PeerRef::UserName(_))) => {
            let index = view.find_peer(peer)?;
            let record = view.snapshot.peer(index)?;
            let is_known = index == view.actor || view.may("peers.view", record.home());
            is_known.then(|| Principal::Peer(record.id()))
        }
    }
}
